package activities

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/target"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// flushLag is how long ago a measured window ends: gateways flush once a second, and a flush takes its time.
const flushLag = 1500 * time.Millisecond

// MeasureInput judges one window of real traffic.
type MeasureInput struct {
	Model    string       `json:"model"`
	Version  int          `json:"version"`
	Champion int          `json:"champion"`
	Spec     string       `json:"spec"`
	State    canary.State `json:"state"`
	Now      time.Time    `json:"now"` // the window is the state's, up to a moment before

	// Of a target that a program drives: its own names of versions, and why it may not serve by the weights that were set.
	IDs         map[int]string `json:"ids,omitempty"`
	Unconfirmed string         `json:"unconfirmed,omitempty"`
}

// MeasureOutput is the state after it and what to do.
type MeasureOutput struct {
	State     canary.State     `json:"state"`
	Action    canary.Action    `json:"action"`
	Judgement canary.Judgement `json:"judgement"`
	Arms      canary.Arms      `json:"arms,omitzero"` // what was measured, for people
}

// Measurer judges a canary by what gateways measured.
type Measurer struct {
	Metrics timeseries.Reader // nil: none is configured
	// Lake and Targets are for what gateways don't serve: the run's spec, and the store that it names; nil: there is none.
	Lake    *Lake
	Targets func(spec.ServingMetrics) (timeseries.Instant, error)
}

// Measure reads what both arms served in this step and takes one look. A store that can't be read makes the look
// inconclusive; it is no error, since the canary's deadline must not wait for it.
func (m *Measurer) Measure(ctx context.Context, in MeasureInput) (MeasureOutput, error) {
	measured, err := m.measured(ctx, in)
	if err != nil {
		return MeasureOutput{}, err
	}
	state, action, judgement := canary.Decide(in.State, measured, in.Now)
	if in.Unconfirmed != "" && judgement.Verdict != canary.Fail {
		// Numbers of other weights may tell that a challenger fails, and never that it may go on.
		measured.Stale, measured.Problem = true, in.Unconfirmed
		state, action, judgement = canary.Decide(in.State, measured, in.Now)
	}
	return MeasureOutput{State: state, Action: action, Judgement: judgement, Arms: measured.Arms()}, nil
}

// measured asks who knows what was served: the store that gateways write to, or the one that a command target's spec names.
func (m *Measurer) measured(ctx context.Context, in MeasureInput) (canary.Measurement, error) {
	if m.Lake == nil || in.Spec == "" {
		return m.window(ctx, in), nil
	}
	s, err := m.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return canary.Measurement{}, err
	}
	if !s.Serving.Driven() {
		return m.window(ctx, in), nil
	}
	return m.target(ctx, in, s.Serving.Metrics), nil
}

// target measures what a target served.
func (m *Measurer) target(ctx context.Context, in MeasureInput, queries *spec.ServingMetrics) canary.Measurement {
	from, to := in.State.Window(in.Now)
	out := canary.Measurement{From: from, To: to}
	stale := func(format string, args ...any) canary.Measurement {
		out.Stale, out.Problem = true, clip(fmt.Sprintf(format, args...), maxText)
		return out
	}
	if queries == nil || m.Targets == nil {
		return stale("nothing measures what the target serves (serving.metrics)")
	}
	end := to.Add(-flushLag)
	if !end.After(from) {
		return stale("the step has only begun")
	}
	store, err := m.Targets(*queries)
	if err != nil {
		return stale("metrics store: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	champion, challenger, err := target.Arms(ctx, store, *queries, target.Measured{
		Champion: in.Champion, Challenger: in.Version, Weight: in.State.Weight(), IDs: in.IDs, From: from, Until: end,
	})
	if err != nil {
		return stale("metrics store: %v", err)
	}
	out.Champion, out.Challenger = champion, challenger
	if champion.Requests+challenger.Requests == 0 {
		return stale("no request was measured in this step")
	}
	return out
}

func (m *Measurer) window(ctx context.Context, in MeasureInput) canary.Measurement {
	from, to := in.State.Window(in.Now)
	out := canary.Measurement{From: from, To: to}
	if m.Metrics == nil {
		out.Stale, out.Problem = true, "no metrics store is configured (INFLUX_URL)"
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	end := to.Add(-flushLag)
	if !end.After(from) {
		out.Stale, out.Problem = true, "the step has only begun"
		return out
	}
	rows, err := m.Metrics.Sum(ctx, timeseries.Query{
		Measurement: timeseries.ArmMeasurement, Tags: map[string]string{"model": in.Model}, GroupBy: []string{"version", "arm"}, Start: from, Stop: end,
	})
	if err != nil {
		out.Stale, out.Problem = true, fmt.Sprintf("metrics store: %v", err)
		return out
	}
	for _, r := range rows {
		switch {
		case r.Tags["arm"] == timeseries.ArmChallenger && r.Tags["version"] == strconv.Itoa(in.Version):
			out.Challenger = armOf(r)
		case r.Tags["arm"] == timeseries.ArmChampion && r.Tags["version"] == strconv.Itoa(in.Champion):
			out.Champion = armOf(r)
		}
	}
	if out.Champion.Requests+out.Challenger.Requests == 0 {
		out.Stale, out.Problem = true, "no request was measured in this step"
	}
	return out
}

func armOf(r timeseries.Row) canary.Arm {
	h := timeseries.HistogramOf(r.Fields)
	arm := canary.Arm{Requests: int64(r.Fields[timeseries.FieldRequests]), Errors: int64(r.Fields[timeseries.FieldErrors]),
		Predictions: timeseries.PredictionsOf(r.Fields)}
	if h.Count() > 0 {
		arm.LatencyP50, arm.LatencyP95, arm.LatencyP99 = h.Quantile(0.5), h.Quantile(0.95), h.Quantile(0.99)
		for i, count := range h {
			if i < len(h)-1 {
				arm.Histogram.Bounds = append(arm.Histogram.Bounds, timeseries.LatencyBound(i))
			}
			arm.Histogram.Counts = append(arm.Histogram.Counts, int64(count))
		}
	}
	return arm
}
