package training

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
)

// The example is trained as a worker trains it, and its exported model scores the validation rows as scikit-learn did.
func TestAPipelineOfScikitLearnIsCollectedAndAnswersAsItself(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it trains a model in Python")
	}
	python := pythontest.Interpreter(t, "scikit-learn, pandas and skl2onnx", "-c", "import sklearn, pandas, skl2onnx")
	example, err := filepath.Abs(filepath.Join("..", "..", "examples", "sklearn-onnx"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := spec.Load(filepath.Join(example, "model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := CommandSpec{Supervisor: superviseInTest(), Argv: append([]string{python}, m.Train.Command[1:]...), CodeDir: example,
		WorkDir: filepath.Join(t.TempDir(), "run"), Params: m.Train.Params, Timeout: 2 * time.Minute,
		Loader: &inference.Loader{ONNX: hosts.New(onnxtest.Config(t))}}
	var log strings.Builder
	s.LogTo = &log
	var theirs Progress
	out, err := RunCommand(t.Context(), s, exampleRows(t, m, filepath.Join(example, "data", "flights.csv.gz")), func(p Progress) { theirs = p })
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if out.Signature.Format != inference.FormatONNX || len(out.Signature.Inputs) != 5 {
		t.Errorf("observed signature %+v", out.Signature)
	}
	for ours, own := range map[string]string{"log_loss": "log_loss", "accuracy": "accuracy"} {
		if want, got := theirs.Metrics[own], out.Metrics[ours]; want == 0 || math.Abs(want-got) > 1e-6 {
			t.Errorf("%s: observed %v, scikit-learn has %v", ours, got, want)
		}
	}
}

// exampleRows are an example's rows, split as a run splits them.
func exampleRows(t *testing.T, m *spec.Model, path string) Input {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	table, _, _, err := dataset.Read(t.Context(), f, dataset.ReadOptions{Name: path, Contract: m.Data.Contract})
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := dataset.Prepare(table, m.Data, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := dataset.Split(prepared, m.Data, m.Split)
	if err != nil {
		t.Fatal(err)
	}
	features := []string{"hour", "carrier", "wind_speed", "visib", "dep_delay"}
	visible, err := prepared.Table.Project(append([]string{m.Data.Target}, features...))
	if err != nil {
		t.Fatal(err)
	}
	return Input{Train: visible.Select(parts.Train), Validation: visible.Select(parts.Validation), Features: features, Target: m.Data.Target, Task: m.Task}
}

// onnxProgram is a program that leaves the named ONNX file of the inference tests.
func onnxProgram(t *testing.T, name, more string) (CommandSpec, Input) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "inference", "testdata", "onnx", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return program(t, `cp "`+path+`" "$SM_MODEL_DIR/model.onnx"`+"\n"+more)
}

func TestAWorkerWithoutARuntimeForONNXSaysSoAndBlamesNoScript(t *testing.T) {
	s, in := onnxProgram(t, "sigmoid", `echo '{"version": 1, "format": "onnx", "task": "binary", "output": "target", "classes": ["0", "1"], "threshold": 0.5,
		"inputs": [{"name": "n0", "kind": "number"}, {"name": "n1", "kind": "number"}]}' > "$SM_MODEL_DIR/signature.json"`)
	_, err := RunCommand(context.Background(), s, in, nil)
	if _, ok := errors.AsType[*onnx.Unavailable](err); !ok || Classify(err) == CauseScript {
		t.Errorf("observed %v of cause %v", err, Classify(err))
	}
}

func TestAnONNXModelThatFitsNoSignatureIsTheScripts(t *testing.T) {
	for name, says := range map[string]string{
		"sigmoid": `feature "c3" is a category in the data and a number in the model's input "X" (float[N 2]), so its codes are unknown; write a signature.json beside it`,
		"typed":   `is none of the columns`,
		"outside": "a tensor's data is in another file",
	} {
		s, in := onnxProgram(t, name, "")
		_, err := RunCommand(context.Background(), s, in, nil)
		if _, ok := errors.AsType[*ModelError](err); !ok || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: observed %v, want %q", name, err, says)
		}
	}
}
