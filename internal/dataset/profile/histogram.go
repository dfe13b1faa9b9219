package profile

import (
	"math"

	"github.com/leanloop/leanloop/internal/dataset"
)

// tailShare is the share of either column's values at each end that a histogram doesn't give room to: one outlier would
// leave all others in one bar.
const tailShare = 0.005

// Histograms count two columns of numbers between n+1 or fewer common, ascending edges, to be drawn: at most n bars of
// one width, a[i] and b[i] between edges[i] and edges[i+1]. The outer bars also count what lies beyond them. Where both
// columns together have at most n distinct values each has a bar of its own. Bars of integers hold the same number of
// integers each. Within a bucket that reaches into two bars values are taken as evenly spread. cur may be nil.
func Histograms(ref, cur *Column, n int) (edges []float64, a, b []int64) {
	if cur == nil {
		cur = &Column{Kind: ref.Kind}
	}
	pairs := Pair(ref, cur)
	if len(pairs) == 0 || n < 1 {
		return nil, nil, nil
	}
	switch {
	case len(pairs) <= n && ref.Exact() && cur.Exact():
		edges = edgesAround(pairs)
	default:
		low, high := drawnRange(ref, cur)
		if isInteger(ref) && isInteger(cur) && low > -halvable && high < halvable {
			edges = integerEdges(math.Floor(low), math.Ceil(high), n)
		} else {
			edges = evenEdges(low, high, n)
		}
	}
	a, b = countBetween(edges, pairs)
	return edges, a, b
}

// isInteger reports whether the column's values are whole numbers, or none.
func isInteger(c *Column) bool { return c.Kind == dataset.Integer.String() || c.Numbers == nil }

// drawnRange is from the least to the greatest number, less the tails.
func drawnRange(ref, cur *Column) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range []*Column{ref, cur} {
		if c.Numbers != nil {
			low, high = min(low, c.Quantile(tailShare)), max(high, c.Quantile(1-tailShare))
		}
	}
	if low < high {
		return low, high
	}
	for _, c := range []*Column{ref, cur} { // nearly all values are one
		if c.Numbers != nil {
			low, high = min(low, c.Numbers.Min), max(high, c.Numbers.Max)
		}
	}
	return low, high
}

// evenEdges cut a range into n parts of one width, as far as floats tell them apart.
func evenEdges(low, high float64, n int) []float64 {
	edges := []float64{low}
	for i := 1; i < n; i++ {
		if edge := between(low, high, float64(i)/float64(n)); edge > edges[len(edges)-1] && edge < high {
			edges = append(edges, edge)
		}
	}
	return append(edges, high)
}

// halvable bounds the numbers that have halves between them.
const halvable = 1 << 51

// integerEdges lie halfway between integers.
func integerEdges(low, high float64, n int) []float64 {
	width := max(1, math.Ceil((high-low+1)/float64(n)))
	edges := []float64{low - 0.5}
	for edges[len(edges)-1] < high {
		edges = append(edges, low-0.5+width*float64(len(edges)))
	}
	return edges
}

// edgesAround lie halfway between single values.
func edgesAround(values []PairBucket) []float64 {
	first, last := values[0].Low, values[len(values)-1].Low
	if len(values) == 1 {
		half := max(0.5, math.Abs(first)/2)
		return []float64{max(first-half, -math.MaxFloat64), min(first+half, math.MaxFloat64)}
	}
	edges := make([]float64, 0, len(values)+1)
	edges = append(edges, first)
	for i := 1; i < len(values); i++ {
		edge := between(values[i-1].Low, values[i].Low, 0.5)
		if edge >= values[i].Low { // neighbouring floats
			edge = values[i-1].Low
		}
		edges = append(edges, edge)
	}
	edges = append(edges, last)
	edges[0] = max(first-(edges[1]-first), -math.MaxFloat64)
	edges[len(values)] = min(last+(last-edges[len(values)-1]), math.MaxFloat64)
	return edges
}

// countBetween counts buckets between edges. A value on an edge is in the lower bar.
func countBetween(edges []float64, pairs []PairBucket) (a, b []int64) {
	bars := len(edges) - 1
	a, b = make([]int64, bars), make([]int64, bars)
	bar := 0
	for _, p := range pairs {
		var tookA, tookB int64
		for bar < bars-1 && p.High > edges[bar+1] {
			if p.Low <= edges[bar+1] {
				share := portion(p, edges[bar+1])
				nowA, nowB := int64(share*float64(p.A)), int64(share*float64(p.B))
				a[bar] += nowA - tookA
				b[bar] += nowB - tookB
				tookA, tookB = nowA, nowB
			}
			bar++
		}
		a[bar] += p.A - tookA
		b[bar] += p.B - tookB
	}
	return a, b
}

// portion is the share of a bucket up to an edge within it.
func portion(p PairBucket, edge float64) float64 {
	width := p.High - p.Low
	if math.IsInf(width, 0) {
		return (edge/2 - p.Low/2) / (p.High/2 - p.Low/2)
	}
	return (edge - p.Low) / width
}
