package dataset

import (
	"bytes"
	"fmt"
	"math"
)

// How many distinct values an inferred category may have: always the first, up to the second where they repeat.
const (
	fewCategories = 20
	maxCategories = 1000
)

// builder collects the cells of one column. Without a declared kind it keeps their text until all were seen, since
// the last cell can still make a column of numbers one of names.
type builder struct {
	column  Column
	dict    *dictionary
	failure Failure // cells that are no value of the declared kind
	keep    int

	infer   bool
	text    []byte   // all cells, one after another
	lengths []uint32 // of each cell in text
}

func newBuilder(name string, kind Kind, keep int) *builder {
	b := &builder{column: Column{Name: name, Kind: kind}, keep: keep}
	b.start()
	return b
}

func newInferringBuilder(name string, keep int) *builder {
	return &builder{column: Column{Name: name}, keep: keep, infer: true}
}

// start readies the slices of the column's kind, which are never nil even for no rows.
func (b *builder) start() {
	b.column.grow(0)
	if b.column.Kind.coded() {
		b.dict = newDictionary()
	}
	b.failure = Failure{Column: b.column.Name, Rule: RuleType, Limit: wanted(b.column.Kind), Severity: SeverityBlock}
}

// wanted says what a cell of a kind looks like.
func wanted(k Kind) string {
	switch k {
	case Number:
		return "a finite decimal number"
	case Integer:
		return "a whole number within ±2^53"
	case Boolean:
		return "true, false, 1 or 0"
	case Timestamp:
		return "a time such as 2006-01-02 or 2006-01-02T15:04:05Z"
	}
	return k.String()
}

// append takes the cell of the given row, counted from 0.
func (b *builder) append(cell []byte, row int) {
	if b.infer {
		b.text = append(b.text, cell...)
		b.lengths = append(b.lengths, uint32(len(cell)))
		return
	}
	c := &b.column
	if c.Kind.coded() {
		code := NullCode
		if len(cell) > 0 {
			code = b.dict.code(cell)
		}
		c.Codes = append(c.Codes, code)
		return
	}
	ok := true
	if c.Kind == Timestamp {
		at := NullTime
		if !isNull(cell) {
			if at, ok = parseTimestamp(cell); !ok {
				at = NullTime
			}
		}
		c.Times = append(c.Times, at)
	} else {
		v := math.NaN()
		if !isNull(cell) {
			if v, ok = parseAs(c.Kind, cell); !ok {
				v = math.NaN()
			}
		}
		c.Floats = append(c.Floats, v)
	}
	if !ok {
		b.refuse(cell, row)
	}
}

// parseAs parses a cell of a numeric kind.
func parseAs(k Kind, cell []byte) (float64, bool) {
	switch k {
	case Integer:
		return parseInteger(cell)
	case Boolean:
		return parseBoolean(cell)
	}
	return parseNumber(cell)
}

// refuse notes a cell that is no value of the column's kind.
func (b *builder) refuse(cell []byte, row int) {
	b.column.malformed.set(row)
	b.failure.add(row, b.keep, func() string { return fmt.Sprintf("%.60q", cell) })
}

// add counts one offending row, from 0. The first one's value is what was observed.
func (f *Failure) add(row, keep int, observed func() string) {
	if f.Rows == 0 {
		f.Observed = observed()
	}
	f.Rows++
	if len(f.First) < keep {
		f.First = append(f.First, int64(row)+1)
	}
}

// finish is the column, its kind inferred where none was declared.
func (b *builder) finish() Column {
	if b.infer {
		b.column.Kind = b.inferKind()
		b.infer = false
		b.start()
		b.column.grow(len(b.lengths))
		b.each(func(row int, cell []byte) bool {
			b.append(cell, row)
			return true
		})
		if b.column.Kind == Category && !b.categorical() {
			b.column.Kind = Text
		}
		b.text, b.lengths = nil, nil
	}
	if b.dict != nil {
		b.column.Dict = b.dict.values
		b.dict = nil
	}
	return b.column
}

// each calls do with every kept cell until it returns false.
func (b *builder) each(do func(row int, cell []byte) bool) {
	at := 0
	for row, n := range b.lengths {
		if !do(row, b.text[at:at+int(n)]) {
			return
		}
		at += int(n)
	}
}

// inferKind is the narrowest kind that takes all cells. Category stands for both coded kinds: finish decides.
func (b *builder) inferKind() Kind {
	integer, number, boolean, timestamp, any := true, true, true, true, false
	b.each(func(_ int, cell []byte) bool {
		if isNull(cell) {
			return true
		}
		any = true
		if number {
			integer = integer && looksInteger(cell)
			number = looksNumber(cell)
		}
		if boolean {
			_, ok := parseBoolean(cell)
			boolean = ok && len(cell) > 1 // zeros and ones are integers
		}
		if timestamp {
			_, timestamp = parseTimestamp(cell)
		}
		return number || boolean || timestamp
	})
	switch {
	case !any:
		return Text // nothing is known of it, and text takes whatever comes
	case number && integer:
		return Integer
	case number:
		return Number
	case boolean:
		return Boolean
	case timestamp:
		return Timestamp
	}
	return Category
}

// looksInteger reports whether a cell is written as a whole number.
func looksInteger(cell []byte) bool {
	cell = bytes.TrimPrefix(cell, []byte{'-'})
	for _, b := range cell {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(cell) > 0
}

// looksNumber reports whether a cell is written as a quantity. Long runs of digits are names (card and tracking
// numbers): as numbers they would lose their last digits.
func looksNumber(cell []byte) bool {
	v, ok := parseNumber(cell)
	if !ok || !plainNumber(cell) {
		return false
	}
	return math.Abs(v) <= maxInteger || !looksInteger(cell)
}

// categorical reports whether the values of an inferred column are categories: few, or not many and repeating.
func (b *builder) categorical() bool {
	values := len(b.lengths) - b.column.Nulls()
	distinct := len(b.dict.values)
	return distinct <= fewCategories || (distinct <= maxCategories && 2*distinct <= values)
}
