package activities

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// executions are the workflows that run.
type executions map[string]bool

func (e executions) Running(_ context.Context, id string) (bool, error) { return e[id], nil }

func (w *world) runs(running ...string) *Runs {
	e := executions{}
	for _, id := range running {
		e[id] = true
	}
	return &Runs{Lake: w.lake, Executions: e, Traffic: &Traffic{Lake: w.lake}}
}

func (w *world) claim(number int, triggers ...Trigger) Claimed {
	w.t.Helper()
	return must(w.t, w.runs().Claim, LifecycleInput{Model: theModel, Number: number, Spec: w.spec, Triggers: triggers})
}

func TestAClaimIsForOneRun(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 1, w.claim(1, asked("cli:ana")).Number)
	require.Equal(t, 1, w.claim(1, asked("cli:ana")).Number, "the same run asked again")
	require.Equal(t, 2, w.claim(1, asked("cli:ben")).Number, "the number is taken")
	require.Equal(t, 3, w.claim(3, asked("cli:ben")).Number)
	require.Equal(t, 4, must(t, w.runs().Claim, LifecycleInput{Model: theModel, Number: 4}).Number)
	require.Equal(t, 1, must(t, w.runs().Claim, LifecycleInput{Model: "other", Number: 0}).Number, "numbers begin with 1, for each model")
}

func TestAClaimWhoseAnswerIsLostIsTheSameClaim(t *testing.T) {
	w := newWorld(t)
	lost := true
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" && lost {
			lost = false
			return objectstore.FailAfter
		}
		return objectstore.NoFault
	})
	in := LifecycleInput{Model: theModel, Number: 1, Spec: w.spec, Triggers: []Trigger{asked("cli:ana")}}
	_, err := try(t, w.runs().Claim, in)
	requireType(t, "", err)
	require.Equal(t, 1, must(t, w.runs().Claim, in).Number)
}

func TestARunIsClosedOnce(t *testing.T) {
	w := newWorld(t)
	w.claim(1)
	first := must(t, w.runs().Close, LifecycleResult{Model: theModel, Number: 1, Outcome: Rejected, Reason: strings.Repeat("no ", 5000)})
	require.Equal(t, w.head().Seq, first.HeadSeq, "it says how far the ledger was")
	require.Equal(t, w.head().Hash, first.HeadHash)
	require.LessOrEqual(t, len(first.Reason), maxText)
	again := must(t, w.runs().Close, LifecycleResult{Model: theModel, Number: 1, Outcome: Promoted})
	require.Equal(t, first, again, "its first end stands")
	record, err := ReadRecord(t.Context(), w.store, theModel, 1)
	require.NoError(t, err)
	require.Equal(t, first, *record.Result)
}

func TestStatusLeavesARunThatRuns(t *testing.T) {
	w := newWorld(t)
	w.claim(1)
	out := must(t, w.runs(w.lifecycle()).Status, StatusInput{Model: theModel, Number: 1})
	require.False(t, out.Closed)
	_, err := w.store.Stat(t.Context(), runPrefix(theModel, 1)+"result.json")
	require.ErrorIs(t, err, objectstore.ErrNotFound)
}

func TestARunWithoutAWorkflowIsClosed(t *testing.T) {
	t.Run("one that came to nothing has failed", func(t *testing.T) {
		w := newWorld(t)
		w.claim(1, alerted(TriggerDrift))
		out := must(t, w.runs().Status, StatusInput{Model: theModel, Number: 1})
		require.True(t, out.Closed)
		require.Equal(t, Failed, out.Result.Outcome)
		require.Equal(t, TriggerDrift, out.Result.Trigger)
		require.Contains(t, out.Result.Reason, "was terminated")
		require.False(t, out.Result.Trained)
		require.Equal(t, out, must(t, w.runs().Status, StatusInput{Model: theModel, Number: 1}))
	})
	t.Run("one in its canary is rolled back", func(t *testing.T) {
		w, v := challenger(t)
		must(t, w.runs().Claim, LifecycleInput{Model: theModel, Number: w.run})
		w.challenge(v)
		out := must(t, w.runs().Status, StatusInput{Model: theModel, Number: w.run})
		require.Equal(t, RolledBack, out.Result.Outcome)
		require.Equal(t, v.Version, out.Result.Version)
		require.True(t, out.Result.Trained, "cooldown and mute hold for it")
		require.Zero(t, w.head().State.Challenger)
		require.Equal(t, w.head().Seq, out.Result.HeadSeq)
	})
	t.Run("one that promoted has promoted, whoever is champion now", func(t *testing.T) {
		w := newWorld(t)
		w.accept("2013-01.csv", flights(january, 400, 1))
		w.promote()
		w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
		w.promote()
		for n := range 2 {
			must(t, w.runs().Claim, LifecycleInput{Model: theModel, Number: n + 1})
			out := must(t, w.runs().Status, StatusInput{Model: theModel, Number: n + 1})
			require.Equal(t, Promoted, out.Result.Outcome)
			require.Equal(t, n+1, out.Result.Version)
		}
	})
	t.Run("one whose result comes between two looks keeps it", func(t *testing.T) {
		w := newWorld(t)
		w.claim(1)
		r := w.runs()
		r.Executions = closing{w, t}
		out := must(t, r.Status, StatusInput{Model: theModel, Number: 1})
		require.Equal(t, Rejected, out.Result.Outcome)
	})
	t.Run("one that was never claimed is no run", func(t *testing.T) {
		w := newWorld(t)
		_, err := try(t, w.runs().Status, StatusInput{Model: theModel, Number: 1})
		requireType(t, ErrorCorrupt, err)
	})
}

// closing is a workflow that ends just now.
type closing struct {
	w *world
	t *testing.T
}

func (c closing) Running(context.Context, string) (bool, error) {
	must(c.t, c.w.runs().Close, LifecycleResult{Model: theModel, Number: 1, Outcome: Rejected})
	return false, nil
}

func TestRecoveryFindsTheLastRun(t *testing.T) {
	for _, last := range []int{0, 1, 2, 3, 7, 8, 9, 40} {
		w := newWorld(t)
		for n := range last {
			w.claim(n+1, Trigger{Kind: TriggerCron, Key: fmt.Sprint(n)})
			if n+1 < last {
				must(t, w.runs().Close, LifecycleResult{Model: theModel, Number: n + 1, Outcome: Unchanged})
			}
		}
		id := fmt.Sprintf("lifecycle/%s/%d", theModel, last)
		out := must(t, w.runs(id).Recover, RecoverInput{Model: theModel})
		require.Equal(t, last, out.Last)
		require.Equal(t, last, out.Open, "it runs, so it is open")
		got, err := LastRun(t.Context(), w.store, theModel)
		require.NoError(t, err)
		require.Equal(t, last, got)
		if last > 0 {
			out = must(t, w.runs().Recover, RecoverInput{Model: theModel})
			require.Zero(t, out.Open, "its workflow is gone, so it is closed")
		}
	}
}

func TestRecoveryReadsBackWhatCooldownAndBudgetNeed(t *testing.T) {
	w := newWorld(t)
	for n, r := range []LifecycleResult{
		{Outcome: Promoted, Trained: true, Cost: 100, Started: t0.AddDate(0, -1, 0), Ended: t0.AddDate(0, -1, 0)},
		{Outcome: GateFailed, Trained: true, Cost: 3, Started: t0.Add(-5 * time.Hour), Ended: t0.Add(-4 * time.Hour)},
		{Outcome: Failed, Cost: 2, Started: t0.Add(-3 * time.Hour), Ended: t0.Add(-2 * time.Hour)},
		{Outcome: Unchanged, Started: t0.Add(-time.Hour), Ended: t0.Add(-time.Hour)},
	} {
		w.claim(n+1, Trigger{Kind: TriggerCron, Key: fmt.Sprint(n)})
		r.Model, r.Number = theModel, n+1
		must(t, w.runs().Close, r)
	}
	out := must(t, w.runs().Recover, RecoverInput{Model: theModel})
	require.Equal(t, t0.Add(-4*time.Hour), out.LastTrain, "not of the last run, which didn't train")
	require.InDelta(t, 5.0, out.Spent, 0, "of this month")
	require.Equal(t, "2013-06", out.Month)
}

func TestSettingsBoundATrainingByItsBudget(t *testing.T) {
	w := newWorld(t, "train: {builtin: linear}", "train: {builtin: linear, timeout: 1h}", "notify:", "budget: {per_run: 2 USD, cost_per_hour: 8}\nnotify:")
	out := must(t, w.runs().Settings, SettingsInput{Model: theModel, Spec: w.spec})
	require.Equal(t, 15*time.Minute, out.TrainTimeout)
	require.Equal(t, []string{"cli:ana", "cli:ben"}, out.Approval.Approvers)
	w.apply("train: {builtin: linear}", "train: {builtin: linear, timeout: 10m}", "notify:", "budget: {per_run: 2 USD, cost_per_hour: 8}\nnotify:")
	require.Equal(t, 10*time.Minute, must(t, w.runs().Settings, SettingsInput{Model: theModel, Spec: w.spec}).TrainTimeout)
	w.apply("train: {builtin: linear}", "train: {command: [train], resources: {gpus: 2}}", "notify:", "budget: {per_run: 2 USD, cost_per_hour: 8}\nnotify:")
	require.Equal(t, 7*time.Minute+30*time.Second, must(t, w.runs().Settings, SettingsInput{Model: theModel, Spec: w.spec}).TrainTimeout, "two slots")
}
