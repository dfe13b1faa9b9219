package testkit

import (
	"testing"
	"time"
)

// between is the time between two looks at a condition.
const between = 100 * time.Millisecond

// Until looks at a condition until it holds, and fails the test when that isn't within the limit. seen says what was
// seen instead, for the failure.
func Until(t testing.TB, what string, limit time.Duration, condition func() (done bool, seen any)) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(between)
	defer tick.Stop()
	for {
		done, seen := condition()
		if done {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %s; seen last: %+v", what, limit, seen)
		case <-t.Context().Done():
			t.Fatalf("%s: the test ended", what)
		case <-tick.C:
		}
	}
}
