package drift

import "math"

// kolmogorovSurvival is P(D_n >= d) of the two-sided one-sample Kolmogorov-Smirnov statistic of n values, computed by
// range as R. Simard & P. L'Ecuyer propose ("Computing the two-sided Kolmogorov-Smirnov distribution", Journal of
// Statistical Software 39(11), 2011), with SciPy's limits (scipy/stats/_ksstats.py). Where SciPy takes Pomeranz'
// recursion, Durbin's matrix serves here: both are exact.
func kolmogorovSurvival(n int, d float64) float64 {
	const exactBelow, durbinBelow = 140, 100_000
	size := float64(n)
	t, square := size*d, size*d*d
	switch {
	case d >= 1:
		return 0
	case t <= 0.5:
		return 1
	case t <= 1: // Ruben & Gambino 1982: n!/n^n (2t-1)^n
		logFactorial, _ := math.Lgamma(size + 1)
		return -math.Expm1(logFactorial - size*math.Log(size) + size*math.Log(2*t-1))
	case t >= size-1:
		return 2 * math.Pow(1-d, size)
	case d >= 0.5:
		return 2 * smirnov(n, d)
	case n <= exactBelow && square <= 4:
		return 1 - durbin(n, d)
	case n <= exactBelow:
		return 2 * smirnov(n, d)
	case square >= 370:
		return 0 // under 1e-320
	case square >= 2.2:
		return 2 * smirnov(n, d)
	case n <= durbinBelow && size*math.Pow(d, 1.5) <= 1.4:
		return 1 - durbin(n, d)
	}
	return 1 - pelzGood(size, d)
}

// smirnov is P(D+_n >= d) of the one-sided statistic (N. V. Smirnov 1944; Birnbaum & Tingey 1951):
// the sum over v <= n(1-d) of d/(d+v/n) times the binomial probability of v among n at d+v/n. Twice that is the
// two-sided probability wherever both sides can't be exceeded at once for practical purposes (Miller 1956).
//
// The deviance of v from its mean is convex, so the terms rise to one peak and fall: those farther from it than
// negligible, of which many thousands together add nothing to the sum's bits, are left out. Where many are left they are
// a smooth bell, and the trapezoidal rule with few of them gives their sum to the same bits: its error falls
// exponentially with the square of the bell's width over the step (L. N. Trefethen & J. A. C. Weideman, "The
// exponentially convergent trapezoidal rule", SIAM Review 56, 2014), which is e^-7000 here.
func smirnov(n int, d float64) float64 {
	size := float64(n)
	sum := math.Exp(size * math.Log1p(-d))
	last := min(math.Floor(size*(1-d)), size-1)
	for last >= 1 && d+last/size >= 1 {
		last--
	}
	if last < 1 {
		return min(sum, 1)
	}
	peak := leastDeviance(last, size, d)
	limit := deviance(peak, size, d) + negligible
	near := func(v float64) bool { return deviance(v, size, d) <= limit }
	from := edge(peak, 1, near)
	to := edge(peak, last, near)
	step := 1.0
	if from > 1 && to < last && to-from >= 2*bellSteps {
		step = math.Floor((to - from) / bellSteps)
	}
	bell := 0.0
	for v := from; v <= to; v += step {
		bell += d / (d + v/size) * binomial(v, size, deviance(v, size, d))
	}
	return min(sum+step*bell, 1)
}

// bellSteps is how many terms of a bell are added up, which reaches 13 of its standard deviations to either side.
const bellSteps = 1024

// edge is the last whole number on the way from one that is near to the end for which that holds.
func edge(from, end float64, near func(float64) bool) float64 {
	if near(end) {
		return end
	}
	for math.Abs(end-from) > 1 {
		middle := math.Floor((from + end) / 2)
		if near(middle) {
			from = middle
		} else {
			end = middle
		}
	}
	return from
}

// negligible is how much farther than the nearest a term's deviance may be before it is left out: exp(-90) is 1e-39, and
// neither the number of terms nor what stands before the exponential comes near the inverse of that.
const negligible = 90

// leastDeviance is the v from 1 to last whose deviance is the least.
func leastDeviance(last, n, d float64) float64 {
	low, high := 1.0, last
	for low < high {
		middle := math.Floor((low + high) / 2)
		if deviance(middle, n, d) <= deviance(middle+1, n, d) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// deviance is how far v is from the mean of a binomial distribution of n at d+v/n: in C. Loader's saddle-point form
// ("Fast and accurate computation of binomial probabilities", 2000), in which n*d is the distance of v from its mean, so
// nothing large is subtracted from anything large.
func deviance(v, n, d float64) float64 {
	shift := n * d
	return v*logExcess(shift/v) + (n-v)*logExcess(-shift/(n-v))
}

// binomial is the binomial probability of v among n, for 0 < v < n, whose deviance is given.
func binomial(v, n, deviance float64) float64 {
	correction := stirling(n) - stirling(v) - stirling(n-v)
	return math.Exp(correction-deviance) * math.Sqrt(n/(2*math.Pi*v*(n-v)))
}

// logExcess is x - log(1+x) for x > -1, without cancellation near 0.
func logExcess(x float64) float64 {
	if math.Abs(x) > 0.2 {
		return x - math.Log1p(x)
	}
	// log(1+x) = 2 atanh(r) with r = x/(2+x), and x = 2r + x*r.
	r := x / (2 + x)
	r2, sum := r*r, 0.0
	for k := 21; k >= 3; k -= 2 {
		sum = sum*r2 + 1/float64(k)
	}
	return x*r - 2*r*r2*sum
}

// stirling is log(n!) - log(sqrt(2 pi n) (n/e)^n), the error of Stirling's formula, for n >= 1.
func stirling(n float64) float64 {
	if n < 16 {
		logFactorial, _ := math.Lgamma(n + 1)
		return logFactorial - (n+0.5)*math.Log(n) + n - 0.5*math.Log(2*math.Pi)
	}
	const s0, s1, s2, s3, s4 = 1.0 / 12, 1.0 / 360, 1.0 / 1260, 1.0 / 1680, 1.0 / 1188
	n2 := n * n
	return (s0 - (s1-(s2-(s3-s4/n2)/n2)/n2)/n2) / n
}

// pelzGood is the approximation of P(D_n <= d) of W. Pelz & I. J. Good ("Approximating the lower tail-areas of the
// Kolmogorov-Smirnov one-sample statistic", Journal of the Royal Statistical Society B 38(2), 1976):
// K0(z) + K1(z)/n^(1/2) + K2(z)/n + K3(z)/n^(3/2) with z = d sqrt(n), each K a theta series that converges fast for
// small z. The terms are those in section 2.4 of Simard & L'Ecuyer.
func pelzGood(n, d float64) float64 {
	const pi2, pi4, pi6 = math.Pi * math.Pi, math.Pi * math.Pi * math.Pi * math.Pi, math.Pi * math.Pi * math.Pi * math.Pi * math.Pi * math.Pi
	z := d * math.Sqrt(n)
	z2 := z * z
	z4, z6 := z2*z2, z2*z2*z2
	z8, z10 := z4*z4, z4*z6
	var k0, k1, k2, k3 float64
	for k := math.Ceil(16 * z / math.Pi); k >= 1; k-- { // small terms first
		half := k - 0.5
		h2, whole := half*half, k*k
		odd := math.Exp(-h2 * pi2 / 2 / z2)
		even := math.Exp(-whole * pi2 / 2 / z2)
		k0 += odd
		k1 += (pi2*h2 - z2) * odd
		k2 += (6*z6 + 2*z4 + pi2*(2*z4-5*z2)*h2 + pi4*(1-2*z2)*h2*h2) * odd
		k2 -= 2 * z4 * pi2 * whole * even
		k3 += (-30*z6 - 90*z8 + pi2*(135*z4-96*z6)*h2 + pi4*(212*z4-60*z2)*h2*h2 + pi6*(5-30*z2)*h2*h2*h2) * odd
		k3 += 30 * z4 * pi2 * whole * (3*z2 - pi2*whole) * even
	}
	root := math.Sqrt(2 * math.Pi)
	return root * (k0/z + k1/(6*z4*math.Sqrt(n)) + k2/(72*z6*z*n) + k3/(6480*z10*n*math.Sqrt(n)))
}
