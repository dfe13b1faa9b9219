package drift

import "math"

// minShare is the least share of a bin: an empty bin would make the index infinite.
const minShare = 1e-4

// PSI is the population stability index of numbers: the sum over bins of (q-p) log(q/p), p being the reference's share
// of the bin and q the current one's, neither less than 1e-4. A bin is a value where both samples together have at most
// 20 distinct ones, else it lies between the reference's deciles. NaN where a sample is empty.
func PSI(ref, cur []float64) float64 {
	if len(ref) == 0 || len(cur) == 0 {
		return math.NaN()
	}
	return merge(sorted(ref), sorted(cur)).psi()
}

// PSICategories is the population stability index of categories, a bin each.
func PSICategories(ref, cur Counts) float64 { return psiOf(shares(ref, cur)) }

func (p pair) psi() float64 { return psiOf(p.shares()) }

func psiOf(p, q []float64) float64 {
	if len(p) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for i := range p {
		a, b := max(p[i], minShare), max(q[i], minShare)
		sum += (b - a) * math.Log(b/a)
	}
	return sum
}
