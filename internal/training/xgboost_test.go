package training

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
)

// XGBoost itself loads what the built-in trees write, and gives the same answers.
func TestXGBoostAgreesWithTheWrittenModel(t *testing.T) {
	interpreter := pythontest.Interpreter(t, "xgboost", "-c", "import xgboost")
	for _, task := range []spec.Task{spec.Binary, spec.Multiclass, spec.Regression} {
		t.Run(string(task), func(t *testing.T) {
			in := splitMade(2000, 6, task)
			in.Params = map[string]any{"rounds": 30, "max_depth": 5}
			out, err := Builtin(context.Background(), Trees, in, nil)
			if err != nil {
				t.Fatal(err)
			}
			m := load(t, out)
			x, err := m.EncodeTable(in.Validation)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := m.PredictTable(t.Context(), in.Validation)
			if err != nil {
				t.Fatal(err)
			}
			theirs := predictWithXGBoost(t, interpreter, out, x)
			if len(theirs) != len(ours) {
				t.Fatalf("observed %d predictions, XGBoost has %d", len(ours), len(theirs))
			}
			for i := range ours {
				if math.Abs(ours[i]-theirs[i]) > 1e-6*math.Max(1, math.Abs(theirs[i])) {
					t.Fatalf("prediction %d: observed %.9g, XGBoost has %.9g", i, ours[i], theirs[i])
				}
			}
		})
	}
}

func predictWithXGBoost(t *testing.T, interpreter string, out *Output, x []float64) []float64 {
	t.Helper()
	width := len(out.Signature.Inputs)
	var rows struct {
		Types []string     `json:"types"`
		Names []string     `json:"names"`
		Rows  [][]*float64 `json:"rows"`
	}
	for _, f := range out.Signature.Inputs {
		rows.Names = append(rows.Names, f.Name)
		rows.Types = append(rows.Types, xgbType(f.Kind))
	}
	for i := 0; i < len(x); i += width {
		row := make([]*float64, width)
		for j := range row {
			if v := x[i+j]; !math.IsNaN(v) {
				row[j] = &v
			}
		}
		rows.Rows = append(rows.Rows, row)
	}
	dir := t.TempDir()
	data, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"rows.json": data, inference.ModelFile: out.Model} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(interpreter, filepath.Join("testdata", "predict.py"), filepath.Join(dir, inference.ModelFile), filepath.Join(dir, "rows.json"))
	command.Stderr = os.Stderr
	printed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Predictions []float64 `json:"predictions"`
	}
	if err := json.Unmarshal(printed, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Predictions
}
