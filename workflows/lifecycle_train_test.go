package workflows_test

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
)

func TestTrainingRetriesByCause(t *testing.T) {
	script := temporal.NewNonRetryableApplicationError("exit 1", activities.ErrorScript, nil)
	slow := temporal.NewNonRetryableApplicationError("1h0m0s is over", activities.ErrorTrainTimeout, nil)
	taken := temporal.NewNonRetryableApplicationError("the worker was stopped", activities.ErrorPreempted, nil)
	broken := errors.New("disk full")
	for _, c := range []struct {
		name     string
		failures []error
		attempts int
		ends     string // the reason; "": it trains
	}{
		{"a script has one more try", []error{script}, 2, ""},
		{"a script that runs too long counts as the script's", []error{slow, slow}, 2, "no script retries left"},
		{"infrastructure has two more", []error{broken, broken}, 3, ""},
		{"and no third", []error{broken, broken, broken}, 3, "disk full (attempt 3; no infrastructure retries left)"},
		{"a preempted machine has three more", []error{taken, taken, taken}, 4, ""},
		{"causes don't use up one another's budgets", []error{script, broken, taken, broken, taken, taken}, 7, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLifecycle(t)
			do := func(activities.TrainInput) (activities.TrainOutput, error) {
				return activities.TrainOutput{TrainRows: 2400, Cost: 1.5}, nil
			}
			s.world.train.do = func(in activities.TrainInput) (activities.TrainOutput, error) {
				if in.Attempt <= len(c.failures) {
					return activities.TrainOutput{}, c.failures[in.Attempt-1]
				}
				return do(in)
			}
			s.decides(time.Hour, approval.Reject, ana, 1)
			r, _ := s.lifecycle(theRun())
			attempts := s.world.train.calls()
			want(t, "attempts", len(attempts), c.attempts)
			tokens := map[string]bool{}
			for i, a := range attempts {
				want(t, "attempt", a.Attempt, i+1)
				tokens[a.Token] = true
			}
			want(t, "tokens", len(tokens), c.attempts)
			want(t, "trained", r.Trained, c.ends == "")
			if c.ends != "" {
				wantText(t, "reason", r.Reason, c.ends)
			}
		})
	}
}

// A worker that was killed answers nothing: its attempt ends by the missing heartbeat and counts as infrastructure.
func TestTrainingOutlivesAKilledWorker(t *testing.T) {
	s := newLifecycle(t)
	s.world.train.fails(1, temporal.NewHeartbeatTimeoutError())
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	want(t, "attempts", len(s.world.train.calls()), 2)
	want(t, "trained", r.Trained, true)
}
