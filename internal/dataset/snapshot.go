package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// SnapshotFile is one accepted file of a snapshot.
type SnapshotFile struct {
	SHA256 string    `json:"sha256"` // of the stored bytes, hex
	Source string    `json:"source"` // where it landed
	Rows   int       `json:"rows"`
	Bytes  int64     `json:"bytes"`
	From   time.Time `json:"from,omitzero"` // oldest event; zero without a time column
	To     time.Time `json:"to,omitzero"`   // newest event; zero without a time column
}

// Snapshot is what a run trains from: accepted files, in the order in which they were accepted.
type Snapshot struct {
	Dataset string         `json:"dataset"`
	Files   []SnapshotFile `json:"files"`
	Rows    int            `json:"rows"`
	From    time.Time      `json:"from,omitzero"`
	To      time.Time      `json:"to,omitzero"`
	AsOf    time.Time      `json:"as_of,omitzero"` // when the run took it: ages of rows are relative to this. Not in the digest
}

// NewSnapshot sums up files that SelectWindow chose.
func NewSnapshot(dataset string, files []SnapshotFile, asOf time.Time) Snapshot {
	s := Snapshot{Dataset: dataset, Files: files, AsOf: asOf}
	for _, f := range files {
		s.Rows += f.Rows
		if !f.From.IsZero() && (s.From.IsZero() || f.From.Before(s.From)) {
			s.From = f.From
		}
		if f.To.After(s.To) {
			s.To = f.To
		}
	}
	return s
}

// Digest names the snapshot's content: the SHA-256, hex, of a line that names this format, the data set's name, and
// the files' digests in order, one a line. Everything else about a snapshot follows from those bytes, or, like
// AsOf and where a file landed, doesn't change what is in it.
func (s Snapshot) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "leanloop-snapshot-1\n%s\n", s.Dataset)
	for _, f := range s.Files {
		fmt.Fprintln(h, f.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SelectWindow are the files whose newest event is at most w.Last before the newest event among all of them, in the
// order given. Files are taken whole. Without w.Last, or for a file without event times, there is no age to judge:
// the file is in. The reference is the newest event, never the clock, so the same files give the same snapshot on
// any day, and a data set that stopped doesn't shrink to nothing.
func SelectWindow(files []SnapshotFile, w spec.Window) []SnapshotFile {
	var newest time.Time
	for _, f := range files {
		if f.To.After(newest) {
			newest = f.To
		}
	}
	var in []SnapshotFile
	for _, f := range files {
		if w.Last <= 0 || f.To.IsZero() || !f.To.Before(newest.Add(-w.Last.D())) {
			in = append(in, f)
		}
	}
	return in
}
