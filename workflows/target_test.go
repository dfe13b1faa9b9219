package workflows_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/target"
	"github.com/leanloop/leanloop/workflows"
)

// drives makes the model one whose target a program drives, with a timeout of a minute. The target confirms.
func (s *stage) drives() *stage {
	settings := usual()
	settings.VerbTimeout = time.Minute
	s.world.settings.answers(settings)
	s.world.confirm.answers(activities.ConfirmOutput{Confirmed: true, Target: &activities.TargetView{Driven: true, Result: target.Result{
		Versions: []target.Version{{Version: 1, Weight: 0.9, ID: "16"}, {Version: 2, Weight: 0.1, ID: "17"}},
	}}})
	return s
}

// confirms replaces what the target answers to those that insist and to those that don't.
func (s *stage) confirms(do func(in activities.ConfirmInput) activities.ConfirmOutput) {
	s.world.confirm.do = func(in activities.ConfirmInput) (activities.ConfirmOutput, error) { return do(in), nil }
}

func away(activities.ConfirmInput) activities.ConfirmOutput {
	return activities.ConfirmOutput{Missing: []string{"exit code 1; its last lines: 429"}}
}

// judgesUnconfirmed is what Measure does with numbers of weights that nobody confirmed.
func (s *stage) judgesUnconfirmed() {
	s.world.measure.do = func(in activities.MeasureInput) (activities.MeasureOutput, error) {
		m := s.world.served(in)
		state, a, j := canary.Decide(in.State, m, in.Now)
		if in.Unconfirmed != "" && j.Verdict != canary.Fail {
			m.Stale, m.Problem = true, in.Unconfirmed
			state, a, j = canary.Decide(in.State, m, in.Now)
		}
		return activities.MeasureOutput{State: state, Action: a, Judgement: j}, nil
	}
}

func TestACanaryConfirmsEachWeightOfATarget(t *testing.T) {
	s := newCanary(t).drives()
	r, err := s.canary(theCanary())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Promoted)
	want(t, "confirmations", len(s.world.confirm.calls()), len(s.world.set.calls()))
	for _, c := range s.world.confirm.calls() {
		want(t, "spec", c.Spec, theSpec)
		want(t, "insists", c.Insist, false)
	}
	for _, m := range s.world.measure.calls() {
		want(t, "id of the challenger", m.IDs[2], "17")
		want(t, "unconfirmed", m.Unconfirmed, "")
	}
	for i, set := range s.world.set.calls() { // the lease outlives the confirmation, the interval and the one after it
		if lease := set.Lease.Sub(start.Add(time.Duration(i) * 10 * time.Minute)); lease < 30*time.Minute {
			t.Errorf("lease %d is %s long", i, lease)
		}
	}
}

func TestACanaryTellsWhetherItsTargetServesByTheWeight(t *testing.T) {
	s := newCanary(t).drives()
	var during []workflows.CanaryState
	s.world.confirm.takes = func(context.Context) error {
		during = append(during, query[workflows.CanaryState](s))
		return nil
	}
	s.world.served = healthy
	s.after(75*time.Minute, func() { s.world.served = failing })
	if _, err := s.canary(theCanary()); err != nil {
		t.Fatal(err)
	}
	first, again, back, end := during[0], during[1], during[len(during)-1], query[workflows.CanaryState](s)
	want(t, "driven", end.Driven, true)
	wantText(t, "until it reads back", first.Target, "on its way")
	want(t, "while it is only asked again", again.Target, "")
	want(t, "weight while traffic comes back", back.Weight, 0)
	wantText(t, "while traffic comes back", back.Target, "on its way")
	want(t, "at the end", end.Target, "")
	steps := 0
	for i, c := range during[1:] {
		if c.Weight != during[i].Weight {
			steps++
			wantText(t, "at another weight", c.Target, "on its way")
		}
	}
	want(t, "another weight, and none", steps, 2)
}

func TestACanaryOfATargetThatDoesntConfirm(t *testing.T) {
	t.Run("isn't promoted, and ends at its deadline", func(t *testing.T) {
		s := newCanary(t).drives()
		s.confirms(func(in activities.ConfirmInput) activities.ConfirmOutput {
			if in.Insist {
				return activities.ConfirmOutput{Confirmed: true}
			}
			return away(in)
		})
		s.judgesUnconfirmed()
		r, err := s.canary(theCanary())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, activities.RolledBack)
		wantText(t, "reason", r.Reason, "deadline")
		wantText(t, "reason", r.Reason, "429")
		calls := s.world.confirm.calls()
		want(t, "the end insists", calls[len(calls)-1].Insist, true)
		want(t, "after the deadline", s.Now().Sub(start) >= 6*time.Hour, true)
	})
	t.Run("goes on when it does again", func(t *testing.T) {
		s := newCanary(t).drives()
		do := s.world.confirm.do
		s.world.confirm.do = func(in activities.ConfirmInput) (activities.ConfirmOutput, error) {
			if len(s.world.confirm.calls()) <= 3 {
				return away(in), nil
			}
			return do(in)
		}
		s.judgesUnconfirmed()
		r, err := s.canary(theCanary())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, activities.Promoted)
	})
	t.Run("still sees a challenger that fails", func(t *testing.T) {
		s := newCanary(t).drives()
		s.confirms(func(in activities.ConfirmInput) activities.ConfirmOutput {
			if in.Insist {
				return activities.ConfirmOutput{Confirmed: true}
			}
			return away(in)
		})
		s.judgesUnconfirmed()
		s.world.served = failing
		r, err := s.canary(theCanary())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, activities.RolledBack)
		wantText(t, "reason", r.Reason, "error rate")
		s.wantTime("the end", s.Now().Sub(start), 10*time.Minute, 3*time.Minute)
	})
	t.Run("ends at once where its program refuses", func(t *testing.T) {
		s := newCanary(t).drives()
		s.confirms(func(in activities.ConfirmInput) activities.ConfirmOutput {
			out := away(in)
			out.Refused = !in.Insist
			return out
		})
		_, err := s.canary(theCanary())
		wantError(t, err, activities.ErrorTarget, "429")
		want(t, "rolled back", len(s.world.rollback.calls()), 1)
		wantText(t, "state", query[workflows.CanaryState](s).Target, "the target doesn't confirm its weights")
	})
}

func TestWhoAbortsIsntKeptWaitingByATarget(t *testing.T) {
	s := newCanary(t).drives()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	abort := &answer{}
	s.world.confirm.takes = func(ctx context.Context) error {
		if len(s.world.confirm.calls()) > 1 {
			return nil
		}
		s.UpdateWorkflow(workflows.UpdateSteer, "1", abort.callbacks(), workflows.Steer{Action: "abort", Actor: ana, Via: "cli", Reason: "seen enough"})
		select { // a program that hangs
		case <-ctx.Done():
		case <-over:
		}
		return ctx.Err()
	}
	r, err := s.canary(theCanary())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.RolledBack)
	want(t, "refusal", abort.refusal(), nil)
	s.wantTime("the end", s.Now().Sub(start), 0, time.Minute)
}

func TestGatewaysAreNeitherDeployedToNorDriven(t *testing.T) {
	s := newLifecycle(t)
	s.decides(time.Hour, approval.Approve, ana, 1)
	if _, err := s.lifecycle(theRun()); err != nil {
		t.Fatal(err)
	}
	want(t, "deployments", len(s.world.deploy.calls()), 0)
	for _, c := range s.world.confirm.calls() {
		want(t, "spec", c.Spec, "")
	}
}

func TestALifecycleDeploysBeforeAnyTraffic(t *testing.T) {
	for name, champion := range map[string]int{"before the canary": 1, "before the first promotion": 0} {
		t.Run(name, func(t *testing.T) {
			s := newLifecycle(t).drives()
			s.world.champion = champion
			s.world.deploy.do = func(activities.DeployInput) (activities.TargetView, error) {
				want(t, "weights set before", len(s.world.set.calls()), 0)
				want(t, "promotions before", len(s.world.promote.calls()), 0)
				return activities.TargetView{}, nil
			}
			s.decides(time.Hour, approval.Approve, ana, 1)
			r, err := s.lifecycle(theRun())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "outcome", r.Outcome, activities.Promoted)
			want(t, "deployments", len(s.world.deploy.calls()), 1)
			want(t, "version", s.world.deploy.calls()[0].Version, 2)
			calls := s.world.confirm.calls()
			want(t, "the promotion is confirmed by the target", calls[len(calls)-1].Spec, theSpec)
		})
	}
	t.Run("a deployment that is refused ends the run, and no traffic moves", func(t *testing.T) {
		s := newLifecycle(t).drives()
		s.world.deploy.refuses(activities.ErrorTarget, "no such function")
		s.decides(time.Hour, approval.Approve, ana, 1)
		r, _ := s.lifecycle(theRun())
		want(t, "outcome", r.Outcome, activities.Failed)
		wantText(t, "reason", r.Reason, "deployment of version 2: no such function")
		want(t, "weights", len(s.world.set.calls()), 0)
		want(t, "promotions", len(s.world.promote.calls()), 0)
	})
}

func TestALifecycleSaysLoudlyWhatATargetDoesntDo(t *testing.T) {
	for name, served := range map[string]func(activities.MeasureInput) canary.Measurement{activities.RolledBack: failing, activities.Promoted: healthy} {
		t.Run(name, func(t *testing.T) {
			s := newLifecycle(t).drives()
			do := s.world.confirm.do
			s.world.confirm.do = func(in activities.ConfirmInput) (activities.ConfirmOutput, error) {
				if in.Insist {
					return away(in), nil
				}
				return do(in)
			}
			s.world.served = served
			s.decides(time.Hour, approval.Approve, ana, 1)
			r, err := s.lifecycle(theRun())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "outcome", r.Outcome, name)
			wantText(t, "reason", r.Reason, "the target doesn't confirm its weights: exit code 1")
			told := s.world.send.calls()
			wantText(t, "people are told", told[len(told)-1].Text, "the target doesn't confirm")
		})
	}
}

func TestATargetIsLookedAfter(t *testing.T) {
	agrees := activities.TargetView{Model: theModel, Driven: true, At: start, Decided: start.Add(-time.Hour), Result: target.Result{Agrees: true}}
	moved, recent, broken := agrees, agrees, agrees
	moved.Moved, moved.Did = true, []string{"set version 1 100 %"}
	recent.Moved, recent.Decided = true, start.Add(-time.Minute)
	broken.Agrees, broken.Problem = false, "429"
	for _, c := range []struct {
		name  string
		in    activities.TargetCheckInput
		last  *activities.TargetCheck
		view  activities.TargetView
		tells []string
		told  bool
	}{
		{name: "one that does as decided is no news", view: agrees},
		{name: "a first failure may pass", view: broken},
		{name: "a second is told", last: &activities.TargetCheck{Failures: 1}, view: broken, tells: []string{activities.MessageAlert}, told: true},
		{name: "once", last: &activities.TargetCheck{Failures: 2, Told: true}, view: broken, told: true},
		{name: "its end too", last: &activities.TargetCheck{Failures: 5, Told: true}, view: moved, tells: []string{activities.MessageCalm}},
		{name: "what served otherwise is told", view: moved, tells: []string{activities.MessageRepaired}},
		{name: "a decision that a canary is at work on isn't", view: recent},
		{name: "who asks is answered, and nobody else", in: activities.TargetCheckInput{Asked: true}, last: &activities.TargetCheck{Failures: 1}, view: broken},
		{name: "gateways look after themselves", view: activities.TargetView{Model: theModel}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, "target/flight-delay")
			workflows.Register(s)
			s.world.check.answers(c.view)
			if c.last != nil {
				s.SetLastCompletionResult(*c.last)
			}
			c.in.Model = theModel
			s.ExecuteWorkflow(workflows.TargetCheck, c.in)
			if err := s.GetWorkflowError(); err != nil {
				t.Fatal(err)
			}
			var out activities.TargetCheck
			if err := s.GetWorkflowResult(&out); err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, m := range s.world.send.calls() {
				told = append(told, m.Kind)
				want(t, "monitor", m.Monitor, activities.MonitorTarget)
			}
			want(t, "told", strings.Join(told, ","), strings.Join(c.tells, ","))
			want(t, "people know", out.Told, c.told)
		})
	}
	t.Run("its end is told by the next check where a chat is down", func(t *testing.T) {
		s := newStage(t, "target/flight-delay")
		workflows.Register(s)
		s.world.check.answers(agrees)
		s.world.send.fails(1000, errLate)
		s.SetLastCompletionResult(activities.TargetCheck{Failures: 5, Told: true})
		s.ExecuteWorkflow(workflows.TargetCheck, activities.TargetCheckInput{Model: theModel})
		var out activities.TargetCheck
		if err := s.GetWorkflowResult(&out); err != nil {
			t.Fatal(err)
		}
		want(t, "people believe that it fails", out.Told, true)
		want(t, "failures", out.Failures, 0)
	})
	t.Run("a check that finds no worker is a failure, and the next is due", func(t *testing.T) {
		s := newStage(t, "target/flight-delay")
		workflows.Register(s)
		s.world.check.fails(1000, errLate)
		s.SetLastCompletionResult(activities.TargetCheck{Failures: 1})
		s.ExecuteWorkflow(workflows.TargetCheck, activities.TargetCheckInput{Model: theModel})
		if err := s.GetWorkflowError(); err != nil {
			t.Fatal(err)
		}
		kinds := slices.Collect(func(yield func(string) bool) {
			for _, m := range s.world.send.calls() {
				if !yield(m.Kind) {
					return
				}
			}
		})
		want(t, "told", strings.Join(kinds, ","), activities.MessageAlert)
	})
}
