package drift

import "math"

// maxExact is the size of the larger sample up to which the p-value is exact.
const maxExact = 10_000

// KS is the two-sided two-sample Kolmogorov-Smirnov test: the greatest difference of the empirical distribution
// functions and its p-value, as scipy.stats.ks_2samp has them. The p-value is exact (Hodges 1958) where the larger
// sample has at most 10,000 values; else it is that of the one-sample statistic with round(nm/(n+m)) values. Both are
// NaN where a sample is empty.
func KS(ref, cur []float64) (statistic, p float64) {
	if len(ref) == 0 || len(cur) == 0 {
		return math.NaN(), math.NaN()
	}
	statistic, p, _ = merge(sorted(ref), sorted(cur)).ks()
	return statistic, p
}

func (p pair) ks() (statistic, pValue, bound float64) {
	statistic, pValue = ksOf(len(p.ref), len(p.cur), p.gap, p.lcm)
	return statistic, pValue, 0
}

// ksOf is the statistic gap/lcm of samples of n and m values and its p-value.
func ksOf(n, m int, gap, lcm int64) (statistic, p float64) {
	statistic = float64(gap) / float64(lcm)
	switch {
	case gap == 0:
		p = 1
	case max(n, m) > maxExact:
		size := float64(n) * float64(m) / float64(n+m)
		p = kolmogorovSurvival(int(math.RoundToEven(size)), statistic)
	case n == m:
		p = outsideSquare(n, int(gap))
	default:
		p = outsideLines(n, m, gap)
	}
	return statistic, min(max(p, 0), 1)
}

// outsideSquare is the probability that a random lattice path from (0,0) to (n,n) leaves the band |x-y| < h: the exact
// p-value for samples of one size (Gnedenko & Korolyuk 1951, "On the maximum discrepancy between two empirical
// distributions"). The alternating sum of binomials is nested, so that it doesn't cancel:
// 2*A1*(1-A2*(1-A3*(...))), each A a ratio of neighbouring binomials.
func outsideSquare(n, h int) float64 {
	inner := 0.0
	for k := n / h; k >= 0; k-- {
		ratio := 1.0
		for j := range h {
			ratio *= float64(n-k*h-j) / float64(n+k*h+j+1)
		}
		inner = ratio * (1 - inner)
	}
	return 2 * inner
}

// outsideLines is the probability that a random lattice path from (0,0) to (n,m) leaves the band
// |x/n - y/m| < h/lcm(n,m): the exact p-value for any sizes.
//
// It is Hodges' inside method (J. L. Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för
// Matematik 3, 1958) in the form of T. Viehmann (arXiv:2102.08037): u(i,j) is the probability that a path ending in
// (i,j) has left the band, u = (i*u(i-1,j) + j*u(i,j-1)) / (i+j) inside it, 1 outside. It never subtracts, so small
// p-values are as exact as large ones.
func outsideLines(n, m int, h int64) float64 {
	if n < m {
		n, m = m, n
	}
	divisor := gcd(n, m)
	stepN, stepM := int64(m/divisor), int64(n/divisor)
	inverse := make([]float64, n+m+1)
	for i := range inverse {
		inverse[i] = 1 / float64(i)
	}
	left := make([]float64, m+1) // u(i,·) for the current i
	for j := range left {
		if int64(j)*stepM >= h {
			left[j] = 1
		}
	}
	for i := 1; i <= n; i++ {
		at := int64(i) * stepN
		low, high := 0, min(m, int((at+h-1)/stepM)) // the j with |i*stepN - j*stepM| < h
		if at >= h {
			low = int((at-h)/stepM) + 1
		}
		if low > high {
			return 1
		}
		below := 0.0 // u(i,low-1): no such point, or outside
		if low > 0 {
			left[low-1], below = 1, 1
		}
		for j := low; j <= high; j++ {
			r := inverse[i+j]
			below = left[j]*(float64(i)*r) + below*(float64(j)*r)
			left[j] = below
		}
	}
	return left[m]
}
