// Package registry keeps what was decided about models and data, in one bucket.
//
// A model's ledger is a chain of entries: every change is one object, created once, that holds who asked for what,
// the hash of the entry before it, and the state after it. Apply is the rule book and does no I/O; the chain is the
// order, and does no judging. A data set's index works the same way. Artifacts are folders named by the digest of
// their manifest, and are checked on every read.
//
// This package must never delete or overwrite what it keeps (heartbeats aside), never choose a version number
// before the ledger grants it, and never take an unreachable store for an empty one.
package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// Ledger is what was decided about one model. It keeps the highest head that it saw and refuses one behind it, so
// use one for as long as the process lives. It is safe for concurrent use.
type Ledger struct {
	model string
	chain *chain
	err   error // of a name that can't be a model's; each call returns it
}

// NewLedger opens a model's ledger, which is empty if nothing was decided yet. It makes no request.
func NewLedger(store objectstore.Store, model string) *Ledger {
	return &Ledger{model: model, chain: newChain(store, ledgerPrefix(model)), err: CheckName("model", model)}
}

// Model is the model's name.
func (l *Ledger) Model() string { return l.model }

// Saw tells the ledger of a head that was seen elsewhere (by an earlier process, in a run's result): a head behind
// it is refused from now on. An empty hash stands for any.
func (l *Ledger) Saw(seq int64, hash string) { l.chain.saw(seq, hash) }

// Head is the newest entry; of an empty ledger one with sequence 0 and the model's empty state. The error is a
// *Broken if the ledger isn't what was seen before; any other means that the ledger is unreachable.
func (l *Ledger) Head(ctx context.Context) (Entry, error) {
	if l.err != nil {
		return Entry{}, l.err
	}
	head, err := l.chain.head(ctx)
	if err != nil {
		return Entry{}, l.wrap(err)
	}
	e, err := l.decode(head)
	return e, l.wrap(err)
}

// Entry reads one entry. objectstore.ErrNotFound (wrapped) if there is none.
func (l *Ledger) Entry(ctx context.Context, seq int64) (Entry, error) {
	if l.err != nil {
		return Entry{}, l.err
	}
	if seq < 1 || seq > maxSeq {
		return Entry{}, fmt.Errorf("ledger of %s: entry %d: sequences are 1 to %d", l.model, seq, int64(maxSeq))
	}
	e, err := l.read(ctx, seq)
	return e, l.wrap(err)
}

func (l *Ledger) read(ctx context.Context, seq int64) (Entry, error) {
	at, err := l.chain.get(ctx, seq)
	if err != nil {
		return Entry{}, err
	}
	l.chain.saw(seq, at.hash)
	return l.decode(at)
}

// Do appends what a command makes of the head, or finds the entry that its key made before (Replayed). The error is
// a *Conflict or *Refused from Apply, or a *Broken; none of them is worth a retry. Any other leaves open whether the
// command was applied: ask again with the same key.
func (l *Ledger) Do(ctx context.Context, c Command) (Entry, error) {
	if l.err != nil {
		return Entry{}, l.err
	}
	c = c.normal()
	e, err := appendTo(ctx, l.chain, c.Key, func(ctx context.Context, head link) (attempt[Entry], error) {
		return l.next(ctx, head, c)
	})
	return e, l.wrap(err)
}

// next finds a command's entry, or makes it.
func (l *Ledger) next(ctx context.Context, head link, c Command) (attempt[Entry], error) {
	before, err := l.decode(head)
	if err != nil {
		return attempt[Entry]{}, err
	}
	if seq, ok := before.State.KeySeq(c.Key); ok {
		e, err := l.replay(ctx, seq, c)
		return attempt[Entry]{done: true, entry: e}, err
	}
	after, err := Apply(before.State, c)
	if err != nil {
		return attempt[Entry]{}, err
	}
	e := Entry{
		Format: Format, Seq: head.seq + 1, Time: c.Time, Actor: c.Actor, Via: c.Via, Key: c.Key,
		Command: c, Previous: head.hash, State: after,
	}
	raw, err := encode(e.stored())
	if err != nil {
		return attempt[Entry]{}, &Refused{Subject: l.model, Key: c.Key, Reason: err.Error()}
	}
	e.Hash = hashOf(raw)
	return attempt[Entry]{entry: e, raw: raw}, nil
}

// replay reads the entry that a key made, and refuses a key that was used for something else.
func (l *Ledger) replay(ctx context.Context, seq int64, c Command) (Entry, error) {
	e, err := l.read(ctx, seq) // the head was seen, so a missing entry is a *Broken
	if err != nil {
		return Entry{}, err
	}
	if e.Key != c.Key {
		return Entry{}, &Broken{Object: l.chain.key(seq), Problem: fmt.Sprintf("its key is %q, a later entry says %q", e.Key, c.Key)}
	}
	if !c.sameIntent(e.Command) {
		return Entry{}, &Refused{Subject: l.model, Key: c.Key, Reason: fmt.Sprintf(
			"entry %d has this key for another command: %s version %d", seq, e.Command.Kind, e.Command.version())}
	}
	e.Replayed = true
	return e, nil
}

// History calls each for every entry from a sequence on, in order, checking that each follows the one before.
func (l *Ledger) History(ctx context.Context, from int64, each func(Entry) error) error {
	if l.err != nil {
		return l.err
	}
	var before Entry
	for seq := max(from, 1); seq <= maxSeq; seq++ {
		e, err := l.Entry(ctx, seq)
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if before.Seq != 0 && e.Previous != before.Hash {
			return &Broken{Object: l.chain.key(seq), Problem: fmt.Sprintf("follows %s, the entry before it is %s", e.Previous, before.Hash)}
		}
		if err := each(e); err != nil {
			return err
		}
		before = e
	}
	return nil
}

// decode reads a link; the zero link is the state before the first entry.
func (l *Ledger) decode(at link) (Entry, error) {
	if at.seq == 0 {
		return Entry{State: State{Model: l.model}}, nil
	}
	e, err := decodeEntry(at.raw)
	if err != nil {
		return Entry{}, &Broken{Object: l.chain.key(at.seq), Problem: err.Error()}
	}
	if e.Seq != at.seq || e.State.Model != l.model {
		return Entry{}, &Broken{Object: l.chain.key(at.seq), Problem: fmt.Sprintf("holds entry %d of model %q", e.Seq, e.State.Model)}
	}
	return e, nil
}

func (l *Ledger) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger of %s: %w", l.model, err)
}

// Models lists the models that have a ledger, by name.
func Models(ctx context.Context, store objectstore.Lister) ([]string, error) {
	return NewModels(ctx, store, func(string) bool { return false })
}

// NewModels is Models without those that are known. It asks the store once for all of these, and once more for each
// that isn't, so that who looks every few seconds asks about once.
func NewModels(ctx context.Context, store objectstore.Lister, known func(name string) bool) ([]string, error) {
	var models []string
	err := store.Folders(ctx, modelsPrefix, func(name string) error {
		if known(name) || CheckName("model", name) != nil { // a wrong name isn't ours: this package writes no such key
			return nil
		}
		first := newChain(nil, ledgerPrefix(name)).key(1)
		return store.List(ctx, first, func(objectstore.Info) error {
			models = append(models, name)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	return models, nil
}
