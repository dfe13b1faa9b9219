package dataset

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/parquet"
)

// cellState is what a stored value is as a text.
type cellState uint8

const (
	cellValue cellState = iota
	cellNull
	cellBad // no text that anybody would mean
)

// appendText appends a value as the text by which it is known where a name is wanted.
func (s storage) appendText(b []byte, v *parquet.Values, i int) ([]byte, cellState) {
	switch s.form {
	case formSigned:
		return strconv.AppendInt(b, v.Ints[i], 10), cellValue
	case formUnsigned:
		return strconv.AppendUint(b, s.unsigned(v.Ints[i]), 10), cellValue
	case formBoolean:
		return strconv.AppendBool(b, v.Ints[i] != 0), cellValue
	case formReal:
		return appendReal(b, v.Floats[i])
	case formHalf:
		return appendReal(b, half(binary.LittleEndian.Uint16(v.Bytes[i])))
	case formDecimal:
		return s.appendDecimal(b, v, i)
	case formText:
		if len(v.Bytes[i]) == 0 {
			return b, cellNull
		}
		return append(b, v.Bytes[i]...), cellValue
	case formUUID:
		return appendUUID(b, v.Bytes[i]), cellValue
	case formTimestamp, formDate, formInt96:
		return s.appendTime(b, v, i)
	}
	return b, cellNull
}

func appendReal(b []byte, v float64) ([]byte, cellState) {
	switch {
	case math.IsNaN(v):
		return b, cellNull
	case math.IsInf(v, 0):
		return strconv.AppendFloat(b, v, 'g', -1, 64), cellBad
	}
	return appendNumber(b, v), cellValue
}

// appendTime writes RFC 3339 in UTC, a date without its time.
func (s storage) appendTime(b []byte, v *parquet.Values, i int) ([]byte, cellState) {
	seconds, nanos, ok := s.instant(v, i)
	at := time.Unix(seconds, nanos).UTC()
	layout := time.RFC3339Nano
	if s.form == formDate {
		layout = time.DateOnly
	}
	if ok = ok && at.Year() >= 0 && at.Year() <= 9999; !ok {
		return append(strconv.AppendInt(b, seconds, 10), " s after 1970"...), cellBad
	}
	return at.AppendFormat(b, layout), cellValue
}

// appendUUID writes 16 bytes as 8-4-4-4-12 hexadecimal digits.
func appendUUID(b, id []byte) []byte {
	for i, end := range []int{4, 6, 8, 10, 16} {
		if i > 0 {
			b = append(b, '-')
		}
		start := []int{0, 4, 6, 8, 10}[i]
		b = hex.AppendEncode(b, id[start:end])
	}
	return b
}

// maxDecimal is how many bytes of a decimal are read: twice those of the widest.
const maxDecimal = 64

// appendDecimal writes a decimal with all its digits, without zeros at the end of its fraction.
func (s storage) appendDecimal(b []byte, v *parquet.Values, i int) ([]byte, cellState) {
	var digits []byte
	if n, ok := s.unscaled(v, i); ok {
		digits = strconv.AppendInt(nil, n, 10)
	} else {
		raw := v.Bytes[i]
		if len(raw) > maxDecimal {
			return append(b, "a decimal of more than 512 bits"...), cellBad
		}
		n := new(big.Int).SetBytes(raw)
		if raw[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
		}
		digits = n.Append(nil, 10)
	}
	if digits[0] == '-' {
		b, digits = append(b, '-'), digits[1:]
	}
	for len(digits) <= s.scale {
		digits = append([]byte{'0'}, digits...)
	}
	point := len(digits) - s.scale
	fraction := digits[point:]
	for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	b = append(b, digits[:point]...)
	if len(fraction) == 0 {
		return b, cellValue
	}
	return append(append(b, '.'), fraction...), cellValue
}
