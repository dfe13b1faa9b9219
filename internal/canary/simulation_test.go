package canary

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// service is what an arm is in truth.
type service struct {
	errors   float64 // rate
	slowdown float64 // of every latency
	shift    float64 // of the predictions' log-odds
}

// traffic is a day of a service with some 200 requests a minute, a tenth of them the challenger's, under the default
// canary: one step of 24 hours, looked at every 15 minutes.
type traffic struct {
	config               spec.Canary
	perLook              float64
	champion, challenger service
}

func aDay() spec.Canary {
	return spec.Canary{Steps: []spec.Step{{Weight: .1, Hold: spec.Duration(24 * time.Hour), MinRequests: 2000}},
		Interval: spec.Duration(15 * time.Minute), Deadline: spec.Duration(72 * time.Hour), OnFailure: "rollback",
		MaxErrorRate: .01, MaxSlowdown: 1.5, MaxPSI: .5}
}

// run is one canary from its start to its end.
func (m traffic) run(r *rand.Rand) State {
	s := New(m.config, t0)
	a, b := empty(), empty()
	for now := t0; !s.Over(); {
		now = s.NextLook(now)
		m.champion.serve(r, &a, m.perLook*(1-s.Weight()))
		m.challenger.serve(r, &b, m.perLook*s.Weight())
		a.LatencyP99, b.LatencyP99 = p99Of(a.Histogram), p99Of(b.Histogram)
		var action Action
		if s, action, _ = Decide(s, look(s, now, a, b), now); action.Kind == Advance {
			a, b = empty(), empty()
		}
	}
	return s
}

func empty() Arm {
	h := Histogram{Bounds: make([]float64, 40)}
	for i := range h.Bounds {
		h.Bounds[i] = .0005 * math.Exp2(float64(i)/4)
	}
	h.Counts = make([]int64, len(h.Bounds)+1)
	return Arm{Histogram: h, Predictions: make([]int64, 20)}
}

// serve adds requests: latencies are log-normal with a 99th percentile of ten times the median, predictions' log-odds
// normal.
func (v service) serve(r *rand.Rand, a *Arm, expected float64) {
	n := poisson(r, expected)
	a.Requests += n
	a.Errors += min(n, poisson(r, float64(n)*v.errors))
	spread(r, a.Histogram.Counts, n, func(i int) float64 {
		if i >= len(a.Histogram.Bounds) {
			return 1
		}
		return normal(math.Log(a.Histogram.Bounds[i]/(.005*v.slowdown)) / .99)
	})
	spread(r, a.Predictions, n, func(i int) float64 {
		if i >= len(a.Predictions)-1 {
			return 1
		}
		p := float64(i+1) / float64(len(a.Predictions))
		return normal(math.Log(p/(1-p)) + 1 - v.shift)
	})
}

// spread gives each bucket its share of n, whose cumulative share upTo gives.
func spread(r *rand.Rand, counts []int64, n int64, upTo func(int) float64) {
	below := 0.0
	for i := range counts {
		share := upTo(i)
		counts[i] += poisson(r, float64(n)*(share-below))
		below = share
	}
}

func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// poisson draws a count: by waiting times where few are expected, else by the normal approximation.
func poisson(r *rand.Rand, mean float64) int64 {
	if mean > 60 {
		return int64(max(0, math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n := int64(-1)
	for t := 0.0; t <= mean; n++ {
		t += r.ExpFloat64()
	}
	return n
}

// The table of docs/canary.md. Good challengers are promoted, bad ones are not, and one that is bad by much is out
// within the hour.
func TestThousandsOfCanariesEndAsTheyShould(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 40
	}
	champion := service{errors: .01, slowdown: 1}
	for _, c := range []struct {
		name       string
		challenger service
		good       bool
		within     time.Duration // the median of what is rolled back
	}{
		{"as good as the champion", service{.01, 1, 0}, true, 0},
		{"a little worse in all, within the limits", service{.013, 1.15, .25}, true, 0},
		{"2 points more errors", service{.03, 1, 0}, false, 12 * time.Hour},
		{"5 points more errors", service{.06, 1, 0}, false, time.Hour},
		{"every request fails", service{1, 1, 0}, false, 15 * time.Minute},
		{"2 times as slow", service{.01, 2, 0}, false, 36 * time.Hour},
		{"4 times as slow", service{.01, 4, 0}, false, time.Hour},
		{"predictions off by one standard deviation", service{.01, 1, 1}, false, 4 * time.Hour},
		{"predictions off by two standard deviations", service{.01, 1, 2}, false, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(2013, uint64(len(c.name))))
			var promoted, rolledBack []time.Duration
			for range runs {
				s := traffic{aDay(), 3000, champion, c.challenger}.run(r)
				took := s.Ended.Sub(t0)
				if s.Outcome == Promoted {
					promoted = append(promoted, took)
				} else {
					rolledBack = append(rolledBack, took)
				}
			}
			t.Logf("| %s | %d | %d | %s | %s |", c.name, len(promoted), len(rolledBack), median(promoted), median(rolledBack))
			if c.good {
				require.LessOrEqual(t, float64(len(rolledBack))/float64(runs), .05, "good ones rolled back")
				return
			}
			require.LessOrEqual(t, float64(len(promoted))/float64(runs), .01, "bad ones promoted")
			slices.Sort(rolledBack)
			require.LessOrEqual(t, rolledBack[len(rolledBack)/2], c.within)
		})
	}
}

func median(d []time.Duration) string {
	if len(d) == 0 {
		return "-"
	}
	slices.Sort(d)
	return fmt.Sprint(d[len(d)/2], " (95 %: ", d[min(len(d)-1, len(d)*95/100)], ")")
}
