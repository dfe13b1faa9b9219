package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/canary"
)

// labelReader has what labels say of the step, read beside the looks: one reading at a time, which no look waits for.
type labelReader struct {
	busy bool
	at   time.Time // of the last reading's begin
	step time.Time // that it was about
	read *canary.Quality
}

// into is a state with what was read last.
func (l *labelReader) into(s canary.State) canary.State {
	if l.read == nil {
		return s
	}
	return canary.WithQuality(s, *l.read)
}

// readLabels begins a reading where one is due.
func (c *canaryRun) readLabels(ctx workflow.Context) {
	l, s, now := &c.labels, c.state, workflow.Now(ctx)
	switch {
	case s.Config.Quality == nil, l.busy, s.Over(), s.Failed != nil && s.Failed.Withdrawn:
		return
	case l.step.Equal(s.StepSince) && now.Sub(l.at) < s.LabelsEvery():
		return
	}
	l.busy, l.at, l.step = true, now, s.StepSince
	in := activities.CanaryQualityInput{
		Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Spec: c.in.Spec, From: s.StepSince, To: now, Quality: *s.Config.Quality,
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		out, err := call(ctx, readingLabels(), monitors.CanaryQuality, in)
		l.busy = false
		if err != nil {
			out = canary.Quality{From: in.From, At: in.To, Metric: in.Quality.Metric, Problem: reason(err)}
		}
		l.read = &out
	})
}
