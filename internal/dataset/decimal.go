package dataset

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// Digits are read eight at a time: a little-endian word of text has its first character in its lowest byte. Both
// ideas are Daniel Lemire's ("Quickly parsing eight digits", "Number parsing at a gigabyte per second", 2021).
const (
	zeros     = 0x3030303030303030 // "00000000"
	aboveNine = 0x7676767676767676 // carries into a byte's highest bit from 10 on
	highBits  = 0x8080808080808080

	// exactInteger is how large an integer may be to be a float64, and so a mantissa that one division by a power of
	// ten, which is a float64 too up to 10^22, rounds correctly (W. D. Clinger, 1990).
	exactInteger = 1 << 53
)

// load is the eight bytes of b from at on. It doesn't look whether b has them: a parser reads no further than the line
// feed that ends its text, and at least padding bytes follow that.
func load(b []byte, at int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at))[:])
}

// at8 is b[at], as load reads it.
func at8(b []byte, at int) byte {
	return *(*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at))
}

// notDigits has, for the first byte of w that is no digit, its highest bit set, and none below. w is text ^ zeros.
func notDigits(w uint64) uint64 { return (w | (w + aboveNine)) & highBits }

// leading is how many digits come before the first bit of notDigits.
func leading(mask uint64) int { return bits.TrailingZeros64(mask) >> 3 }

// eight is the number that eight digits spell, as values in bytes, the first in the lowest.
func eight(d uint64) uint64 {
	const pairs = 0x000000FF000000FF
	d = d*10 + d>>8
	return ((d&pairs)*(100+1000000<<32) + (d>>16&pairs)*(1+10000<<32)) >> 32
}

// firstDigits is the number that the first n digits of d spell, n from 1 to 8.
func firstDigits(d uint64, n int) uint64 { return eight(d << (-8 * n & 63)) }

// upToSeven is the number that the first n digits of d spell, n from 0 to 7.
func upToSeven(d uint64, n int) uint64 { return eight(d << ((56 - 8*n) & 63) << 8) }

// tens are the powers of ten that are integers of 64 bits.
type tens [20]uint64

// tenPowers are the powers of ten that are exact float64s and fit a scan's fast path.
type tenPowers [20]float64

func powersOfTen() (integers tens, floats tenPowers) {
	p := uint64(1)
	for i := range integers {
		integers[i], floats[i] = p, float64(p)
		p *= 10
	}
	return integers, floats
}

// quotient is m / 10^k, correctly rounded. m isn't 0; k is at most 19.
//
// Both are shifted to 64 significant bits, so that the integer quotient has 63 or 64; whether a remainder is left
// goes to its lowest bit, far below the 53 that stay, and the conversion to float64 rounds half to even.
func quotient(m, power uint64) float64 {
	shift, shiftPower := bits.LeadingZeros64(m), bits.LeadingZeros64(power)
	m <<= shift
	q, rest := bits.Div64(m>>1, m<<63, power<<shiftPower)
	if rest != 0 {
		q |= 1
	}
	return float64(q) * math.Float64frombits(uint64(1023-63+shiftPower-shift)<<52)
}

// decimalText is a number in plain decimal notation: -?[0-9]+(.[0-9]*)?, at most 19 digits in all.
type decimalText struct {
	mantissa uint64
	fraction int // digits behind the point
	negative bool
	point    bool
	zero     bool // begins with a zero that another digit follows
	end      int  // where the text ends
}

// readDecimal reads a number at the start of b[at:]; ok is false where there is none, or one of more digits. b has
// eight bytes more than are text, and no digit follows the last.
func readDecimal(b []byte, at int, powers *tens) (d decimalText, ok bool) {
	if b[at] == '-' {
		d.negative = true
		at++
	}
	start := at
	m, n, ok := readDigits(b, at, 0, 0, powers)
	if !ok || n == 0 {
		return d, false
	}
	at += n
	d.zero = n > 1 && b[start] == '0'
	if b[at] == '.' {
		d.point = true
		at++
		all := n
		if m, all, ok = readDigits(b, at, m, n, powers); !ok {
			return d, false
		}
		d.fraction = all - n
		at += d.fraction
	}
	d.mantissa, d.end = m, at
	return d, true
}

// readDigits appends the digits at b[at:] to m, which has n. ok is false where they become more than 19.
func readDigits(b []byte, at int, m uint64, n int, powers *tens) (mantissa uint64, digits int, ok bool) {
	for {
		w := load(b, at) ^ zeros
		k := leading(notDigits(w))
		if n += k; n > 19 {
			return 0, n, false
		}
		if k < 8 {
			return m*powers[k] + upToSeven(w, k), n, true
		}
		m = m*powers[8] + eight(w)
		at += 8
	}
}

// value is the number, to the bit what strconv.ParseFloat gives.
func (d *decimalText) value(integers *tens, floats *tenPowers) float64 {
	v := 0.0
	if d.mantissa <= exactInteger {
		v = float64(d.mantissa) / floats[d.fraction]
	} else {
		v = quotient(d.mantissa, integers[d.fraction])
	}
	if d.negative {
		v = -v
	}
	return v
}
