package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// failedBy is a canary with this on_failure that has just failed, an hour after its start.
func failedBy(t *testing.T, onFailure string) (State, Action, time.Time) {
	t.Helper()
	c := config()
	c.OnFailure, c.AnswerWithin = onFailure, spec.Duration(30*time.Minute)
	s, now := New(c, t0), t0.Add(time.Hour)
	s, action, j := Decide(s, look(s, now, arm(9000, 0, .01), arm(1000, 500, .01)), now)
	require.Equal(t, Fail, j.Verdict)
	return s, action, now
}

func TestAFailureThatPausesTakesTheTrafficAwayAndWaits(t *testing.T) {
	s, action, now := failedBy(t, spec.OnFailurePause)
	require.Equal(t, Withdraw, action.Kind)
	require.Zero(t, action.Weight)
	require.Zero(t, s.Weight())
	require.Contains(t, s.Failed.Reason, "error rate 50 %")
	require.False(t, s.Over())

	// Whatever is measured of a challenger without traffic changes nothing.
	for _, m := range []Measurement{look(s, now, arm(9000, 0, .01), arm(1000, 0, .01)), look(s, now, arm(9000, 0, .01), arm(1000, 900, .01)), {Stale: true}} {
		next, action, _ := Decide(s, m, now.Add(5*time.Minute))
		require.Equal(t, Hold, action.Kind)
		require.Zero(t, action.Weight)
		require.Contains(t, action.Reason, "waits for a person: error rate")
		require.Equal(t, s, next)
	}
	ended, action, _ := Decide(s, Measurement{Stale: true}, s.Deadline)
	require.Equal(t, Rollback, action.Kind)
	require.Contains(t, ended.Reason, "nobody answered; error rate")
}

func TestAFailureThatAsksKeepsTheWeightForATime(t *testing.T) {
	s, action, now := failedBy(t, spec.OnFailureAsk)
	require.Equal(t, Action{Kind: Ask, Weight: .1, Reason: s.Failed.Reason}, action)
	require.Equal(t, now.Add(30*time.Minute), s.Failed.Until)
	require.Equal(t, s.Failed.Until, s.NextLook(s.Failed.Until.Add(-time.Minute)))

	// A look that passes afterwards doesn't undo a failure that was certain.
	held, action, j := Decide(s, look(s, now.Add(5*time.Minute), arm(90000, 0, .01), arm(10000, 0, .01)), now.Add(5*time.Minute))
	require.Equal(t, Pass, j.Verdict)
	require.Equal(t, Hold, action.Kind)
	require.InDelta(t, .1, action.Weight, 0)
	require.Len(t, held.Verdicts, 2, "what is served meanwhile is seen")
	ended, action, _ := Decide(held, look(held, s.Failed.Until, arm(90000, 0, .01), arm(10000, 0, .01)), s.Failed.Until)
	require.Equal(t, Rollback, action.Kind)
	require.Contains(t, ended.Reason, "nobody answered within 30m0s of the failure at 2013-06-01T13:00:00Z: error rate 50 %")
	require.Nil(t, ended.Failed)
}

func TestTimeToAnswerEndsWithTheDeadline(t *testing.T) {
	c := config()
	c.OnFailure, c.AnswerWithin = spec.OnFailureAsk, spec.Duration(5*time.Hour)
	s := New(c, t0)
	now := s.Deadline.Add(-time.Hour)
	s, _, _ = Decide(s, look(s, now, arm(9000, 0, .01), arm(1000, 500, .01)), now)
	require.Equal(t, s.Deadline, s.Failed.Until)
	require.Equal(t, s.Deadline, s.EndsBy())
	for _, onFailure := range []string{spec.OnFailureAsk, spec.OnFailurePause} {
		c.OnFailure = onFailure
		late := New(c, t0)
		_, action, _ := Decide(late, look(late, late.Deadline, arm(9000, 0, .01), arm(1000, 500, .01)), late.Deadline)
		require.Equal(t, Rollback, action.Kind, "%s: past the deadline there is nobody to wait for", onFailure)
	}
}

func TestAResumedFailureBeginsTheStepAnew(t *testing.T) {
	for _, onFailure := range []string{spec.OnFailurePause, spec.OnFailureAsk} {
		s, _, now := failedBy(t, onFailure)
		now = now.Add(10 * time.Minute)
		s, err := Resume(s, "cli:ana", "the feed is repaired", now)
		require.NoError(t, err)
		require.InDelta(t, .1, s.Weight(), 0)
		require.Nil(t, s.Failed)
		require.Equal(t, now, s.StepSince)
		require.Zero(t, s.Seen)

		// The old window is not this step's any more; the new one has to be held in full.
		_, action, j := Decide(s, Measurement{From: t0, To: now, Champion: arm(9000, 0, .01), Challenger: arm(1000, 0, .01)}, now)
		require.Equal(t, Inconclusive, j.Verdict)
		require.Equal(t, Hold, action.Kind)
		s, action, _ = Decide(s, look(s, now.Add(59*time.Minute), arm(9000, 0, .01), arm(1000, 0, .01)), now.Add(59*time.Minute))
		require.Equal(t, Hold, action.Kind)
		_, action, _ = Decide(s, look(s, now.Add(time.Hour), arm(9100, 0, .01), arm(1010, 0, .01)), now.Add(time.Hour))
		require.Equal(t, Promote, action.Kind)
	}
}

func TestWhatPeopleMayDoWithAFailure(t *testing.T) {
	s, _, now := failedBy(t, spec.OnFailurePause)
	_, err := Pause(s, "cli:ana", "wait")
	require.ErrorContains(t, err, "waits for a person already: resume, promote or abort it")

	promoted, action, err := PromoteNow(s, "cli:ana", "the errors are the client's", now)
	require.NoError(t, err)
	require.Equal(t, Promote, action.Kind)
	require.Contains(t, promoted.Reason, "promoted by cli:ana: the errors are the client's; over the failure: error rate 50 %")

	aborted, action, err := Abort(s, "cli:ana", "right so", now)
	require.NoError(t, err)
	require.Equal(t, Rollback, action.Kind)
	require.Nil(t, aborted.Failed)

	_, err = Resume(s, "cli:ana", "again", s.Deadline.Add(-time.Hour))
	require.EqualError(t, err, "canary: resume refused: the steps to come hold for 1h0m0s, and the deadline is in 1h0m0s: extend the deadline first")
	extended, err := Extend(s, "cli:ana", "again", time.Hour, 0, now)
	require.NoError(t, err)
	_, err = Resume(extended, "cli:ana", "again", s.Deadline.Add(-time.Hour))
	require.NoError(t, err)
}

func TestExtendGivesMoreTimeWithinBounds(t *testing.T) {
	s, now := New(config(), t0), t0.Add(30*time.Minute)
	longer, err := Extend(s, "cli:ana", "slow day", 2*time.Hour, 3*time.Hour, now)
	require.NoError(t, err)
	require.Equal(t, s.Deadline.Add(2*time.Hour), longer.Deadline)
	_, action, _ := Decide(longer, look(longer, t0.Add(3*time.Hour), arm(9000, 0, .01), arm(1000, 0, .01)), t0.Add(3*time.Hour))
	require.Equal(t, Hold, action.Kind)
	require.Contains(t, action.Reason, "held 3h0m0s of 4h0m0s")
	_, action, _ = Decide(longer, look(longer, t0.Add(4*time.Hour), arm(9000, 0, .01), arm(1000, 0, .01)), t0.Add(4*time.Hour))
	require.Equal(t, Promote, action.Kind)

	for says, by := range map[string][2]time.Duration{
		"want more than nothing":    {0, 0},
		"deadline by -1h0m0s":       {-time.Hour, 2 * time.Hour},
		"is over the limit":         {MaxAge, 0},
		"want at most 720h0m0s":     {1 << 62, 1 << 62},
		"extend the deadline first": {0, 5 * time.Hour},
	} {
		same, err := Extend(s, "cli:ana", "more", by[0], by[1], now)
		require.ErrorContains(t, err, says)
		require.Equal(t, s, same)
	}
	_, err = Extend(s, "cli:ana", "too late", time.Hour, 0, s.Deadline)
	require.ErrorContains(t, err, "the deadline was")

	c := config()
	c.Deadline = spec.Duration(60 * 24 * time.Hour)
	_, err = Extend(New(c, t0), "cli:ana", "more", time.Hour, 0, now)
	require.ErrorContains(t, err, "is over the limit: 2013-07-31T12:00:00Z, 1440h0m0s after the start", "the spec's own deadline is the bound where it is later")
}

// What a step was given more of isn't the next one's.
func TestAnExtendedHoldIsTheStepsAlone(t *testing.T) {
	hour := spec.Duration(time.Hour)
	s := New(config(spec.Step{Weight: .1, Hold: hour, MinRequests: 100}, spec.Step{Weight: .5, Hold: hour, MinRequests: 100}), t0)
	s, err := Extend(s, "cli:ana", "slow", 0, time.Hour, t0)
	require.NoError(t, err)
	now := t0.Add(2 * time.Hour)
	s, action, _ := Decide(s, look(s, now, arm(9000, 0, .01), arm(1000, 0, .01)), now)
	require.Equal(t, Advance, action.Kind)
	now = now.Add(time.Hour)
	_, action, _ = Decide(s, look(s, now, arm(5000, 0, .01), arm(5000, 0, .01)), now)
	require.Equal(t, Promote, action.Kind)
}
