package canary

import (
	"fmt"
	"time"
)

// MaxAge bounds how long after its start a canary's deadline may be set by hand. A spec's own deadline may be later.
const MaxAge = 30 * 24 * time.Hour

// Pause keeps the weight where it is: no step is taken until Resume. Failures still do what the spec says, and the
// deadline still runs, so that a canary that somebody forgot ends too.
func Pause(s State, actor, reason string) (State, error) {
	if err := s.open("pause"); err != nil {
		return s, err
	}
	if s.Failed != nil {
		return s, &Refused{What: "pause", Why: "the canary waits for a person already: resume, promote or abort it (" + s.Failed.Reason + ")"}
	}
	s.Paused, s.By, s.Reason = true, actor, reason
	return s, nil
}

// Resume ends a pause, whoever paused. After a pause by hand the time at this weight counts towards the hold. After a
// failure the step begins anew, with its weight and without what was measured before, which is known to fail; it is
// refused where the deadline leaves no time for that.
func Resume(s State, actor, reason string, now time.Time) (State, error) {
	if err := s.open("resume"); err != nil {
		return s, err
	}
	if !s.Paused && s.Failed == nil {
		return s, &Refused{What: "resume", Why: "the canary isn't paused"}
	}
	if s.Failed != nil {
		s.Failed = nil
		s = s.afresh(now)
		if err := s.fits("resume", now); err != nil {
			return s, err
		}
	}
	s.Paused, s.By, s.Reason = false, actor, reason
	return s, nil
}

// Extend gives a canary more time: a later deadline, a longer hold of the step it is at, or both. The deadline is at
// most MaxAge after the start, and leaves time for the holds that are to come.
func Extend(s State, actor, reason string, deadline, hold time.Duration, now time.Time) (State, error) {
	refuse := func(format string, args ...any) (State, error) {
		return s, &Refused{What: "extend", Why: fmt.Sprintf(format, args...)}
	}
	if err := s.open("extend"); err != nil {
		return s, err
	}
	latest := s.Started.Add(max(MaxAge, s.Config.Deadline.D()))
	switch {
	case deadline < 0 || hold < 0 || deadline == 0 && hold == 0:
		return refuse("deadline by %s, hold by %s: want more than nothing of one", deadline, hold)
	case deadline > MaxAge || hold > MaxAge:
		return refuse("deadline by %s, hold by %s: want at most %s", deadline, hold, MaxAge)
	case !now.Before(s.Deadline):
		return refuse("the deadline was %s", stamp(s.Deadline))
	case s.Deadline.Add(deadline).After(latest):
		return refuse("a deadline of %s is over the limit: %s, %s after the start",
			stamp(s.Deadline.Add(deadline)), stamp(latest), latest.Sub(s.Started))
	}
	longer := s
	longer.Deadline, longer.ExtraHold = s.Deadline.Add(deadline), s.ExtraHold+hold
	if hold > 0 {
		if err := longer.fits("extend", now); err != nil {
			return s, err
		}
	}
	longer.By, longer.Reason = actor, reason
	return longer, nil
}

// fits refuses what the deadline leaves no time for.
func (s State) fits(what string, now time.Time) error {
	need := max(0, s.hold()-s.held(now))
	for _, step := range s.Config.Steps[s.Step+1:] {
		need += step.Hold.D()
	}
	if left := s.Deadline.Sub(now); left <= need {
		return &Refused{What: what, Why: fmt.Sprintf("the steps to come hold for %s, and the deadline is in %s: extend the deadline first",
			need.Round(time.Second), max(0, left).Round(time.Second))}
	}
	return nil
}

// Abort rolls the challenger back because somebody said so.
func Abort(s State, actor, reason string, now time.Time) (State, Action, error) {
	if err := s.open("abort"); err != nil {
		return s, s.final(), err
	}
	s.By = actor
	s = s.end(RolledBack, fmt.Sprintf("aborted by %s: %s", actor, reason), now)
	return s, s.final(), nil
}

// PromoteNow makes the challenger champion before its steps are done, because somebody said so. It is refused after
// the deadline: by then nobody looks any more.
func PromoteNow(s State, actor, reason string, now time.Time) (State, Action, error) {
	if err := s.open("promote"); err != nil {
		return s, s.final(), err
	}
	if !now.Before(s.Deadline) {
		return s, Action{Kind: Hold, Weight: s.Weight()}, &Refused{What: "promote",
			Why: fmt.Sprintf("the deadline was %s", s.Deadline.UTC().Format(time.RFC3339))}
	}
	why := fmt.Sprintf("promoted by %s: %s", actor, reason)
	if s.Failed != nil {
		why += "; over the failure: " + s.Failed.Reason
	}
	s.By = actor
	s = s.end(Promoted, why, now)
	return s, s.final(), nil
}

// Refused is a request that the canary's state doesn't allow. Retrying it can't help.
type Refused struct{ What, Why string }

// Error names what was asked and why not.
func (e *Refused) Error() string { return fmt.Sprintf("canary: %s refused: %s", e.What, e.Why) }

func (s State) open(what string) error {
	if s.Over() {
		return &Refused{What: what, Why: fmt.Sprintf("the canary is %s: %s", s.Outcome, s.Reason)}
	}
	return nil
}
