package profile

import (
	"math/bits"
	"slices"
)

// sketch counts numbers by key >> shift, their bucket. The shift is the smallest one at which the buckets that aren't
// empty are at most the limit. Buckets of a greater shift are unions of those of a smaller one, so shift and counts
// depend on nothing but the numbers, whatever their order and however they were spread over shards. At shift 0 every
// bucket is one value.
type sketch struct {
	shift   uint
	buckets []uint64 // ascending
	counts  []int64
}

// fit coarsens as far as the limit asks.
func (s *sketch) fit(limit int) {
	if by := shiftWithin(s.buckets, limit); by > 0 {
		s.coarsen(by)
	}
}

// shiftWithin is the smallest shift that leaves at most limit of the ascending numbers different.
func shiftWithin(ascending []uint64, limit int) uint {
	if len(ascending) <= limit {
		return 0
	}
	// Two neighbours are different up to the shift by the length of what differs.
	var differ [keyBits + 1]int
	for i := 1; i < len(ascending); i++ {
		differ[bits.Len64(ascending[i]^ascending[i-1])]++
	}
	left := 1
	shift := uint(keyBits)
	for ; shift > 0 && left+differ[shift] <= limit; shift-- {
		left += differ[shift]
	}
	return shift
}

// coarsen raises the shift.
func (s *sketch) coarsen(by uint) {
	if by == 0 {
		return
	}
	s.shift += by
	n := 0
	for i, bucket := range s.buckets {
		bucket >>= by
		if n > 0 && s.buckets[n-1] == bucket {
			s.counts[n-1] += s.counts[i]
			continue
		}
		s.buckets[n], s.counts[n] = bucket, s.counts[i]
		n++
	}
	s.buckets, s.counts = s.buckets[:n], s.counts[:n]
}

// clone is a copy that may be changed.
func (s sketch) clone() sketch {
	s.buckets, s.counts = slices.Clone(s.buckets), slices.Clone(s.counts)
	return s
}

// at is a copy at a greater or the same shift.
func (s sketch) at(shift uint) sketch {
	out := s.clone()
	out.coarsen(shift - s.shift)
	return out
}

// merge is the sketch of both sketches' numbers.
func (s sketch) merge(o sketch, limit int) sketch {
	shift := max(s.shift, o.shift)
	a, b := s.at(shift), o.at(shift)
	out := sketch{shift: shift, buckets: make([]uint64, 0, len(a.buckets)+len(b.buckets)), counts: make([]int64, 0, len(a.buckets)+len(b.buckets))}
	eachBucket(a, b, func(bucket uint64, x, y int64) {
		out.buckets = append(out.buckets, bucket)
		out.counts = append(out.counts, x+y)
	})
	out.fit(limit)
	return out
}

// eachBucket goes through the buckets of two sketches of one shift, in order.
func eachBucket(a, b sketch, do func(bucket uint64, x, y int64)) {
	for i, j := 0, 0; i < len(a.buckets) || j < len(b.buckets); {
		switch {
		case j == len(b.buckets) || (i < len(a.buckets) && a.buckets[i] < b.buckets[j]):
			do(a.buckets[i], a.counts[i], 0)
			i++
		case i == len(a.buckets) || b.buckets[j] < a.buckets[i]:
			do(b.buckets[j], 0, b.counts[j])
			j++
		default:
			do(a.buckets[i], a.counts[i], b.counts[j])
			i++
			j++
		}
	}
}

// bounds are the least and the greatest number that fall into a bucket, as far as low and high allow, which are those
// of all numbers.
func bounds(bucket uint64, shift uint, low, high uint64) (least, greatest float64) {
	first, last := bucket<<shift, bucket<<shift|(1<<shift-1)
	return numberOf(max(first, low)), numberOf(min(last, high))
}
