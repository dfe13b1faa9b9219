package workflows_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// onFailure is usual with what a failed look leads to.
func onFailure(what string) activities.RunSettings {
	s := usual()
	s.Canary.OnFailure = what
	if what == spec.OnFailureAsk {
		s.Canary.AnswerWithin = hours(1)
	}
	return s
}

// failsUntil is a challenger that fails until a time after the start, and is healthy from then on.
func failsUntil(d time.Duration) func(activities.MeasureInput) canary.Measurement {
	return func(in activities.MeasureInput) canary.Measurement {
		if in.State.StepSince.Sub(start) < d {
			return failing(in)
		}
		return healthy(in)
	}
}

// actions are what the ledger was told about people and failures: what, by whom, at which weight.
func (s *stage) actions() []string {
	var out []string
	for _, in := range s.world.set.calls() {
		if in.Action != "" {
			out = append(out, fmt.Sprintf("%s by %s at %g", in.Action, in.Actor, in.Weight))
		}
	}
	return out
}

const itself = "leanloop:canary/flight-delay"

func TestAFailureDoesWhatTheSpecSays(t *testing.T) {
	for _, c := range []struct {
		name      string
		onFailure string
		given     func(*stage)
		outcome   string
		reason    string
		after     time.Duration
		weights   []float64
		actions   []string
		actor     string // of the rollback
		messages  []string
	}{
		{
			name: "pause: no user meets it from then on, and nobody who comes is the deadline's case", onFailure: spec.OnFailurePause,
			outcome: activities.RolledBack, reason: "nobody answered; error rate", after: 6 * time.Hour, weights: []float64{0.1, 0},
			actions: []string{"withdraw by " + itself + " at 0"}, actor: itself, messages: []string{"answered", "canary"},
		},
		{
			name: "pause: resumed, the step begins anew and may pass", onFailure: spec.OnFailurePause,
			given: func(s *stage) {
				s.world.served = failsUntil(30 * time.Minute)
				s.steers(30*time.Minute, "resume")
			},
			outcome: activities.Promoted, reason: "all 2 steps passed", after: 2*time.Hour + 30*time.Minute, weights: []float64{0.1, 0, 0.1, 0.5},
			actions: []string{"withdraw by " + itself + " at 0", "resume by cli:ana at 0.1"}, messages: []string{"answered", "canary"},
		},
		{
			name: "pause: resumed, and it fails again", onFailure: spec.OnFailurePause,
			given: func(s *stage) {
				s.world.served = failing
				s.steers(30*time.Minute, "resume")
				s.steers(50*time.Minute, "abort")
			},
			outcome: activities.RolledBack, reason: "aborted by cli:ana", after: 50 * time.Minute, weights: []float64{0.1, 0, 0.1, 0},
			actions: []string{"withdraw by " + itself + " at 0", "resume by cli:ana at 0.1", "withdraw by " + itself + " at 0"}, actor: ana,
			messages: []string{"answered", "answered", "canary", "canary"},
		},
		{
			name: "pause: a person promotes over it, by name", onFailure: spec.OnFailurePause,
			given:   func(s *stage) { s.world.served = failing; s.steers(30*time.Minute, "promote") },
			outcome: activities.Promoted, reason: "promoted by cli:ana: seen enough; over the failure: error rate", after: 30 * time.Minute,
			weights: []float64{0.1, 0}, actions: []string{"withdraw by " + itself + " at 0"}, messages: []string{"answered", "canary"},
		},
		{
			name: "pause: what a person paused fails, and is withdrawn", onFailure: spec.OnFailurePause,
			given: func(s *stage) {
				s.world.served = healthy
				s.steers(25*time.Minute, "pause")
				s.after(40*time.Minute, func() { s.world.served = failing })
				s.steers(60*time.Minute, "abort")
			},
			outcome: activities.RolledBack, reason: "aborted", after: time.Hour, weights: []float64{0.1, 0},
			actions: []string{"pause by cli:ana at 0.1", "withdraw by " + itself + " at 0"}, actor: ana, messages: []string{"answered", "canary"},
		},
		{
			name: "ask: the weight stays, and without an answer it is rolled back", onFailure: spec.OnFailureAsk,
			outcome: activities.RolledBack, reason: "nobody answered within 1h0m0s", after: 70 * time.Minute, weights: []float64{0.1},
			actions: []string{"ask by " + itself + " at 0.1"}, actor: itself, messages: []string{"answered", "canary"},
		},
		{
			name: "ask: an answer to go on begins the step anew", onFailure: spec.OnFailureAsk,
			given: func(s *stage) {
				s.world.served = failsUntil(20 * time.Minute)
				s.steers(20*time.Minute, "resume")
			},
			outcome: activities.Promoted, after: 2*time.Hour + 20*time.Minute, weights: []float64{0.1, 0.5},
			actions: []string{"ask by " + itself + " at 0.1", "resume by cli:ana at 0.1"}, messages: []string{"answered", "canary"},
		},
		{
			name: "ask: an answer to stop", onFailure: spec.OnFailureAsk,
			given:   func(s *stage) { s.world.served = failing; s.steers(40*time.Minute, "abort") },
			outcome: activities.RolledBack, reason: "aborted by cli:ana: seen enough", after: 40 * time.Minute, weights: []float64{0.1},
			actions: []string{"ask by " + itself + " at 0.1"}, actor: ana, messages: []string{"answered", "canary"},
		},
		{
			name: "ask: workers that are lost meanwhile don't lengthen the time to answer", onFailure: spec.OnFailureAsk,
			given: func(s *stage) {
				s.world.served = failing
				do := s.world.measure.do
				s.world.measure.do = func(in activities.MeasureInput) (activities.MeasureOutput, error) {
					if in.State.Failed != nil {
						return activities.MeasureOutput{}, errLate
					}
					return do(in)
				}
			},
			outcome: "", reason: "timed out", after: 70 * time.Minute, weights: []float64{0.1},
			actions: []string{"ask by " + itself + " at 0.1"}, actor: itself, messages: []string{"answered", "canary"},
		},
		{
			name: "a later deadline is waited for", onFailure: spec.OnFailureRollback,
			given: func(s *stage) {
				s.world.served = silent
				s.update(5*time.Hour, workflows.UpdateSteer, "1", workflows.Steer{Action: "extend", Actor: ana, Reason: "the feed is late", Deadline: 6 * time.Hour})
			},
			outcome: activities.RolledBack, reason: "reached after 12h0m0s", after: 12 * time.Hour, weights: []float64{0.1},
			actions: []string{"extend by cli:ana at 0.1"}, actor: itself,
		},
		{
			name: "a longer hold is held", onFailure: spec.OnFailureRollback,
			given: func(s *stage) {
				s.world.served = healthy
				s.update(30*time.Minute, workflows.UpdateSteer, "1", workflows.Steer{Action: "extend", Actor: ana, Reason: "let's see", Hold: 2 * time.Hour})
			},
			outcome: activities.Promoted, after: 4 * time.Hour, weights: []float64{0.1, 0.5}, actions: []string{"extend by cli:ana at 0.1"},
		},
		{
			name: "what people do in the last moments is in the ledger too", onFailure: spec.OnFailureRollback,
			given: func(s *stage) {
				s.world.served = healthy
				s.steers(25*time.Minute, "pause")
				s.steers(25*time.Minute, "abort")
			},
			outcome: activities.RolledBack, reason: "aborted by cli:ana", after: 25 * time.Minute, weights: []float64{0.1, 0},
			actions: []string{"pause by cli:ana at 0"}, actor: ana,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newCanary(t)
			s.world.settings.answers(onFailure(c.onFailure))
			s.world.served = failing
			if c.given != nil {
				c.given(s)
			}
			r, err := s.canary(theCanary())
			want(t, "ended by an error", err != nil, c.outcome == "")
			want(t, "outcome", r.Outcome, c.outcome)
			if c.outcome != "" {
				wantText(t, "reason", r.Reason, c.reason)
			}
			s.wantTime("the end", s.Now().Sub(start), c.after, 3*time.Minute)
			wantAll(t, "weights", s.weights(), c.weights...)
			wantAll(t, "in the ledger", s.actions(), c.actions...)
			wantAll(t, "messages", s.kinds(), c.messages...)
			want(t, "rolled back", len(s.world.rollback.calls()) == 1, c.outcome != activities.Promoted)
			for _, b := range s.world.rollback.calls() {
				want(t, "actor", b.Actor, c.actor)
			}
			for _, set := range s.world.set.calls() {
				want(t, "reason with every action", set.Action != "" && set.Reason == "", false)
			}
		})
	}
}

// The weight is gone in the same breath as the failure was seen, and the message says what to do.
func TestAPauseTakesTheTrafficBeforeAnythingElse(t *testing.T) {
	s := newCanary(t)
	s.world.settings.answers(onFailure(spec.OnFailurePause))
	s.world.served = failing
	s.steers(30*time.Minute, "abort")
	s.after(15*time.Minute, func() {
		state := query[workflows.CanaryState](s)
		want(t, "weight while it waits", state.Weight, 0)
		want(t, "withdrawn", state.State.Failed != nil && state.State.Failed.Withdrawn, true)
		want(t, "checks to look at", state.Last != nil && len(state.Last.Checks) > 3, true)
	})
	if _, err := s.canary(theCanary()); err != nil {
		t.Fatal(err)
	}
	m := s.message(activities.MessageCanary)
	want(t, "version", m.Canary.Version, 2)
	want(t, "failure", m.Canary.Failed != nil, true)
	second := s.world.set.calls()[1]
	want(t, "weight of the second entry", second.Weight, 0)
	want(t, "when", second.Lease.Sub(start), 10*time.Minute+2*10*time.Minute+15*time.Second)
	answer := s.message(activities.MessageAnswered)
	wantText(t, "answer", answer.Canary.Answer, "abort by cli:ana: seen enough")
	want(t, "takes the message's place", answer.Replace != nil, true)
}

// A person who steers while a look is on its way goes before it; the look is taken again at once, so that a failure isn't
// put off for an interval.
func TestAFailureIsSeenAtOnceAfterAPersonSteersIntoItsLook(t *testing.T) {
	s := newCanary(t)
	s.world.settings.answers(onFailure(spec.OnFailurePause))
	s.world.served = failing
	look := s.world.measure.do
	s.world.measure.do = func(in activities.MeasureInput) (activities.MeasureOutput, error) {
		if len(s.world.measure.calls()) == 1 {
			s.UpdateWorkflow(workflows.UpdateSteer, "1", (&answer{}).callbacks(), workflows.Steer{Action: "pause", Actor: ana, Reason: "storm"})
		}
		return look(in)
	}
	s.steers(15*time.Minute, "abort")
	if _, err := s.canary(theCanary()); err != nil {
		t.Fatal(err)
	}
	looks := s.world.measure.calls()
	s.wantTime("the look after it", looks[1].Now.Sub(looks[0].Now), 0, time.Second)
	wantAll(t, "in the ledger", s.actions(), "pause by cli:ana at 0.1", "withdraw by "+itself+" at 0")
}

// A person who resumes before the withdrawal is written comes after it in the ledger too.
func TestAResumeThatOvertakesTheWithdrawalIsWrittenAfterIt(t *testing.T) {
	s := newCanary(t)
	s.world.settings.answers(onFailure(spec.OnFailurePause))
	s.world.served = failsUntil(10 * time.Minute)
	do, late := s.world.set.do, false
	s.world.set.do = func(in activities.TrafficInput) (activities.LedgerOutput, error) {
		if in.Action == "withdraw" && !late {
			late = true
			s.UpdateWorkflow(workflows.UpdateSteer, "1", (&answer{}).callbacks(), workflows.Steer{Action: "resume", Actor: ana, Reason: "a flaky host"})
			return activities.LedgerOutput{}, errLate
		}
		return do(in)
	}
	r, err := s.canary(theCanary())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Promoted)
	wantAll(t, "in the ledger", s.actions(), "withdraw by "+itself+" at 0", "withdraw by "+itself+" at 0", "resume by cli:ana at 0.1")
}

// Of two answers in one moment the first one counts, and the other is told so.
func TestOfTwoAnswersTheFirstCounts(t *testing.T) {
	for _, order := range [][2]string{{"abort", "resume"}, {"promote", "abort"}, {"resume", "resume"}} {
		s := newCanary(t)
		s.world.settings.answers(onFailure(spec.OnFailureAsk))
		s.world.served = failsUntil(25 * time.Minute)
		first, second := s.steers(25*time.Minute, order[0]), &answer{}
		s.after(25*time.Minute, func() {
			s.UpdateWorkflow(workflows.UpdateSteer, "second", second.callbacks(), workflows.Steer{Action: order[1], Actor: ben, Reason: "mine"})
		})
		r, err := s.canary(theCanary())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "first refused", first.refusal(), nil)
		wantError(t, second.refusal(), workflows.ErrorRefused, "refused")
		want(t, "rolled back", r.Outcome == activities.RolledBack, order[0] == "abort")
	}
}

// A worker of an earlier release that doesn't know of failures can't give the traffic back.
func TestAFailureOutlivesAWorkerThatDoesntKnowOfIt(t *testing.T) {
	s := newCanary(t)
	s.world.settings.answers(onFailure(spec.OnFailurePause))
	s.world.served = failing
	do := s.world.measure.do
	s.world.measure.do = func(in activities.MeasureInput) (activities.MeasureOutput, error) {
		if in.State.Failed != nil {
			in.State.Failed = nil
			return activities.MeasureOutput{State: in.State, Action: canary.Action{Kind: canary.Hold, Weight: 0.1}}, nil
		}
		return do(in)
	}
	s.steers(2*time.Hour, "abort")
	if _, err := s.canary(theCanary()); err != nil {
		t.Fatal(err)
	}
	wantAll(t, "weights", s.weights(), 0.1, 0)
}

func TestExtendingIsBounded(t *testing.T) {
	for _, c := range []struct {
		name  string
		steer workflows.Steer
		says  string
	}{
		{"by nothing", workflows.Steer{}, "want more than nothing"},
		{"backwards", workflows.Steer{Deadline: -time.Hour, Hold: 2 * time.Hour}, "deadline by -1h0m0s"},
		{"past thirty days", workflows.Steer{Deadline: 30 * 24 * time.Hour}, "is over the limit: 2026-04-14T08:00:00Z, 720h0m0s after the start"},
		{"a hold that the deadline cuts off", workflows.Steer{Hold: 5 * time.Hour}, "extend the deadline first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newCanary(t)
			c.steer.Action, c.steer.Actor, c.steer.Reason = "extend", ana, "more"
			a := s.update(15*time.Minute, workflows.UpdateSteer, "1", c.steer)
			if _, err := s.canary(theCanary()); err != nil {
				t.Fatal(err)
			}
			wantError(t, a.rejected, workflows.ErrorRefused, c.says)
			wantAll(t, "in the ledger", s.actions())
		})
	}
}

// A canary that waits for people carries what it waits for over.
func TestAFailureSurvivesContinueAsNew(t *testing.T) {
	s := newCanary(t)
	s.world.settings.answers(onFailure(spec.OnFailurePause))
	s.world.served = failing
	s.after(45*time.Minute, func() { s.SetContinueAsNewSuggested(true) })
	_, err := s.canary(theCanary())
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		t.Fatalf("ended by %v, want continue-as-new", err)
	}
	next := theCanary()
	decodeInput(t, again, &next)
	want(t, "withdrawn", next.State.Failed != nil && next.State.Failed.Withdrawn, true)
	want(t, "message", next.Asked != nil, true)
	want(t, "last look", next.Last != nil, true)

	second := newCanary(t)
	second.SetStartTime(s.Now())
	second.world.settings.answers(onFailure(spec.OnFailurePause))
	second.steers(10*time.Minute, "abort")
	r, err := second.canary(next)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.RolledBack)
	wantAll(t, "weights", second.weights(), 0)
	want(t, "the message's place is taken", second.message(activities.MessageAnswered).Replace.ID, next.Asked.Ref.ID)
}

// A chat that is away holds up neither the traffic nor the end.
func TestAChatThatIsAwayHoldsNothingUp(t *testing.T) {
	s := newCanary(t)
	s.world.settings.answers(onFailure(spec.OnFailurePause))
	s.world.served = failing
	s.world.send.fails(1000, errAway)
	s.steers(30*time.Minute, "abort")
	r, err := s.canary(theCanary())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.RolledBack)
	s.wantTime("the end", s.Now().Sub(start), 31*time.Minute, time.Minute)
}

func TestLabelsAreReadBesideTheLooks(t *testing.T) {
	judged := func(required bool) activities.RunSettings {
		s := usual()
		s.Canary.Quality = &spec.CanaryQuality{Metric: "accuracy", MaxLoss: 0.02, MinRows: 100, Required: required}
		return s
	}
	labelled := func(wrong float64) func(activities.CanaryQualityInput) (canary.Quality, error) {
		return func(in activities.CanaryQualityInput) (canary.Quality, error) {
			n := in.To.Sub(in.From).Seconds()
			arm := func(rate float64) canary.Labelled {
				return canary.Labelled{Rows: int64(n), Sum: float64(int64(n * rate)), Squares: float64(int64(n * rate))}
			}
			return canary.Quality{From: in.From, At: in.To, Metric: in.Quality.Metric, Champion: arm(0.1), Challenger: arm(wrong)}, nil
		}
	}
	for _, c := range []struct {
		name     string
		required bool
		given    func(*stage)
		outcome  string
		reason   string
		after    time.Duration
	}{
		{"labels that agree with both", true, func(s *stage) { s.world.labels.do = labelled(0.1) }, activities.Promoted, "all 2 steps", 2 * time.Hour},
		{"labels that say it is worse", false, func(s *stage) { s.world.labels.do = labelled(0.3) }, activities.RolledBack, "quality: accuracy 0.7", 20 * time.Minute},
		{"no labels hold nothing up", false, nil, activities.Promoted, "all 2 steps", 2 * time.Hour},
		{"unless they are required", true, nil, activities.RolledBack, "0 labelled answers of the challenger < canary.quality.min_rows 100", 6 * time.Hour},
		{"labels that can't be read are no success", false, func(s *stage) {
			s.world.labels.refuses(activities.ErrorCorrupt, "signature.json: digest")
		}, activities.RolledBack, "quality: signature.json: digest", 6 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newCanary(t)
			s.world.settings.answers(judged(c.required))
			if c.given != nil {
				c.given(s)
			}
			r, err := s.canary(theCanary())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "outcome", r.Outcome, c.outcome)
			wantText(t, "reason", r.Reason, c.reason)
			s.wantTime("the end", s.Now().Sub(start), c.after, 3*time.Minute)
			if calls := s.world.labels.calls(); len(calls) < 2 || len(calls) > len(s.world.measure.calls())+1 {
				t.Errorf("%d readings in %d looks", len(calls), len(s.world.measure.calls()))
			}
		})
	}
}
