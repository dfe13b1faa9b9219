package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/timeseries"
)

const (
	theModel = "flights"
	landing  = "lake"
)

// t0 is when a world begins.
var t0 = time.Date(2013, 6, 1, 12, 0, 0, 0, time.UTC)

// january is when its first file's events are.
var january = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)

// basic is a spec that small files pass.
const basic = `
apiVersion: leanloop/v1
kind: Model
metadata: {name: flights, team: ops, owner: "@ana"}
task: binary
data:
  prefix: s3://lake/flights/
  id: id
  time: at
  target: late
  window: {min_rows: 50}
split: {test: {min_rows: 20}}
train: {builtin: linear}
gates: {accuracy: {min: 0.6}}
approval: {approvers: [cli:ana, cli:ben], four_eyes: false}
monitor:
  drift: {window: 24h, min_rows: 50, max_drifted: 0, psi: 0.2, alert_after: 2 of 3}
  quality: {window: 72h, min_rows: 20}
retrain: {on: [new_data, quality, drift], min_new_rows: 100, cooldown: 24h}
notify: {slack: "#flights"}
`

// world is a bucket, landing buckets and a clock, with a model in it.
type world struct {
	t       *testing.T
	store   *objectstore.Memory
	buckets *objectstore.MemoryBuckets
	now     time.Time
	lake    *Lake
	metrics *timeseries.Memory
	spec    string // digest of the applied one
	run     int    // the run that tests are in
}

// newWorld applies a spec; changes are pairs of old and new text.
func newWorld(t *testing.T, changes ...string) *world {
	t.Helper()
	w := &world{t: t, store: objectstore.NewMemory(), buckets: objectstore.NewMemoryBuckets(), now: t0, metrics: timeseries.NewMemory(), run: 1}
	w.lake = &Lake{Store: w.store, Landing: w.buckets, Scratch: t.TempDir(), Now: func() time.Time { return w.now }}
	w.apply(changes...)
	return w
}

// apply applies the basic spec with changes.
func (w *world) apply(changes ...string) {
	w.t.Helper()
	yaml := basic
	for i := 0; i < len(changes); i += 2 {
		require.Contains(w.t, yaml, changes[i])
		yaml = strings.ReplaceAll(yaml, changes[i], changes[i+1])
	}
	digest, err := registry.PutSpec(w.t.Context(), w.store, theModel, []byte(yaml))
	require.NoError(w.t, err)
	w.spec = digest
	w.do(registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: digest, AppliedBy: "cli:ana"}})
	_, err = w.lake.Spec(w.t.Context(), theModel, digest)
	require.NoError(w.t, err)
}

// do appends to the ledger as somebody else would.
func (w *world) do(c registry.Command) registry.Entry {
	w.t.Helper()
	head := w.head()
	c.Key, c.Actor, c.Via, c.Time = fmt.Sprintf("elsewhere/%d", head.Seq), "cli:zoe", "cli", w.now
	e, err := registry.NewLedger(w.store, theModel).Do(w.t.Context(), c)
	require.NoError(w.t, err)
	return e
}

func (w *world) head() registry.Entry {
	w.t.Helper()
	e, err := registry.NewLedger(w.store, theModel).Head(w.t.Context())
	require.NoError(w.t, err)
	return e
}

func (w *world) index() registry.IndexState {
	w.t.Helper()
	e, err := registry.NewIndex(w.store, theModel).Head(w.t.Context())
	require.NoError(w.t, err)
	return e.State
}

func (w *world) lifecycle() string { return fmt.Sprintf("lifecycle/%s/%d", theModel, w.run) }

// land puts a file below the landing prefix.
func (w *world) land(name, content string) Object {
	w.t.Helper()
	info, err := w.buckets.Bucket(landing).Put(w.t.Context(), "flights/"+name, strings.NewReader(content), int64(len(content)))
	require.NoError(w.t, err)
	return Object{Bucket: landing, Key: info.Key, ETag: info.ETag, Size: info.Size, Modified: w.now}
}

// try runs an activity as a worker does, results and errors through the converter.
func try[In, Out any](t *testing.T, f func(context.Context, In) (Out, error), in In) (Out, error) {
	t.Helper()
	return tryIn(t, newEnvironment(), f, in)
}

// newEnvironment is a silent worker's.
func newEnvironment() *testsuite.TestActivityEnvironment {
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	return suite.NewTestActivityEnvironment()
}

func tryIn[In, Out any](t *testing.T, env *testsuite.TestActivityEnvironment, f func(context.Context, In) (Out, error), in In) (Out, error) {
	t.Helper()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(f)
	var out Out
	value, err := env.ExecuteActivity(f, in)
	if err != nil {
		return out, err
	}
	require.NoError(t, value.Get(&out))
	return out, nil
}

// must is an activity that succeeds.
func must[In, Out any](t *testing.T, f func(context.Context, In) (Out, error), in In) Out {
	t.Helper()
	out, err := try(t, f, in)
	require.NoError(t, err)
	return out
}

// requireType wants a permanent error of a type, or with "" one that is retried.
func requireType(t *testing.T, kind string, err error) {
	t.Helper()
	require.Error(t, err)
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if kind == "" {
		require.False(t, ok && app.NonRetryable(), "permanent: %v", err)
		return
	}
	require.True(t, ok, "%T: %v", err, err)
	require.Equal(t, kind, app.Type(), "%v", err)
	require.True(t, app.NonRetryable(), "retried: %v", err)
}

// ingest reads an object and asks the index to take it.
func (w *world) ingest(o Object) (IngestOutput, ValidateOutput) {
	w.t.Helper()
	a := &Ingester{Lake: w.lake}
	in := IngestInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Object: o}
	file := must(w.t, a.Ingest, in)
	out := must(w.t, a.Validate, ValidateInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), File: file})
	return file, out
}

// accept lands a file that passes.
func (w *world) accept(name, content string) IngestOutput {
	w.t.Helper()
	file, out := w.ingest(w.land(name, content))
	require.True(w.t, out.Accepted, out.Reason)
	return file
}

func (w *world) snapshot() SnapshotOutput {
	w.t.Helper()
	out := must(w.t, (&Snapshots{Lake: w.lake}).Take, SnapshotInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), AsOf: t0, Force: true})
	require.Empty(w.t, out.Problem)
	return out
}

func (w *world) trainInput(s SnapshotOutput) TrainInput {
	return TrainInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s.Digest, AsOf: t0, Attempt: 1, Token: "001-abcdef01"}
}

func (w *world) trainer() *Trainer {
	return &Trainer{Lake: w.lake, Secrets: func(string) (string, bool) { return "", false }, Supervisor: superviseInTest()}
}

// evaluate takes the snapshot, trains on it and judges.
func (w *world) evaluate() (SnapshotOutput, TrainOutput, EvaluateOutput) {
	w.t.Helper()
	s := w.snapshot()
	trained := must(w.t, w.trainer().Train, w.trainInput(s))
	return s, trained, must(w.t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, trained))
}

func (w *world) evaluateInput(s SnapshotOutput, trained TrainOutput) EvaluateInput {
	return EvaluateInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Round: 1, Snapshot: s.Digest, AsOf: t0, Train: trained,
	}
}

// register brings the data there is to a registered version.
func (w *world) register() RegisterOutput {
	w.t.Helper()
	s, trained, judged := w.evaluate()
	return must(w.t, (&Registrar{Lake: w.lake}).Register, RegisterInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged,
	})
}

// approve registers a version and lets it through.
func (w *world) approve() RegisterOutput {
	w.t.Helper()
	v := w.register()
	out := must(w.t, (&Registrar{Lake: w.lake}).Decide, w.decision(v))
	require.Empty(w.t, out.Void)
	return v
}

func (w *world) decision(v RegisterOutput) DecisionInput {
	return DecisionInput{
		Model: theModel, Lifecycle: w.lifecycle(), Round: 1, Approved: true, Evidence: v.Evidence, Approvers: []string{"cli:ana"}, Via: "cli", Reason: "good",
	}
}

// challenge gives an approved version traffic beside the champion.
func (w *world) challenge(v RegisterOutput) LedgerOutput {
	w.t.Helper()
	return must(w.t, (&Traffic{Lake: w.lake}).Set, w.traffic(v))
}

func (w *world) traffic(v RegisterOutput) TrafficInput {
	return TrafficInput{
		Model: theModel, Version: v.Version, Weight: 0.1, Lease: w.now.Add(time.Hour), Run: w.lifecycle(), Epoch: v.Evidence.Of.Epoch,
		Key: w.lifecycle() + "/canary/1", Start: true,
	}
}

// promote makes the data there is the champion, and goes on to the next run.
func (w *world) promote() int {
	w.t.Helper()
	v := w.approve()
	if w.head().State.Champion != 0 {
		w.challenge(v)
	}
	must(w.t, (&Traffic{Lake: w.lake}).Promote, w.promotion(v))
	w.run++
	return v.Version
}

func (w *world) promotion(v RegisterOutput) PromoteInput {
	return PromoteInput{
		Model: theModel, Version: v.Version, Champion: v.Evidence.Of.Champion, Epoch: v.Evidence.Of.Epoch, Lifecycle: w.lifecycle(),
		Actor: "leanloop:" + w.lifecycle(), Via: "lifecycle",
	}
}

// flights is a file of rows flights, one an hour from a time on. Late ones are those with a delay, more or less.
func flights(from time.Time, rows int, seed uint64) string { return shifted(from, rows, seed, 0) }

// shifted is flights whose delays are longer.
func shifted(from time.Time, rows int, seed uint64, shift float64) string {
	var b strings.Builder
	b.WriteString("id,at,delay,carrier,late\n")
	for _, f := range flightRows(from, rows, seed, shift) {
		fmt.Fprintf(&b, "%s,%s,%.6f,%s,%d\n", f.id, f.at.Format(time.RFC3339), f.delay, f.carrier, f.late)
	}
	return b.String()
}

type flight struct {
	id      string
	at      time.Time
	delay   float64
	carrier string
	late    int
}

func flightRows(from time.Time, rows int, seed uint64, shift float64) []flight {
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]flight, rows)
	for i := range out {
		at := from.Add(time.Duration(i) * time.Hour)
		delay := math.Round(1000*(10*random.NormFloat64()+shift))/1000 + float64(i)*1e-6 // no two are the same
		late := 0
		if delay+4*random.NormFloat64() > 5 {
			late = 1
		}
		out[i] = flight{id: fmt.Sprintf("f%d", at.Unix()), at: at, delay: delay, carrier: []string{"AA", "UA", "DL"}[random.IntN(3)], late: late}
	}
	return out
}
