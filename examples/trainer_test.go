package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// The program is run as its docstring says, by nothing of leanloop's, and the model that it writes is scored on the
// test rows that it never saw.
func TestExternalTrainerWritesAModelThatPassesItsGates(t *testing.T) {
	python := python3(t)
	m, err := spec.Load("external-trainer/model.yaml")
	require.NoError(t, err)
	rows, parts := prepare(t, m, "external-trainer/data/flights.csv.gz")

	dir := t.TempDir()
	for channel, part := range map[string][]int{"train": parts.Train, "validation": parts.Validation} {
		writeChannel(t, filepath.Join(dir, channel), rows.Select(part))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "model"), 0o700))
	hyperparameters, err := json.Marshal(m.Train.Params)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "train.py", "--rate", "0.1")
	cmd.Dir = "external-trainer"
	cmd.Env = []string{
		"SM_CHANNEL_TRAIN=" + filepath.Join(dir, "train"), "SM_CHANNEL_VALIDATION=" + filepath.Join(dir, "validation"),
		"SM_MODEL_DIR=" + filepath.Join(dir, "model"), "SM_HPS=" + string(hyperparameters),
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	require.Equal(t, 10, strings.Count(string(out), `{"epoch": `), "one line of progress an epoch")

	written, err := os.ReadFile(filepath.Join(dir, "model", "model.json"))
	require.NoError(t, err)
	got := score(t, m, written, rows.Select(parts.Test))
	t.Logf("%d test rows: accuracy %.4f, AUC %.4f", len(parts.Test), got["accuracy"], got["roc_auc"])
	for name, bound := range m.Gates.Metrics {
		require.GreaterOrEqual(t, got[name], *bound.Min, name)
	}
}

func TestExternalTrainerSaysWhatItMisses(t *testing.T) {
	python := python3(t)
	cmd := exec.Command(python, "train.py")
	cmd.Dir = "external-trainer"
	cmd.Env = []string{"SM_CHANNEL_TRAIN=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "no rows to learn from")
}

func prepare(t *testing.T, m *spec.Model, name string) (*dataset.Table, *dataset.Parts) {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	table, _, _, err := dataset.Read(context.Background(), f, dataset.ReadOptions{Name: name, Contract: m.Data.Contract})
	require.NoError(t, err)
	prepared, err := dataset.Prepare(table, m.Data, time.Time{})
	require.NoError(t, err)
	parts, err := dataset.Split(prepared, m.Data, m.Split)
	require.NoError(t, err)
	return prepared.Table, parts
}

func writeChannel(t *testing.T, dir string, rows *dataset.Table) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	f, err := os.Create(filepath.Join(dir, "rows.csv"))
	require.NoError(t, err)
	require.NoError(t, dataset.WriteCSV(f, rows))
	require.NoError(t, f.Close())
}

// score answers a table's rows with a model file, whose own features are the signature.
func score(t *testing.T, m *spec.Model, written []byte, rows *dataset.Table) evaluation.Values {
	t.Helper()
	file, err := inference.Inspect(written, inference.Limits{})
	require.NoError(t, err)
	s := inference.Signature{Version: inference.SignatureVersion, Format: file.Format, Task: file.Task,
		Classes: []string{"0", "1"}, Output: m.Data.Target, Threshold: 0.5}
	for i, name := range file.Features {
		feature := inference.Feature{Name: name, Kind: inference.KindNumber, Categories: file.Categories[i]}
		if feature.Categories != nil {
			feature.Kind = inference.KindCategory
		}
		s.Inputs = append(s.Inputs, feature)
	}
	model, err := inference.NewModel(s, file)
	require.NoError(t, err)

	y, err := s.Targets(rows)
	require.NoError(t, err)
	p, x := make([]float64, rows.Rows), make([]float64, len(s.Inputs))
	for row := range rows.Rows {
		values := map[string]any{}
		for _, in := range s.Inputs {
			values[in.Name] = cell(t, rows, in.Name, row)
		}
		require.NoError(t, model.Encode(values, x))
		require.NoError(t, model.Scorer.Score(x, 1, p[row:row+1]))
	}
	return evaluation.Metrics(m.Task, 2, y, p, s.Threshold)
}

// cell is a value as a request would carry it; nil is null.
func cell(t *testing.T, rows *dataset.Table, name string, row int) any {
	t.Helper()
	c, ok := rows.Column(name)
	require.True(t, ok, name)
	switch {
	case c.Kind == dataset.Category && c.Codes[row] == dataset.NullCode:
		return nil
	case c.Kind == dataset.Category:
		return c.Dict[c.Codes[row]]
	case c.Floats[row] != c.Floats[row]:
		return nil
	}
	return c.Floats[row]
}

// python3 is the interpreter; a test skips without one, unless nothing may be missing.
func python3(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil && os.Getenv("LEANLOOP_REQUIRE_ALL") == "1" {
		t.Fatal("no python3 here, and LEANLOOP_REQUIRE_ALL=1")
	}
	if err != nil {
		t.Skip("no python3 here")
	}
	return path
}
