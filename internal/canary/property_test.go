package canary

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

func drawConfig(t *rapid.T) spec.Canary {
	c := spec.Canary{OnFailure: "rollback",
		Interval:     spec.Duration(rapid.Int64Range(int64(time.Second), int64(10*time.Minute)).Draw(t, "interval")),
		MaxErrorRate: spec.Percent(rapid.Float64Range(0, .1).Draw(t, "max error rate")),
		MaxSlowdown:  rapid.Float64Range(1, 3).Draw(t, "max slowdown")}
	weight := 0.0
	var total time.Duration
	for range rapid.IntRange(1, 4).Draw(t, "steps") {
		weight += rapid.Float64Range(.01, .25).Draw(t, "weight")
		hold := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "hold"))
		total += hold
		c.Steps = append(c.Steps, spec.Step{Weight: spec.Percent(weight), Hold: spec.Duration(hold),
			MinRequests: rapid.IntRange(1, 2000).Draw(t, "min requests")})
	}
	c.Deadline = spec.Duration(total + time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "slack")))
	return c
}

func drawArm(t *rapid.T, name string) Arm {
	n := rapid.Int64Range(0, 5000).Draw(t, name+" requests")
	return Arm{Requests: n, Errors: rapid.Int64Range(-1, n+1).Draw(t, name+" errors"),
		LatencyP99: rapid.Float64Range(0, 1).Draw(t, name+" p99")}
}

// Whatever is measured, a canary that is looked at by its own timetable ends by its deadline, and is never promoted by
// a look that didn't pass.
func TestCanaryAlwaysEndsByItsDeadline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(drawConfig(t), t0)
		now := t0
		for i := 0; !s.Over(); i++ {
			now = s.NextLook(now)
			if i > 50 { // long timetables: skip ahead, as an outage would
				now = s.Deadline
			}
			m := look(s, now, drawArm(t, "champion"), drawArm(t, "challenger"))
			m.Stale = rapid.Bool().Draw(t, "stale")
			before := s
			next, action, j := Decide(s, m, now)
			if m.Stale && j.Verdict != Inconclusive {
				t.Fatalf("a stale look is %s", j.Verdict)
			}
			if (action.Kind == Advance || action.Kind == Promote) && j.Verdict != Pass {
				t.Fatalf("%s on a look that is %s", action.Kind, j.Verdict)
			}
			if action.Kind == Advance && action.Weight <= before.Weight() {
				t.Fatalf("advanced from %v to %v", before.Weight(), action.Weight)
			}
			if action.Weight != next.Weight() {
				t.Fatalf("action sets %v, state says %v", action.Weight, next.Weight())
			}
			s = next
		}
		if now.After(s.Deadline) {
			t.Fatalf("ended at %s, after the deadline %s", now, s.Deadline)
		}
	})
}

// simulation is a canary under traffic whose true rates are known.
type simulation struct {
	config               spec.Canary
	perInterval          int     // requests of both arms together
	champion, challenger float64 // true error rates
	slow                 float64 // share of challenger requests that are ten times slower than the champion's p99
}

var bounds = []float64{.001, .002, .004, .008, .016, .032, .064, .128}

func (m simulation) run(r *rand.Rand) State {
	s := New(m.config, t0)
	var a, b Arm
	reset := func() {
		a = Arm{Histogram: Histogram{Bounds: bounds, Counts: make([]int64, len(bounds)+1)}}
		b = Arm{Histogram: Histogram{Bounds: bounds, Counts: make([]int64, len(bounds)+1)}}
	}
	reset()
	for now := t0; !s.Over(); {
		now = s.NextLook(now)
		for range m.perInterval {
			if r.Float64() < s.Weight() {
				serve(r, &b, m.challenger, m.slow)
			} else {
				serve(r, &a, m.champion, 0)
			}
		}
		a.LatencyP99, b.LatencyP99 = p99Of(a.Histogram), p99Of(b.Histogram)
		var action Action
		s, action, _ = Decide(s, look(s, now, a, b), now)
		if action.Kind == Advance {
			reset()
		}
	}
	return s
}

// serve has latencies that are log-uniform over 1 to 16 ms.
func serve(r *rand.Rand, a *Arm, errors, slow float64) {
	a.Requests++
	if r.Float64() < errors {
		a.Errors++
	}
	i := 1 + r.IntN(4)
	if r.Float64() < slow {
		i = len(bounds) - 1
	}
	a.Histogram.Counts[i]++
}

func p99Of(h Histogram) float64 { return quantileOf(h, .99) }

// quantileOf is the upper bound of the bucket that a quantile is in.
func quantileOf(h Histogram, q float64) float64 {
	var total, below int64
	for _, n := range h.Counts {
		total += n
	}
	for i, n := range h.Counts {
		below += n
		if n > 0 && float64(below) >= q*float64(total) {
			return h.Bounds[min(i, len(h.Bounds)-1)]
		}
	}
	return 0
}

func twoSteps() spec.Canary {
	return config(spec.Step{Weight: .1, Hold: spec.Duration(time.Hour), MinRequests: 300},
		spec.Step{Weight: .5, Hold: spec.Duration(time.Hour), MinRequests: 1000})
}

func outcomes(m simulation, runs int) map[Outcome]int {
	r := rand.New(rand.NewPCG(7, 11))
	count := map[Outcome]int{}
	for range runs {
		count[m.run(r).Outcome]++
	}
	return count
}

func TestPerfectChallengerWithTrafficIsAlwaysPromoted(t *testing.T) {
	m := simulation{config: twoSteps(), perInterval: 400}
	require.Equal(t, map[Outcome]int{Promoted: 50}, outcomes(m, 50))
}

func TestGoodChallengersAreRarelyRolledBack(t *testing.T) {
	for name, rates := range map[string][2]float64{
		"as good as the champion": {.02, .02}, "slightly worse, within the bound": {.02, .024}, "better": {.05, .03},
	} {
		t.Run(name, func(t *testing.T) {
			m := simulation{config: twoSteps(), perInterval: 400, champion: rates[0], challenger: rates[1]}
			require.LessOrEqual(t, outcomes(m, 100)[RolledBack], 2)
		})
	}
}

func TestBadChallengersAreRolledBackAndNeverPromoted(t *testing.T) {
	for name, m := range map[string]simulation{
		"ten percent of errors":        {champion: .01, challenger: .10},
		"three percent over the bound": {champion: .01, challenger: .05},
		"every twentieth is slow":      {champion: .01, challenger: .01, slow: .05},
	} {
		t.Run(name, func(t *testing.T) {
			m.config, m.perInterval = twoSteps(), 400
			require.Equal(t, map[Outcome]int{RolledBack: 50}, outcomes(m, 50))
		})
	}
}

func TestChallengerThatFailsEveryRequestIsCaughtAtTheFirstLooks(t *testing.T) {
	m := simulation{config: twoSteps(), perInterval: 250, challenger: 1}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		s := m.run(r)
		require.Equal(t, RolledBack, s.Outcome)
		require.LessOrEqual(t, s.Ended.Sub(t0), 10*time.Minute)
	}
}

// skewed are latencies as servers have them: log-normal, the 99th percentile 33 times the median, counted in buckets that
// are a fifth wide.
func skewed(r *rand.Rand, n int) Arm {
	h := Histogram{Bounds: make([]float64, 60)}
	for i := range h.Bounds {
		h.Bounds[i] = .0005 * math.Exp2(float64(i)/4)
	}
	h.Counts = make([]int64, len(h.Bounds)+1)
	for range n {
		i, _ := slices.BinarySearch(h.Bounds, .005*math.Exp(1.5*r.NormFloat64()))
		h.Counts[i]++
	}
	return Arm{Requests: int64(n), LatencyP99: p99Of(h), Histogram: h}
}

// The champion's percentile is an estimate too: at high weights it has few requests, and its tail is luck.
func TestACanaryIsNotRolledBackForTheChampionsLuck(t *testing.T) {
	const runs = 400
	r := rand.New(rand.NewPCG(13, 17))
	failed := 0
	for range runs {
		s := New(config(spec.Step{Weight: .95, Hold: spec.Duration(time.Hour), MinRequests: 1000}), t0)
		now := t0.Add(30 * time.Minute)
		if _, action, _ := Decide(s, look(s, now, skewed(r, 60), skewed(r, 3000)), now); action.Kind == Rollback {
			failed++
		}
	}
	require.LessOrEqual(t, float64(failed)/runs, falseAlarm)
}

// The bound is valid at all looks together: that is what keeps a verdict from flapping.
func TestRateBoundsHoldAtEveryLookTogether(t *testing.T) {
	const alpha, runs, trials = .05, 200, 300
	r := rand.New(rand.NewPCG(3, 5))
	for _, p := range []float64{.01, .2, .5, .97} {
		missed := 0
		for range runs {
			var k int64
			for n := int64(1); n <= trials; n++ {
				if r.Float64() < p {
					k++
				}
				if low, high := rateBounds(k, n, alpha); p < low || p > high {
					missed++
					break
				}
			}
		}
		require.LessOrEqual(t, float64(missed)/runs, alpha, "rate %v", p)
	}
}

func TestRateBoundsEncloseWhatWasSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<40).Draw(t, "n")
		k := rapid.Int64Range(0, n).Draw(t, "k")
		low, high := rateBounds(k, n, rapid.Float64Range(1e-6, .5).Draw(t, "alpha"))
		if !(0 <= low && low <= high && high <= 1) {
			t.Fatalf("%d of %d: [%v, %v]", k, n, low, high)
		}
		if n > 0 && (float64(k)/float64(n) < low-1e-12 || float64(k)/float64(n) > high+1e-12) {
			t.Fatalf("%d of %d: [%v, %v] leaves out what was seen", k, n, low, high)
		}
	})
}
