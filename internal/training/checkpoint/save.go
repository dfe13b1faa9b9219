//go:build unix

package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// reports bounds how many reported steps are remembered with their time.
const reports = 4096

// errMoving says that a file changed while it was copied: the next look finds it as it then is.
var errMoving = errors.New("checkpoint folder: changed while it was read")

// Saver keeps the checkpoints of one attempt. Fill it in, then Run and Last; the rest is safe for concurrent use.
type Saver struct {
	Store   objectstore.Putter
	Prefix  string // everything is written below it, with a slash at its end
	Dir     string // the folder that the program writes to
	Staging string // a folder of its own, on the same disk, where copies are uploaded from
	Origin  Origin
	Attempt int
	Token   string
	Every   time.Duration    // between two looks
	Now     func() time.Time // the machine's clock, that of the files
	Trouble func(error)      // told what couldn't be kept, once for each text; may be nil
	Kept    func()           // told of each checkpoint that was stored; may be nil

	mu    sync.Mutex
	steps []reported
	saved *Manifest

	kept   [slots]*Manifest
	last   look // the newest that was kept, or that the attempt started with
	before look // the look before
	told   string
}

// reported is a step that the program told of.
type reported struct {
	at   time.Time
	step int
}

// Start takes the folder as it is for what needs no keeping: an earlier attempt left it at that step.
func (s *Saver) Start(step int) error {
	l, err := take(s.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.last, s.before = l, l
	s.Report(step)
	return nil
}

// Report takes a step that the program told of.
func (s *Saver) Report(step int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.steps) == reports {
		s.steps = append(s.steps[:0], s.steps[reports/2:]...)
	}
	s.steps = append(s.steps, reported{s.Now(), step})
}

// Newest is the newest checkpoint that is stored; nil: none of this attempt.
func (s *Saver) Newest() *Manifest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved
}

// Run keeps complete checkpoints until ctx ends.
func (s *Saver) Run(ctx context.Context) {
	ticks := time.NewTicker(s.Every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		s.tell(ctx, s.look(ctx))
	}
}

// tell says what went wrong, once. What was interrupted, or found a file moving, is tried again without a word.
func (s *Saver) tell(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, errMoving) || err.Error() == s.told || s.Trouble == nil {
		return
	}
	s.told = err.Error()
	s.Trouble(err)
}

// look keeps the folder if it is complete. A program that is faster than one look is looked at again at once.
func (s *Saver) look(ctx context.Context) error {
	const tries = 3
	before := s.before
	for try := 1; ; try++ {
		now, err := take(s.Dir)
		if err != nil {
			return err
		}
		set, ok := complete(before, now)
		s.before = now
		if !ok {
			return nil
		}
		if err := s.keep(ctx, set); !errors.Is(err, errMoving) || try == tries {
			return err
		}
	}
}

// Last keeps what the program left, after its end and after Run's. What it wrote until then is complete if it ended in
// order; else only what nobody had touched for a while.
func (s *Saver) Last(ctx context.Context, inOrder bool) error {
	now, err := take(s.Dir)
	if err != nil {
		return err
	}
	if !inOrder && (!now.same(s.before) || s.Now().Sub(now.newest()) < s.Every) {
		return nil
	}
	return s.keep(ctx, now)
}

// keep stores a complete set unless it is stored.
func (s *Saver) keep(ctx context.Context, set look) error {
	if len(set) == 0 || set.same(s.last) {
		return nil
	}
	defer func() { _ = os.RemoveAll(s.Staging) }()
	entries, err := s.stage(set)
	if err != nil {
		return err
	}
	m, fresh := s.plan(set, entries)
	for i, e := range m.Files {
		if !fresh[e.Blob] {
			continue
		}
		delete(fresh, e.Blob)
		if err := s.upload(ctx, blobKey(s.Prefix, e.Blob), s.staged(i)); err != nil {
			return fmt.Errorf("checkpoint %s: %w", e.Path, err)
		}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	slot := m.Sequence % slots
	if _, err := s.Store.Put(ctx, manifestKey(s.Prefix, slot), bytes.NewReader(raw), int64(len(raw))); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	s.kept[slot], s.last = m, set
	s.mu.Lock()
	s.saved = m
	s.mu.Unlock()
	if s.Kept != nil {
		s.Kept()
	}
	return nil
}

// plan makes the manifest of a set: bytes that a kept checkpoint holds aren't stored again, and what no kept one holds
// is written over. fresh are the blobs to write.
func (s *Saver) plan(set look, entries []Entry) (m *Manifest, fresh map[string]bool) {
	known, used, sequence := map[string]string{}, map[string]bool{}, 0
	for _, k := range s.kept {
		if k == nil {
			continue
		}
		sequence = max(sequence, k.Sequence)
		for _, e := range k.Files {
			known[e.SHA256], used[e.Blob] = e.Blob, true
		}
	}
	fresh = map[string]bool{}
	next := 0
	for i, e := range entries {
		blob, ok := known[e.SHA256]
		for !ok {
			blob = fmt.Sprintf("%06d", next)
			next++
			if ok = !used[blob]; ok {
				used[blob], fresh[blob], known[e.SHA256] = true, true, blob
			}
		}
		entries[i].Blob = blob
	}
	m = &Manifest{
		Version: manifestVersion, Origin: s.Origin, Attempt: s.Attempt, Token: s.Token, Sequence: sequence + 1,
		Step: s.stepOf(set), At: s.Now().UTC(), Files: entries,
	}
	return m, fresh
}

// stepOf is the step of a set: what its names say, else the last that the program had told of when it wrote the newest
// file.
func (s *Saver) stepOf(set look) int {
	if step, ok := set.step(); ok {
		return step
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	step, written := 0, set.newest()
	for i, r := range s.steps {
		if i > 0 && r.at.After(written) {
			break
		}
		step = r.step
	}
	return step
}

func (s *Saver) staged(i int) string { return filepath.Join(s.Staging, strconv.Itoa(i)) }

// stage copies a set, so that the program may go on writing while it is uploaded. All files are opened before the first
// is read: one that is then replaced by another under its name stays readable, and one that is written to is noticed.
func (s *Saver) stage(set look) ([]Entry, error) {
	if err := os.MkdirAll(s.Staging, 0o700); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	files := make([]*os.File, 0, len(set))
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for _, f := range set {
		in, err := root.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe by that name blocks nobody
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errMoving, err)
		}
		files = append(files, in)
		if !unchanged(in, f) {
			return nil, errMoving
		}
	}
	entries := make([]Entry, len(set))
	for i, f := range set {
		digest, err := copied(files[i], f, s.staged(i))
		if err != nil {
			return nil, err
		}
		entries[i] = Entry{Path: f.path, Size: f.size, SHA256: digest, Modified: f.modified.UTC(), Mode: uint32(f.mode)}
	}
	for i, f := range set {
		if !unchanged(files[i], f) {
			return nil, errMoving
		}
	}
	return entries, nil
}

// unchanged says that an open file is the one that was seen, and as it was.
func unchanged(file *os.File, f seen) bool {
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular() && sight(f.path, info).same(f)
}

// copied copies a file and gives the digest of what it held.
func copied(in io.Reader, f seen, to string) (digest string, err error) {
	out, err := os.Create(to)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	hash := sha256.New()
	_, err = io.CopyN(io.MultiWriter(out, hash), in, f.size)
	if closing := out.Close(); err == nil {
		err = closing
	}
	switch {
	case errors.Is(err, io.EOF):
		return "", errMoving
	case err != nil:
		return "", fmt.Errorf("checkpoint %s: %w", f.path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func (s *Saver) upload(ctx context.Context, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = s.Store.Put(ctx, key, f, info.Size())
	return err
}
