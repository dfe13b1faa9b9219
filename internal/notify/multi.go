package notify

import (
	"context"
	"errors"
	"fmt"
)

// Multi sends each message to all its providers, in their order, whether or not one before failed: the first should
// be Log.
type Multi struct{ providers []Notifier }

// NewMulti sends to the given providers; there must be at least one.
func NewMulti(providers ...Notifier) (*Multi, error) {
	if len(providers) == 0 {
		return nil, errors.New("notify: no provider")
	}
	return &Multi{providers: providers}, nil
}

// Notify returns one reference with a part for each provider, also when some failed; those parts are empty. The
// error joins all that failed. The caller may retry the whole only if it can bear the message twice where it arrived.
func (n *Multi) Notify(ctx context.Context, m Message) (Ref, error) {
	ref := Ref{Provider: "multi", ID: m.Key, Parts: make([]Ref, len(n.providers))}
	var failed []error
	for i, p := range n.providers {
		part, err := p.Notify(ctx, m)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		ref.Parts[i] = part
	}
	if len(failed) == len(n.providers) {
		ref = Ref{}
	}
	return ref, errors.Join(failed...)
}

// Update updates the message wherever it arrived.
func (n *Multi) Update(ctx context.Context, ref Ref, m Message) error {
	if len(ref.Parts) == 0 {
		return ErrNoRef
	}
	if len(ref.Parts) != len(n.providers) {
		return fmt.Errorf("notify: message %q went to %d providers, there are %d", m.Key, len(ref.Parts), len(n.providers))
	}
	var failed []error
	for i, p := range n.providers {
		if ref.Parts[i].Provider == "" {
			continue // it never arrived there
		}
		if err := p.Update(ctx, ref.Parts[i], m); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
