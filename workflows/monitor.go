package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// Drift compares the newest production window with the champion's training rows, by schedule. It carries the verdicts
// of the last windows from one run of the schedule to the next, so that an alert takes k of n; on an alert it tells
// people and the model's entity.
func Drift(ctx workflow.Context, in activities.MonitorInput) (activities.DriftOutput, error) {
	var last activities.DriftOutput
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &last); err != nil {
			return activities.DriftOutput{}, err
		}
	}
	out, err := call(ctx, dataScan(), monitors.Drift, activities.DriftInput{
		Model: in.Model, End: workflow.Now(ctx).UTC(), Recent: last.Recent, Champion: last.Champion,
	})
	if err != nil {
		return out, err
	}
	workflow.SetCurrentDetails(ctx, renderDrift(out))
	if !out.Alert {
		return out, nil
	}
	told := last.Alert && last.Champion == out.Champion // people know: one cause is one page
	return out, raise(ctx, activities.TriggerDrift, in.Model, out.Champion, out.End, out.Reason, told)
}

// Quality compares labelled predictions with what the champion had on its test rows, by schedule.
func Quality(ctx workflow.Context, in activities.MonitorInput) (activities.QualityOutput, error) {
	out, err := call(ctx, dataScan(), monitors.Quality, activities.QualityInput{Model: in.Model, End: workflow.Now(ctx).UTC()})
	if err != nil {
		return out, err
	}
	workflow.SetCurrentDetails(ctx, renderQuality(out))
	if !out.Alert {
		return out, nil
	}
	return out, raise(ctx, activities.TriggerQuality, in.Model, out.Champion, out.End, out.Reason, false)
}

// RetrainCheck asks the model's entity for a run, by the spec's cron.
func RetrainCheck(ctx workflow.Context, in activities.MonitorInput) error {
	return trigger(ctx, activities.TriggerCron, in.Model, 0, workflow.Now(ctx).UTC(), "retrain.cron")
}

// raise tells the entity, then people. That people couldn't be told is logged.
func raise(ctx workflow.Context, kind, model string, champion int, at time.Time, why string, told bool) error {
	triggered := trigger(ctx, kind, model, champion, at, why)
	if told {
		return triggered
	}
	_, err := call(ctx, alerting(), messenger.Send, activities.MessageInput{
		Kind: activities.MessageAlert, Model: model, Text: fmt.Sprintf("%s: %s", kind, why),
		Lifecycle: fmt.Sprintf("%s/%s/%d/%d", kind, model, champion, at.Unix()),
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("alert not sent", "model", model, "error", err)
	}
	return triggered
}

func trigger(ctx workflow.Context, kind, model string, champion int, at time.Time, why string) error {
	t := activities.Trigger{Kind: kind, Champion: champion, Key: fmt.Sprintf("%s/%s", kind, at.Format(time.RFC3339Nano)), Via: "schedule", Reason: why, At: at}
	if err := workflow.SignalExternalWorkflow(ctx, ModelID(model), "", SignalTrigger, t).Get(ctx, nil); err != nil {
		return fmt.Errorf("tell %s: %w (is the model applied? starter apply -f model.yaml)", ModelID(model), err)
	}
	return nil
}

func renderDrift(o activities.DriftOutput) string {
	if o.Inconclusive != "" {
		return fmt.Sprintf("### inconclusive\n\n%s\n", escape(o.Inconclusive))
	}
	s := fmt.Sprintf("### %d feature(s) drifted, largest PSI %.3f\n\n%d rows since %s against version %d. %s\n\n| feature | method | statistic | PSI | |\n| --- | --- | ---: | ---: | --- |\n",
		len(o.Drifted), o.MaxPSI, o.Rows, o.From.UTC().Format("2006-01-02 15:04:05"), o.Champion, escape(o.Reason))
	for _, c := range o.Top {
		mark := ""
		if c.Drifted {
			mark = "drifted"
		}
		s += fmt.Sprintf("| %s | %s | %.4f | %.4f | %s |\n", escape(c.Name), c.Method, c.Statistic, c.PSI, mark)
	}
	return s
}

func renderQuality(o activities.QualityOutput) string {
	if o.Inconclusive != "" {
		return fmt.Sprintf("### inconclusive\n\n%s\n", escape(o.Inconclusive))
	}
	return fmt.Sprintf("### %s %.4f, limit %.4f\n\n%d of %d predictions labelled; version %d had %.4f on its test rows. %s\n",
		o.Metric, o.Observed, o.Limit, o.Labelled, o.Predictions, o.Champion, o.Baseline, escape(o.Reason))
}
