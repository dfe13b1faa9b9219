package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// routingState is what routing needs of a ledger's entry. It is kept on disk, so that a gateway that starts while the
// object store is away serves what it served last.
type routingState struct {
	Model      string        `json:"model"`
	Seq        int64         `json:"seq"`
	Hash       string        `json:"hash"` // of the entry: a ledger that was rewritten is noticed after a restart too
	Epoch      int64         `json:"epoch"`
	Champion   versionRef    `json:"champion,omitzero"`
	Challenger versionRef    `json:"challenger,omitzero"`
	Weight     float64       `json:"weight"`
	LeaseUntil time.Time     `json:"lease_until,omitzero"`
	LeaseFor   time.Duration `json:"lease_for_ns,omitempty"` // the lease's length by the clock of the one who wrote it
	Spec       string        `json:"spec"`                   // digest of the applied spec; "": none
	Features   []string      `json:"features,omitempty"`     // that versions served here read, sorted
	Former     []versionRef  `json:"former,omitempty"`       // champions of before: a rollback without the store can return to them
}

type versionRef = registry.Slot

// routingOf takes over what a follower read.
func routingOf(model string, r registry.Routing) routingState {
	out := routingState{
		Model: model, Seq: r.Seq, Hash: r.Hash, Epoch: r.Epoch, Champion: r.Champion, Challenger: r.Challenger,
		Weight: r.Weight, LeaseUntil: r.LeaseUntil, Spec: r.Spec, Former: r.Former,
	}
	if !r.LeaseUntil.IsZero() {
		out.LeaseFor = max(0, r.LeaseUntil.Sub(r.Time))
	}
	return out
}

// disk is the gateway's state folder:
//
//	routes/<model>.json            the routing state that was applied last
//	overrides/<model>.json         a break-glass rollback that the ledger doesn't have yet
//	objects/models/<model>/...     artifacts and specs, under their keys in the bucket
//	predictions/<part>.rows        logged predictions that the object store doesn't have yet
type disk struct {
	dir    string
	unkept func(error) // told of each object that was to be kept: why it couldn't be, or nil
}

// maxArtifacts is how many artifacts of a model are kept on disk, beyond those in use.
const maxArtifacts = 4

func openDisk(dir string) (*disk, error) {
	d := &disk{dir: dir, unkept: func(error) {}}
	for _, sub := range []string{d.routes(), d.overrides(), d.objects(), d.rows()} {
		if err := os.MkdirAll(sub, 0o750); err != nil {
			return nil, fmt.Errorf("gateway state folder: %w", err)
		}
	}
	return d, nil
}

func (d *disk) routes() string  { return filepath.Join(d.dir, "routes") }
func (d *disk) objects() string { return filepath.Join(d.dir, "objects") }
func (d *disk) rows() string    { return filepath.Join(d.dir, "predictions") }

// models are those that have a routing state.
func (d *disk) models() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(d.routes(), "*.json"))
	if err != nil {
		return nil, fmt.Errorf("gateway state folder: %w", err)
	}
	var models []string
	for _, path := range found {
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); registry.CheckName("model", name) == nil {
			models = append(models, name)
		}
	}
	sort.Strings(models)
	return models, nil
}

// load reads a model's routing state; false if there is none.
func (d *disk) load(model string) (routingState, bool, error) {
	data, err := os.ReadFile(filepath.Join(d.routes(), model+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return routingState{}, false, nil
	}
	if err != nil {
		return routingState{}, false, fmt.Errorf("routing state of %s: %w", model, err)
	}
	var s routingState
	if err := json.Unmarshal(data, &s); err != nil {
		return routingState{}, false, fmt.Errorf("routing state of %s: %w", model, err)
	}
	if s.Model != model || s.Seq < 1 {
		return routingState{}, false, fmt.Errorf("routing state of %s: holds model %q at entry %d", model, s.Model, s.Seq)
	}
	return s, true, nil
}

// save replaces a model's routing state.
func (d *disk) save(s routingState) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("routing state of %s: %w", s.Model, err)
	}
	return writeFile(filepath.Join(d.routes(), s.Model+".json"), data)
}

// prune removes a model's artifacts that are neither in use nor among the newest.
func (d *disk) prune(model string, used ...string) error {
	dir := filepath.Join(d.objects(), "models", model, "artifacts")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("prune artifacts of %s: %w", model, err)
	}
	type unused struct {
		name  string
		since time.Time
	}
	var old []unused
	for _, e := range entries {
		inUse := false
		for _, digest := range used {
			inUse = inUse || e.Name() == digest
		}
		if info, err := e.Info(); err == nil && !inUse {
			old = append(old, unused{e.Name(), info.ModTime()})
		}
	}
	sort.Slice(old, func(i, j int) bool { return old[i].since.After(old[j].since) })
	for i := maxArtifacts; i < len(old); i++ {
		if err := os.RemoveAll(filepath.Join(dir, old[i].name)); err != nil {
			return fmt.Errorf("prune artifacts of %s: %w", model, err)
		}
	}
	return nil
}

// cachedObjects reads immutable objects from disk, else from the store, and keeps what it read if it can. It doesn't
// verify: who reads through it checks the digest, and on a mismatch reads again with refresh, past the disk.
type cachedObjects struct {
	objectstore.Store
	disk    *disk
	refresh bool
}

// maxObject bounds an object in bytes, before anything is known of its digest.
const maxObject = max(maxModelFile, maxSignatureFile)

func (d *disk) over(store objectstore.Store, refresh bool) *cachedObjects {
	return &cachedObjects{Store: store, disk: d, refresh: refresh}
}

// Get implements objectstore.Getter.
func (c *cachedObjects) Get(ctx context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	path := filepath.FromSlash(key)
	if !filepath.IsLocal(path) {
		return nil, objectstore.Info{}, fmt.Errorf("object key %q can't be kept on disk", key)
	}
	path = filepath.Join(c.disk.objects(), path)
	if !c.refresh {
		if data, err := os.ReadFile(path); err == nil {
			return io.NopCloser(bytes.NewReader(data)), objectstore.Info{Key: key, Size: int64(len(data))}, nil
		}
	}
	data, info, err := objectstore.ReadAll(ctx, c.Store, key, maxObject)
	if err != nil {
		return nil, info, err
	}
	c.disk.unkept(writeFile(path, data)) // a full disk mustn't keep a rollback from being served
	return io.NopCloser(bytes.NewReader(data)), info, nil
}

// offline is a store that isn't asked: a start mustn't wait for one that is away.
type offline struct{ objectstore.Store }

// Get implements objectstore.Getter.
func (offline) Get(_ context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	return nil, objectstore.Info{}, fmt.Errorf("%s is not on disk", key)
}

// writeFile replaces a file as a whole: a reader or a restart sees the old content or the new.
func writeFile(path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
