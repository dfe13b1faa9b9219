package drift

import (
	"math"
	"math/rand/v2"
)

// span is so many of the reference's values between two numbers, or at one.
type span struct {
	low, high float64
	count     float64
}

const (
	// spanShare is the part of all values that a span may have.
	spanShare = 1.0 / 64
	// tailShare is the part that it may have of the values beyond it, on the nearer side: where the distribution function
	// is near 0 or 1, its spread changes fast.
	tailShare = 1.0 / 8
)

// spanRanks are the ranks of n sorted values at which spans of them end, ascending, from the first to the last: some 200.
func spanRanks(n int) []int {
	ranks := []int{0}
	for at := 0; at < n-1; {
		step := int(min(spanShare*float64(n), tailShare*float64(min(at, n-1-at))))
		at = min(at+max(step, 1), n-1)
		ranks = append(ranks, at)
	}
	return ranks
}

// spansOf are the spans of n sorted values.
func spansOf(n int, at func(rank int) float64) []span {
	ranks := spanRanks(n)
	spans := []span{{at(0), at(0), 1}}
	for i, rank := range ranks[1:] {
		spans = append(spans, span{spans[i].high, at(rank), float64(rank - ranks[i])})
	}
	return spans
}

// Of distanceByChance.
const (
	// lotteries are so many samples that are drawn; rarely, so many of them, are chanceLimit of all.
	lotteries = 4000
	rarely    = lotteries * chanceLimit
	// largestLottery is how many values a sample has at most; for more the area falls with the root of their number.
	largestLottery = 1000
	// manyMeans of the area are beyond chance in any distribution that spans can hold.
	manyMeans = 10
)

// distanceByChance reports whether the area between the distribution functions of two samples, n values of the
// distribution that spans hold and m others, is no greater than in 999 of 1,000 pairs of samples of that distribution.
//
// Samples are drawn from the spans (a parametric bootstrap): of nm/(n+m) values, so that their spread about the
// distribution is that of the two about each other. The law of the area for large samples is known (E. del Barrio, E.
// Gine, C. Matran, "Central limit theorems for the Wasserstein distance between the empirical and the true
// distributions", Annals of Probability 27, 1999), but windows have few values in a long tail, and there it is far off.
// The draws are the same for the same sizes.
func distanceByChance(spans []span, n, m, area float64) bool {
	size := n * m / (n + m)
	if size > largestLottery {
		area *= math.Sqrt(size / largestLottery)
		size = largestLottery
	}
	mean := math.Sqrt(2/math.Pi/size) * deviations(spans, n)
	if !(mean > 0) || !(area <= manyMeans*mean) {
		return false // of a constant reference, any other value is none
	}
	draw := newLottery(spans, n, int(math.Round(size)))
	for beyond := 0.0; draw.left > 0; {
		if draw.area() >= area {
			if beyond++; beyond >= rarely {
				return true
			}
		}
	}
	return false
}

// deviations is the integral of the standard deviation of the distribution function of a sample, times the root of its size.
func deviations(spans []span, n float64) float64 {
	total, below := 0.0, 0.0
	for _, s := range spans {
		middle := (below + s.count/2) / n
		total += (s.high - s.low) * math.Sqrt(middle*(1-middle))
		below += s.count
	}
	return total
}

// lottery draws samples of a distribution.
type lottery struct {
	spans []span
	share []float64 // of the values, in each span
	upTo  []float64 // the distribution function at each span's end
	guide []int     // the span of i/len(guide)
	drawn []float64 // values of the sample in each span
	size  int
	left  int // samples to be drawn
	rand  *rand.Rand
}

func newLottery(spans []span, n float64, size int) *lottery {
	l := &lottery{spans: spans, drawn: make([]float64, len(spans)), guide: make([]int, 1024), size: max(size, 1), left: lotteries,
		rand: rand.New(rand.NewPCG(uint64(n), uint64(size)))}
	below := 0.0
	for _, s := range spans {
		below += s.count
		l.share, l.upTo = append(l.share, s.count/n), append(l.upTo, below/n)
	}
	at := 0
	for i := range l.guide {
		for at < len(spans)-1 && l.upTo[at] <= float64(i)/float64(len(l.guide)) {
			at++
		}
		l.guide[i] = at
	}
	return l
}

// area draws a sample and gives the area between its distribution function and that of the spans.
func (l *lottery) area() float64 {
	l.left--
	clear(l.drawn)
	for range l.size {
		u := l.rand.Float64()
		at := l.guide[int(u*float64(len(l.guide)))]
		for at < len(l.upTo)-1 && l.upTo[at] <= u {
			at++
		}
		l.drawn[at]++
	}
	area, before := 0.0, 0.0
	for i, s := range l.spans {
		after := before + l.drawn[i]/float64(l.size) - l.share[i]
		area += (math.Abs(before) + math.Abs(after)) / 2 * (s.high - s.low)
		before = after
	}
	return area
}
