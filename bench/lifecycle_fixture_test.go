package bench

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/workflows"
)

// newWorld starts Temporal, which is built first if it wasn't yet, and the workers.
func newWorld(b *testing.B) *world {
	b.Helper()
	stack, err := devstack.Start(b.Context(), devstack.Options{
		DataDir: b.TempDir(), SearchAttributes: workflows.SearchAttributes(), NoUI: true, NoInflux: true, Log: b.Output(),
	})
	require.NoError(b, err)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := stack.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
	t := stack.Addresses().Temporal
	c, err := temporalx.Dial(b.Context(), temporalx.Connection{Address: t.Address, Namespace: t.Namespace}, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(c.Close)
	startWorkers(b, c)
	return &world{client: c}
}

// noStages are the activities of a lifecycle by name, doing nothing: each answers at once what lets the run go on. The
// message that asks for an approval is answered by one.
func noStages(c client.Client) map[string]any {
	const actor, evidence = "cli:bench", "evidence"
	return map[string]any{
		"noop": func(context.Context) error { return nil },
		"Settings": func(context.Context, activities.SettingsInput) (activities.RunSettings, error) {
			return activities.RunSettings{
				TrainTimeout: time.Minute,
				Approval:     spec.Approval{Approvers: []string{actor}, Quorum: 1, Timeout: spec.Duration(time.Minute)},
			}, nil
		},
		"Ingest": func(_ context.Context, in activities.IngestInput) (activities.IngestOutput, error) {
			return activities.IngestOutput{Object: in.Object, SHA256: "file", Rows: 1}, nil
		},
		"Validate": func(context.Context, activities.ValidateInput) (activities.ValidateOutput, error) {
			return activities.ValidateOutput{Accepted: true, Seq: 1}, nil
		},
		"Take": func(context.Context, activities.SnapshotInput) (activities.SnapshotOutput, error) {
			return activities.SnapshotOutput{Digest: "snapshot", Files: 1, Rows: 1}, nil
		},
		"Train": func(_ context.Context, in activities.TrainInput) (activities.TrainOutput, error) {
			return activities.TrainOutput{Prefix: in.Token, TrainRows: 1}, nil
		},
		"Evaluate": func(context.Context, activities.EvaluateInput) (activities.EvaluateOutput, error) {
			return activities.EvaluateOutput{Summary: activities.EvaluateSummary{Verdict: evaluation.Verdict{Outcome: evaluation.Pass}, JudgedRows: 1}}, nil
		},
		"Register": func(context.Context, activities.RegisterInput) (activities.RegisterOutput, error) {
			return activities.RegisterOutput{Version: 1, Evidence: activities.Evidence{Version: 1, Digest: evidence}}, nil
		},
		"Decide": func(context.Context, activities.DecisionInput) (activities.LedgerOutput, error) {
			return activities.LedgerOutput{Seq: 2}, nil
		},
		"Promote": func(context.Context, activities.PromoteInput) (activities.LedgerOutput, error) {
			return activities.LedgerOutput{Seq: 3}, nil
		},
		"Confirm": func(context.Context, activities.ConfirmInput) (activities.ConfirmOutput, error) {
			return activities.ConfirmOutput{Confirmed: true, Gateways: 1}, nil
		},
		"Close": func(_ context.Context, in activities.LifecycleResult) (activities.LifecycleResult, error) {
			return in, nil
		},
		"Send": func(ctx context.Context, in activities.MessageInput) (activities.MessageOutput, error) {
			if in.Kind != activities.MessageApproval {
				return activities.MessageOutput{}, nil
			}
			return activities.MessageOutput{}, c.SignalWorkflow(ctx, in.Lifecycle, "", workflows.SignalDecision, approval.Decision{
				ID: in.Lifecycle, Kind: approval.Approve, Actor: actor, Via: "bench", Evidence: evidence,
			})
		},
	}
}
