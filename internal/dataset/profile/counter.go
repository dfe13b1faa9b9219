package profile

import (
	"math/bits"
	"slices"
)

// counter is a sketch that is being filled, in an open-addressing table of its buckets that is at most half full, with
// the registers of its distinct numbers once the sketch no longer tells them apart.
type counter struct {
	limits    limits
	shift     uint
	used      int
	slots     []slot // a power of 2
	to        uint   // a hash shifted right by this is a slot
	registers []byte // nil at shift 0
}

type slot struct {
	bucket uint64
	count  int64
}

const (
	// noBucket marks an empty slot: it is no finite number's key at any shift.
	noBucket = ^uint64(0)
	// startSlots is how many slots a counter begins with: most columns of categories and flags need no more.
	startSlots = 128
	// spread is 2^64 by the golden ratio (Knuth's multiplicative hashing).
	spread = 0x9e3779b97f4a7c15
)

func newCounter(l limits) *counter {
	c := &counter{limits: l}
	c.clear(startSlots)
	return c
}

// slotsFor is how many slots a table of that many buckets, and one more, has.
func slotsFor(buckets int) int { return 1 << bits.Len(uint(2*buckets+1)) }

// clear empties the table and gives it that many slots.
func (c *counter) clear(slots int) {
	if len(c.slots) != slots {
		c.slots = make([]slot, slots)
	}
	for i := range c.slots {
		c.slots[i] = slot{bucket: noBucket}
	}
	c.to = uint(keyBits - bits.Len(uint(slots-1)))
	c.used = 0
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

// fill counts keys until one of them changed the table's size or shift, and says how many it took.
func (c *counter) fill(keys []uint64) int {
	slots := c.slots
	mask := uint64(len(slots) - 1)
	shift, to := c.shift&(keyBits-1), c.to&(keyBits-1)
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
				if c.used++; c.used > c.limits.buckets || 2*c.used > len(slots) {
					c.makeRoom()
					return n + 1
				}
				break
			}
			i++
		}
	}
	return len(keys)
}

// makeRoom enlarges the table, or where the limit is passed raises the shift.
func (c *counter) makeRoom() {
	s := c.sketch()
	if by := shiftWithin(s.buckets, c.limits.buckets); by > 0 {
		if c.registers == nil {
			c.registers = make([]byte, 1<<c.limits.precision)
			enterKeys(c.registers, s.buckets)
		}
		s.coarsen(by)
		c.shift = s.shift
	}
	c.clear(slotsFor(min(2*c.used, c.limits.buckets)))
	mask := uint64(len(c.slots) - 1)
	for n, bucket := range s.buckets {
		i := bucket * spread >> c.to
		for ; c.slots[i&mask].bucket != noBucket; i++ {
		}
		c.slots[i&mask] = slot{bucket: bucket, count: s.counts[n]}
	}
	c.used = len(s.buckets)
}

// sketch is what was counted.
func (c *counter) sketch() sketch {
	found := make([]slot, 0, c.used)
	for _, s := range c.slots {
		if s.bucket != noBucket {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b slot) int {
		if a.bucket < b.bucket {
			return -1
		}
		return 1
	})
	s := sketch{shift: c.shift, buckets: make([]uint64, len(found)), counts: make([]int64, len(found))}
	for i, f := range found {
		s.buckets[i], s.counts[i] = f.bucket, f.count
	}
	return s
}
