package target

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// answers are a metrics store's, by expression.
type answers map[string][]timeseries.Sample

func (a answers) At(_ context.Context, expression string, at time.Time) ([]timeseries.Sample, error) {
	if !at.Equal(t0) {
		return nil, fmt.Errorf("asked at %s, want the window's end", at)
	}
	if a == nil {
		return nil, errors.New("away")
	}
	return a[expression], nil
}

func one(v float64) []timeseries.Sample { return []timeseries.Sample{{Value: v}} }

func buckets(counts ...float64) []timeseries.Sample {
	var out []timeseries.Sample
	for i, le := range []string{"0.1", "0.5", "+Inf"} {
		out = append(out, timeseries.Sample{Labels: map[string]string{"le": le}, Value: counts[i]})
	}
	return out
}

func metrics() spec.ServingMetrics {
	return spec.ServingMetrics{
		Requests: `r{arm="$arm",v="$version"}[$window]`, Errors: `e{id="$id"}[$window]`, Latency: `b{v="$version"}[$window]`,
		StaleAfter: spec.Duration(5 * time.Minute),
	}
}

func asking() Measured {
	return Measured{Champion: 3, Challenger: 4, Weight: 0.1, IDs: map[int]string{3: "16", 4: `1"7`}, From: t0.Add(-10 * time.Minute), Until: t0}
}

// well is a store in which both arms do well.
func well() answers {
	return answers{
		`r{arm="champion",v="3"}[300s]`: one(4500), `r{arm="champion",v="3"}[600s]`: one(9000.4), `e{id="16"}[600s]`: one(9),
		`b{v="3"}[600s]`:                  buckets(8000, 8990, 9000),
		`r{arm="challenger",v="4"}[300s]`: one(500), `r{arm="challenger",v="4"}[600s]`: one(1000), `e{id="1\"7"}[600s]`: one(0),
		`b{v="4"}[600s]`: buckets(0, 1000, 999.9),
	}
}

func TestArmsAreMeasuredByTheirOwnQueries(t *testing.T) {
	champion, challenger, err := Arms(t.Context(), well(), metrics(), asking())
	require.NoError(t, err)
	require.Equal(t, int64(9000), champion.Requests)
	require.Equal(t, int64(9), champion.Errors)
	require.Equal(t, canary.Histogram{Bounds: []float64{0.1, 0.5}, Counts: []int64{8000, 990, 10}}, champion.Histogram)
	require.InDelta(t, 0.1*4500/8000, champion.LatencyP50, 1e-12)
	require.InDelta(t, 0.1+0.4*910/990, champion.LatencyP99, 1e-12)
	require.Equal(t, int64(1000), challenger.Requests)
	require.Equal(t, []int64{0, 1000, 0}, challenger.Histogram.Counts, "extrapolated buckets don't go down")
	require.InDelta(t, 0.1+0.4*0.99, challenger.LatencyP99, 1e-12)
}

func TestWhatIsMissingStaleOrNoNumberIsNeverAMeasurement(t *testing.T) {
	for name, c := range map[string]struct {
		change func(answers)
		want   string
	}{
		"no series":                   {func(a answers) { delete(a, `r{arm="challenger",v="4"}[600s]`) }, "challenger (version 4): requests has no sample within 10m0s"},
		"samples that stopped coming": {func(a answers) { delete(a, `r{arm="champion",v="3"}[300s]`) }, "champion (version 3): requests has no sample within 5m0s"},
		"errors that nobody counts":   {func(a answers) { delete(a, `e{id="16"}[600s]`) }, "errors has no sample"},
		"NaN":                         {func(a answers) { a[`e{id="16"}[600s]`] = one(math.NaN()) }, "errors is NaN"},
		"infinite":                    {func(a answers) { a[`r{arm="champion",v="3"}[600s]`] = one(math.Inf(1)) }, "requests is +Inf"},
		"less than none":              {func(a answers) { a[`e{id="16"}[600s]`] = one(-3) }, "errors is -3"},
		"a series for each pod":       {func(a answers) { a[`e{id="16"}[600s]`] = append(one(1), one(2)...) }, "errors has 2 series, want one: sum() them"},
		"more errors than requests":   {func(a answers) { a[`e{id="16"}[600s]`] = one(9500) }, "9500 errors in 9000.4 requests"},
		"no buckets":                  {func(a answers) { delete(a, `b{v="3"}[600s]`) }, "latency has no sample"},
		"buckets of nothing":          {func(a answers) { a[`b{v="3"}[600s]`] = buckets(0, 0, 0) }, "latency counts none of 9000 requests"},
		"a bucket that is no number":  {func(a answers) { a[`b{v="3"}[600s]`] = buckets(1, math.NaN(), 3) }, "latency has a bucket"},
		"buckets without +Inf":        {func(a answers) { a[`b{v="3"}[600s]`] = buckets(1, 2, 3)[:2] }, "latency has no bucket +Inf"},
		"a histogram for each pod":    {func(a answers) { a[`b{v="3"}[600s]`] = append(buckets(1, 2, 3), buckets(1, 2, 3)[:1]...) }, "latency has the bucket 0.1 twice"},
		"a store that doesn't answer": {func(a answers) { clear(a) }, "no sample"},
	} {
		t.Run(name, func(t *testing.T) {
			a := well()
			c.change(a)
			_, _, err := Arms(t.Context(), a, metrics(), asking())
			require.ErrorContains(t, err, c.want)
		})
	}
	_, _, err := Arms(t.Context(), answers(nil), metrics(), asking())
	require.ErrorContains(t, err, "away")
	without := asking()
	without.IDs = nil
	_, _, err = Arms(t.Context(), well(), metrics(), without)
	require.ErrorContains(t, err, "the target's program names no id of version 3")
}

func TestAChampionThatHasNoTrafficMayHaveNoSeries(t *testing.T) {
	a, q := well(), asking()
	delete(a, `r{arm="champion",v="3"}[300s]`)
	q.Weight = 1
	champion, challenger, err := Arms(t.Context(), a, metrics(), q)
	require.NoError(t, err)
	require.Zero(t, champion)
	require.Equal(t, int64(1000), challenger.Requests)
}

func TestWithoutAHistogramThePercentileIsAsked(t *testing.T) {
	m, a := metrics(), well()
	m.Latency, m.LatencyP99 = "", `p{v="$version"}[$window]`
	a[`p{v="3"}[600s]`], a[`p{v="4"}[600s]`] = one(0.2), one(0.3)
	champion, challenger, err := Arms(t.Context(), a, m, asking())
	require.NoError(t, err)
	require.Equal(t, 0.2, champion.LatencyP99)
	require.Equal(t, 0.3, challenger.LatencyP99)
	require.Zero(t, champion.Histogram)
}

// Whatever a store answers, what comes out is something that a canary may judge.
func TestArmsAreAlwaysValid(t *testing.T) {
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 0.4, 1, 10, 1e6, math.NaN(), math.Inf(1), math.Inf(-1), -1}))
	rapid.Check(t, func(t *rapid.T) {
		a := well()
		for expression := range a {
			samples := a[expression]
			for i := range samples {
				if rapid.Bool().Draw(t, "changed") {
					samples[i].Value = number.Draw(t, expression)
				}
			}
		}
		champion, challenger, err := Arms(context.Background(), a, metrics(), asking())
		if err != nil {
			return
		}
		for _, arm := range []canary.Arm{champion, challenger} {
			if arm.Errors < 0 || arm.Errors > arm.Requests {
				t.Fatalf("%+v", arm)
			}
			for _, n := range arm.Histogram.Counts {
				if n < 0 {
					t.Fatalf("%+v", arm)
				}
			}
			if p := arm.LatencyP99; p < 0 || math.IsNaN(p) || math.IsInf(p, 0) {
				t.Fatalf("%+v", arm)
			}
		}
	})
}
