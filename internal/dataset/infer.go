package dataset

import (
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// InferContract is the contract that a data set is held to when its owner wrote none: that the columns of its first
// file are there, with values of their types. It pins what should never change without a person noticing and no
// more: any column may have nulls, new ones are ignored, ranges and values are left to drift, and an integer is
// declared a number, since a month of whole degrees says nothing about the next.
func InferContract(t *Table) spec.Contract {
	c := spec.Contract{Columns: make([]spec.ColumnRule, len(t.Columns))}
	for i := range t.Columns {
		kind := t.Columns[i].Kind
		if kind == Integer {
			kind = Number
		}
		c.Columns[i] = spec.ColumnRule{Name: t.Columns[i].Name, Type: kind.String(), Nullable: true}
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
		profile := profileColumn(c, ProfileOptions{Top: maxCategories})
		rules[i].Unique = nulls == 0 && c.Len() > 1 && profile.Distinct == c.Len()
		if n := profile.Numbers; n != nil && kind != Boolean {
			rules[i].Min, rules[i].Max = &n.Min, &n.Max
		}
		if kind == Category {
			for _, v := range profile.Top {
				rules[i].Values = append(rules[i].Values, v.Value)
			}
			slices.Sort(rules[i].Values)
		}
	}
	return rules
}
