package activities

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/canary"
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
}

// Measure reads what both arms served in this step and takes one look. A store that can't be read makes the look
// inconclusive; it is no error, since the canary's deadline must not wait for it.
func (m *Measurer) Measure(ctx context.Context, in MeasureInput) (MeasureOutput, error) {
	measured := m.window(ctx, in)
	state, action, judgement := canary.Decide(in.State, measured, in.Now)
	return MeasureOutput{State: state, Action: action, Judgement: judgement, Arms: measured.Arms()}, nil
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
