package profile

import "math"

// keyBits is how wide a key is.
const keyBits = 64

// keyOf maps finite numbers to integers of the same order. Minus zero is zero.
func keyOf(x float64) uint64 {
	b := math.Float64bits(x + 0)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// numberOf is the inverse of keyOf.
func numberOf(key uint64) float64 {
	if key>>63 == 1 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}

// lowestKey and highestKey are the keys of the finite numbers furthest from zero: any key outside is of an infinity or
// of no number.
func lowestKey() uint64  { return keyOf(-math.MaxFloat64) }
func highestKey() uint64 { return keyOf(math.MaxFloat64) }
