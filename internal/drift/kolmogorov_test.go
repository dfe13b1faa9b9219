package drift

import (
	"math"
	"testing"
)

// everyTerm is smirnov with every term of its sum.
func everyTerm(n int, d float64) float64 {
	size := float64(n)
	sum := math.Exp(size * math.Log1p(-d))
	for v := 1.0; v <= math.Floor(size*(1-d)) && v < size; v++ {
		p := d + v/size
		if p >= 1 {
			break
		}
		sum += d / p * binomial(v, size, deviance(v, size, d))
	}
	return min(sum, 1)
}

func TestSmirnovsSumIsThatOfAllItsTerms(t *testing.T) {
	for _, n := range []int{1, 2, 7, 150, 1000, 5000, 20_000, 100_000, 500_000} {
		for _, square := range []float64{0.5, 1.2, 2.2, 5, 18, 100, 300} {
			d := math.Sqrt(square / float64(n))
			if d >= 1 {
				continue
			}
			if got, want := smirnov(n, d), everyTerm(n, d); math.Abs(got-want) > 1e-12*want {
				t.Errorf("n %d, n d^2 %v: observed %v, want %v", n, square, got, want)
			}
		}
	}
}
