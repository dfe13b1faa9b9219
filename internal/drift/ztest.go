package drift

import "math"

// ZTest is the two-sided z-test of two proportions with the pooled variance: refHits of refRows against curHits of
// curRows. Z is positive where the current share is greater. Shares that are both 0 or both 1 can't differ: 0, 1. NaN
// where a sample is empty.
func ZTest(refHits, refRows, curHits, curRows int64) (z, p float64) {
	if refRows == 0 || curRows == 0 {
		return math.NaN(), math.NaN()
	}
	n, m := float64(refRows), float64(curRows)
	pooled := float64(refHits+curHits) / (n + m)
	variance := pooled * (1 - pooled) * (1/n + 1/m)
	if variance <= 0 {
		return 0, 1
	}
	z = (float64(curHits)/m - float64(refHits)/n) / math.Sqrt(variance)
	return z, math.Erfc(math.Abs(z) / math.Sqrt2)
}
