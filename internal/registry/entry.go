package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Format is the version of an entry's fields and of Apply's rules. Raise it when either changes: Verify replays
// only entries of its own format, and writers refuse to append behind one of a newer one, whose fields they would
// lose. A Follower goes on: see MinReader.
const Format = 1

// Entry is one decision that stands, and the state after it.
type Entry struct {
	Format    int       `json:"format"`
	MinReader int       `json:"min_reader,omitempty"` // a Follower of a lower FollowFormat must not go by it; 0: any may
	Seq       int64     `json:"seq"`
	Time      time.Time `json:"time"`
	Actor     string    `json:"actor"`
	Via       string    `json:"via,omitempty"`
	Key       string    `json:"key"`
	Command   Command   `json:"command"`  // stored without the four fields above
	Previous  string    `json:"previous"` // sha256 (hex) of the stored bytes of the entry before; "" for the first
	State     State     `json:"state"`

	Hash     string `json:"-"` // sha256 (hex) of its own stored bytes
	Replayed bool   `json:"-"` // it was there already when Do was asked
}

// stored is the entry without what it would say twice.
func (e Entry) stored() Entry {
	e.Command.Time, e.Command.Actor, e.Command.Via, e.Command.Key = time.Time{}, "", "", ""
	return e
}

// decodeEntry reads stored bytes strictly: an unknown field, an impossible state, or anything after the entry is an
// error, never skipped.
func decodeEntry(raw []byte) (Entry, error) {
	var e Entry
	if err := decodeStrict(raw, &e); err != nil {
		return Entry{}, err
	}
	if e.Seq < 1 || e.State.Seq != e.Seq {
		return Entry{}, fmt.Errorf("sequence %d with a state of sequence %d", e.Seq, e.State.Seq)
	}
	if c := e.Command; !c.Time.IsZero() || c.Actor != "" || c.Via != "" || c.Key != "" {
		return Entry{}, errors.New("the command repeats time, actor, via or key of the entry")
	}
	if (e.Previous == "") != (e.Seq == 1) {
		return Entry{}, fmt.Errorf("entry %d with previous hash %q", e.Seq, e.Previous)
	}
	e.Command.Time, e.Command.Actor, e.Command.Via, e.Command.Key = e.Time, e.Actor, e.Via, e.Key
	if err := e.State.check(); err != nil {
		return Entry{}, fmt.Errorf("impossible state: %w", err)
	}
	e.Hash = hashOf(raw)
	return e, nil
}

// encode gives the bytes to store, and refuses an entry that its readers would refuse.
func encode(entry any) ([]byte, error) {
	raw, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("encode the entry: %w", err)
	}
	if len(raw) > maxEntry {
		return nil, fmt.Errorf("the entry would have %d bytes > limit %d", len(raw), maxEntry)
	}
	return raw, nil
}

// decodeStrict reads exactly one JSON object of a format that this program knows.
func decodeStrict(raw []byte, into any) error {
	var probe struct{ Format int }
	if err := json.Unmarshal(raw, &probe); err != nil { // this also refuses anything after the object
		return fmt.Errorf("not JSON: %w", err)
	}
	if probe.Format != Format {
		return fmt.Errorf("format %d, this program knows %d: was it written by another release?", probe.Format, Format)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
