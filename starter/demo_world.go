package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// Limits of what the demo waits for.
const (
	demoStageLimit = 90 * time.Second // for a run to start, or to come to its approval
	demoRunLimit   = 3 * time.Minute
	demoPoll       = 200 * time.Millisecond
	maxDriftReport = 4 << 20 // bytes
)

// world is the running stack and the model that the story is about.
type world struct {
	stack    *local.Stack
	app      *app // as another terminal has it
	temporal client.Client
	store    objectstore.Store
	example  string      // folder of the example
	base     *spec.Model // the example's spec, with the demo's times
	operator string      // cli:<name>
	say      *narrator
	decide   func(ctx context.Context, s workflows.LifecycleState) (approve bool, err error)

	runs int // lifecycles so far
}

func (w *world) model() string { return w.base.Metadata.Name }

func (w *world) month(n int) string {
	return filepath.Join(w.example, "data", fmt.Sprintf("flights-2013-%02d.csv.gz", n))
}

// apply stores a variant of the spec as an operator would by `starter apply`.
func (w *world) apply(ctx context.Context, change func(*spec.Model)) error {
	raw, err := w.base.Canonical()
	if err != nil {
		return err
	}
	m, err := spec.Parse("the demo's spec", raw)
	if err != nil {
		return err
	}
	if change != nil {
		change(m)
	}
	_, err = applySpec(ctx, w.app, m, nil, false)
	return err
}

// land puts a file below the landing prefix; S3 tells the worker.
func (w *world) land(ctx context.Context, name string, content []byte) error {
	_, prefix, err := objectstore.ParseURL(w.base.Data.Prefix)
	if err != nil {
		return err
	}
	_, err = w.store.Put(ctx, prefix+name, bytes.NewReader(content), int64(len(content)))
	return err
}

func (w *world) landMonth(ctx context.Context, n int) error {
	raw, err := os.ReadFile(w.month(n))
	if err != nil {
		return err
	}
	return w.land(ctx, filepath.Base(w.month(n)), raw)
}

// state asks the next run for its state; found is false until it has started.
func (w *world) state(ctx context.Context, id string) (s workflows.LifecycleState, found bool, err error) {
	value, err := w.query(ctx, id)
	if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	return s, true, value.Get(&s)
}

// query gives a worker a while to answer; where one died with the question, the caller asks again.
func (w *world) query(ctx context.Context, id string) (converter.EncodedValue, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return w.temporal.QueryWorkflow(ctx, id, "", workflows.QueryState)
}

// follow prints a run's stages as they end until check is content or the run has ended.
func (w *world) follow(ctx context.Context, id string, limit time.Duration, check func(workflows.LifecycleState) bool) (workflows.LifecycleState, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: no result within %s", id, limit))
	defer cancel()
	tick := time.NewTicker(demoPoll)
	defer tick.Stop()
	var trouble error // of the last question that wasn't answered
	for {
		s, found, err := w.state(ctx, id)
		if ctx.Err() != nil {
			return s, errors.Join(context.Cause(ctx), trouble)
		}
		trouble = err
		if err == nil && found {
			w.say.stages(s)
			if s.Outcome != "" || check(s) {
				return s, nil
			}
		}
		select {
		case <-ctx.Done():
			return s, errors.Join(context.Cause(ctx), trouble)
		case <-tick.C:
		}
	}
}

// next is the id of the run that comes next.
func (w *world) next() string {
	w.runs++
	return workflows.LifecycleID(w.model(), w.runs)
}

// approve waits until a run asks, shows what is asked, and answers.
func (w *world) approve(ctx context.Context, id string) (approved bool, err error) {
	s, err := w.follow(ctx, id, demoStageLimit, waitsForPeople)
	if err != nil || s.Outcome != "" {
		return false, err
	}
	if approved, err = w.decide(ctx, s); err != nil {
		return false, err
	}
	d := approval.Decision{ID: uuid.NewString(), Kind: approval.Approve, Actor: w.operator, Via: "cli", Evidence: s.Approval.Evidence.Digest, Reason: "looks good"}
	if !approved {
		d.Kind, d.Reason = approval.Reject, "declined in the demo"
	}
	h, err := w.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateID: d.ID, UpdateName: workflows.UpdateDecide, Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return approved, err
	}
	return approved, h.Get(ctx, nil)
}

func waitsForPeople(s workflows.LifecycleState) bool {
	return s.Approval != nil && s.Approval.Status.IsOpen() && s.Stage == "approve"
}

// end waits for a run's end.
func (w *world) end(ctx context.Context, id string) (activities.LifecycleResult, error) {
	if _, err := w.follow(ctx, id, demoRunLimit, func(workflows.LifecycleState) bool { return false }); err != nil {
		return activities.LifecycleResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var r activities.LifecycleResult
	err := w.temporal.GetWorkflow(ctx, id, "").Get(ctx, &r)
	return r, err
}

// confirmed waits until the gateway serves a version as champion.
func (w *world) confirmed(ctx context.Context, seq int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("no gateway has followed the ledger"))
	defer cancel()
	tick := time.NewTicker(demoPoll)
	defer tick.Stop()
	for {
		beats, err := registry.Heartbeats(ctx, w.store)
		if err == nil {
			if ok, _ := registry.Confirmed(beats, w.model(), seq, time.Now()); ok && len(registry.Live(beats, time.Now())) > 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// driftWindows reads what the drift checks of the story found.
func (w *world) driftWindows(ctx context.Context) ([]demoDrift, error) {
	prefix := "monitor/" + w.model() + "/drift/"
	var keys []string
	err := w.store.List(ctx, prefix, func(i objectstore.Info) error {
		if strings.HasSuffix(i.Key, ".json") { // the page of a window lies beside its result
			keys = append(keys, i.Key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := []demoDrift{}
	for _, key := range keys {
		raw, _, err := objectstore.ReadAll(ctx, w.store, key, maxDriftReport)
		if err != nil {
			return nil, err
		}
		var r drift.Result
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "-")
		at, err := time.Parse("20060102T150405Z", stamp)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if r.Alert {
			out = append(out, demoDrift{Window: at.Format(time.RFC3339), Drifted: r.DriftedNames(), MaxPSI: r.MaxPSI})
		}
	}
	return out, nil
}
