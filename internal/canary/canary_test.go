package canary

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

var t0 = time.Date(2013, 6, 1, 12, 0, 0, 0, time.UTC)

func config(steps ...spec.Step) spec.Canary {
	if len(steps) == 0 {
		steps = []spec.Step{{Weight: 0.1, Hold: spec.Duration(time.Hour), MinRequests: 500}}
	}
	return spec.Canary{Steps: steps, Interval: spec.Duration(5 * time.Minute), Deadline: spec.Duration(6 * time.Hour),
		OnFailure: "rollback", MaxErrorRate: 0.01, MaxSlowdown: 1.5}
}

// arm has the given requests and errors, and every latency at p99.
func arm(requests, errors int64, p99 float64) Arm {
	return Arm{Requests: requests, Errors: errors, LatencyP50: p99 / 2, LatencyP95: p99 * 0.9, LatencyP99: p99}
}

// look measures s's window at the given time.
func look(s State, now time.Time, champion, challenger Arm) Measurement {
	from, to := s.Window(now)
	return Measurement{From: from, To: to, Champion: champion, Challenger: challenger}
}

func TestVerdictOfOneLook(t *testing.T) {
	cases := []struct {
		name       string
		champion   Arm
		challenger Arm
		verdict    Verdict
		check      string
	}{
		{"equal arms with enough requests pass", arm(9000, 90, .01), arm(1000, 10, .01), Pass, ""},
		{"an excess below the bound passes", arm(9000, 90, .01), arm(1000, 15, .01), Pass, ""},
		{"fifty requests that all fail are a failure", arm(450, 0, .01), arm(50, 50, .01), Fail, "error_rate"},
		{"half of fifty requests failing is a failure", arm(450, 4, .01), arm(50, 25, .01), Fail, "error_rate"},
		{"ten failures in ten requests are too few to judge", arm(90, 0, .01), arm(10, 10, .01), Inconclusive, "error_rate"},
		{"an excess that may be chance is inconclusive", arm(9000, 90, .01), arm(1000, 25, .01), Inconclusive, "error_rate"},
		{"an excess that is certain is a failure", arm(90000, 900, .01), arm(10000, 400, .01), Fail, "error_rate"},
		{"errors that both arms share are no failure", arm(9000, 4500, .01), arm(1000, 500, .01), Pass, ""},
		{"too few challenger requests are inconclusive", arm(9000, 90, .01), arm(499, 4, .01), Inconclusive, "requests"},
		{"no request at all is inconclusive", arm(9000, 90, .01), arm(0, 0, 0), Inconclusive, "error_rate"},
		{"a champion without traffic is inconclusive", arm(3, 0, .01), arm(1000, 0, .01), Inconclusive, "error_rate"},
		{"twice the p99 over many requests is a failure", arm(9000, 0, .01), arm(1000, 0, .02), Fail, "latency_p99"},
		{"twice the p99 over few requests is inconclusive", arm(9000, 0, .01), arm(600, 0, .02), Inconclusive, "latency_p99"},
		{"ten times a tiny p99 is below the floor and passes", arm(9000, 0, .00002), arm(1000, 0, .0002), Pass, ""},
		{"a latency that nobody measured is inconclusive", arm(9000, 0, .01), arm(1000, 0, 0), Inconclusive, "latency_p99"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := New(config(), t0)
			now := t0.Add(2 * time.Hour)
			_, action, j := Decide(s, look(s, now, c.champion, c.challenger), now)
			require.Equal(t, c.verdict, j.Verdict, "%+v", j.Checks)
			want := map[Verdict]ActionKind{Pass: Promote, Fail: Rollback, Inconclusive: Hold}[c.verdict]
			require.Equal(t, want, action.Kind)
			if c.check != "" {
				require.Equal(t, c.check, decisive(j).Name, "%+v", j.Checks)
				require.Contains(t, action.Reason, decisive(j).Message)
			}
		})
	}
}

func decisive(j Judgement) Check {
	for _, c := range j.Checks {
		if c.decides(j.Verdict) {
			return c
		}
	}
	return Check{}
}

// named is the check of a look with this name.
func named(j Judgement, name string) Check {
	for _, c := range j.Checks {
		if c.Name == name {
			return c
		}
	}
	return Check{}
}

func TestHistogramCatchesASlowChallengerWithinFiftyRequests(t *testing.T) {
	bounds := []float64{.001, .002, .004, .008, .016, .032}
	champion := arm(450, 0, .002)
	champion.Histogram = Histogram{Bounds: bounds, Counts: []int64{200, 250, 0, 0, 0, 0, 0}}
	slow := arm(50, 0, .020)
	slow.Histogram = Histogram{Bounds: bounds, Counts: []int64{0, 0, 0, 0, 0, 50, 0}}
	s := New(config(), t0)
	now := t0.Add(5 * time.Minute)
	_, action, j := Decide(s, look(s, now, champion, slow), now)
	require.Equal(t, Rollback, action.Kind, "%+v", j.Checks)
	require.Contains(t, action.Reason, "latency p99 20 ms against the champion's 2 ms > 3 ms")
}

// A step that leaves the champion next to nothing is compared with what it did before, instead of waiting for the deadline.
func TestAChampionWithLittleTrafficIsComparedByAnEarlierStep(t *testing.T) {
	hour := spec.Duration(time.Hour)
	s := New(config(spec.Step{Weight: .1, Hold: hour, MinRequests: 100}, spec.Step{Weight: .99, Hold: hour, MinRequests: 100}), t0)
	now := t0.Add(time.Hour)
	s, action, _ := Decide(s, look(s, now, arm(1800, 0, .01), arm(200, 0, .01)), now)
	require.Equal(t, Advance, action.Kind)
	now = now.Add(time.Hour)
	for requests, want := range map[int64]string{5: "p99 10 ms against the champion's 10 ms", 30: "p99 10 ms against the champion's 10 ms", 60: "p99 10 ms against the champion's 9 ms"} {
		_, action, j := Decide(s, look(s, now, arm(requests, 0, .009), arm(3000, 0, .01)), now)
		require.Equal(t, Promote, action.Kind, "%+v", j.Checks)
		require.Contains(t, named(j, "latency_p99").Message, want)
	}
}

func TestMeasurementThatCantBeTrustedNeverPasses(t *testing.T) {
	good := func(s State, now time.Time) Measurement {
		return look(s, now, arm(9000, 0, .01), arm(1000, 0, .01))
	}
	cases := map[string]struct {
		change func(*Measurement)
		says   string
	}{
		"the store couldn't be read": {func(m *Measurement) { m.Stale, m.Problem = true, "influx: 503" }, "influx: 503"},
		"no data":                    {func(m *Measurement) { m.Stale = true }, "no measurement"},
		"another step's traffic":     {func(m *Measurement) { m.From = m.From.Add(-time.Hour) }, "this weight has been set since"},
		"a window that ends early":   {func(m *Measurement) { m.To = m.From.Add(-time.Second) }, "before its start"},
		"more errors than requests":  {func(m *Measurement) { m.Challenger.Errors = 1001 }, "1001 errors in 1000 requests"},
		"negative errors":            {func(m *Measurement) { m.Champion.Errors = -1 }, "-1 errors in 9000 requests"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := New(config(), t0)
			now := t0.Add(2 * time.Hour)
			m := good(s, now)
			c.change(&m)
			next, action, j := Decide(s, m, now)
			require.Equal(t, Inconclusive, j.Verdict)
			require.Equal(t, Hold, action.Kind)
			require.Contains(t, action.Reason, c.says)
			require.Equal(t, Counts{}, next.Seen)
		})
	}
}

func TestTrafficThatStoppedHoldsTheStep(t *testing.T) {
	s := New(config(), t0)
	m := func(now time.Time, n int64) Measurement { return look(s, now, arm(9*n, 0, .01), arm(n, 0, .01)) }
	s, _, _ = Decide(s, m(t0.Add(30*time.Minute), 1000), t0.Add(30*time.Minute))
	s, action, j := Decide(s, m(t0.Add(2*time.Hour), 1000), t0.Add(2*time.Hour))
	require.Equal(t, Inconclusive, j.Verdict)
	require.Equal(t, "no new challenger request since the last look (1000 so far)", action.Reason)
	s, action, _ = Decide(s, m(t0.Add(3*time.Hour), 900), t0.Add(3*time.Hour))
	require.Contains(t, action.Reason, "counts went back")
	_, action, _ = Decide(s, m(t0.Add(4*time.Hour), 1001), t0.Add(4*time.Hour))
	require.Equal(t, Promote, action.Kind)
}

func TestStepsAreTakenInOrderAndTheLastOnePromotes(t *testing.T) {
	hour := spec.Duration(time.Hour)
	s := New(config(spec.Step{Weight: .1, Hold: hour, MinRequests: 100}, spec.Step{Weight: .5, Hold: hour, MinRequests: 100},
		spec.Step{Weight: 1, Hold: hour, MinRequests: 100}), t0)
	require.Equal(t, .1, s.Weight())
	now := t0.Add(30 * time.Minute)
	s, action, j := Decide(s, look(s, now, arm(900, 0, .01), arm(200, 0, .01)), now)
	require.Equal(t, Pass, j.Verdict)
	require.Equal(t, Hold, action.Kind)
	require.Contains(t, action.Reason, "held 30m0s of 1h0m0s")

	now = now.Add(time.Hour)
	s, action, _ = Decide(s, look(s, now, arm(1800, 0, .01), arm(400, 0, .01)), now)
	require.Equal(t, Action{Kind: Advance, Weight: .5, Reason: "step 2 of 3: weight 0.5"}, action)
	require.Equal(t, now, s.StepSince)

	now = now.Add(time.Hour)
	s, action, _ = Decide(s, look(s, now, arm(400, 0, .01), arm(400, 0, .01)), now)
	require.Equal(t, 1.0, action.Weight)

	// At full weight the champion has no traffic left: what it did one step before is compared with.
	now = now.Add(time.Hour)
	_, bad, _ := Decide(s, look(s, now, Arm{}, arm(400, 100, .01)), now)
	require.Equal(t, Rollback, bad.Kind)
	s, action, _ = Decide(s, look(s, now, Arm{}, arm(400, 0, .01)), now)
	require.Equal(t, Promote, action.Kind)
	require.Equal(t, 1.0, s.Weight())

	again, repeated, _ := Decide(s, Measurement{Stale: true}, now.Add(time.Hour))
	require.Equal(t, s, again)
	require.Equal(t, action, repeated)
}

func TestDeadlineRollsBackWhateverTheLookSays(t *testing.T) {
	for name, m := range map[string]func(State, time.Time) Measurement{
		"no data": func(State, time.Time) Measurement { return Measurement{Stale: true} },
		"passing": func(s State, now time.Time) Measurement { return look(s, now, arm(9000, 0, .01), arm(1000, 0, .01)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := New(config(), t0)
			s, action, _ := Decide(s, m(s, s.Deadline), s.Deadline)
			require.Equal(t, Rollback, action.Kind)
			require.Zero(t, action.Weight)
			require.Equal(t, RolledBack, s.Outcome)
			require.Contains(t, s.Reason, "deadline 2013-06-01T18:00:00Z reached after 6h0m0s at step 1 of 1")
		})
	}
}

func TestPauseHoldsStepsButNeitherFailuresNorTheDeadline(t *testing.T) {
	s, err := Pause(New(config(), t0), "cli:ana", "storm")
	require.NoError(t, err)
	now := t0.Add(2 * time.Hour)
	good := look(s, now, arm(9000, 0, .01), arm(1000, 0, .01))

	held, action, j := Decide(s, good, now)
	require.Equal(t, Pass, j.Verdict)
	require.Equal(t, Action{Kind: Hold, Weight: .1, Reason: "paused by cli:ana: storm"}, action)

	_, action, _ = Decide(held, look(s, now, arm(9000, 0, .01), arm(1100, 900, .01)), now)
	require.Equal(t, Rollback, action.Kind)
	_, action, _ = Decide(held, good, s.Deadline)
	require.Equal(t, Rollback, action.Kind)

	resumed, err := Resume(held, "cli:bo", "storm is over", now)
	require.NoError(t, err)
	later := now.Add(time.Minute)
	_, action, _ = Decide(resumed, look(resumed, later, arm(9010, 0, .01), arm(1001, 0, .01)), later)
	require.Equal(t, Promote, action.Kind)
	_, err = Resume(resumed, "cli:bo", "", now)
	require.EqualError(t, err, "canary: resume refused: the canary isn't paused")
}

func TestPeopleEndACanaryOnce(t *testing.T) {
	s := New(config(), t0)
	aborted, action, err := Abort(s, "slack:U1", "wrong file", t0.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, Action{Kind: Rollback, Reason: "aborted by slack:U1: wrong file"}, action)
	require.Zero(t, aborted.Weight())

	_, again, err := PromoteNow(aborted, "cli:ana", "no, it is fine", t0.Add(2*time.Minute))
	var refused *Refused
	require.ErrorAs(t, err, &refused)
	require.EqualError(t, err, "canary: promote refused: the canary is rolled_back: aborted by slack:U1: wrong file")
	require.Equal(t, action, again)

	promoted, action, err := PromoteNow(s, "cli:ana", "holiday", t0.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, Promote, action.Kind)
	require.Equal(t, 1.0, promoted.Weight())
	_, _, err = PromoteNow(s, "cli:ana", "late", s.Deadline)
	require.ErrorContains(t, err, "the deadline was 2013-06-01T18:00:00Z")
}

func TestNextLookIsNeverAfterTheDeadline(t *testing.T) {
	s := New(config(), t0)
	require.Equal(t, t0.Add(5*time.Minute), s.NextLook(t0))
	require.Equal(t, s.Deadline, s.NextLook(s.Deadline.Add(-time.Minute)))
}

func TestStateStaysSmallAndSurvivesJSON(t *testing.T) {
	c := config(spec.Step{Weight: .1, Hold: spec.Duration(time.Hour), MinRequests: 1 << 40})
	c.Deadline = spec.Duration(1000 * time.Hour)
	s := New(c, t0)
	for i := range 500 {
		now := t0.Add(time.Duration(i+1) * time.Minute)
		n := int64(100 * (i + 1))
		s, _, _ = Decide(s, look(s, now, arm(9*n, n/100, .01), arm(n, n/80, .01)), now)
	}
	require.Len(t, s.Verdicts, maxVerdicts)
	b, err := json.Marshal(s)
	require.NoError(t, err)
	require.Less(t, len(b), 40<<10)
	var back State
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, s, back)
}
