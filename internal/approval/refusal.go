package approval

import "fmt"

// Code is why a decision didn't count.
type Code string

// The codes of a Refusal.
const (
	Malformed      Code = "malformed"
	NotAllowed     Code = "not_allowed"
	WrongEvidence  Code = "wrong_evidence"
	AlreadyDecided Code = "already_decided"
	Late           Code = "past_deadline"
	Duplicate      Code = "duplicate"
	FourEyes       Code = "four_eyes"
)

// Refusal is a decision that didn't count, and why. Retrying it can't help.
type Refusal struct {
	Code     Code     `json:"code"`
	Why      string   `json:"why"`
	Decision Decision `json:"decision"`
}

// Error names the actor, the kind and the reason.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s by %q refused: %s", r.Decision.Kind, r.Decision.Actor, r.Why)
}
