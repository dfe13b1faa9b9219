package expect

import (
	"cmp"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// match sets keep for each row: whether the condition holds there. A null is unequal to everything, and neither less nor
// greater than anything, as in pandas.
func match(c *suite.Condition, b *Batch, keep []bool) {
	switch c.Op {
	case "and", "or":
		match(&c.Parts[0], b, keep)
		part := make([]bool, b.Rows)
		for i := range c.Parts[1:] {
			match(&c.Parts[i+1], b, part)
			for row := range keep {
				if c.Op == "and" {
					keep[row] = keep[row] && part[row]
				} else {
					keep[row] = keep[row] || part[row]
				}
			}
		}
		return
	}
	column := b.column(c.Column)
	compare := comparison(c, column)
	for row := range keep {
		null := column.null(row)
		switch {
		case c.Op == "null":
			keep[row] = null
		case c.Op == "not_null":
			keep[row] = !null
		case null:
			keep[row] = c.Op == "!=" || c.Op == "not_in"
		default:
			keep[row] = compare(row)
		}
	}
}

// column finds a column that the runner made sure of.
func (b *Batch) column(name string) *Column {
	i := slices.IndexFunc(b.Columns, func(c Column) bool { return c.Name == name })
	return &b.Columns[i]
}

// comparison is the condition's test of a row whose value isn't null.
func comparison(c *suite.Condition, column *Column) func(row int) bool {
	if c.Op == "in" || c.Op == "not_in" || c.Op == "==" || c.Op == "!=" {
		in := member(column, newSet(c.Values))
		want := c.Op == "in" || c.Op == "=="
		return func(row int) bool { return in(row) == want }
	}
	if len(c.Values) == 0 {
		return func(int) bool { return false }
	}
	v := c.Values[0]
	ordered := func(order int) bool {
		switch c.Op {
		case "<":
			return order < 0
		case "<=":
			return order <= 0
		case ">":
			return order > 0
		}
		return order >= 0
	}
	switch storageOf(column.Type) {
	case codes:
		return func(row int) bool { return ordered(cmp.Compare(column.Dict[column.Codes[row]], v.String())) }
	case times:
		limit, ok := v.Time()
		return func(row int) bool { return ok && ordered(cmp.Compare(column.Times[row], limit)) }
	}
	limit, ok := v.Float()
	return func(row int) bool { return ok && ordered(cmp.Compare(column.Floats[row], limit)) }
}

// set is a set of values, as the cells of each kind of column have them.
type set struct {
	values []suite.Value
	texts  map[string]int // and the value's number
	floats map[float64]int
	times  map[int64]int
}

func newSet(values []suite.Value) *set {
	s := &set{values: values, texts: map[string]int{}, floats: map[float64]int{}, times: map[int64]int{}}
	for i, v := range values {
		if _, known := s.texts[v.String()]; !known {
			s.texts[v.String()] = i
		}
		if f, ok := v.Float(); ok {
			if _, known := s.floats[f]; !known {
				s.floats[f] = i
			}
		}
		if at, ok := v.Time(); ok {
			if _, known := s.times[at]; !known {
				s.times[at] = i
			}
		}
	}
	return s
}

// find is which value of the set the row has; its value isn't null.
func (s *set) find(c *Column, row int) (int, bool) {
	var i int
	var ok bool
	switch storageOf(c.Type) {
	case codes:
		i, ok = s.texts[c.Dict[c.Codes[row]]]
	case times:
		i, ok = s.times[c.Times[row]]
	default:
		i, ok = s.floats[c.Floats[row]]
	}
	return i, ok
}

// member is a test of rows for being in the set. Each value of a dictionary is looked up once.
func member(c *Column, s *set) func(row int) bool {
	if storageOf(c.Type) == codes {
		return perValue(c, func(text string) bool {
			_, ok := s.texts[text]
			return ok
		})
	}
	return func(row int) bool {
		_, ok := s.find(c, row)
		return ok
	}
}

// perValue is a test of rows by their text, that asks once for each value of a dictionary.
func perValue(c *Column, test func(text string) bool) func(row int) bool {
	if storageOf(c.Type) != codes {
		return func(row int) bool { return test(c.text(row)) }
	}
	const unknown, no, yes = 0, 1, 2
	verdicts := make([]uint8, len(c.Dict))
	return func(row int) bool {
		code := c.Codes[row]
		if verdicts[code] == unknown {
			verdicts[code] = no
			if test(c.Dict[code]) {
				verdicts[code] = yes
			}
		}
		return verdicts[code] == yes
	}
}
