package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
)

// Search runs the trials of one run, so many at once, and ends with the best of them. A sampler's suggestion is recorded
// when a trial begins and follows from the trials before it, so a search that is resumed repeats nothing; what a trial
// leaves is stored by its number, once.
//
// It completes with a result also where there is no best trial: that fails a run, not this workflow. It ends at its
// deadline, when the run's budget is used up, or when trials fail for good, with the best so far.
func Search(ctx workflow.Context, in activities.SearchInput) (activities.SearchResult, error) {
	s := newSearch(ctx, in)
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (SearchState, error) { return s.view(), nil }); err != nil {
		return activities.SearchResult{}, err
	}
	if err := s.run(ctx); err != nil {
		return activities.SearchResult{}, err
	}
	return s.conclude(ctx)
}

// When a search gives up: most trials, or all of the first ones, failed. Single failures are a space's to have: a
// combination of parameters that can't be trained.
const hopelessTrials = 10

// searchRun is one execution's state.
type searchRun struct {
	in   activities.SearchInput
	goal search.Goal

	done    []search.Trial
	running []search.Trial
	next    int // number of the next trial
	begun   int // in this execution
	lanes   int // that run
	cost    float64
	stopped string // why no further trial begins; "": none does when all have
	waits   string // for which worker the first trials wait; "": they don't
	notes   []string
	cancel  workflow.CancelFunc // of running trials
}

func newSearch(ctx workflow.Context, in activities.SearchInput) *searchRun {
	if in.Deadline.IsZero() {
		in.Deadline = workflow.Now(ctx).Add(in.Search.Timeout.D())
	}
	if in.TrialsPerExecution <= 0 {
		in.TrialsPerExecution = trialsPerExecution
	}
	return &searchRun{in: in, done: in.Done, next: len(in.Done) + 1, cost: in.Cost, goal: search.Goal(in.Search.Metric.Goal)}
}

// run goes through the trials in as many lanes as may run at once, until they are through or the deadline has come.
func (s *searchRun) run(ctx workflow.Context) error {
	trials, cancel := workflow.WithCancel(ctx)
	s.cancel = cancel
	s.judge()
	s.lanes = min(s.in.Search.Parallel, s.in.Search.Trials)
	for range s.lanes {
		workflow.Go(trials, func(ctx workflow.Context) {
			defer func() { s.lanes-- }()
			for s.more(ctx) {
				s.trial(ctx)
			}
		})
	}
	s.describe(ctx)
	if s.in.Placement != nil {
		workflow.Go(trials, s.watch)
	}
	through := func() bool { return s.lanes == 0 }
	met, err := waitAtMost(ctx, s.in.Deadline.Sub(workflow.Now(ctx)), "trials", through)
	if err != nil || !met {
		if err == nil {
			s.stop("the time for all trials, %s, was over", s.in.Search.Timeout)
		}
		cancel()
		// Trials that run are waited for, so that nothing is left behind: each ends by its own deadline at the latest.
		disconnected, _ := workflow.NewDisconnectedContext(ctx)
		if waited := workflow.Await(disconnected, through); waited != nil {
			return waited
		}
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.stopped == "" && s.next <= s.in.Search.Trials {
		next := s.in
		next.Done, next.Cost = s.done, s.cost
		return workflow.NewContinueAsNewError(ctx, Search, next)
	}
	return nil
}

// watch looks after the first trials until one of them has ended: whoever ran it can run the others.
func (s *searchRun) watch(ctx workflow.Context) {
	needs, ended := s.in.Placement.Resources, len(s.done)
	err := watcher{
		of:   activities.LookInput{Lifecycle: SearchID(s.in.Model, s.in.Number), Activity: "Trial", Queue: TrainQueue(needs), Resources: needs},
		over: func() bool { return len(s.done) > ended || s.lanes == 0 },
		taken: func() {
			s.waits = ""
			s.describe(ctx)
		},
		waits: func(why string) {
			s.waits = why
			s.describe(ctx)
		},
		alone: func(text string) {
			s.note("%s", text)
			workflow.Go(ctx, func(ctx workflow.Context) {
				_, err := call(ctx, notify(), messenger.Send, activities.MessageInput{
					Kind: activities.MessageNoWorker, Text: text, Lifecycle: s.in.Lifecycle, Model: s.in.Model, Spec: s.in.Spec,
				})
				if err != nil {
					workflow.GetLogger(ctx).Warn("message not sent", "kind", activities.MessageNoWorker, "error", err)
				}
			})
		},
	}.watch(ctx)
	s.waits = ""
	if err != nil {
		s.stop("%s", err.Error())
		s.cancel()
	}
}

// more says whether a lane may begin another trial in this execution.
func (s *searchRun) more(ctx workflow.Context) bool {
	return ctx.Err() == nil && s.stopped == "" && s.next <= s.in.Search.Trials && s.begun < s.in.TrialsPerExecution
}

func (s *searchRun) stop(format string, args ...any) {
	if s.stopped == "" {
		s.stopped = fmt.Sprintf(format, args...)
	}
}

// suggestion is a trial's parameters as they are recorded in history.
type suggestion struct {
	Params    map[string]any `json:"params,omitempty"`
	Exhausted bool           `json:"exhausted,omitempty"`
	Problem   string         `json:"problem,omitempty"`
}

// suggest asks the sampler. It decides by what is known now, and is recorded: it may change without breaking what runs.
func (s *searchRun) suggest(ctx workflow.Context, number int) (suggestion, error) {
	history := slices.Concat(s.done, s.running)
	var out suggestion
	err := workflow.SideEffect(ctx, func(workflow.Context) any {
		params, err := suggested(s.in.Search, history, number)
		switch {
		case errors.Is(err, search.ErrExhausted):
			return suggestion{Exhausted: true}
		case err != nil:
			return suggestion{Problem: err.Error()}
		}
		return suggestion{Params: params}
	}).Get(&out)
	return out, err
}

// suggested is what the sampler says of a trial after a history.
func suggested(of spec.Search, history []search.Trial, number int) (map[string]any, error) {
	space, err := of.Space.Compile()
	if err != nil {
		return nil, err
	}
	study := search.Study{Space: space, Sampler: of.Sampler, Goal: search.Goal(of.Metric.Goal), Seed: of.Seed}
	return study.Suggest(history, number)
}

// trial runs the next trial to its end.
func (s *searchRun) trial(ctx workflow.Context) {
	number := s.next
	s.next, s.begun = s.next+1, s.begun+1
	chosen, err := s.suggest(ctx, number)
	switch {
	case err != nil:
		s.stop("trial %d: %s", number, reason(err))
		return
	case chosen.Problem != "":
		s.stop("trial %d: %s", number, chosen.Problem)
		return
	case chosen.Exhausted:
		s.stop("all %d points of the grid were tried", number-1)
		return
	}
	t := search.Trial{Number: number, State: search.Running, Params: chosen.Params}
	s.running = append(s.running, t)
	s.describe(ctx)
	out, err := s.attempt(ctx, t)
	s.running = slices.DeleteFunc(s.running, func(r search.Trial) bool { return r.Number == number })
	switch {
	case ctx.Err() != nil: // stopped while it ran: it isn't known how it would have ended
	case err != nil:
		s.stop("trial %d: %s", number, reason(err))
	case out.Budget != "":
		s.stop("%s", out.Budget)
	default:
		t.State, t.Value, t.Step = out.State, out.Value, out.Step
		s.done, s.cost = append(s.done, t), s.cost+out.Cost
		if t.State == search.Failed {
			s.note("trial %d failed: %s", number, out.Reason)
		}
		s.judge()
	}
	s.describe(ctx)
}

// attempt loops over a trial's attempts, with budgets of its own by cause. An error is of this search: a trial that
// fails is a result.
func (s *searchRun) attempt(ctx workflow.Context, t search.Trial) (activities.TrialOutput, error) {
	tries := attempts{left: s.in.Retries}
	for {
		tries.made++
		in := activities.TrainInput{
			Model: s.in.Model, Spec: s.in.Spec, Lifecycle: s.in.Lifecycle, Number: s.in.Number, Snapshot: s.in.Snapshot, AsOf: s.in.AsOf,
			Attempt: tries.made, Token: activities.TrialToken(t.Number, tries.made, workflow.GetInfo(ctx).WorkflowExecution.RunID),
			Trial: t.Number, Params: t.Params,
		}
		out, err := call(ctx, placed(training(s.in.Limit), s.in.Placement, s.in.Team), trainer.Trial, in)
		if err == nil || ctx.Err() != nil {
			return out, err
		}
		v := tries.spend(err)
		if !v.again {
			why := reason(err)
			if !v.hopeless {
				why = fmt.Sprintf("%s (attempt %d; no %s retries left)", why, tries.made, v.cause)
			}
			return call(ctx, quick(), searches.FailTrial, activities.TrialFailure{TrainInput: in, Reason: why})
		}
		if !v.free {
			s.note("trial %d: attempt %d failed (%s): %s", t.Number, tries.made, v.cause, reason(err))
		}
		if err := workflow.Sleep(ctx, v.pause); err != nil {
			return out, err
		}
	}
}

// judge stops a search in which there is no sense.
func (s *searchRun) judge() {
	failed := s.count(search.Failed)
	switch first := min(hopelessTrials, s.in.Search.Trials); {
	case failed >= first && failed == len(s.done):
		s.stop("the first %d trials all failed", failed)
	case 2*failed > s.in.Search.Trials:
		s.stop("%d of %d trials failed, more than half of %d", failed, len(s.done), s.in.Search.Trials)
	}
}

func (s *searchRun) count(state search.State) int {
	n := 0
	for _, t := range s.done {
		if t.State == state {
			n++
		}
	}
	return n
}

// conclude is the search's result.
func (s *searchRun) conclude(ctx workflow.Context) (activities.SearchResult, error) {
	failed := s.count(search.Failed)
	out := activities.SearchResult{
		Trials: len(s.done), Pruned: s.count(search.Pruned), Failed: failed, Cost: s.cost, Stopped: s.stopped,
	}
	best, ok := s.goal.Best(s.done)
	switch {
	case 2*failed > s.in.Search.Trials:
		out.Failure = fmt.Sprintf("%s; the last ones: %s", s.stopped, s.lastNotes())
		return out, nil
	case !ok:
		out.Failure = fmt.Sprintf("no trial of %d has a value: %d failed, %d were pruned", len(s.done), failed, out.Pruned)
		if s.stopped != "" {
			out.Failure += "; " + s.stopped
		}
		if len(s.notes) > 0 {
			out.Failure += "; the last ones: " + s.lastNotes()
		}
		return out, nil
	}
	out.Best = &best
	if s.in.Search.Best == spec.BestRetrain {
		return out, nil
	}
	model, err := call(ctx, dataScan(), searches.TakeBest, activities.TrainInput{
		Model: s.in.Model, Spec: s.in.Spec, Lifecycle: s.in.Lifecycle, Number: s.in.Number, Snapshot: s.in.Snapshot, AsOf: s.in.AsOf,
		Trial: best.Number, Params: best.Params,
	})
	if err != nil {
		return out, err
	}
	out.Model = &model
	return out, nil
}
