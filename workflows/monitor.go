package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// Drift compares the newest production window with the champion's training rows, by schedule. It carries the verdicts
// of the last windows from one run of the schedule to the next, so that an alert takes k of n; on an alert it tells
// people and the model's entity.
func Drift(ctx workflow.Context, in activities.MonitorInput) (out activities.DriftOutput, err error) {
	defer func() { tellOfFailure(ctx, activities.TriggerDrift, in.Model, err) }()
	last, err := lastResult[activities.DriftOutput](ctx)
	if err != nil {
		return activities.DriftOutput{}, err
	}
	out, err = compareWindow(ctx, activities.DriftInput{
		Model: in.Model, End: workflow.Now(ctx).UTC(), Recent: last.Recent, Champion: last.Champion,
	})
	if err != nil {
		return out, err
	}
	workflow.SetCurrentDetails(ctx, renderDrift(out))
	// Results from before there was Told have Alert alone, and mean it.
	told := last.Champion == out.Champion && (last.Told || last.Alert && !last.Untold)
	out.Told, err = alarm{
		kind: activities.TriggerDrift, model: in.Model, champion: out.Champion, at: out.End, why: out.Reason, page: out.Page,
	}.follow(ctx, out.Alert, out.Inconclusive != "", told)
	out.Untold = out.Alert && !out.Told
	return out, err
}

// lastResult is what the schedule's last run that completed came to; zero for the first.
func lastResult[T any](ctx workflow.Context) (last T, err error) {
	if workflow.HasLastCompletionResult(ctx) {
		err = workflow.GetLastCompletionResult(ctx, &last)
	}
	return last, err
}

// inShards marks the code that profiles a window in shards. What began before has one activity that reads all of it.
const inShards = "drift-in-shards"

// compareWindow profiles the window's shards side by side, and judges what comes of them.
func compareWindow(ctx workflow.Context, in activities.DriftInput) (activities.DriftOutput, error) {
	if workflow.GetVersion(ctx, inShards, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return call(ctx, dataScan(), monitors.Drift, in)
	}
	plan, err := call(ctx, dataScan(), monitors.DriftPlan, in)
	if err != nil {
		return activities.DriftOutput{}, err
	}
	shards, target, err := profileWindow(ctx, plan)
	if err != nil {
		return activities.DriftOutput{}, err
	}
	return call(ctx, dataScan(), monitors.DriftJudge, activities.DriftJudgement{
		Plan: plan, Shards: shards, Target: target, Recent: in.Recent, Champion: in.Champion,
	})
}

// profileWindow profiles each shard in an activity of its own, a few at once, and the labels beside them. One that fails
// for good ends the others: a verdict is of the whole window.
func profileWindow(ctx workflow.Context, plan activities.DriftPlan) (shards []activities.DriftProfiled, target activities.DriftProfiled, err error) {
	if plan.Shards == 0 {
		return nil, target, nil
	}
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	labels := begin(ctx, dataScan(), monitors.DriftTarget, plan)
	running := make([]begun[activities.DriftProfiled], plan.Shards)
	for next := range plan.Shards + shardsAtOnce {
		if done := next - shardsAtOnce; done >= 0 {
			p, err := running[done].wait(ctx)
			if err != nil {
				return nil, target, err
			}
			shards = append(shards, p)
		}
		if next < plan.Shards {
			o := dataScan()
			o.Summary = fmt.Sprintf("shard %d of %d", next+1, plan.Shards)
			running[next] = begin(ctx, o, monitors.DriftShard, activities.DriftShard{Plan: plan, Shard: next})
		}
	}
	target, err = labels.wait(ctx)
	return shards, target, err
}

// Quality compares labelled predictions with what the champion had on its test rows, by schedule. As Drift does, it
// carries whether people know.
func Quality(ctx workflow.Context, in activities.MonitorInput) (out activities.QualityOutput, err error) {
	defer func() { tellOfFailure(ctx, activities.TriggerQuality, in.Model, err) }()
	last, err := lastResult[activities.QualityOutput](ctx)
	if err != nil {
		return activities.QualityOutput{}, err
	}
	out, err = call(ctx, dataScan(), monitors.Quality, activities.QualityInput{Model: in.Model, End: workflow.Now(ctx).UTC()})
	if err != nil {
		return out, err
	}
	workflow.SetCurrentDetails(ctx, renderQuality(out))
	out.Told, err = alarm{
		kind: activities.TriggerQuality, model: in.Model, champion: out.Champion, at: out.End, why: out.Reason,
	}.follow(ctx, out.Alert, out.Inconclusive != "" || out.Note != "", last.Told && last.Champion == out.Champion)
	return out, err
}

// RetrainCheck asks the model's entity for a run, by the spec's cron.
func RetrainCheck(ctx workflow.Context, in activities.MonitorInput) (err error) {
	defer func() { tellOfFailure(ctx, activities.TriggerCron, in.Model, err) }()
	return trigger(ctx, activities.TriggerCron, in.Model, 0, workflow.Now(ctx).UTC(), "retrain.cron")
}

// failureIsTold marks the code that tells people of a check that failed. Those of before ended without a word.
const failureIsTold = "failure-is-told"

// tellOfFailure tells people that a check failed: its schedule pauses, and from then on silence would look like peace.
func tellOfFailure(ctx workflow.Context, kind, model string, err error) {
	if err == nil || ctx.Err() != nil || temporal.IsCanceledError(err) || workflow.GetVersion(ctx, failureIsTold, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	alarm{kind: kind, model: model, at: workflow.Now(ctx).UTC(), why: reason(err)}.tell(ctx, activities.MessageBlind)
}

// alarm is a monitor's that is over its limit, or was.
type alarm struct {
	kind, model string
	champion    int
	at          time.Time // the window's end
	why         string
	page        string // where the report is; "": there is none
}

// follow tells the entity of every window that alerts, and people of the first one and of the end: one cause is one page.
// A window that can't tell is neither, and what people know stays. It gives whether people know of an alert that hasn't
// ended: where they couldn't be told, the next window that alerts tells them.
func (a alarm) follow(ctx workflow.Context, alert, inconclusive, told bool) (knows bool, err error) {
	switch {
	case alert:
		err = trigger(ctx, a.kind, a.model, a.champion, a.at, a.why)
		return told || a.tell(ctx, activities.MessageAlert), err
	case inconclusive:
		return told, nil
	case told:
		a.tell(ctx, activities.MessageCalm)
	}
	return false, nil
}

// tell tells people; that they couldn't be told is logged.
func (a alarm) tell(ctx workflow.Context, message string) (told bool) {
	_, err := call(ctx, alerting(), messenger.Send, activities.MessageInput{
		Kind: message, Model: a.model, Text: fmt.Sprintf("%s: %s", a.kind, a.why),
		Lifecycle: fmt.Sprintf("%s/%s/%d/%d", a.kind, a.model, a.champion, a.at.Unix()),
		Monitor:   a.kind, Page: a.page, Workflow: workflow.GetInfo(ctx).WorkflowExecution.ID,
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("message not sent", "kind", message, "model", a.model, "error", err)
	}
	return err == nil
}

func trigger(ctx workflow.Context, kind, model string, champion int, at time.Time, why string) error {
	t := activities.Trigger{Kind: kind, Champion: champion, Key: fmt.Sprintf("%s/%s", kind, at.Format(time.RFC3339Nano)), Via: "schedule", Reason: why, At: at}
	if err := workflow.SignalExternalWorkflow(ctx, ModelID(model), "", SignalTrigger, t).Get(ctx, nil); err != nil {
		return fmt.Errorf("tell %s: %w (is the model applied? starter apply -f model.yaml)", ModelID(model), err)
	}
	return nil
}
