package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// Index is what was decided about the files that landed for one data set: an append-only chain like a ledger. It is
// safe for concurrent use.
type Index struct {
	dataset string
	chain   *chain
	err     error // of a name that can't be a data set's; each call returns it
}

// IndexEntry is one decision on one file, and the index after it.
type IndexEntry struct {
	Format   int        `json:"format"`
	Seq      int64      `json:"seq"`
	Time     time.Time  `json:"time"`
	Key      string     `json:"key"`
	Decision Decision   `json:"decision"`
	Previous string     `json:"previous"` // sha256 (hex) of the stored bytes of the entry before; "" for the first
	State    IndexState `json:"state"`

	Hash     string `json:"-"` // sha256 (hex) of its own stored bytes
	Replayed bool   `json:"-"` // nothing was written: the decision stood already
}

// NewIndex opens a data set's index, which is empty if no file landed yet. It makes no request.
func NewIndex(store objectstore.Store, dataset string) *Index {
	return &Index{dataset: dataset, chain: newChain(store, indexPrefix(dataset)), err: CheckName("data set", dataset)}
}

// Saw tells the index of a head that was seen elsewhere; one behind it is refused from now on.
func (x *Index) Saw(seq int64, hash string) { x.chain.saw(seq, hash) }

// Head is the newest entry; of an empty index one with sequence 0. Errors are as for Ledger.Head.
func (x *Index) Head(ctx context.Context) (IndexEntry, error) {
	if x.err != nil {
		return IndexEntry{}, x.err
	}
	head, err := x.chain.head(ctx)
	if err != nil {
		return IndexEntry{}, x.wrap(err)
	}
	e, err := x.decode(head)
	return e, x.wrap(err)
}

// Accept appends a file that passed its contract. The same content again changes no file: the entry, if one is
// needed at all, only remembers that this object was looked at. A file for a period that another file covers (without
// event times: the same object with other content) is a *Refused that names both, or with onRedelivery "supersede"
// replaces what it covers. Contract is the one inferred from this file, or nil if the spec has its own: the first
// accepted file pins it, and a file that was checked against another is a *Conflict, to be checked again.
//
// Errors are as for Ledger.Do.
func (x *Index) Accept(ctx context.Context, key string, f FileRef, onRedelivery string, contract *spec.Contract) (IndexEntry, error) {
	return x.do(ctx, key, func(s IndexState) (Decision, bool) {
		if _, same := s.File(f.SHA256); same {
			if s.Seen(f.Source, f.ETag, f.VersionID) {
				return Decision{}, false
			}
			return Decision{Kind: DecisionDuplicate, File: &f}, true
		}
		return Decision{Kind: DecisionAccepted, File: &f, OnRedelivery: onRedelivery, Contract: contract}, true
	})
}

// Refuse appends a file that didn't pass, so that it isn't looked at again. Errors are as for Ledger.Do.
func (x *Index) Refuse(ctx context.Context, key string, r Refusal) (IndexEntry, error) {
	return x.do(ctx, key, func(IndexState) (Decision, bool) {
		return Decision{Kind: DecisionRefused, Refusal: &r}, true
	})
}

// do appends what decide makes of the newest state; false means that there is nothing to append.
func (x *Index) do(ctx context.Context, key string, decide func(IndexState) (Decision, bool)) (IndexEntry, error) {
	if x.err != nil {
		return IndexEntry{}, x.err
	}
	e, err := appendTo(ctx, x.chain, key, func(ctx context.Context, head link) (attempt[IndexEntry], error) {
		before, err := x.decode(head)
		if err != nil {
			return attempt[IndexEntry]{}, err
		}
		if seq, ok := findKey(before.State.Keys, key); ok {
			e, err := x.read(ctx, seq)
			if err == nil && e.Key != key {
				err = &Broken{Object: x.chain.key(seq), Problem: fmt.Sprintf("its key is %q, a later entry says %q", e.Key, key)}
			}
			e.Replayed = true
			return attempt[IndexEntry]{done: true, entry: e}, err
		}
		d, needed := decide(before.State)
		if !needed {
			before.Replayed = true
			return attempt[IndexEntry]{done: true, entry: before}, nil
		}
		return x.next(head, before.State, key, d.normal())
	})
	return e, x.wrap(err)
}

// next makes the entry behind a head.
func (x *Index) next(head link, before IndexState, key string, d Decision) (attempt[IndexEntry], error) {
	after, err := applyDecision(before, key, d)
	if err != nil {
		return attempt[IndexEntry]{}, err
	}
	e := IndexEntry{
		Format: Format, Seq: head.seq + 1, Time: d.at(), Key: key,
		Decision: d, Previous: head.hash, State: after,
	}
	raw, err := encode(e)
	if err != nil {
		return attempt[IndexEntry]{}, &Refused{Subject: x.dataset, Key: key, Reason: err.Error()}
	}
	e.Hash = hashOf(raw)
	return attempt[IndexEntry]{entry: e, raw: raw}, nil
}

func (x *Index) read(ctx context.Context, seq int64) (IndexEntry, error) {
	at, err := x.chain.get(ctx, seq)
	if err != nil {
		return IndexEntry{}, err
	}
	x.chain.saw(seq, at.hash)
	return x.decode(at)
}

// History calls each for every entry from a sequence on, in order, checking that each follows the one before.
func (x *Index) History(ctx context.Context, from int64, each func(IndexEntry) error) error {
	if x.err != nil {
		return x.err
	}
	var before IndexEntry
	for seq := max(from, 1); seq <= maxSeq; seq++ {
		e, err := x.read(ctx, seq)
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil
		}
		if err != nil {
			return x.wrap(err)
		}
		if before.Seq != 0 && e.Previous != before.Hash {
			return x.wrap(&Broken{Object: x.chain.key(seq), Problem: fmt.Sprintf("follows %s, the entry before it is %s", e.Previous, before.Hash)})
		}
		if err := each(e); err != nil {
			return err
		}
		before = e
	}
	return nil
}

// Verify is Ledger.Verify for an index, which refers to no artifacts.
func (x *Index) Verify(ctx context.Context, o VerifyOptions) (Verification, error) {
	if x.err != nil {
		return Verification{}, x.err
	}
	before, known := IndexState{Dataset: x.dataset}, true
	v, err := verifyChain(ctx, x.chain, o, func(at link) (string, error) {
		e, err := x.decode(at)
		if err != nil {
			known = false
			return "", err
		}
		if known {
			var want IndexState
			if want, err = applyDecision(before, e.Key, e.Decision); err == nil {
				err = sameJSON("the state", e.State, want)
			}
		}
		before, known = e.State, true
		return e.Previous, err
	})
	if err != nil {
		return Verification{}, x.wrap(err)
	}
	v.Verified = len(v.Problems) == 0
	return v, nil
}

// decode reads a link strictly; the zero link is the index before the first entry.
func (x *Index) decode(at link) (IndexEntry, error) {
	if at.seq == 0 {
		return IndexEntry{State: IndexState{Dataset: x.dataset}}, nil
	}
	e, err := decodeIndexEntry(at.raw)
	if err != nil {
		return IndexEntry{}, &Broken{Object: x.chain.key(at.seq), Problem: err.Error()}
	}
	if e.Seq != at.seq || e.State.Dataset != x.dataset {
		return IndexEntry{}, &Broken{Object: x.chain.key(at.seq), Problem: fmt.Sprintf("holds entry %d of data set %q", e.Seq, e.State.Dataset)}
	}
	return e, nil
}

func decodeIndexEntry(raw []byte) (IndexEntry, error) {
	var e IndexEntry
	if err := decodeStrict(raw, &e); err != nil {
		return IndexEntry{}, err
	}
	if e.Seq < 1 || e.State.Seq != e.Seq {
		return IndexEntry{}, fmt.Errorf("sequence %d with a state of sequence %d", e.Seq, e.State.Seq)
	}
	if (e.Previous == "") != (e.Seq == 1) {
		return IndexEntry{}, fmt.Errorf("entry %d with previous hash %q", e.Seq, e.Previous)
	}
	if err := e.Decision.check(); err != nil {
		return IndexEntry{}, err
	}
	e.Hash = hashOf(raw)
	return e, nil
}

func (x *Index) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("index of %s: %w", x.dataset, err)
}
