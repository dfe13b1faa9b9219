package activities

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/training"
)

func (w *world) read(key string) []byte {
	w.t.Helper()
	raw, _, err := objectstore.ReadAll(w.t.Context(), w.store, key, 1<<24)
	require.NoError(w.t, err)
	return raw
}

func TestAnAttemptCommitsWhatItMade(t *testing.T) {
	w := newWorld(t, "notify:", "budget: {cost_per_hour: 3600}\nnotify:")
	w.accept("2013-01.csv", flights(january, 400, 1))
	s := w.snapshot()
	started := w.now
	w.lake.Now = func() time.Time { w.now = w.now.Add(time.Second); return w.now }
	out := must(t, w.trainer().Train, w.trainInput(s))
	require.Equal(t, s.Train, out.TrainRows)
	require.Positive(t, out.Seconds)
	require.InDelta(t, out.Seconds, out.Cost, 1e-9, "3600 an hour is 1 a second")
	require.True(t, w.now.After(started))
	require.Contains(t, out.Metrics, "log_loss")
	for _, name := range []string{fileModel, fileSignature, fileTrained, fileProfile} {
		require.Equal(t, out.Files[name], digestOf(w.read(out.Prefix+name)), name)
	}
	require.Equal(t, "runs/flights/000000000001/attempts/001-abcdef01/output/", out.Prefix, "below its own token")
}

// The signature refuses in requests. Test rows with categories that training didn't see are scored all the same: they are
// part of how well the model does.
func TestUnknownCategoriesAreRefusedByTheSignatureAndJudgedAsMissing(t *testing.T) {
	w := newWorld(t, "retrain:", "serving: {unknown_categories: refuse}\nretrain:")
	rows := strings.Split(strings.TrimSpace(flights(january, 400, 1)), "\n")
	newest := strings.Split(rows[len(rows)-1], ",")
	newest[3] = "ZZ"
	rows[len(rows)-1] = strings.Join(newest, ",")
	w.accept("2013-01.csv", strings.Join(rows, "\n")+"\n")
	s := w.snapshot()
	out := must(t, w.trainer().Train, w.trainInput(s))
	signature, err := inference.ParseSignature(w.read(out.Prefix + fileSignature))
	require.NoError(t, err)
	require.Equal(t, inference.UnknownRefuse, signature.Inputs[1].Unknown)
	require.NotContains(t, signature.Inputs[1].Categories, "ZZ")
	judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, EvaluateInput{Model: theModel, Spec: w.spec, Lifecycle: "lifecycle/flights/1", Number: 1, Round: 1, Snapshot: s.Digest, AsOf: t0, Train: out})
	require.Equal(t, s.Test, judged.Summary.ScoredRows)
}

func TestAnAttemptWritesOnlyBelowItsToken(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	in := w.trainInput(w.snapshot())
	var written []string
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" || op == "put" {
			written = append(written, key)
		}
		return objectstore.NoFault
	})
	first := must(t, w.trainer().Train, in)
	for _, key := range written {
		require.True(t, strings.HasPrefix(key, "runs/flights/000000000001/attempts/"+in.Token+"/"), key)
	}
	in.Token = "002-abcdef01"
	second := must(t, w.trainer().Train, in)
	require.NotEqual(t, first.Prefix, second.Prefix)
	require.Equal(t, first.Files, second.Files, "the same rows, seed and parameters make the same model and the same reference")
}

func TestTestRowsNeverReachATrainer(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s := w.snapshot()
	rows, err := w.rows(t.Context(), s.Digest, t0)
	require.NoError(t, err)
	m, err := w.lake.Spec(t.Context(), theModel, w.spec)
	require.NoError(t, err)
	in, err := trainingInput(m, rows)
	require.NoError(t, err)
	require.Equal(t, s.Train, in.Train.Rows)
	require.Equal(t, s.Validation, in.Validation.Rows)
	require.Equal(t, []string{"delay", "carrier", "late"}, in.Train.Names(), "neither id nor time")

	tested := map[uint64]bool{}
	for _, r := range rows.Parts.Test {
		tested[rows.Prepared.Keys[r]] = true
	}
	trained := must(t, w.trainer().Train, w.trainInput(s))
	keys, err := dataset.UnmarshalKeySet(w.read(trained.Prefix + fileTrained))
	require.NoError(t, err)
	require.Equal(t, s.Train+s.Validation, keys.Len())
	for key := range tested {
		require.False(t, keys.Contains(key))
	}
	require.True(t, trained.NewestEvent.Before(rows.Parts.TestFrom))
	require.False(t, trained.NewestEvent.Before(rows.Parts.ValidationFrom), "validation rows were learned from too")
}

// What a row counts is no feature, but changes what is learned; every test row is judged.
func TestAWeightIsNoFeatureAndCountsInTraining(t *testing.T) {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(flights(january, 400, 1)), "\n") {
		cell := strconv.Itoa(i % 3)
		if i == 0 {
			cell = "size"
		}
		fmt.Fprintf(&b, "%s,%s\n", line, cell)
	}
	models := map[string]string{}
	for _, role := range []string{"weight: size", "features: {exclude: [size]}"} {
		w := newWorld(t, "  target: late\n", "  target: late\n  "+role+"\n")
		w.accept("2013-01.csv", b.String())
		s := w.snapshot()
		out := must(t, w.trainer().Train, w.trainInput(s))
		signature, err := inference.ParseSignature(w.read(out.Prefix + fileSignature))
		require.NoError(t, err)
		require.Len(t, signature.Inputs, 2, "delay and carrier")
		models[out.Files[fileModel].SHA256] = role
		judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, EvaluateInput{Model: theModel, Spec: w.spec, Lifecycle: "lifecycle/flights/1", Number: 1, Round: 1, Snapshot: s.Digest, AsOf: t0, Train: out})
		require.Equal(t, s.Test, judged.Summary.ScoredRows)
	}
	require.Len(t, models, 2)
}

// program is a trainer in shell, which fits nothing: it writes the constant model that stands in its folder.
const program = `#!/bin/sh
set -e
echo "secret ${WEATHER_KEY}" >> "$SEEN"
cat "$SM_CHANNEL_TRAIN"/*.csv >> "$SEEN"
cat "$SM_CHANNEL_VALIDATION"/*.csv >> "$SEEN"
find "$SM_CHANNEL_TRAIN/../../.." -name '*.csv' -exec cat {} + >> "$SEEN"
echo '{"epoch": 1, "metrics": {"auc": NaN}}'
cp model.json "$SM_MODEL_DIR/model.json"
`

// command is a world whose spec trains by a program of its folder.
func command(t *testing.T, script string) (w *world, seen string) {
	t.Helper()
	dir := t.TempDir()
	seen = filepath.Join(dir, "seen")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "train.sh"), []byte(strings.ReplaceAll(script, "$SEEN", seen)), 0o755))
	made := newWorld(t)
	made.accept("2013-01.csv", flights(january, 400, 1))
	trained := must(t, made.trainer().Train, made.trainInput(made.snapshot()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.json"), made.read(trained.Prefix+fileModel), 0o644))
	pkg, digest, err := training.Pack(dir)
	require.NoError(t, err)

	w = newWorld(t, "train: {builtin: linear}", "train: {command: [./train.sh], secrets: [WEATHER_KEY], timeout: 20s, code: "+digest+"}")
	_, err = w.store.Create(t.Context(), training.CodeKey(digest), bytes.NewReader(pkg), int64(len(pkg)))
	require.NoError(t, err)
	w.accept("2013-01.csv", flights(january, 400, 1))
	return w, seen
}

func withSecret(w *world) *Trainer {
	return &Trainer{Lake: w.lake, Secrets: func(name string) (string, bool) { return "value of " + name, name == "WEATHER_KEY" }, Supervisor: superviseInTest()}
}

func TestAProgramTrainsFromItsPackedFolder(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell")
	}
	w, seen := command(t, program)
	s := w.snapshot()
	env := newEnvironment()
	progress := make(chan TrainProgress, 100)
	env.SetOnActivityHeartbeatListener(func(_ *sdk.Info, details converter.EncodedValues) {
		var p TrainProgress
		if details.Get(&p) == nil {
			progress <- p
		}
	})
	out, err := tryIn(t, env, withSecret(w).Train, w.trainInput(s))
	require.NoError(t, err)
	require.Equal(t, 1, out.Rounds)
	raw, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.Contains(t, string(raw), "secret value of WEATHER_KEY")
	delays := map[float64]bool{}
	for line := range strings.Lines(string(raw)) {
		first, _, _ := strings.Cut(line, ",")
		if v, err := strconv.ParseFloat(first, 64); err == nil {
			delays[v] = true
		}
	}
	require.Len(t, delays, s.Train+s.Validation)
	rows, err := w.rows(t.Context(), s.Digest, t0)
	require.NoError(t, err)
	delay, _ := rows.Prepared.Table.Column("delay")
	for _, r := range rows.Parts.Test {
		require.NotContains(t, delays, delay.Floats[r], "a test row lies somewhere in the trainer's folder")
	}
	log := w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt")
	require.NotContains(t, string(log), "value of WEATHER_KEY")
	left, err := os.ReadDir(w.lake.Scratch)
	require.NoError(t, err)
	require.Empty(t, left, "the attempt's folder is removed")
}

func TestAttemptsFailByTheBudgetTheyAreCountedOn(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell")
	}
	for _, c := range []struct{ name, script, kind, says string }{
		{"a program that exits 1", "echo out of beer; exit 1", ErrorScript, "out of beer"},
		{"a program that writes no model", "echo done", ErrorScript, "trainer wrote no model"},
		{"a program that writes garbage", `echo '{' > "$SM_MODEL_DIR/model.json"`, ErrorScript, "trainer's model"},
		{"a program that hangs", "sleep 60", ErrorTrainTimeout, "still running after its timeout of 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := command(t, "#!/bin/sh\n"+c.script+"\n")
			m, err := w.lake.Spec(t.Context(), theModel, w.spec)
			require.NoError(t, err)
			w.apply("train: {builtin: linear}", "train: {command: [./train.sh], timeout: 1s, code: "+m.Train.Code+"}")
			_, err = try(t, w.trainer().Train, w.trainInput(w.snapshot()))
			requireType(t, c.kind, err)
			require.Contains(t, err.Error(), c.says)
			_, err = w.store.Stat(t.Context(), "runs/flights/000000000001/attempts/001-abcdef01/log.txt")
			require.NoError(t, err, "its log is kept")
		})
	}
}

func TestWhatNoAttemptCanHelpEndsTheRun(t *testing.T) {
	t.Run("a secret that this worker doesn't have", func(t *testing.T) {
		w, _ := command(t, program)
		_, err := try(t, w.trainer().Train, w.trainInput(w.snapshot()))
		requireType(t, ErrorTrainInput, err)
		require.Contains(t, err.Error(), "WEATHER_KEY isn't set on this worker")
	})
	t.Run("a code package that is gone", func(t *testing.T) {
		w, _ := command(t, program)
		m, err := w.lake.Spec(t.Context(), theModel, w.spec)
		require.NoError(t, err)
		w.store.Remove(training.CodeKey(m.Train.Code))
		_, err = try(t, withSecret(w).Train, w.trainInput(w.snapshot()))
		requireType(t, ErrorTrainInput, err)
	})
	t.Run("a parameter that no trainer has", func(t *testing.T) {
		w := newWorld(t, "{builtin: linear}", "{builtin: linear, params: {l3: 1}}")
		w.accept("2013-01.csv", flights(january, 400, 1))
		_, err := try(t, w.trainer().Train, w.trainInput(w.snapshot()))
		requireType(t, ErrorTrainInput, err)
		require.Contains(t, err.Error(), "l3")
	})
	t.Run("a feature that refuses categories and has none", func(t *testing.T) {
		w := newWorld(t, "retrain:", "serving: {unknown_categories_of: {delay: refuse}}\nretrain:")
		w.accept("2013-01.csv", flights(january, 400, 1))
		_, err := try(t, w.trainer().Train, w.trainInput(w.snapshot()))
		requireType(t, ErrorTrainInput, err)
		require.Contains(t, err.Error(), `serving.unknown_categories_of: observed "delay"`)
	})
	t.Run("a snapshot whose bytes changed", func(t *testing.T) {
		w := newWorld(t)
		file := w.accept("2013-01.csv", flights(january, 400, 1))
		s := w.snapshot()
		w.lake.rows = nil
		w.store.Remove(datasetPrefix(theModel, file.SHA256) + "data")
		_, err := try(t, w.trainer().Train, w.trainInput(s))
		requireType(t, ErrorTrainInput, err)
	})
}

func TestAStoreThatIsAwayIsInfrastructure(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s := w.snapshot()
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	_, err := try(t, w.trainer().Train, w.trainInput(s))
	requireType(t, "", err)
}

func TestAWorkerThatStopsPreemptsTheAttempt(t *testing.T) {
	stop := make(chan struct{})
	env := newEnvironment()
	env.SetWorkerStopChannel(stop)
	f := func(ctx context.Context, stopped bool) (bool, error) {
		if stopped {
			close(stop)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return false, trainingError(ended, context.Canceled)
	}
	_, err := tryIn(t, env, f, false)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "the worker was stopped")
	_, err = tryIn(t, env, f, true)
	requireType(t, ErrorPreempted, err)
}
