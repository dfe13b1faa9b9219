package profile

import (
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset"
)

// Buckets are the column's numbers, ascending: its distinct values where the column is Exact, else ranges. None for
// categories and text.
func (c *Column) Buckets() []Bucket {
	if c.Numbers == nil {
		return nil
	}
	low, high := keyOf(c.Numbers.Min), keyOf(c.Numbers.Max)
	out := make([]Bucket, len(c.sketch.buckets))
	for i, bucket := range c.sketch.buckets {
		least, greatest := bounds(bucket, c.sketch.shift, low, high)
		out[i] = Bucket{Low: least, High: greatest, Count: c.sketch.counts[i]}
	}
	return out
}

// PairBucket is a range of numbers and how many of each of two columns are in it.
type PairBucket struct {
	Low, High float64 // both inclusive; equal: that value
	A, B      int64
}

// Pair are the numbers of two columns in common buckets, ascending, as fine as both sketches allow. Both empirical
// distribution functions are exact at the bounds between them.
func Pair(a, b *Column) []PairBucket {
	if a.Numbers == nil && b.Numbers == nil {
		return nil
	}
	low, high := highestKey(), lowestKey()
	for _, c := range []*Column{a, b} {
		if c.Numbers != nil {
			low, high = min(low, keyOf(c.Numbers.Min)), max(high, keyOf(c.Numbers.Max))
		}
	}
	shift := max(a.sketch.shift, b.sketch.shift)
	out := make([]PairBucket, 0, max(len(a.sketch.buckets), len(b.sketch.buckets)))
	eachBucket(a.sketch.at(shift), b.sketch.at(shift), func(bucket uint64, x, y int64) {
		least, greatest := bounds(bucket, shift, low, high)
		out = append(out, PairBucket{Low: least, High: greatest, A: x, B: y})
	})
	return out
}

// Resolution is the greatest share of the values that is in one bucket that may hold several values: by so much at most
// a distribution function read from Buckets is off anywhere. 0 where the column is Exact.
func (c *Column) Resolution() float64 {
	var most int64
	for _, b := range c.Buckets() {
		if b.Low != b.High {
			most = max(most, b.Count)
		}
	}
	if most == 0 {
		return 0
	}
	return float64(most) / float64(c.Count)
}

// Values are how many rows have each value; false where there are more than were counted. Numbers are written in their
// shortest decimal form, booleans as false and true.
func (c *Column) Values() (map[string]int64, bool) {
	if !c.Exact() {
		return nil, false
	}
	out := make(map[string]int64, max(len(c.values), len(c.sketch.buckets)))
	for _, v := range c.all() {
		out[v.Value] += v.Count
	}
	return out, true
}

// all are the values of an exact column, numbers ascending, categories by name.
func (c *Column) all() []ValueCount {
	if !c.numeric() {
		return c.values
	}
	out := make([]ValueCount, len(c.sketch.buckets))
	for i, key := range c.sketch.buckets {
		out[i] = ValueCount{Value: c.label(numberOf(key)), Count: c.sketch.counts[i]}
	}
	return out
}

// label is a number as a value.
func (c *Column) label(x float64) string {
	if c.Kind == dataset.Boolean.String() {
		return strconv.FormatBool(x != 0)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
