package main

import (
	"slices"
	"strings"
)

// trainerSecrets gives out what specs name under train.secrets, from the worker's environment. The worker's own settings
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
