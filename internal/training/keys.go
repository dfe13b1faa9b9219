package training

import (
	"math"
	"slices"
)

// keyOf maps a float32 that isn't NaN to a number in the same order; both zeros have one key.
func keyOf(v float32) uint32 {
	bits := math.Float32bits(v + 0) // -0 + 0 is 0
	return bits ^ (uint32(int32(bits)>>31) | 1<<31)
}

// valueOf is the float32 of a key.
func valueOf(key uint32) float32 {
	return math.Float32frombits(key ^ (^uint32(int32(key)>>31) | 1<<31))
}

// radixBits is how many bits of a key a pass sorts by; three passes are all.
const radixBits = 11

// sortKeys sorts keys, by digits where there are many. It uses spare, which has to be as long.
func sortKeys(keys, spare []uint32) {
	if len(keys) < 1<<radixBits {
		slices.Sort(keys)
		return
	}
	const mask = 1<<radixBits - 1
	var counts [3][1 << radixBits]int32
	for _, k := range keys {
		counts[0][k&mask]++
		counts[1][k>>radixBits&mask]++
		counts[2][k>>(2*radixBits)]++
	}
	from, to := keys, spare[:len(keys)]
	for pass := range counts {
		next, count := int32(0), &counts[pass]
		for digit, n := range count {
			count[digit], next = next, next+n
		}
		for _, k := range from {
			digit := k >> (pass * radixBits) & mask
			to[count[digit]] = k
			count[digit]++
		}
		from, to = to, from
	}
	copy(keys, from) // three passes end in spare
}

// cutTable finds the bin of a value: a feature's cuts as keys, padded with the greatest, so that a search is eight
// steps without a branch to miss.
type cutTable [256]uint32

func newCutTable(cuts []float32) *cutTable {
	t := &cutTable{}
	for i := range t {
		t[i] = math.MaxUint32
		if i < len(cuts) {
			t[i] = keyOf(cuts[i])
		}
	}
	return t
}

// bin counts the cuts that are at most v, which isn't NaN. A difference's sign says which half goes on.
func (t *cutTable) bin(v float32) uint8 {
	after, bin := uint64(keyOf(v))+1, uint64(0)
	for bit := 7; bit >= 0; bit-- {
		bin |= (uint64(t[uint8(bin+1<<bit-1)]) - after) >> 63 << bit
	}
	return uint8(bin)
}
