package profile

import "math"

// keyBits is how wide a key is.
const keyBits = 64

// zeroKey is the key of zero, and of minus zero.
const zeroKey = 1 << 63

// keyOf maps finite numbers to integers of the same order: zeroKey plus the bits of a positive number, less those of a
// negative one's magnitude.
func keyOf(x float64) uint64 {
	b := math.Float64bits(x)
	negative := uint64(int64(b) >> 63) // all ones or none
	return ((b ^ negative) - negative) | (zeroKey &^ negative)
}

// numberOf is the inverse of keyOf.
func numberOf(key uint64) float64 {
	if key >= zeroKey {
		return math.Float64frombits(key - zeroKey)
	}
	return math.Float64frombits(-key)
}

// lowestKey and highestKey are the keys of the finite numbers furthest from zero: any key outside is of an infinity or
// of no number.
func lowestKey() uint64  { return keyOf(-math.MaxFloat64) }
func highestKey() uint64 { return keyOf(math.MaxFloat64) }
