package expect

import (
	"cmp"
	"fmt"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// pairs compares two columns row by row.
type pairs struct {
	tally
	a, b int
}

func newPairs(rule suite.Rule, at []int, columns []Column, keep int) (*pairs, error) {
	a, b := columns[at[0]], columns[at[1]]
	if storageOf(a.Type) != storageOf(b.Type) {
		return nil, fmt.Errorf("column %s is %s and column %s is %s: they can't be compared", a.Name, a.Type, b.Name, b.Type)
	}
	return &pairs{tally: tally{rule: rule, keep: keep}, a: at[0], b: at[1]}, nil
}

func (p *pairs) rows(b *Batch, keep []bool) error {
	first, second := &b.Columns[p.a], &b.Columns[p.b]
	for row := range b.Rows {
		if keep != nil && !keep[row] {
			continue
		}
		p.elements++
		nullA, nullB := first.null(row), second.null(row)
		if (p.rule.Ignore == "both_values_are_missing" && nullA && nullB) || (p.rule.Ignore == "either_value_is_missing" && (nullA || nullB)) {
			p.missing++
			continue
		}
		if nullA || nullB || !p.good(order(first, second, row)) {
			p.note(b.First+int64(row), func() any { return []any{first.value(row), second.value(row)} })
		}
	}
	return nil
}

// good judges the order of a row's two values.
func (p *pairs) good(order int) bool {
	if p.rule.Type == "expect_column_pair_values_to_be_equal" {
		return order == 0
	}
	return order > 0 || (order == 0 && p.rule.OrEqual)
}

// order compares two values of one storage.
func order(a, b *Column, row int) int {
	switch storageOf(a.Type) {
	case codes:
		return cmp.Compare(a.Dict[a.Codes[row]], b.Dict[b.Codes[row]])
	case times:
		return cmp.Compare(a.Times[row], b.Times[row])
	}
	return cmp.Compare(a.Floats[row], b.Floats[row])
}

func (p *pairs) finish(f *Finding) error { return p.tally.finish(f) }
func (p *pairs) close() error            { return nil }
