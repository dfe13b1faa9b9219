package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Fault is what happens to one operation on a Faulty store.
type Fault uint8

// The faults.
const (
	NoFault    Fault = iota
	FailBefore       // the request never reaches the store
	FailAfter        // the store does it, and the answer is lost: a time-out after success
	Contend          // Create only: 409, nothing written, as S3 answers when two conditional writes cross
)

// ErrInjected is at the root of every error that Faulty makes up.
var ErrInjected = errors.New("injected time-out")

// Faulty is a Store whose operations fail by plan.
type Faulty struct {
	inner Store
	plan  func(op, key string) Fault
}

// NewFaulty wraps inner. Plan is called once per operation (get, stat, create, put, list, folders), concurrently
// if the store is used so.
func NewFaulty(inner Store, plan func(op, key string) Fault) *Faulty {
	return &Faulty{inner: inner, plan: plan}
}

// around runs one operation within its fault.
func (f *Faulty) around(op, key string, do func() error) error {
	switch f.plan(op, key) {
	case FailBefore:
		return unreachable(op, key, ErrInjected)
	case FailAfter:
		if err := do(); err != nil {
			return err
		}
		return unreachable(op, key, ErrInjected)
	case Contend:
		if op == "create" {
			return fmt.Errorf("create %s: %w: %w", key, ErrExists, ErrInjected)
		}
	}
	return do()
}

// Get implements Getter.
func (f *Faulty) Get(ctx context.Context, key string) (body io.ReadCloser, info Info, err error) {
	err = f.around("get", key, func() (err error) {
		body, info, err = f.inner.Get(ctx, key)
		return err
	})
	if err != nil && body != nil {
		body.Close()
		body = nil
	}
	return body, info, err
}

// Stat implements Getter.
func (f *Faulty) Stat(ctx context.Context, key string) (info Info, err error) {
	err = f.around("stat", key, func() (err error) {
		info, err = f.inner.Stat(ctx, key)
		return err
	})
	return info, err
}

// Create implements Putter.
func (f *Faulty) Create(ctx context.Context, key string, body io.ReadSeeker, size int64) (info Info, err error) {
	err = f.around("create", key, func() (err error) {
		info, err = f.inner.Create(ctx, key, body, size)
		return err
	})
	return info, err
}

// Put implements Putter.
func (f *Faulty) Put(ctx context.Context, key string, body io.ReadSeeker, size int64) (info Info, err error) {
	err = f.around("put", key, func() (err error) {
		info, err = f.inner.Put(ctx, key, body, size)
		return err
	})
	return info, err
}

// List implements Lister.
func (f *Faulty) List(ctx context.Context, prefix string, each func(Info) error) error {
	return f.around("list", prefix, func() error { return f.inner.List(ctx, prefix, each) })
}

// Folders implements Lister.
func (f *Faulty) Folders(ctx context.Context, prefix string, each func(name string) error) error {
	return f.around("folders", prefix, func() error { return f.inner.Folders(ctx, prefix, each) })
}
