package inference_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/spec"
)

func onnxFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "onnx", name+".onnx"))
	require.NoError(t, err)
	return raw
}

// numbers is the signature of a model of number features.
func numbers(task spec.Task, names ...string) inference.Signature {
	s := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatONNX, Task: task, Output: "y"}
	if task == spec.Binary {
		s.Classes, s.Threshold = []string{"no", "yes"}, 0.5
	}
	for _, name := range names {
		s.Inputs = append(s.Inputs, inference.Feature{Name: name, Kind: inference.KindNumber})
	}
	return s
}

func load(ctx context.Context, t testing.TB, r onnx.Runtime, s inference.Signature, model []byte) (*inference.Model, error) {
	t.Helper()
	encoded, err := s.Marshal()
	require.NoError(t, err)
	m, err := (&inference.Loader{ONNX: r}).Load(ctx, map[string][]byte{inference.SignatureFile: encoded, inference.ONNXFile: model})
	if err == nil {
		t.Cleanup(func() { require.NoError(t, m.Close()) })
	}
	return m, err
}

func TestAnONNXModelIsScoredByItsSignature(t *testing.T) {
	r := hosts.New(onnxtest.Config(t))
	t.Run("one input for all features", func(t *testing.T) {
		m, err := load(t.Context(), t, r, numbers(spec.Binary, "a", "b"), onnxFile(t, "sigmoid"))
		require.NoError(t, err)
		require.True(t, m.Waits())
		require.True(t, m.Closes())
		out := make([]float64, 2)
		require.NoError(t, m.Score(t.Context(), []float64{1, 2, -1, 0}, 2, out))
		require.InDelta(t, 1/(1+math.Exp(-5.5)), out[0], 1e-6)
		require.InDelta(t, 1/(1+math.Exp(0.5)), out[1], 1e-6)
	})
	t.Run("inputs of every type, by name", func(t *testing.T) {
		s := inference.Signature{Version: 1, Format: inference.FormatONNX, Task: spec.Regression, Output: "y", Inputs: []inference.Feature{
			{Name: "carrier", Kind: inference.KindCategory, Categories: []string{"AA", "UA"}}, {Name: "delay", Kind: inference.KindNumber},
			{Name: "weekend", Kind: inference.KindBoolean}, {Name: "hour", Kind: inference.KindInteger},
		}}
		m, err := load(t.Context(), t, r, s, onnxFile(t, "typed"))
		require.NoError(t, err)
		out := make([]float64, 3)
		require.NoError(t, m.Score(t.Context(), []float64{1, 0.5, 1, 7, 0, 0.25, 0, 3, math.NaN(), 0, 0, 0}, 3, out))
		require.Equal(t, []float64{18.5, 3.25, 100}, out, "UA is 10, AA is nothing, a missing text is the empty one")
		err = m.Score(t.Context(), []float64{1, 0, 1, 7, 1, 0, 1, math.NaN()}, 2, out)
		bad, ok := errors.AsType[*inference.RowError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, 1, bad.Row)
		require.EqualError(t, bad, `row 2: feature "hour": observed null, want integer that the model's int64 input can hold`)
		require.ErrorContains(t, m.Score(t.Context(), []float64{1, 1e300, 1, 7}, 1, out), `feature "delay": observed number 1e+300`)
	})
	t.Run("a model of one row at a time", func(t *testing.T) {
		m, err := load(t.Context(), t, r, numbers(spec.Regression, "a", "b"), onnxFile(t, "single"))
		require.NoError(t, err)
		out := make([]float64, 3)
		require.NoError(t, m.Score(t.Context(), []float64{1, 2, 3, 4, 5, 6}, 3, out))
		require.Equal(t, []float64{3, 7, 11}, out)
	})
	t.Run("more rows than one question has", func(t *testing.T) {
		m, err := load(t.Context(), t, r, numbers(spec.Binary, "a", "b"), onnxFile(t, "sigmoid"))
		require.NoError(t, err)
		const rows = 10_001
		x, out := make([]float64, 2*rows), make([]float64, rows)
		for i := range rows {
			x[2*i] = float64(i) / rows
		}
		require.NoError(t, m.Score(t.Context(), x, rows, out))
		for i, p := range out {
			require.InDelta(t, 1/(1+math.Exp(-0.5-float64(i)/rows)), p, 1e-6)
		}
	})
}

func TestAnONNXModelThatDoesntFitItsSignatureIsRefusedBeforeItRuns(t *testing.T) {
	for _, c := range []struct {
		name, file, says string
		signature        inference.Signature
	}{
		{"another number of columns", "sigmoid", `the signature has 3 inputs and the model the one input "X" (float[N 2])`, numbers(spec.Binary, "a", "b", "c")},
		{"a truth value that is a number", "typed", `input "weekend" (bool[N 1]): feature "weekend" is number to the signature and bool to the model`, numbers(spec.Regression, "carrier", "delay", "weekend", "hour")},
		{"an input that is no feature", "typed", "is none of the signature's inputs", numbers(spec.Regression, "a", "b", "c", "d")},
		{"data in another file", "outside", "a tensor's data is in another file", numbers(spec.Regression, "a", "b")},
		{"a regression's scores for three classes", "sigmoid", "observed 1 values a row, the signature has the 3 classes", inference.Signature{
			Version: 1, Format: inference.FormatONNX, Task: spec.Multiclass, Output: "y", Classes: []string{"a", "b", "c"},
			Inputs: numbers(spec.Binary, "a", "b").Inputs}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t.Context(), t, nil, c.signature, onnxFile(t, c.file))
			_, ok := errors.AsType[*inference.FormatError](err)
			require.True(t, ok, "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := load(t.Context(), t, nil, numbers(spec.Binary, "a", "b"), onnxFile(t, "sigmoid"))
	_, ok := errors.AsType[*onnx.Unavailable](err)
	require.True(t, ok, "%v", err)
}

// Models that hang, fill memory or answer nonsense cost a host, and an error; the next question is answered.
func TestAHostileONNXModelIsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it waits for what hangs")
	}
	c := onnxtest.Config(t)
	c.Timeout, c.Memory = 2*time.Second, 1<<30
	r := hosts.New(c)
	for _, hostile := range []struct {
		file, says string
		signature  inference.Signature
	}{
		{"huge", "", numbers(spec.Regression, "a", "b")},
		{"endless", "took too long", numbers(spec.Regression, "a", "b")},
		{"wide", "more than 1000 values a row", numbers(spec.Regression, "X")},
		{"fewer", "want 3 rows first", numbers(spec.Regression, "a", "b")},
	} {
		t.Run(hostile.file, func(t *testing.T) {
			m, err := load(t.Context(), t, r, hostile.signature, onnxFile(t, hostile.file))
			if err == nil {
				x := make([]float64, 3*len(hostile.signature.Inputs))
				err = m.Score(t.Context(), x, 3, make([]float64, 3))
			}
			require.Error(t, err)
			require.ErrorContains(t, err, hostile.says)
			t.Log(err)
		})
	}
}

// A damaged file is refused, or answers with numbers; whatever it does, it does in its host.
func TestADamagedONNXModelIsAnErrorOrAnswers(t *testing.T) {
	c := onnxtest.Config(t)
	c.Timeout = 5 * time.Second
	r := hosts.New(c)
	good := onnxFile(t, "sigmoid")
	try := func(model []byte) {
		m, err := load(t.Context(), t, r, numbers(spec.Binary, "a", "b"), model)
		if err != nil {
			return
		}
		out := make([]float64, 2)
		_ = m.Score(t.Context(), []float64{1, 2, 3, 4}, 2, out)
		require.NoError(t, m.Close())
	}
	random, damages := rand.New(rand.NewPCG(1, 1)), 100
	if testing.Short() {
		damages = 10
	}
	for range damages {
		try(good[:random.IntN(len(good))])
		flipped := bytes.Clone(good)
		for range 1 + random.IntN(3) {
			flipped[random.IntN(len(flipped))] ^= 1 << random.IntN(8)
		}
		try(flipped)
	}
	m, err := load(t.Context(), t, r, numbers(spec.Binary, "a", "b"), good)
	require.NoError(t, err)
	require.NoError(t, m.Score(t.Context(), []float64{1, 2}, 1, make([]float64, 1)))
}
