package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/workflows"
)

// searched is a model whose third run searches: nine trials have ended, one runs.
func (w *session) searched() {
	w.t.Helper()
	yaml := modelYAML + "train: {search: {space: {eta: {log: [0.001, 1]}, booster: {choice: [tree, dart]}}, trials: 12}}\n"
	digest, err := registry.PutSpec(w.t.Context(), w.bucket, "churn", []byte(yaml))
	require.NoError(w.t, err)
	w.do("churn", registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: digest, AppliedBy: "cli:ana"}})
	for n := 1; n <= 3; n++ {
		w.record(activities.Record{Input: activities.LifecycleInput{Model: "churn", Number: n, Spec: digest, Why: "asked for"}})
	}
	for n := 1; n <= 9; n++ {
		r := activities.TrialRecord{
			Trial: search.Trial{Number: n, State: search.Complete, Value: 1 / float64(n), Step: 10, Params: map[string]any{"eta": 0.1 * float64(n), "booster": "tree"}},
			Token: activities.TrialToken(n, 1, "abcdef01"), Attempt: 1, Started: t0, Seconds: 12.5, Cost: 0.25,
		}
		switch n {
		case 4:
			r.State, r.Step, r.Reason = search.Pruned, 3, "best 0.9 until step 3, the median of 5 trials there is 0.5"
		case 7:
			r.State, r.Value, r.Reason = search.Failed, 0, "exit code 1\nTraceback"
		}
		raw, err := json.Marshal(r)
		require.NoError(w.t, err)
		_, err = w.bucket.Create(w.t.Context(), fmt.Sprintf("runs/churn/%012d/trials/result/%06d.json", 3, n), bytes.NewReader(raw), int64(len(raw)))
		require.NoError(w.t, err)
	}
	w.fake.models["churn"] = workflows.ModelState{Model: "churn", Open: &workflows.OpenRun{Number: 3, ID: "lifecycle/churn/3", Since: t0}}
	best := search.Trial{Number: 9, State: search.Complete, Value: 1.0 / 9}
	w.fake.searches["search/churn/3"] = workflows.SearchState{
		Model: "churn", Number: 3, Metric: "log_loss", Goal: search.Minimize, Trials: 12, Ended: 9, Pruned: 1, Failed: 1, Best: &best,
		Running: []search.Trial{{Number: 10, State: search.Running, Params: map[string]any{"eta": 0.5, "booster": "dart"}}},
	}
}

func TestTrialsAreShownTheBestFirst(t *testing.T) {
	w := newSession(t)
	w.searched()
	require.Equal(t, exitOK, w.starter("trials", "churn"))
	lines := strings.Split(w.stdout.String(), "\n")
	require.Contains(t, lines[0], "lifecycle/churn/3: 9 of 12 trials, minimize log_loss")
	require.Contains(t, lines[1], "7 complete, 1 pruned, 1 failed, 1 running")
	require.Contains(t, lines[4], "9  best")
	require.Contains(t, lines[4], "booster=tree eta=0.9")
	require.Contains(t, w.stdout.String(), "pruned at 3")
	require.Contains(t, w.stdout.String(), "exit code 1 Traceback", "an error is no second line")
	require.Less(t, strings.LastIndex(w.stdout.String(), "eta=0.1"), strings.LastIndex(w.stdout.String(), "running"), "those that run stand below")

	require.Equal(t, exitOK, w.starter("trials", "churn/3", "-o", "json"))
	var v trialsView
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &v))
	require.Equal(t, 9, v.Best)
	require.Len(t, v.Trials, 9)
	require.Len(t, v.Running, 1)

	page := filepath.Join(t.TempDir(), "trials.html")
	require.Equal(t, exitOK, w.starter("trials", "churn/3", "--html", page))
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(raw), "Trial 9 is the best: log_loss 0.1111")
}

// What ended lasts in the bucket: a search whose workflow is forgotten is shown all the same.
func TestTrialsAreShownWithoutTemporal(t *testing.T) {
	w := newSession(t)
	w.searched()
	delete(w.fake.searches, "search/churn/3")
	require.Equal(t, exitOK, w.starter("trials", "churn/3"))
	require.Contains(t, w.stdout.String(), "7 complete, 1 pruned, 1 failed, 0 running")
	require.NotContains(t, w.stdout.String(), "not known")
	require.Equal(t, exitOK, w.starter("trials", "churn/1"), "a search of which nothing has ended yet")
	require.Contains(t, w.stdout.String(), "0 of 12 trials")
}

func TestARunWithoutASearchHasNoTrials(t *testing.T) {
	w := newSession(t)
	digest, err := registry.PutSpec(t.Context(), w.bucket, "churn", []byte(modelYAML))
	require.NoError(t, err)
	w.do("churn", registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: digest, AppliedBy: "cli:ana"}})
	w.record(activities.Record{Input: activities.LifecycleInput{Model: "churn", Number: 1, Spec: digest}})
	require.Equal(t, exitConflict, w.starter("trials", "churn/1"))
	require.Contains(t, w.stderr.String(), "its spec has no train.search")
	require.Equal(t, exitConflict, w.starter("trials", "churn/2"))
	require.Equal(t, exitUsage, w.starter("trials", "churn/1", "--html", "-"))
}

func TestARunThatSearchesSaysHowFarItIs(t *testing.T) {
	w := newSession(t)
	w.searched()
	w.fake.executions["lifecycle/churn/3"] = execution{Open: true, Status: "running", Started: t0.Add(-time.Minute)}
	w.fake.lifecycles["lifecycle/churn/3"] = workflows.LifecycleState{
		ID: "lifecycle/churn/3", Model: "churn", Stage: "train", Search: "search/churn/3",
		Stages: []activities.StageResult{{Name: "train", Status: "running", Detail: "searches 2 parameters in 12 trials, 1 at once"}},
	}
	require.Equal(t, exitOK, w.starter("status", "churn/3"))
	require.Contains(t, w.stdout.String(), "trial 10 of 12, best log_loss 0.11111, 1 pruned, 1 failed")
}
