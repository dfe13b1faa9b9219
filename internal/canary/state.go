package canary

import (
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
	Withdraw ActionKind = "withdraw" // weight 0 until a person says how to go on
	Ask      ActionKind = "ask"      // keep the weight, and ask a person how to go on
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
	Config    spec.Canary   `json:"config"`
	Step      int           `json:"step"` // index into Config.Steps
	Started   time.Time     `json:"started"`
	StepSince time.Time     `json:"step_since"` // since when this step is measured
	Deadline  time.Time     `json:"deadline"`
	ExtraHold time.Duration `json:"extra_hold,omitempty"` // that people added to this step's hold
	Seen      Counts        `json:"seen"`                 // of this step, at the last look that could be trusted
	Quality   *Quality      `json:"quality,omitempty"`    // what labels say of this step, as they were read last
	// Baseline and BaselineLabels are the champion's of an earlier step, for steps that leave it no traffic.
	Baseline       *Arm        `json:"baseline,omitempty"`
	BaselineLabels *Labelled   `json:"baseline_labels,omitempty"`
	Verdicts       []Judgement `json:"verdicts,omitempty"` // the last 50, with the checks that decided
	Failed         *Failure    `json:"failed,omitempty"`   // a failure that waits for a person
	Paused         bool        `json:"paused,omitempty"`   // by a person
	Outcome        Outcome     `json:"outcome,omitempty"`
	Ended          time.Time   `json:"ended,omitzero"`
	Reason         string      `json:"reason,omitempty"` // of the outcome or of the pause
	By             string      `json:"by,omitempty"`     // actor of the last steering by hand
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
	case s.Outcome == RolledBack || s.Step >= len(s.Config.Steps) || s.Failed != nil && s.Failed.Withdrawn:
		return 0
	}
	return float64(s.Config.Steps[s.Step].Weight)
}

// Over says whether the canary has ended.
func (s State) Over() bool { return s.Outcome != Running }

// Window is what the next Measurement must cover: everything since this step's weight was set. It is cumulative, so
// a look that was lost or repeated, or a gateway that reports late, changes nothing.
func (s State) Window(now time.Time) (from, to time.Time) { return s.StepSince, now }

// NextLook is when to measure next: after one interval, but not past the end.
func (s State) NextLook(now time.Time) time.Time {
	next := now.Add(s.Config.Interval.D())
	if end := s.EndsBy(); next.After(end) {
		return end
	}
	return next
}

// Held is how long this step has been held, and of how long a hold; less than nothing is none.
func (s State) Held(now time.Time) (held, of time.Duration) {
	if s.Step >= len(s.Config.Steps) {
		return 0, 0
	}
	return max(0, s.held(now)), s.hold()
}

// EndsBy is when the canary is rolled back unless something happens before: the deadline, or the end of the time to
// answer for a failure.
func (s State) EndsBy() time.Time {
	if f := s.Failed; f != nil && !f.Until.IsZero() && f.Until.Before(s.Deadline) {
		return f.Until
	}
	return s.Deadline
}

func (s State) end(o Outcome, reason string, now time.Time) State {
	s.Outcome, s.Reason, s.Ended, s.Paused, s.Failed = o, reason, now, false, nil
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
