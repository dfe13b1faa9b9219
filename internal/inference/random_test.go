package inference

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leanloop/leanloop/internal/pythontest"
)

// XGBoost itself, where it is there, makes models of every objective and booster, with categories and missing values,
// and says what it answers.
func TestRandomModelsAnswerAsXGBoostDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it trains models")
	}
	python := pythontest.Interpreter(t, "xgboost and pandas", "-c", "import xgboost, pandas")
	seed := "1"
	if s := os.Getenv("LEANLOOP_SEED"); s != "" {
		seed = s
	}
	cmd := exec.Command(python, filepath.Join("testdata", "random", "make_models.py"), seed, "6")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	var made struct {
		Version string        `json:"xgboost"`
		Cases   []versionCase `json:"cases"`
	}
	if err := json.Unmarshal(quoteSpecials(raw), &made); err != nil {
		t.Fatal(err)
	}
	for _, c := range made.Cases {
		t.Run(made.Version+"/"+c.Name, func(t *testing.T) {
			model, err := Inspect(bytes.ReplaceAll(c.Model, []byte(quotedNaN), []byte("NaN")), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			requireScores(t, model.Scorer, c.matrix(), len(c.Rows), flatten(t, c.Predictions))
		})
	}
}
