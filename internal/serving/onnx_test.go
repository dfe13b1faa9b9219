package serving_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/spec"
)

// sigmoidONNX are the files of a version whose late_15 is sigmoid(dep_delay + 2 carrier + 0.5), a carrier being its place
// among those that it knows.
func sigmoidONNX(t *testing.T, threshold float64) map[string][]byte {
	t.Helper()
	s := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatONNX, Task: spec.Binary, Classes: []string{"on time", "late"},
		Output: "late_15", Threshold: threshold, Inputs: []inference.Feature{{Name: "dep_delay", Kind: inference.KindNumber},
			{Name: "carrier", Kind: inference.KindCategory, Categories: []string{"AA", "B6", "UA"}}}}
	encoded, err := s.Marshal()
	require.NoError(t, err)
	model, err := os.ReadFile(filepath.Join("..", "inference", "testdata", "onnx", "sigmoid.onnx"))
	require.NoError(t, err)
	return map[string][]byte{inference.SignatureFile: encoded, inference.ONNXFile: model}
}

// untilTheEnd has the models of a runtime closed when the test ends: the gateway's own end is its process's.
type untilTheEnd struct {
	onnx.Runtime
	t *testing.T
}

func (u untilTheEnd) Open(ctx context.Context, call onnx.Call, model []byte) (onnx.Session, error) {
	s, err := u.Runtime.Open(ctx, call, model)
	if err == nil {
		u.t.Cleanup(func() { require.NoError(u.t, s.Close()) })
	}
	return s, err
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// A real model in real hosts: ONNX Runtime answers what users ask the gateway, and a batch as its rows.
func TestAGatewayServesAnONNXModelByONNXRuntime(t *testing.T) {
	w := newWorld(t)
	w.loader = &inference.Loader{ONNX: untilTheEnd{hosts.New(onnxtest.Config(t)), t}}
	w.start()
	w.promote(w.registerFilesOf(sigmoidONNX(t, 0.5)))
	w.sync()

	got := w.predict(`{"dep_delay": -3, "carrier": "B6"}`)
	require.Equal(t, http.StatusOK, got.status, got.raw)
	require.InDelta(t, sigmoid(-0.5), got.body["score"], 1e-6)
	require.Equal(t, "on time", got.body["prediction"])

	const many = 5000 // rows: more than one question to a host has
	var rows []string
	for i := range many {
		rows = append(rows, fmt.Sprintf(`{"dep_delay": %d, "carrier": "UA"}`, i%7-5))
	}
	batch := w.request(http.MethodPost, "/predict/"+modelName, `{"instances":[`+strings.Join(rows, ",")+`]}`)
	require.Equal(t, http.StatusOK, batch.status, batch.raw)
	var answers struct{ Predictions []struct{ Score float64 } }
	require.NoError(t, json.Unmarshal([]byte(batch.raw), &answers))
	require.Len(t, answers.Predictions, many)
	for i, a := range answers.Predictions {
		require.InDelta(t, sigmoid(float64(i%7-5)+4.5), a.Score, 1e-6, "row %d", i)
	}

	// Each answer is that of the version that it names.
	v := w.registerFilesOf(sigmoidONNX(t, 0.01))
	w.canary(v, 0.5, time.Hour)
	w.sync()
	for point, want := range map[float64]map[string]any{0.2: {"version": float64(v), "prediction": "late"}, 0.8: {"version": 1.0, "prediction": "on time"}} {
		w.point = point
		got := w.predict(`{"dep_delay": -3, "carrier": "B6"}`)
		require.Equal(t, http.StatusOK, got.status, got.raw)
		require.Equal(t, want["version"], got.body["version"])
		require.Equal(t, want["prediction"], got.body["prediction"])
		require.InDelta(t, sigmoid(-0.5), got.body["score"], 1e-6)
	}
}
