package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
)

// A training is cut off after 23 rounds, of which its checkpoint has 20, and another attempt goes on.
func TestXGBoostGoesOnToTheVeryModelOfAnUndisturbedTraining(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it trains three models in Python")
	}
	python := pythontest.Interpreter(t, "XGBoost and pandas", "-c", "import xgboost, pandas")
	m, err := spec.Load("xgboost/model.yaml")
	require.NoError(t, err)
	rows, parts := prepare(t, m, "xgboost/data/flights.csv.gz")
	rows, err = rows.Project([]string{"hour", "carrier", "wind_speed", "visib", "dep_delay", "late_15"})
	require.NoError(t, err)
	channels := t.TempDir()
	writeChannel(t, filepath.Join(channels, "train"), rows.Select(parts.Train))
	writeChannel(t, filepath.Join(channels, "validation"), rows.Select(parts.Validation))
	train := func(checkpoints string, args ...string) (model []byte, log string) {
		folder := t.TempDir()
		cmd := exec.CommandContext(t.Context(), python, append([]string{"train.py"}, args...)...)
		cmd.Dir = "xgboost"
		cmd.Env = append(os.Environ(),
			"SM_CHANNEL_TRAIN="+filepath.Join(channels, "train"), "SM_CHANNEL_VALIDATION="+filepath.Join(channels, "validation"),
			"SM_MODEL_DIR="+folder, "LEANLOOP_CHECKPOINT_DIR="+checkpoints, "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		model, err = os.ReadFile(filepath.Join(folder, "model.json"))
		require.NoError(t, err)
		return model, string(out)
	}
	undisturbed, _ := train(t.TempDir())
	checkpoints := t.TempDir()
	cut, _ := train(checkpoints, "--rounds", "23")
	require.NotEqual(t, undisturbed, cut)
	model, log := train(checkpoints)
	require.Contains(t, log, "goes on after round 20")
	require.Equal(t, undisturbed, model)
}
