package timeseries_test

import (
	"math"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/timeseries"
)

func TestLatencyFallsIntoTheFirstBucketWhoseBoundIsNotBelowIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(-5, int64(time.Minute)).Draw(t, "latency"))
		i := timeseries.LatencyBucket(d)
		if timeseries.LatencyBound(i) < d.Seconds() {
			t.Fatalf("%v is above the bound %v of its bucket %d", d, timeseries.LatencyBound(i), i)
		}
		if i > 0 && timeseries.LatencyBound(i-1) >= d.Seconds() {
			t.Fatalf("%v fits bucket %d as well", d, i-1)
		}
	})
	for i := range timeseries.LatencyBuckets - 1 {
		require.Greater(t, timeseries.LatencyBound(i+1), timeseries.LatencyBound(i))
	}
}

func TestQuantileIsWithinABucketOfTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(rapid.Int64Range(5_000, int64(10*time.Second)), 1, 300).Draw(t, "latencies")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h timeseries.Histogram
		for _, d := range ds {
			h.Add(time.Duration(d))
		}
		sort.Slice(ds, func(i, j int) bool { return ds[i] < ds[j] })
		rank := max(int(math.Ceil(q*float64(len(ds))-1e-9)), 1)
		truth := time.Duration(ds[rank-1]).Seconds()
		fields := map[string]float64{"requests": 3}
		h.Fields(fields)
		got := timeseries.Quantile(fields, q)
		factor := math.Exp2(0.25) * 1.0001
		if got > truth*factor || got < truth/factor {
			t.Fatalf("quantile %v of %d latencies: observed %v, want %v within a factor of %v", q, len(ds), got, truth, factor)
		}
	})
}

func TestMergedHistogramsCountLikeOne(t *testing.T) {
	var a, b, both timeseries.Histogram
	for i := range 1000 {
		d := time.Duration(i*i) * time.Microsecond
		both.Add(d)
		if i%3 == 0 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	a.Merge(&b)
	require.Equal(t, both, a)
	require.InDelta(t, 1000, a.Count(), 0)
}

func TestQuantileOfNothingIsNaN(t *testing.T) {
	require.True(t, math.IsNaN(timeseries.Quantile(nil, 0.99)))
	require.True(t, math.IsNaN(timeseries.Quantile(map[string]float64{"requests": 5}, 0.5)))
}

func TestQuantileBeyondTheLastBoundIsThatBound(t *testing.T) {
	var h timeseries.Histogram
	h.Add(time.Hour)
	require.InDelta(t, timeseries.LatencyBound(timeseries.LatencyBuckets-2), h.Quantile(0.5), 0)
}

func TestLatencyFieldsAreTwoDigits(t *testing.T) {
	require.Equal(t, "lat_00", timeseries.LatencyField(0))
	require.Equal(t, "lat_09", timeseries.LatencyField(9))
	require.Equal(t, "lat_88", timeseries.LatencyField(timeseries.LatencyBuckets-1))
}
