package drift

import "math"

// JS is the Jensen-Shannon distance of numbers on PSI's bins: the square root of the mean of the Kullback-Leibler
// divergences, in natural logarithms, of either sample's shares from their mean. From 0 to sqrt(log 2) = 0.8326. NaN
// where a sample is empty.
func JS(ref, cur []float64) float64 {
	if len(ref) == 0 || len(cur) == 0 {
		return math.NaN()
	}
	return merge(sorted(ref), sorted(cur)).js()
}

// JSCategories is the Jensen-Shannon distance of categories.
func JSCategories(ref, cur Counts) float64 { return jsOf(shares(ref, cur)) }

func (p pair) js() float64 { return jsOf(p.shares()) }

func jsOf(p, q []float64) float64 {
	if len(p) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for i := range p {
		mean := (p[i] + q[i]) / 2
		sum += relativeEntropy(p[i], mean) + relativeEntropy(q[i], mean)
	}
	return math.Sqrt(max(sum, 0) / 2)
}

// relativeEntropy is a log(a/b), 0 at a = 0.
func relativeEntropy(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a * math.Log(a/b)
}
