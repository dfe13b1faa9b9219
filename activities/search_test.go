package activities

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/training"
)

// searching is a world whose spec searches with the built-in trees.
func searching(t *testing.T, section string, changes ...string) (*world, TrainInput) {
	t.Helper()
	w := newWorld(t, append([]string{"train: {builtin: linear}", "train: {search: " + section + "}"}, changes...)...)
	w.accept("2013-01.csv", flights(january, 400, 1))
	in := w.trainInput(w.snapshot())
	return w, in
}

// trial is the input of an attempt at a trial.
func trial(in TrainInput, number, attempt int, params map[string]any) TrainInput {
	in.Trial, in.Attempt, in.Params = number, attempt, params
	in.Token = TrialToken(number, attempt, "abcdef0123")
	return in
}

const etaSpace = "space: {eta: {log: [0.001, 0.5]}, rounds: {int: [2, 200]}}"

func TestATrialLeavesItsRecordAndItsModel(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+"}")
	params := map[string]any{"eta": 0.3, "rounds": 5.0}
	out := must(t, w.trainer().Trial, trial(in, 7, 1, params))
	require.Equal(t, search.Complete, out.State)
	require.Positive(t, out.Value)
	all, err := ReadTrials(t.Context(), w.store, theModel, w.run)
	require.NoError(t, err)
	require.Len(t, all, 1)
	r := all[0]
	require.Equal(t, 7, r.Number)
	require.Equal(t, params, r.Params)
	require.Equal(t, out.Value, r.Value)
	require.Equal(t, r.Metrics["log_loss"], r.Value)
	require.Len(t, r.Reports, 5)
	require.Equal(t, "runs/flights/000000000001/attempts/t0007-001-abcdef01/output/", r.Prefix)
	for name, digest := range r.Files {
		require.Equal(t, digest, digestOf(w.read(r.Prefix+name)), name)
	}
}

// An attempt that was taken for lost may still end. Whoever writes the record first decides, for both.
func TestATrialIsRunOnceWhoeverComesLate(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+"}")
	first := must(t, w.trainer().Trial, trial(in, 1, 1, map[string]any{"eta": 0.3, "rounds": 5.0}))
	kept := w.read(trialKey(theModel, w.run, 1))
	second := must(t, w.trainer().Trial, trial(in, 1, 2, map[string]any{"eta": 0.3, "rounds": 50.0}))
	require.Equal(t, first, second)
	failed := must(t, (&Searches{Lake: w.lake}).FailTrial, TrialFailure{TrainInput: trial(in, 1, 2, nil), Reason: "lost"})
	require.Equal(t, first, failed)
	require.Equal(t, kept, w.read(trialKey(theModel, w.run, 1)))
	_, err := w.store.Stat(t.Context(), "runs/flights/000000000001/attempts/t0001-002-abcdef01/spent.json")
	require.ErrorIs(t, err, objectstore.ErrNotFound, "nothing was trained again")
}

func TestTheBestTrialMakesTheModelThatATrainingWouldHaveMade(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+"}")
	params := map[string]any{"eta": 0.3, "rounds": 5.0}
	must(t, w.trainer().Trial, trial(in, 3, 1, params))
	in.Trial = 3
	taken := must(t, (&Searches{Lake: w.lake}).TakeBest, in)
	require.Equal(t, params, taken.Params)
	in.Params, in.Token = params, "001-abcdef01"
	trained := must(t, w.trainer().Train, in)
	require.Equal(t, trained.Files, taken.Files)
	require.Equal(t, trained.Metrics, taken.Metrics)
	require.Equal(t, trained.NewestEvent, taken.NewestEvent)
	require.Equal(t, trained.TrainRows, taken.TrainRows)
	for name, digest := range taken.Files {
		require.Equal(t, digest, digestOf(w.read(taken.Prefix+name)), name)
	}
	judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, EvaluateInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Round: 1, Snapshot: in.Snapshot, AsOf: t0, Train: taken,
	})
	require.Positive(t, judged.Summary.ScoredRows)
}

func TestATrialThatFallsBehindIsPruned(t *testing.T) {
	for _, pruner := range []string{"{kind: median, min_trials: 1, every: 5}", "{kind: hyperband, min_steps: 5, max_steps: 100, factor: 2}"} {
		t.Run(pruner, func(t *testing.T) {
			w, in := searching(t, "{"+etaSpace+", pruner: "+pruner+"}")
			for n := 1; n <= 4; n++ {
				good := must(t, w.trainer().Trial, trial(in, n, 1, map[string]any{"eta": 0.3, "rounds": 60.0}))
				require.NotEqual(t, search.Failed, good.State)
			}
			pruned := 0
			for n := 5; n <= 8; n++ {
				bad := must(t, w.trainer().Trial, trial(in, n, 1, map[string]any{"eta": 0.001, "rounds": 60.0}))
				if bad.State != search.Pruned {
					continue
				}
				pruned++
				require.Less(t, bad.Step, 60)
				require.NotEmpty(t, bad.Reason)
				require.Positive(t, bad.Value)
				r, err := readTrial(t.Context(), w.store, theModel, w.run, n)
				require.NoError(t, err)
				require.Empty(t, r.Files, "it has no model")
				require.Equal(t, bad.Step, r.Reports[len(r.Reports)-1].Step)
				_, err = try(t, (&Searches{Lake: w.lake}).TakeBest, trial(in, n, 1, nil))
				require.ErrorContains(t, err, "is pruned: it has no model")
			}
			require.Positive(t, pruned)
		})
	}
}

// A store that can't be read prunes nobody, and doesn't end a training either.
// What a trial said while it ran stays in the bucket when it has ended: it is one rival, not two, and its end counts.
func TestATrialThatEndedIsKnownOnce(t *testing.T) {
	store := objectstore.NewMemory()
	put := func(key string, what any) {
		raw, err := json.Marshal(what)
		require.NoError(t, err)
		_, err = store.Put(t.Context(), key, bytes.NewReader(raw), int64(len(raw)))
		require.NoError(t, err)
	}
	early, late := []search.Report{{Step: 1, Value: 0.5}}, []search.Report{{Step: 1, Value: 0.5}, {Step: 9, Value: 0.2}}
	put(trialCourseKey(theModel, 1, 1), search.Course{Number: 1, State: search.Running, Reports: early})
	put(trialKey(theModel, 1, 1), TrialRecord{Trial: search.Trial{Number: 1, State: search.Complete}, Reports: late})
	put(trialCourseKey(theModel, 1, 2), search.Course{Number: 2, State: search.Running, Reports: early})
	var courses TrialCourses
	ended := search.Course{Number: 1, State: search.Complete, Reports: late}
	for _, c := range []struct {
		running bool
		want    []search.Course
	}{{true, []search.Course{ended, {Number: 2, State: search.Running, Reports: early}}}, {false, []search.Course{ended}}} {
		got, err := courses.read(t.Context(), store, theModel, 1, c.running)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func TestATrialThatCantSeeTheOthersGoesOn(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+", pruner: {kind: median, min_trials: 1}}")
	must(t, w.trainer().Trial, trial(in, 1, 1, map[string]any{"eta": 0.3, "rounds": 20.0}))
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "list" {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	out := must(t, w.trainer().Trial, trial(in, 2, 1, map[string]any{"eta": 0.001, "rounds": 20.0}))
	require.Equal(t, search.Complete, out.State)
}

func TestATrialWithoutItsMetricHasFailed(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+"}")
	j := &trainAttempt{TrainInput: trial(in, 1, 1, nil), judge: &trialJudge{metric: "auc"}}
	m, err := w.lake.Spec(t.Context(), theModel, w.spec)
	require.NoError(t, err)
	copied := *m.Train.Search
	copied.Metric.Name = "auc"
	spec := *m
	spec.Train.Search = &copied
	j.spec = &spec
	var r TrialRecord
	require.NoError(t, w.trainer().keepTrial(t.Context(), j, &training.Output{Metrics: map[string]float64{"log_loss": 1}}, &r))
	require.Equal(t, search.Failed, r.State)
	require.Contains(t, r.Reason, "metric auc: the trainer reported none")
	j.judge.course.Add(search.Report{Step: 1, Value: notANumber()})
	require.NoError(t, w.trainer().keepTrial(t.Context(), j, &training.Output{}, &r))
	require.Equal(t, search.Failed, r.State)
	require.Contains(t, r.Reason, "NaN isn't a finite number")
	_, err = json.Marshal(r)
	require.NoError(t, err)
}

func notANumber() float64 { zero := 0.0; return zero / zero }

func TestATrialOverBudgetTrainsNothing(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+"}", "notify:", "budget: {per_run: 1 USD, cost_per_hour: 3600}\nnotify:")
	book := func(token string, cost float64) {
		raw := fmt.Sprintf(`{"attempt":1,"cost":%g}`, cost)
		_, err := w.store.Put(t.Context(), attemptsPrefix(theModel, w.run)+token+"/"+fileSpent, strings.NewReader(raw), int64(len(raw)))
		require.NoError(t, err)
	}
	book("t0001-001-abcdef01", 0.9)
	book("t0002-001-abcdef01", 0.2)
	out := must(t, w.trainer().Trial, trial(in, 3, 1, map[string]any{"eta": 0.3, "rounds": 5.0}))
	require.Contains(t, out.Budget, "its attempts have spent 1.10 of 1.00 USD")
	all, err := ReadTrials(t.Context(), w.store, theModel, w.run)
	require.NoError(t, err)
	require.Empty(t, all)
}

// What is left of a budget is for all trials that run at once; one that it cut short has spent it, and didn't fail.
func TestABudgetIsSharedByTrialsAtOnce(t *testing.T) {
	w, in := searching(t, "{"+etaSpace+", parallel: 4}", "notify:", "budget: {per_run: 1 USD, cost_per_hour: 60}\nnotify:")
	m, err := w.lake.Spec(t.Context(), theModel, w.spec)
	require.NoError(t, err)
	whole, err := w.trainer().limit(t.Context(), m, in)
	require.NoError(t, err)
	require.Equal(t, time.Minute, whole)
	shared, err := w.trainer().limit(t.Context(), m, trial(in, 1, 1, nil))
	require.NoError(t, err)
	require.Equal(t, 15*time.Second, shared)
	late := &training.TimeoutError{Limit: shared}
	var over *overBudget
	require.ErrorAs(t, budgetEnd(&trainAttempt{spec: m, limit: shared}, late), &over)
	require.Equal(t, error(late), budgetEnd(&trainAttempt{spec: m, limit: m.Train.Timeout.D()}, late), "its own time was over")
}

func TestParametersThatTheTrainerDoesntKnowFailTheAttempt(t *testing.T) {
	w, in := searching(t, "{space: {etta: {log: [0.001, 0.5]}}}")
	_, err := try(t, w.trainer().Trial, trial(in, 1, 1, map[string]any{"etta": 0.3}))
	requireType(t, ErrorTrainInput, err)
	require.ErrorContains(t, err, `"etta": unknown`)
	out := must(t, (&Searches{Lake: w.lake}).FailTrial, TrialFailure{TrainInput: trial(in, 1, 1, map[string]any{"etta": 0.3}), Reason: "unknown"})
	require.Equal(t, search.Failed, out.State)
	r, err := readTrial(t.Context(), w.store, theModel, w.run, 1)
	require.NoError(t, err)
	require.Equal(t, "unknown", r.Reason)
	require.WithinDuration(t, w.now, r.Started, time.Hour)
}

// A trial goes on from its own checkpoints, never from another's, nor does a training after a search.
func TestTokensTellTrialsApart(t *testing.T) {
	a := &trainAttempt{TrainInput: TrainInput{Token: TrialToken(12, 2, "abcdef0123")}}
	require.Equal(t, "t0012-002-abcdef01", a.Token)
	require.True(t, a.others(TrialToken(12, 1, "abcdef0123")))
	require.False(t, a.others(a.Token))
	require.False(t, a.others(TrialToken(1, 1, "abcdef0123")))
	require.False(t, a.others("001-abcdef01"))
	plain := &trainAttempt{TrainInput: TrainInput{Token: "002-abcdef01"}}
	require.True(t, plain.others("001-abcdef01"))
	require.False(t, plain.others(TrialToken(12, 1, "abcdef0123")))
	require.Equal(t, 12345, trialOf(TrialToken(12345, 1, "abcdef0123")))
}
