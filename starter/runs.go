package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/workflows"
)

// runRef names one run.
type runRef struct {
	model  string
	number int
}

func (r runRef) id() string { return workflows.LifecycleID(r.model, r.number) }

// parseRun reads lifecycle/<model>/<n> or <model>/<n>; ok is false for anything else, such as a model's name.
func parseRun(arg string) (r runRef, ok bool) {
	model, number, found := strings.Cut(strings.TrimPrefix(arg, "lifecycle/"), "/")
	n, err := strconv.Atoi(number)
	if !found || err != nil || n < 1 || model == "" {
		return runRef{}, false
	}
	return runRef{model: model, number: n}, true
}

// runView is one run as a person looks at it, from whatever still knows it: its workflow, or its record in the bucket.
type runView struct {
	ID         string                   `json:"id"`
	Model      string                   `json:"model"`
	Number     int                      `json:"number"`
	Why        string                   `json:"why,omitempty"`
	Requester  string                   `json:"requested_by,omitempty"`
	Outcome    string                   `json:"outcome,omitempty"` // empty: it runs
	Reason     string                   `json:"reason,omitempty"`
	Stage      string                   `json:"stage,omitempty"`
	Stages     []activities.StageResult `json:"stages,omitempty"`
	Version    int                      `json:"version,omitempty"`
	Champion   int                      `json:"champion,omitempty"`
	Snapshot   string                   `json:"snapshot,omitempty"`
	Rows       int                      `json:"rows,omitempty"`
	Resumed    string                   `json:"resumed,omitempty"`  // the run that it went on with
	Cached     string                   `json:"cached,omitempty"`   // the run that trained its model, where it didn't
	Approval   *workflows.ApprovalState `json:"approval,omitempty"` // while it is waited for
	Canary     *workflows.CanaryState   `json:"canary,omitempty"`   // while it runs
	Search     *workflows.SearchState   `json:"search,omitempty"`   // while it runs
	Activities []activity               `json:"activities,omitempty"`
	Notes      []string                 `json:"notes,omitempty"`
	Started    time.Time                `json:"started,omitzero"`
	Ended      time.Time                `json:"ended,omitzero"`
	URL        string                   `json:"url,omitempty"`
	Problem    string                   `json:"problem,omitempty"` // what couldn't be asked just now
}

// over says that the run has ended and cleaned up behind itself.
func (v runView) over() bool { return v.Outcome != "" && !v.Ended.IsZero() }

// view gathers what is known of a run.
func (a *app) view(ctx context.Context, r runRef) (runView, error) {
	v := runView{ID: r.id(), Model: r.model, Number: r.number, URL: a.link(r.id())}
	store, err := a.store(ctx)
	if err != nil {
		return v, err
	}
	record, err := activities.ReadRecord(ctx, store, r.model, r.number)
	if errors.Is(err, objectstore.ErrNotFound) {
		return v, notFound("run "+v.ID, fmt.Sprintf("`starter list %s` names those there are", r.model))
	}
	if err != nil {
		return v, err
	}
	v.Why, v.Requester = record.Input.Why, record.Input.RequestedBy
	if record.Result != nil {
		v.close(*record.Result)
		return v, nil
	}
	engine, err := a.engine(ctx)
	if err != nil {
		v.Problem = err.Error()
		return v, nil
	}
	return v, v.ask(ctx, engine)
}

// close takes the result of a run that has ended.
func (v *runView) close(r activities.LifecycleResult) {
	v.Outcome, v.Reason, v.Stage, v.Stages = r.Outcome, r.Reason, "done", r.Stages
	v.Version, v.Champion, v.Snapshot, v.Rows = r.Version, r.Champion, r.Snapshot, r.Rows
	v.Started, v.Ended, v.Cached, v.Resumed = r.Started, r.Ended, r.Cached, r.Resumed
}

// ask asks the run's workflow. A worker that doesn't answer is a problem to show, not an error: the run goes on.
func (v *runView) ask(ctx context.Context, engine observer) error {
	e, err := engine.Execution(ctx, v.ID)
	if isA[*notFoundError](err) {
		v.Problem = "its workflow isn't known: it hasn't started yet, or Temporal forgot it"
		return nil
	}
	if err != nil {
		v.Problem = err.Error()
		return ctx.Err()
	}
	v.Started, v.Activities = e.Started, e.Pending
	s, err := engine.Lifecycle(ctx, v.ID)
	if err != nil {
		v.Problem = err.Error()
		return ctx.Err()
	}
	v.Outcome, v.Reason, v.Stage, v.Stages, v.Notes = s.Outcome, s.Reason, s.Stage, s.Stages, s.Notes
	v.Version, v.Champion, v.Snapshot, v.Rows = s.Version, s.Champion, s.Snapshot, s.Rows
	v.Cached, v.Resumed = s.Cached, s.Resumed
	if s.Stage == "approve" && s.Approval != nil && s.Approval.Status.IsOpen() {
		v.Approval = s.Approval
	}
	if s.Outcome != "" {
		v.Ended = e.Closed // zero while it still cleans up
	}
	if !e.Open && s.Outcome == "" {
		v.Problem = fmt.Sprintf("its workflow is %s without an outcome; its model closes it within a minute", e.Status)
	}
	if s.Stage == "train" && s.Search != "" {
		if search, err := engine.Search(ctx, s.Search); err == nil {
			v.Search = &search
		}
		return ctx.Err()
	}
	if s.Stage != "canary" {
		return nil
	}
	c, err := engine.Canary(ctx, v.Model)
	if err == nil {
		v.Canary = &c
	}
	return ctx.Err()
}

// findRun finds the run that an argument means: a run's id, or a model's open run, or else its last one.
func (a *app) findRun(ctx context.Context, arg string) (r runRef, open bool, err error) {
	if r, ok := parseRun(arg); ok {
		return r, true, nil
	}
	if _, err := a.head(ctx, arg); err != nil {
		return r, false, err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return r, false, err
	}
	state, err := engine.Model(ctx, arg)
	if err == nil && state.Open != nil {
		return runRef{model: arg, number: state.Open.Number}, true, nil
	}
	if err != nil && !isA[*notFoundError](err) && !isA[*silentWorkerError](err) {
		return r, false, err
	}
	if r, err = a.lastRun(ctx, arg); err != nil {
		return r, false, err
	}
	if r.number == 0 {
		return r, false, notFound("a run of "+arg, fmt.Sprintf("`starter submit %s` starts one", arg))
	}
	return r, false, nil
}

// lastRun is a model's newest run; its number is 0 where there was none.
func (a *app) lastRun(ctx context.Context, model string) (runRef, error) {
	store, err := a.store(ctx)
	if err != nil {
		return runRef{}, err
	}
	last, err := activities.LastRun(ctx, store, model)
	if err != nil {
		return runRef{}, fmt.Errorf("runs of %s: %w", model, err)
	}
	return runRef{model: model, number: last}, nil
}
