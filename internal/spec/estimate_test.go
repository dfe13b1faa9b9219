package spec

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnEstimateIsReportedUnlessTheSpecSaysOtherwise(t *testing.T) {
	parse := func(task Task, estimate string) (*Model, error) {
		return Parse("x", fmt.Appendf(nil, "metadata: {name: churn}\ntask: %s\ndata: {prefix: s3://lake/a/, target: y}\nmonitor: {quality: {%s}}\n", task, estimate))
	}
	for estimate, want := range map[string]string{"": "", "estimate: report": EstimateReport, "estimate: alert": EstimateAlert, "estimate: off": EstimateOff} {
		m, err := parse(Binary, estimate)
		require.NoError(t, err, estimate)
		require.Equal(t, want, m.Monitor.Quality.Estimate, "%q", estimate)
	}
	_, err := parse(Binary, "estimate: on")
	require.ErrorContains(t, err, "monitor.quality.estimate")
	_, err = parse(Regression, "estimate: alert")
	require.ErrorContains(t, err, "the quality of a regression can't be estimated without labels")
	_, err = parse(Regression, "estimate: report")
	require.NoError(t, err, "there is none to report")
}
