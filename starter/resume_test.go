package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func TestResumeAsksForARunFromAStage(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	head, err := w.head(t.Context(), "churn")
	require.NoError(t, err)
	failed := over()
	failed.Outcome, failed.Kept = activities.Failed, &activities.Kept{Snapshot: &activities.SnapshotOutput{Digest: "d"}}
	w.record(activities.Record{Input: activities.LifecycleInput{Model: "churn", Number: 1, Spec: head.State.Spec.Digest}, Result: failed})
	w.fake.submit = func(string, activities.Trigger) (workflows.Submitted, error) {
		return workflows.Submitted{Lifecycle: "lifecycle/churn/2"}, nil
	}
	require.Zero(t, w.starter("resume", "churn/1", "--from", "train", "--reason", "the machines are back"), w.stderr.String())
	require.Equal(t, &activities.Resume{Number: 1, From: "train"}, w.fake.triggers[0].Resume)
	require.Equal(t, "cli:ana", w.fake.triggers[0].Actor)
	require.Contains(t, w.stdout.String(), "lifecycle/churn/2 started")

	require.Equal(t, exitConflict, w.starter("resume", "churn/1", "--from", "evaluate"))
	require.Contains(t, w.stderr.String(), "it didn't get through its stage train: --from train, or earlier")
	require.Equal(t, exitConflict, w.starter("resume", "churn/9", "--from", "train"))
	require.Equal(t, exitUsage, w.starter("resume", "churn/1"))
	require.Len(t, w.fake.triggers, 1)
}
