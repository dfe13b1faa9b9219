package dataset

import "github.com/leanloop/leanloop/internal/spec"

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
