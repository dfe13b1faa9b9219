package drift

import (
	"math"
	"slices"
	"sort"
)

const (
	// maxValueBins is the number of distinct values of both samples together up to which each value is a bin.
	maxValueBins = 20
	// quantileBins is the number of bins between the reference's quantiles.
	quantileBins = 10
)

// shares are the share of each bin in either sample.
func (p pair) shares() (ref, cur []float64) {
	var upper []float64 // upper edge of every bin but the last, which is open; a value on an edge is in the lower bin
	if p.distinct <= maxValueBins {
		upper = p.values()
		upper = upper[:len(upper)-1]
	} else {
		upper = deciles(p.ref)
	}
	return binned(p.ref, upper), binned(p.cur, upper)
}

// values are the distinct values of both samples, sorted.
func (p pair) values() []float64 {
	out := make([]float64, 0, p.distinct)
	for i, j := 0, 0; i < len(p.ref) || j < len(p.cur); {
		var value float64
		if j == len(p.cur) || (i < len(p.ref) && p.ref[i] < p.cur[j]) {
			value = p.ref[i]
		} else {
			value = p.cur[j]
		}
		out = append(out, value)
		i += upTo(p.ref[i:], value)
		j += upTo(p.cur[j:], value)
	}
	return out
}

// deciles are the inner edges of the bins: the sorted reference's quantiles 0, 0.1 ... 1 without duplicates, less the
// outer two.
func deciles(ref []float64) []float64 {
	edges := make([]float64, 0, quantileBins+1)
	for i := range quantileBins + 1 {
		edges = append(edges, quantile(ref, float64(i)*(1.0/quantileBins)))
	}
	return inner(edges)
}

// inner drops duplicates and the outer two of ascending edges.
func inner(edges []float64) []float64 {
	edges = slices.Compact(edges)
	return edges[1:max(1, len(edges)-1)]
}

// quantile is NumPy's linear quantile to the bit, since values lie on these edges: it interpolates from the nearer
// end. The conversions keep compilers from fusing a multiplication with an addition, which rounds differently.
func quantile(sorted []float64, q float64) float64 {
	return quantileOf(len(sorted), q, func(rank int) float64 { return sorted[rank] })
}

// quantileOf is quantile of n values, given by their ranks from 0.
func quantileOf(n int, q float64, ranked func(int) float64) float64 {
	at := float64(float64(n-1) * q)
	low := int(at)
	if low >= n-1 {
		return ranked(n - 1)
	}
	share := at - float64(low)
	a, b := ranked(low), ranked(low+1)
	gap := b - a
	switch {
	case math.IsInf(gap, 0): // too far apart for a float64
		return float64(a*(1-share)) + float64(b*share)
	case share >= 0.5:
		return b - float64(gap*(1-share))
	}
	return a + float64(gap*share)
}

// binned is the share of sorted values in each bin.
func binned(sorted, upper []float64) []float64 {
	out := make([]float64, 0, len(upper)+1)
	below := 0
	for _, edge := range upper {
		n := upTo(sorted[below:], edge)
		out = append(out, float64(n)/float64(len(sorted)))
		below += n
	}
	return append(out, float64(len(sorted)-below)/float64(len(sorted)))
}

// upTo is how many sorted values are at most the edge.
func upTo(sorted []float64, edge float64) int {
	return sort.Search(len(sorted), func(i int) bool { return sorted[i] > edge })
}
