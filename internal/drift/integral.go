package drift

import (
	"math"
	"math/bits"
)

// wide is a whole number of 128 bits.
type wide struct{ high, low uint64 }

// addProduct adds a*b.
func (w *wide) addProduct(a, b uint64) {
	high, low := bits.Mul64(a, b)
	var carry uint64
	w.low, carry = bits.Add64(w.low, low, 0)
	w.high, _ = bits.Add64(w.high, high, carry)
}

// add adds another one.
func (w *wide) add(o wide) {
	var carry uint64
	w.low, carry = bits.Add64(w.low, o.low, 0)
	w.high, _ = bits.Add64(w.high, o.high, carry)
}

// minus is the difference from a smaller one.
func (w wide) minus(o wide) wide {
	low, borrow := bits.Sub64(w.low, o.low, 0)
	high, _ := bits.Sub64(w.high, o.high, borrow)
	return wide{high, low}
}

func (w wide) float() float64 { return float64(w.high)*0x1p64 + float64(w.low) }

const (
	binadeBits = 52
	binades    = 1 << 12
)

// integral is the integral of a step function with whole values over finite numbers, exact until it is read: between
// two powers of two numbers are evenly spaced, so there it is a whole number of spacings. Hence it doesn't depend on the
// order or the grouping of what is added.
type integral struct {
	sums        [binades]wide
	least, most int // binades that aren't empty
}

func (s *integral) reset() {
	if s.least <= s.most {
		clear(s.sums[s.least : s.most+1])
	}
	s.least, s.most = binades, -1
}

// positionOf is a key as the number of floats from zero: even spacing holds between multiples of 2^52 on both sides.
func positionOf(key uint64) int64 {
	p := int64(key ^ 1<<63)
	if p < 0 {
		p++ // minus zero has a key of its own, and no place
	}
	return p
}

// constant adds the function's height over the numbers from one position to a later one.
func (s *integral) constant(height uint64, from, to int64) {
	if height == 0 {
		return
	}
	for from>>binadeBits != to>>binadeBits {
		end := (from>>binadeBits + 1) << binadeBits
		s.binade(from).addProduct(height, uint64(end-from))
		from = end
	}
	s.binade(from).addProduct(height, uint64(to-from))
}

// binade is the sum of the binade that starts at or before a position.
func (s *integral) binade(position int64) *wide {
	i := int(position>>binadeBits) + binades/2
	s.least, s.most = min(s.least, i), max(s.most, i)
	return &s.sums[i]
}

// value is the integral.
func (s *integral) value() float64 {
	total := 0.0
	for i := s.least; i <= s.most; i++ {
		exponent := i - binades/2
		if exponent < 0 {
			exponent = -exponent - 1
		}
		total += math.Ldexp(s.sums[i].float(), max(exponent, 1)-1075)
	}
	return total
}
