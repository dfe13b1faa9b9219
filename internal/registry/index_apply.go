package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// maxRefusals is how many of the newest refusals an index shows. Which objects were decided is never forgotten.
const maxRefusals = 256

// What a spec says about a second file for a covered period (data.on_redelivery).
const (
	RedeliveryRefuse    = "refuse"
	RedeliverySupersede = "supersede"
)

// FileRef is one accepted file.
type FileRef struct {
	SHA256     string    `json:"sha256"`
	Source     string    `json:"source"` // s3://bucket/key
	ETag       string    `json:"etag,omitempty"`
	VersionID  string    `json:"version_id,omitempty"`
	Rows       int       `json:"rows"`
	Bytes      int64     `json:"bytes"`
	From       time.Time `json:"from,omitzero"` // event times of its rows, both included; zero without a time column
	To         time.Time `json:"to,omitzero"`
	AcceptedAt time.Time `json:"accepted_at"`
}

// Refusal is one file that didn't pass.
type Refusal struct {
	Source    string    `json:"source"`
	ETag      string    `json:"etag,omitempty"`
	VersionID string    `json:"version_id,omitempty"`
	SHA256    string    `json:"sha256,omitempty"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

// What was decided on a file.
const (
	DecisionAccepted  = "accepted"
	DecisionRefused   = "refused"
	DecisionDuplicate = "duplicate" // another object with the content of an accepted file
)

// Decision is one file and what was decided on it.
type Decision struct {
	Kind         string         `json:"kind"`
	File         *FileRef       `json:"file,omitempty"` // accepted, duplicate
	OnRedelivery string         `json:"on_redelivery,omitempty"`
	Contract     *spec.Contract `json:"contract,omitempty"` // that the file was inferred to have
	Refusal      *Refusal       `json:"refusal,omitempty"`
}

// IndexState is a data set after a decision.
type IndexState struct {
	Dataset  string         `json:"dataset"`
	Seq      int64          `json:"seq"`
	Files    []FileRef      `json:"files,omitempty"`    // accepted and not superseded, in the order of acceptance
	Refused  []Refusal      `json:"refused,omitempty"`  // the last 256, oldest first
	Contract *spec.Contract `json:"contract,omitempty"` // pinned by the first accepted file when the spec has none
	Decided  []string       `json:"decided,omitempty"`  // objects looked at, each as 16 hex digits, sorted
	Keys     []KeySeq       `json:"keys,omitempty"`     // of the last 256 entries
}

// File finds an accepted file by its content.
func (s IndexState) File(sha256 string) (FileRef, bool) {
	i := slices.IndexFunc(s.Files, func(f FileRef) bool { return f.SHA256 == sha256 })
	if i < 0 {
		return FileRef{}, false
	}
	return s.Files[i], true
}

// Rows is the number of rows of the accepted files.
func (s IndexState) Rows() int {
	sum := 0
	for _, f := range s.Files {
		sum += f.Rows
	}
	return sum
}

// Seen tells whether an object was decided on: accepted (even if superseded since), refused or found a duplicate.
// Listings have no version ids, so the ETag decides, and the version only where there is no ETag.
func (s IndexState) Seen(source, etag, versionID string) bool {
	_, found := slices.BinarySearch(s.Decided, objectID(source, etag, versionID))
	return found
}

// objectID is short, since an index keeps one for every object for ever: 64 bits of a digest.
func objectID(source, etag, versionID string) string {
	mark := "etag\n" + etag
	if etag == "" {
		mark = "version\n" + versionID
	}
	sum := sha256.Sum256([]byte(source + "\n" + mark))
	return hex.EncodeToString(sum[:8])
}

// applyDecision is the index's rule book: the state after a decision, or why there is none. Pure, like Apply.
func applyDecision(s IndexState, key string, d Decision) (IndexState, error) {
	refuse := func(reason string) (IndexState, error) {
		return IndexState{}, &Refused{Subject: s.Dataset, Key: key, Reason: reason}
	}
	if key == "" || len(key) > maxKeyLen {
		return refuse(fmt.Sprintf("key of %d bytes, want 1 to %d", len(key), maxKeyLen))
	}
	if seq, ok := findKey(s.Keys, key); ok {
		return refuse(fmt.Sprintf("the key was applied already, as entry %d", seq))
	}
	if err := d.check(); err != nil {
		return refuse(err.Error())
	}
	next := s
	next.Seq++
	next.Keys = addKey(s.Keys, key, next.Seq)
	switch d.Kind {
	case DecisionRefused:
		next.decide(d.Refusal.Source, d.Refusal.ETag, d.Refusal.VersionID)
		next.Refused = append(slices.Clone(s.Refused), *d.Refusal)
		if over := len(next.Refused) - maxRefusals; over > 0 {
			next.Refused = next.Refused[over:]
		}
	case DecisionDuplicate:
		if _, ok := s.File(d.File.SHA256); !ok {
			return refuse(fmt.Sprintf("%s duplicates no accepted file", d.File.Source))
		}
		next.decide(d.File.Source, d.File.ETag, d.File.VersionID)
	case DecisionAccepted:
		if err := next.accept(key, d); err != nil {
			return IndexState{}, err
		}
	}
	return next, nil
}

// accept adds a file, unless another covers its period and may not be superseded.
func (s *IndexState) accept(key string, d Decision) error {
	f := *d.File
	if have, ok := s.File(f.SHA256); ok {
		return &Refused{Subject: s.Dataset, Key: key, Reason: fmt.Sprintf("%s was accepted already, as %s", f.Source, have.Source)}
	}
	if err := s.pin(key, d.Contract); err != nil {
		return err
	}
	kept := make([]FileRef, 0, len(s.Files)+1)
	for _, other := range s.Files {
		switch {
		case !covers(other, f):
			kept = append(kept, other)
		case d.OnRedelivery != RedeliverySupersede:
			return &Refused{Subject: s.Dataset, Key: key, Reason: fmt.Sprintf(
				"%s covers %s, which %s covers already (%s): data.on_redelivery is %q",
				f.Source, f.period(), other.Source, other.period(), RedeliveryRefuse)}
		}
	}
	s.Files = append(kept, f)
	s.decide(f.Source, f.ETag, f.VersionID)
	return nil
}

// pin keeps the first contract that was inferred. A file that came first elsewhere pinned its own: then this one was
// checked against the wrong contract.
func (s *IndexState) pin(key string, c *spec.Contract) error {
	if c == nil {
		return nil
	}
	if s.Contract == nil {
		s.Contract = c
		return nil
	}
	pinned, err := json.Marshal(s.Contract)
	if err != nil {
		return err
	}
	offered, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if string(pinned) != string(offered) {
		return &Conflict{Model: s.Dataset, Key: key, What: "contract",
			Observed: "pinned as " + hashOf(pinned)[:12], Expected: "as inferred " + hashOf(offered)[:12]}
	}
	return nil
}

// decide remembers an object for ever.
func (s *IndexState) decide(source, etag, versionID string) {
	id := objectID(source, etag, versionID)
	if at, found := slices.BinarySearch(s.Decided, id); !found {
		s.Decided = slices.Insert(slices.Clone(s.Decided), at, id)
	}
}

// covers tells whether two files stand for the same data: their periods share more than an end, or, where one has no
// event times, they are the same object.
func covers(a, b FileRef) bool {
	if a.From.IsZero() || b.From.IsZero() {
		return a.Source == b.Source
	}
	if a.From.Equal(a.To) || b.From.Equal(b.To) { // a single instant: any touch is the whole of it
		return !a.From.After(b.To) && !b.From.After(a.To)
	}
	return a.From.Before(b.To) && b.From.Before(a.To)
}

func (f FileRef) period() string {
	if f.From.IsZero() {
		return "the object"
	}
	return stamp(f.From) + " to " + stamp(f.To)
}

// normal is the decision as it is stored: times in UTC.
func (d Decision) normal() Decision {
	if d.File != nil {
		f := *d.File
		f.From, f.To, f.AcceptedAt = f.From.Round(0).UTC(), f.To.Round(0).UTC(), f.AcceptedAt.Round(0).UTC()
		d.File = &f
	}
	if d.Refusal != nil {
		r := *d.Refusal
		r.At = r.At.Round(0).UTC()
		r.Reason = clip(r.Reason, maxText)
		d.Refusal = &r
	}
	return d
}

// at is when it was decided.
func (d Decision) at() time.Time {
	if d.File != nil {
		return d.File.AcceptedAt
	}
	return d.Refusal.At
}

// check refuses what is malformed in any state.
func (d Decision) check() error {
	switch d.Kind {
	case DecisionAccepted, DecisionDuplicate:
		if d.File == nil || d.Refusal != nil {
			return fmt.Errorf("kind %s needs a file and nothing else", d.Kind)
		}
		return d.File.check()
	case DecisionRefused:
		if d.Refusal == nil || d.File != nil || d.Contract != nil {
			return fmt.Errorf("kind %s needs a refusal and nothing else", d.Kind)
		}
		if d.Refusal.Source == "" || d.Refusal.Reason == "" || d.Refusal.At.IsZero() {
			return fmt.Errorf("refusal of %q at %v for %q: each is needed", d.Refusal.Source, d.Refusal.At, d.Refusal.Reason)
		}
		return nil
	}
	return fmt.Errorf("kind %q: want %s, %s or %s", d.Kind, DecisionAccepted, DecisionRefused, DecisionDuplicate)
}

func (f FileRef) check() error {
	if err := checkDigest("file", f.SHA256); err != nil {
		return err
	}
	switch {
	case f.Source == "" || len(f.Source) > 2048:
		return fmt.Errorf("source of %d bytes, want 1 to 2048", len(f.Source))
	case f.Rows < 0 || f.Bytes < 0:
		return fmt.Errorf("%s: %d rows, %d bytes", f.Source, f.Rows, f.Bytes)
	case f.AcceptedAt.IsZero():
		return errors.New(f.Source + ": no time of acceptance")
	case f.From.IsZero() != f.To.IsZero() || f.To.Before(f.From):
		return fmt.Errorf("%s: events from %s to %s", f.Source, stamp(f.From), stamp(f.To))
	}
	return nil
}

// clip shortens a text to n bytes at most, at the start of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}
