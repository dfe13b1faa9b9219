package canary

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
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
	wrong    float64 // rate of answers that labels contradict
}

// traffic is a day of a service with some 200 requests a minute, a tenth of them the challenger's, under a canary of one
// step of 24 hours that is looked at every 15 minutes, with every check on. Labels come two hours later, for every second
// answer.
type traffic struct {
	config               spec.Canary
	perLook              float64
	champion, challenger service
}

const (
	labelsLate  = 8 // looks
	labelsShare = .5
)

func aDay() spec.Canary {
	return spec.Canary{Steps: []spec.Step{{Weight: .1, Hold: spec.Duration(24 * time.Hour), MinRequests: 2000}},
		Interval: spec.Duration(15 * time.Minute), Deadline: spec.Duration(72 * time.Hour), OnFailure: "rollback",
		MaxErrorRate: .01, MaxSlowdown: 1.5, MaxPSI: .5,
		Limits:  spec.CanaryLimits{ErrorRate: .04, LatencyP50MS: 12, LatencyP95MS: 60, LatencyP99MS: 120},
		Quality: &spec.CanaryQuality{Metric: "accuracy", MaxLoss: .02, MinRows: 200, Required: true}}
}

// run is one canary from its start to its end.
func (m traffic) run(r *rand.Rand) State {
	s := New(m.config, t0)
	a, b := empty(), empty()
	labels := Quality{From: s.StepSince, Metric: "accuracy"}
	var served [][2]int64 // requests of both arms so far, look by look
	for now := t0; !s.Over(); {
		now = s.NextLook(now)
		m.champion.serve(r, &a, m.perLook*(1-s.Weight()))
		m.challenger.serve(r, &b, m.perLook*s.Weight())
		served = append(served, [2]int64{a.Requests, b.Requests})
		if old := len(served) - 1 - labelsLate; old > 0 {
			m.champion.labelled(r, &labels.Champion, served[old][0]-served[old-1][0])
			m.challenger.labelled(r, &labels.Challenger, served[old][1]-served[old-1][1])
		}
		labels.At = now
		s = WithQuality(s, labels)
		for _, arm := range []*Arm{&a, &b} {
			arm.LatencyP50, arm.LatencyP95, arm.LatencyP99 = quantileOf(arm.Histogram, .5), quantileOf(arm.Histogram, .95), quantileOf(arm.Histogram, .99)
		}
		var action Action
		if s, action, _ = Decide(s, look(s, now, a, b), now); action.Kind == Advance {
			a, b = empty(), empty()
		}
	}
	return s
}

// labelled adds the labels of some answers.
func (v service) labelled(r *rand.Rand, l *Labelled, answers int64) {
	n := poisson(r, labelsShare*float64(answers))
	wrong := float64(min(n, poisson(r, float64(n)*v.wrong)))
	l.Rows, l.Sum, l.Squares = l.Rows+n, l.Sum+wrong, l.Squares+wrong
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

// canaries of one kind, and how they must end.
type kind struct {
	name                 string
	champion, challenger service
	good                 bool
	within               time.Duration // the median of what is rolled back
}

// usualService is a champion: its latencies have a median of 5 ms and a 99th percentile of 50.
var usualService = service{errors: .01, slowdown: 1, wrong: .1}

func kinds() []kind {
	champion := usualService
	of := func(change func(*service)) service { v := champion; change(&v); return v }
	return []kind{
		{"as good as the champion", champion, champion, true, 0},
		{"a little worse in all, within the limits: 0.3 points more errors, 15 % slower, predictions off by a quarter of a standard deviation, 0.5 points less accurate",
			champion, service{.013, 1.15, .25, .105}, true, 0},
		{"2 points more errors", champion, of(func(v *service) { v.errors = .03 }), false, 14 * time.Hour},
		{"5 points more errors", champion, of(func(v *service) { v.errors = .06 }), false, 75 * time.Minute},
		{"every request fails", champion, of(func(v *service) { v.errors = 1 }), false, 15 * time.Minute},
		{"2 times as slow", champion, of(func(v *service) { v.slowdown = 2 }), false, 36 * time.Hour},
		{"4 times as slow", champion, of(func(v *service) { v.slowdown = 4 }), false, time.Hour},
		{"predictions off by one standard deviation", champion, of(func(v *service) { v.shift = 1 }), false, 4 * time.Hour},
		{"predictions off by two standard deviations", champion, of(func(v *service) { v.shift = 2 }), false, time.Hour},
		{"5 points less accurate", champion, of(func(v *service) { v.wrong = .15 }), false, 24 * time.Hour},
		{"10 points less accurate", champion, of(func(v *service) { v.wrong = .2 }), false, 8 * time.Hour},
		{"7 % errors, over the absolute limit of 4 %, as the champion", of(func(v *service) { v.errors = .07 }), of(func(v *service) { v.errors = .07 }), false, 6 * time.Hour},
		{"p99 of 200 ms, over the absolute limit of 120 ms, as the champion", of(func(v *service) { v.slowdown = 4 }), of(func(v *service) { v.slowdown = 4 }), false, 2 * time.Hour},
	}
}

// canaryPage is where the numbers of this test stand. LEANLOOP_UPDATE_GOLDEN=1 writes them anew.
const canaryPage = "../../docs/canary.md"

// Good challengers are promoted, bad ones are not, and one that is bad by much is out within hours. The table in the
// documentation is measured, not remembered.
func TestThousandsOfCanariesEndAsTheyShould(t *testing.T) {
	runs := 1000
	if testing.Short() {
		runs = 30
	}
	rows := make([]string, len(kinds()))
	t.Run("kinds", func(t *testing.T) {
		for i, c := range kinds() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				rows[i] = c.simulate(t, runs, rand.New(rand.NewPCG(2013, uint64(i))))
			})
		}
	})
	if testing.Short() || t.Failed() {
		return
	}
	raw, err := os.ReadFile(canaryPage)
	require.NoError(t, err)
	const begin, end = "<!-- simulated: begin -->\n", "<!-- simulated: end -->"
	before, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok, begin)
	old, after, ok := strings.Cut(rest, end)
	require.True(t, ok, end)
	table := "| the challenger | promoted | rolled back | rolled back after (median, 95 %) |\n| --- | ---: | ---: | --- |\n" + strings.Join(rows, "")
	if os.Getenv("LEANLOOP_UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(canaryPage, []byte(before+begin+table+end+after), 0o644))
		return
	}
	require.Equal(t, table, old)
}

// simulate runs canaries of a kind, and gives their row of the table.
func (c kind) simulate(t *testing.T, runs int, r *rand.Rand) string {
	var rolledBack []time.Duration
	for range runs {
		if s := (traffic{aDay(), 3000, c.champion, c.challenger}).run(r); s.Outcome == RolledBack {
			rolledBack = append(rolledBack, s.Ended.Sub(t0))
		}
	}
	slices.Sort(rolledBack)
	took := ""
	if n := len(rolledBack); n > 0 {
		took = fmt.Sprintf("%s, %s", plainHours(rolledBack[n/2]), plainHours(rolledBack[min(n-1, n*95/100)]))
	}
	promoted := runs - len(rolledBack)
	if c.good {
		require.LessOrEqual(t, float64(len(rolledBack))/float64(runs), .05, "good ones rolled back")
	} else {
		require.LessOrEqual(t, float64(promoted)/float64(runs), .01, "bad ones promoted")
		require.LessOrEqual(t, rolledBack[len(rolledBack)/2], c.within)
	}
	return fmt.Sprintf("| %s | %d | %d | %s |\n", c.name, promoted, len(rolledBack), took)
}

// plainHours is a time as the page says it: 45 min, 7 h, 12.5 h.
func plainHours(d time.Duration) string {
	if d < 2*time.Hour {
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.4g h", d.Hours())
}
