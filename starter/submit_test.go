package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/workflows"
)

// submitting is a session in a folder with a spec and a file, whose model answers a submission with answer.
func submitting(t *testing.T, answers ...workflows.Submitted) *session {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", modelYAML)
	w.file(dir, "jan.csv", churnCSV)
	w.fake.submit = func(string, activities.Trigger) (workflows.Submitted, error) {
		answer := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return answer, nil
	}
	return w
}

// ends gives churn's first run an end.
func (w *session) ends(outcome, reason string) {
	w.record(activities.Record{
		Input: activities.LifecycleInput{Model: "churn", Number: 1, Why: "cli:ana submitted it"},
		Result: &activities.LifecycleResult{ID: "lifecycle/churn/1", Model: "churn", Number: 1, Outcome: outcome, Reason: reason,
			Started: t0.Add(-time.Minute), Ended: t0, Stages: []activities.StageResult{{Name: "ingest", Status: "done", Seconds: 0.4}}},
	})
}

func TestSubmitLandsTheFileAndNamesItAsIntakeDoes(t *testing.T) {
	w := submitting(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
	w.variables["LEANLOOP_TEMPORAL_UI"] = "http://ui"
	require.Equal(t, exitOK, w.starter("submit", "-f", "model.yaml", "--data", "jan.csv", "--reason", "January"), w.stderr.String())
	require.Contains(t, w.stdout.String(), "lifecycle/churn/1 started")
	require.Contains(t, w.stdout.String(), "http://ui/namespaces/default/workflows/lifecycle%2Fchurn%2F1")
	raw, info, err := objectstore.ReadAll(t.Context(), w.bucket, "landing/churn/jan.csv", 1<<20)
	require.NoError(t, err)
	require.Equal(t, churnCSV, string(raw))
	trigger := w.fake.triggers[0]
	require.Equal(t, []any{activities.TriggerPerson, "cli:ana", "cli", "January", false}, []any{trigger.Kind, trigger.Actor, trigger.Via, trigger.Reason, trigger.Force})
	require.Equal(t, info.ETag, trigger.Object.ETag)
	require.Empty(t, trigger.Object.VersionID, "listings have none: with it the event and the submission would be two triggers")
	require.Equal(t, trigger.Object.Identity(), trigger.Key)
}

func TestSubmitExitsByTheOutcomeItWaitedFor(t *testing.T) {
	for outcome, code := range map[string]int{
		activities.Promoted: 0, activities.Unchanged: 0, activities.ValidationFailed: 3, activities.GateFailed: 3,
		activities.Rejected: 4, activities.RolledBack: 5, activities.TimedOut: 6, activities.Cancelled: 1, activities.Failed: 1,
	} {
		t.Run(outcome, func(t *testing.T) {
			w := submitting(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
			w.ends(outcome, "because")
			require.Equal(t, code, w.starter("submit", "-f", "model.yaml", "--data", "jan.csv", "--wait"), w.stderr.String())
			require.Contains(t, w.stdout.String(), outcome)
			require.Contains(t, w.stderr.String(), "ingest done")
		})
	}
}

func TestSubmitPrintsOneDocumentAsJSON(t *testing.T) {
	w := submitting(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
	w.ends(activities.Rejected, "too slow")
	require.Equal(t, exitRejected, w.starter("submit", "-f", "model.yaml", "--data", "jan.csv", "--wait", "-o", "json"))
	var out submitted
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &out), w.stdout.String())
	require.Equal(t, "rejected", out.Result.Outcome)
	require.True(t, out.Applied.Created)
}

func TestSubmitFindsTheRunThatTakesItsTrigger(t *testing.T) {
	w := submitting(t, workflows.Submitted{Queued: 1})
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"))
	w.fake.submit = func(_ string, trigger activities.Trigger) (workflows.Submitted, error) {
		w.fake.models["churn"] = workflows.ModelState{Taken: []workflows.Taken{{Key: trigger.Key, Lifecycle: "lifecycle/churn/1"}}}
		return workflows.Submitted{Queued: 1}, nil
	}
	require.Equal(t, exitOK, w.starter("submit", "churn"))
	require.Contains(t, w.stdout.String(), "lifecycle/churn/1 started")
}

func TestSubmitThatLedToNothingIsRefusedWithTheReason(t *testing.T) {
	w := submitting(t, workflows.Submitted{})
	w.fake.submit = func(_ string, trigger activities.Trigger) (workflows.Submitted, error) {
		w.fake.models["churn"] = workflows.ModelState{Taken: []workflows.Taken{{Key: trigger.Key}}, Note: "no spec is applied"}
		return workflows.Submitted{}, nil
	}
	require.Equal(t, exitConflict, w.starter("submit", "-f", "model.yaml"))
	require.Contains(t, w.stderr.String(), "no spec is applied")
}

func TestSubmitOfAKnownFileStartsNothingUnlessForced(t *testing.T) {
	w := submitting(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1", Duplicate: true})
	require.Equal(t, exitOK, w.starter("submit", "-f", "model.yaml", "--data", "jan.csv"))
	require.Contains(t, w.stdout.String(), "has this file")
	require.Len(t, w.fake.triggers, 1)

	w = submitting(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1", Duplicate: true}, workflows.Submitted{Lifecycle: "lifecycle/churn/2"})
	require.Equal(t, exitOK, w.starter("submit", "-f", "model.yaml", "--data", "jan.csv", "--force"))
	require.Contains(t, w.stdout.String(), "lifecycle/churn/2 started")
	require.Len(t, w.fake.triggers, 2)
	require.Nil(t, w.fake.triggers[1].Object)
	require.True(t, w.fake.triggers[1].Force)
}

func TestSubmitSaysThatNoWorkerAnswers(t *testing.T) {
	w := submitting(t, workflows.Submitted{})
	w.fake.submit = func(string, activities.Trigger) (workflows.Submitted, error) {
		return workflows.Submitted{}, &silentWorkerError{what: "submit to model/churn", within: submitWithin, err: errors.New("deadline")}
	}
	require.Equal(t, exitFailure, w.starter("submit", "-f", "model.yaml", "--data", "jan.csv"))
	require.Contains(t, w.stderr.String(), "is a worker running on task queue leanloop-lifecycle?")
}

func TestWatchOfARunThatNeverEndsTimesOut(t *testing.T) {
	w := newSession(t)
	w.waiting(nil)
	require.Equal(t, exitTimedOut, w.starter("watch", "churn", "--timeout", "20ms"))
	require.Contains(t, w.stderr.String(), "the end of lifecycle/churn/2: not within 20ms")
	require.Equal(t, 1, strings.Count(w.stderr.String(), "approve waiting"), "a line for a change, none without")
}

func TestWatchOfAModelWithoutAnOpenRunEndsAsTheLastOneDid(t *testing.T) {
	w := submitting(t, workflows.Submitted{})
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"))
	w.ends(activities.GateFailed, "f1 too low")
	require.Equal(t, exitGate, w.starter("watch", "churn"))
	require.Contains(t, w.stderr.String(), "f1 too low")
	require.Equal(t, exitGate, w.starter("watch", "churn/1"))
	require.Equal(t, exitConflict, w.starter("watch", "churn/9"))
}

func TestARunThatStillCleansUpIsNotOver(t *testing.T) {
	w := newSession(t)
	w.waiting(nil)
	state := w.fake.lifecycles["lifecycle/churn/2"]
	state.Outcome, state.Reason = activities.Rejected, "by ben"
	w.fake.lifecycles["lifecycle/churn/2"] = state
	v, err := w.view(t.Context(), runRef{"churn", 2})
	require.NoError(t, err)
	require.False(t, v.over())
	w.fake.executions["lifecycle/churn/2"] = execution{Status: "completed", Started: t0, Closed: t0.Add(time.Second)}
	v, err = w.view(t.Context(), runRef{"churn", 2})
	require.NoError(t, err)
	require.True(t, v.over())
}

func TestCancelEndsTheOpenRun(t *testing.T) {
	w := newSession(t)
	w.waiting(nil)
	require.Equal(t, exitOK, w.starter("cancel", "churn", "--reason", "wrong file"))
	require.Equal(t, []workflows.Stop{{Outcome: "cancelled", Actor: "cli:ana", Via: "cli", Reason: "wrong file"}}, w.fake.stops)
}
