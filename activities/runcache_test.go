package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// take is a snapshot that may use what earlier runs trained.
func (w *world) take() SnapshotOutput {
	w.t.Helper()
	in := w.snapshotInput()
	in.Force, in.Cache = true, true
	out := must(w.t, (&Snapshots{Lake: w.lake}).Take, in)
	require.Empty(w.t, out.Problem)
	require.NotEmpty(w.t, out.TrainKey)
	return out
}

// judge evaluates a training as a run that may use earlier evaluations does.
func (w *world) judge(s SnapshotOutput, trained TrainOutput) EvaluateOutput {
	w.t.Helper()
	in := w.evaluateInput(s, trained)
	in.TrainKey, in.Cache = s.TrainKey, true
	return must(w.t, (&Evaluator{Lake: w.lake}).Evaluate, in)
}

// ranOnce is a world whose first run trained and judged.
func ranOnce(t *testing.T, changes ...string) (w *world, trained TrainOutput, judged EvaluateOutput) {
	w = newWorld(t, changes...)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s := w.take()
	require.Nil(t, s.Cached)
	trained = must(t, w.trainer().Train, w.trainInput(s))
	judged = w.judge(s, trained)
	require.Empty(t, judged.Cached)
	w.run = 2
	return w, trained, judged
}

func TestATrainingWithTheSameInputsIsThatOfTheEarlierRun(t *testing.T) {
	w, trained, judged := ranOnce(t, "notify:", "budget: {cost_per_hour: 3600}\nnotify:")
	w.apply("notify:", "budget: {cost_per_hour: 7200}\nnotify:", "{builtin: linear}", "{builtin: linear, timeout: 2h, priority: 1}")
	s := w.take()
	require.NotNil(t, s.Cached, "neither the approval nor the budget is an input of a training")
	require.Equal(t, "lifecycle/flights/1", s.Cached.Cached)
	require.Zero(t, s.Cached.Cost)
	require.Zero(t, s.Cached.Seconds)
	require.Equal(t, trained.Files, s.Cached.Files)
	require.Equal(t, trained.Prefix, s.Cached.Prefix)

	again := w.judge(s, *s.Cached)
	require.Equal(t, "lifecycle/flights/1", again.Cached)
	require.Equal(t, judged.Files, again.Files, "the metrics among them")
	v := must(t, (&Registrar{Lake: w.lake}).Register, RegisterInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: *s.Cached, Evaluate: again,
	})
	version, _ := w.head().State.Version(v.Version)
	require.Equal(t, "lifecycle/flights/2", version.Lifecycle)
	require.Equal(t, "lifecycle/flights/1", version.TrainedIn, "its lineage names who trained it")
	card := w.read("models/flights/artifacts/" + version.Artifact + "/card.md")
	require.Contains(t, string(card), "The training is that of `lifecycle/flights/1`")

	w.run = 3
	w.lake.keepTraining(t.Context(), theModel, s.TrainKey, w.lifecycle(), *s.Cached)
	require.Equal(t, "lifecycle/flights/1", w.take().Cached.Cached, "the one who trained stays the one who is named")
}

func TestATrainingWithOtherInputsIsMade(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*world)
	}{
		{"other parameters", func(w *world) { w.apply("{builtin: linear}", "{builtin: linear, params: {l2: 2}}") }},
		{"another trainer", func(w *world) { w.apply("{builtin: linear}", "{builtin: trees}") }},
		{"another seed", func(w *world) { w.apply("split: {", "split: {seed: 7, ") }},
		{"other features", func(w *world) { w.apply("  window:", "  features: {exclude: [carrier]}\n  window:") }},
		{"another policy on categories", func(w *world) { w.apply("retrain:", "serving: {unknown_categories: refuse}\nretrain:") }},
		{"another file", func(w *world) { w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 100, 2)) }},
		{"other code of ours", func(w *world) { w.lake.Build = "another" }},
		{"a file of it is gone", func(w *world) { w.store.Remove("runs/flights/000000000001/attempts/001-abcdef01/output/model.json") }},
		{"a file of it was changed", func(w *world) {
			_, err := w.store.Put(w.t.Context(), "runs/flights/000000000001/attempts/001-abcdef01/output/model.json", strings.NewReader("{}"), 2)
			require.NoError(w.t, err)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _, _ := ranOnce(t)
			require.NotNil(t, w.take().Cached)
			c.change(w)
			require.Nil(t, w.take().Cached)
		})
	}
	t.Run("asked to train", func(t *testing.T) {
		w, _, _ := ranOnce(t)
		in := w.snapshotInput()
		in.Force = true
		require.Nil(t, must(t, (&Snapshots{Lake: w.lake}).Take, in).Cached)
	})
	t.Run("the store is away", func(t *testing.T) {
		w, _, _ := ranOnce(t)
		w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
			if op == "get" && strings.Contains(key, "/cache/") {
				return objectstore.FailBefore
			}
			return objectstore.NoFault
		})
		in := w.snapshotInput()
		in.Force, in.Cache = true, true
		_, err := try(t, (&Snapshots{Lake: w.lake}).Take, in)
		requireType(t, "", err)
	})
}

func TestAnEvaluationIsMadeAnewWhenWhatItDependsOnMoved(t *testing.T) {
	w, trained, _ := ranOnce(t)
	s := w.take()
	require.NotEmpty(t, w.judge(s, trained).Cached)
	in := w.evaluateInput(s, trained)
	require.Empty(t, must(t, (&Evaluator{Lake: w.lake}).Evaluate, in).Cached, "not asked for")

	w.apply("gates: {accuracy: {min: 0.6}}", "gates: {accuracy: {min: 0.61}}")
	require.Empty(t, w.judge(s, trained).Cached, "other gates")
	w.apply("gates: {accuracy: {min: 0.6}}", "gates: {accuracy: {min: 0.6}, latency_p99_ms: {max: 1000}}")
	require.Empty(t, w.judge(s, trained).Cached)
	require.Empty(t, w.judge(s, trained).Cached, "how fast a machine is belongs to the machine")
	w.apply()
	require.NotEmpty(t, w.judge(s, trained).Cached)
	w.promote()
	require.Empty(t, w.judge(s, trained).Cached, "there is another champion")
}
