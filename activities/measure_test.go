package activities

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// stepping is a canary of version 2 beside champion 1 whose step began at t0.
func stepping() MeasureInput {
	c := spec.Canary{
		Steps:    []spec.Step{{Weight: 0.1, Hold: spec.Duration(time.Minute), MinRequests: 100}, {Weight: 0.5, Hold: spec.Duration(time.Minute), MinRequests: 100}},
		Interval: spec.Duration(time.Minute), Deadline: spec.Duration(time.Hour), OnFailure: "rollback", MaxErrorRate: 0.01, MaxSlowdown: 2,
	}
	return MeasureInput{Model: theModel, Version: 2, Champion: 1, State: canary.New(c, t0), Now: t0.Add(2 * time.Minute)}
}

// served writes what one gateway measured.
func served(t *testing.T, m *timeseries.Memory, gateway, arm string, version, requests, failures int, latency time.Duration, at time.Time) {
	t.Helper()
	fields := map[string]float64{timeseries.FieldRequests: float64(requests), timeseries.FieldErrors: float64(failures)}
	var h timeseries.Histogram
	for range requests {
		h.Add(latency)
	}
	h.Fields(fields)
	require.NoError(t, m.Write(t.Context(), []timeseries.Point{{
		Measurement: timeseries.ArmMeasurement, Time: at, Fields: fields,
		Tags: map[string]string{"model": theModel, "version": strconv.Itoa(version), "arm": arm, "gateway": gateway},
	}}))
}

func TestArmsAreThoseOfThisCanaryOverAllGateways(t *testing.T) {
	metrics := timeseries.NewMemory()
	at := t0.Add(30 * time.Second)
	served(t, metrics, "a", timeseries.ArmChampion, 1, 500, 1, time.Millisecond, at)
	served(t, metrics, "b", timeseries.ArmChampion, 1, 400, 2, time.Millisecond, at)
	served(t, metrics, "a", timeseries.ArmChallenger, 2, 120, 0, time.Millisecond, at)
	served(t, metrics, "a", timeseries.ArmChallenger, 3, 9999, 9999, time.Second, at)                      // another canary's
	served(t, metrics, "a", timeseries.ArmChampion, 7, 9999, 9999, time.Second, at)                        // an earlier champion
	served(t, metrics, "a", timeseries.ArmChallenger, 2, 9999, 9999, time.Second, t0.Add(-time.Second))    // before this step
	served(t, metrics, "b", timeseries.ArmChallenger, 2, 9999, 9999, time.Second, t0.Add(119*time.Second)) // not all of it is flushed
	in := stepping()
	m := (&Measurer{Metrics: metrics}).window(t.Context(), in)
	require.False(t, m.Stale)
	require.Equal(t, int64(900), m.Champion.Requests)
	require.Equal(t, int64(3), m.Champion.Errors)
	require.Equal(t, int64(120), m.Challenger.Requests)
	require.Zero(t, m.Challenger.Errors)
	require.InEpsilon(t, 0.001, m.Challenger.LatencyP99, 0.3)
	require.Len(t, m.Challenger.Histogram.Counts, len(m.Challenger.Histogram.Bounds)+1)

	out := must(t, (&Measurer{Metrics: metrics}).Measure, in)
	require.Equal(t, canary.Advance, out.Action.Kind, out.Judgement.Reason())
	require.Equal(t, 1, out.State.Step)
}

func TestWithoutNumbersNothingIsConcluded(t *testing.T) {
	away := timeseries.NewMemory()
	away.Fail(errors.New("connection refused"))
	early := stepping()
	early.Now = t0.Add(time.Second)
	for _, c := range []struct {
		name    string
		metrics timeseries.Reader
		in      MeasureInput
		says    string
	}{
		{"no store is configured", nil, stepping(), "no metrics store is configured"},
		{"the store is away", away, stepping(), "connection refused"},
		{"nobody asked", timeseries.NewMemory(), stepping(), "no request was measured"},
		{"the step has only begun", timeseries.NewMemory(), early, "only begun"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := must(t, (&Measurer{Metrics: c.metrics}).Measure, c.in)
			require.Equal(t, canary.Inconclusive, out.Judgement.Verdict)
			require.Equal(t, canary.Hold, out.Action.Kind)
			require.Contains(t, out.Judgement.Reason(), c.says)

			c.in.Now = c.in.State.Deadline
			out = must(t, (&Measurer{Metrics: c.metrics}).Measure, c.in)
			require.Equal(t, canary.Rollback, out.Action.Kind, "no data is never a success: the deadline ends it")
		})
	}
}

func TestAFailingChallengerIsRolledBack(t *testing.T) {
	metrics := timeseries.NewMemory()
	at := t0.Add(30 * time.Second)
	served(t, metrics, "a", timeseries.ArmChampion, 1, 900, 0, time.Millisecond, at)
	served(t, metrics, "a", timeseries.ArmChallenger, 2, 100, 60, time.Millisecond, at)
	out := must(t, (&Measurer{Metrics: metrics}).Measure, stepping())
	require.Equal(t, canary.Rollback, out.Action.Kind)
	require.Equal(t, canary.RolledBack, out.State.Outcome)
}

// Whatever is measured, the result is one that history can carry, and small.
func TestMeasurementsOfAnyKindTravel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		in := stepping()
		arm := func(name string) canary.Arm {
			a := canary.Arm{
				Requests: rapid.Int64Range(0, 1<<40).Draw(r, name+" requests"), Errors: rapid.Int64Range(-5, 1<<40).Draw(r, name+" errors"),
				LatencyP50: rapid.Float64().Draw(r, name+" p50"), LatencyP99: rapid.Float64().Draw(r, name+" p99"),
			}
			if rapid.Bool().Draw(r, name+" histogram") {
				row := timeseries.Row{Fields: map[string]float64{timeseries.FieldRequests: float64(a.Requests), timeseries.FieldErrors: float64(a.Errors)}}
				for range rapid.IntRange(0, 5).Draw(r, name+" buckets") {
					row.Fields[timeseries.LatencyField(rapid.IntRange(0, timeseries.LatencyBuckets-1).Draw(r, "bucket"))] = float64(rapid.IntRange(0, 1<<30).Draw(r, "count"))
				}
				a = armOf(row)
			}
			return a
		}
		m := canary.Measurement{From: t0, To: in.Now, Champion: arm("champion"), Challenger: arm("challenger"), Stale: rapid.Bool().Draw(r, "stale")}
		var out MeasureOutput
		for range rapid.IntRange(1, 60).Draw(r, "looks") {
			out.State, out.Action, out.Judgement = canary.Decide(in.State, m, in.Now)
			in.State, in.Now = out.State, in.Now.Add(time.Minute)
			m.From = in.State.StepSince
		}
		raw, err := json.Marshal(out)
		if err != nil {
			r.Fatalf("%v", err)
		}
		if len(raw) > 100<<10 {
			r.Fatalf("%d bytes", len(raw))
		}
	})
}
