package spec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatACanaryMayAskFor(t *testing.T) {
	for _, c := range []struct{ name, fields, says string }{
		{"an answer without a question", "canary: {answer_within: 1h}", "canary.answer_within: 1h is for canary.on_failure ask, not rollback"},
		{"an answer after the end", "canary: {on_failure: ask, answer_within: 72h}", "canary.answer_within: 3d isn't under canary.deadline 3d"},
		{"a slip of the pen", "canary: {on_failure: pauze}", "pause"},
		{"a limit that nobody knows", "canary: {limits: {latency_p90_ms: 5}}", "latency_p"},
		{"a tail that is faster than the median", "canary: {limits: {latency_p50_ms: 50, latency_p99_ms: 20}}", "canary.limits.latency_p99_ms: 20 is under latency_p50_ms 50"},
		{"an error rate over all", "canary: {limits: {error_rate: 150%}}", "canary.limits.error_rate"},
		{"a metric of another task", "canary: {quality: {metric: mae, max_loss: 1}}", "canary.quality.metric"},
		{"an error without a unit's bound", "task: regression\ncanary: {quality: {metric: mae}}", "canary.quality.max_loss: 0 must be over 0"},
		{"a handful of labels", "canary: {quality: {min_rows: 10}}", "canary.quality.min_rows"},
		{"labels of predictions that nobody keeps", "serving: {log: {sample: 0}}\ncanary: {quality: {metric: accuracy}}", "canary.quality: needs serving.log.sample over 0%"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x", withField(c.fields+"\n"))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestACanarysDefaultsFollowFromWhatItAsksFor(t *testing.T) {
	m, err := Parse("x", withField("canary: {on_failure: ask, quality: {}}\n"))
	require.NoError(t, err)
	require.Equal(t, Duration(time.Hour), m.Canary.AnswerWithin)
	require.Equal(t, &CanaryQuality{Metric: "accuracy", MaxLoss: 0.02, MinRows: 200}, m.Canary.Quality)
	m, err = Parse("x", withField("canary: {on_failure: pause, quality: {metric: log_loss}}\n"))
	require.NoError(t, err)
	require.Zero(t, m.Canary.AnswerWithin)
	require.InDelta(t, 0.05, m.Canary.Quality.MaxLoss, 0)
	m, err = Parse("x", withField("canary: {}\n"))
	require.NoError(t, err)
	require.Nil(t, m.Canary.Quality, "labels are looked at where the spec asks for it")
	raw, err := m.Canonical()
	require.NoError(t, err)
	require.NotContains(t, string(raw), "answer_within", "a spec that doesn't use it keeps its digest")
	require.NotContains(t, string(raw), "limits")
}
