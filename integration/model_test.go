package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/workflows"
)

// How long a test waits for what takes a second or two on an idle machine.
const (
	stageLimit = 4 * time.Minute
	runLimit   = 6 * time.Minute
)

// specText is the spec that tests start from: a small model with a canary of seconds.
const specText = `
apiVersion: leanloop/v1
kind: Model
metadata: {name: %[1]s, team: tests}
task: binary
data:
  prefix: s3://leanloop/landing/%[1]s/
  format: csv
  id: id
  time: at
  target: late
  contract:
    columns:
      - {name: id, type: text, unique: true}
      - {name: at, type: timestamp}
      - {name: delay, type: number}
      - {name: noise, type: number}
      - {name: carrier, type: category, values: [AA, B6, DL]}
      - {name: late, type: boolean}
split: {test: {min_rows: 100}}
train: {builtin: linear}
gates:
  roc_auc: {min: 0.7}
  champion: {metric: roc_auc, max_loss: 0.1}
approval: {approvers: [cli:ana, cli:ben], four_eyes: false, timeout: 5m}
canary:
  steps: [{weight: 50%%, hold: 2s, min_requests: 20}]
  interval: 1s
  deadline: 60s
  max_slowdown: 1000
monitor: {drift: {every: 0s}, quality: {every: 0s}}
retrain: {on: [new_data], cooldown: 0s}
`

// model is one test's model on a stack.
type model struct {
	*testkit.Stack
	name string
	dir  string // beside model.yaml: what apply packs
	spec *spec.Model
}

// newModel makes a model's folder. change adapts the spec before it is written.
func newModel(t *testing.T, s *testkit.Stack, name string, change func(*spec.Model)) *model {
	t.Helper()
	name = s.Name(name)
	parsed, err := spec.Parse("the test's spec", fmt.Appendf(nil, specText, name))
	require.NoError(t, err)
	m := &model{Stack: s, name: name, dir: t.TempDir(), spec: parsed}
	m.change(t, change)
	t.Cleanup(func() { m.explain(t) })
	return m
}

// change adapts the spec and writes it; apply or submit makes it current.
func (m *model) change(t *testing.T, change func(*spec.Model)) {
	t.Helper()
	if change != nil {
		change(m.spec)
	}
	raw, err := m.spec.Canonical()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.file(), raw, 0o600))
}

func (m *model) file() string { return filepath.Join(m.dir, "model.yaml") }

func (m *model) apply(t *testing.T) {
	t.Helper()
	m.Starter(t, "ana", "apply", "-f", m.file()).Want(t, 0)
}

// submit lands a file by the starter and returns the id of the run that takes it.
func (m *model) submit(t *testing.T, name string, content []byte) string {
	t.Helper()
	var out struct{ Lifecycle string }
	m.Starter(t, "ana", "-o", "json", "submit", "-f", m.file(), "--data", dataFile(t, name, content)).Want(t, 0).Decode(t, &out)
	require.NotEmpty(t, out.Lifecycle, "submit named no run")
	return out.Lifecycle
}

// land puts a file below the landing prefix, as any S3 client would.
func (m *model) land(t *testing.T, name string, content []byte) {
	t.Helper()
	_, prefix, err := objectstore.ParseURL(m.spec.Data.Prefix)
	require.NoError(t, err)
	_, err = m.Store.Put(t.Context(), prefix+name, bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
}

func (m *model) lifecycle(n int) string { return workflows.LifecycleID(m.name, n) }

// state asks a run; found is false until it has started.
func (m *model) state(t *testing.T, id string) (s workflows.LifecycleState, found bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	value, err := m.Temporal.QueryWorkflow(ctx, id, "", workflows.QueryState)
	if err == nil {
		require.NoError(t, value.Get(&s))
		return s, true
	}
	return s, false // not started yet, or its worker is busy, or just killed: the caller asks again
}

// stage waits until a run is in a stage. It fails when the run ends without it.
func (m *model) stage(t *testing.T, id, stage string) workflows.LifecycleState {
	t.Helper()
	var s workflows.LifecycleState
	testkit.Until(t, id+" in stage "+stage, stageLimit, func() (bool, any) {
		var found bool
		s, found = m.state(t, id)
		if found && s.Outcome != "" {
			t.Fatalf("%s is %s before stage %s: %s", id, s.Outcome, stage, s.Reason)
		}
		return found && s.Stage == stage && (stage != "approve" || s.Approval != nil && s.Approval.Status.IsOpen()), s.Stages
	})
	return s
}

// result waits for the end of a run and reads how it was recorded in the bucket.
func (m *model) result(t *testing.T, n int) activities.LifecycleResult {
	t.Helper()
	var r activities.Record
	testkit.Until(t, "the end of "+m.lifecycle(n), runLimit, func() (bool, any) {
		var err error
		r, err = activities.ReadRecord(t.Context(), m.Store, m.name, n)
		if err != nil {
			return false, err
		}
		s, _ := m.state(t, m.lifecycle(n))
		return r.Result != nil, s
	})
	return *r.Result
}

// ends waits for the end of a run and holds it to an outcome.
func (m *model) ends(t *testing.T, n int, outcome string) activities.LifecycleResult {
	t.Helper()
	r := m.result(t, n)
	require.Equal(t, outcome, r.Outcome, "%s: %s", r.ID, r.Reason)
	return r
}

// approved waits until a run asks, and approves it as ana.
func (m *model) approved(t *testing.T, n int) {
	t.Helper()
	m.stage(t, m.lifecycle(n), "approve")
	m.Starter(t, "ana", "approve", m.lifecycle(n)).Want(t, 0)
}

// champion takes a first version through everything and waits until the gateway serves it.
func (m *model) champion(t *testing.T) {
	t.Helper()
	m.submit(t, "01.csv", csv(flights(1, fileRows)))
	m.approved(t, 1)
	m.ends(t, 1, activities.Promoted)
	m.serves(t, 1)
}

// challenger lands a second file and approves what it trains, up to its canary.
func (m *model) challenger(t *testing.T) {
	t.Helper()
	m.submit(t, "02.csv", csv(flights(2, fileRows)))
	m.approved(t, 2)
	m.exposed(t)
}

// serves waits until the gateway answers with this version alone.
func (m *model) serves(t *testing.T, version int) {
	t.Helper()
	testkit.Until(t, fmt.Sprintf("the gateway to serve version %d of %s alone", version, m.name), stageLimit, func() (bool, any) {
		r, err := m.route(t)
		return err == nil && r.Champion != nil && r.Champion.Version == version && r.EffectiveWeight == 0, r
	})
}

// exposed waits until the gateway gives the challenger traffic.
func (m *model) exposed(t *testing.T) serving.RouteStatus {
	t.Helper()
	var r serving.RouteStatus
	testkit.Until(t, "traffic for the challenger of "+m.name, stageLimit, func() (bool, any) {
		var err error
		r, err = m.route(t)
		return err == nil && r.Challenger != nil && r.EffectiveWeight > 0, r
	})
	return r
}

// route is how the gateway routes the model now.
func (m *model) route(t *testing.T) (serving.RouteStatus, error) {
	t.Helper()
	return routeOf(t.Context(), m.Admin, m.name)
}

// routeOf is how the gateway of an admin listener routes a model now.
func routeOf(ctx context.Context, admin, model string) (serving.RouteStatus, error) {
	var out struct{ Models []serving.RouteStatus }
	if err := fetch(ctx, http.MethodGet, admin+"/routes", nil, &out); err != nil {
		return serving.RouteStatus{}, err
	}
	for _, r := range out.Models {
		if r.Model == model {
			return r, nil
		}
	}
	return serving.RouteStatus{}, fmt.Errorf("the gateway knows no model %s", model)
}

// prediction is the gateway's answer to one row.
type prediction struct {
	Model   string
	Version int
	Arm     string
	ID      string `json:"prediction_id"`
	Score   float64
	Scores  map[string]float64 // multiclass: by class
}

func (m *model) predict(ctx context.Context, f flight) (prediction, error) {
	return m.predictFrom(ctx, f.features())
}

func (m *model) predictFrom(ctx context.Context, features map[string]any) (p prediction, err error) {
	return p, fetch(ctx, http.MethodPost, m.Gateway+"/predict/"+m.name, map[string]any{"features": features}, &p)
}

// fetch asks for a JSON document. Any answer but 200 is an error that holds it.
func fetch(ctx context.Context, method, url string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if raw, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, res.Status, raw)
	}
	return json.Unmarshal(raw, into)
}

// ledger reads the model's ledger as it lies in the bucket now.
func (m *model) ledger() *registry.Ledger { return registry.NewLedger(m.Store, m.name) }

func (m *model) head(t *testing.T) registry.State {
	t.Helper()
	e, err := m.ledger().Head(t.Context())
	require.NoError(t, err)
	return e.State
}

// verified holds the whole ledger, its artifacts and its specs to their digests, by the operators' command.
func (m *model) verified(t *testing.T) {
	t.Helper()
	m.Starter(t, "ana", "verify", m.name).Want(t, 0)
}

// closed waits until a workflow doesn't run any more: a run tells people and its model after it has written its end.
func (m *model) closed(t *testing.T, id string) {
	t.Helper()
	testkit.Until(t, "the end of workflow "+id, stageLimit, func() (bool, any) { return !m.open(t, id), nil })
}

// open says whether a workflow runs.
func (m *model) open(t *testing.T, id string) bool {
	t.Helper()
	d, err := m.Temporal.DescribeWorkflowExecution(t.Context(), id, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false
	}
	require.NoError(t, err)
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// explain logs what a failed test's runs came to.
func (m *model) explain(t *testing.T) {
	if !t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for n := 1; ; n++ {
		r, err := activities.ReadRecord(ctx, m.Store, m.name, n)
		if err != nil {
			return
		}
		if r.Result != nil {
			t.Logf("%s: %s: %s; %+v", r.Result.ID, r.Result.Outcome, r.Result.Reason, r.Result.Stages)
			continue
		}
		t.Logf("%s: open (%s)", m.lifecycle(n), r.Input.Why)
	}
}

func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, into))
}
