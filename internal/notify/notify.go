// Package notify tells people what happened, and asks them to decide.
//
// A message is a courtesy: nothing in a lifecycle may depend on one arriving, and a decision never travels in a
// button's value, which only routes a click to its workflow. Providers are one per file; every one passes
// notifytest.Run.
package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Severity orders messages by how much they want a person.
type Severity string

// The severities.
const (
	Info    Severity = "info"
	Success Severity = "success"
	Warning Severity = "warning"
	Failure Severity = "failure"
)

// Field is one named value of a message.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Link is a place to look.
type Link struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// The kinds of Action.
const (
	ActionApprove = "approve"
	ActionReject  = "reject"
	ActionDetails = "details"
)

// Action is a button. Value says where a click goes (workflow id, evidence digest), never who may decide or what is
// true: the receiver asks the workflow.
type Action struct {
	Kind  string `json:"kind"`  // approve | reject | details
	Text  string `json:"text"`  // at most 75 characters
	Value string `json:"value"` // at most 2,000 characters
}

// Message is what people read. Text is plain: a provider escapes its own markup.
type Message struct {
	Key       string   `json:"key"` // idempotency: the same message has the same key
	Model     string   `json:"model"`
	Lifecycle string   `json:"lifecycle,omitempty"`
	Channel   string   `json:"channel,omitempty"` // where the provider has several; "": its default
	Severity  Severity `json:"severity"`
	Title     string   `json:"title"`
	Text      string   `json:"text,omitempty"`
	Fields    []Field  `json:"fields,omitempty"`
	Links     []Link   `json:"links,omitempty"`
	Actions   []Action `json:"actions,omitempty"`
	// Thread is what the message belongs to, such as a run: a provider that has threads keeps them together.
	Thread string `json:"thread,omitempty"`
	// Since is set where the message may have arrived already, at that time or later: look for it first. Zero: it can't.
	Since time.Time `json:"-"`
}

// Ref names a message that was sent, so that it can be updated. It is opaque but to its provider, and small enough
// to live in a workflow's state.
type Ref struct {
	Provider string `json:"provider,omitempty"`
	Channel  string `json:"channel,omitempty"`
	ID       string `json:"id,omitempty"`
	Parts    []Ref  `json:"parts,omitempty"`   // of Multi: one for each provider; a zero one hasn't arrived
	Refused  bool   `json:"refused,omitempty"` // of a part: its provider won't take the message
}

// Notifier sends messages.
//
// Notify sends m and returns where it went. Update replaces the message at ref by m; a zero ref is an error. Both
// may be called at once by many. Errors that a retry can help are *Retryable; *Rejected ones can't be helped by it.
type Notifier interface {
	Notify(ctx context.Context, m Message) (Ref, error)
	Update(ctx context.Context, ref Ref, m Message) error
}

// Resumer is a Notifier whose messages may arrive in part.
//
// Resume sends m where ref says that it hasn't arrived yet, and nowhere twice; with a zero ref it is Notify. Its error,
// like those of Notify and Update, is a *Partial where the message is in some place, or may still get to one.
type Resumer interface {
	Notifier
	Resume(ctx context.Context, ref Ref, m Message) (Ref, error)
}

// Retryable is trouble that may pass: the provider asked to come back later, or couldn't be reached.
type Retryable struct {
	Provider string
	After    time.Duration // how long the provider asked to wait; 0: it didn't say
	Err      error
}

// Error names the provider and the wait that it asked for.
func (e *Retryable) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("%s asks to wait %s: %v", e.Provider, e.After, e.Err)
	}
	return fmt.Sprintf("%s can't be reached: %v", e.Provider, e.Err)
}

// Unwrap gives the cause.
func (e *Retryable) Unwrap() error { return e.Err }

// Rejected is a message or a configuration that the provider won't take however often it is sent.
type Rejected struct {
	Provider string
	Code     string // the provider's own word for it
	Hint     string // what to do; may be ""
}

// Error names the provider, its code and what to do.
func (e *Rejected) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s refused the message: %s", e.Provider, e.Code)
	}
	return fmt.Sprintf("%s refused the message: %s (%s)", e.Provider, e.Code, e.Hint)
}

// Partial is a message that didn't arrive everywhere.
type Partial struct {
	Rest    Ref     // for the next attempt: what Resume or Update goes on from
	Missing []error // a retry can help these; none: there is nothing left to try
	Refused []error // it can't help these
}

// Error joins what is missing and what was refused.
func (e *Partial) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Unwrap gives the causes, those that may pass first.
func (e *Partial) Unwrap() []error { return slices.Concat(e.Missing, e.Refused) }

// After is the longest wait that a provider asked for; 0: none did.
func (e *Partial) After() time.Duration {
	var after time.Duration
	for _, err := range e.Missing {
		if wait, ok := errors.AsType[*Retryable](err); ok {
			after = max(after, wait.After)
		}
	}
	return after
}

// ErrNoRef is an Update of a message that was never sent.
var ErrNoRef = errors.New("notify: update without a reference to a message")

// Validate says what is missing in a message, so that every provider refuses the same ones.
func (m Message) Validate() error {
	switch {
	case m.Key == "":
		return fmt.Errorf("notify: message %q has no key", m.Title)
	case m.Title == "":
		return fmt.Errorf("notify: message %q has no title", m.Key)
	}
	for _, a := range m.Actions {
		if a.Kind != ActionApprove && a.Kind != ActionReject && a.Kind != ActionDetails {
			return fmt.Errorf("notify: message %q: action %q is unknown: approve, reject or details", m.Key, a.Kind)
		}
		if len(a.Value) > maxActionValue {
			return fmt.Errorf("notify: message %q: value of action %s has %d bytes > %d", m.Key, a.Kind, len(a.Value), maxActionValue)
		}
	}
	return nil
}

// maxActionValue is Slack's limit for a button's value; its client doesn't check it.
const maxActionValue = 2000
