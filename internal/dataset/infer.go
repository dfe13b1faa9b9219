package dataset

import (
	"cmp"
	"math"
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// InferContract is the contract that a data set is held to when its owner wrote none: that the columns of its first
// file are there, with values of their types. It pins what should never change without a person noticing and no
// more: any column may have nulls, new ones are ignored, ranges and values are left to drift, and an integer is
// declared a number, since a month of whole degrees says nothing about the next.
func InferContract(t *Table) spec.Contract { return ContractOf(rulesOf(t)) }

// ContractOf is InferContract from what a scan found: Info.Columns.
func ContractOf(columns []spec.ColumnRule) spec.Contract {
	c := spec.Contract{Columns: make([]spec.ColumnRule, len(columns))}
	for i, column := range columns {
		kind := column.Type
		if kind == Integer.String() {
			kind = Number.String()
		}
		c.Columns[i] = spec.ColumnRule{Name: column.Name, Type: kind, Nullable: true}
	}
	return c
}

// Describe is what the columns of one table show, as narrowly as they show it: whether there are nulls, whether no value
// repeats, the range of numbers, the values of categories. Numbers that are all whole are integers: pandas writes 1.0
// where a column has nulls. It is for guessing what columns mean. As a contract it would refuse the next month.
func Describe(t *Table) []spec.ColumnRule {
	rules := make([]spec.ColumnRule, len(t.Columns))
	for i := range t.Columns {
		c := &t.Columns[i]
		kind := c.Kind
		if kind == Number && holds(Integer, c) {
			kind = Integer
		}
		nulls := c.Nulls()
		rules[i] = spec.ColumnRule{Name: c.Name, Type: kind.String(), Nullable: nulls > 0}
		seen := c.seen()
		rules[i].Unique = nulls == 0 && c.Len() > 1 && seen.distinct == c.Len()
		if seen.low <= seen.high && kind != Boolean {
			rules[i].Min, rules[i].Max = &seen.low, &seen.high
		}
		if kind == Category && seen.distinct <= maxCategories {
			rules[i].Values = seen.names
		}
	}
	return rules
}

// seen is what values of a column there are.
type seen struct {
	distinct  int
	low, high float64  // of numbers; high < low: none
	names     []string // of categories and text, sorted
}

// seen looks at every value.
func (c *Column) seen() seen {
	s := seen{low: math.Inf(1), high: math.Inf(-1)}
	switch {
	case c.Kind.coded():
		taken := make([]bool, len(c.Dict))
		for _, code := range c.Codes {
			if code >= 0 && !taken[code] {
				taken[code] = true
				s.names = append(s.names, c.Dict[code])
			}
		}
		slices.Sort(s.names)
		s.distinct = len(s.names)
	case c.Kind == Timestamp:
		s.distinct = len(sortedSet(slices.DeleteFunc(slices.Clone(c.Times), func(at int64) bool { return at == NullTime })))
	default:
		numbers := sortedSet(slices.DeleteFunc(slices.Clone(c.Floats), math.IsNaN))
		if s.distinct = len(numbers); s.distinct > 0 {
			s.low, s.high = numbers[0], numbers[s.distinct-1]
		}
	}
	return s
}

// sortedSet sorts values and drops those that repeat.
func sortedSet[T cmp.Ordered](values []T) []T {
	slices.Sort(values)
	return slices.Compact(values)
}
