package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
)

// trainModel loops over attempts and counts the budgets by cause. Each attempt has a token of its own, so that a late
// one can't write over another.
func (l *lifecycle) trainModel(ctx workflow.Context) error {
	left, withoutSlot := l.settings.Retries, 0
	for attempt := 1; ; attempt++ {
		out, err := l.attempt(ctx, attempt)
		if err == nil {
			l.train, l.result.Trained, l.result.Cost = out, true, l.result.Cost+out.Cost
			l.detail("%d rows in %.1f s, attempt %d", out.TrainRows, out.Seconds, attempt)
			for _, note := range out.Notes {
				l.note("training: %s", note)
			}
			return nil
		}
		if over, ok := err.(*ended); ok || ctx.Err() != nil {
			if ok {
				return over
			}
			return err
		}
		budget, cause := &left.Infrastructure, "infrastructure"
		switch errorType(err) {
		case activities.ErrorPreempted:
			budget, cause = &left.Preemption, "preemption"
		case activities.ErrorScript, activities.ErrorTrainTimeout:
			budget, cause = &left.Script, "script"
		case activities.ErrorTrainInput:
			return end(activities.Failed, "train: %s", reason(err))
		case activities.ErrorNoSlot: // nothing was tried: it costs no retry, as long as that doesn't go on for ever
			if withoutSlot++; withoutSlot < mostWithoutSlot {
				if err := workflow.Sleep(ctx, time.Duration(min(withoutSlot, 30))*time.Second); err != nil {
					return err
				}
				continue
			}
		}
		withoutSlot = 0
		if *budget <= 0 {
			return end(activities.Failed, "train: %s (attempt %d; no %s retries left)", reason(err), attempt, cause)
		}
		*budget--
		l.note("attempt %d failed (%s): %s", attempt, cause, reason(err))
		l.describe(ctx)
		// A worker that is gone needs no pause; a script that fails at once must not spin.
		if err := workflow.Sleep(ctx, time.Duration(min(attempt, 30))*time.Second); err != nil {
			return err
		}
	}
}

// attempt runs one attempt at training, and looks after it until a worker has taken it.
func (l *lifecycle) attempt(ctx workflow.Context, n int) (activities.TrainOutput, error) {
	trainCtx, giveUp := workflow.WithCancel(ctx)
	defer giveUp()
	running := begin(trainCtx, placed(training(l.settings.TrainTimeout), l.settings.Placement, l.in.Team), trainer.Train, activities.TrainInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Number: l.in.Number,
		Snapshot: l.snapshot.Digest, AsOf: l.asOf, Attempt: n, Token: fmt.Sprintf("%03d-%.8s", n, workflow.GetInfo(ctx).WorkflowExecution.RunID),
	})
	if p := l.settings.Placement; p != nil { // else the run began before anybody looked
		if err := l.watch(ctx, running.Future, p.Resources); err != nil {
			giveUp()
			_, _ = running.wait(ctx)
			return activities.TrainOutput{}, err
		}
	}
	return running.wait(ctx)
}

// watch looks after an attempt that no worker takes. It returns when one has, or the attempt is over; with an error when
// there was no worker that could for too long.
func (l *lifecycle) watch(ctx workflow.Context, running workflow.Future, needs spec.Resources) error {
	var alone time.Time // since when nobody could take it
	for look := 1; ; look++ {
		pause := min(lookFirst<<max(0, min(look, 30)-2), lookMost)
		over, err := waitAtMost(ctx, pause, "a worker that takes the training", running.IsReady)
		if over || err != nil {
			return nil // a cancellation ends the attempt, which says so
		}
		seen, err := call(ctx, looking(), fleet.Look, activities.LookInput{
			Lifecycle: l.result.ID, Activity: "Train", Queue: TrainQueue(needs), Resources: needs,
		})
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			workflow.GetLogger(ctx).Warn("not known who could train", "lifecycle", l.result.ID, "error", err)
		case seen.Taken:
			if l.current().Status == "waiting" {
				l.status(ctx, "running", "")
			}
			return nil
		case seen.Served:
			alone = time.Time{}
			l.status(ctx, "waiting", "for a worker that is free: it needs %s", seen.Needs)
		default:
			text := unserved(seen)
			if alone.IsZero() {
				alone = workflow.Now(ctx)
				l.note("training: %s", text)
				l.tell(ctx, activities.MessageNoWorker, text, nil)
			}
			if waited := workflow.Now(ctx).Sub(alone); waited >= noWorkerWithin {
				return &ended{outcome: activities.Failed, reason: fmt.Sprintf("train: %s, for %s", text, waited)}
			}
			l.status(ctx, "waiting", "%s", text)
		}
	}
}

// unserved says who is there instead of whom a training waits for.
func unserved(seen activities.LookOutput) string {
	there := "no training worker is live"
	if len(seen.Live) > 0 {
		there = "live are " + strings.Join(seen.Live, ", ")
		if seen.Others > 0 {
			there += fmt.Sprintf(" and %d more", seen.Others)
		}
	}
	return fmt.Sprintf("no live worker can serve %s; %s", seen.Needs, there)
}

// maxFairness bounds a fairness key, in bytes: the server's limit.
const maxFairness = 64

// placed sends an attempt to the workers that can run it, in its team's turn.
func placed(o workflow.ActivityOptions, p *activities.Placement, team string) workflow.ActivityOptions {
	if p == nil {
		return o
	}
	o.TaskQueue = TrainQueue(p.Resources)
	o.Priority = temporal.Priority{PriorityKey: p.Priority, FairnessKey: strings.ToValidUTF8(team[:min(len(team), maxFairness)], "")}
	return o
}
