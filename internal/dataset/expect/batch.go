// Package expect holds rows to a suite of expectations: one pass, in batches of any size, in memory that the rows don't
// bound. What each kind asks for is as in Great Expectations on pandas; docs/expectations.md says where it isn't.
//
// A null is no value: it is judged by the kinds about nulls alone. Nothing is sampled or estimated.
package expect

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/instant"
)

// Column is consecutive values of one column. Which slice holds them follows from Type, a contract's name of a type.
type Column struct {
	Name, Type string
	Floats     []float64 // number, integer, boolean (0 or 1); NaN is null
	Codes      []int32   // category, text: index into Dict; below 0 is null
	Dict       []string
	Times      []int64 // timestamp: Unix nanoseconds; MinInt64 is null

	known *summary // of Floats, once somebody asked
}

// summary is what is known of the numbers of a batch: most batches are as expected, and needn't be looked at row by row.
type summary struct {
	nulls     int64
	low, high float64 // +Inf and -Inf without a number
}

// summary is found once for all rules about the column.
func (c *Column) summary() summary {
	if c.known != nil {
		return *c.known
	}
	s := summary{low: math.Inf(1), high: math.Inf(-1)}
	for _, v := range c.Floats {
		if v != v {
			s.nulls++
		}
		if v < s.low {
			s.low = v
		}
		if v > s.high {
			s.high = v
		}
	}
	c.known = &s
	return s
}

// Batch is consecutive rows. All columns have Rows values.
type Batch struct {
	Columns []Column
	Rows    int
	First   int64 // number of the first row, from 0
}

// nullTime is the null of times.
const nullTime = math.MinInt64

// storage is how the values of a type are kept.
type storage uint8

const (
	floats storage = iota
	codes
	times
)

func storageOf(columnType string) storage {
	switch columnType {
	case "category", "text":
		return codes
	case "timestamp":
		return times
	}
	return floats
}

// null reports whether the value at row is null.
func (c *Column) null(row int) bool {
	switch storageOf(c.Type) {
	case codes:
		return c.Codes[row] < 0
	case times:
		return c.Times[row] == nullTime
	}
	return math.IsNaN(c.Floats[row])
}

// value is the value at row as JSON has it: times as text, and of a text not more than a result has room for.
func (c *Column) value(row int) any {
	if c.null(row) {
		return nil
	}
	switch storageOf(c.Type) {
	case codes:
		return clip(c.Dict[c.Codes[row]])
	case times:
		return instant.Text(c.Times[row])
	}
	return number(c.Type, c.Floats[row])
}

// number is a number of a column of a type as JSON has it.
func number(columnType string, v float64) any {
	if columnType == "boolean" {
		return v != 0
	}
	return finite(v)
}

// text is the value at row as patterns see it.
func (c *Column) text(row int) string {
	switch storageOf(c.Type) {
	case codes:
		return c.Dict[c.Codes[row]]
	case times:
		return instant.Text(c.Times[row])
	}
	if c.Type == "boolean" {
		return strconv.FormatBool(c.Floats[row] != 0)
	}
	return suite.FormatNumber(c.Floats[row])
}

// hasher makes keys of values. Two hashes of 64 bits with seeds of their own are taken for equality: among 10^9 values
// the chance that any two agree by accident is below 10^-20.
type hasher struct{ a, b maphash.Seed }

func newHasher() hasher { return hasher{a: maphash.MakeSeed(), b: maphash.MakeSeed()} }

func (h hasher) key(text string) spill.Key {
	return spill.Key{maphash.String(h.a, text), maphash.String(h.b, text)}
}

// of is the key of the value at row, which isn't null, and its text where the key isn't the value itself.
func (h hasher) of(c *Column, row int) (key spill.Key, text string) {
	switch storageOf(c.Type) {
	case codes:
		text = c.Dict[c.Codes[row]]
		return h.key(text), text
	case times:
		return spill.Key{uint64(c.Times[row])}, ""
	}
	return spill.Key{math.Float64bits(c.Floats[row] + 0)}, "" // -0 becomes 0
}

// back is the value of a key that of made for a column of a type.
func back(columnType string, key spill.Key, text string) any {
	switch storageOf(columnType) {
	case codes:
		return clip(text)
	case times:
		return instant.Text(int64(key[0]))
	}
	return number(columnType, math.Float64frombits(key[0]))
}

// appendValue writes the value at row such that different values, and values of different types, have different bytes.
func (c *Column) appendValue(b []byte, row int) []byte {
	switch {
	case c.null(row):
		return append(b, 0)
	case storageOf(c.Type) == codes:
		text := c.Dict[c.Codes[row]]
		b = binary.AppendUvarint(append(b, 1), uint64(len(text)))
		return append(b, text...)
	case storageOf(c.Type) == times:
		return binary.LittleEndian.AppendUint64(append(b, 2), uint64(c.Times[row]))
	}
	return binary.LittleEndian.AppendUint64(append(b, 3), math.Float64bits(c.Floats[row]+0))
}
