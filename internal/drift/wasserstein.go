package drift

import "math"

// minDeviation is the least standard deviation that a Wasserstein distance is divided by, so that a constant reference
// has one.
const minDeviation = 0.001

// Wasserstein is the first-order Wasserstein distance divided by the reference's standard deviation (ddof 0; at least
// 0.001): by how many standard deviations the average value moved. It is not symmetric, since the reference sets the
// unit. NaN where a sample is empty.
func Wasserstein(ref, cur []float64) float64 {
	if len(ref) == 0 || len(cur) == 0 {
		return math.NaN()
	}
	distance, _ := merge(sorted(ref), sorted(cur)).wasserstein()
	return distance
}

func (p pair) wasserstein() (distance, bound float64) {
	unit := deviation(p.ref)
	if math.IsInf(p.area, 0) || math.IsInf(unit, 0) {
		return p.huge(), 0
	}
	return min(p.area/max(unit, minDeviation), math.MaxFloat64), 0
}

func (p pair) byChance() bool {
	spans := spansOf(len(p.ref), func(rank int) float64 { return p.ref[rank] })
	return distanceByChance(spans, float64(len(p.ref)), float64(len(p.cur)), p.area)
}

// huge is the distance of values whose differences or squares are beyond the largest float: of the same values as
// shares of the largest one, since the quotient has no unit. It never exceeds the largest float.
func (p pair) huge() float64 {
	largest := max(-p.ref[0], -p.cur[0], p.ref[len(p.ref)-1], p.cur[len(p.cur)-1])
	share := func(values []float64) []float64 {
		out := make([]float64, len(values))
		for i, v := range values {
			out[i] = v / largest
		}
		return out
	}
	small := merge(share(p.ref), share(p.cur))
	return min(small.area/max(deviation(small.ref), math.SmallestNonzeroFloat64), math.MaxFloat64)
}

// deviation is the population's standard deviation, in two passes; +Inf where a square is beyond the largest float.
func deviation(values []float64) float64 {
	n, mean := float64(len(values)), 0.0
	for _, v := range values {
		mean += v / n
	}
	squares, rest := 0.0, 0.0
	for _, v := range values {
		d := v - mean
		squares += d * d
		rest += d
	}
	if math.IsInf(squares, 0) {
		return squares
	}
	return math.Sqrt(max(squares-rest*rest/n, 0) / n)
}
