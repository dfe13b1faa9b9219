package drift

import (
	"cmp"
	"math"
	"slices"
)

// WorstFirst is a copy of the columns in the order in which people should look at them: drifted ones first, then by how
// far the statistic, or the missing share's, is beyond its threshold, then by PSI, then by name.
func WorstFirst(columns []ColumnResult) []ColumnResult {
	out := slices.Clone(columns)
	slices.SortFunc(out, func(a, b ColumnResult) int {
		return cmp.Or(
			cmp.Compare(rank(b), rank(a)),
			cmp.Compare(b.severity(), a.severity()),
			cmp.Compare(b.PSI, a.PSI),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return out
}

func rank(c ColumnResult) int {
	if c.counts() {
		return 1
	}
	return 0
}

// severity is 1 at the threshold and more beyond it.
func (c ColumnResult) severity() float64 {
	values := 0.0
	if c.Method != "" {
		values = beyond(c.Statistic, c.PValue, c.Threshold)
	}
	return max(values, beyond(c.Missing.Statistic, c.Missing.PValue, c.Missing.Threshold))
}

// beyond is how far a distance is over its threshold, or a p-value under it, the latter in orders of magnitude.
func beyond(statistic float64, p *float64, threshold float64) float64 {
	if p == nil {
		return statistic / threshold
	}
	return math.Log(*p) / math.Log(threshold)
}
