package timeseries

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPredictionBucketsOrderAsPredictionsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := rapid.Float64Range(0, 1).Draw(t, "p"), rapid.Float64Range(0, 1).Draw(t, "q")
		if a, b := ProbabilityBucket(min(p, q)), ProbabilityBucket(max(p, q)); a > b || a < 0 || b > 19 {
			t.Fatalf("%v and %v: buckets %d and %d", p, q, a, b)
		}
		v, w := rapid.Float64().Draw(t, "v"), rapid.Float64().Draw(t, "w")
		if a, b := ValueBucket(min(v, w)), ValueBucket(max(v, w)); a > b || a < 0 || b >= PredictionBuckets {
			t.Fatalf("%v and %v: buckets %d and %d", v, w, a, b)
		}
	})
	require.Equal(t, []int{0, 10, 19}, []int{ProbabilityBucket(0), ProbabilityBucket(.5), ProbabilityBucket(1)})
	require.Equal(t, PredictionBuckets/2, ValueBucket(0))
	require.Equal(t, ValueBucket(math.Copysign(0, -1)), ValueBucket(0))
	require.NotEqual(t, ValueBucket(100), ValueBucket(120), "a quarter of an octave apart")
	require.Equal(t, PredictionBuckets-1, ClassBucket(5000))
}

func TestPredictionsTravelAsFields(t *testing.T) {
	require.Equal(t, []string{"pred_000", "pred_007", "pred_042", "pred_192"},
		[]string{PredictionField(0), PredictionField(7), PredictionField(42), PredictionField(192)})
	require.Nil(t, PredictionsOf(map[string]float64{FieldRequests: 3}))
	counts := PredictionsOf(map[string]float64{PredictionField(42): 5})
	require.Len(t, counts, PredictionBuckets)
	require.EqualValues(t, 5, counts[42])
}
