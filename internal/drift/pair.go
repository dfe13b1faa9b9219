package drift

import "math"

// pair is two sorted samples and what one merge of them finds.
type pair struct {
	ref, cur []float64
	// gap is the greatest difference of the two empirical distribution functions, in units of 1/lcm(len(ref),
	// len(cur)): an integer, so that equal gaps are equal and a p-value can be exact.
	gap int64
	lcm int64
	// area is the integral of the absolute difference of the distribution functions.
	area float64
	// distinct counts distinct values of both together, up to maxValueBins+1.
	distinct int
}

// merge walks through two sorted samples once. Both must have values.
func merge(ref, cur []float64) pair {
	n, m := len(ref), len(cur)
	divisor := gcd(n, m)
	perRef, perCur := int64(m/divisor), int64(n/divisor)
	p := pair{ref: ref, cur: cur, lcm: int64(n) * perRef}
	var i, j int
	var difference int64
	sum, previous := 0.0, math.Min(ref[0], cur[0])
	for i < n || j < m {
		value := math.Inf(1)
		if i < n {
			value = ref[i]
		}
		if j < m && cur[j] < value {
			value = cur[j]
		}
		sum += float64(max(difference, -difference)) * (value - previous)
		previous = value
		for i < n && ref[i] == value {
			i++
			difference += perRef
		}
		for j < m && cur[j] == value {
			j++
			difference -= perCur
		}
		p.gap = max(p.gap, difference, -difference)
		if p.distinct <= maxValueBins {
			p.distinct++
		}
	}
	p.area = sum / float64(p.lcm)
	return p
}

func (p pair) few() int { return p.distinct }

func (p pair) counts() (ref, cur Counts) { return countsOf(p.ref), countsOf(p.cur) }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
