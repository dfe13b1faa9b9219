package notify

import (
	"context"
	"errors"
	"fmt"
)

// Multi sends each message to all its providers, in their order, whether or not one before failed: the first should
// be Log. It is a Resumer: a retry reaches only the providers that lack the message.
type Multi struct{ providers []Notifier }

// NewMulti sends to the given providers; there must be at least one.
func NewMulti(providers ...Notifier) (*Multi, error) {
	if len(providers) == 0 {
		return nil, errors.New("notify: no provider")
	}
	return &Multi{providers: providers}, nil
}

// Notify returns one reference with a part for each provider; a zero one where the message arrived nowhere. The error
// is a *Partial, or, where every provider refused, their joined refusals.
func (n *Multi) Notify(ctx context.Context, m Message) (Ref, error) { return n.Resume(ctx, Ref{}, m) }

// Resume sends m to the providers whose part of ref is empty. A ref of other providers than these counts as none: a
// message that comes twice is better than one that never does.
func (n *Multi) Resume(ctx context.Context, ref Ref, m Message) (Ref, error) {
	if err := m.Validate(); err != nil {
		return Ref{}, err
	}
	out := Ref{Provider: "multi", ID: m.Key, Parts: make([]Ref, len(n.providers))}
	if len(ref.Parts) == len(n.providers) {
		copy(out.Parts, ref.Parts)
	}
	partial := Partial{}
	arrived := false
	for i, p := range n.providers {
		if out.Parts[i].empty() {
			part, err := p.Notify(ctx, m)
			if err == nil {
				out.Parts[i] = part
			} else if partial.add(err) {
				out.Parts[i].Refused = true
			}
		}
		arrived = arrived || out.Parts[i].Provider != ""
	}
	partial.Rest = out
	err := partial.orNil(arrived)
	if !arrived {
		return Ref{}, err
	}
	return out, err
}

// Update updates the message wherever it arrived. Parts that are updated are empty in the Rest of a *Partial, and
// those of providers that refused too.
func (n *Multi) Update(ctx context.Context, ref Ref, m Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if len(ref.Parts) == 0 {
		return ErrNoRef
	}
	if len(ref.Parts) != len(n.providers) {
		return fmt.Errorf("notify: message %q went to %d providers, there are %d", m.Key, len(ref.Parts), len(n.providers))
	}
	partial := Partial{Rest: Ref{Provider: ref.Provider, ID: ref.ID, Parts: make([]Ref, len(n.providers))}}
	arrived := false
	for i, p := range n.providers {
		if ref.Parts[i].Provider == "" {
			continue // it never arrived there, or is updated
		}
		err := p.Update(ctx, ref.Parts[i], m)
		if err == nil {
			arrived = true
		} else if !partial.add(err) {
			partial.Rest.Parts[i] = ref.Parts[i]
		}
	}
	return partial.orNil(arrived)
}

// empty says that a part is still to be sent.
func (r Ref) empty() bool { return r.Provider == "" && !r.Refused }

// add files a provider's error, and says whether it is a refusal.
func (e *Partial) add(err error) (refused bool) {
	if _, refused = errors.AsType[*Rejected](err); refused {
		e.Refused = append(e.Refused, err)
	} else {
		e.Missing = append(e.Missing, err)
	}
	return refused
}

// orNil is the error of an attempt: none, the refusals alone where the message is nowhere and stays so, or e.
func (e *Partial) orNil(arrived bool) error {
	switch {
	case len(e.Missing)+len(e.Refused) == 0:
		return nil
	case len(e.Missing) == 0 && !arrived:
		return errors.Join(e.Refused...)
	}
	return e
}
