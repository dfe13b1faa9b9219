// Package approval decides who may approve a version, and what a decision binds to.
//
// It is pure: no I/O, no clock, no randomness. A workflow records what Decide returns before it does anything else,
// so that of two people deciding at once the first one stands and the second is told why.
//
// An actor is "<edge>:<id>", such as cli:ana or slack:U012AB. The edges (Slack, the CLI) establish who the actor is;
// nothing here can: whoever may write to the Temporal namespace may claim any name. One person with two names is two
// actors, so a spec that relies on four eyes or on a quorum should name each person once.
package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// The kinds of Decision.
const (
	Approve = "approve"
	Reject  = "reject"
)

// The outcomes of a Status. The zero Status is open.
const (
	Open     = "open"
	Approved = "approved"
	Rejected = "rejected"
	Expired  = "expired"
)

// maxRefused bounds the refusals that a Status carries, since it lives in a workflow's state. The oldest go first;
// the audit folder keeps them all.
const maxRefused = 50

// Request is what people are asked.
type Request struct {
	Evidence    string        `json:"evidence"`     // Evidence.Digest of what was judged
	RequestedBy string        `json:"requested_by"` // actor; a trigger's name where no person asked
	Policy      spec.Approval `json:"policy"`
	OpenedAt    time.Time     `json:"opened_at"`
	Deadline    time.Time     `json:"deadline"` // zero: OpenedAt + Policy.Timeout
}

// EndsAt is when the request expires; zero: never.
func (r Request) EndsAt() time.Time {
	if !r.Deadline.IsZero() || r.Policy.Timeout <= 0 {
		return r.Deadline
	}
	return r.OpenedAt.Add(r.Policy.Timeout.D())
}

// Decision is what one person said.
type Decision struct {
	ID       string    `json:"id"`       // of the click or command; the same ID twice counts once
	Kind     string    `json:"kind"`     // approve | reject
	Actor    string    `json:"actor"`    // cli:ana, slack:U012AB
	Via      string    `json:"via"`      // the edge that established the actor: cli, slack, signal
	Evidence string    `json:"evidence"` // the digest that the person saw
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// Status is what has been decided so far.
type Status struct {
	Outcome   string     `json:"outcome,omitempty"` // open approved rejected expired; "" is open
	Approvals []Decision `json:"approvals,omitempty"`
	Rejection *Decision  `json:"rejection,omitempty"`
	Refused   []Refusal  `json:"refused,omitempty"` // the last 50 decisions that didn't count, oldest first
}

// IsOpen says whether a decision may still be made.
func (s Status) IsOpen() bool { return s.Outcome == "" || s.Outcome == Open }

// Approvers are the actors whose approvals count, in the order in which they came.
func (s Status) Approvers() []string {
	names := make([]string, len(s.Approvals))
	for i, d := range s.Approvals {
		names[i] = d.Actor
	}
	return names
}

// Missing is the number of approvals that the quorum still lacks; 0 once the request is decided.
func (s Status) Missing(p spec.Approval) int {
	if !s.IsOpen() {
		return 0
	}
	return max(0, quorum(p)-len(s.Approvals))
}

// Expire ends a request whose deadline has passed. It changes nothing before the deadline or after a decision.
func Expire(r Request, s Status, now time.Time) Status {
	if end := r.EndsAt(); s.IsOpen() && !end.IsZero() && !now.Before(end) {
		s.Outcome = Expired
	}
	return s
}

// Decide applies one decision. The returned Status is always the one to keep: a refused decision is noted in it, and
// the error is then a *Refusal. The same ID with the same content again changes nothing and is no error. The given
// Status isn't changed.
//
// The first decision stands: one rejection by anyone who may decide rejects, and quorum distinct approvals approve.
func Decide(r Request, s Status, d Decision) (Status, error) {
	if s.Outcome == "" {
		s.Outcome = Open
	}
	if known, same := s.find(d); known {
		if same {
			return s, nil
		}
		return s.refuse(d, Duplicate, fmt.Sprintf("decision %q was taken already with other content", d.ID))
	}
	s = Expire(r, s, d.At)
	if code, why := check(r, s, d); code != "" {
		return s.refuse(d, code, why)
	}
	if d.Kind == Reject {
		s.Outcome, s.Rejection = Rejected, &d
		return s, nil
	}
	s.Approvals = append(slices.Clone(s.Approvals), d)
	if len(s.Approvals) >= quorum(r.Policy) {
		s.Outcome = Approved
	}
	return s, nil
}

// check says why a decision doesn't count; "" means that it does.
func check(r Request, s Status, d Decision) (Code, string) {
	switch {
	case d.ID == "":
		return Malformed, "the decision has no id"
	case d.Kind != Approve && d.Kind != Reject:
		return Malformed, fmt.Sprintf("kind %q is unknown: approve or reject", d.Kind)
	case len(r.Policy.Approvers) == 0:
		return NotAllowed, "approval.approvers is empty, so nobody may decide"
	case !allowed(r.Policy.Approvers, d.Actor):
		return NotAllowed, fmt.Sprintf("%q isn't an approver: %s", d.Actor, strings.Join(r.Policy.Approvers, ", "))
	case !s.IsOpen() && s.Outcome == Expired:
		return Late, fmt.Sprintf("the deadline was %s, the decision came at %s",
			r.EndsAt().UTC().Format(time.RFC3339), d.At.UTC().Format(time.RFC3339))
	case !s.IsOpen():
		return AlreadyDecided, s.outcomeLine()
	case r.Evidence == "" || d.Evidence != r.Evidence:
		return WrongEvidence, fmt.Sprintf("the decision is about evidence %s, asked is about %s",
			short(d.Evidence), short(r.Evidence))
	case d.Kind == Reject:
		return "", ""
	case slices.Contains(s.Approvers(), d.Actor):
		return Duplicate, fmt.Sprintf("%s has approved already; %d of %d approvals", d.Actor, len(s.Approvals), quorum(r.Policy))
	case r.Policy.FourEyes && d.Actor == r.RequestedBy && quorum(r.Policy) == 1:
		// With a larger quorum somebody else has to agree anyway, so the requester's voice may count.
		return FourEyes, fmt.Sprintf("%s requested this run and can't approve it alone (approval.four_eyes)", d.Actor)
	}
	return "", ""
}

// allowed reports whether an actor is named, or its whole edge is: cli:* is everyone who reaches the CLI's servers.
func allowed(approvers []string, actor string) bool {
	edge, name, ok := strings.Cut(actor, ":")
	if !ok || name == "" || name == "*" {
		return false
	}
	return slices.Contains(approvers, actor) || slices.Contains(approvers, edge+":*")
}

// quorum is at least one: a spec that was never validated must not approve by itself.
func quorum(p spec.Approval) int { return max(1, p.Quorum) }

// find looks for a decision with the same ID among those that counted or were refused.
func (s Status) find(d Decision) (known, same bool) {
	if d.ID == "" {
		return false, false
	}
	for _, a := range s.Approvals {
		if a.ID == d.ID {
			return true, a.equal(d)
		}
	}
	if s.Rejection != nil && s.Rejection.ID == d.ID {
		return true, s.Rejection.equal(d)
	}
	return false, false
}

// equal compares what was said, not when it arrived: a redelivered click may carry a later time.
func (d Decision) equal(o Decision) bool {
	return d.ID == o.ID && d.Kind == o.Kind && d.Actor == o.Actor && d.Evidence == o.Evidence
}

// outcomeLine says who decided.
func (s Status) outcomeLine() string {
	if s.Rejection != nil {
		return fmt.Sprintf("already rejected by %s: %s", s.Rejection.Actor, s.Rejection.Reason)
	}
	return fmt.Sprintf("already %s by %s", s.Outcome, strings.Join(s.Approvers(), ", "))
}

func (s Status) refuse(d Decision, code Code, why string) (Status, error) {
	refusal := Refusal{Code: code, Why: why, Decision: d}
	if !slices.ContainsFunc(s.Refused, func(o Refusal) bool { return o.Code == code && o.Decision.equal(d) }) {
		s.Refused = append(slices.Clone(s.Refused), refusal)
		if over := len(s.Refused) - maxRefused; over > 0 {
			s.Refused = s.Refused[over:]
		}
	}
	return s, &refusal
}

// short cuts a digest for a message.
func short(digest string) string {
	if digest == "" {
		return "(none)"
	}
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}
