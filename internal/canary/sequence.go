package canary

import "math"

// rateBounds is the confidence sequence of a Bernoulli rate after k events in n trials: the true rate lies within
// [low, high] at every look together, however often and whenever one looks, with probability 1 - alpha. So a
// verdict that is taken when a bound crosses a limit doesn't flap, and looking more often costs nothing.
//
// It inverts the beta-binomial mixture martingale with a uniform prior,
//
//	M(p) = B(k+1, n-k+1) / (p^k (1-p)^(n-k)),
//
// for which P(M(p) >= 1/alpha at any n) <= alpha by Ville's inequality. No normal approximation is made, so it holds
// for three requests too.
//
// Sources: H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
// Statistics 41 (1970); S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric, nonasymptotic
// confidence sequences", Annals of Statistics 49 (2021).
func rateBounds(k, n int64, alpha float64) (low, high float64) {
	if n <= 0 || k < 0 || k > n {
		return 0, 1
	}
	limit := logBeta(float64(k)+1, float64(n-k)+1) + math.Log(alpha)
	inside := func(p float64) bool {
		return logLikelihood(k, n, p) > limit
	}
	mean := float64(k) / float64(n)
	if k > 0 {
		low = bisect(mean, 0, inside)
	}
	high = 1
	if k < n {
		high = bisect(mean, 1, inside)
	}
	return low, high
}

// bisect finds where inside stops to hold on the way from a point inside to one outside, and errs outwards.
func bisect(in, out float64, inside func(float64) bool) float64 {
	for range 60 {
		if mid := (in + out) / 2; inside(mid) {
			in = mid
		} else {
			out = mid
		}
	}
	return out
}

// logLikelihood is log(p^k (1-p)^(n-k)), with 0 log 0 = 0.
func logLikelihood(k, n int64, p float64) float64 {
	sum := 0.0
	if k > 0 {
		sum += float64(k) * math.Log(p)
	}
	if k < n {
		sum += float64(n-k) * math.Log1p(-p)
	}
	return sum
}

// logBeta is the logarithm of the beta function.
func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}
