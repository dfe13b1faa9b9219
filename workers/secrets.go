package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// trainerSecrets gives out what specs name under train.secrets and serving.secrets, from the worker's environment. The worker's own settings
// are in the same environment and aren't given away: who may apply a spec may not for that read the bucket's keys.
func trainerSecrets(lookup func(string) (string, bool)) func(name string) (string, bool) {
	own := []string{"AWS_", "INFLUX_", "LEANLOOP_", "SLACK_", "TEMPORAL_"}
	return func(name string) (string, bool) {
		if slices.ContainsFunc(own, func(prefix string) bool { return strings.HasPrefix(strings.ToUpper(name), prefix) }) {
			return "", false
		}
		return lookup(name)
	}
}

// targetMetrics makes what asks the Prometheus server that a spec names.
func targetMetrics(secrets func(string) (string, bool)) func(spec.ServingMetrics) (timeseries.Instant, error) {
	return func(m spec.ServingMetrics) (timeseries.Instant, error) {
		c := timeseries.PrometheusConfig{URL: m.Prometheus}
		if m.Token != "" {
			value, ok := secrets(m.Token)
			if !ok {
				return nil, fmt.Errorf("serving.metrics.token: %s isn't set on this worker", m.Token)
			}
			c.Token = value
		}
		return timeseries.NewPrometheus(c)
	}
}
