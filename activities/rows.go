package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// rowCache holds the prepared rows of one snapshot.
type rowCache struct {
	key   string
	ready chan struct{} // closed once rows or err is set
	rows  *snapshotRows
	err   error
}

// errNotRead is what waiters find after a panic.
var errNotRead = errors.New("rows not read")

// snapshotRows is a snapshot, read, cleaned and split. It is shared: nobody writes to it.
type snapshotRows struct {
	Snapshot dataset.Snapshot
	Prepared *dataset.Prepared
	Parts    *dataset.Parts
	Features []string
}

// rowsOf reads a snapshot's rows; those used last are kept, and of many who ask for the same at once one reads. Bad data
// is a permanent error.
func (l *Lake) rowsOf(ctx context.Context, m *spec.Model, snapshot, specDigest string, asOf time.Time, note func(any)) (*snapshotRows, error) {
	key := snapshot + "/" + specDigest + "/" + asOf.UTC().Format(time.RFC3339Nano)
	for {
		l.mu.Lock()
		c := l.rows
		if c == nil || c.key != key {
			c = &rowCache{key: key, ready: make(chan struct{})}
			l.rows = c
			l.mu.Unlock()
			l.fill(c, func() (*snapshotRows, error) { return l.readRows(ctx, m, snapshot, asOf, note) })
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
		// The one who read failed, perhaps only because it was cancelled: try for ourselves.
	}
}

// fill reads for all who wait. What couldn't be read isn't kept; whatever happens, nobody waits for ever.
func (l *Lake) fill(c *rowCache, read func() (*snapshotRows, error)) {
	c.err = errNotRead
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.err != nil && l.rows == c {
			l.rows = nil
		}
		close(c.ready)
	}()
	c.rows, c.err = read()
}

func (l *Lake) readRows(ctx context.Context, m *spec.Model, digest string, asOf time.Time, note func(any)) (*snapshotRows, error) {
	out := &snapshotRows{}
	if err := getJSON(ctx, l.Store, snapshotKey(m.Metadata.Name, digest), &out.Snapshot); err != nil {
		return nil, fmt.Errorf("snapshot %.12s: %w", digest, lost(err))
	}
	if got := out.Snapshot.Digest(); got != digest {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("snapshot %.12s: its content has digest %.12s", digest, got))
	}
	all, err := l.readFiles(ctx, m, out.Snapshot.Files, note)
	if err != nil {
		return nil, err
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

// readFiles stacks files in their order.
func (l *Lake) readFiles(ctx context.Context, m *spec.Model, files []dataset.SnapshotFile, note func(any)) (*dataset.Table, error) {
	contract, err := l.contract(ctx, m)
	if err != nil {
		return nil, err
	}
	tables := make([]*dataset.Table, len(files))
	for i, f := range files {
		if tables[i], err = l.readFile(ctx, m, contract, f, note); err != nil {
			return nil, err
		}
	}
	all, err := dataset.Concat(tables...)
	if err != nil {
		return nil, permanent(ErrorData, err)
	}
	return all, nil
}

// readFile parses one accepted file and refuses bytes that aren't the accepted ones.
func (l *Lake) readFile(ctx context.Context, m *spec.Model, contract *spec.Contract, f dataset.SnapshotFile, note func(any)) (*dataset.Table, error) {
	body, _, err := l.Store.Get(ctx, datasetPrefix(m.Metadata.Name, f.SHA256)+"data")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Source, lost(err))
	}
	defer func() { _ = body.Close() }()
	t, info, report, err := dataset.Read(ctx, body, dataset.ReadOptions{
		Name: f.Source, Format: m.Data.Format, Contract: contract, TempDir: l.Scratch,
		Progress: func(rows int, _ int64) { note(reading{File: f.Source, Rows: rows}) },
	})
	if err != nil {
		return nil, readError(f.Source, err)
	}
	if info.SHA256 != f.SHA256 {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("%s: digest %.12s, accepted was %.12s", f.Source, info.SHA256, f.SHA256))
	}
	if err := report.Error(); err != nil {
		// Accepted under an earlier contract: under this one its cells would silently become nulls.
		return nil, permanent(ErrorData, fmt.Errorf("%s was accepted under another contract: %w", f.Source, err))
	}
	return t, nil
}
