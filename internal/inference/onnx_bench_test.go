package inference_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
)

// BenchmarkONNX scores a forest of 100 trees in a host, and says how that compares with ONNX Runtime inside Python.
func BenchmarkONNX(b *testing.B) {
	python := pythontest.Interpreter(b, "onnxruntime, skl2onnx and scikit-learn", "-c", "import onnxruntime, skl2onnx, sklearn")
	path := filepath.Join(b.TempDir(), "model.onnx")
	raw, err := exec.Command(python, filepath.Join("testdata", "onnx", "time_rows.py"), path).Output()
	require.NoError(b, err)
	var theirs map[string]float64
	require.NoError(b, json.Unmarshal(raw, &theirs))
	model, err := os.ReadFile(path)
	require.NoError(b, err)
	var names []string
	for i := range 30 {
		names = append(names, "f"+strconv.Itoa(i))
	}
	s := numbers(spec.Binary, names...)
	s.Classes = []string{"0", "1"}
	m, err := load(b.Context(), b, hosts.New(onnxtest.Config(b)), s, model)
	require.NoError(b, err)
	random := rand.New(rand.NewPCG(1, 1))
	x, out := make([]float64, 1024*30), make([]float64, 1024)
	for i := range x {
		x[i] = random.NormFloat64()
	}
	for _, rows := range []int{1, 1024} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { benchONNX(b, m, x, out, rows, theirs[strconv.Itoa(rows)]) })
	}
}

func benchONNX(b *testing.B, m *inference.Model, x, out []float64, rows int, theirs float64) {
	for b.Loop() {
		if err := m.Score(b.Context(), x, rows, out); err != nil {
			b.Fatal(err)
		}
	}
	ours := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(theirs*1e6, "µs-in-Python")
	b.ReportMetric(ours*1e6, "µs-here")
	b.ReportMetric(ours/theirs, "times-Python")
}
