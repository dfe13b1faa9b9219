package canary

import (
	"fmt"
	"math"
)

const (
	// minPredictions is how many answers an arm needs before their distribution says anything: the bound below rests
	// on sums that are nearly normal.
	minPredictions = 50
	// minBin is the least number of expected answers of the smaller arm in a bin; sparser buckets join their neighbours.
	minBin = 10
	// tunedTo is the number of answers of the smaller arm at which the bound is tightest.
	tunedTo = 1000
)

// predictionCheck compares what both arms predict: a challenger that answers quickly and without errors may still say
// "late" to everyone. The measure is the population stability index against the champion's answers of the same time,
// less what chance adds to it. It fails when even the least shift that the data allow is over MaxPSI.
func predictionCheck(s State, m Measurement) Check {
	limit := s.Config.MaxPSI
	c := Check{Name: "predictions", Limit: limit}
	champion, ok := s.comparable(m, minPredictions)
	n, k := total(champion.Predictions), total(m.Challenger.Predictions)
	switch {
	case limit <= 0:
		c.Verdict, c.Message = Pass, "predictions aren't compared"
		return c
	case champion.Requests == 0 && ok:
		c.Verdict, c.Message = Pass, "predictions: the champion has no traffic to compare with"
		return c
	case k == 0 && m.Challenger.Errors == m.Challenger.Requests && m.Challenger.Requests >= minRequests:
		c.Verdict, c.Message = Pass, "predictions: the challenger gave none" // which is its error rate's to judge
		return c
	case k < minPredictions:
		return c.inconclusive(fmt.Sprintf("predictions: %d of the challenger < %d", k, minPredictions))
	case n < minPredictions:
		return c.inconclusive(fmt.Sprintf("predictions: %d of the champion < %d", n, minPredictions))
	}
	psi, least := shift(champion.Predictions, m.Challenger.Predictions, s.share())
	c.Observed = psi
	seen := fmt.Sprintf("predictions: PSI %.3f against the champion's", psi)
	switch {
	case least > limit:
		c.Verdict, c.Message = Fail, fmt.Sprintf("%s, at least %.3f > %.3g", seen, least, limit)
	case psi > limit:
		return c.inconclusive(fmt.Sprintf("%s > %.3g, not certain yet (at least %.3f)", seen, limit, max(0, least)))
	default:
		c.Verdict, c.Message = Pass, fmt.Sprintf("%s <= %.3g", seen, limit)
	}
	return c
}

// shift is the population stability index of two samples' counts by bucket, less its expectation where nothing differs,
// and a lower bound of the true one that holds at every look together with probability 1 - alpha.
//
// The index is a smooth function of shares, so it is nearly normal around the truth with the variance of the delta
// method. The bound is the asymptotic confidence sequence of I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy and A.
// Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024),
// with the two samples' effective size for a clock.
func shift(reference, current []int64, alpha float64) (psi, least float64) {
	a, b := joined(reference, current)
	n, m := float64(total(a)), float64(total(b))
	bins := float64(len(a))
	var meanP, meanQ, squareP, squareQ float64
	for i := range a {
		// Half an answer in each bin keeps an empty one finite: Jeffreys' prior.
		p, q := (float64(a[i])+0.5)/(n+bins/2), (float64(b[i])+0.5)/(m+bins/2)
		ratio := math.Log(q / p)
		psi += (q - p) * ratio
		slopeP, slopeQ := 1-ratio-q/p, 1+ratio-p/q
		meanP, squareP = meanP+p*slopeP, squareP+p*slopeP*slopeP
		meanQ, squareQ = meanQ+q*slopeQ, squareQ+q*slopeQ*slopeQ
	}
	psi = max(0, psi-(bins-1)*(1/n+1/m))
	variance := (squareP-meanP*meanP)/n + (squareQ-meanQ*meanQ)/m
	clock := n * m / (n + m)
	return psi, psi - math.Sqrt(max(0, variance))*timeUniform(clock, alpha)
}

// timeUniform is the number of standard deviations of a mean of n that its error stays below at every n together, with
// probability 1 - alpha, tightest at n = tunedTo: Robbins' normal mixture, one-sided.
func timeUniform(n, alpha float64) float64 {
	tail := -2 * math.Log(2*alpha)
	rho := (tail + math.Log(tail+1)) / tunedTo // of the mixture's variance
	return math.Sqrt((n*rho + 1) / (n * rho) * 2 * math.Log(math.Sqrt(n*rho+1)/(2*alpha)+1))
}

// joined joins neighbouring buckets until each bin holds enough to be compared.
func joined(reference, current []int64) (a, b []int64) {
	n, m := float64(total(reference)), float64(total(current))
	smaller := min(n, m) / (n + m)
	var p, q int64
	for i := range max(len(reference), len(current)) {
		p, q = p+at(reference, i), q+at(current, i)
		if float64(p+q)*smaller >= minBin {
			a, b, p, q = append(a, p), append(b, q), 0, 0
		}
	}
	if p+q > 0 && len(a) > 0 {
		a[len(a)-1] += p
		b[len(b)-1] += q
	} else if p+q > 0 {
		a, b = append(a, p), append(b, q)
	}
	return a, b
}

func at(counts []int64, i int) int64 {
	if i >= len(counts) {
		return 0
	}
	return counts[i]
}

func total(counts []int64) int64 {
	var n int64
	for _, c := range counts {
		n += c
	}
	return n
}
