package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training"
)

const (
	modelName = "flight-delay"
	example   = "../examples/flight-delay"
)

// january is the first month's flights with the columns that a model of them has.
var january = sync.OnceValues(func() (*dataset.Table, error) { return flights(1) })

// flights are the flights of the months from January to last, with the columns that a model of them has, its target last.
func flights(last int) (*dataset.Table, error) {
	m, err := spec.Load(filepath.Join(example, "model.yaml"))
	if err != nil {
		return nil, err
	}
	var months []*dataset.Table
	for month := 1; month <= last; month++ {
		t, err := readMonth(m, month)
		if err != nil {
			return nil, err
		}
		months = append(months, t)
	}
	all, err := dataset.Concat(months...)
	if err != nil {
		return nil, err
	}
	prepared, err := dataset.Prepare(all, m.Data, time.Date(2014, 2, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, err
	}
	names, err := dataset.FeatureColumns(prepared.Table, m.Data)
	if err != nil {
		return nil, err
	}
	return prepared.Table.Project(append(names, m.Data.Target))
}

func readMonth(m *spec.Model, month int) (*dataset.Table, error) {
	f, err := os.Open(filepath.Join(example, "data", fmt.Sprintf("flights-2013-%02d.csv.gz", month)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	t, _, report, err := dataset.Read(context.Background(), f, dataset.ReadOptions{Name: f.Name(), Contract: m.Data.Contract})
	if err != nil {
		return nil, err
	}
	return t, report.Error()
}

// treesModel is 100 trees of depth 6; another seed makes another artifact.
func treesModel(tb testing.TB, seed uint64) map[string][]byte {
	tb.Helper()
	models, err := trained()
	require.NoError(tb, err)
	return models[seed]
}

// trained are the models of seeds 1 and 2, trained once.
var trained = sync.OnceValues(func() (map[uint64]map[string][]byte, error) {
	t, err := january()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(t.Columns)-1)
	for _, c := range t.Columns[:len(t.Columns)-1] {
		names = append(names, c.Name)
	}
	models := map[uint64]map[string][]byte{}
	for _, seed := range []uint64{1, 2} {
		out, err := training.Builtin(context.Background(), training.Trees, training.Input{
			Train: t, Features: names, Target: t.Columns[len(names)].Name, Task: spec.Binary, Seed: seed,
			Params: map[string]any{"rounds": 100, "max_depth": 6, "subsample": 0.8},
		}, nil)
		if err != nil {
			return nil, err
		}
		signature, err := out.Signature.Marshal()
		if err != nil {
			return nil, err
		}
		models[seed] = map[string][]byte{inference.SignatureFile: signature, inference.ModelFile: out.Model}
	}
	return models, nil
})

// constantModel has the features of the trees and answers 0.5 whatever they are.
func constantModel(tb testing.TB) map[string][]byte {
	tb.Helper()
	s, err := inference.ParseSignature(treesModel(tb, 1)[inference.SignatureFile])
	require.NoError(tb, err)
	s.Format = inference.FormatLinear
	file := inference.LinearFile{
		Format: inference.FormatLinear, Version: inference.LinearVersion, Link: inference.LinkSigmoid, Classes: s.Classes, Intercept: []float64{0},
	}
	for _, f := range s.Inputs {
		l := inference.LinearFeature{Name: f.Name, Kind: f.Kind, Categories: f.Categories, Weights: []float64{0}}
		if f.Kind == inference.KindCategory {
			l.Weights = nil
			for range f.Categories {
				l.CategoryWeights = append(l.CategoryWeights, []float64{0})
			}
		}
		file.Features = append(file.Features, l)
	}
	model, err := json.Marshal(file)
	require.NoError(tb, err)
	signature, err := s.Marshal()
	require.NoError(tb, err)
	return map[string][]byte{inference.SignatureFile: signature, inference.ModelFile: model}
}

// requestsOf are HTTP requests for the first 1,000 flights, as bytes to be sent.
func requestsOf(tb testing.TB) [][]byte {
	tb.Helper()
	return requestsBy(tb, "")
}

// requestsBy are requestsOf that name their flight in a field; "": they don't.
func requestsBy(tb testing.TB, key string) [][]byte {
	tb.Helper()
	t, err := january()
	require.NoError(tb, err)
	var out [][]byte
	for row := range 1000 {
		features := map[string]any{}
		for _, c := range t.Columns[:len(t.Columns)-1] {
			features[c.Name] = cell(c, row)
		}
		if key != "" {
			features[key] = fmt.Sprintf("flight-%d", row)
		}
		body, err := json.Marshal(map[string]any{"features": features})
		require.NoError(tb, err)
		out = append(out, fmt.Appendf(nil, "POST /predict/%s HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			modelName, len(body), body))
	}
	return out
}

func cell(c dataset.Column, row int) any {
	if c.Kind == dataset.Category {
		if code := c.Codes[row]; code >= 0 {
			return c.Dict[code]
		}
		return nil
	}
	if v := c.Floats[row]; v == v {
		return v
	}
	return nil
}

// gateway is a serving.Server with its stores in memory, following its ledger and answering over loopback.
type gateway struct {
	address string
	do      func(registry.Command) registry.Entry // appends to its ledger
}

// gatewayOptions are what the benchmarks' gateways differ in.
type gatewayOptions struct {
	sample float64 // share of rows that are logged
	weight float64 // of the challenger
	sticky string  // field; "": at random
}

// newGateway serves the first model as champion, the second, if any, as challenger of a weight. It logs every row.
func newGateway(tb testing.TB, weight float64, models ...map[string][]byte) *gateway {
	tb.Helper()
	return startGateway(tb, gatewayOptions{sample: 1, weight: weight}, models...)
}

func startGateway(tb testing.TB, o gatewayOptions, models ...map[string][]byte) *gateway {
	tb.Helper()
	store := objectstore.NewMemory()
	ledger := registry.NewLedger(store, modelName)
	do := func(c registry.Command) registry.Entry {
		c.Key, c.Actor, c.Time = fmt.Sprintf("bench/%s/%d", c.Kind, time.Now().UnixNano()), "bench", time.Now()
		e, err := ledger.Do(tb.Context(), c)
		require.NoError(tb, err)
		return e
	}
	sticky := ""
	if o.sticky != "" {
		sticky = "sticky_by: " + o.sticky + ", "
	}
	applied, err := registry.PutSpec(tb.Context(), store, modelName, fmt.Appendf(nil,
		"apiVersion: leanloop/v1\nkind: Model\nmetadata: {name: %s}\ntask: binary\ndata: {prefix: s3://lake/flights/, target: late}\nserving: {%slog: {sample: %g}}\n", modelName, sticky, o.sample))
	require.NoError(tb, err)
	do(registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: applied, AppliedBy: "cli:ana"}})
	for i, files := range models {
		paths := map[string]string{}
		for name, raw := range files {
			paths[name] = filepath.Join(tb.TempDir(), name)
			require.NoError(tb, os.WriteFile(paths[name], raw, 0o600))
		}
		digest, _, err := registry.PutArtifact(tb.Context(), store, modelName, paths)
		require.NoError(tb, err)
		e := do(registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
			Artifact: digest, Verdict: registry.VerdictPass, Evidence: digest,
		}})
		version, ok := e.State.ByArtifact(digest)
		require.True(tb, ok)
		e = do(registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{
			Version: version.Number, Evidence: digest, Approvers: []string{"cli:ana"},
			Comparison: registry.Comparison{Champion: e.State.Champion, Epoch: e.State.Epoch},
		}})
		if i == 0 {
			do(registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: version.Number}})
			continue
		}
		do(registry.Command{Kind: registry.KindCanaryStarted, Canary: &registry.CanaryWeight{
			Version: version.Number, Weight: o.weight, LeaseUntil: time.Now().Add(time.Hour), Run: "bench",
		}})
	}
	c := serving.DefaultConfig()
	c.ID, c.StateDir = "bench", tb.TempDir()
	server, err := serving.New(c, serving.Ports{Store: store, Series: timeseries.NewMemory()})
	require.NoError(tb, err)
	require.NoError(tb, server.Sync(tb.Context()))
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() { _ = server.Run(ctx) })
	tb.Cleanup(func() { cancel(); running.Wait() })
	return &gateway{address: serve(tb, server.Handler()), do: do}
}

// serve answers by h on a free port.
func serve(tb testing.TB, h http.Handler) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	tb.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr().String()
}

// fixedAnswer is the least that an HTTP server does: read the request, answer as many bytes as the gateway does.
func fixedAnswer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"model":"flight-delay","version":1,"arm":"champion","prediction_id":"bench-000000000000-00000001","prediction":"0","score":0.123456789}`))
}

// connection asks by bytes that are ready, so that what is measured is the server, not a client.
type connection struct {
	net.Conn
	in   *bufio.Reader
	body []byte // of the last answer
}

func dial(address string) (*connection, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, in: bufio.NewReader(c)}, nil
}

func mustDial(tb testing.TB, address string) *connection {
	tb.Helper()
	c, err := dial(address)
	require.NoError(tb, err)
	tb.Cleanup(c.close)
	return c
}

func (c *connection) close() { _ = c.Conn.Close() }

// ask sends one request and reads its answer, which must be a 200 with its length in the header.
func (c *connection) ask(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	status, length := "", -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if status == "" {
			status = string(line)
			continue
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return fmt.Errorf("%s: %s", status, c.body)
	}
	return nil
}

func (c *connection) answer(tb testing.TB, request []byte) map[string]any {
	tb.Helper()
	require.NoError(tb, c.ask(request))
	var out map[string]any
	require.NoError(tb, json.Unmarshal(c.body, &out), "%s", c.body)
	return out
}

func (c *connection) score(tb testing.TB, request []byte) float64 {
	tb.Helper()
	a := c.answer(tb, request)
	score, ok := a["score"].(float64)
	require.True(tb, ok, "%v", a)
	return score
}
