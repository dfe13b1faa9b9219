package workflows_test

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func TestAnEntityOutlivesWhatItCantRead(t *testing.T) {
	e := newEntity(t)
	e.world.recovers.fails(2, temporal.NewNonRetryableApplicationError("run.json: not JSON", activities.ErrorCorrupt, nil))
	e.signals(time.Minute, landed("jan"))
	e.lives(10 * time.Hour)
	want(t, "runs", len(e.inputs), 1)
}

func TestANewEntityRecoversNumbers(t *testing.T) {
	e := newEntity(t)
	e.world.recovers.answers(activities.Recovered{Last: 41, LastTrain: start.Add(-time.Hour)})
	e.signals(time.Minute, landed("jan"))
	e.lives(10 * time.Hour)
	want(t, "number", e.inputs[0].Number, 42)
	want(t, "trained", e.world.plan.calls()[0].LastTrain, start.Add(-time.Hour))
}

func TestANumberThatIsTakenIsPassedOver(t *testing.T) {
	e := newEntity(t)
	e.world.claim.do = func(in activities.LifecycleInput) (activities.Claimed, error) {
		return activities.Claimed{Number: in.Number + 3}, nil
	}
	e.signals(time.Minute, landed("jan"))
	state := e.lives(10 * time.Hour)
	want(t, "number", e.inputs[0].Number, 4)
	want(t, "next number", state.NextRun, 5)
}

func TestAnOpenRunIsAdopted(t *testing.T) {
	finished := activities.LifecycleResult{Number: 41, Outcome: activities.Promoted, Trained: true, Files: []string{"f"}}
	open := func(t *testing.T) *entity {
		e := newEntity(t)
		e.world.recovers.answers(activities.Recovered{Last: 41, Open: 41})
		e.signals(time.Minute, landed("jan"))
		return e
	}
	t.Run("nothing starts beside it, its signal ends it", func(t *testing.T) {
		e := open(t)
		e.after(2*time.Hour, func() {
			want(t, "open", query[workflows.ModelState](e.stage).Open.Number, 41)
			want(t, "runs", len(e.inputs), 0)
			e.SignalWorkflow(workflows.SignalFinished, workflows.Finished{Number: 41, Result: finished})
		})
		state := e.lives(10 * time.Hour)
		want(t, "begun", e.begun[0], 2*time.Hour)
		want(t, "last", state.LastResult.Number, 42)
		looks := len(e.world.status.calls())
		if looks < 200 || looks > 260 {
			t.Errorf("looked %d times after it in 2 h, want every 30 s and no more once it has ended", looks)
		}
	})
	t.Run("without a signal a look finds its end", func(t *testing.T) {
		e := open(t)
		e.world.status.do = func(in activities.StatusInput) (activities.StatusOutput, error) {
			return activities.StatusOutput{Closed: e.Now().Sub(start) > time.Hour, Result: finished}, nil
		}
		e.lives(10 * time.Hour)
		want(t, "begun", e.begun[0], time.Hour+time.Minute)
	})
	t.Run("the entity continues as new beside it and books its end", func(t *testing.T) {
		e := open(t)
		e.after(time.Hour, func() { e.SetContinueAsNewSuggested(true) })
		_, err := e.model(workflows.ModelInput{Model: theModel}, 10*time.Hour)
		next := e.carried(err)
		want(t, "carried run", next.State.Open.Number, 41)
		want(t, "carried triggers", len(next.State.Pending), 1)

		second := newEntity(t)
		second.world.recovers.answers(activities.Recovered{Last: 41})
		second.world.status.answers(activities.StatusOutput{Closed: true, Result: finished})
		state, _ := second.model(next, 30*time.Minute)
		want(t, "trained", state.LastTrain, finished.Ended)
		want(t, "the trigger's run", second.inputs[0].Number, 42)
	})
}

// carried is what the entity hands to its next execution.
func (e *entity) carried(err error) workflows.ModelInput {
	e.t.Helper()
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) {
		e.t.Fatalf("ended by %v, want continue-as-new", err)
	}
	var in workflows.ModelInput
	decodeInput(e.t, again, &in)
	return in
}

func TestARunThatEndsByForceIsLookedAfter(t *testing.T) {
	e := newEntity(t)
	e.ends = func(activities.LifecycleInput) (activities.LifecycleResult, error) {
		return activities.LifecycleResult{}, errors.New("terminated")
	}
	looks := 0
	e.world.status.do = func(in activities.StatusInput) (activities.StatusOutput, error) {
		if looks++; looks < 3 { // the store doesn't know at once
			return activities.StatusOutput{}, nil
		}
		return activities.StatusOutput{Closed: true, Result: activities.LifecycleResult{Number: in.Number, Outcome: activities.RolledBack}}, nil
	}
	e.signals(time.Minute, landed("jan"))
	e.signals(5*time.Hour, landed("feb"))
	state := e.lives(10 * time.Hour)
	want(t, "runs", len(e.inputs), 2)
	want(t, "last", state.LastResult.Outcome, activities.RolledBack)
	want(t, "looks", looks, 4)
}

func TestARunWhoseIdIsTakenIsAdopted(t *testing.T) {
	e := newEntity(t)
	e.world.claim.answers(activities.Claimed{Number: 1}) // a record that the store lost
	e.world.status.answers(activities.StatusOutput{Closed: true, Result: activities.LifecycleResult{Number: 1, Outcome: activities.Failed}})
	e.signals(time.Minute, landed("jan"))
	a := e.submits(5*time.Hour, person("now"))
	state := e.lives(10 * time.Hour)
	want(t, "runs", len(e.inputs), 1)
	want(t, "open", state.Open, nil)
	want(t, "last", state.LastResult.Outcome, activities.Failed)
	want(t, "answer", a.result.(workflows.Submitted).Lifecycle, workflows.LifecycleID(theModel, 1))
}

func TestCancellingTheEntityLeavesItsRun(t *testing.T) {
	e := newEntity(t)
	e.signals(time.Minute, landed("jan"))
	e.lives(30 * time.Minute)
	want(t, "runs begun", len(e.inputs), 1)
	want(t, "runs cancelled", e.cancelled, 0)
}

func TestTheEntityContinuesAsNewWithoutLosingAnything(t *testing.T) {
	var next workflows.ModelInput
	next.Model, next.RunsPerExecution = theModel, 1
	var files []string
	executions := 0
	for executions < 5 {
		e := newEntity(t)
		if executions == 0 {
			e.signals(time.Minute, landed("jan"))
			e.signals(10*time.Minute, landed("feb")) // behind the run
			// In the very task that would continue as new.
			e.ends = func(in activities.LifecycleInput) (activities.LifecycleResult, error) {
				if in.Number == 2 {
					e.SignalWorkflowSkippingWorkflowTask(workflows.SignalTrigger, landed("mar"))
				}
				return e.result(in, activities.Promoted), nil
			}
		} else {
			e.world.recovers.answers(activities.Recovered{Last: next.State.NextRun - 1})
		}
		_, err := e.model(next, 20*time.Hour)
		files = append(files, e.files()...)
		executions++
		if temporal.IsCanceledError(err) {
			break
		}
		next = e.carried(err)
		want(t, "open run", next.State.Open, nil)
		want(t, "runs per execution", next.RunsPerExecution, 1)
	}
	wantAll(t, "runs", files, "1: jan ", "2: feb ", "3: mar ")
	want(t, "taken", len(next.State.Taken), 3)
	want(t, "last", next.State.LastResult.Number, 3)
	if executions < 2 {
		t.Error("it never continued as new")
	}
}

// A signal that comes with the task in which an idle entity continues as new is carried over.
func TestASignalIsNotLostByContinueAsNew(t *testing.T) {
	e := newEntity(t)
	e.after(time.Hour, func() {
		e.SignalWorkflowSkippingWorkflowTask(workflows.SignalTrigger, landed("jan"))
		e.SignalWorkflowSkippingWorkflowTask(workflows.SignalTrigger, landed("feb"))
	})
	e.after(time.Hour+time.Millisecond, func() { e.SetContinueAsNewSuggested(true) })
	_, err := e.model(workflows.ModelInput{Model: theModel}, 10*time.Hour)
	next := e.carried(err)
	want(t, "carried triggers", len(next.State.Pending), 2)

	second := newEntity(t)
	_, _ = second.model(next, 10*time.Hour)
	wantAll(t, "runs", second.files(), "1: jan feb ")
}

func TestADeferralOutlivesContinueAsNew(t *testing.T) {
	e := newEntity(t)
	until := start.Add(24 * time.Hour)
	e.defers(until)
	e.signals(time.Minute, landed("jan"))
	_, err := e.model(workflows.ModelInput{Model: theModel, RunsPerExecution: 1}, 20*time.Hour)
	next := e.carried(err)
	want(t, "carried triggers", len(next.State.Pending), 1)

	second := newEntity(t)
	second.defers(until)
	second.world.recovers.answers(activities.Recovered{Last: 1})
	second.SetStartTime(e.Now())
	_, _ = second.model(next, 30*time.Hour)
	want(t, "runs", len(second.inputs), 1)
	want(t, "begun", second.begun[0], 24*time.Hour)
	want(t, "plans", len(second.world.plan.calls()), 1)
}
