package drift

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// ChiSquare is Pearson's test on the 2 x k table of the categories that occur in either sample, without Yates'
// correction: the statistic, its p-value and k-1 degrees of freedom. One category alone can't differ: 0, 1, 0. NaN
// where a sample is empty.
func ChiSquare(ref, cur Counts) (statistic, p float64, freedom int) {
	n, m := float64(ref.Total()), float64(cur.Total())
	if n == 0 || m == 0 {
		return math.NaN(), math.NaN(), 0
	}
	names := union(ref, cur)
	freedom = len(names) - 1
	if freedom == 0 {
		return 0, 1, 0
	}
	for _, name := range names {
		a, b := float64(ref[name]), float64(cur[name])
		expectedA, expectedB := (a+b)*n/(n+m), (a+b)*m/(n+m)
		statistic += (a-expectedA)*(a-expectedA)/expectedA + (b-expectedB)*(b-expectedB)/expectedB
	}
	return statistic, distuv.ChiSquared{K: float64(freedom)}.Survival(statistic), freedom
}
