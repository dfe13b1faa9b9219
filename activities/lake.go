// Package activities touches the world on behalf of workflows: it reads and writes the bucket, trains, measures and
// tells people. Each stage is a struct with its ports as fields. An activity decodes, calls a package under internal/,
// maps errors and heartbeats; it is idempotent under its key, since it may run more than once.
//
// It never imports workflows, and of the ports' packages it uses the interfaces only: a main package chooses providers.
package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Limits of what is read whole into memory.
const (
	maxJSON  = 16 << 20
	maxModel = 512 << 20
)

// Lake is the bucket and what is kept of it on this worker: ledgers' heads, parsed specs, and the rows of the snapshot
// that was used last, since a run's stages read the same rows one after the other. It is shared by the activities of
// one process and safe for concurrent use.
type Lake struct {
	Store   objectstore.Store
	Landing objectstore.Buckets
	Scratch string // folder for temporary files; "" : the system's
	Now     func() time.Time

	mu      sync.Mutex
	ledgers map[string]*registry.Ledger
	specs   map[string]*spec.Model
	rows    *rowCache
}

// Ledger is a model's ledger, the same one each time, so that it remembers the highest head it has seen.
func (l *Lake) Ledger(model string) *registry.Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ledgers == nil {
		l.ledgers = map[string]*registry.Ledger{}
	}
	if l.ledgers[model] == nil {
		l.ledgers[model] = registry.NewLedger(l.Store, model)
	}
	return l.ledgers[model]
}

// Index is the index of a model's data set.
func (l *Lake) Index(model string) *registry.Index { return registry.NewIndex(l.Store, model) }

// Spec reads an applied spec by its digest.
func (l *Lake) Spec(ctx context.Context, model, digest string) (*spec.Model, error) {
	l.mu.Lock()
	known := l.specs[digest]
	l.mu.Unlock()
	if known != nil {
		return known, nil
	}
	raw, err := registry.ReadSpec(ctx, l.Store, model, digest)
	if err != nil {
		return nil, err
	}
	m, err := spec.Parse("spec "+digest, raw)
	if err != nil {
		return nil, permanent(ErrorSpec, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.specs == nil {
		l.specs = map[string]*spec.Model{}
	}
	l.specs[digest] = m
	return m, nil
}

// scratch makes a private folder that the caller removes.
func (l *Lake) scratch(purpose string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(l.Scratch, "leanloop-"+purpose+"-*")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// putJSON stores v under prefix by the digest of its bytes, so that a retry writes the same object or another one, never
// half of each.
func putJSON(ctx context.Context, store objectstore.Putter, prefix string, v any) (key string, d FileDigest, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", d, err
	}
	d = digestOf(raw)
	key = prefix + d.SHA256 + ".json"
	return key, d, create(ctx, store, key, raw)
}

// create writes an object that may exist already with the same content.
func create(ctx context.Context, store objectstore.Putter, key string, raw []byte) error {
	_, err := store.Create(ctx, key, bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, objectstore.ErrExists) {
		return nil
	}
	return err
}

func getJSON(ctx context.Context, store objectstore.Getter, key string, v any) error {
	raw, _, err := objectstore.ReadAll(ctx, store, key, maxJSON)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return permanent(ErrorCorrupt, fmt.Errorf("%s: %w", key, err))
	}
	return nil
}

// getVerified reads an object and refuses bytes that aren't the ones that were written.
func getVerified(ctx context.Context, store objectstore.Getter, key string, want FileDigest) ([]byte, error) {
	raw, _, err := objectstore.ReadAll(ctx, store, key, maxModel)
	if err != nil {
		return nil, err
	}
	if got := digestOf(raw); got != want {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("%s: digest %.12s of %d bytes, want %.12s of %d", key, got.SHA256, got.Size, want.SHA256, want.Size))
	}
	return raw, nil
}

func digestOf(raw []byte) FileDigest {
	sum := sha256.Sum256(raw)
	return FileDigest{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(raw))}
}

// upload stores a finished file once and returns its digest.
func upload(ctx context.Context, store objectstore.Putter, key, path string) (FileDigest, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return FileDigest{}, err
	}
	return digestOf(raw), create(ctx, store, key, raw)
}

func datasetPrefix(model, digest string) string { return "datasets/" + model + "/" + digest + "/" }
func snapshotKey(model, digest string) string {
	return "datasets/" + model + "/snapshots/" + digest + ".json"
}
func runPrefix(model string, n int) string { return fmt.Sprintf("runs/%s/%012d/", model, n) }

// rowCache holds the prepared rows of one snapshot.
type rowCache struct {
	key   string
	ready chan struct{} // closed once rows or err is set
	rows  *snapshotRows
	err   error
}

// snapshotRows is a snapshot, read, cleaned and split.
type snapshotRows struct {
	Snapshot dataset.Snapshot
	Prepared *dataset.Prepared
	Parts    *dataset.Parts
	Features []string
}

// rowsOf reads a snapshot's rows; those used last are kept. Bad data is a permanent error.
func (l *Lake) rowsOf(ctx context.Context, m *spec.Model, snapshot, specDigest string, asOf time.Time, beat func(any)) (*snapshotRows, error) {
	key := snapshot + "/" + specDigest + "/" + asOf.Format(time.RFC3339Nano)
	for {
		l.mu.Lock()
		c := l.rows
		if c == nil || c.key != key {
			c = &rowCache{key: key, ready: make(chan struct{})}
			l.rows = c
			l.mu.Unlock()
			c.rows, c.err = l.readRows(ctx, m, snapshot, asOf, beat)
			close(c.ready)
			if c.err != nil {
				l.forget(c)
			}
			return c.rows, c.err
		}
		l.mu.Unlock()
		select {
		case <-c.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if c.err == nil {
			return c.rows, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l.forget(c) // another reader failed, perhaps only because it was cancelled: try for ourselves
	}
}

func (l *Lake) forget(c *rowCache) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == c {
		l.rows = nil
	}
}

func (l *Lake) readRows(ctx context.Context, m *spec.Model, digest string, asOf time.Time, beat func(any)) (*snapshotRows, error) {
	out := &snapshotRows{}
	if err := getJSON(ctx, l.Store, snapshotKey(m.Metadata.Name, digest), &out.Snapshot); err != nil {
		return nil, fmt.Errorf("snapshot %.12s: %w", digest, err)
	}
	if got := out.Snapshot.Digest(); got != digest {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("snapshot %.12s: its content has digest %.12s", digest, got))
	}
	contract, err := l.contract(ctx, m)
	if err != nil {
		return nil, err
	}
	tables := make([]*dataset.Table, len(out.Snapshot.Files))
	for i, f := range out.Snapshot.Files {
		if tables[i], err = l.readFile(ctx, m, contract, f, beat); err != nil {
			return nil, err
		}
	}
	all, err := dataset.Concat(tables...)
	if err != nil {
		return nil, permanent(ErrorData, err)
	}
	if out.Features, err = dataset.FeatureColumns(all, m.Data); err != nil {
		return nil, permanent(ErrorData, err)
	}
	if out.Prepared, err = dataset.Prepare(all, m.Data, asOf); err != nil {
		return nil, permanent(ErrorData, err)
	}
	if out.Parts, err = dataset.Split(out.Prepared, m.Data, m.Split); err != nil {
		return nil, permanent(ErrorData, err)
	}
	return out, nil
}

// readFile parses one accepted file and refuses bytes that aren't the accepted ones.
func (l *Lake) readFile(ctx context.Context, m *spec.Model, contract *spec.Contract, f dataset.SnapshotFile, beat func(any)) (*dataset.Table, error) {
	body, _, err := l.Store.Get(ctx, datasetPrefix(m.Metadata.Name, f.SHA256)+"data")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Source, err)
	}
	defer func() { _ = body.Close() }()
	t, info, report, err := dataset.Read(ctx, body, dataset.ReadOptions{
		Name: f.Source, Format: formatOf(m, f.Source), Contract: contract,
		Progress: func(rows int, _ int64) { beat(map[string]any{"file": f.Source, "rows": rows}) },
	})
	if err != nil {
		return nil, readError(f.Source, err)
	}
	if err := report.Error(); err != nil {
		// Accepted under an earlier contract: under this one its cells would silently become nulls.
		return nil, permanent(ErrorData, fmt.Errorf("%s was accepted under another contract: %w", f.Source, err))
	}
	if info.SHA256 != f.SHA256 {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("%s: digest %.12s, accepted was %.12s", f.Source, info.SHA256, f.SHA256))
	}
	return t, nil
}

// contract is what a model's files are held to: the spec's, else the one that the first accepted file pinned; nil where
// there is neither yet.
func (l *Lake) contract(ctx context.Context, m *spec.Model) (*spec.Contract, error) {
	if m.Data.Contract != nil {
		return m.Data.Contract, nil
	}
	head, err := l.Index(m.Metadata.Name).Head(ctx)
	if err != nil {
		return nil, err
	}
	return head.State.Contract, nil
}

// formatOf is the spec's format, or what the object's name says.
func formatOf(m *spec.Model, name string) string {
	if m.Data.Format != "" {
		return m.Data.Format
	}
	switch filepath.Ext(name) {
	case ".gz":
		return "csv.gz"
	case ".zst":
		return "csv.zst"
	default:
		return "csv"
	}
}
