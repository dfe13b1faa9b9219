package inference

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// The names of a version's files that this package reads.
const (
	SignatureFile = "signature.json"
	ModelFile     = "model.json"
	CommandFile   = "command.json" // of format command
	RemoteFile    = "remote.json"  // of format remote
)

// Scorer turns encoded rows into scores. It is safe for concurrent use and allocates nothing per call.
type Scorer interface {
	// Outputs is the number of scores per row.
	Outputs() int
	// Score reads rows rows of x (row-major; NaN is missing, a category is its code) and writes rows*Outputs()
	// scores to out: the positive class's probability, one probability per class, or the value. Slices that are too
	// short for rows are an error.
	Score(x []float64, rows int, out []float64) error
}

// Model is a version that can answer: a signature and the scorer that fits it.
type Model struct {
	Signature Signature
	Scorer    Scorer

	position map[string]int     // feature name -> index in Signature.Inputs
	codes    []map[string]int32 // by feature: category -> code; nil for the other kinds
	release  func() error       // ends what the scorer runs outside; nil: nothing

	predict func(context.Context, *dataset.Table) ([]float64, error) // scores tables, where rows can't be; nil: Scorer does
}

// NewModel ties a signature to a model file. It is a *FormatError when the two don't fit.
func NewModel(s Signature, f *File) (*Model, error) {
	if err := s.Validate(); err != nil {
		return nil, &FormatError{SignatureFile, err}
	}
	scorer, err := f.scorerFor(s)
	if err != nil {
		return nil, &FormatError{ModelFile, err}
	}
	return newModel(s, scorer), nil
}

func newModel(s Signature, scorer Scorer) *Model {
	m := &Model{Signature: s, Scorer: scorer, position: make(map[string]int, len(s.Inputs)), codes: make([]map[string]int32, len(s.Inputs))}
	for i, in := range s.Inputs {
		m.position[in.Name] = i
		if in.Kind == KindCategory {
			m.codes[i] = make(map[string]int32, len(in.Categories))
			for code, name := range in.Categories {
				m.codes[i][name] = int32(code)
			}
		}
	}
	return m
}

// Encode writes one row of named values to dst, which has one place per input, in the signature's order. A null or an
// unknown category is missing (NaN), or *UnknownCategory where the feature refuses them. An absent feature is *MissingFeature; a value that its kind can't take is
// *FeatureType. Values are what encoding/json gives (with or without UseNumber), Go integers, or time.Time.
// Fields that aren't features are ignored here; Unknown lists them.
func (m *Model) Encode(row map[string]any, dst []float64) error {
	if len(dst) != len(m.Signature.Inputs) {
		return fmt.Errorf("encode: observed %d places, want %d", len(dst), len(m.Signature.Inputs))
	}
	for i := range m.Signature.Inputs {
		value, ok := row[m.Signature.Inputs[i].Name]
		if !ok {
			return &MissingFeature{m.Signature.Inputs[i].Name}
		}
		encoded, err := m.EncodeValue(i, value)
		if err != nil {
			return err
		}
		dst[i] = encoded
	}
	return nil
}

// EncodeValue encodes one value of the input at position i of the signature.
func (m *Model) EncodeValue(i int, value any) (float64, error) {
	if value == nil {
		return math.NaN(), nil
	}
	var encoded float64
	var ok bool
	switch in := &m.Signature.Inputs[i]; in.Kind {
	case KindCategory:
		return m.encodeCategory(i, value)
	case KindBoolean:
		encoded, ok = booleanValue(value)
	case KindTimestamp:
		encoded, ok = timeValue(value)
	case KindInteger:
		encoded, ok = numberValue(value)
		ok = ok && encoded == math.Trunc(encoded)
	default:
		encoded, ok = numberValue(value)
	}
	if !ok || math.IsInf(encoded, 0) || math.IsNaN(encoded) {
		return 0, &FeatureType{m.Signature.Inputs[i].Name, wanted(m.Signature.Inputs[i].Kind), describe(value)}
	}
	return encoded, nil
}

// wanted is a kind as an error tells a client what to send.
func wanted(kind string) string {
	switch kind {
	case KindTimestamp:
		return "timestamp: 2006-01-02, 2006-01-02T15:04:05Z or seconds since 1970"
	case KindBoolean:
		return "boolean: true, false, 1 or 0"
	}
	return kind
}

// encodeCategory takes numbers and booleans too: a CSV can't tell 1 from "1", so a category that was read from one may be
// either in a request. A number is looked up as it is written, then in the form that data files have.
func (m *Model) encodeCategory(i int, value any) (float64, error) {
	code, known := int32(0), false
	switch v := value.(type) {
	case string:
		code, known = m.codes[i][v]
	case bool:
		code, known = m.codes[i][strconv.FormatBool(v)]
	case json.Number:
		if code, known = m.codes[i][v.String()]; !known {
			if number, ok := numberValue(v); ok {
				code, known = m.codes[i][dataset.FormatNumber(number)]
			}
		}
	default:
		number, ok := numberValue(value)
		if !ok {
			return 0, &FeatureType{m.Signature.Inputs[i].Name, KindCategory, describe(value)}
		}
		code, known = m.codes[i][dataset.FormatNumber(number)]
	}
	if known {
		return float64(code), nil
	}
	if in := &m.Signature.Inputs[i]; in.Unknown == UnknownRefuse {
		return 0, &UnknownCategory{Feature: in.Name, Row: -1, Got: describe(value), Known: len(in.Categories)}
	}
	return math.NaN(), nil
}

func numberValue(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float32:
		return float64(v), true
	case int:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return 0, false
}

func booleanValue(value any) (float64, bool) {
	if v, ok := value.(bool); ok {
		if v {
			return 1, true
		}
		return 0, true
	}
	v, ok := numberValue(value)
	return v, ok && (v == 0 || v == 1)
}

// timeValue takes text that ParseTime takes, a time.Time, or seconds since 1970.
func timeValue(value any) (float64, bool) {
	switch v := value.(type) {
	case string:
		at, ok := ParseTime(v)
		if !ok {
			return 0, false
		}
		return instant(at), true
	case time.Time:
		return instant(v), true
	}
	return numberValue(value)
}

// ParseTime takes the forms of an instant that data files have, so that a client may send what trained the model:
// 2006-01-02, and 2006-01-02T15:04:05 with a T or a space, an optional fraction and an optional zone; UTC without one.
func ParseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil { // a fraction is taken whether or not the layout has one
			return at, true
		}
	}
	return time.Time{}, false
}

// instant is seconds of any year: Unix nanoseconds end in 2262, and "until 9999-12-31" is a common way to say never.
func instant(at time.Time) float64 {
	if year := at.Year(); year >= 1678 && year <= 2261 {
		return seconds(at.UnixNano()) // to the bit what EncodeTable gives
	}
	return float64(at.Unix()) + float64(at.Nanosecond())/1e9
}

func seconds(nanoseconds int64) float64 { return float64(nanoseconds) / 1e9 }

// describe names a value's type, and shows it when it is short enough for an error.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		if len(v) > 40 {
			return fmt.Sprintf("text of %d bytes", len(v))
		}
		return fmt.Sprintf("text %q", v)
	case bool:
		return fmt.Sprintf("boolean %v", v)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	if number, ok := numberValue(value); ok {
		return "number " + strconv.FormatFloat(number, 'g', -1, 64)
	}
	return fmt.Sprintf("%T", value)
}

// Unknown lists, sorted, the names in row that aren't features.
func (m *Model) Unknown(row map[string]any) []string {
	var unknown []string
	for name := range row {
		if _, ok := m.position[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	return unknown
}

// Decision turns one row's scores into an answer. Binary: the class by the threshold, and the positive class's
// probability. Multiclass: the most probable class and its probability; the first of equals. Regression: no label,
// and the value. Scores that aren't Outputs() long give no label and NaN.
func (m *Model) Decision(out []float64) (label string, score float64) {
	if len(out) != m.Signature.Outputs() {
		return "", math.NaN()
	}
	switch m.Signature.Task {
	case spec.Binary:
		if out[0] >= m.Signature.Threshold {
			return m.Signature.Classes[1], out[0]
		}
		return m.Signature.Classes[0], out[0]
	case spec.Multiclass:
		best := 0
		for k, p := range out {
			if p > out[best] {
				best = k
			}
		}
		return m.Signature.Classes[best], out[best]
	}
	return "", out[0]
}
