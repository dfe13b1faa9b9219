//go:build unix

package checkpoint

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"time"
)

// manifestVersion is that of the manifests which this package writes and reads.
const manifestVersion = 1

// Origin is what a checkpoint belongs to: another run's, or one of other rows or another spec, is never gone on with.
type Origin struct {
	Run      string `json:"run"`      // the lifecycle
	Snapshot string `json:"snapshot"` // digest
	Spec     string `json:"spec"`     // digest
}

// Manifest is a checkpoint: without it its files are nothing.
type Manifest struct {
	Version int `json:"version"`
	Origin
	Attempt  int       `json:"attempt"`
	Token    string    `json:"token"`
	Sequence int       `json:"sequence"` // within its attempt, from 1
	Step     int       `json:"step"`
	At       time.Time `json:"at"`
	Files    []Entry   `json:"files"`
}

// Entry is a file of a checkpoint.
type Entry struct {
	Path     string    `json:"path"`
	Size     int64     `json:"size"` // bytes
	SHA256   string    `json:"sha256"`
	Modified time.Time `json:"modified"`
	Mode     uint32    `json:"mode"` // permissions
	Blob     string    `json:"blob"` // the object that holds its bytes, below files/
}

// newer orders checkpoints: by step, then by attempt and sequence.
func (m *Manifest) newer(other *Manifest) bool {
	switch {
	case m.Step != other.Step:
		return m.Step > other.Step
	case m.Attempt != other.Attempt:
		return m.Attempt > other.Attempt
	default:
		return m.Sequence > other.Sequence
	}
}

var (
	blobName = regexp.MustCompile(`^[0-9]{6}$`)
	sha256ed = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// validate refuses a manifest that isn't of this origin, or that would write outside of its folder.
func (m *Manifest) validate(of Origin) error {
	switch {
	case m.Version != manifestVersion:
		return fmt.Errorf("version %d, want %d", m.Version, manifestVersion)
	case m.Origin != of:
		return fmt.Errorf("it is of %+v, want %+v", m.Origin, of)
	case len(m.Files) == 0 || len(m.Files) > MaxFiles:
		return fmt.Errorf("%d files, want 1 to %d", len(m.Files), MaxFiles)
	case m.Step < 0 || m.Sequence < 1:
		return fmt.Errorf("step %d, sequence %d", m.Step, m.Sequence)
	}
	taken, size := map[string]bool{}, int64(0)
	for _, e := range m.Files {
		size += e.Size
		switch {
		case len(e.Path) > maxPath || !filepath.IsLocal(e.Path) || path.Clean(e.Path) != e.Path || e.Path == ".":
			return fmt.Errorf("file %.100q: no path below a folder", e.Path)
		case taken[e.Path]:
			return fmt.Errorf("file %q: twice", e.Path)
		case e.Size < 0 || size > MaxBytes:
			return fmt.Errorf("file %q: %d bytes, %d in all, want at most %d", e.Path, e.Size, size, MaxBytes)
		case !blobName.MatchString(e.Blob) || !sha256ed.MatchString(e.SHA256):
			return fmt.Errorf("file %q: blob %.20q, digest %.80q", e.Path, e.Blob, e.SHA256)
		}
		taken[e.Path] = true
	}
	return nil
}

func blobKey(prefix, blob string) string { return prefix + "files/" + blob }

// slots are how many checkpoints of an attempt are kept: the newest, and the one before in case the newest is damaged.
const slots = 2

func manifestKey(prefix string, slot int) string {
	return fmt.Sprintf("%smanifest-%d.json", prefix, slot)
}
