package canary

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

func TestAbsoluteLimitsAreOfTheChallengerAlone(t *testing.T) {
	limits := spec.CanaryLimits{ErrorRate: .02, LatencyP50MS: 10, LatencyP95MS: 20, LatencyP99MS: 50}
	for _, c := range []struct {
		name                 string
		champion, challenger Arm
		verdict              Verdict
		check                string
	}{
		{"within all", arm(9000, 0, .01), arm(1000, 0, .01), Pass, ""},
		{"a champion that fails as often is no excuse", arm(90000, 9000, .01), arm(10000, 1000, .01), Fail, "error_rate_limit"},
		{"a rate that may be chance", arm(9000, 225, .01), arm(1000, 25, .01), Inconclusive, "error_rate_limit"},
		{"a champion that is as slow is no excuse", arm(90000, 0, .06), arm(10000, 0, .06), Fail, "latency_p99_limit"},
		{"slow by few requests", arm(9000, 0, .06), arm(600, 0, .06), Inconclusive, "latency_p99_limit"},
		{"no data", arm(9000, 0, .01), arm(0, 0, 0), Inconclusive, "error_rate_limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := config()
			config.Limits, config.MaxErrorRate, config.MaxSlowdown = limits, 1, 0
			s, now := New(config, t0), t0.Add(2*time.Hour)
			_, _, j := Decide(s, look(s, now, c.champion, c.challenger), now)
			require.Equal(t, c.verdict, j.Verdict, "%+v", j.Checks)
			if c.check != "" {
				require.Equal(t, c.verdict, named(j, c.check).Verdict, "%+v", j.Checks)
				require.NotEmpty(t, named(j, c.check).Message)
			}
		})
	}
}

func TestALimitWithoutALatencyNeverPasses(t *testing.T) {
	c := config()
	c.Limits.LatencyP95MS = 20
	s, now := New(c, t0), t0.Add(2*time.Hour)
	a, b := arm(9000, 0, .01), arm(1000, 0, .01)
	a.LatencyP95, b.LatencyP95 = 0, 0
	_, action, j := Decide(s, look(s, now, a, b), now)
	require.Equal(t, Hold, action.Kind)
	require.Equal(t, Inconclusive, named(j, "latency_p95_limit").Verdict)

	c.Limits.LatencyP95MS = 0
	s = New(c, t0)
	_, action, j = Decide(s, look(s, now, a, b), now)
	require.Equal(t, Promote, action.Kind, "a source that only knows the 99th percentile is held to that")
	require.Equal(t, Inconclusive, named(j, "latency_p95").Verdict)
}

func TestEveryQuantileIsCompared(t *testing.T) {
	for _, q := range quantiles {
		a, b := arm(9000, 0, .01), arm(2000, 0, .01)
		slower := map[string]*float64{"p50": &b.LatencyP50, "p95": &b.LatencyP95, "p99": &b.LatencyP99}
		*slower[q.name] *= 3
		s, now := New(config(), t0), t0.Add(2*time.Hour)
		_, action, j := Decide(s, look(s, now, a, b), now)
		require.Equal(t, Rollback, action.Kind)
		require.Equal(t, "latency_"+q.name, decisive(j).Name)
	}
}

// However often one looks, a challenger that is exactly at its limits hardly ever fails them.
func TestAChallengerAtItsLimitsIsRarelyRolledBack(t *testing.T) {
	const runs, looks = 300, 40
	r := rand.New(rand.NewPCG(23, 29))
	c := config()
	c.MaxErrorRate, c.MaxSlowdown = 1, 0
	c.Limits = spec.CanaryLimits{ErrorRate: .05, LatencyP50MS: 4, LatencyP95MS: 15.2, LatencyP99MS: 15.84} // serve's own quantiles
	failed := 0
	for range runs {
		s, now := New(c, t0), t0
		b := Arm{Histogram: Histogram{Bounds: bounds, Counts: make([]int64, len(bounds)+1)}}
		for range looks {
			now = now.Add(time.Minute)
			for range 50 {
				serve(r, &b, .05, 0)
			}
			b.LatencyP50, b.LatencyP95, b.LatencyP99 = .0041, .0153, .0159
			if _, action, _ := Decide(s, look(s, now, arm(9000, 0, .01), b), now); action.Kind == Rollback {
				failed++
				break
			}
		}
	}
	require.LessOrEqual(t, float64(failed)/runs, falseAlarm+.01)
}
