package dataset

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// interner gives the distinct values of a column in one chunk their codes, in order of first appearance, and keeps the
// strings from chunk to chunk, so that a value that comes again costs no allocation.
type interner struct {
	table  []interned // open addressing; its length is a power of two
	count  int
	bytes  int    // in strings
	chunk  uint32 // the current one's number
	used   int    // distinct values of it
	fresh  int    // those of them that the table didn't have
	factor uint64 // odd, at random: nobody can write a file whose values collide
	seed   maphash.Seed
}

// interned is a value. An entry whose hash is 0 is free.
type interned struct {
	hash  uint64
	chunk uint32 // in which code counts
	code  int32
	value string
}

func newInterner() *interner {
	return &interner{table: make([]interned, 8), factor: rand.Uint64() | 1, seed: maphash.MakeSeed()}
}

// begin starts a chunk. Where most values of the last one were new, those of the next will be too, and the table is
// emptied instead of growing.
func (n *interner) begin() {
	if n.count > 1<<10 && 2*n.fresh > n.used {
		n.forget(len(n.table))
	}
	n.chunk++
	n.used, n.fresh = 0, 0
}

// hash is never 0. Short values are the most frequent, and one multiplication.
func (n *interner) hash(cell []byte) uint64 {
	if len(cell) > 8 {
		return maphash.Bytes(n.seed, cell) | 1
	}
	var w uint64
	for i := len(cell) - 1; i >= 0; i-- {
		w = w<<8 | uint64(cell[i])
	}
	return n.hashWord(w, len(cell))
}

// hashWord is hash for a value of at most eight bytes, the first in w's lowest byte and zeros behind the last.
func (n *interner) hashWord(w uint64, length int) uint64 {
	high, low := bits.Mul64(w^uint64(length)<<59, n.factor)
	return (high ^ low) | 1
}

// code is the code of a cell in this chunk, whose values so far are dict.
func (n *interner) code(cell []byte, hash uint64, dict *[]string) int32 {
	mask := uint64(len(n.table) - 1)
	for i := hash >> 20 & mask; ; i = (i + 1) & mask {
		e := &n.table[i]
		if e.hash == hash && e.value == string(cell) {
			if e.chunk != n.chunk {
				n.used++
				e.chunk, e.code = n.chunk, int32(len(*dict))
				*dict = append(*dict, e.value)
			}
			return e.code
		}
		if e.hash == 0 {
			return n.add(cell, hash, dict)
		}
	}
}

// add is code for a value that isn't in the table.
func (n *interner) add(cell []byte, hash uint64, dict *[]string) int32 {
	if 2*n.count >= len(n.table) {
		n.grow()
	}
	code := int32(len(*dict))
	e := interned{hash: hash, chunk: n.chunk, code: code, value: string(cell)}
	*dict = append(*dict, e.value)
	n.insert(e)
	n.count++
	n.used++
	n.fresh++
	n.bytes += len(cell)
	return code
}

// insert puts an entry that the table doesn't have into its first free place.
func (n *interner) insert(e interned) {
	mask := uint64(len(n.table) - 1)
	i := e.hash >> 20 & mask
	for n.table[i].hash != 0 {
		i = (i + 1) & mask
	}
	n.table[i] = e
}

func (n *interner) grow() {
	old := n.table
	n.table = make([]interned, 4*len(old))
	for _, e := range old {
		if e.hash != 0 {
			n.insert(e)
		}
	}
}

// forget drops all strings; large tables with them.
func (n *interner) forget(keep int) {
	if len(n.table) > keep {
		n.table = make([]interned, 8)
	} else {
		clear(n.table)
	}
	n.count, n.bytes = 0, 0
}
