package profile

import (
	"slices"
	"sort"
)

// binCount is the number of bins between deciles.
const binCount = 10

// ownBins are the bins at the column's own deciles; nil without a number. A value on an edge is in the lower bin.
//
// Where every value is known the edges are NumPy's linear quantiles at 0, 0.1 ... 1, without duplicates and without the
// outer two. Else each is the end of the bucket that the decile is in, so that the counts are exact all the same.
func (c *Column) ownBins() *Bins {
	if c.Bins != nil && !c.Bins.Borrowed {
		return c.Bins
	}
	if c.Numbers == nil {
		return nil
	}
	deciles := make([]float64, 0, binCount+1)
	if c.Exact() {
		ranked := c.ranked()
		for i := range binCount + 1 {
			deciles = append(deciles, linear(c.Count, float64(i)*(1.0/binCount), ranked))
		}
	} else {
		deciles = c.bucketEnds(deciles)
	}
	return c.binsAt(deciles, c.Exact())
}

// bucketEnds are the ends of the buckets that the deciles are in. Like the deciles of values that repeat, those within
// the first bucket are the minimum, so that they are dropped with it.
func (c *Column) bucketEnds(deciles []float64) []float64 {
	low, high := keyOf(c.Numbers.Min), keyOf(c.Numbers.Max)
	bucket, through := 0, c.sketch.counts[0]
	for i := range binCount + 1 {
		rank := int64(float64(c.Count-1) * (float64(i) * (1.0 / binCount)))
		for through <= rank {
			bucket++
			through += c.sketch.counts[bucket]
		}
		end := c.Numbers.Min
		if bucket > 0 {
			_, end = bounds(c.sketch.buckets[bucket], c.sketch.shift, low, high)
		}
		deciles = append(deciles, end)
	}
	deciles[binCount] = c.Numbers.Max
	return deciles
}

// binsAt counts the sketch's numbers between ascending deciles, which no bucket may straddle.
func (c *Column) binsAt(deciles []float64, exact bool) *Bins {
	b := &Bins{Edges: innerEdges(deciles), Exact: exact}
	b.Counts = make([]int64, len(b.Edges)+1)
	low, high := keyOf(c.Numbers.Min), keyOf(c.Numbers.Max)
	for i, bucket := range c.sketch.buckets {
		_, greatest := bounds(bucket, c.sketch.shift, low, high)
		b.Counts[sort.SearchFloat64s(b.Edges, greatest)] += c.sketch.counts[i]
	}
	return b
}

// innerEdges are ascending deciles without duplicates, less the outer two.
func innerEdges(deciles []float64) []float64 {
	edges := slices.Compact(deciles)
	return edges[1:max(1, len(edges)-1)]
}
