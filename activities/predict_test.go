package activities

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/training"
)

// trainPickle is a trainer in Python: a logistic regression on the delay, pickled with the weights beside it.
const trainPickle = `
import csv, json, math, os, pickle
with open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv")) as f:
    rows = [(float(r["delay"] or 0), int(r["late"])) for r in csv.DictReader(f)]
w = b = 0.0
for _ in range(60):
    gw = gb = 0.0
    for x, y in rows:
        p = 1 / (1 + math.exp(-(w * x / 10 + b)))
        gw += (p - y) * x / 10
        gb += p - y
    w -= 3 * gw / len(rows)
    b -= 3 * gb / len(rows)
model = os.environ["SM_MODEL_DIR"]
os.makedirs(os.path.join(model, "weights"))
with open(os.path.join(model, "weights", "model.pkl"), "wb") as f:
    pickle.dump({"w": w, "b": b}, f)
with open(os.path.join(model, "vocabulary.txt"), "w") as f:
    f.write("AA\nDL\nUA\n")
`

// predictPickle answers with what trainPickle left.
const predictPickle = `
import csv, json, math, os, pickle, sys
with open(os.path.join(os.environ["SM_MODEL_DIR"], "weights", "model.pkl"), "rb") as f:
    m = pickle.load(f)
assert os.environ["WEATHER_KEY"] == "value of WEATHER_KEY"
with open(os.environ["LEANLOOP_ROWS"]) as f:
    rows = list(csv.DictReader(f))
assert "late" not in rows[0], rows[0]
with open(os.environ["LEANLOOP_PREDICTIONS"], "w") as out:
    for r in rows:
        p = 1 / (1 + math.exp(-(m["w"] * float(r["delay"] or 0) / 10 + m["b"])))
        out.write(json.dumps({"0": 1 - p, "1": p}) + "\n")
print("predicted", len(rows), "rows")
`

// pickled is a world whose versions a program in Python predicts.
func pickled(t *testing.T, gates string) *world {
	t.Helper()
	part, pkg, digest := predicted(t, predictPickle)
	w := newWorld(t, "gates: {accuracy: {min: 0.6}}", gates, "train: {builtin: linear}", part)
	w.keepCode(pkg, digest)
	w.accept("2013-01.csv", flights(january, 400, 1))
	return w
}

// predicted is the part of a spec that trains by trainPickle and predicts by a program, and both as a code package.
func predicted(t *testing.T, predict string) (part string, pkg []byte, digest string) {
	t.Helper()
	python := pythontest.Interpreter(t, "the standard library", "-c", "import csv, json, pickle")
	dir := t.TempDir()
	for name, content := range map[string]string{"train.py": trainPickle, "predict.py": predict} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	pkg, digest, err := training.Pack(dir)
	require.NoError(t, err)
	return "train: {command: [" + python + ", train.py], secrets: [WEATHER_KEY], timeout: 30s, code: " + digest + "}\n" +
		"predict: {command: [" + python + ", predict.py], timeout: 30s}\ncanary: {steps: []}", pkg, digest
}

func (w *world) keepCode(pkg []byte, digest string) {
	w.t.Helper()
	_, err := w.store.Create(w.t.Context(), training.CodeKey(digest), bytes.NewReader(pkg), int64(len(pkg)))
	require.NoError(w.t, err)
}

func weatherKey(name string) (string, bool) { return "value of " + name, name == "WEATHER_KEY" }

func (w *world) predictor() *Evaluator {
	return &Evaluator{Lake: w.lake, Programs: Programs{Secrets: weatherKey, Supervisor: superviseInTest()}}
}

// judgePickled trains and judges.
func (w *world) judgePickled() (SnapshotOutput, TrainOutput, EvaluateOutput) {
	w.t.Helper()
	s := w.snapshot()
	trained := must(w.t, withSecret(w).Train, w.trainInput(s))
	return s, trained, must(w.t, w.predictor().Evaluate, w.evaluateInput(s, trained))
}

func (w *world) registerPickled(s SnapshotOutput, trained TrainOutput, judged EvaluateOutput) RegisterOutput {
	w.t.Helper()
	return must(w.t, (&Registrar{Lake: w.lake}).Register, RegisterInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged,
	})
}

func TestAVersionThatAProgramPredictsIsTrainedJudgedAndRegistered(t *testing.T) {
	w := pickled(t, "gates: {accuracy: {min: 0.6}, latency_p99_ms: {max: 50}}")
	s, trained, judged := w.judgePickled()
	require.Contains(t, trained.Metrics, "log_loss", "it was tried on the validation rows")
	require.NotContains(t, trained.Files, fileModel)
	require.Equal(t, trained.Files[inference.CommandFile], digestOf(w.read(trained.Prefix+inference.CommandFile)))
	log := w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt")
	require.Contains(t, string(log), "predicted ", "the trial is in the attempt's log")

	sum := judged.Summary
	require.Equal(t, s.Test, sum.ScoredRows)
	require.Greater(t, sum.Metrics["accuracy"], 0.7)
	require.NotContains(t, sum.Metrics, "latency_p99_ms", "a file's time says nothing of a request's")
	require.Equal(t, evaluation.Inconclusive, sum.Verdict.Outcome, sum.Verdict.Summary())
	require.Contains(t, sum.Verdict.Summary(), "gate latency_p99_ms: predict.command scores files")

	v := w.registerPickled(s, trained, judged)
	version, ok := w.head().State.Version(v.Version)
	require.True(t, ok)
	prefix := "models/flights/artifacts/" + version.Artifact + "/"
	c, err := training.ParseCommandFile(w.read(prefix + inference.CommandFile))
	require.NoError(t, err)
	require.Equal(t, []string{"WEATHER_KEY"}, c.Secrets)
	for _, name := range []string{"weights/model.pkl", "vocabulary.txt"} {
		require.Equal(t, c.Files[name], training.ModelFile(digestOf(w.read(prefix+training.ModelFolder+name))), name)
	}
	left, err := os.ReadDir(w.lake.Scratch)
	require.NoError(t, err)
	require.Empty(t, left, "no folder is left")
}

// Champion and challenger are each predicted by the code and command that they were registered with.
func TestAChampionKeepsTheProgramThatItWasRegisteredWith(t *testing.T) {
	w := pickled(t, "gates: {accuracy: {min: 0.6}}")
	s, trained, judged := w.judgePickled()
	v := w.registerPickled(s, trained, judged)
	require.Empty(t, must(t, (&Registrar{Lake: w.lake}).Decide, w.decision(v)).Void)
	must(t, (&Traffic{Lake: w.lake}).Promote, w.promotion(v))
	w.run++

	// The next version's program answers with the opposite, in the other form.
	worse := strings.ReplaceAll(predictPickle, `out.write(json.dumps({"0": 1 - p, "1": p}) + "\n")`, `out.write("%s%r\n" % ("prediction\n" if r is rows[0] else "", 1 - p))`)
	part, pkg, digest := predicted(t, worse)
	w.keepCode(pkg, digest)
	w.apply("train: {builtin: linear}", part)
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	_, _, judged = w.judgePickled()
	sum := judged.Summary
	require.Equal(t, 1, sum.Champion)
	require.Empty(t, sum.Unscorable)
	require.NotNil(t, sum.Comparison)
	require.Greater(t, sum.Previous["accuracy"], 0.7)
	require.Less(t, sum.Metrics["accuracy"], 0.3)
	require.Equal(t, evaluation.Fail, sum.Verdict.Outcome)
}

func TestAPredictionThatFailsEndsTheEvaluationByItsCause(t *testing.T) {
	w := pickled(t, "gates: {accuracy: {min: 0.6}}")
	s := w.snapshot()
	trained := must(t, withSecret(w).Train, w.trainInput(s))
	in := w.evaluateInput(s, trained)

	t.Run("a secret that this worker doesn't have is final", func(t *testing.T) {
		e := w.predictor()
		e.Programs.Secrets = func(string) (string, bool) { return "", false }
		_, err := try(t, e.Evaluate, in)
		requireType(t, ErrorData, err)
		require.Contains(t, err.Error(), "WEATHER_KEY isn't set on this worker")
	})
	t.Run("so is a program that fails, with its last lines", func(t *testing.T) {
		e := w.predictor()
		e.Programs.Secrets = func(string) (string, bool) { return "another value", true }
		_, err := try(t, e.Evaluate, in)
		requireType(t, ErrorScript, err)
		require.Contains(t, err.Error(), "predict.command: program")
		require.Contains(t, err.Error(), "AssertionError")
	})
	t.Run("a supervisor that can't be started is this machine's", func(t *testing.T) {
		e := w.predictor()
		e.Programs.Supervisor = []string{"/no/such/program"}
		_, err := try(t, e.Evaluate, in)
		requireType(t, "", err)
	})
	t.Run("a store that breaks off is retried", func(t *testing.T) {
		e := w.predictor()
		e.Lake = &Lake{Store: objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
			if strings.Contains(key, "/output/model/") {
				return objectstore.FailBefore
			}
			return objectstore.NoFault
		}), Scratch: t.TempDir(), Now: w.lake.Now}
		_, err := try(t, e.Evaluate, in)
		requireType(t, "", err)
	})
	t.Run("other bytes than those that were trained are corrupt", func(t *testing.T) {
		key := trained.Prefix + training.ModelFolder + "weights/model.pkl"
		w.store.Remove(key)
		_, err := w.store.Create(context.Background(), key, strings.NewReader("evil"), 4)
		require.NoError(t, err)
		_, err = try(t, w.predictor().Evaluate, in)
		requireType(t, ErrorCorrupt, err)
	})
}

func TestAChampionWhoseProgramFailsIsSaid(t *testing.T) {
	w := pickled(t, "gates: {accuracy: {min: 0.6}}")
	s, trained, judged := w.judgePickled()
	v := w.registerPickled(s, trained, judged)
	require.Empty(t, must(t, (&Registrar{Lake: w.lake}).Decide, w.decision(v)).Void)
	must(t, (&Traffic{Lake: w.lake}).Promote, w.promotion(v))
	w.run++
	w.apply()
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	s = w.snapshot()
	trained = must(t, w.trainer().Train, w.trainInput(s))
	e := w.predictor()
	e.Programs.Secrets = nil // the new spec, of a built-in trainer, needs none
	out := must(t, e.Evaluate, w.evaluateInput(s, trained))
	require.Contains(t, out.Summary.Unscorable, "version 1 can't score these rows: train.secrets: WEATHER_KEY isn't set on this worker")
	require.True(t, out.Summary.Verdict.NeedsAttention)
}

// What a run does whose spec has no canary steps: the ledger promotes challengers alone.
func TestAChallengerWithoutTrafficIsPromoted(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	v := w.approve()
	in := w.traffic(v)
	in.Weight = 0
	must(t, (&Traffic{Lake: w.lake}).Set, in)
	require.Equal(t, v.Version, w.head().State.Challenger)
	must(t, (&Traffic{Lake: w.lake}).Promote, w.promotion(v))
	require.Equal(t, v.Version, w.head().State.Champion)
}
