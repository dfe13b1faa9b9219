package workflows_test

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/workflows"
)

var record = flag.Bool("record", false, "record the histories of testdata/histories anew, on a development stack")

// stepLimit is how long one step of a scenario may take on a busy machine.
const stepLimit = time.Minute

// TestRecordHistories runs every scenario on a real Temporal server and keeps the histories. Run it after a change of
// workflow code that is meant to break what runs, never to make a replay pass:
//
//	go test ./workflows -run TestRecordHistories -record
func TestRecordHistories(t *testing.T) {
	if !*record {
		t.Skip("records only with -record")
	}
	c := dialDevstack(t)
	// Without the cache each task replays the whole history: what is recorded has replayed many times already. And no
	// sticky queue's name, which would be this machine's, gets into it.
	worker.SetStickyWorkflowCacheSize(0)
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			r := &recorder{t: t, client: c, world: newWorld(), model: s.name, release: make(chan struct{})}
			r.world.settings.answers(brief())
			if s.given != nil {
				s.given(r)
			}
			r.work()
			s.drive(r)
			wantAll(t, "files written", r.written, s.files...)
			if s.outcome != "" {
				want(t, "outcome", r.world.closing.calls()[0].Outcome, s.outcome)
			}
		})
	}
}

// dialDevstack starts a stack of this test's own.
func dialDevstack(t *testing.T) client.Client {
	t.Helper()
	t.Setenv("TEMPORAL_ADDRESS", "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	stack, err := devstack.Start(ctx, devstack.Options{
		DataDir: t.TempDir(), SearchAttributes: workflows.SearchAttributes(), NoInflux: true, NoUI: true, Log: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		if err := stack.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	a := stack.Addresses().Temporal
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := temporalx.Dial(ctx, temporalx.Connection{Address: a.Address, Namespace: a.Namespace, Identity: "recorder"}, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// recorder drives one scenario.
type recorder struct {
	t       *testing.T
	client  client.Client
	world   *world
	model   string
	release chan struct{} // closed by a scenario whose fake waits for it
	written []string
}

// work runs workers of every role, with this scenario's fakes, until the scenario's end.
func (r *recorder) work() {
	for _, queue := range []string{workflows.QueueLifecycle, workflows.QueueData, workflows.QueueTrain} {
		w := worker.New(r.client, queue, worker.Options{Identity: "recorder", WorkerStopTimeout: time.Second})
		if queue == workflows.QueueLifecycle {
			workflows.Register(w)
		}
		r.world.wire(w)
		if err := w.Start(); err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(w.Stop)
	}
}

func (r *recorder) must(what string, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// context bounds one step.
func (r *recorder) context() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), stepLimit)
	r.t.Cleanup(cancel)
	return ctx
}

// start starts a workflow under an id.
func (r *recorder) start(id string, w, in any) client.WorkflowRun {
	r.t.Helper()
	run, err := r.client.ExecuteWorkflow(r.context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.QueueLifecycle}, w, in)
	r.must("start "+id, err)
	return run
}

// entity starts the scenario's model.
func (r *recorder) entity(runsPerExecution int) {
	r.t.Helper()
	r.start(workflows.ModelID(r.model), workflows.Model, workflows.ModelInput{Model: r.model, RunsPerExecution: runsPerExecution})
}

func (r *recorder) lifecycle(n int) string { return workflows.LifecycleID(r.model, n) }
func (r *recorder) canary() string         { return workflows.CanaryID(r.model) }

func (r *recorder) signal(id, name string, arg any) {
	r.t.Helper()
	r.must("signal "+id, r.client.SignalWorkflow(r.context(), id, "", name, arg))
}

// update sends one and gives the workflow's refusal, if any.
func (r *recorder) update(id, name string, arg any) error {
	r.t.Helper()
	h, err := r.client.UpdateWorkflow(r.context(), client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: name, Args: []any{arg}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return h.Get(r.context(), nil)
}

// until waits for a workflow's state; a workflow that isn't there yet is waited for too.
func until[T any](r *recorder, id, what string, holds func(T) bool) T {
	r.t.Helper()
	ctx := r.context()
	for {
		var state T
		v, err := r.client.QueryWorkflow(ctx, id, "", workflows.QueryState)
		if err == nil {
			err = v.Get(&state)
		}
		if err == nil && holds(state) {
			return state
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("%s: not %s within %s: %v, %+v", id, what, stepLimit, err, state)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (r *recorder) atStage(id, stage string) workflows.LifecycleState {
	r.t.Helper()
	return until(r, id, "at "+stage, func(s workflows.LifecycleState) bool { return s.Stage == stage })
}

// waits is atStage for a version that waits for people.
func (r *recorder) waits(id string, round int) {
	r.t.Helper()
	until(r, id, "waiting", func(s workflows.LifecycleState) bool {
		return s.Approval != nil && s.Approval.Status.IsOpen() && s.Approval.Evidence.Digest == evidence(round)
	})
}

// exposes waits until a canary has traffic.
func (r *recorder) exposes() {
	r.t.Helper()
	until(r, r.canary(), "exposed", func(s workflows.CanaryState) bool { return s.Weight > 0 })
}

// current is the id of a workflow's newest execution, which is waited for.
func (r *recorder) current(id string) string {
	r.t.Helper()
	ctx := r.context()
	for {
		d, err := r.client.DescribeWorkflowExecution(ctx, id, "")
		if err == nil {
			return d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("%s didn't start within %s: %v", id, stepLimit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ended waits for the end of a workflow's execution, "" for the newest; how it ended is in its history.
func (r *recorder) ended(id, run string) {
	r.t.Helper()
	if run == "" {
		run = r.current(id)
	}
	ctx := r.context()
	_ = r.client.GetWorkflow(ctx, id, run).GetWithOptions(ctx, nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
	r.must("end of "+id, ctx.Err())
}

// write waits for a workflow's end and keeps its history as testdata.
func (r *recorder) write(id, run, name string) {
	r.t.Helper()
	r.ended(id, run)
	r.keep(id, run, name)
}

// keep keeps a history as it is now.
func (r *recorder) keep(id, run, name string) {
	r.t.Helper()
	h := &historypb.History{}
	for events := r.client.GetWorkflowHistory(r.context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		r.must("history of "+id, err)
		h.Events = append(h.Events, e)
	}
	raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	r.must("history of "+id, err)
	if len(raw) > maxHistory {
		r.t.Errorf("history of %s: %d bytes > limit %d", id, len(raw), maxHistory)
	}
	r.must("history of "+id, os.WriteFile(filepath.Join(histories, name+".json"), append(raw, '\n'), 0o644))
	r.written = append(r.written, name)
}
