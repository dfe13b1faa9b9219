package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/schedules/schedulestest"
	"github.com/leanloop/leanloop/workflows"
)

// t0 is when the tests' world stands still.
var t0 = time.Date(2013, 6, 1, 12, 0, 0, 0, time.UTC)

// session is the command line over a bucket in memory and an engine that does as the test says.
type session struct {
	*app
	t          *testing.T
	stdout     bytes.Buffer
	stderr     bytes.Buffer
	variables  map[string]string
	bucket     objectstore.Store
	fake       *fakeEngine
	service    *schedulestest.Client
	transcript strings.Builder
}

func newSession(t *testing.T) *session {
	t.Helper()
	w := &session{t: t, variables: map[string]string{"LEANLOOP_BUCKET": "leanloop"}, // servers are named, as the fakes are
		fake: newFakeEngine(), service: schedulestest.New()}
	buckets := objectstore.NewMemoryBuckets()
	w.bucket = buckets.Bucket(defaultBucket)
	w.app = &app{
		supervisor: func() ([]string, error) { return []string{os.Args[0], asSupervisor}, nil },
		in:         strings.NewReader(""), out: &w.stdout, errOut: &w.stderr,
		env:       func(name string) string { return w.variables[name] },
		now:       func() time.Time { return t0 },
		osUser:    func() (string, error) { return "ana", nil },
		configDir: func() (string, error) { return filepath.Join(t.TempDir(), "config"), nil },
		terminal:  func(any) bool { return false },
		pollEvery: time.Millisecond,
		buckets:   func(context.Context) (objectstore.Buckets, error) { return buckets, nil },
		engine:    func(context.Context) (engine, error) { return w.fake, nil },
		scheduler: func(context.Context) (client.ScheduleClient, error) { return w.service, nil },
	}
	return w
}

// starter runs one command line, as a new process would, and returns its exit code.
func (w *session) starter(args ...string) int {
	w.stdout.Reset()
	w.stderr.Reset()
	w.flags, w.target, w.ledgers = globalFlags{}, nil, nil
	code := w.execute(w.t.Context(), args)
	fmt.Fprintf(&w.transcript, "$ starter %s\n%s", strings.Join(args, " "), w.stdout.String())
	for line := range strings.Lines(w.stderr.String()) {
		fmt.Fprintf(&w.transcript, "! %s", line)
	}
	if code != 0 {
		fmt.Fprintf(&w.transcript, "[exit %d]\n", code)
	}
	w.transcript.WriteString("\n")
	return code
}

// golden compares what the session printed with testdata/<name>.txt; LEANLOOP_UPDATE_GOLDEN=1 rewrites it.
func (w *session) golden(name string) {
	w.t.Helper()
	wd := os.Getenv("LEANLOOP_TESTDATA")
	if wd == "" {
		wd = "testdata"
	}
	path := filepath.Join(wd, name+".txt")
	if os.Getenv("LEANLOOP_UPDATE_GOLDEN") != "" {
		require.NoError(w.t, os.WriteFile(path, []byte(w.transcript.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(w.t, err)
	require.Equal(w.t, string(want), w.transcript.String())
}

// file writes a file below a folder of the test.
func (w *session) file(dir, name, content string) string {
	w.t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(w.t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// do appends a command to a model's ledger, as others would have.
func (w *session) do(model string, c registry.Command) registry.Entry {
	w.t.Helper()
	ledger := registry.NewLedger(w.bucket, model)
	head, err := ledger.Head(w.t.Context())
	require.NoError(w.t, err)
	c.Key = fmt.Sprintf("test/%d", head.Seq+1)
	c.Time = t0.Add(-time.Hour).Add(time.Duration(head.Seq) * time.Minute)
	if c.Actor == "" {
		c.Actor = "leanloop:lifecycle/" + model + "/1"
	}
	e, err := ledger.Do(w.t.Context(), c)
	require.NoError(w.t, err)
	return e
}

// hex64 is a digest for tests.
func hex64(n int) string { return fmt.Sprintf("%064x", n) }

// champion registers, approves and promotes one more version.
func (w *session) champion(model string, number int) {
	w.t.Helper()
	w.approved(model, number)
	if number > 1 {
		w.canary(model, number)
	}
	w.do(model, registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: number}})
}

func (w *session) approved(model string, number int) {
	w.t.Helper()
	w.do(model, registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
		Artifact: hex64(number), Snapshot: hex64(100), Spec: hex64(200), Lifecycle: workflows.LifecycleID(model, number),
		Verdict: registry.VerdictPass, Evidence: hex64(300 + number),
	}})
	head, err := registry.NewLedger(w.bucket, model).Head(w.t.Context())
	require.NoError(w.t, err)
	w.do(model, registry.Command{Kind: registry.KindApproved, Actor: "cli:ben", Via: "cli", Approved: &registry.Decided{
		Version: number, Evidence: hex64(300 + number), Approvers: []string{"cli:ben"}, Reason: "looks good",
		Comparison: registry.Comparison{Champion: head.State.Champion, Epoch: head.State.Epoch},
	}})
}

func (w *session) canary(model string, number int) {
	w.t.Helper()
	for i, kind := range []registry.Kind{registry.KindCanaryStarted, registry.KindCanaryWeight, registry.KindCanaryWeight} {
		w.do(model, registry.Command{Kind: kind, Canary: &registry.CanaryWeight{
			Version: number, Weight: 0.1, LeaseUntil: t0.Add(time.Duration(i+1) * time.Minute), Run: "run-1",
		}})
	}
}

// record stores a run, and its result where there is one.
func (w *session) record(r activities.Record) {
	w.t.Helper()
	runs := &activities.Runs{Lake: &activities.Lake{Store: w.bucket, Now: func() time.Time { return t0 }}}
	_, err := runs.Claim(w.t.Context(), r.Input)
	require.NoError(w.t, err)
	if r.Result != nil {
		_, err = runs.Close(w.t.Context(), *r.Result)
		require.NoError(w.t, err)
	}
}

// fakeEngine answers from maps, and remembers what it was told.
type fakeEngine struct {
	models     map[string]workflows.ModelState
	lifecycles map[string]workflows.LifecycleState
	canaries   map[string]workflows.CanaryState
	executions map[string]execution
	searches   map[string]workflows.SearchState

	submit func(model string, t activities.Trigger) (workflows.Submitted, error)
	decide func(lifecycle string, d approval.Decision) (approval.Status, error)
	steer  func(model string, s workflows.Steer) (canary.State, error)
	target func(model string, readOnly bool) (activities.TargetCheck, error)

	started   []string
	triggers  []activities.Trigger
	decisions []approval.Decision
	steers    []workflows.Steer
	stops     []workflows.Stop
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{
		models: map[string]workflows.ModelState{}, lifecycles: map[string]workflows.LifecycleState{},
		canaries: map[string]workflows.CanaryState{}, executions: map[string]execution{}, searches: map[string]workflows.SearchState{},
	}
}

func lookup[V any](m map[string]V, id string) (V, error) {
	v, ok := m[id]
	if !ok {
		return v, notFound(id, "")
	}
	return v, nil
}

func (f *fakeEngine) Start(_ context.Context, model string) error {
	f.started = append(f.started, model)
	if _, ok := f.models[model]; !ok {
		f.models[model] = workflows.ModelState{Model: model, NextRun: 1}
	}
	return nil
}

func (f *fakeEngine) Submit(_ context.Context, model string, t activities.Trigger) (workflows.Submitted, error) {
	f.triggers = append(f.triggers, t)
	return f.submit(model, t)
}

func (f *fakeEngine) Decide(_ context.Context, lifecycle string, d approval.Decision) (approval.Status, error) {
	f.decisions = append(f.decisions, d)
	return f.decide(lifecycle, d)
}

func (f *fakeEngine) Steer(_ context.Context, model string, s workflows.Steer) (canary.State, error) {
	f.steers = append(f.steers, s)
	if f.steer == nil {
		return canary.State{}, notFound("canary/"+model, "")
	}
	return f.steer(model, s)
}

func (f *fakeEngine) Stop(_ context.Context, _ string, s workflows.Stop) error {
	f.stops = append(f.stops, s)
	return nil
}

func (f *fakeEngine) Target(_ context.Context, model string, readOnly bool, _ time.Duration) (activities.TargetCheck, error) {
	return f.target(model, readOnly)
}

func (f *fakeEngine) Model(_ context.Context, model string) (workflows.ModelState, error) {
	return lookup(f.models, model)
}

func (f *fakeEngine) Lifecycle(_ context.Context, id string) (workflows.LifecycleState, error) {
	return lookup(f.lifecycles, id)
}

func (f *fakeEngine) Search(_ context.Context, id string) (workflows.SearchState, error) {
	return lookup(f.searches, id)
}

func (f *fakeEngine) Canary(_ context.Context, model string) (workflows.CanaryState, error) {
	return lookup(f.canaries, model)
}

func (f *fakeEngine) Execution(_ context.Context, id string) (execution, error) {
	return lookup(f.executions, id)
}
