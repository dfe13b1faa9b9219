package spec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func predicted(predict, canary string) []byte {
	return []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/a/, target: y}\ntrain: {command: [python3, train.py]}\n" +
		"predict: " + predict + "\ncanary: " + canary + "\n")
}

func TestPredictHasATimeoutWhereItHasACommand(t *testing.T) {
	m, err := Parse("x", predicted("{command: [python3, predict.py]}", "{steps: []}"))
	require.NoError(t, err)
	require.Equal(t, Predict{Command: []string{"python3", "predict.py"}, Timeout: DefaultPredictTimeout}, m.Predict)
	require.Empty(t, m.Canary.Steps)

	m, err = Parse("x", []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/a/, target: y}\n"))
	require.NoError(t, err)
	require.Zero(t, m.Predict)
	canonical, err := m.Canonical()
	require.NoError(t, err)
	require.NotContains(t, string(canonical), "predict:", "a spec without it keeps its digest")
}

func TestPredictIsRefusedWhereItCannotWork(t *testing.T) {
	for _, c := range []struct{ name, predict, canary, says string }{
		{"a timeout of nothing", "{timeout: 5m}", "{}", "predict.timeout: 5m has no effect (add predict.command)"},
		{"an empty program", `{command: [""]}`, "{steps: []}", "predict.command[0]: the program's name is empty"},
		{"a timeout that leaves no time for two", "{command: [a], timeout: 51m}", "{steps: []}", "predict.timeout: 51m isn't over 0s and at most 50m"},
		{"a canary that no gateway can hold", "{command: [a]}", "{}", "canary.steps: no gateway can score by predict.command"},
		{"no canary where gateways serve", "{}", "{steps: []}", "canary.steps: 0 steps, expected 1 to 50"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x", predicted(c.predict, c.canary))
			require.ErrorContains(t, err, c.says)
		})
	}
	served := "serving: {target: command, command: [python3, target.py]}\n"
	_, err := Parse("x", append(predicted("{command: [a]}", "{}"), served...))
	require.NoError(t, err, "something else serves it, which a canary can be held on")
	_, err = Parse("x", append(predicted("{command: [a]}", "{steps: []}"), served...))
	require.ErrorContains(t, err, "canary.steps: 0 steps, expected 1 to 50")
	_, err = Parse("x", []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/a/, target: y}\npredict: {command: [a]}\ncanary: {steps: []}\n"))
	require.ErrorContains(t, err, "predict.command: needs train.command")
}

func TestALatencyGateThatNothingMeasuresIsWarnedOf(t *testing.T) {
	m, err := Parse("x", append(predicted("{command: [a]}", "{steps: []}"), "gates: {latency_p99_ms: {max: 50}}\n"...))
	require.NoError(t, err)
	require.Contains(t, m.Warnings(), "gates bounds a latency: predict.command scores files, so the latency of one request isn't measured and the gate is inconclusive")
	require.Equal(t, 10*time.Minute, m.Predict.Timeout.D())
}
