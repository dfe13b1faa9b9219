package serving_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/inference/remote"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
)

// asRemote are the files of a version that another server scores as a linear model of the same signature.
func asRemote(t *testing.T, m linearModel, url, output string) map[string][]byte {
	t.Helper()
	signature, err := inference.ParseSignature(m.files(t)[inference.SignatureFile])
	require.NoError(t, err)
	signature.Format = inference.FormatRemote
	written, err := signature.Marshal()
	require.NoError(t, err)
	file, err := json.Marshal(remote.File{URL: url, Model: modelName, Output: output})
	require.NoError(t, err)
	return map[string][]byte{inference.SignatureFile: written, inference.RemoteFile: file}
}

// withRemote is a world that may ask servers of this machine, and asks none yet.
func withRemote(t *testing.T, change ...func(*serving.Config)) *world {
	t.Helper()
	servers, err := remote.New(remote.Config{Hosts: []string{"127.0.0.1"}})
	require.NoError(t, err)
	t.Cleanup(servers.Close)
	w := newWorld(t, change...)
	w.loader = &inference.Loader{Remote: servers}
	w.start(change...)
	return w
}

// A gateway speaks the protocol itself: one that asks another answers as that one does.
func TestAGatewayAnswersByAnotherAsThatOneDoes(t *testing.T) {
	three := linearModel{task: spec.Multiclass, classes: []string{"a", "b", "c"}, intercept: []float64{0, 0.1, 0.2}, features: []inference.LinearFeature{
		{Name: "dep_delay", Kind: inference.KindNumber, Weights: []float64{0.01, -0.01, 0}},
		{Name: "carrier", Kind: inference.KindCategory, Categories: []string{"AA", "B6", "UA"}, CategoryWeights: [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}},
	}}
	value := linearModel{task: spec.Regression, intercept: []float64{5}, features: flights(0).features}
	for name, c := range map[string]struct {
		model  linearModel
		output string
	}{"binary": {flights(0), ""}, "multiclass": {three, ""}, "regression": {value, "prediction"}} {
		t.Run(name, func(t *testing.T) {
			far := champion(t, c.model)
			server := httptest.NewServer(far.server.Handler())
			defer server.Close()
			near := withRemote(t)
			near.promote(near.registerFiles(asRemote(t, c.model, server.URL, c.output)))
			near.sync()
			for _, row := range []string{goodRow, `{"dep_delay": null, "carrier": "AA"}`, `{"dep_delay": -3.25, "carrier": null}`, `{"dep_delay": 1, "carrier": "unheard of"}`} {
				want, got := far.predict(row), near.predict(row)
				require.Equal(t, http.StatusOK, got.status, got.raw)
				for _, field := range []string{"prediction", "score", "scores"} {
					require.Equal(t, want.body[field], got.body[field], "%s of %s", field, row)
				}
			}
			batch := `{"instances":[` + strings.TrimSuffix(strings.Repeat(goodRow+",", 600), ",") + `]}`
			got := near.request(http.MethodPost, "/predict/"+modelName, batch)
			require.Equal(t, http.StatusOK, got.status, "more rows than one request to the server has")
		})
	}
}

func TestAServerThatGoesAwayFailsItsChampionAndNoChallengerOfAnotherFormat(t *testing.T) {
	far := champion(t, flights(0))
	server := httptest.NewServer(far.server.Handler())
	w := withRemote(t)
	w.promote(w.register(flights(0)))
	w.canary(w.registerFiles(asRemote(t, flights(1), server.URL, "")), 1, 10*time.Minute)
	w.sync()
	require.Equal(t, 2.0, version(t, w.predict(goodRow)), "the server answers as challenger")
	server.Close()
	a := w.predict(goodRow)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, 1.0, version(t, a), "the champion answers in the same request")
	require.Equal(t, true, a.body["fallback"])
}

// version is the one that answered.
func version(t *testing.T, a answer) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.Trim(strings.TrimSpace(jsonOf(t, a.body["version"])), `"`), 64)
	require.NoError(t, err, a.raw)
	return n
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestAChampionThatIsScoredElsewhereHasItsTime(t *testing.T) {
	far := champion(t, flights(0))
	var slow atomic.Bool
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if slow.Load() && strings.HasSuffix(r.URL.Path, "/infer") {
			<-release
		}
		far.server.Handler().ServeHTTP(rw, r)
	}))
	defer server.Close()
	defer close(release)
	w := withRemote(t, func(c *serving.Config) { c.ChampionTimeout = 50 * time.Millisecond })
	w.promote(w.registerFiles(asRemote(t, flights(0), server.URL, "")))
	w.sync()
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	slow.Store(true)
	a := w.predict(goodRow)
	require.Equal(t, http.StatusInternalServerError, a.status, a.raw)
	require.Contains(t, a.raw, "scoring_failed")
}

func TestAVersionThatCantBeLoadedHereSaysWhyInTheHeartbeat(t *testing.T) {
	byFile := asRemote(t, flights(0), "http://triton:8000", "")
	byFile[inference.SignatureFile] = bytes.Replace(byFile[inference.SignatureFile], []byte(`"remote"`), []byte(`"command"`), 1)
	byFile[inference.CommandFile] = []byte(`{}`)
	for says, files := range map[string]map[string][]byte{
		"--remote-hosts": asRemote(t, flights(0), "http://triton:8000", ""), "no gateway can load it": byFile,
	} {
		w := newWorld(t)
		w.promote(w.registerFiles(files))
		require.ErrorContains(t, w.server.Sync(t.Context()), says)
		beats, err := registry.Heartbeats(t.Context(), w.store)
		require.NoError(t, err)
		problem := beats[0].Models[modelName].Problem
		require.Contains(t, problem, "champion: load flight-delay version 1")
		require.Contains(t, problem, says)
		require.Zero(t, beats[0].Models[modelName].Champion)

		next := w.register(flights(0))
		w.canary(next, 0, time.Minute)
		w.promote(next)
		w.sync()
		beats, err = registry.Heartbeats(t.Context(), w.store)
		require.NoError(t, err)
		require.Empty(t, beats[0].Models[modelName].Problem, "it is over")
	}
}
