package serving_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const modelName = "flight-delay"

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is one gateway with everything around it in memory.
type world struct {
	t      testing.TB
	clock  *clock
	store  *objectstore.Memory
	series *timeseries.Memory
	ledger *registry.Ledger
	dir    string
	loader *inference.Loader // nil: of the formats that are scored in Go
	point  float64           // what the split's random number is

	mu   sync.Mutex
	down func(op, key string) bool // the store as the gateway sees it
	hang func(op, key string) bool // the same, and may wait

	server *serving.Server
	keys   int
}

func newWorld(t testing.TB, change ...func(*serving.Config)) *world {
	w := &world{t: t, clock: newClock(), store: objectstore.NewMemory(), series: timeseries.NewMemory(), dir: t.TempDir()}
	w.ledger = registry.NewLedger(w.store, modelName)
	w.start(change...)
	return w
}

// start makes the gateway, or another one in its place.
func (w *world) start(change ...func(*serving.Config)) {
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir, cfg.Address = "gw-1", w.dir, "http://gw-1:8080"
	for _, c := range change {
		c(&cfg)
	}
	faulty := objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		w.mu.Lock()
		down, hang := w.down != nil && w.down(op, key), w.hang
		w.mu.Unlock()
		if down || hang != nil && hang(op, key) {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	server, err := serving.New(cfg, serving.Ports{Store: faulty, Series: w.series, Clock: w.clock.Now, Loader: w.loader,
		Random: func() float64 { return w.point }})
	require.NoError(w.t, err)
	w.server = server
}

// fail makes the store fail where down says so; nil ends it.
func (w *world) fail(down func(op, key string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

func everything(string, string) bool { return true }

func (w *world) sync() {
	w.t.Helper()
	require.NoError(w.t, w.server.Sync(context.Background()))
}

func (w *world) do(c registry.Command) registry.Entry {
	w.t.Helper()
	w.keys++
	c.Key, c.Actor, c.Time = fmt.Sprintf("test/%d", w.keys), "test", w.clock.Now()
	e, err := w.ledger.Do(context.Background(), c)
	require.NoError(w.t, err)
	return e
}

// register stores a model as a version that is approved.
func (w *world) register(m linearModel) int {
	w.t.Helper()
	return w.registerFilesOf(m.files(w.t))
}

func (w *world) registerFilesOf(files map[string][]byte) int {
	w.t.Helper()
	digest := w.artifact(files)
	head, err := w.ledger.Head(context.Background())
	require.NoError(w.t, err)
	evidence := fmt.Sprintf("evidence-%d", w.keys)
	e := w.do(registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
		Artifact: digest, Verdict: registry.VerdictPass, Evidence: evidence}})
	v, ok := e.State.ByArtifact(digest)
	require.True(w.t, ok)
	w.do(registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{Version: v.Number, Evidence: evidence,
		Approvers: []string{"cli:ana"}, Comparison: registry.Comparison{Champion: head.State.Champion, Epoch: head.State.Epoch}}})
	return v.Number
}

func (w *world) artifact(files map[string][]byte) string {
	w.t.Helper()
	dir := w.t.TempDir()
	paths := map[string]string{}
	for name, data := range files {
		paths[name] = filepath.Join(dir, name)
		require.NoError(w.t, os.WriteFile(paths[name], data, 0o600))
	}
	digest, _, err := registry.PutArtifact(context.Background(), w.store, modelName, paths)
	require.NoError(w.t, err)
	return digest
}

func (w *world) promote(version int) {
	w.t.Helper()
	w.do(registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: version}})
}

func (w *world) canary(version int, weight float64, lease time.Duration) {
	w.t.Helper()
	head, err := w.ledger.Head(context.Background())
	require.NoError(w.t, err)
	kind := registry.KindCanaryStarted
	if head.State.Challenger == version {
		kind = registry.KindCanaryWeight
	}
	w.do(registry.Command{Kind: kind, Canary: &registry.CanaryWeight{
		Version: version, Weight: weight, LeaseUntil: w.clock.Now().Add(lease), Run: "run-1"}})
}

func (w *world) rollback() {
	w.t.Helper()
	w.do(registry.Command{Kind: registry.KindRolledBack, RolledBack: &registry.RolledBack{Reason: "test"}})
}

func (w *world) applySpec(serving string) {
	w.t.Helper()
	yaml := fmt.Sprintf("apiVersion: leanloop/v1\nkind: Model\nmetadata: {name: %s}\ntask: binary\n"+
		"data: {prefix: s3://lake/flights/, target: late_15, id: flight_key, time: scheduled}\nserving: %s\n", modelName, serving)
	_, err := spec.Parse("model.yaml", []byte(yaml))
	require.NoError(w.t, err)
	digest, err := registry.PutSpec(context.Background(), w.store, modelName, []byte(yaml))
	require.NoError(w.t, err)
	w.do(registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: digest, AppliedBy: "cli:ana"}})
}

// withCanary is a world with a champion (version 1) and a challenger (version 2) of a weight.
func withCanary(t testing.TB, weight float64, change ...func(*serving.Config)) *world {
	w := newWorld(t, change...)
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), weight, 10*time.Minute)
	w.sync()
	return w
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (w *world) request(method, path, body string) answer {
	w.t.Helper()
	return ask(w.t, w.server.Handler(), method, path, body)
}

func (w *world) admin(path string) answer {
	w.t.Helper()
	return ask(w.t, w.server.AdminHandler(), http.MethodGet, path, "")
}

func ask(t testing.TB, h http.Handler, method, path, body string) answer {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
	raw, err := io.ReadAll(rec.Result().Body)
	require.NoError(t, err)
	a := answer{status: rec.Code, header: rec.Result().Header, raw: string(raw)}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") && !strings.HasPrefix(a.raw, "[") {
		require.NoError(t, json.Unmarshal(raw, &a.body), "%s", raw)
	}
	return a
}

// objectstoreWithout is a copy of the world's store that lacks some objects.
func objectstoreWithout(t testing.TB, w *world, suffixes ...string) *objectstore.Memory {
	t.Helper()
	ctx := context.Background()
	out := objectstore.NewMemory()
	require.NoError(t, w.store.List(ctx, "", func(info objectstore.Info) error {
		for _, suffix := range suffixes {
			if strings.HasSuffix(info.Key, suffix) {
				return nil
			}
		}
		data, _, err := objectstore.ReadAll(ctx, w.store, info.Key, 1<<20)
		if err != nil {
			return err
		}
		_, err = out.Put(ctx, info.Key, bytes.NewReader(data), int64(len(data)))
		return err
	}))
	return out
}

const goodRow = `{"dep_delay": 20, "carrier": "UA"}`

func (w *world) predict(row string) answer {
	w.t.Helper()
	return w.request(http.MethodPost, "/predict/"+modelName, `{"features":`+row+`}`)
}

// sum adds one field of the arm points up, by arm and version ("champion/1").
func (w *world) sums(field string) map[string]float64 {
	w.t.Helper()
	rows, err := w.series.Sum(context.Background(), timeseries.Query{Measurement: timeseries.ArmMeasurement,
		Tags: map[string]string{"model": modelName}, GroupBy: []string{"arm", "version"},
		Start: w.clock.Now().Add(-time.Hour), Stop: w.clock.Now().Add(time.Hour)})
	require.NoError(w.t, err)
	out := map[string]float64{}
	for _, r := range rows {
		out[r.Tags["arm"]+"/"+r.Tags["version"]] = r.Fields[field]
	}
	return out
}

// linearModel is a version's model for tests.
type linearModel struct {
	task      spec.Task
	features  []inference.LinearFeature
	classes   []string
	intercept []float64
	unknown   string // what its categories do with others
}

// flights is a binary model of two features; two intercepts make two artifacts.
func flights(intercept float64) linearModel {
	return linearModel{
		task: spec.Binary, classes: []string{"on time", "late"}, intercept: []float64{intercept},
		features: []inference.LinearFeature{
			{Name: "dep_delay", Kind: inference.KindNumber, Weights: []float64{0.1}},
			{Name: "carrier", Kind: inference.KindCategory, Categories: []string{"AA", "B6", "UA"},
				CategoryWeights: [][]float64{{0.5}, {1}, {-1}}},
		},
	}
}

// with adds a number feature.
func (m linearModel) with(name string) linearModel {
	m.features = append(append([]inference.LinearFeature(nil), m.features...),
		inference.LinearFeature{Name: name, Kind: inference.KindNumber, Weights: []float64{1}})
	return m
}

func (m linearModel) files(t testing.TB) map[string][]byte {
	t.Helper()
	links := map[spec.Task]string{spec.Binary: inference.LinkSigmoid, spec.Multiclass: inference.LinkSoftmax, spec.Regression: inference.LinkIdentity}
	file, err := json.Marshal(inference.LinearFile{Format: inference.FormatLinear, Version: inference.LinearVersion,
		Link: links[m.task], Classes: m.classes, Intercept: m.intercept, Features: m.features})
	require.NoError(t, err)
	signature := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatLinear, Task: m.task,
		Classes: m.classes, Output: "late_15"}
	if m.task == spec.Binary {
		signature.Threshold = 0.5
	}
	for _, f := range m.features {
		in := inference.Feature{Name: f.Name, Kind: f.Kind, Categories: f.Categories}
		if f.Kind == inference.KindCategory {
			in.Unknown = m.unknown
		}
		signature.Inputs = append(signature.Inputs, in)
	}
	encoded, err := signature.Marshal()
	require.NoError(t, err)
	return map[string][]byte{inference.SignatureFile: encoded, inference.ModelFile: file}
}
