package dataset

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/parquet"
)

// form is how the values of a Parquet column are to be understood.
type form uint8

const (
	formSigned form = iota
	formUnsigned
	formBoolean
	formReal
	formHalf // 16-bit float
	formDecimal
	formText
	formUUID
	formTimestamp
	formDate
	formInt96   // nanoseconds of a Julian day, as Spark and Impala wrote timestamps
	formUnknown // only nulls
)

// storage is a column's form with its parameters.
type storage struct {
	form  form
	wide  bool // formUnsigned: 64 bits, not 32
	scale int  // formDecimal: digits after the point
	unit  time.Duration
}

// storageOf is how a column's values are understood, or what it is that can't be: a column of a table has single
// values that are numbers, names or instants.
func storageOf(c *parquet.Column) (s storage, wrong string) {
	if c.Nested != "" {
		return s, c.Nested
	}
	units := map[parquet.Unit]time.Duration{parquet.Millis: time.Millisecond, parquet.Micros: time.Microsecond, parquet.Nanos: time.Nanosecond}
	switch c.Logical {
	case parquet.String, parquet.Enum, parquet.JSON:
		return storage{form: formText}, ""
	case parquet.Decimal:
		return storage{form: formDecimal, scale: c.Scale}, ""
	case parquet.Date:
		return storage{form: formDate}, ""
	case parquet.Timestamp:
		return storage{form: formTimestamp, unit: units[c.Unit]}, ""
	case parquet.Integer:
		if c.Unsigned {
			return storage{form: formUnsigned, wide: c.Physical == parquet.Int64}, ""
		}
		return storage{form: formSigned}, ""
	case parquet.Unknown:
		return storage{form: formUnknown}, ""
	case parquet.UUID:
		return storage{form: formUUID}, ""
	case parquet.Float16:
		return storage{form: formHalf}, ""
	case parquet.Time:
		return s, "a time of day (" + c.Meaning + ")"
	case parquet.Other:
		return s, "values of type " + c.Meaning
	}
	switch c.Physical {
	case parquet.Boolean:
		return storage{form: formBoolean}, ""
	case parquet.Int32, parquet.Int64:
		return storage{form: formSigned}, ""
	case parquet.Float, parquet.Double:
		return storage{form: formReal}, ""
	case parquet.Int96:
		return storage{form: formInt96}, ""
	case parquet.ByteArray:
		return storage{form: formText}, "" // Impala and old Hive never wrote that it is; what isn't UTF-8 is refused
	}
	return s, "bytes of no known meaning (" + c.Physical.String() + ")"
}

// kind is the kind of a column whose kind nobody declared. Text among categories is for its values to show.
func (s storage) kind() Kind {
	switch s.form {
	case formSigned, formUnsigned:
		return Integer
	case formBoolean:
		return Boolean
	case formReal, formHalf, formDecimal:
		return Number
	case formTimestamp, formDate, formInt96:
		return Timestamp
	case formUnknown:
		return Text
	}
	return Category
}

// unknown reports whether the file says that there are only nulls.
func (s storage) unknown() bool { return s.form == formUnknown }

// numbers converts values to a numeric kind. What is none is marked as bad.
func (s storage) numbers(kind Kind, v *parquet.Values, to []float64) (bad bool) {
	switch {
	case s.form == formSigned && kind == Number:
		for i, n := range v.Ints {
			to[i] = float64(n)
		}
		return false
	case s.form == formSigned && kind == Integer:
		for i, n := range v.Ints {
			to[i] = float64(n)
			if n > maxInteger || n < -maxInteger {
				to[i], bad = badNumber(), true
			}
		}
		return bad
	case s.form == formReal && kind == Number:
		for i, n := range v.Floats {
			to[i] = n
			if n-n != 0 { // NaN or infinite
				to[i] = admit(kind, n)
				bad = bad || isBadNumber(to[i])
			}
		}
		return bad
	}
	var cell []byte
	for i := range to {
		to[i], cell = s.number(kind, v, i, cell)
		bad = bad || isBadNumber(to[i])
	}
	return bad
}

// number converts one value. cell is memory for texts.
func (s storage) number(kind Kind, v *parquet.Values, i int, cell []byte) (float64, []byte) {
	switch s.form {
	case formSigned, formUnsigned:
		n := s.unsigned(v.Ints[i])
		if s.form == formUnsigned && kind == Integer && n > maxInteger {
			return badNumber(), cell
		}
		if s.form == formUnsigned {
			return admit(kind, float64(n)), cell
		}
		return admit(kind, float64(v.Ints[i])), cell
	case formBoolean:
		if kind == Boolean {
			return float64(v.Ints[i]), cell
		}
		return badNumber(), cell // true is no number in a text either
	case formReal:
		return admit(kind, v.Floats[i]), cell
	case formHalf:
		return admit(kind, half(binary.LittleEndian.Uint16(v.Bytes[i]))), cell
	case formDecimal:
		if unscaled, ok := s.unscaled(v, i); ok && unscaled <= maxInteger && unscaled >= -maxInteger && s.scale <= 22 {
			return admit(kind, float64(unscaled)/powerOfTen(s.scale)), cell // both exact, so the quotient is the nearest number
		}
		cell, _ = s.appendText(cell[:0], v, i)
		n, err := strconv.ParseFloat(string(cell), 64)
		if err != nil {
			return badNumber(), cell
		}
		return admit(kind, n), cell
	case formText:
		if isNull(v.Bytes[i]) {
			return math.NaN(), cell
		}
		if n, ok := parseAs(kind, v.Bytes[i]); ok {
			return n, cell
		}
	case formUnknown:
		return math.NaN(), cell
	}
	return badNumber(), cell
}

// unsigned is a stored number without its sign, as wide as it is stored.
func (s storage) unsigned(n int64) uint64 {
	if s.wide {
		return uint64(n)
	}
	return uint64(uint32(n))
}

// admit is v, null for NaN (pandas has no other null for a float), or bad for what the kind can't hold.
func admit(kind Kind, v float64) float64 {
	switch {
	case math.IsNaN(v):
		return math.NaN()
	case math.IsInf(v, 0),
		kind == Integer && (v != math.Trunc(v) || math.Abs(v) > maxInteger),
		kind == Boolean && v != 0 && v != 1:
		return badNumber()
	}
	return v
}

// The marks of a value that isn't of the column's kind, until it was reported. No value and no null is one.
const (
	badBits       = 0x7ff8_bad0_bad0_bad0
	badTime int64 = math.MinInt64 + 1
	badCode int32 = -2
	unseen  int32 = -3 // of a dictionary, in this chunk so far
)

func badNumber() float64         { return math.Float64frombits(badBits) }
func isBadNumber(v float64) bool { return math.Float64bits(v) == badBits }
func isBadTime(v int64) bool     { return v == badTime }
func isBadCode(v int32) bool     { return v == badCode }
func powerOfTen(n int) float64   { return math.Pow10(n) } // exact up to 22

// times converts values to instants. What is none, or beyond the years that nanoseconds can tell, is marked as bad.
func (s storage) times(v *parquet.Values, to []int64) (bad bool) {
	for i := range to {
		to[i] = s.time(v, i)
		bad = bad || to[i] == badTime
	}
	return bad
}

// The first second of 1678 and of 2262: between them every nanosecond is an int64.
const (
	firstSecond = -9214560000
	endSecond   = 9214646400
)

func (s storage) time(v *parquet.Values, i int) int64 {
	switch s.form {
	case formTimestamp, formDate, formInt96:
		seconds, nanos, ok := s.instant(v, i)
		if ok && seconds >= firstSecond && seconds < endSecond {
			return seconds*1e9 + nanos
		}
	case formText:
		if isNull(v.Bytes[i]) {
			return NullTime
		}
		if at, ok := parseTimestamp(v.Bytes[i]); ok {
			return at
		}
	case formReal:
		if math.IsNaN(v.Floats[i]) {
			return NullTime
		}
	case formUnknown:
		return NullTime
	}
	return badTime
}

// instant is a stored time in Unix seconds and nanoseconds. A local one, without a zone, is taken for UTC, as in a text.
func (s storage) instant(v *parquet.Values, i int) (seconds, nanos int64, ok bool) {
	const day = 24 * 60 * 60
	switch s.form {
	case formDate:
		return v.Ints[i] * day, 0, true
	case formInt96:
		const epoch = 2440588 // the Julian day of 1970-01-01
		nanos := int64(binary.LittleEndian.Uint64(v.Bytes[i]))
		days := int64(int32(binary.LittleEndian.Uint32(v.Bytes[i][8:]))) - epoch
		return days*day + nanos/1e9, nanos % 1e9, nanos >= 0 && nanos < day*1e9
	}
	perSecond := int64(time.Second / s.unit)
	seconds, rest := v.Ints[i]/perSecond, v.Ints[i]%perSecond
	if rest < 0 {
		seconds, rest = seconds-1, rest+perSecond
	}
	return seconds, rest * int64(s.unit), true
}

// unscaled is a decimal times ten to its scale, if that is an int64.
func (s storage) unscaled(v *parquet.Values, i int) (int64, bool) {
	if v.Ints != nil {
		return v.Ints[i], true
	}
	b := v.Bytes[i]
	if len(b) == 0 || len(b) > 8 {
		return 0, len(b) == 0
	}
	n := int64(int8(b[0])) // two's complement, the first byte highest
	for _, next := range b[1:] {
		n = n<<8 | int64(next)
	}
	return n, true
}

// half is a 16-bit float of IEEE 754.
func half(bits uint16) float64 {
	sign := 1.0
	if bits&0x8000 != 0 {
		sign = -1
	}
	exponent, fraction := int(bits>>10&0x1f), float64(bits&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
