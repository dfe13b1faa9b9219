package dataset

import (
	"fmt"
	"math"
	"strings"
)

// Kind is the type of a column's values.
type Kind uint8

// The kinds. Their names are the types of a contract.
const (
	Number    Kind = iota // finite float64
	Integer               // whole number, at most 2^53 in magnitude
	Category              // one of a set of names; a feature
	Text                  // free text; never a feature
	Boolean               // false or true, kept as 0 or 1
	Timestamp             // an instant, kept as Unix nanoseconds UTC
)

// NullTime is the null of a Timestamp column; NullCode that of Category and Text; NaN that of the others.
const (
	NullTime int64 = math.MinInt64
	NullCode int32 = -1
)

// kindNames are the kinds' names, in the order of their values.
func kindNames() []string {
	return []string{"number", "integer", "category", "text", "boolean", "timestamp"}
}

// String is the kind's name in a contract.
func (k Kind) String() string {
	if names := kindNames(); int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind is the inverse of String. An unknown name is an error that lists the valid ones.
func ParseKind(name string) (Kind, error) {
	for i, n := range kindNames() {
		if n == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("type %q: unknown, want one of %s", name, strings.Join(kindNames(), ", "))
}

// numeric reports whether values are kept in Floats.
func (k Kind) numeric() bool { return k == Number || k == Integer || k == Boolean }

// coded reports whether values are kept in Codes and Dict.
func (k Kind) coded() bool { return k == Category || k == Text }

// Column is one named column. Which slice holds its values follows from Kind; the others are nil.
type Column struct {
	Name   string
	Kind   Kind
	Floats []float64 // Number, Integer, Boolean (0 or 1); NaN is null
	Codes  []int32   // Category, Text: index into Dict; NullCode is null
	Dict   []string  // distinct values, in order of first appearance; may hold values that no row has. Shared: never changed
	Times  []int64   // Timestamp: Unix nanoseconds; NullTime is null

	malformed bitset // rows whose cell was no value of Kind: null here, and already reported by Read
	absent    bool   // an optional column that the file doesn't have: null everywhere, which is no failure
}

// Table is rows in columns. All columns have Rows values. It is safe for concurrent reading.
type Table struct {
	Columns []Column
	Rows    int
}

// Len is the number of values.
func (c *Column) Len() int {
	switch {
	case c.Kind.numeric():
		return len(c.Floats)
	case c.Kind.coded():
		return len(c.Codes)
	}
	return len(c.Times)
}

// Null reports whether the value at row is null.
func (c *Column) Null(row int) bool {
	switch {
	case c.Kind.numeric():
		return math.IsNaN(c.Floats[row])
	case c.Kind.coded():
		return c.Codes[row] < 0
	}
	return c.Times[row] == NullTime
}

// Nulls counts the nulls.
func (c *Column) Nulls() int {
	n := 0
	for row := range c.Len() {
		if c.Null(row) {
			n++
		}
	}
	return n
}

// Column finds a column by name.
func (t *Table) Column(name string) (*Column, bool) {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i], true
		}
	}
	return nil, false
}

// Names are the columns' names in order.
func (t *Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i := range t.Columns {
		names[i] = t.Columns[i].Name
	}
	return names
}

// Select copies the given rows, in the given order; a row may be given more than once. Dictionaries are shared.
func (t *Table) Select(rows []int) *Table {
	out := &Table{Columns: make([]Column, len(t.Columns)), Rows: len(rows)}
	for i := range t.Columns {
		from := &t.Columns[i]
		out.Columns[i] = Column{
			Name: from.Name, Kind: from.Kind, Dict: from.Dict,
			Floats: pick(from.Floats, rows), Codes: pick(from.Codes, rows), Times: pick(from.Times, rows),
		}
	}
	return out
}

// pick copies the values at rows; nil stays nil.
func pick[T any](values []T, rows []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(rows))
	for i, row := range rows {
		out[i] = values[row]
	}
	return out
}

// Project is a table of the named columns in the given order. Values are shared with t.
func (t *Table) Project(names []string) (*Table, error) {
	out := &Table{Columns: make([]Column, 0, len(names)), Rows: t.Rows}
	for _, name := range names {
		c, ok := t.Column(name)
		if !ok {
			return nil, unknownColumn("projection", name, t.Names())
		}
		out.Columns = append(out.Columns, *c)
	}
	return out, nil
}

// Concat stacks tables, in order. Columns are matched by name; the result has every column of any table, in order
// of first appearance, null where a table lacks it. Dictionaries are merged. Number absorbs Integer and Text
// absorbs Category; any other difference of kinds is a *DataError.
func Concat(tables ...*Table) (*Table, error) {
	out := &Table{}
	at := map[string]int{}
	for _, t := range tables {
		out.Rows += t.Rows
		for i := range t.Columns {
			c := &t.Columns[i]
			j, seen := at[c.Name]
			if !seen {
				at[c.Name] = len(out.Columns)
				out.Columns = append(out.Columns, Column{Name: c.Name, Kind: c.Kind})
				continue
			}
			kind, ok := commonKind(out.Columns[j].Kind, c.Kind)
			if !ok {
				return nil, &DataError{Rule: RuleType, Column: c.Name,
					Observed: c.Kind.String(), Limit: "the " + out.Columns[j].Kind.String() + " of earlier files: declare it in the contract"}
			}
			out.Columns[j].Kind = kind
		}
	}
	for i := range out.Columns {
		out.Columns[i].stack(tables, out.Rows)
	}
	return out, nil
}

// commonKind is the kind that holds the values of both.
func commonKind(a, b Kind) (Kind, bool) {
	switch {
	case a == b:
		return a, true
	case (a == Number || a == Integer) && (b == Number || b == Integer):
		return Number, true
	case a.coded() && b.coded():
		return Text, true
	}
	return 0, false
}

// stack fills an empty column with the values of the column of its name in each table.
func (c *Column) stack(tables []*Table, rows int) {
	dict := newDictionary()
	c.grow(rows)
	for _, t := range tables {
		from, ok := t.Column(c.Name)
		if !ok {
			c.appendNulls(t.Rows)
			continue
		}
		switch {
		case c.Kind.numeric():
			c.Floats = append(c.Floats, from.Floats...)
		case c.Kind.coded():
			translate := make([]int32, len(from.Dict))
			for i, value := range from.Dict {
				translate[i] = dict.codeString(value)
			}
			for _, code := range from.Codes {
				if code >= 0 {
					code = translate[code]
				}
				c.Codes = append(c.Codes, code)
			}
		default:
			c.Times = append(c.Times, from.Times...)
		}
	}
	c.Dict = dict.values
}

// grow makes room for rows more values and makes the slice of the column's kind non-nil.
func (c *Column) grow(rows int) {
	switch {
	case c.Kind.numeric():
		c.Floats = append(make([]float64, 0, len(c.Floats)+rows), c.Floats...)
	case c.Kind.coded():
		c.Codes = append(make([]int32, 0, len(c.Codes)+rows), c.Codes...)
	default:
		c.Times = append(make([]int64, 0, len(c.Times)+rows), c.Times...)
	}
}

// appendNulls appends n nulls.
func (c *Column) appendNulls(n int) {
	for range n {
		switch {
		case c.Kind.numeric():
			c.Floats = append(c.Floats, math.NaN())
		case c.Kind.coded():
			c.Codes = append(c.Codes, NullCode)
		default:
			c.Times = append(c.Times, NullTime)
		}
	}
}
