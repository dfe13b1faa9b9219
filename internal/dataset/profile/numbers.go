package profile

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
)

// block is how many numbers are worked on at once: they and what is derived from them stay in a core's L1 cache.
const block = 1024

// scratch is what one worker works in.
type scratch struct {
	numbers [block]float64
	keys    [block]uint64
}

// numberBuilder sums up a column of numbers.
type numberBuilder struct {
	rows      int64
	low, high uint64 // keys of the least and the greatest number; high < low: none yet
	moments   moments
	counter   *counter
	oldest    int64 // of instants, in Unix nanoseconds; newest < oldest: none yet
	newest    int64
	reference *Bins
	edges     []uint64 // keys of the reference's
	binned    []int64  // numbers by how many edges are below them
}

// newNumberBuilder counts between the edges of the reference, where there is one.
func newNumberBuilder(l limits, reference *Bins) *numberBuilder {
	b := &numberBuilder{low: highestKey(), high: lowestKey(), counter: newCounter(l),
		oldest: math.MaxInt64, newest: math.MinInt64, reference: reference}
	if reference != nil {
		b.edges, b.binned = edgeKeys(reference.Edges), make([]int64, len(reference.Edges)+1)
	}
	return b
}

// add takes the values of more rows.
func (b *numberBuilder) add(c *dataset.Column, s *scratch) {
	b.rows += int64(c.Len())
	for times := range slices.Chunk(c.Times, block) {
		b.block(b.seconds(times, s), s)
	}
	for numbers := range slices.Chunk(c.Floats, block) {
		b.block(numbers, s)
	}
}

// seconds are instants as seconds since 1970, in s. Nulls are left out.
func (b *numberBuilder) seconds(times []int64, s *scratch) []float64 {
	n := 0
	for _, t := range times {
		if t != dataset.NullTime {
			b.oldest, b.newest = min(b.oldest, t), max(b.newest, t)
			s.numbers[n] = float64(t) / 1e9
			n++
		}
	}
	return s.numbers[:n]
}

// instant is a time in Unix nanoseconds.
func instant(ns int64) *time.Time {
	t := time.Unix(0, ns).UTC()
	return &t
}

// block takes at most block numbers, which may be those in s.
func (b *numberBuilder) block(numbers []float64, s *scratch) {
	keys := s.keys[:len(numbers)]
	low, high := fillKeys(keys, numbers)
	if low < lowestKey() || high > highestKey() {
		n := 0
		for _, x := range numbers {
			if x-x == 0 { // neither infinite nor no number
				s.numbers[n] = x
				n++
			}
		}
		numbers, keys = s.numbers[:n], s.keys[:n]
		low, high = fillKeys(keys, numbers)
	}
	if len(numbers) == 0 {
		return
	}
	b.low, b.high = min(b.low, low), max(b.high, high)
	b.counter.add(keys)
	b.moments = b.moments.merge(momentsOf(numbers, numberOf(low), numberOf(high), s))
	if b.binned != nil {
		for _, key := range keys {
			b.binned[below(b.edges, key)]++
		}
	}
}

// below is how many edges are less than the key: without a branch that half of the numbers would mislead.
func below(edges []uint64, key uint64) uint64 {
	var n uint64
	for _, edge := range edges {
		_, less := bits.Sub64(edge, key, 0)
		n += less
	}
	return n
}

// fillKeys maps numbers to their keys and gives the least and the greatest.
func fillKeys(keys []uint64, numbers []float64) (low, high uint64) {
	low, high = math.MaxUint64, 0
	keys = keys[:len(numbers)]
	for i, x := range numbers {
		k := keyOf(x)
		keys[i] = k
		low, high = min(low, k), max(high, k)
	}
	return low, high
}
