package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// The keys that Probe uses. The first is written once in a bucket's life; the second never is.
const (
	probeKey  = "probe/conditional-write"
	absentKey = "probe/absent"
)

// Probe refuses a store on which a ledger wouldn't be safe: one that lets a second conditional write through, or
// that can't say that a key holds nothing. Run it at start; it leaves one small object behind, always the same.
func Probe(ctx context.Context, store Store) error {
	mark := []byte("leanloop writes this once, to see that a second conditional write is refused\n")
	if err := probeCreate(ctx, store, mark); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("probe of the object store: %w", err)
	}
	switch err := probeCreate(ctx, store, mark); {
	case err == nil:
		return fmt.Errorf("probe of the object store: a second write of %s with If-None-Match succeeded, want 412: "+
			"this store can't keep a ledger", probeKey)
	case !errors.Is(err, ErrExists):
		return fmt.Errorf("probe of the object store: %w", err)
	}
	if _, _, err := ReadAll(ctx, store, probeKey, 1<<10); err != nil {
		return fmt.Errorf("probe of the object store: read what was written: %w", err)
	}
	if _, _, err := ReadAll(ctx, store, absentKey, 1<<10); !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("probe of the object store: a key that holds nothing must answer NoSuchKey, got: %w "+
			"(on S3 this needs the permission s3:ListBucket)", orPresent(err))
	}
	return nil
}

func probeCreate(ctx context.Context, store Putter, mark []byte) error {
	_, err := store.Create(ctx, probeKey, bytes.NewReader(mark), int64(len(mark)))
	return err
}

// orPresent gives a nil error words.
func orPresent(err error) error {
	if err == nil {
		return fmt.Errorf("an object at %s", absentKey)
	}
	return err
}
