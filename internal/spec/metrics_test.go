package spec

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The quality monitor alerts below a share of the baseline, so a metric that improves downwards must not reach it.
func TestQualityIsWatchedByAMetricThatImprovesUpwards(t *testing.T) {
	for _, task := range []Task{Binary, Multiclass, Regression} {
		for _, metric := range task.QualityMetrics() {
			text := fmt.Sprintf("metadata: {name: churn}\ntask: %s\ndata: {prefix: s3://lake/a/, target: y}\nmonitor: {quality: {metric: %s}}\n", task, metric)
			_, err := Parse("model.yaml", []byte(text))
			if LargerIsBetter(metric) {
				require.NoError(t, err, text)
			} else {
				require.ErrorContains(t, err, fmt.Sprintf("monitor.quality.metric: %q is unknown", metric))
			}
		}
	}
}
