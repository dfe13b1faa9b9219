package evaluation

import (
	"slices"
	"time"
)

// The latency metrics, in milliseconds.
const (
	LatencyP50 = "latency_p50_ms"
	LatencyP99 = "latency_p99_ms"
)

// LatencySummary is the median and the 99th percentile of single-row scoring times, in milliseconds, by linear
// interpolation. Without samples both are NaN. The samples keep their order.
func LatencySummary(samples []time.Duration) Values {
	ms := make([]float64, len(samples))
	for i, s := range samples {
		ms[i] = float64(s) / float64(time.Millisecond)
	}
	slices.Sort(ms)
	return Values{LatencyP50: quantile(ms, 0.50), LatencyP99: quantile(ms, 0.99)}
}
