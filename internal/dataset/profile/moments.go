package profile

import "math"

// moments are count, mean and sum of squared deviations of numbers, kept so that they merge without losing digits: the
// mean as the sum of two floats, and all of it scaled where squares would leave the range of a float64.
type moments struct {
	n         int64
	mean, low float64 // the mean is mean+low
	m2, m2low float64 // the sum of squared deviations from the mean is m2+m2low
	exponent  int     // mean and low are to be multiplied by 2^exponent, m2 and m2low by its square
}

// scaleStep is the exponent by which huge numbers are scaled down and tiny ones up.
const scaleStep = 600

// scaleOf is the exponent for numbers of at most that magnitude: chosen so that the squares of deviations, and their sum
// over any number of rows, neither overflow nor lose digits. Zeros go with the tiny, which they don't disturb.
func scaleOf(magnitude float64) int {
	switch {
	case magnitude > 0x1p480:
		return scaleStep
	case magnitude < 0x1p-400:
		return -scaleStep
	}
	return 0
}

// momentsOf sums up at most block numbers between low and high. Where they need scaling it works in s, where they may be.
//
// The deviations are summed a second time from the mean of the first (T. F. Chan, G. H. Golub, R. J. LeVeque,
// "Algorithms for computing the sample variance", The American Statistician 37, 1983, the corrected two-pass algorithm).
func momentsOf(values []float64, low, high float64, s *scratch) moments {
	m := moments{n: int64(len(values)), exponent: scaleOf(max(math.Abs(low), math.Abs(high)))}
	if low == high {
		m.mean = math.Ldexp(low, -m.exponent)
		return m
	}
	if m.exponent != 0 {
		for i, x := range values {
			s.numbers[i] = math.Ldexp(x, -m.exponent)
		}
		values = s.numbers[:len(values)]
	}
	n := float64(len(values))
	m.mean = sum(values) / n
	first, second := deviations(values, m.mean)
	m.m2 = max(second-first*first/n, 0)
	m.mean, m.low = twoSum(m.mean, first/n)
	return m
}

// sum adds in four lanes, which a processor works on at once.
func sum(values []float64) float64 {
	var a, b, c, d float64
	for len(values) >= 4 {
		v := values[:4:4]
		a += v[0]
		b += v[1]
		c += v[2]
		d += v[3]
		values = values[4:]
	}
	for _, x := range values {
		a += x
	}
	return (a + b) + (c + d)
}

// deviations are the sums of the differences from the centre and of their squares.
func deviations(values []float64, centre float64) (first, second float64) {
	var a, b, c, d, aa, bb, cc, dd float64
	for len(values) >= 4 {
		v := values[:4:4]
		p, q, r, s := v[0]-centre, v[1]-centre, v[2]-centre, v[3]-centre
		a += p
		b += q
		c += r
		d += s
		aa += p * p
		bb += q * q
		cc += r * r
		dd += s * s
		values = values[4:]
	}
	for _, x := range values {
		p := x - centre
		a += p
		aa += p * p
	}
	return (a + b) + (c + d), (aa + bb) + (cc + dd)
}

// twoSum is a+b and what rounding took from it (Knuth).
func twoSum(a, b float64) (sum, lost float64) {
	sum = a + b
	back := sum - a
	return sum, (a - (sum - back)) + (b - back)
}

// merge adds the moments of other numbers (Chan, Golub and LeVeque's parallel form).
func (m moments) merge(o moments) moments {
	if m.n < o.n {
		m, o = o, m // the mean moves by the lesser weight, which rounds less
	}
	if o.n == 0 {
		return m
	}
	exponent := max(m.exponent, o.exponent)
	m, o = m.scaled(exponent), o.scaled(exponent)
	n := float64(m.n) + float64(o.n)
	weight := float64(o.n) / n
	gap, lost := twoSum(o.mean, -m.mean)
	gap += lost + (o.low - m.low)
	out := moments{n: m.n + o.n, exponent: exponent}
	mean, low := twoSum(m.mean, gap*weight)
	out.mean, out.low = twoSum(mean, low+m.low)
	m2, m2low := twoSum(m.m2, o.m2)
	between, betweenLow := twoSum(m2, gap*gap*weight*float64(m.n))
	out.m2, out.m2low = twoSum(between, betweenLow+m2low+m.m2low+o.m2low)
	return out
}

// scaled is the same under another exponent.
func (m moments) scaled(exponent int) moments {
	if by := m.exponent - exponent; by != 0 {
		m.mean, m.low = math.Ldexp(m.mean, by), math.Ldexp(m.low, by)
		m.m2, m.m2low = math.Ldexp(m.m2, 2*by), math.Ldexp(m.m2low, 2*by)
		m.exponent = exponent
	}
	return m
}

// meanAndStd are of numbers between low and high.
func (m moments) meanAndStd(low, high float64) (mean, std float64) {
	mean = min(max(math.Ldexp(m.mean+m.low, m.exponent), low), high)
	std = math.Ldexp(math.Sqrt(max(m.m2+m.m2low, 0)/float64(m.n)), m.exponent)
	return mean, min(std, math.MaxFloat64)
}
