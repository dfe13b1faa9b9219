package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func (w *session) put(key, content string) {
	w.t.Helper()
	_, err := w.bucket.Put(w.t.Context(), key, strings.NewReader(content), int64(len(content)))
	require.NoError(w.t, err)
}

const attemptsOfChurn = "runs/churn/000000000001/attempts/"

// trained records a run whose first attempt was lost in the middle of its log, and whose second ended.
func (w *session) trainedTwice(result *activities.LifecycleResult) {
	w.champion("churn", 1)
	w.record(activities.Record{Input: activities.LifecycleInput{Model: "churn", Number: 1, Train: true}, Result: result})
	w.put(attemptsOfChurn+"001-abcdef01/log/000000000000.txt", "one\ntw")
	w.put(attemptsOfChurn+"001-abcdef01/log/000000000006.txt", "o\n")
	w.put(attemptsOfChurn+"001-abcdef01/spent.json", "{}")
	w.put(attemptsOfChurn+"002-abcdef01/log/000000000000.txt", "three\n")
	w.put(attemptsOfChurn+"002-abcdef01/log.txt", "three\nfour \xff")
}

func over() *activities.LifecycleResult {
	return &activities.LifecycleResult{ID: "lifecycle/churn/1", Model: "churn", Number: 1, Outcome: activities.GateFailed, Started: t0, Ended: t0}
}

func TestLogsAreThoseOfAllAttemptsInTheirOrder(t *testing.T) {
	w := newSession(t)
	w.trainedTwice(over())
	require.Zero(t, w.starter("logs", "churn/1"))
	require.Equal(t, "one\ntwo\nthree\nfour \xff", w.stdout.String())
	require.Contains(t, w.stderr.String(), "attempt 001-abcdef01\nattempt 002-abcdef01\n")
	require.Zero(t, w.starter("logs", "churn/1", "--attempt", "2"))
	require.Equal(t, "three\nfour \xff", w.stdout.String())
	require.Zero(t, w.starter("logs", "churn/1", "-o", "json"))
	require.Equal(t, `{"attempt":1,"token":"001-abcdef01","line":"one"}
{"attempt":1,"token":"001-abcdef01","line":"two"}
{"attempt":2,"token":"002-abcdef01","line":"three"}
{"attempt":2,"token":"002-abcdef01","line":"four `+"\uFFFD"+`"}
`, w.stdout.String())
	require.Zero(t, w.starter("logs", "churn/1", "-f"), "a run that is over is followed to its end at once")
	require.Equal(t, exitConflict, w.starter("logs", "churn/1", "--attempt", "3"))
	require.Contains(t, w.stderr.String(), "a log of attempt 3 of lifecycle/churn/1")
	require.Equal(t, exitConflict, w.starter("logs", "churn/9"))
	require.Equal(t, exitUsage, w.starter("logs", "churn/1", "--attempt", "-1"))
	require.Equal(t, exitUsage, w.starter("logs", "churn/1", "-o", "yaml"))
}

func TestLogsAreFollowedFromAttemptToAttemptUntilTrainingEnds(t *testing.T) {
	w := newSession(t)
	w.trainedTwice(nil)
	const id = "lifecycle/churn/1"
	looks := 0
	state := func(status string) workflows.LifecycleState {
		return workflows.LifecycleState{ID: id, Model: "churn", Stage: "train", Stages: []activities.StageResult{{Name: "train", Status: status}}}
	}
	w.fake.executions[id] = execution{Open: true, Status: "running", Started: t0}
	w.fake.lifecycles[id] = state("running")
	w.app.engine = func(context.Context) (engine, error) {
		switch looks++; looks {
		case 3:
			w.put(attemptsOfChurn+"003-abcdef01/log/000000000000.txt", "five\n")
		case 5:
			w.put(attemptsOfChurn+"003-abcdef01/log.txt", "five\nsix\n")
			w.fake.lifecycles[id] = state("done")
		}
		return w.fake, nil
	}
	require.Zero(t, w.starter("logs", "churn/1", "-f"))
	require.Equal(t, "one\ntwo\nthree\nfour \xfffive\nsix\n", w.stdout.String(), fmt.Sprint(looks))
}
