// Package activities is what touches the world: each stage of a lifecycle as a struct with its ports as fields. An
// activity decodes its input, calls the package that knows, types errors and beats. It never decides what a workflow
// does next, and never imports one.
//
// Inputs and outputs travel through Temporal: they are names, digests and counts, bounded in size and without NaN. Data
// stays in the bucket.
package activities

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training/setup"
)

// Lake is the bucket and what is kept of it on this worker: ledgers' heads, parsed specs, and the rows of the snapshot
// that was used last, since a run's stages read the same rows one after the other. It is shared by the activities of
// one process and safe for concurrent use.
type Lake struct {
	Store   objectstore.Store
	Landing objectstore.Buckets
	Scratch string // folder for temporary files; "" : the system's
	Now     func() time.Time
	Loader  *inference.Loader // of versions; nil: of the formats that are scored in Go
	// Build says which code of ours runs: what it makes by itself isn't taken for what other code would make.
	Build string
	// Environments keeps what train.setup makes; nil: this worker runs no program that has one.
	Environments *setup.Cache

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

// Spec reads an applied spec by its digest. It is shared: nobody writes to it.
func (l *Lake) Spec(ctx context.Context, model, digest string) (*spec.Model, error) {
	key := model + "/" + digest
	l.mu.Lock()
	known := l.specs[key]
	l.mu.Unlock()
	if known != nil {
		return known, nil
	}
	raw, err := registry.ReadSpec(ctx, l.Store, model, digest)
	if err != nil {
		return nil, ledgerError(lost(err))
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
	l.specs[key] = m
	return m, nil
}

// contract is what a model's files are held to: the spec's, else the one that the first accepted file pinned; nil where
// there is neither yet.
func (l *Lake) contract(ctx context.Context, m *spec.Model) (*spec.Contract, error) {
	if m.Data.Contract != nil {
		return m.Data.Contract, nil
	}
	head, err := l.Index(m.Metadata.Name).Head(ctx)
	if err != nil {
		return nil, ledgerError(err)
	}
	return head.State.Contract, nil
}

// scratch makes a private folder that the caller removes.
func (l *Lake) scratch(purpose string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(l.Scratch, "leanloop-"+purpose+"-*")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}
