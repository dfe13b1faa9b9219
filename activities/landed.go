package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// maxLandedBytes bounds the landed files that one reading looks through for labels, oldest first: those that are left out
// label nothing until the run that accepts them.
const maxLandedBytes = 1 << 30

// landedFiles reads the files that landed after w.labelsAfter, one after the other. A model's files are accepted by its
// runs, one at a time, so those that land while a run waits for its canary are in no index yet: this looks at them where
// they lie. What the contract refuses is skipped, as the run to come will refuse it.
func (m *Monitors) landedFiles(ctx context.Context, w watched, contract *spec.Contract, note func(any), take func(name string, t *dataset.Table) error) error {
	if m.Lake.Landing == nil {
		return nil
	}
	bucket, prefix, err := objectstore.ParseURL(w.spec.Data.Prefix)
	if err != nil {
		return permanent(ErrorSpec, err)
	}
	landing := m.Lake.Landing.Bucket(bucket)
	var landed []objectstore.Info
	err = landing.List(ctx, prefix, func(i objectstore.Info) error {
		if i.Modified.After(w.labelsAfter) && i.Size > 0 && !strings.HasSuffix(i.Key, "/") {
			landed = append(landed, i)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("landed files of %s: %w", w.model, err)
	}
	slices.SortFunc(landed, func(a, b objectstore.Info) int {
		return cmp.Or(a.Modified.Compare(b.Modified), cmp.Compare(a.Key, b.Key))
	})
	left := int64(maxLandedBytes)
	for _, i := range landed {
		if left -= i.Size; left < 0 {
			return nil
		}
		t, err := m.landedFile(ctx, landing, w.spec, contract, i.Key, note)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if err := take(i.Key, t); err != nil {
			return err
		}
	}
	return nil
}

// landedFile parses one; nil where it is gone, or would be refused.
func (m *Monitors) landedFile(ctx context.Context, landing objectstore.Getter, s *spec.Model, contract *spec.Contract, key string, note func(any)) (*dataset.Table, error) {
	body, _, err := landing.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	t, _, report, err := dataset.Read(ctx, body, dataset.ReadOptions{
		Name: key, Format: s.Data.Format, Contract: contract, TempDir: m.Lake.Scratch,
		Progress: func(rows int, _ int64) { note(reading{File: key, Rows: rows}) },
	})
	if _, bad := errors.AsType[*dataset.FormatError](err); bad {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if !report.OK() {
		return nil, nil
	}
	return t, nil
}
