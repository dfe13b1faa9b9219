package canary

import (
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// Failure is a failed look that the spec leaves to people: on_failure pause or ask. It is over when one of them resumes,
// promotes or aborts.
type Failure struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`         // the check that failed, with its numbers
	Until  time.Time `json:"until,omitzero"` // of ask: without an answer until then the challenger is rolled back
	// Withdrawn says that the challenger has no traffic meanwhile.
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// fail is what a failed look leads to, by the spec's on_failure:
//
//   - rollback ends the canary.
//   - pause takes all traffic away at once, and waits for a person, to the deadline.
//   - ask leaves the weight as it is, and waits for a person for answer_within; then it rolls back.
//
// Past the deadline there is nobody to wait for.
func (s State) fail(j Judgement, now time.Time) (State, Action) {
	f := Failure{At: now, Reason: j.Reason()}
	if now.Before(s.Deadline) {
		switch s.Config.OnFailure {
		case spec.OnFailurePause:
			f.Withdrawn, s.Failed = true, &f
			return s, Action{Kind: Withdraw, Weight: 0, Reason: f.Reason}
		case spec.OnFailureAsk:
			f.Until, s.Failed = now.Add(s.Config.AnswerWithin.D()), &f
			if f.Until.After(s.Deadline) {
				f.Until = s.Deadline
			}
			return s, Action{Kind: Ask, Weight: s.Weight(), Reason: f.Reason}
		}
	}
	s = s.end(RolledBack, f.Reason, now)
	return s, s.final()
}

// wait holds a failed canary until a person answers, or the time to is over.
func (s State) wait(now time.Time) (State, Action) {
	f := *s.Failed
	if !f.Until.IsZero() && !now.Before(f.Until) {
		s = s.end(RolledBack, fmt.Sprintf("nobody answered within %s of the failure at %s: %s",
			f.Until.Sub(f.At).Round(time.Second), stamp(f.At), f.Reason), now)
		return s, s.final()
	}
	return s, Action{Kind: Hold, Weight: s.Weight(), Reason: "waits for a person: " + f.Reason}
}

// why is what the canary is held by: the failure that waits for a person, else the look.
func (s State) why(j Judgement) string {
	if s.Failed != nil {
		return "nobody answered; " + s.Failed.Reason
	}
	return j.Reason()
}
