package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// VerifyOptions say what a verification looks at beyond the chain itself.
type VerifyOptions struct {
	Head      int64  // the chain must reach this sequence; 0: not checked
	HeadHash  string // and hold this hash there; "": not checked
	Artifacts bool   // read every artifact and spec that the ledger refers to, and check its digest
}

// Verification is what was found. Problems are in the order of the chain.
type Verification struct {
	Entries   int64    `json:"entries"`
	HeadSeq   int64    `json:"head_seq"`
	HeadHash  string   `json:"head_hash"`
	Artifacts int      `json:"artifacts"` // checked
	Files     int      `json:"files"`     // checked, manifests and specs included
	Verified  bool     `json:"verified"`
	Problems  []string `json:"problems,omitempty"`
}

func (v *Verification) problem(object, format string, args ...any) {
	v.Problems = append(v.Problems, object+": "+fmt.Sprintf(format, args...))
}

// Verify reads the whole ledger and checks that every entry holds the hash of the one before it, that every state is
// what Apply makes of the state before, that nothing lies behind the end, and with Artifacts every digest. It needs
// the bucket or a copy of it, nothing else. What is wrong is in Problems; the error is for a store that can't be read.
func (l *Ledger) Verify(ctx context.Context, o VerifyOptions) (Verification, error) {
	if l.err != nil {
		return Verification{}, l.err
	}
	specs := map[string]bool{}
	before, known := Entry{State: State{Model: l.model}}, true
	v, err := verifyChain(ctx, l.chain, o, func(at link) (string, error) {
		e, err := l.decode(at)
		if err != nil {
			known = false
			return "", err
		}
		if e.Command.Spec != nil {
			specs[e.Command.Spec.Digest] = true
		}
		if known {
			err = replays(before, e)
		}
		before, known = e, true
		return e.Previous, err
	})
	if err != nil {
		return Verification{}, l.wrap(err)
	}
	if o.Artifacts {
		if err := l.verifyContents(ctx, &v, before.State, specs); err != nil {
			return Verification{}, l.wrap(err)
		}
	}
	v.Verified = len(v.Problems) == 0
	return v, nil
}

// replays checks an entry's state against the rules.
func replays(before, e Entry) error {
	want, err := Apply(before.State, e.Command)
	if err != nil {
		return fmt.Errorf("the rules don't allow it: %w", err)
	}
	return sameJSON("the state", e.State, want)
}

// sameJSON compares what two values are stored as.
func sameJSON(what string, observed, want any) error {
	a, err := json.Marshal(observed)
	if err != nil {
		return err
	}
	b, err := json.Marshal(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%s isn't what the command makes of the one before", what)
	}
	return nil
}

// verifyChain walks a chain. For each entry judge gives the previous hash that it holds, or what is wrong with it.
func verifyChain(ctx context.Context, c *chain, o VerifyOptions, judge func(link) (previous string, problem error)) (Verification, error) {
	var v Verification
	hash, headHash := "", ""
	for seq := int64(1); seq <= maxSeq; seq++ {
		raw, _, err := objectstore.ReadAll(ctx, c.store, c.key(seq), maxEntry) // not get: a problem must not end the walk
		if errors.Is(err, objectstore.ErrNotFound) {
			break
		}
		var large *objectstore.TooLarge
		if err != nil && !errors.As(err, &large) {
			return v, err
		}
		at := link{seq: seq, raw: raw, hash: hashOf(raw)}
		previous, problem := judge(at)
		if problem != nil {
			v.problem(c.key(seq), "%v", problem)
		} else if previous != hash {
			v.problem(c.key(seq), "follows %s, the entry before it is %s", previous, hash)
		}
		hash = at.hash
		if seq == o.Head {
			headHash = hash
		}
		v.Entries, v.HeadSeq, v.HeadHash = seq, seq, hash
	}
	if seen := max(o.Head, c.lastSeen().seq); v.HeadSeq < seen {
		v.problem(c.key(v.HeadSeq+1), "it is gone: the chain ends at %d, %d was seen before", v.HeadSeq, seen)
	} else if o.HeadHash != "" && o.Head > 0 && headHash != o.HeadHash {
		v.problem(c.key(o.Head), "its hash is %s, want %s", headHash, o.HeadHash)
	}
	return v, c.strays(ctx, &v)
}

// strays reports what lies in the chain's folder and isn't part of it: entries behind a hole, most of all. Entries
// without a hole before them were appended while we read.
func (c *chain) strays(ctx context.Context, v *Verification) error {
	end := v.HeadSeq
	return c.store.List(ctx, c.prefix, func(info objectstore.Info) error {
		var seq int64
		_, err := fmt.Sscanf(strings.TrimPrefix(info.Key, c.prefix), "%d.json", &seq)
		switch {
		case err != nil || c.key(seq) != info.Key:
			v.problem(info.Key, "it isn't an entry")
		case seq == end+1: // listings come in the order of keys
			end = seq
		case seq > end:
			v.problem(info.Key, "it lies behind the end at %d", v.HeadSeq)
		}
		return nil
	})
}

// verifyContents checks the digests of all that a state refers to.
func (l *Ledger) verifyContents(ctx context.Context, v *Verification, s State, specs map[string]bool) error {
	store := l.chain.store
	for _, version := range s.Versions {
		m, err := OpenArtifact(ctx, store, l.model, version.Artifact)
		if err != nil {
			if err := v.absorb(artifactPrefix(l.model, version.Artifact)+manifestName, err); err != nil {
				return err
			}
			continue
		}
		v.Artifacts++
		v.Files++
		for _, name := range m.names() {
			if err := copyVerified(ctx, store, l.model, version.Artifact, name, m.Files[name], io.Discard); err != nil {
				if err := v.absorb(artifactPrefix(l.model, version.Artifact)+name, err); err != nil {
					return err
				}
				continue
			}
			v.Files++
		}
	}
	for digest := range specs {
		if _, err := ReadSpec(ctx, store, l.model, digest); err != nil {
			if err := v.absorb(specKey(l.model, digest), err); err != nil {
				return err
			}
			continue
		}
		v.Files++
	}
	return nil
}

// absorb makes a problem of an error that says that something is wrong with what is stored, and passes on one that
// says that it couldn't be read.
func (v *Verification) absorb(object string, err error) error {
	var broken *Broken
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		v.problem(object, "it is missing")
	case errors.As(err, &broken):
		v.Problems = append(v.Problems, broken.Error())
	default:
		return err
	}
	return nil
}
