package expect

import (
	"cmp"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// smallest keeps the values that come first in their order, so that which are shown doesn't depend on chance.
type smallest struct {
	values []any
	at     []spill.Row
}

func (s *smallest) add(v any, g spill.Group) {
	i, _ := slices.BinarySearchFunc(s.values, v, compare)
	if i == suite.PartialCount {
		return
	}
	s.values = slices.Insert(s.values, i, v)
	s.values = s.values[:min(len(s.values), suite.PartialCount)]
	s.at = spill.Keep(s.at, spill.Row{Number: g.First}, suite.PartialCount)
}

// rows are the first rows of the values that were added.
func (s *smallest) rows() []int64 {
	out := make([]int64, len(s.at))
	for i, r := range s.at {
		out[i] = r.Number
	}
	return out
}

// compare orders values of one column.
func compare(a, b any) int {
	switch a := a.(type) {
	case string:
		other, _ := b.(string)
		return cmp.Compare(a, other)
	case float64:
		other, _ := b.(float64)
		return cmp.Compare(a, other)
	case bool:
		other, _ := b.(bool)
		switch {
		case a == other:
			return 0
		case a:
			return 1
		}
		return -1
	}
	return 0
}
