package activities

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/setup"
)

// equipped is a world whose trainer and predictor import a module that train.setup makes.
func equipped(t *testing.T, script string) *world {
	t.Helper()
	python := pythontest.Interpreter(t, "the standard library", "-c", "import csv, json, pickle")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"train.py": "import equipment\n" + trainPickle, "predict.py": "import equipment\n" + predictPickle, "setup.sh": script,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	pkg, digest, err := training.Pack(dir)
	require.NoError(t, err)
	w := newWorld(t, "gates: {accuracy: {min: 0.6}}", "gates: {accuracy: {min: 0.6}, champion: {max_loss: 1}}", "train: {builtin: linear}",
		"train: {command: ["+python+", train.py], setup: {command: [sh, setup.sh], files: [setup.sh]}, secrets: [WEATHER_KEY], timeout: 30s, code: "+digest+"}\n"+
			"predict: {command: ["+python+", predict.py], timeout: 30s}\ncanary: {steps: []}")
	w.lake.Environments = &setup.Cache{Folder: filepath.Join(t.TempDir(), "environments")}
	t.Cleanup(func() { // nothing in an environment is writable
		_ = filepath.WalkDir(w.lake.Environments.Folder, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	w.keepCode(pkg, digest)
	w.accept("2013-01.csv", flights(january, 400, 1))
	return w
}

func TestTrainerAndPredictorHaveWhatTheSetupMadeOnce(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	w := equipped(t, "echo once >> '"+ran+"'\necho making equipment\nmkdir python\necho 'made = True' > python/equipment.py\n")
	s := w.snapshot()
	first := must(t, withSecret(w).Train, w.trainInput(s))
	log := string(w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt"))
	require.Contains(t, log, "making equipment\nleanloop: train.setup: made an environment of ")

	in := w.trainInput(s)
	in.Token = "002-abcdef01"
	must(t, withSecret(w).Train, in)
	log = string(w.read("runs/flights/000000000001/attempts/002-abcdef01/log.txt"))
	require.Contains(t, log, "leanloop: train.setup: its environment was there")

	trainer := withSecret(w)
	evaluator := &Evaluator{Lake: w.lake, Programs: Programs{Secrets: trainer.Secrets, Supervisor: trainer.Supervisor}}
	judged := must(t, evaluator.Evaluate, w.evaluateInput(s, first))
	require.Equal(t, s.Test, judged.Summary.ScoredRows, "predict.command had it too, by what the version remembers")
	raw, err := os.ReadFile(ran)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(raw), "once"))
}

func TestASetupThatFailsIsCountedOnTheScript(t *testing.T) {
	w := equipped(t, "echo no matching distribution; exit 1\n")
	_, err := try(t, withSecret(w).Train, w.trainInput(w.snapshot()))
	requireType(t, ErrorScript, err)
	require.ErrorContains(t, err, "train.setup: program \"sh setup.sh\": exit code 1; its last lines: no matching distribution")
	log := string(w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt"))
	require.Contains(t, log, "no matching distribution\nleanloop: train.setup failed")
	left, err := os.ReadDir(w.lake.Scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}
