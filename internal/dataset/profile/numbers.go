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
	edges     *edgeKeys // the reference's
	binned    []int64   // numbers by how many edges are below them
}

// newNumberBuilder counts between the edges of the reference, where there is one.
func newNumberBuilder(l limits, reference *Bins) *numberBuilder {
	b := &numberBuilder{low: highestKey(), high: lowestKey(), counter: newCounter(l),
		oldest: math.MaxInt64, newest: math.MinInt64, reference: reference}
	if reference != nil {
		b.edges, b.binned = newEdgeKeys(reference.Edges), make([]int64, len(reference.Edges)+1)
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
		numbers, low, high = s.compact(numbers)
		keys = s.keys[:len(numbers)]
	}
	if len(numbers) == 0 {
		return
	}
	b.low, b.high = min(b.low, low), max(b.high, high)
	b.counter.add(keys)
	b.moments = b.moments.merge(momentsOf(numbers, numberOf(low), numberOf(high), s))
	if b.binned != nil {
		for _, key := range keys {
			b.binned[b.edges.below(key)]++
		}
	}
}

// compact drops the nulls and infinities from numbers, whose keys are in s, and from those keys; it moves every number, as
// a branch on where the nulls are would be mispredicted.
func (s *scratch) compact(numbers []float64) (left []float64, low, high uint64) {
	n := uint64(0)
	low, high = math.MaxUint64, 0
	for i, x := range numbers {
		k := s.keys[i]
		s.numbers[n%block], s.keys[n%block] = x, k
		_, out := bits.Sub64(highestKey()-lowestKey(), k-lowestKey(), 0)
		n += 1 - out
		low, high = min(low, k|-out), max(high, k&(out-1))
	}
	return s.numbers[:n], low, high
}

// edgeKeys are the keys of bins' edges, ascending, and then keys beyond all numbers.
type edgeKeys [16]uint64

func newEdgeKeys(edges []float64) *edgeKeys {
	var e edgeKeys
	for i := range e {
		e[i] = math.MaxUint64
		if i < len(edges) {
			e[i] = keyOf(edges[i])
		}
	}
	return &e
}

// below is how many edges are less than the key: a binary search without a branch, which half of the numbers would
// mislead.
func (e *edgeKeys) below(key uint64) uint64 {
	_, less := bits.Sub64(e[7], key, 0)
	n := less * 8
	_, less = bits.Sub64(e[(n+3)%16], key, 0)
	n += less * 4
	_, less = bits.Sub64(e[(n+1)%16], key, 0)
	n += less * 2
	_, less = bits.Sub64(e[n%16], key, 0)
	return n + less
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
