package profile

import (
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// Of is the profile of a table that is in memory: that of a Builder, but with quantiles, and bins of its own, exact to
// the bit in every column. Merge falls back to what the sketches tell of them.
func Of(t *dataset.Table, o Options) (*Profile, error) {
	b := NewBuilder(o)
	rules := make([]spec.ColumnRule, len(t.Columns))
	for i := range t.Columns {
		rules[i] = spec.ColumnRule{Name: t.Columns[i].Name, Type: t.Columns[i].Kind.String()}
	}
	if err := b.Begin(rules); err != nil {
		return nil, err
	}
	if err := b.Add(t); err != nil {
		return nil, err
	}
	p, err := b.Profile()
	if err != nil {
		return nil, err
	}
	b.each(t.Rows*len(t.Columns), func(i int, s *scratch) {
		if c := &p.Columns[i]; c.numeric() && !c.Exact() {
			c.refine(&t.Columns[i], s)
		}
	})
	return p, nil
}

// refine replaces what the sketch tells of quantiles and bins by what the numbers tell. Only the numbers of the buckets
// that a wanted rank is in are looked at closely, which is much faster than sorting all.
func (c *Column) refine(from *dataset.Column, s *scratch) {
	deciles := make([]float64, 0, binCount+1)
	for i := range binCount + 1 {
		deciles = append(deciles, float64(i)*(1.0/binCount))
	}
	ranked := c.ranks(from, s, slices.Concat(deciles, QuantileShares()))
	for i, share := range QuantileShares() {
		c.Numbers.Quantiles[i] = linear(c.Count, share, ranked)
	}
	if c.Bins.Borrowed {
		return
	}
	for i, share := range deciles {
		deciles[i] = linear(c.Count, share, ranked)
	}
	c.Bins = &Bins{Edges: innerEdges(deciles), Exact: true}
	c.Bins.Counts = make([]int64, len(c.Bins.Edges)+1)
	edges := newEdgeKeys(c.Bins.Edges)
	eachBlock(from, s, func(keys []uint64) {
		for _, key := range keys {
			c.Bins.Counts[edges.below(key)]++
		}
	})
}

// ranks gives the number at any rank that linear asks for at one of the shares.
func (c *Column) ranks(from *dataset.Column, s *scratch, shares []float64) func(rank int64) float64 {
	wanted := map[int64]float64{}
	for _, share := range shares {
		linear(c.Count, share, func(rank int64) float64 { wanted[rank] = 0; return 0 })
	}
	order := make([]int64, 0, len(wanted))
	for rank := range wanted {
		order = append(order, rank)
	}
	slices.Sort(order)
	// The buckets that hold a wanted rank, and how many numbers are before each.
	var buckets []uint64
	var before []int64
	i, through := -1, int64(0)
	for _, rank := range order {
		for through <= rank {
			i++
			through += c.sketch.counts[i]
		}
		if bucket := c.sketch.buckets[i]; len(buckets) == 0 || buckets[len(buckets)-1] != bucket {
			buckets, before = append(buckets, bucket), append(before, through-c.sketch.counts[i])
		}
	}
	found := c.collect(from, s, buckets)
	for _, rank := range order {
		at, exact := slices.BinarySearch(before, rank)
		if !exact {
			at--
		}
		wanted[rank] = numberOf(found[at][rank-before[at]])
	}
	return func(rank int64) float64 { return wanted[rank] }
}

// collect are the sorted keys of the numbers in each of the ascending buckets.
func (c *Column) collect(from *dataset.Column, s *scratch, buckets []uint64) [][]uint64 {
	found := make([][]uint64, len(buckets))
	shift := c.sketch.shift
	const filterBits = 12
	var filter [1 << filterBits]bool // by hash: most numbers aren't looked up
	for _, bucket := range buckets {
		filter[bucket*spread>>(keyBits-filterBits)] = true
	}
	eachBlock(from, s, func(keys []uint64) {
		for _, key := range keys {
			bucket := key >> shift
			if !filter[bucket*spread>>(keyBits-filterBits)] {
				continue
			}
			if at, ok := slices.BinarySearch(buckets, bucket); ok {
				found[at] = append(found[at], key)
			}
		}
	})
	for _, keys := range found {
		slices.Sort(keys)
	}
	return found
}

// eachBlock gives the keys of a column's numbers, a block at a time.
func eachBlock(from *dataset.Column, s *scratch, do func(keys []uint64)) {
	for times := range slices.Chunk(from.Times, block) {
		n := 0
		for _, t := range times {
			if t != dataset.NullTime {
				s.keys[n] = keyOf(float64(t) / 1e9)
				n++
			}
		}
		do(s.keys[:n])
	}
	for numbers := range slices.Chunk(from.Floats, block) {
		n := 0
		for _, x := range numbers {
			if x-x == 0 { // neither infinite nor no number
				s.keys[n] = keyOf(x)
				n++
			}
		}
		do(s.keys[:n])
	}
}
