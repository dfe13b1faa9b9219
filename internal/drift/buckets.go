package drift

import (
	"math"
	"math/bits"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// buckets are both samples of a numeric column as profiles hold them: numbers in common ranges, of which those of a
// single value are exact. At the bounds between ranges both distribution functions are known exactly; within one they
// may differ by as much as its counts allow, and that is the error.
type buckets struct {
	ref, cur       *profile.Column
	pairs          []profile.PairBucket
	perRef, perCur int64 // a value's step of the distribution functions, in units of 1/lcm of both sizes
	p, q           []float64
}

// steps are the steps of two distribution functions of n and m values in units of 1/lcm(n, m); false where these units
// are too many for an int64.
func steps(n, m int64) (perRef, perCur int64, ok bool) {
	divisor := n
	for rest := m; rest != 0; {
		divisor, rest = rest, divisor%rest
	}
	perRef, perCur = m/divisor, n/divisor
	high, low := bits.Mul64(uint64(n), uint64(perRef))
	return perRef, perCur, high == 0 && low <= math.MaxInt64/4
}

// exact reports whether every bucket is a single value.
func (b *buckets) exact() bool { return b.ref.Exact() && b.cur.Exact() }

func (b *buckets) few() int {
	if !b.exact() {
		return maxValueBins + 1 // a profile that doesn't hold every value has seen many more
	}
	return min(len(b.pairs), maxValueBins+1)
}

func (b *buckets) counts() (ref, cur Counts) {
	ref, cur = Counts{}, Counts{}
	for _, pair := range b.pairs {
		name := label(dataset.Number, pair.Low)
		if pair.A > 0 {
			ref[name] += pair.A
		}
		if pair.B > 0 {
			cur[name] += pair.B
		}
	}
	return ref, cur
}

func (b *buckets) shares() (p, q []float64) { return b.p, b.q }

// bin finds the shares, and says what isn't as exact as it could be.
func (b *buckets) bin() (problem string) {
	if b.few() <= maxValueBins {
		for _, pair := range b.pairs {
			b.p = append(b.p, float64(pair.A)/float64(b.ref.Count))
			b.q = append(b.q, float64(pair.B)/float64(b.cur.Count))
		}
		return ""
	}
	edges, counts := b.edges()
	b.p = over(counts, b.ref.Count)
	switch {
	case b.cur.Bins != nil && slices.Equal(b.cur.Bins.Edges, edges) && len(b.cur.Bins.Values) == 0:
		b.q = over(b.cur.Bins.Counts, b.cur.Count)
	default:
		b.q = over(binBuckets(b.cur.Buckets(), edges), b.cur.Count)
		if !b.cur.Exact() {
			problem = "the current profile wasn't made against the reference: psi and js are from buckets, like ks and wasserstein, and have no bound of their error"
		}
	}
	return problem
}

// edges are the inner edges of the reference's bins, and its counts.
func (b *buckets) edges() (edges []float64, counts []int64) {
	bins := b.ref.Bins
	if bins != nil && !bins.Borrowed {
		return bins.Edges, bins.Counts
	}
	for i := range quantileBins + 1 { // a reference that was itself counted into another's bins
		edges = append(edges, b.ref.Quantile(float64(i)*(1.0/quantileBins)))
	}
	edges = inner(edges)
	return edges, binBuckets(b.ref.Buckets(), edges)
}

// binBuckets counts buckets between edges, each by its middle.
func binBuckets(buckets []profile.Bucket, edges []float64) []int64 {
	counts := make([]int64, len(edges)+1)
	i := 0
	for _, bucket := range buckets {
		for i < len(edges) && middle(bucket) > edges[i] {
			i++
		}
		counts[i] += bucket.Count
	}
	return counts
}

// middle is a bucket's only value, or what stands for its values.
func middle(b profile.Bucket) float64 {
	if b.Low == b.High {
		return b.Low
	}
	return b.Low/2 + b.High/2
}

func over(counts []int64, total int64) []float64 {
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = float64(n) / float64(total)
	}
	return out
}

// ks is the greatest difference that is certain: what the functions show where they are known. The true one is greater
// by at most bound, and the p-value is that of the smaller statistic, so that it is never less than the true one: drift
// is certain, and a p-value over the limit is not.
func (b *buckets) ks() (statistic, p, bound float64) {
	var difference, least, most int64
	for _, pair := range b.pairs {
		if pair.Low != pair.High {
			most = max(most, difference+pair.A*b.perRef, -(difference - pair.B*b.perCur))
		}
		difference += pair.A*b.perRef - pair.B*b.perCur
		least = max(least, difference, -difference)
	}
	most = max(most, least)
	lcm := b.ref.Count * b.perRef
	statistic, p = ksOf(int(b.ref.Count), int(b.cur.Count), least, lcm)
	return statistic, p, float64(most-least) / float64(lcm)
}

// wasserstein is exact between buckets. Within one the difference of the functions moves from its value at one end to
// that at the other by steps at places that aren't known: it is taken to be their mean throughout.
func (b *buckets) wasserstein() (distance, bound float64) {
	area, bound := b.area(1)
	unit := max(b.deviation(1), minDeviation)
	if math.IsInf(area, 0) || math.IsInf(unit, 0) { // as pair.huge
		largest := max(-b.pairs[0].Low, b.pairs[len(b.pairs)-1].High)
		area, bound = b.area(largest)
		unit = max(b.deviation(largest), math.SmallestNonzeroFloat64)
	}
	return min(area/unit, math.MaxFloat64), min(bound/unit, math.MaxFloat64)
}

func (b *buckets) byChance() bool {
	runs, below := b.ref.Buckets(), int64(0)
	spans := spansOf(int(b.ref.Count), func(rank int) float64 { // ascending
		for below+runs[0].Count <= int64(rank) {
			below, runs = below+runs[0].Count, runs[1:]
		}
		return middle(runs[0])
	})
	area, _ := b.area(1)
	return distanceByChance(spans, float64(b.ref.Count), float64(b.cur.Count), area)
}

// area is the integral of the absolute difference of the distribution functions of the numbers over largest.
func (b *buckets) area(largest float64) (area, bound float64) {
	var difference int64
	previous := b.pairs[0].Low / largest
	for _, pair := range b.pairs {
		low, high := pair.Low/largest, pair.High/largest
		area += float64(max(difference, -difference)) * (low - previous)
		previous = high
		before := difference
		difference += pair.A*b.perRef - pair.B*b.perCur
		if low == high {
			continue
		}
		lowest, highest := before-pair.B*b.perCur, before+pair.A*b.perRef
		most, least := max(-lowest, highest), max(lowest, -highest, 0)
		mean := (math.Abs(float64(before)) + math.Abs(float64(difference))) / 2
		area += mean * (high - low)
		bound += max(float64(most)-mean, mean-float64(least)) * (high - low)
	}
	lcm := float64(b.ref.Count * b.perRef)
	return area / lcm, bound / lcm
}

// deviation is the reference's standard deviation, with largest as the unit.
func (b *buckets) deviation(largest float64) float64 {
	if largest == 1 && !b.ref.Exact() {
		if b.ref.Numbers.Std == math.MaxFloat64 { // it overflowed
			return math.Inf(1)
		}
		return b.ref.Numbers.Std
	}
	n, mean := float64(b.ref.Count), 0.0
	runs := b.ref.Buckets()
	for _, r := range runs {
		for range r.Count { // as deviation sums them up, to the bit
			mean += middle(r) / largest / n
		}
	}
	squares, rest := 0.0, 0.0
	for _, r := range runs {
		d := middle(r)/largest - mean
		for range r.Count {
			squares += d * d
			rest += d
		}
	}
	if math.IsInf(squares, 0) {
		return squares
	}
	return math.Sqrt(max(squares-rest*rest/n, 0) / n)
}
