package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	driven "github.com/leanloop/leanloop/internal/target"
)

// drive applies a spec whose target a program drives.
func (w *session) drive(model string) {
	w.t.Helper()
	m, err := spec.Parse("x", []byte("metadata: {name: "+model+"}\ndata: {prefix: s3://lake/a/, target: y}\nserving: {target: command, command: [./target]}\n"))
	require.NoError(w.t, err)
	canonical, err := m.Canonical()
	require.NoError(w.t, err)
	digest, err := registry.PutSpec(w.t.Context(), w.bucket, model, canonical)
	require.NoError(w.t, err)
	w.do(model, registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: digest, AppliedBy: "cli:ana"}})
}

func view(entry int64, agrees bool, want driven.Weights, versions ...driven.Version) activities.TargetCheck {
	return activities.TargetCheck{TargetView: activities.TargetView{
		Model: "churn", Driven: true, At: t0, Result: driven.Result{Entry: entry, Want: want, Versions: versions, Agrees: agrees},
	}}
}

func TestTargetStatusComparesWithTheLedger(t *testing.T) {
	w := newSession(t)
	w.drive("churn")
	w.champion("churn", 1)
	w.fake.target = func(_ string, readOnly bool) (activities.TargetCheck, error) {
		require.True(t, readOnly)
		return view(9, true, driven.Weights{Champion: 1, Challenger: 2, Weight: 0.1}, driven.Version{Version: 1, Weight: 0.9, ID: "16"}, driven.Version{Version: 2, Weight: 0.1, ID: "17"}), nil
	}
	require.Equal(t, exitOK, w.starter("target", "status", "churn"), w.stderr.String())
	require.Contains(t, w.stdout.String(), "churn: as decided in entry 9")
	require.Regexp(t, `VERSION +DECIDED +SERVED +ID\n +1 +90% +90% +16\n +2 +10% +10% +17\n`, w.stdout.String())

	w.fake.target = func(string, bool) (activities.TargetCheck, error) {
		out := view(9, false, driven.Weights{Champion: 1}, driven.Version{Version: 8, Weight: 1})
		out.Problem = "it reads back version 8 100 %, want version 1 100 %"
		return out, nil
	}
	require.Equal(t, exitFailure, w.starter("target", "status", "churn", "-o", "json"))
	require.Contains(t, w.stdout.String(), `"agrees": false`)
	require.Contains(t, w.stderr.String(), "doesn't serve what the ledger says: it reads back version 8 100 %")
	require.Contains(t, w.stderr.String(), "starter target sync churn")
	require.Equal(t, exitFailure, w.starter("target", "status", "churn"))
	require.Regexp(t, ` +1 +100% +-\n +8 +- +100%`, w.stdout.String())
}

func TestTargetSyncSaysWhatWasDone(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.fake.target = func(_ string, readOnly bool) (activities.TargetCheck, error) {
		require.False(t, readOnly)
		out := view(4, true, driven.Weights{Champion: 1}, driven.Version{Version: 1, Weight: 1})
		out.Did, out.Left = []string{"set version 1 100 %"}, []string{"version 3: in\nuse"}
		return out, nil
	}
	require.Equal(t, exitOK, w.starter("target", "sync", "churn"))
	require.Contains(t, w.stdout.String(), "did: set version 1 100 %\nnot removed: version 3: in use\n")
}

func TestTargetOfAModelThatGatewaysServe(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.fake.target = func(string, bool) (activities.TargetCheck, error) {
		return activities.TargetCheck{TargetView: activities.TargetView{Model: "churn"}}, nil
	}
	require.Equal(t, exitOK, w.starter("target", "status", "churn"))
	require.Contains(t, w.stdout.String(), "is served by gateways")
	require.Equal(t, exitConflict, w.starter("target", "status", "nobody"))
}

func TestRollbackHasTheTargetFollow(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(seq int64) (activities.TargetCheck, error)
		says   string
	}{
		"it reads back": {func(seq int64) (activities.TargetCheck, error) {
			return view(seq, true, driven.Weights{Champion: 1}, driven.Version{Version: 1, Weight: 1}), nil
		}, "read back by the target"},
		"it doesn't": {func(seq int64) (activities.TargetCheck, error) {
			out := view(seq, false, driven.Weights{Champion: 1})
			out.Problem = "exit code 1"
			return out, nil
		}, "not confirmed yet by: the target: exit code 1"},
		"nobody answers": {func(int64) (activities.TargetCheck, error) {
			return activities.TargetCheck{}, errors.New("connection refused")
		},
			"it follows within a minute of Temporal and a worker being there"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSession(t)
			w.drive("churn")
			w.champion("churn", 1)
			w.champion("churn", 2)
			w.fake.target = func(string, bool) (activities.TargetCheck, error) {
				head, err := registry.NewLedger(w.bucket, "churn").Head(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, head.State.Champion, "the ledger comes first")
				return c.answer(head.Seq)
			}
			require.Equal(t, exitOK, w.starter("rollback", "churn", "--reason", "slow"), w.stderr.String())
			require.Contains(t, w.stdout.String(), c.says)
		})
	}
}

func TestBreakGlassNeedsGateways(t *testing.T) {
	w := newSession(t)
	w.drive("churn")
	w.champion("churn", 1)
	require.Equal(t, exitConflict, w.starter("rollback", "churn", "--break-glass", "--reason", "errors", "--gateway", "http://127.0.0.1:1"))
	require.Contains(t, w.stderr.String(), "no gateway serves it: its target is driven by serving.command")
}
