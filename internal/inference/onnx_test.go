package inference_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/pythontest"
)

// onnxCase is a model with what ONNX Runtime itself answered.
type onnxCase struct {
	Name        string          `json:"name"`
	Model       []byte          `json:"model"`
	Signature   json.RawMessage `json:"signature"`
	Rows        [][]any         `json:"rows"`
	Predictions [][]float64     `json:"predictions"`
}

// scikit-learn's models of many kinds, exported anew, are answered as ONNX Runtime in Python answers them.
func TestModelsOfScikitLearnAnswerAsONNXRuntimeDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it trains models")
	}
	python := pythontest.Interpreter(t, "onnxruntime, skl2onnx, pandas and scikit-learn", "-c", "import onnxruntime, skl2onnx, pandas, sklearn")
	seed := "1"
	if s := os.Getenv("LEANLOOP_SEED"); s != "" {
		seed = s
	}
	var problems strings.Builder
	cmd := exec.Command(python, filepath.Join("testdata", "onnx", "make_models.py"), seed)
	cmd.Stderr = &problems
	raw, err := cmd.Output()
	require.NoError(t, err, "%.2000s", problems.String())
	var made struct {
		Version string     `json:"onnxruntime"`
		Cases   []onnxCase `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(raw, &made))
	require.NotEmpty(t, made.Cases)
	loader := &inference.Loader{ONNX: hosts.New(onnxtest.Config(t))}
	for _, c := range made.Cases {
		t.Run(made.Version+"/"+c.Name, func(t *testing.T) {
			m, err := loader.Load(t.Context(), map[string][]byte{inference.SignatureFile: c.Signature, inference.ONNXFile: c.Model})
			require.NoError(t, err)
			defer func() { require.NoError(t, m.Close()) }()
			x := make([]float64, len(c.Rows)*len(m.Signature.Inputs))
			for i, row := range c.Rows {
				for k, v := range row {
					x[i*len(row)+k], err = m.EncodeValue(k, v)
					require.NoError(t, err)
				}
			}
			outputs := m.Scorer.Outputs()
			all := make([]float64, len(c.Rows)*outputs)
			require.NoError(t, m.Score(t.Context(), x, len(c.Rows), all))
			one := make([]float64, outputs)
			for i, want := range c.Predictions {
				require.Len(t, want, outputs)
				require.NoError(t, m.Score(t.Context(), x[i*len(c.Rows[i]):], 1, one))
				for k := range want {
					tolerance := 1e-6 * math.Max(1, math.Abs(want[k]))
					require.InDelta(t, want[k], all[i*outputs+k], tolerance, "row %d", i)
					require.InDelta(t, want[k], one[k], 5*tolerance, "row %d alone", i) // ONNX Runtime itself sums one row in another order
				}
			}
		})
	}
}
