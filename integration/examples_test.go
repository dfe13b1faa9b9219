package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
)

// newExample makes a model of a folder of examples/, as a reader gets who copies it. Where it says python3, the model
// has this interpreter.
func newExample(t *testing.T, s *testkit.Stack, folder, python string, change func(*spec.Model)) *model {
	t.Helper()
	source := exampleFolder(folder)
	parsed, err := spec.Load(filepath.Join(source, "model.yaml"))
	require.NoError(t, err)
	m := &model{Stack: s, name: s.Name(folder), dir: t.TempDir(), spec: parsed}
	entries, err := os.ReadDir(source)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			raw, err := os.ReadFile(filepath.Join(source, e.Name()))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(m.dir, e.Name()), raw, 0o600))
		}
	}
	m.change(t, func(p *spec.Model) {
		p.Metadata.Name, p.Data.Prefix = m.name, "s3://leanloop/landing/"+m.name+"/"
		for _, command := range [][]string{p.Train.Command, p.Predict.Command} {
			if len(command) > 0 && command[0] == "python3" {
				command[0] = python
			}
		}
		if change != nil {
			change(p)
		}
	})
	t.Cleanup(func() { m.explain(t) })
	return m
}

func exampleFolder(name string) string { return filepath.Join("..", "examples", name) }

func exampleData(t *testing.T, folder string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(exampleFolder(folder), "data", "flights.csv.gz"))
	require.NoError(t, err)
	return raw
}

// promotesItsData lands the example's file, approves what comes of it, and waits for the run's good end.
func (m *model) promotesItsData(t *testing.T, folder string) {
	t.Helper()
	m.submit(t, "flights.csv.gz", exampleData(t, folder))
	m.approved(t, 1)
	m.ends(t, 1, activities.Promoted)
}

// download copies a version's artifact into a folder of its own, as any S3 client would.
func (m *model) download(t *testing.T, version int) string {
	t.Helper()
	v, ok := m.head(t).Version(version)
	require.True(t, ok)
	dir, prefix := t.TempDir(), "models/"+m.name+"/artifacts/"+v.Artifact+"/"
	for key, raw := range m.below(t, prefix) {
		path := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(key, prefix)))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, raw, 0o600))
	}
	return dir
}

// below are the objects whose keys begin so.
func (m *model) below(t *testing.T, prefix string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	require.NoError(t, m.Store.List(t.Context(), prefix, func(info objectstore.Info) error {
		body, _, err := m.Store.Get(t.Context(), info.Key)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		found[info.Key], err = io.ReadAll(body)
		return err
	}))
	require.NotEmpty(t, found, "below %s", prefix)
	return found
}

// scores has `starter score` answer rows with a version's artifact and the spec's program.
func (m *model) scores(t *testing.T, artifact, rows string) []float64 {
	t.Helper()
	var out struct{ Predictions []float64 }
	m.Starter(t, "ana", "-o", "json", "score", "-f", m.file(), "--artifact", artifact, "--data", rows).Want(t, 0).Decode(t, &out)
	return out.Predictions
}

// told is a row as a request has it, and what the script said of it.
type told struct {
	Features map[string]any
	Score    *float64
}

// toldByScript are the rows in the log of the run's last attempt, which the examples' scripts end with.
func (m *model) toldByScript(t *testing.T) []told {
	t.Helper()
	var rows []told
	for key, raw := range m.below(t, fmt.Sprintf("runs/%s/%012d/attempts/", m.name, 1)) {
		if path.Base(key) != "log.txt" {
			continue
		}
		for line := range bytes.Lines(raw) {
			var row told
			if json.Unmarshal(line, &row) == nil && row.Features != nil && row.Score != nil {
				rows = append(rows, row)
			}
		}
	}
	require.Len(t, rows, 20, "rows in the log")
	return rows
}

// servesWhatTheScriptSays asks the gateway about the rows that the script told of.
func (m *model) servesWhatTheScriptSays(t *testing.T) {
	t.Helper()
	m.serves(t, 1)
	for _, row := range m.toldByScript(t) {
		p, err := m.predictFrom(t.Context(), row.Features)
		require.NoError(t, err)
		require.InDelta(t, *row.Score, p.Score, 1e-6, "%v", row.Features)
	}
}

// fileOf writes rows as a CSV file, and lists their scores.
func fileOf(t *testing.T, rows []told) (file string, scores []float64) {
	t.Helper()
	names := slices.Sorted(maps.Keys(rows[0].Features))
	text := strings.Join(names, ",") + "\n"
	for _, row := range rows {
		cells := make([]string, len(names))
		for i, name := range names {
			if value := row.Features[name]; value != nil {
				cells[i] = fmt.Sprint(value)
			}
		}
		text += strings.Join(cells, ",") + "\n"
		scores = append(scores, *row.Score)
	}
	return dataFile(t, "rows.csv", []byte(text)), scores
}

// answers runs a program of Python's with arguments, which prints a list of numbers.
func answers(t *testing.T, python, program string, args ...string) (out []float64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-c", program}, args...)...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	raw, err := cmd.Output()
	require.NoError(t, err, errOut.String())
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

// sameScores holds two lists of predictions of the same rows together.
func sameScores(t *testing.T, want, got []float64) {
	t.Helper()
	require.NotEmpty(t, want)
	require.InDeltaSlice(t, want, got, 1e-6)
}

func TestASageMakerScriptTrainsUnchangedAndPredictsByItsOwnModelFn(t *testing.T) {
	const folder = "sagemaker-sklearn"
	s := shared(t)
	python := pythontest.Interpreter(t, "scikit-learn, pandas and joblib", "-c", "import sklearn, pandas, joblib")
	m := newExample(t, s, folder, python, nil)
	m.promotesItsData(t, folder)

	// Flights at departure, one of them with weather that nobody knows.
	rows := dataFile(t, "rows.csv", []byte("hour,temp,wind_speed,pressure,scheduled_minutes,dep_delay\n"+
		"5,39.2,12.7,1012.3,244,2\n6,30,,1020,120,-4\n21,,,,380,95\n"))
	const own = `
import sys
sys.path.insert(0, sys.argv[1])
import json, pandas, train
model = train.model_fn(sys.argv[2])
print(json.dumps(list(model.predict(pandas.read_csv(sys.argv[3])))))`
	artifact := m.download(t, 1)
	sameScores(t, answers(t, python, own, m.dir, filepath.Join(artifact, "model"), rows), m.scores(t, artifact, rows))
	m.verified(t)
}

func TestAnExamplesModelIsServedAsItsScriptSays(t *testing.T) {
	s := shared(t)
	for _, c := range []struct {
		folder, what, probe string // what of Python's it needs
		onnx                bool
	}{
		{"external-trainer", "the standard library", "import json", false},
		{"xgboost", "XGBoost and pandas", "import xgboost, pandas", false},
		{"sklearn-onnx", "scikit-learn, pandas and skl2onnx", "import sklearn, pandas, skl2onnx", true},
		{"go-regression", "", "", false},
	} {
		t.Run(c.folder, func(t *testing.T) {
			t.Parallel()
			python := ""
			if c.what != "" {
				python = pythontest.Interpreter(t, c.what, "-c", c.probe)
			}
			if c.onnx {
				onnxtest.Library(t)
			}
			m := newExample(t, s, c.folder, python, nil)
			m.promotesItsData(t, c.folder)
			m.servesWhatTheScriptSays(t)
		})
	}
}

// A worker is killed while it trains. Beside it another trains the same undisturbed.
func TestAPyTorchTrainingGoesOnFromItsCheckpointAndIsPredictedByItsProgram(t *testing.T) {
	const folder = "pytorch"
	s := shared(t)
	python := pythontest.Torch(t)
	disturbed, quiet := newMachine(t, s, "torch-killed", 1), newMachine(t, s, "torch-quiet", 1)
	worker := disturbed.start(t, "a")
	quiet.start(t, "b")
	on := func(machine *machine) func(*spec.Model) {
		return func(p *spec.Model) {
			p.Train.Resources.GPUs, p.Train.Resources.Labels, p.Train.Params["epochs"] = 1, []string{machine.pool}, 120
		}
	}
	m, other := newExample(t, s, folder, python, on(disturbed)), newExample(t, s, folder, python, on(quiet))
	raw := exampleData(t, folder)
	m.submit(t, "flights.csv.gz", raw)
	other.submit(t, "flights.csv.gz", raw)
	testkit.Until(t, "a checkpoint", stageLimit, func() (bool, any) { return newestCheckpoint(t, m) > 0, nil })
	worker.killed(t)
	m.approved(t, 1)
	m.ends(t, 1, activities.Promoted)
	other.stage(t, other.lifecycle(1), "approve")

	made, failed := attempts(t, m)
	require.NotNil(t, made)
	require.Len(t, failed, 1, "the attempt that was killed")
	require.Equal(t, trained(t, other).Metrics, made.Metrics)
	rows := m.toldByScript(t)
	require.Equal(t, other.toldByScript(t), rows, "the network of an undisturbed training")
	file, scores := fileOf(t, rows)
	sameScores(t, scores, m.scores(t, m.download(t, 1), file))
}

func TestAPyTorchNetworkIsServedInItsOtherForm(t *testing.T) {
	const folder = "pytorch"
	s := shared(t)
	python := pythontest.Torch(t)
	onnxtest.Library(t)
	m := newExample(t, s, folder, python, func(p *spec.Model) {
		p.Train.Params["format"] = "onnx"
		p.Predict, p.Canary.Steps = spec.Predict{}, []spec.Step{{Weight: 0.1, Hold: spec.Duration(time.Hour), MinRequests: 100}}
	})
	m.promotesItsData(t, folder)
	m.servesWhatTheScriptSays(t)
}
