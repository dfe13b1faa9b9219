package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
)

// serve is a gateway with a real model of two features, whose classes are the test's. wrap may stand before it.
func (w *session) serve(model string, classes []string, wrap func(http.Handler) http.Handler) (url string) {
	w.t.Helper()
	dir := w.t.TempDir()
	task, link, weights := spec.Binary, inference.LinkSigmoid, []float64{1}
	if len(classes) > 2 {
		task, link, weights = spec.Multiclass, inference.LinkSoftmax, []float64{1, 0, -1}
	}
	file := inference.LinearFile{Format: inference.FormatLinear, Version: inference.LinearVersion, Link: link, Classes: classes,
		Intercept: make([]float64, len(weights)), Features: []inference.LinearFeature{
			{Name: "amount", Kind: inference.KindNumber, Weights: weights},
			{Name: "since", Kind: inference.KindTimestamp, Weights: make([]float64, len(weights))},
			{Name: "plan", Kind: inference.KindCategory, Categories: []string{"007", "pro"}, CategoryWeights: [][]float64{weights, make([]float64, len(weights))}},
		}}
	signature := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatLinear, Task: task, Classes: classes, Output: "churned"}
	if task == spec.Binary {
		signature.Threshold = 0.5
	}
	for _, f := range file.Features {
		signature.Inputs = append(signature.Inputs, inference.Feature{Name: f.Name, Kind: f.Kind, Categories: f.Categories})
	}
	raw, err := json.Marshal(file)
	require.NoError(w.t, err)
	encoded, err := signature.Marshal()
	require.NoError(w.t, err)
	paths := map[string]string{inference.ModelFile: w.file(dir, "m", string(raw)), inference.SignatureFile: w.file(dir, "s", string(encoded))}
	digest, _, err := registry.PutArtifact(w.t.Context(), w.bucket, model, paths)
	require.NoError(w.t, err)
	w.do(model, registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{Artifact: digest, Verdict: registry.VerdictPass, Evidence: "e"}})
	w.do(model, registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{Version: 1, Evidence: "e", Approvers: []string{"cli:ben"}}})
	w.do(model, registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: 1}})

	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) { handler.ServeHTTP(rw, req) }))
	w.t.Cleanup(listener.Close)
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir, cfg.Address = "g1", w.t.TempDir(), listener.URL
	server, err := serving.New(cfg, serving.Ports{Store: w.bucket, Clock: w.now})
	require.NoError(w.t, err)
	handler = server.Handler()
	if wrap != nil {
		handler = wrap(handler)
	}
	require.NoError(w.t, server.Sync(w.t.Context()))
	return listener.URL
}

const churnRows = "customer,plan,amount,since,notes\n" +
	"c-1,007,2,2013-01-01,\"a, b\"\n" +
	"c-2,pro,-2,2013-01-02T10:00:00Z,\n" +
	"c-3,other,,,=1+1\n"

func TestPredictAsksALiveGateway(t *testing.T) {
	w := newSession(t)
	url := w.serve("churn", []string{"no", "=cmd()"}, nil)
	data := w.file(t.TempDir(), "rows.csv", churnRows)
	require.Equal(t, exitOK, w.starter("predict", "churn", "--data", data, "-o", "json"), w.stderr.String())
	var out predicted
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &out))
	require.Equal(t, url, out.Gateway)
	require.Equal(t, 3, out.Rows)
	require.Equal(t, []any{"=cmd()", "no", "=cmd()"}, []any{out.Predictions[0].Prediction, out.Predictions[1].Prediction, out.Predictions[2].Prediction})
	require.InDelta(t, 0.9526, out.Predictions[0].Score, 1e-4, "2, and 1 for the plan 007: it is no number")
	require.InDelta(t, 0.5, out.Predictions[2].Score, 1e-9, "missing and unknown")
	require.Equal(t, "champion", out.Predictions[0].Arm)
	require.NotEqual(t, out.Predictions[0].ID, out.Predictions[1].ID)

	require.Equal(t, exitOK, w.starter("predict", "churn", "--data", data, "-o", "csv", "--gateway", url+"/", "--batch", "2"), w.stderr.String())
	cells, err := csv.NewReader(strings.NewReader(w.stdout.String())).ReadAll()
	require.NoError(t, err)
	require.Len(t, cells, 4)
	require.Equal(t, []string{"prediction_id", "version", "arm", "prediction", "score"}, cells[0])
	require.Equal(t, []string{"1", "champion", "'=cmd()"}, cells[1][1:4], "a spreadsheet runs nothing")

	require.Equal(t, exitOK, w.starter("predict", "churn", "--data", data))
	require.Contains(t, w.stdout.String(), "0.95257")
	require.Equal(t, exitOK, w.starter("predict", "churn", "--data", data, "-o", "yaml"))
}

func TestPredictOfSeveralClassesHasAScoreForEach(t *testing.T) {
	w := newSession(t)
	w.serve("churn", []string{"low", "mid", "high"}, nil)
	data := w.file(t.TempDir(), "rows.csv", churnRows)
	require.Equal(t, exitOK, w.starter("predict", "churn", "--data", data, "-o", "csv"), w.stderr.String())
	cells, err := csv.NewReader(strings.NewReader(w.stdout.String())).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"score high", "score low", "score mid"}, cells[0][5:])
	require.Equal(t, "low", cells[1][3])
}

func TestPredictSendsBatchesAndComesBackWhenAsked(t *testing.T) {
	w := newSession(t)
	var requests, refused atomic.Int64
	w.serve("churn", []string{"no", "yes"}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost && requests.Add(1) == 2 {
				refused.Add(1)
				rw.Header().Set("Retry-After", "0")
				http.Error(rw, `{"error": "too many requests at once"}`, http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(rw, req)
		})
	})
	var rows strings.Builder
	rows.WriteString("plan,amount,since\n")
	for i := range 2500 {
		fmt.Fprintf(&rows, "pro,%d,2013-01-01\n", i)
	}
	data := w.file(t.TempDir(), "rows.csv", rows.String())
	require.Equal(t, exitOK, w.starter("predict", "churn", "--data", data, "-o", "json"), w.stderr.String())
	var out predicted
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &out))
	require.Equal(t, 2500, out.Rows)
	require.EqualValues(t, 4, requests.Load(), "three batches, one of them twice")
	require.Equal(t, 0.5, out.Predictions[0].Score, "in the file's order")
	require.Greater(t, out.Predictions[3].Score, out.Predictions[2].Score)
}

func TestPredictRefusesBadFilesBeforeItAsks(t *testing.T) {
	w := newSession(t)
	var requests atomic.Int64
	w.serve("churn", []string{"no", "yes"}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				requests.Add(1)
			}
			next.ServeHTTP(rw, req)
		})
	})
	dir := t.TempDir()
	lacking := w.file(dir, "lacking.csv", "plan,since\npro,2013-01-01\n")
	require.Equal(t, exitGate, w.starter("predict", "churn", "--data", lacking))
	require.Contains(t, w.stderr.String(), "amount")
	wrong := w.file(dir, "wrong.csv", "plan,amount,since\npro,1,2013-01-01\npro,many,2013-01-01\n")
	require.Equal(t, exitGate, w.starter("predict", "churn", "--data", wrong))
	require.Zero(t, requests.Load())

	require.Equal(t, exitUsage, w.starter("predict", "churn", "--data", filepath.Join(dir, "none.csv")))
	require.Equal(t, exitUsage, w.starter("predict", "churn"))
	require.Equal(t, exitUsage, w.starter("predict", "churn", "--data", wrong, "--gateway", "g1:8080"))
	require.Equal(t, exitConflict, w.starter("predict", "other", "--data", wrong))
	empty := w.file(dir, "empty.csv", "plan,amount,since\n")
	require.Equal(t, exitGate, w.starter("predict", "churn", "--data", empty))
}

func TestPredictWithoutALiveGatewayNamesTheFlag(t *testing.T) {
	w := newSession(t)
	w.serve("churn", []string{"no", "yes"}, nil)
	w.app.now = func() time.Time { return t0.Add(time.Hour) }
	data := w.file(t.TempDir(), "rows.csv", churnRows)
	require.Equal(t, exitConflict, w.starter("predict", "churn", "--data", data))
	require.Contains(t, w.stderr.String(), "--gateway")
}
