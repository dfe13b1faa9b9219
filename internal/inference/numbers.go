package inference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// XGBoost 1.x and 2.x write bare NaN, which JSON doesn't have, as the threshold of a category split (and would write
// Infinity). quoteSpecials puts those tokens into quotes of the same length, so that encoding/json can read the rest;
// float32s takes them back. The data is copied only where there is something to quote.
func quoteSpecials(data []byte) []byte {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data
	}
	out := bytes.Clone(data)
	inside := false
	for i := 0; i < len(out); i++ {
		switch {
		case inside && out[i] == '\\':
			i++
		case out[i] == '"':
			inside = !inside
		case inside:
		case bytes.HasPrefix(out[i:], []byte("NaN")):
			copy(out[i:], quotedNaN)
			i += len(quotedNaN) - 1
		case bytes.HasPrefix(out[i:], []byte("-Infinity")):
			copy(out[i:], quotedNegative)
			i += len(quotedNegative) - 1
		case bytes.HasPrefix(out[i:], []byte("Infinity")):
			copy(out[i:], quotedInfinity)
			i += len(quotedInfinity) - 1
		}
	}
	return out
}

const (
	quotedNaN      = `"N"`
	quotedInfinity = `"infini"`
	quotedNegative = `"-infini"`
)

// float32s is a list of numbers that may be quoted specials.
type float32s []float32

// UnmarshalJSON implements json.Unmarshaler.
func (f *float32s) UnmarshalJSON(data []byte) error {
	var plain []float32
	if json.Unmarshal(data, &plain) == nil {
		*f = plain
		return nil
	}
	*f = (*f)[:0]
	return decodeEach(data, "numbers", math.MaxInt32, func(_ int, v *special) error {
		*f = append(*f, float32(*v))
		return nil
	})
}

// special is a number or a quoted special.
type special float32

// UnmarshalJSON implements json.Unmarshaler.
func (s *special) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case quotedNaN:
		*s = special(math.NaN())
		return nil
	case quotedInfinity:
		*s = special(math.Inf(1))
		return nil
	case quotedNegative:
		*s = special(math.Inf(-1))
		return nil
	}
	v, err := strconv.ParseFloat(string(data), 32)
	if err != nil {
		return fmt.Errorf("observed %.40q, want a number", data)
	}
	*s = special(v)
	return nil
}

func finite32(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }
