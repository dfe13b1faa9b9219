package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// theSearch is a search by itself.
func theSearch() activities.SearchInput {
	u := searching()
	return activities.SearchInput{
		Model: theModel, Spec: theSpec, Lifecycle: workflows.LifecycleID(theModel, 7), Number: 7, Snapshot: "5a450000",
		Search: *u.Search, Retries: u.Retries, Limit: u.TrainTimeout,
	}
}

func newSearch(t *testing.T) *stage {
	s := newStage(t, workflows.SearchID(theModel, 7))
	workflows.Register(s)
	return s
}

// search runs one to its end.
func (s *stage) search(in activities.SearchInput) activities.SearchResult {
	s.t.Helper()
	s.ExecuteWorkflow(workflows.Search, in)
	if err := s.GetWorkflowError(); err != nil {
		s.t.Fatal(err)
	}
	var r activities.SearchResult
	if err := s.GetWorkflowResult(&r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// numbers are those of the trials that were begun, in order.
func numbers(calls []activities.TrainInput) []int {
	var out []int
	for _, c := range calls {
		out = append(out, c.Trial)
	}
	slices.Sort(out)
	return out
}

func upTo(n int) []int {
	var out []int
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

func TestASearchTakesTheBestTrialsModel(t *testing.T) {
	s := newLifecycle(t)
	s.world.settings.answers(searching())
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	calls := s.world.trial.calls()
	wantAll(t, "trials", numbers(calls), upTo(12)...)
	want(t, "trainings", len(s.world.train.calls()), 0)
	taken := s.world.take.calls()
	want(t, "models taken", len(taken), 1)
	best := slices.MinFunc(calls, func(a, b activities.TrainInput) int {
		if tried(a).Value < tried(b).Value {
			return -1
		}
		return 1
	})
	want(t, "best", taken[0].Trial, best.Trial)
	want(t, "judged", s.world.evaluate.calls()[0].Train.Trial, best.Trial)
	want(t, "trained", r.Trained, true)
	want(t, "cost", r.Cost, 6.0)
	wantText(t, "detail", r.Stages[3].Detail, fmt.Sprintf("2400 rows, trial %d of 12, log_loss ", best.Trial))
	tokens := map[string]bool{}
	for _, c := range calls {
		tokens[c.Token] = true
	}
	want(t, "tokens", len(tokens), 12)
}

func TestASearchMayTrainAnew(t *testing.T) {
	s := newLifecycle(t)
	settings := searching()
	settings.Search.Best = spec.BestRetrain
	s.world.settings.answers(settings)
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	trained := s.world.train.calls()
	want(t, "trainings", len(trained), 1)
	want(t, "models taken", len(s.world.take.calls()), 0)
	want(t, "parameters", len(trained[0].Params), 2)
	want(t, "trial", trained[0].Trial > 0, true)
	want(t, "cost", r.Cost, 7.5)
	wantText(t, "detail", r.Stages[3].Detail, "attempt 1; trial ")
}

// The budgets of a training are each trial's own; when they are used up the trial has failed, not the search.
func TestATrialHasTheBudgetsOfATraining(t *testing.T) {
	s := newSearch(t)
	script := temporal.NewNonRetryableApplicationError("exit 1", activities.ErrorScript, nil)
	s.world.trial.do = func(in activities.TrainInput) (activities.TrialOutput, error) {
		switch {
		case in.Trial == 3, in.Trial == 5 && in.Attempt == 1:
			return activities.TrialOutput{}, script
		case in.Trial == 4 && in.Attempt <= 2:
			return activities.TrialOutput{}, errors.New("disk full")
		case in.Trial == 6:
			return activities.TrialOutput{}, temporal.NewNonRetryableApplicationError("parameter eta: too large", activities.ErrorTrainInput, nil)
		}
		return tried(in), nil
	}
	r := s.search(theSearch())
	attempts := map[int]int{}
	for _, c := range s.world.trial.calls() {
		attempts[c.Trial]++
	}
	want(t, "a script's attempts", attempts[3], 2)
	want(t, "attempts where the disk was full twice", attempts[4], 3)
	want(t, "attempts where the script failed once", attempts[5], 2)
	want(t, "attempts where nothing helps", attempts[6], 1)
	want(t, "failed", r.Failed, 2)
	want(t, "trials", r.Trials, 12)
	want(t, "found", r.Best != nil && r.Failure == "", true)
	for _, f := range s.world.fail.calls() {
		if f.Trial == 3 {
			want(t, "reason", f.Reason, "exit 1 (attempt 2; no script retries left)")
		}
		if f.Trial == 6 {
			want(t, "reason", f.Reason, "parameter eta: too large")
		}
	}
}

func TestASearchOfFailuresEndsEarlyAndSaysWhy(t *testing.T) {
	t.Run("all of the first ones", func(t *testing.T) {
		s := newSearch(t)
		s.world.trial.refuses(activities.ErrorTrainInput, "parameter etta: unknown")
		in := theSearch()
		in.Search.Trials = 50
		r := s.search(in)
		wantText(t, "failure", r.Failure, "no trial of")
		wantText(t, "failure", r.Failure, "the first 10 trials all failed")
		wantText(t, "failure", r.Failure, "parameter etta: unknown")
		if n := len(s.world.trial.calls()); n > 12 {
			t.Errorf("%d trials were begun, want 10 and those that ran beside", n)
		}
	})
	t.Run("more than half", func(t *testing.T) {
		s := newSearch(t)
		s.world.trial.do = func(in activities.TrainInput) (activities.TrialOutput, error) {
			if in.Trial%3 != 0 {
				return activities.TrialOutput{}, temporal.NewNonRetryableApplicationError("exit 1", activities.ErrorTrainInput, nil)
			}
			return tried(in), nil
		}
		r := s.search(theSearch())
		wantText(t, "failure", r.Failure, "more than half of 12")
		want(t, "best", r.Best == nil, true)
	})
	t.Run("the run fails with it", func(t *testing.T) {
		s := newLifecycle(t)
		s.world.settings.answers(searching())
		s.world.trial.refuses(activities.ErrorTrainInput, "parameter etta: unknown")
		r, err := s.lifecycle(theRun())
		want(t, "fault", err != nil, true)
		want(t, "outcome", r.Outcome, activities.Failed)
		wantText(t, "reason", r.Reason, "search: ")
	})
}

func TestASearchWithoutAnyValueFails(t *testing.T) {
	for name, state := range map[string]search.State{"all NaN": search.Failed, "all pruned": search.Pruned} {
		t.Run(name, func(t *testing.T) {
			s := newSearch(t)
			s.world.trial.answers(activities.TrialOutput{State: state, Reason: "metric log_loss: NaN isn't a finite number"})
			r := s.search(theSearch())
			wantText(t, "failure", r.Failure, map[search.State]string{
				search.Failed: "more than half of 12; the last ones: trial", search.Pruned: "no trial of 12 has a value: 0 failed, 12 were pruned",
			}[state])
			want(t, "best", r.Best == nil, true)
		})
	}
}

func TestABudgetEndsASearchWithTheBestSoFar(t *testing.T) {
	s := newSearch(t)
	s.world.trial.do = func(in activities.TrainInput) (activities.TrialOutput, error) {
		if in.Trial > 5 {
			return activities.TrialOutput{Budget: "budget.per_run: its attempts have spent 20.01 of 20.00 USD"}, nil
		}
		return tried(in), nil
	}
	r := s.search(theSearch())
	want(t, "trials", r.Trials, 5)
	want(t, "cost", r.Cost, 2.5)
	wantText(t, "stopped", r.Stopped, "spent 20.01 of 20.00 USD")
	want(t, "found", r.Best != nil && r.Model != nil, true)
	if n := len(s.world.trial.calls()); n > 8 {
		t.Errorf("%d trials were begun, want none after the budget's end", n)
	}
}

// Three trials at once of 30 minutes each: after 100 minutes nine have ended, and those that run are cancelled.
func TestADeadlineEndsASearchWithTheBestSoFar(t *testing.T) {
	s := newSearch(t)
	s.OnActivity("Trial", mock.Anything, mock.Anything).After(30*time.Minute).Return(
		activities.TrialOutput{State: search.Complete, Value: 1}, nil)
	in := theSearch()
	in.Search.Timeout = spec.Duration(100 * time.Minute)
	r := s.search(in)
	want(t, "trials", r.Trials, 9)
	want(t, "stopped", r.Stopped, "the time for all trials, 100m, was over")
	want(t, "best", r.Best.Number, 1)
	s.wantTime("ended", s.Now().Sub(start), 100*time.Minute, 31*time.Minute)
}

func TestACancelledSearchEndsItsTrials(t *testing.T) {
	s := newSearch(t)
	s.OnActivity("Trial", mock.Anything, mock.Anything).After(30*time.Minute).Return(
		activities.TrialOutput{State: search.Complete, Value: 1}, nil)
	s.after(45*time.Minute, s.CancelWorkflow)
	s.ExecuteWorkflow(workflows.Search, theSearch())
	if err := s.GetWorkflowError(); !temporal.IsCanceledError(err) {
		t.Errorf("error %v, want cancelled", err)
	}
	want(t, "models taken", len(s.world.take.calls()), 0)
}

func TestASearchSaysWhereItStands(t *testing.T) {
	s := newSearch(t)
	s.OnActivity("Trial", mock.Anything, mock.Anything).After(30*time.Minute).Return(
		activities.TrialOutput{State: search.Complete, Value: 0.412, Cost: 0.5}, nil)
	s.after(45*time.Minute, func() {
		v := query[workflows.SearchState](s)
		want(t, "ended", v.Ended, 3)
		want(t, "running", len(v.Running), 3)
		want(t, "cost", v.Cost, 1.5)
		want(t, "line", v.SearchLine(), "trial 6 of 12, best log_loss 0.412")
	})
	s.search(theSearch())
}

// Continued as new it goes on with the number after, and knows every trial before.
func TestASearchContinuesAsNewWithoutRepeatingTrials(t *testing.T) {
	in, seen := theSearch(), []int{}
	in.TrialsPerExecution = 5
	for execution := 1; ; execution++ {
		s := newSearch(t)
		s.ExecuteWorkflow(workflows.Search, in)
		seen = append(seen, numbers(s.world.trial.calls())...)
		var again *workflow.ContinueAsNewError
		if !errors.As(s.GetWorkflowError(), &again) {
			var r activities.SearchResult
			if err := s.GetWorkflowResult(&r); err != nil {
				t.Fatal(err)
			}
			want(t, "executions", execution, 3)
			want(t, "trials", r.Trials, 12)
			want(t, "cost", r.Cost, 6.0)
			break
		}
		deadline := start.Add(6 * time.Hour)
		in = activities.SearchInput{}
		decodeInput(t, again, &in)
		want(t, "deadline", in.Deadline.Equal(deadline), true)
		want(t, "known", len(in.Done), 5*execution)
	}
	wantAll(t, "trials", seen, upTo(12)...)
}

func TestAGridEndsWithItsLastPoint(t *testing.T) {
	s := newSearch(t)
	in := theSearch()
	in.Search.Sampler, in.Search.Trials = search.Grid, 12
	eta := in.Search.Space["eta"]
	eta.Points = 3
	in.Search.Space["eta"] = eta
	r := s.search(in)
	want(t, "trials", r.Trials, 6)
	want(t, "stopped", r.Stopped, "all 6 points of the grid were tried")
	want(t, "best", r.Best.Params["eta"], any(0.0316227766017))
}

func TestASpaceThatCantBeSearchedFailsTheSearch(t *testing.T) {
	in := theSearch()
	in.Search.Space = nil
	r := newSearch(t).search(in)
	wantText(t, "failure", r.Failure, "search space: it is empty")
}

func TestASearchThatNoWorkerCanRunSaysSoAndEnds(t *testing.T) {
	s := newSearch(t)
	s.OnActivity("Trial", mock.Anything, mock.Anything).After(40*time.Hour).Return(activities.TrialOutput{State: search.Complete, Value: 1}, nil)
	s.world.look.answers(activities.LookOutput{Needs: "2 GPUs"})
	in := theSearch()
	in.Placement = &activities.Placement{Resources: spec.Resources{CPUs: 1, GPUs: 2}, Priority: 3}
	in.Search.Timeout = hours(72)
	s.after(2*time.Minute, func() {
		v := query[workflows.SearchState](s)
		wantText(t, "line", v.SearchLine(), "waits: no live worker can serve 2 GPUs")
		want(t, "told", s.message(activities.MessageNoWorker).Lifecycle, in.Lifecycle)
	})
	r := s.search(in)
	wantText(t, "failure", r.Failure, "no live worker can serve 2 GPUs")
	want(t, "looked after", s.world.look.calls()[0].Lifecycle, workflows.SearchID(theModel, 7))
	want(t, "activity", s.world.look.calls()[0].Activity, "Trial")
}
