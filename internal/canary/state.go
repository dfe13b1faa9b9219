package canary

import (
	"fmt"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// Outcome is how a canary ended.
type Outcome string

// The outcomes; Running is the zero value.
const (
	Running    Outcome = ""
	Promoted   Outcome = "promoted"
	RolledBack Outcome = "rolled_back"
)

// ActionKind is what to do next.
type ActionKind string

// The kinds of Action.
const (
	Hold     ActionKind = "hold"     // keep the weight, renew the lease, look again
	Advance  ActionKind = "advance"  // set the next step's weight
	Promote  ActionKind = "promote"  // the challenger becomes the champion
	Rollback ActionKind = "rollback" // weight 0, the challenger is out
)

// Action is what the caller does to traffic. Weight is the challenger's share of requests that holds from now on.
type Action struct {
	Kind   ActionKind `json:"kind"`
	Weight float64    `json:"weight"`
	Reason string     `json:"reason"`
}

// maxVerdicts bounds the judgements that a State carries, since a workflow carries it on.
const maxVerdicts = 50

// State is one canary. It is a value: no function changes the State it is given. It serialises to JSON and back
// without loss, in at most some 30 KB whatever the canary's length.
type State struct {
	Config    spec.Canary `json:"config"`
	Step      int         `json:"step"` // index into Config.Steps
	Started   time.Time   `json:"started"`
	StepSince time.Time   `json:"step_since"`
	Deadline  time.Time   `json:"deadline"`
	Seen      Counts      `json:"seen"`               // of this step, at the last look that could be trusted
	Baseline  *Arm        `json:"baseline,omitempty"` // champion in an earlier step, for steps that leave it no traffic
	Verdicts  []Judgement `json:"verdicts,omitempty"` // the last 50, with the checks that decided
	Paused    bool        `json:"paused,omitempty"`
	Outcome   Outcome     `json:"outcome,omitempty"`
	Ended     time.Time   `json:"ended,omitzero"`
	Reason    string      `json:"reason,omitempty"` // of the outcome or of the pause
	By        string      `json:"by,omitempty"`     // actor of a pause, an abort or a promotion by hand
}

// Counts are what both arms have served in this step.
type Counts struct {
	Champion   int64 `json:"champion"`
	Challenger int64 `json:"challenger"`
}

// New starts a canary at its first step. The weight to set first is State.Weight.
func New(c spec.Canary, now time.Time) State {
	c.Steps = slices.Clone(c.Steps)
	return State{Config: c, Started: now, StepSince: now, Deadline: now.Add(c.Deadline.D())}
}

// Weight is the challenger's share of requests: the step's while it runs, 1 once promoted, 0 once rolled back.
func (s State) Weight() float64 {
	switch {
	case s.Outcome == Promoted:
		return 1
	case s.Outcome == RolledBack || s.Step >= len(s.Config.Steps):
		return 0
	}
	return float64(s.Config.Steps[s.Step].Weight)
}

// Over says whether the canary has ended.
func (s State) Over() bool { return s.Outcome != Running }

// Window is what the next Measurement must cover: everything since this step's weight was set. It is cumulative, so
// a look that was lost or repeated, or a gateway that reports late, changes nothing.
func (s State) Window(now time.Time) (from, to time.Time) { return s.StepSince, now }

// NextLook is when to measure next: after one interval, but not past the deadline.
func (s State) NextLook(now time.Time) time.Time {
	next := now.Add(s.Config.Interval.D())
	if next.After(s.Deadline) {
		return s.Deadline
	}
	return next
}

// Pause keeps the weight where it is: no step is taken until Resume. Failures still roll back, and the deadline
// still runs, so that a canary that somebody forgot ends too.
func Pause(s State, actor, reason string) (State, error) {
	if err := s.open("pause"); err != nil {
		return s, err
	}
	s.Paused, s.By, s.Reason = true, actor, reason
	return s, nil
}

// Resume ends a pause. The time at this weight counts towards the hold.
func Resume(s State, actor, reason string) (State, error) {
	if err := s.open("resume"); err != nil {
		return s, err
	}
	if !s.Paused {
		return s, &Refused{What: "resume", Why: "the canary isn't paused"}
	}
	s.Paused, s.By, s.Reason = false, actor, reason
	return s, nil
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
	s.By = actor
	s = s.end(Promoted, fmt.Sprintf("promoted by %s: %s", actor, reason), now)
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

func (s State) end(o Outcome, reason string, now time.Time) State {
	s.Outcome, s.Reason, s.Ended, s.Paused = o, reason, now, false
	return s
}

// final is the action of an ended canary; it may be carried out any number of times.
func (s State) final() Action {
	switch s.Outcome {
	case Promoted:
		return Action{Kind: Promote, Weight: 1, Reason: s.Reason}
	case RolledBack:
		return Action{Kind: Rollback, Weight: 0, Reason: s.Reason}
	}
	return Action{Kind: Hold, Weight: s.Weight(), Reason: s.Reason}
}
