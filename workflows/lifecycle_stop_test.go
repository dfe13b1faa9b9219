package workflows_test

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/workflows"
)

func TestStop(t *testing.T) {
	stop := workflows.Stop{Outcome: activities.Cancelled, Actor: ana, Via: "cli", Reason: "enough"}
	t.Run("is refused once the version is being promoted, which then stands", func(t *testing.T) {
		s := newLifecycle(t)
		a := &answer{}
		s.world.promote.do = func(activities.PromoteInput) (activities.LedgerOutput, error) {
			s.UpdateWorkflow(workflows.UpdateStop, "stop", a.callbacks(), stop)
			return activities.LedgerOutput{Seq: 9}, nil
		}
		s.decides(time.Hour, approval.Approve, ana, 1)
		r, err := s.lifecycle(theRun())
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, a.rejected, workflows.ErrorRefused, "being promoted")
		want(t, "outcome", r.Outcome, activities.Promoted)
	})
	t.Run("a workflow that is cancelled while the promotion is written says what the ledger says", func(t *testing.T) {
		s := newLifecycle(t)
		s.world.promote.do = func(activities.PromoteInput) (activities.LedgerOutput, error) {
			s.CancelWorkflow()
			return activities.LedgerOutput{Seq: 9}, nil
		}
		s.decides(time.Hour, approval.Approve, ana, 1)
		r, err := s.lifecycle(theRun())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, activities.Promoted)
		want(t, "rollbacks", len(s.world.rollback.calls()), 0)
	})
	t.Run("is heeded although the canary it ends has passed in that moment", func(t *testing.T) {
		s := newStage(t, workflows.LifecycleID(theModel, 7))
		s.RegisterWorkflowWithOptions(workflows.Lifecycle, workflow.RegisterOptions{Name: workflows.TypeLifecycle})
		s.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ activities.CanaryInput) (activities.CanaryResult, error) {
			_ = workflow.Sleep(ctx, time.Hour)
			return activities.CanaryResult{Outcome: activities.Promoted}, nil
		}, workflow.RegisterOptions{Name: workflows.TypeCanary})
		s.decides(time.Hour, approval.Approve, ana, 1)
		s.update(90*time.Minute, workflows.UpdateStop, "stop", stop)
		r, err := s.lifecycle(theRun())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, activities.Cancelled)
		want(t, "promotions", len(s.world.promote.calls()), 0)
		want(t, "rollbacks", len(s.world.rollback.calls()), 1)
	})
	t.Run("the first one names the outcome", func(t *testing.T) {
		s := newLifecycle(t)
		second := stop
		second.Outcome = activities.Superseded
		s.after(time.Hour, func() {
			s.UpdateWorkflow(workflows.UpdateStop, "1", (&answer{}).callbacks(), stop)
			s.UpdateWorkflow(workflows.UpdateStop, "2", (&answer{}).callbacks(), second)
		})
		r, _ := s.lifecycle(theRun())
		want(t, "outcome", r.Outcome, activities.Cancelled)
	})
	t.Run("by signal is judged alike", func(t *testing.T) {
		s := newLifecycle(t)
		s.after(30*time.Minute, func() {
			s.SignalWorkflow(workflows.SignalStop, workflows.Stop{Outcome: activities.Promoted, Actor: ana})
		})
		s.after(time.Hour, func() { s.SignalWorkflow(workflows.SignalStop, stop) })
		r, _ := s.lifecycle(theRun())
		want(t, "outcome", r.Outcome, activities.Cancelled)
	})
	for name, bad := range map[string]workflows.Stop{
		"another outcome is refused": {Outcome: activities.Promoted, Actor: ana},
		"nobody is refused":          {Outcome: activities.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			s := newLifecycle(t)
			a := s.update(time.Hour, workflows.UpdateStop, "stop", bad)
			r, _ := s.lifecycle(theRun())
			wantError(t, a.rejected, workflows.ErrorInvalid, "")
			want(t, "outcome", r.Outcome, activities.TimedOut)
		})
	}
}

// A canary that a person ended early is promoted in that person's name: the ledger says who took the responsibility.
func TestAPromotionNamesWhoEndedTheCanary(t *testing.T) {
	for actor, wanted := range map[string]string{ben: ben, "": "leanloop:" + workflows.LifecycleID(theModel, 7)} {
		s := newStage(t, workflows.LifecycleID(theModel, 7))
		s.RegisterWorkflowWithOptions(workflows.Lifecycle, workflow.RegisterOptions{Name: workflows.TypeLifecycle})
		s.RegisterWorkflowWithOptions(func(workflow.Context, activities.CanaryInput) (activities.CanaryResult, error) {
			return activities.CanaryResult{Outcome: activities.Promoted, Actor: actor, Reason: "seen enough"}, nil
		}, workflow.RegisterOptions{Name: workflows.TypeCanary})
		s.decides(time.Hour, approval.Approve, ana, 1)
		if _, err := s.lifecycle(theRun()); err != nil {
			t.Fatal(err)
		}
		calls := s.world.promote.calls()
		want(t, "promotions", len(calls), 1)
		want(t, "actor", calls[0].Actor, wanted)
		want(t, "reason", calls[0].Reason, "seen enough")
	}
}

// A canary of an earlier run may still hold the model's canary id: it is cancelled and waited for.
func TestACanaryThatWasLeftOverIsCancelledFirst(t *testing.T) {
	s := newStage(t, "both")
	workflows.Register(s)
	old := activities.CanaryInput{Model: theModel, Version: 9, Champion: 1, Lifecycle: "lifecycle/flight-delay/6", Spec: theSpec}
	// Both are children of one parent, so that the environment knows of the taken id.
	both := func(ctx workflow.Context) (activities.LifecycleResult, error) {
		held := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: workflows.CanaryID(theModel), WaitForCancellation: true})
		started := workflow.ExecuteChildWorkflow(held, workflows.Canary, old)
		if err := started.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			return activities.LifecycleResult{}, err
		}
		var r activities.LifecycleResult
		err := workflow.ExecuteChildWorkflow(workflow.WithWorkflowID(ctx, workflows.LifecycleID(theModel, 7)), workflows.Lifecycle, theRun()).Get(ctx, &r)
		return r, err
	}
	s.RegisterWorkflowWithOptions(both, workflow.RegisterOptions{Name: "both"})
	s.hearModel()
	s.updateChild(time.Hour, workflows.LifecycleID(theModel, 7), workflows.UpdateDecide, "1", decision(approval.Approve, ana, 1))
	s.ExecuteWorkflow("both")
	want(t, "error", s.GetWorkflowError(), nil)
	var r activities.LifecycleResult
	if err := s.GetWorkflowResult(&r); err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Promoted)
	want(t, "rolled back first", s.world.rollback.calls()[0].Version, 9)
}

func TestMessagesHoldNothingUp(t *testing.T) {
	t.Run("a chat that is down", func(t *testing.T) {
		s := newLifecycle(t)
		s.world.send.do = func(activities.MessageInput) (activities.MessageOutput, error) {
			return activities.MessageOutput{}, errors.New("connection refused")
		}
		s.decides(time.Hour, approval.Reject, ana, 1)
		r, err := s.lifecycle(theRun())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "outcome", r.Outcome, activities.Rejected)
		s.wantTime("the end", s.Now().Sub(start), time.Hour+30*time.Second, 5*time.Second)
	})
	t.Run("those on their way are waited for", func(t *testing.T) {
		s := newLifecycle(t)
		s.world.send.fails(3, errors.New("try again"))
		s.world.snapshot.answers(activities.SnapshotOutput{Unchanged: 1})
		if _, err := s.lifecycle(theRun()); err != nil {
			t.Fatal(err)
		}
		want(t, "attempts", len(s.world.send.calls()), 4)
	})
}
