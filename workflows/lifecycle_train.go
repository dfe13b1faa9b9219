package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// mayReuse says that a stage whose inputs are those of an earlier run needn't run again. Who forces a run wants it to train.
func (l *lifecycle) mayReuse() bool { return !l.in.NoCache && !l.in.Force }

// cachedFrom says whose work a stage's is; "" where it is its own.
func cachedFrom(run string) string {
	if run == "" {
		return ""
	}
	return ", cached from " + run
}

// trainModel makes the run's model: by one training, or by the best of a search's trials.
func (l *lifecycle) trainModel(ctx workflow.Context) error {
	if l.cached != nil {
		l.train, l.result.Cached, l.state.Cached = *l.cached, l.cached.Cached, l.cached.Cached
		l.detail("%d rows%s", l.train.TrainRows, cachedFrom(l.train.Cached))
		return nil
	}
	if l.settings.Search != nil {
		return l.searchModel(ctx)
	}
	return l.trainWith(ctx, 0, nil)
}

// trainWith loops over attempts and counts the budgets by cause. Each attempt has a token of its own, so that a late one
// can't write over another. trial and params are what a search chose; 0 and nil where there was none.
func (l *lifecycle) trainWith(ctx workflow.Context, trial int, params map[string]any) error {
	tries := attempts{left: l.settings.Retries}
	for {
		tries.made++
		out, err := l.attempt(ctx, tries.made, trial, params)
		if err == nil {
			l.train, l.result.Trained, l.result.Cost = out, true, l.result.Cost+out.Cost
			l.detail("%d rows in %.1f s, attempt %d", out.TrainRows, out.Seconds, tries.made)
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
		v := tries.spend(err)
		switch {
		case v.hopeless:
			return end(activities.Failed, "train: %s", reason(err))
		case !v.again:
			return end(activities.Failed, "train: %s (attempt %d; no %s retries left)", reason(err), tries.made, v.cause)
		case !v.free:
			l.note("attempt %d failed (%s): %s", tries.made, v.cause, reason(err))
			l.describe(ctx)
		}
		if err := workflow.Sleep(ctx, v.pause); err != nil {
			return err
		}
	}
}

// attempt runs one attempt at training, and looks after it until a worker has taken it.
func (l *lifecycle) attempt(ctx workflow.Context, n, trial int, params map[string]any) (activities.TrainOutput, error) {
	trainCtx, giveUp := workflow.WithCancel(ctx)
	defer giveUp()
	running := begin(trainCtx, placed(training(l.settings.TrainTimeout), l.settings.Placement, l.in.Team), trainer.Train, activities.TrainInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Number: l.in.Number,
		Snapshot: l.snapshot.Digest, AsOf: l.asOf, Attempt: n, Token: fmt.Sprintf("%03d-%.8s", n, workflow.GetInfo(ctx).WorkflowExecution.RunID),
		Trial: trial, Params: params, Continues: l.continues(),
	})
	if p := l.settings.Placement; p != nil { // else the run began before anybody looked
		w := watcher{
			of:   activities.LookInput{Lifecycle: l.result.ID, Activity: "Train", Queue: TrainQueue(p.Resources), Resources: p.Resources},
			over: running.IsReady,
			taken: func() {
				if l.current().Status == "waiting" {
					l.status(ctx, "running", "")
				}
			},
			waits: func(why string) { l.status(ctx, "waiting", "%s", why) },
			alone: func(text string) {
				l.note("training: %s", text)
				l.tell(ctx, activities.MessageNoWorker, text, nil)
			},
		}
		if err := w.watch(ctx); err != nil {
			giveUp()
			_, _ = running.wait(ctx)
			return activities.TrainOutput{}, err
		}
	}
	return running.wait(ctx)
}

// watcher looks after an attempt that no worker takes.
type watcher struct {
	of    activities.LookInput
	over  func() bool       // the attempt has ended, or needs no watching any more
	taken func()            // a worker has it
	waits func(why string)  // it waits
	alone func(text string) // nobody could take it: told once, when that begins
}

// watch returns when a worker has the attempt or it is over; with an *ended error when there was no worker that could for
// too long.
func (w watcher) watch(ctx workflow.Context) error {
	var alone time.Time // since when nobody could take it
	for look := 1; ; look++ {
		pause := min(lookFirst<<max(0, min(look, 30)-2), lookMost)
		over, err := waitAtMost(ctx, pause, "a worker that takes the training", w.over)
		if over || err != nil {
			return nil // a cancellation ends the attempt, which says so
		}
		seen, err := call(ctx, looking(), fleet.Look, w.of)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			workflow.GetLogger(ctx).Warn("not known who could train", "lifecycle", w.of.Lifecycle, "error", err)
		case seen.Taken:
			w.taken()
			return nil
		case seen.Served:
			alone = time.Time{}
			w.waits("for a worker that is free: it needs " + seen.Needs)
		default:
			text := unserved(seen)
			if alone.IsZero() {
				alone = workflow.Now(ctx)
				w.alone(text)
			}
			if waited := workflow.Now(ctx).Sub(alone); waited >= noWorkerWithin {
				return &ended{outcome: activities.Failed, reason: fmt.Sprintf("train: %s, for %s", text, waited)}
			}
			w.waits(text)
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
