package workflows_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

var (
	errAway = errors.New("connection refused")
	errLate = temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil)
)

func newCanary(t *testing.T) *stage {
	s := newStage(t, workflows.CanaryID(theModel))
	workflows.Register(s)
	return s
}

func theCanary() activities.CanaryInput {
	return activities.CanaryInput{Model: theModel, Version: 2, Champion: 1, Epoch: 3, Lifecycle: workflows.LifecycleID(theModel, 7), Spec: theSpec}
}

func (s *stage) canary(in activities.CanaryInput) (activities.CanaryResult, error) {
	s.t.Helper()
	s.ExecuteWorkflow(workflows.Canary, in)
	if !s.IsWorkflowCompleted() {
		s.t.Fatal("the canary didn't end")
	}
	var r activities.CanaryResult
	if err := s.GetWorkflowError(); err != nil {
		return r, err
	}
	return r, s.GetWorkflowResult(&r)
}

func (s *stage) steers(d time.Duration, action string) *answer {
	return s.update(d, workflows.UpdateSteer, action, workflows.Steer{Action: action, Actor: ana, Via: "cli", Reason: "seen enough"})
}

// weights are those set, without repetitions.
func (s *stage) weights() []float64 {
	var out []float64
	for _, in := range s.world.set.calls() {
		out = append(out, in.Weight)
	}
	return slices.Compact(out)
}

func TestCanaryEnds(t *testing.T) {
	for _, c := range []struct {
		name    string
		given   func(*stage)
		outcome string
		reason  string
		after   time.Duration
		weights []float64
		actor   string // of the rollback
	}{
		{
			name: "healthy traffic takes every step", outcome: activities.Promoted, reason: "all 2 steps passed",
			after: 2 * time.Hour, weights: []float64{0.1, 0.5},
		},
		{
			name: "a failing challenger is rolled back at the first look", given: func(s *stage) { s.world.served = failing },
			outcome: activities.RolledBack, reason: "error rate", after: 10 * time.Minute, weights: []float64{0.1},
			actor: "leanloop:canary/flight-delay",
		},
		{
			name: "one that starts failing at the second step too",
			given: func(s *stage) {
				s.world.served = func(in activities.MeasureInput) canary.Measurement {
					if in.State.Step == 1 {
						return failing(in)
					}
					return healthy(in)
				}
			},
			outcome: activities.RolledBack, reason: "error rate", after: 70 * time.Minute, weights: []float64{0.1, 0.5},
			actor: "leanloop:canary/flight-delay",
		},
		{
			name: "no data is never a success: the deadline rolls back", given: func(s *stage) { s.world.served = silent },
			outcome: activities.RolledBack, reason: "deadline", after: 6 * time.Hour, weights: []float64{0.1},
			actor: "leanloop:canary/flight-delay",
		},
		{
			name: "a person aborts", given: func(s *stage) { s.steers(25*time.Minute, "abort") },
			outcome: activities.RolledBack, reason: "aborted by cli:ana: seen enough", after: 25 * time.Minute, weights: []float64{0.1}, actor: ana,
		},
		{
			name: "a person promotes", given: func(s *stage) { s.steers(25*time.Minute, "promote") },
			outcome: activities.Promoted, reason: "promoted by cli:ana: seen enough", after: 25 * time.Minute, weights: []float64{0.1},
		},
		{
			name: "a person aborts by signal",
			given: func(s *stage) {
				s.after(25*time.Minute, func() {
					s.SignalWorkflow(workflows.SignalCanary, workflows.Steer{Action: "abort", Actor: ben, Via: "signal", Reason: "no"})
				})
			},
			outcome: activities.RolledBack, reason: "aborted by cli:ben: no", after: 25 * time.Minute, weights: []float64{0.1}, actor: ben,
		},
		{
			name:  "a pause holds the step, a resume goes on",
			given: func(s *stage) { s.steers(25*time.Minute, "pause"); s.steers(3*time.Hour, "resume") },
			// At the resume the step has been held long enough; the second one takes its hour.
			outcome: activities.Promoted, after: 4 * time.Hour, weights: []float64{0.1, 0.5},
		},
		{
			name: "a forgotten pause ends by the deadline", given: func(s *stage) { s.steers(25*time.Minute, "pause") },
			outcome: activities.RolledBack, reason: "deadline", after: 6 * time.Hour, weights: []float64{0.1},
			actor: "leanloop:canary/flight-delay", // not the person who paused
		},
		{
			name: "a failure in a pause rolls back",
			given: func(s *stage) {
				s.steers(25*time.Minute, "pause")
				s.after(40*time.Minute, func() { s.world.served = failing })
			},
			outcome: activities.RolledBack, reason: "error rate", after: 45 * time.Minute, weights: []float64{0.1}, actor: "leanloop:canary/flight-delay",
		},
		{
			name:    "workers that were away for a while cost looks, not the canary",
			given:   func(s *stage) { s.world.measure.fails(2, errLate) },
			outcome: activities.Promoted, after: 2 * time.Hour, weights: []float64{0.1, 0.5},
		},
		{
			name:    "workers that stay away end it by the deadline",
			given:   func(s *stage) { s.world.measure.fails(1000, errLate) },
			outcome: "", reason: "timed out", after: 6 * time.Hour, weights: []float64{0.1}, actor: "leanloop:canary/flight-delay",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newCanary(t)
			if c.given != nil {
				c.given(s)
			}
			r, err := s.canary(theCanary())
			want(t, "ended by an error", err != nil, c.outcome == "")
			want(t, "outcome", r.Outcome, c.outcome)
			s.wantTime("the end", s.Now().Sub(start), c.after, 3*time.Minute)
			wantAll(t, "weights", s.weights(), c.weights...)
			s.wantLeases(theCanary())
			back := s.world.rollback.calls()
			want(t, "rolled back", len(back) == 1, c.outcome != activities.Promoted)
			for _, b := range back {
				want(t, "version taken back", b.Version, 2)
				want(t, "actor", b.Actor, c.actor)
				wantText(t, "reason of the rollback", b.Reason, c.reason)
			}
			if c.outcome != "" {
				wantText(t, "reason", r.Reason, c.reason)
			}
			if c.outcome != activities.Promoted {
				want(t, "rollback confirmed", len(s.world.confirm.calls()), 1)
				want(t, "weight in the state", query[workflows.CanaryState](s).Weight, 0)
			}
		})
	}
}

// wantLeases checks every weight that was set: a key of its own, the first one starts, and the lease outlives two
// intervals of the moment it was asked for.
func (s *stage) wantLeases(in activities.CanaryInput) {
	s.t.Helper()
	keys := map[string]bool{}
	looks := s.world.measure.calls()
	at := start
	for i, set := range s.world.set.calls() {
		if len(looks) > len(s.world.set.calls()) { // lost looks, which were tried several times
			break
		}
		if keys[set.Key] {
			s.t.Errorf("key %s is used twice", set.Key)
		}
		keys[set.Key] = true
		want(s.t, "start", set.Start, in.Tick == 0 && i == 0)
		want(s.t, "run", set.Run, in.Lifecycle)
		want(s.t, "epoch", set.Epoch, in.Epoch)
		if lease := set.Lease.Sub(at); lease < 2*usual().Canary.Interval.D() {
			s.t.Errorf("lease %d is %s long, want two intervals at least", i, lease)
		}
		if i < len(looks) {
			at = looks[i].Now // the next weight is set right after this look
		}
	}
}

func TestSteeringIsRefused(t *testing.T) {
	steer := func(action, actor, why string) workflows.Steer {
		return workflows.Steer{Action: action, Actor: actor, Reason: why}
	}
	for _, c := range []struct {
		name  string
		steer workflows.Steer
		kind  string
		says  string
	}{
		{"without an actor", steer("abort", "", "no"), workflows.ErrorInvalid, "an actor"},
		{"without a reason", steer("abort", ana, ""), workflows.ErrorInvalid, "a reason"},
		{"to somewhere unknown", steer("left", ana, "no"), workflows.ErrorInvalid, `steer "left"`},
		{"to resume what isn't paused", steer("resume", ana, "go"), workflows.ErrorRefused, "isn't paused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newCanary(t)
			a := s.update(15*time.Minute, workflows.UpdateSteer, "1", c.steer)
			s.after(20*time.Minute, func() { s.SignalWorkflow(workflows.SignalCanary, c.steer) }) // alike, and nothing happens
			r, err := s.canary(theCanary())
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, a.rejected, c.kind, c.says)
			want(t, "outcome", r.Outcome, activities.Promoted)
		})
	}
	t.Run("before it has started", func(t *testing.T) {
		s := newCanary(t)
		s.world.settings.fails(3, errAway)
		a := s.update(time.Second, workflows.UpdateSteer, "1", steer("abort", ana, "no"))
		if _, err := s.canary(theCanary()); err != nil {
			t.Fatal(err)
		}
		wantError(t, a.rejected, workflows.ErrorRefused, "hasn't started")
	})
}

// A person who aborts while a look is taken goes before its judgement, and no weight is set any more.
func TestAPersonGoesBeforeALook(t *testing.T) {
	s := newCanary(t)
	look := s.world.measure.do
	s.world.measure.do = func(in activities.MeasureInput) (activities.MeasureOutput, error) {
		if len(s.world.measure.calls()) == 3 {
			s.UpdateWorkflow(workflows.UpdateSteer, "1", (&answer{}).callbacks(), workflows.Steer{Action: "abort", Actor: ana, Reason: "no"})
		}
		return look(in)
	}
	r, err := s.canary(theCanary())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.RolledBack)
	want(t, "reason", r.Reason, "aborted by cli:ana: no")
	want(t, "weights set", len(s.world.set.calls()), 3)
}

func TestCancellationTakesTrafficBack(t *testing.T) {
	t.Run("while it waits", func(t *testing.T) {
		s := newCanary(t)
		s.after(25*time.Minute, s.CancelWorkflow)
		_, err := s.canary(theCanary())
		want(t, "cancelled", temporal.IsCanceledError(err), true)
		want(t, "rollbacks", len(s.world.rollback.calls()), 1)
		want(t, "reason", s.world.rollback.calls()[0].Reason, "cancelled")
		want(t, "confirmed", len(s.world.confirm.calls()), 1)
	})
	t.Run("while a weight is being set", func(t *testing.T) {
		s := newCanary(t)
		s.world.set.do = func(activities.TrafficInput) (activities.LedgerOutput, error) {
			s.CancelWorkflow()
			return activities.LedgerOutput{}, errAway
		}
		_, err := s.canary(theCanary())
		want(t, "ended by an error", err != nil, true)
		want(t, "rollbacks", len(s.world.rollback.calls()), 1)
	})
	t.Run("of an execution that only goes on with an earlier one's weight", func(t *testing.T) {
		s := newCanary(t)
		s.world.settings.refuses(activities.ErrorSpec, "spec 5bec isn't there")
		in := theCanary()
		state := canary.New(usual().Canary, start)
		in.State, in.Tick = &state, 12
		_, err := s.canary(in)
		want(t, "ended by an error", err != nil, true)
		want(t, "rollbacks", len(s.world.rollback.calls()), 1)
	})
}

func TestARefusedWeightEndsTheCanary(t *testing.T) {
	s := newCanary(t)
	s.world.set.refuses(activities.ErrorConflict, "epoch is 4, expected 3")
	_, err := s.canary(theCanary())
	wantError(t, err, activities.ErrorConflict, "epoch is 4")
	want(t, "weights tried", len(s.world.set.calls()), 1)
	want(t, "rollbacks", len(s.world.rollback.calls()), 1)
}

// A store that is away for longer than a lease has ended the traffic by it; the canary goes on when it is back, under
// the same key, since an attempt that timed out may have been written.
func TestAStoreThatIsAwayBeyondTheLeaseDoesntEndTheCanary(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		times int
	}{
		"attempts that hang":        {errLate, 2},
		"attempts that are refused": {errAway, 40}, // every 30 s at the end, in a lease of 10 min 15 s
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCanary(t)
			s.world.set.fails(c.times, c.err)
			r, err := s.canary(theCanary())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "outcome", r.Outcome, activities.Promoted)
			calls := s.world.set.calls()
			first, written, next := calls[0], calls[c.times], calls[c.times+1]
			want(t, "key in the end", written.Key, first.Key)
			want(t, "start", written.Start, true)
			want(t, "a lease of its own", written.Lease.After(first.Lease), c.err == errAway) // the others took no time here
			want(t, "key after it", next.Key == written.Key, false)
		})
	}
}

func TestShortIntervalsStillLeaseForAWhile(t *testing.T) {
	s := newCanary(t)
	settings := usual()
	settings.Canary.Interval = spec.Duration(time.Second)
	settings.Canary.Steps = []spec.Step{{Weight: 0.2, Hold: spec.Duration(10 * time.Second), MinRequests: 1}}
	s.world.settings.answers(settings)
	if _, err := s.canary(theCanary()); err != nil {
		t.Fatal(err)
	}
	if lease := s.world.set.calls()[0].Lease.Sub(start); lease < 10*time.Second {
		t.Errorf("lease of %s: a worker that restarts would lose the canary's traffic", lease)
	}
}
