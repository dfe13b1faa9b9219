package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// finish closes the run whatever happened, on a context that cancellation doesn't reach: traffic back, record written,
// people and the model told.
func (l *lifecycle) finish(ctx workflow.Context, err error) (activities.LifecycleResult, error) {
	parent := ctx
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	fault := l.conclude(parent, err)
	l.state.Outcome, l.state.Reason, l.state.Stage = l.result.Outcome, l.result.Reason, "done"
	if l.exposed {
		out, err := call(ctx, quick(), traffic.Rollback, activities.RollbackInput{
			Model: l.in.Model, Version: l.version.Version, Lifecycle: l.result.ID, Actor: l.actor(), Via: "lifecycle", Reason: l.result.Reason,
		})
		if err != nil {
			l.note("rollback not recorded, the lease ends the traffic: %s", reason(err))
		}
		if out.Seq > l.result.HeadSeq {
			l.result.HeadSeq, l.result.HeadHash = out.Seq, out.Hash
		}
		if target := (drivenTarget{verb: l.settings.VerbTimeout}); target.driven() {
			seen, err := target.confirm(ctx, l.in.Model, l.in.Spec, out.Seq)
			l.noteTarget(seen, err, "the champion has the ledger's word for all traffic")
		}
	}
	if l.unconfirmed != "" {
		l.result.Reason += "; " + l.unconfirmed
	}
	l.result.Ended = workflow.Now(ctx).UTC()
	l.result.Stages = l.state.Stages
	record := l.result
	record.Kept = l.kept()
	closed, err := call(ctx, quick(), runs.Close, record)
	if err != nil {
		workflow.GetLogger(ctx).Error("run record not written", "lifecycle", l.result.ID, "error", err)
	}
	l.result = keepResult(l.result, closed)
	l.result.Kept = nil // for the bucket alone
	l.state.Outcome, l.state.Reason = l.result.Outcome, l.result.Reason
	l.tag(ctx, AttributeOutcome.ValueSet(l.result.Outcome), AttributeStage.ValueSet("done"))
	l.describe(ctx)
	l.tell(ctx, activities.MessageClosed, l.result.Reason, nil)
	done := workflow.SignalExternalWorkflow(ctx, ModelID(l.in.Model), "", SignalFinished, Finished{Number: l.in.Number, Result: l.result})
	if err := done.Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("model not told", "lifecycle", l.result.ID, "error", err)
	}
	// A message whose activity runs when the workflow completes may be lost, so they are waited for.
	if l.telling > 0 {
		sent, err := waitAtMost(ctx, lastWords, "messages to be sent", func() bool { return l.telling == 0 })
		if err != nil || !sent {
			workflow.GetLogger(ctx).Warn("messages not sent", "lifecycle", l.result.ID, "messages", l.telling, "after", lastWords)
		}
	}
	return l.result, fault
}

// keepResult prefers the record that is stored: a run that was closed before keeps its first end.
func keepResult(mine, stored activities.LifecycleResult) activities.LifecycleResult {
	if stored.Outcome == "" {
		return mine
	}
	return stored
}

// conclude turns what ended the run into its outcome. Only a fault is returned: it fails the workflow.
func (l *lifecycle) conclude(ctx workflow.Context, err error) error {
	var e *ended
	switch {
	case err == nil:
		l.result.Outcome = activities.Promoted
		l.result.Reason = fmt.Sprintf("version %d is the champion", l.version.Version)
		return nil
	case l.stop != nil:
		l.result.Outcome = l.stop.Outcome
		l.result.Reason = fmt.Sprintf("%s by %s: %s", l.stop.Outcome, l.stop.Actor, l.stop.Reason)
		return nil
	case errors.As(err, &e):
		l.result.Outcome, l.result.Reason = e.outcome, e.reason
		if e.outcome == activities.Failed {
			return temporal.NewNonRetryableApplicationError(e.reason, "LifecycleFailed", nil)
		}
		return nil
	case ctx.Err() != nil:
		l.result.Outcome, l.result.Reason = activities.Cancelled, "the workflow was cancelled"
		return temporal.NewCanceledError(l.result.Reason)
	default:
		l.result.Outcome, l.result.Reason = activities.Failed, reason(err)
		return temporal.NewNonRetryableApplicationError(l.state.Stage+": "+reason(err), "LifecycleFailed", err)
	}
}
