package workflows_test

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func TestCanaryContinuesAsNew(t *testing.T) {
	s := newCanary(t)
	s.after(65*time.Minute, func() { s.SetContinueAsNewSuggested(true) }) // in the second step
	_, err := s.canary(theCanary())
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		t.Fatalf("ended by %v, want continue-as-new", err)
	}
	want(t, "rollbacks", len(s.world.rollback.calls()), 0)
	next := theCanary()
	decodeInput(t, again, &next)
	want(t, "step", next.State.Step, 1)
	want(t, "weights set so far", next.Tick, len(s.world.set.calls()))

	second := newCanary(t)
	second.SetStartTime(s.Now())
	r, err := second.canary(next)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Promoted)
	second.wantTime("the end", second.Now().Sub(start), 2*time.Hour, time.Minute)
	first, last := s.world.set.calls(), second.world.set.calls()
	want(t, "start again", last[0].Start, false)
	want(t, "key again", last[0].Key == first[len(first)-1].Key, false)
	wantAll(t, "weights", second.weights(), 0.5)
}

// A signal that is buffered when the canary would continue as new is taken first.
func TestASteerIsNotLostByContinueAsNew(t *testing.T) {
	s := newCanary(t)
	look := s.world.measure.do
	s.world.measure.do = func(in activities.MeasureInput) (activities.MeasureOutput, error) {
		s.SetContinueAsNewSuggested(true)
		// In the same task as this answer, so that the canary's own code comes before the signal's.
		s.SignalWorkflowSkippingWorkflowTask(workflows.SignalCanary, workflows.Steer{Action: "abort", Actor: ana, Reason: "no"})
		return look(in)
	}
	r, err := s.canary(theCanary())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "reason", r.Reason, "aborted by cli:ana: no")
}

// What a person did is in the ledger before the canary continues as new: the next execution knows its effect alone.
func TestASteerIsInTheLedgerBeforeContinueAsNew(t *testing.T) {
	s := newCanary(t)
	s.steers(65*time.Minute, "pause")
	s.after(65*time.Minute, func() { s.SetContinueAsNewSuggested(true) })
	_, err := s.canary(theCanary())
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		t.Fatalf("ended by %v, want continue-as-new", err)
	}
	wantAll(t, "in the ledger", s.actions(), "pause by cli:ana at 0.5")
	next := theCanary()
	decodeInput(t, again, &next)
	want(t, "paused", next.State.Paused, true)
	want(t, "weights set so far", next.Tick, len(s.world.set.calls()))
}
