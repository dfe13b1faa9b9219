package drift

import (
	"math"
	"math/bits"
	"slices"
)

// keyOf maps finite numbers to integers of the same order, minus zero to that of zero.
func keyOf(x float64) uint64 {
	b := math.Float64bits(x + 0)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// valueOf is the inverse of keyOf.
func valueOf(key uint64) float64 {
	if key>>63 == 1 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}

const (
	cellBits = 12
	cells    = 1 << cellBits
	// sampleSize is how many numbers say where buckets are to be narrow.
	sampleSize = 4096
	// noBucket is no bucket: numbers of buckets have 16 bits.
	noBucket = 1<<16 - 1
	// perBucket is about how many numbers of one side a bucket is to have: fewer, and the buckets don't stay in the
	// cache; more, and more of them have to be sorted.
	perBucket = 32
	// layoutBuckets is what the sample divides among the cells: each share is rounded up to a power of 2, and a cell that
	// the sample does not touch has a bucket too, so that they stay under noBucket.
	layoutBuckets = 28_000
)

// layout maps keys to numbered buckets of ascending ranges: cells of one width, divided into buckets where the numbers
// are dense. A cell is at most 2^52 keys wide and starts at a multiple of its width, so numbers within one are a linear
// function of their keys. The first and the last cell also take what lies outside all of them, and are linear in nothing.
//
// Which layout it is changes the time that a comparison takes, and no bit of its result.
type layout struct {
	shift   uint   // a cell's width is 1 << shift
	first   uint64 // key >> shift of the first cell
	cells   [cells]uint32
	start   []uint64 // first key of each bucket
	narrow  []uint8  // a bucket's width is 1 << narrow
	samples []uint64
	counts  [cells]int32
}

// plan lays buckets out for two samples.
func (l *layout) plan(ref, cur []float64) {
	l.samples = l.samples[:0]
	for _, side := range [][]float64{ref, cur} {
		step := max(1, len(side)/(sampleSize/2))
		for i := 0; i < len(side); i += step {
			if x := side[i]; x-x == 0 {
				l.samples = append(l.samples, keyOf(x))
			}
		}
	}
	if len(l.samples) == 0 {
		l.samples = append(l.samples, keyOf(0))
	}
	low, high := slices.Min(l.samples), slices.Max(l.samples)
	l.shift = uint(min(max(0, bits.Len64(high-low)-(cellBits-1)), binadeBits))
	const margin = cells / 8
	l.first = max(low>>l.shift, margin) - margin
	l.counts = [cells]int32{}
	for _, key := range l.samples {
		l.counts[l.cell(key)]++
	}
	target := min(layoutBuckets, (len(ref)+len(cur))/(2*perBucket))
	l.start, l.narrow = l.start[:0], l.narrow[:0]
	for c := range cells {
		divide := uint(0)
		if c > 0 && c < cells-1 && l.counts[c] > 0 {
			wanted := int(l.counts[c]) * target / len(l.samples)
			divide = min(uint(bits.Len(uint(wanted))), l.shift)
		}
		narrow := l.shift - divide
		l.cells[c] = uint32(len(l.start))<<6 | uint32(narrow)
		begin := (l.first + uint64(c)) << l.shift
		for b := range uint64(1) << divide {
			l.start = append(l.start, begin+b<<narrow)
			l.narrow = append(l.narrow, uint8(narrow))
		}
	}
}

// cell is the number of the cell that a key falls into.
func (l *layout) cell(key uint64) uint64 {
	return min(max(key>>l.shift, l.first)-l.first, cells-1)
}

// bucket is the number of the bucket that a key falls into.
func (l *layout) bucket(key uint64) uint64 {
	cell := l.cells[l.cell(key)]
	return uint64(cell>>6) + key&(1<<l.shift-1)>>(cell&63)
}

// linear reports whether the bucket has nothing but the keys of its own range.
func (l *layout) linear(bucket int) bool { return bucket > 0 && bucket < len(l.start)-1 }

// load is what one side has in a bucket.
type load struct {
	n   uint64
	sum uint64 // of keys, modulo 2^64
	or  uint64 // of keys
}

// offsets are the sum, and the bitwise or, of the distances of a bucket's keys from its start; false where the sum may
// be beyond 64 bits.
func (t *load) offsets(start uint64, narrow uint8) (sum, or uint64, ok bool) {
	return t.sum - t.n*start, t.or & (1<<narrow - 1), bits.Len64(t.n)+int(narrow) <= 63
}

// count loads numbers in buckets, notes the bucket of each in ids, and gives the number of those that aren't finite,
// which are in none. It is the one loop that sees every number, so it does without what it can.
func (l *layout) count(numbers []float64, loads []load, ids []uint16) (missing int) {
	shift, first, within := l.shift&63, l.first, uint64(1)<<(l.shift&63)-1
	table := &l.cells
	ids = ids[:len(numbers)]
	for i, x := range numbers {
		if x-x != 0 {
			missing++
			ids[i] = noBucket
			continue
		}
		b := math.Float64bits(x + 0)
		key := b ^ (uint64(int64(b)>>63) | 1<<63)
		c := min(max(key>>shift, first)-first, cells-1)
		cell := table[c]
		bucket := uint64(cell>>6) + (key&within)>>(cell&63)
		if bucket >= uint64(len(loads)) {
			continue // never: it lets the compiler drop its own check
		}
		ids[i] = uint16(bucket)
		t := &loads[bucket]
		t.n++
		t.sum += key
		t.or |= key
	}
	return missing
}
