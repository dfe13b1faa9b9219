package profile

import (
	"math/bits"
	"slices"
)

// counter is a sketch that is being filled, in an open-addressing table of its buckets, with the registers of its
// distinct numbers once the sketch no longer tells them apart.
//
// Once it is coarse it takes some more buckets than the sketch is allowed, so that it is made coarser seldom and then
// by much. Its shift is never greater than the sketch's is in the end.
type counter struct {
	limits    limits
	shift     uint
	used      int
	slots     []slot // a power of 2
	spare     []slot // what is moved while the table is rebuilt
	registers []byte // nil at shift 0
}

type slot struct {
	bucket uint64
	count  int64
}

const (
	// noBucket marks an empty slot: it is no finite number's at any shift.
	noBucket = ^uint64(0)
	// fewestSlots is how many slots a counter begins with: most flags and codes need no more.
	fewestSlots = 128
	// spread is 2^64 by the golden ratio (Knuth's multiplicative hashing).
	spread = 0x9e3779b97f4a7c15
)

func newCounter(l limits) *counter {
	c := &counter{limits: l}
	c.clear(fewestSlots)
	return c
}

// clear empties the counter and gives it that many slots.
func (c *counter) clear(slots int) {
	if len(c.slots) != slots {
		c.slots = make([]slot, slots)
	}
	for i := range c.slots {
		c.slots[i] = slot{bucket: noBucket}
	}
	c.used = 0
}

// most is how many buckets the counter takes.
func (c *counter) most() int {
	if c.shift == 0 {
		return c.limits.buckets
	}
	return c.limits.buckets + c.limits.buckets/4
}

// add counts keys.
func (c *counter) add(keys []uint64) {
	for rest := keys; len(rest) > 0; {
		rest = rest[c.fill(rest):]
	}
	if c.registers != nil {
		enterKeys(c.registers, keys)
	}
}

// fill counts keys until the table has changed, and says how many it took.
func (c *counter) fill(keys []uint64) int {
	slots := c.slots
	mask := uint64(len(slots) - 1)
	shift, to := c.shift&(keyBits-1), (keyBits-uint(bits.Len64(mask)))&(keyBits-1) // bounded, for the compiler's shifts
	for n, key := range keys {
		bucket := key >> shift
		i := bucket * spread >> to
		for {
			s := &slots[i&mask]
			if s.bucket == bucket {
				s.count++
				break
			}
			if s.bucket == noBucket {
				*s = slot{bucket: bucket, count: 1}
				c.used++
				if c.makeRoom() {
					return n + 1
				}
				break
			}
			i++
		}
	}
	return len(keys)
}

// makeRoom reports whether the table was full, and has become larger or its shift greater.
func (c *counter) makeRoom() bool {
	switch {
	case c.used > c.most() && c.shift == 0:
		keys := c.buckets()
		c.registers = make([]byte, 1<<c.limits.precision)
		enterKeys(c.registers, keys)
		c.rebuild(len(c.slots), shiftWithin(keys, c.limits.buckets))
	case c.used > c.most():
		for c.used > c.limits.buckets { // two steps at most, as a rule: less than sorting
			c.rebuild(len(c.slots), 1)
		}
	case 3*c.used > 2*len(c.slots): // a smaller table, searched twice now and then, beats one that leaves the cache
		c.rebuild(4*len(c.slots), 0)
	default:
		return false
	}
	return true
}

// rebuild moves the counts to a table of that many slots.
func (c *counter) rebuild(slots int, by uint) {
	c.spare = c.spare[:0]
	for _, s := range c.slots {
		if s.bucket != noBucket {
			c.spare = append(c.spare, slot{bucket: s.bucket >> by, count: s.count})
		}
	}
	c.clear(slots)
	c.shift += by
	for _, s := range c.spare {
		to := c.find(s.bucket)
		if to.bucket == noBucket {
			c.used++
			to.bucket = s.bucket
		}
		to.count += s.count
	}
}

// find is the bucket's slot, or the empty one that it would take.
func (c *counter) find(bucket uint64) *slot {
	mask := uint64(len(c.slots) - 1)
	i := bucket * spread >> (keyBits - uint(bits.Len64(mask))) & mask
	for c.slots[i].bucket != bucket && c.slots[i].bucket != noBucket {
		i = (i + 1) & mask
	}
	return &c.slots[i]
}

// buckets are those that aren't empty, ascending.
func (c *counter) buckets() []uint64 {
	out := make([]uint64, 0, c.used)
	for _, s := range c.slots {
		if s.bucket != noBucket {
			out = append(out, s.bucket)
		}
	}
	slices.Sort(out)
	return out
}

// sketch is what was counted, and the registers where it doesn't tell its numbers apart.
func (c *counter) sketch() (sketch, []byte) {
	s := sketch{shift: c.shift, buckets: c.buckets()}
	s.counts = make([]int64, len(s.buckets))
	for i, bucket := range s.buckets {
		s.counts[i] = c.find(bucket).count
	}
	s.fit(c.limits.buckets)
	return s, slices.Clone(c.registers)
}
