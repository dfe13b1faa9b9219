package profile

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Registers are HyperLogLog's (P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, 2007), one byte each: the greatest
// position of the first set bit among the hashes of the register's values. They are a function of the set of values. The
// relative standard error of what they tell is 1.04 by the square root of their number.

// hashNumber is MurmurHash3's 64-bit finalizer (A. Appleby) of a number's key.
func hashNumber(key uint64) uint64 {
	key ^= key >> 33
	key *= 0xff51afd7ed558ccd
	key ^= key >> 33
	key *= 0xc4ceb9fe1a85ec53
	return key ^ key>>33
}

// hashText is MurmurHash64A (A. Appleby) with seed 0.
func hashText(s string) uint64 {
	const m, r = 0xc6a4a7935bd1e995, 47
	h := uint64(len(s)) * m
	var word [8]byte
	for len(s) >= 8 {
		copy(word[:], s)
		s = s[8:]
		k := binary.LittleEndian.Uint64(word[:]) * m
		k ^= k >> r
		h = (h ^ k*m) * m
	}
	if len(s) > 0 {
		word = [8]byte{}
		copy(word[:], s)
		h = (h ^ binary.LittleEndian.Uint64(word[:])) * m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}

// enterKeys counts numbers in.
func enterKeys(registers []byte, keys []uint64) {
	precision := bits.Len(uint(len(registers)-1)) & (keyBits - 1) // bounded, for the compiler's shifts
	index := (keyBits - precision) & (keyBits - 1)
	last := uint64(1) << (precision - 1) // ends the search where all bits of the hash are 0
	for _, key := range keys {
		h := hashNumber(key)
		position := byte(bits.LeadingZeros64(h<<precision|last) + 1)
		if i := h >> index; registers[i] < position {
			registers[i] = position
		}
	}
}

// enterText counts one text in.
func enterText(registers []byte, text string) {
	precision := bits.Len(uint(len(registers) - 1))
	h := hashText(text)
	position := byte(bits.LeadingZeros64(h<<precision|1<<(precision-1)) + 1)
	if i := h >> (keyBits - precision); registers[i] < position {
		registers[i] = position
	}
}

// estimate is the number of distinct values (O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
// arXiv:1702.01284, 2017, algorithm 6): without bias over the whole range, and without tables. The conversions keep
// compilers from fusing operations, so that every processor gives the same bits.
func estimate(registers []byte) float64 {
	precision := bits.Len(uint(len(registers) - 1))
	m, q := float64(len(registers)), keyBits-precision
	var count [keyBits + 2]float64
	for _, r := range registers {
		count[r]++
	}
	z := m * tau(1-count[q+1]/m)
	for k := q; k >= 1; k-- {
		z = 0.5 * (z + count[k])
	}
	z += float64(m * sigma(count[0]/m))
	return m * m / (2 * math.Ln2 * z)
}

// sigma is Ertl's, for registers that are zero.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for y, z := 1.0, x; ; {
		x *= x
		before := z
		z += float64(x * y)
		y += y
		if z == before {
			return z
		}
	}
}

// tau is Ertl's, for registers that are full.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	for y, z := 1.0, 1-x; ; {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z -= float64((1 - x) * (1 - x) * y)
		if z == before {
			return z / 3
		}
	}
}
