package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// FollowFormat is the meaning of Routing's fields that this program knows. Raise it, and write it as MinReader, only
// when an entry would mislead a follower that doesn't know better; a new field or rule alone doesn't.
const FollowFormat = 1

// Routing is the part of a ledger's newest entry by which requests are routed.
type Routing struct {
	Seq        int64 // 0: nothing was decided yet
	Hash       string
	Time       time.Time
	Epoch      int64
	Champion   Slot   // zero: none
	Challenger Slot   // zero: none
	Former     []Slot // champions of before, by number: a rollback can return to them
	Weight     float64
	LeaseUntil time.Time // zero without a challenger
	Spec       string    // digest of the applied spec; "": none
}

// Slot is a version in its part.
type Slot struct {
	Number   int    `json:"number"`
	Artifact string `json:"artifact"`
}

// Follower reads a ledger for one who serves by it and never writes. It refuses a head behind one that it saw, like
// Ledger, and where Ledger is strict it is lenient: it reads only what routing needs and skips fields and words that
// it doesn't know, since a gateway that stopped at the first entry of a newer release would miss the next rollback.
// It is safe for concurrent use.
type Follower struct {
	model string
	chain *chain
	err   error // of a name that can't be a model's; each call returns it
}

// NewFollower opens a model's ledger for following. It makes no request.
func NewFollower(store objectstore.Store, model string) *Follower {
	return &Follower{model: model, chain: newChain(store, ledgerPrefix(model)), err: CheckName("model", model)}
}

// Saw is Ledger.Saw.
func (f *Follower) Saw(seq int64, hash string) { f.chain.saw(seq, hash) }

// Moved tells by one small request whether an entry stands behind the highest one seen. An error means that the
// ledger is unreachable. That what was seen still stands is Head's to check.
func (f *Follower) Moved(ctx context.Context) (bool, error) {
	if f.err != nil {
		return false, f.err
	}
	body, _, err := f.chain.store.Get(ctx, f.chain.key(f.chain.lastSeen().seq+1))
	if errors.Is(err, objectstore.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		return false, fmt.Errorf("ledger of %s: %w", f.model, err)
	}
	return true, nil
}

// Head reads the newest entry. Errors are as for Ledger.Head.
func (f *Follower) Head(ctx context.Context) (Routing, error) {
	if f.err != nil {
		return Routing{}, f.err
	}
	head, err := f.chain.head(ctx)
	if err == nil && head.seq > 0 {
		var r Routing
		if r, err = decodeRouting(head.raw, f.model); err == nil && r.Seq != head.seq {
			err = fmt.Errorf("holds entry %d", r.Seq)
		}
		if err == nil {
			return r, nil
		}
		err = &Broken{Object: f.chain.key(head.seq), Problem: err.Error()}
	}
	if err != nil {
		return Routing{}, fmt.Errorf("ledger of %s: %w", f.model, err)
	}
	return Routing{}, nil
}

// decodeRouting reads stored bytes leniently: what it doesn't know it skips, what it needs must make sense.
func decodeRouting(raw []byte, model string) (Routing, error) {
	var e struct {
		MinReader int       `json:"min_reader"`
		Seq       int64     `json:"seq"`
		Time      time.Time `json:"time"`
		State     struct {
			Model      string  `json:"model"`
			Spec       SpecRef `json:"spec"`
			Champion   int     `json:"champion"`
			Challenger int     `json:"challenger"`
			Weight     float64 `json:"weight"`
			Lease      *Lease  `json:"lease"`
			Epoch      int64   `json:"epoch"`
			Versions   []struct {
				Slot
				PromotedAt json.RawMessage `json:"promoted_at"`
			} `json:"versions"`
		} `json:"state"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return Routing{}, fmt.Errorf("not an entry: %w", err)
	}
	s := e.State
	switch {
	case e.MinReader > FollowFormat:
		return Routing{}, fmt.Errorf("it asks for a reader of format %d, this program is one of %d: upgrade it", e.MinReader, FollowFormat)
	case s.Model != model:
		return Routing{}, fmt.Errorf("holds an entry of model %q", s.Model)
	case !(s.Weight >= 0 && s.Weight <= 1):
		return Routing{}, fmt.Errorf("weight %v, want 0 to 1", s.Weight)
	case s.Challenger != 0 && s.Lease == nil:
		return Routing{}, fmt.Errorf("challenger %d without a lease", s.Challenger)
	}
	r := Routing{Seq: e.Seq, Hash: hashOf(raw), Time: e.Time, Epoch: s.Epoch, Spec: s.Spec.Digest}
	slot := func(what string, number int) (Slot, error) {
		if number == 0 {
			return Slot{}, nil
		}
		for _, v := range s.Versions {
			if v.Number == number {
				return v.Slot, checkDigest("artifact", v.Artifact)
			}
		}
		return Slot{}, fmt.Errorf("the %s is version %d, which it doesn't list", what, number)
	}
	var err error
	if r.Champion, err = slot("champion", s.Champion); err != nil {
		return Routing{}, err
	}
	if r.Challenger, err = slot("challenger", s.Challenger); err != nil {
		return Routing{}, err
	}
	for _, v := range s.Versions {
		if v.PromotedAt != nil && v.Number != s.Champion && checkDigest("artifact", v.Artifact) == nil {
			r.Former = append(r.Former, v.Slot)
		}
	}
	if s.Challenger != 0 {
		r.Weight, r.LeaseUntil = s.Weight, s.Lease.Until
	}
	return r, nil
}
