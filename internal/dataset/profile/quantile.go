package profile

import (
	"math"
	"sort"
)

// Quantile is the value below which the share q, from 0 to 1, of the numbers lies: numpy.quantile's linear one, to the
// bit, where the column is Exact. Else it is between the least and the greatest number of the bucket that the exact one
// is in; a bucket of shift s is narrower than 2^(s-52) of its numbers. NaN without a number.
func (c *Column) Quantile(q float64) float64 {
	if c.Numbers == nil || math.IsNaN(q) {
		return math.NaN()
	}
	return linear(c.Count, min(max(q, 0), 1), c.ranked())
}

// ranked gives the number at a rank from 0, of ascending numbers. Within a bucket numbers are taken as evenly spread.
func (c *Column) ranked() func(rank int64) float64 {
	through := make([]int64, len(c.sketch.counts)) // numbers up to each bucket's end
	var n int64
	for i, count := range c.sketch.counts {
		n += count
		through[i] = n
	}
	low, high := keyOf(c.Numbers.Min), keyOf(c.Numbers.Max)
	return func(rank int64) float64 {
		switch rank { // the outer two are known
		case 0:
			return c.Numbers.Min
		case c.Count - 1:
			return c.Numbers.Max
		}
		i := sort.Search(len(through), func(i int) bool { return through[i] > rank })
		least, greatest := bounds(c.sketch.buckets[i], c.sketch.shift, low, high)
		if least == greatest {
			return least
		}
		count := c.sketch.counts[i]
		share := (float64(rank-(through[i]-count)) + 0.5) / float64(count)
		return min(max(between(least, greatest, share), least), greatest)
	}
}

// linear is NumPy's linear quantile, to the bit, of n ascending numbers: it interpolates from the nearer of the two
// ranks around. The conversions keep compilers from fusing a multiplication with an addition, which rounds differently.
func linear(n int64, q float64, ranked func(rank int64) float64) float64 {
	at := float64(float64(n-1) * q)
	low := int64(at)
	if low >= n-1 {
		return ranked(n - 1)
	}
	return between(ranked(low), ranked(low+1), at-float64(low))
}

// between is the number at a share of the way from a to b.
func between(a, b, share float64) float64 {
	gap := b - a
	switch {
	case math.IsInf(gap, 0): // halves of the range of a float64 apart
		return float64(a*(1-share)) + float64(b*share)
	case share >= 0.5:
		return b - float64(gap*(1-share))
	}
	return a + float64(gap*share)
}
