//go:build unix

package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// maxManifest bounds a manifest in bytes: MaxFiles entries of the longest names.
const maxManifest = 2 << 20

// Source is what checkpoints are read from.
type Source interface {
	objectstore.Getter
	objectstore.Lister
}

// Restored is what an attempt starts with.
type Restored struct {
	Manifest *Manifest // nil: nothing to go on from
	Skipped  []string  // newer checkpoints that couldn't be used, and why
}

// damaged is why a checkpoint can't be used, by anyone.
type damaged struct{ reason string }

func (e *damaged) Error() string { return e.reason }

// Restore fills a folder, which mustn't exist, with the newest complete checkpoint of a training's other attempts. One that is
// incomplete, altered or not of this origin is skipped for the next. An error is the store's or the disk's.
//
// attempts is the prefix below which each attempt has a folder by its token, and folder what checkpoints are below that;
// earlier says by its token whether an attempt is one of the others.
func Restore(ctx context.Context, from Source, attempts, folder string, earlier func(token string) bool, of Origin, into string) (Restored, error) {
	var out Restored
	var found []candidate
	err := from.Folders(ctx, attempts, func(name string) error {
		if !earlier(name) {
			return nil
		}
		prefix := attempts + name + "/" + folder
		for slot := range slots {
			m, err := readManifest(ctx, from, manifestKey(prefix, slot), of)
			if bad, ok := errors.AsType[*damaged](err); ok {
				out.Skipped = append(out.Skipped, fmt.Sprintf("checkpoint of attempt %s: %s", name, bad.reason))
				continue
			}
			if err != nil {
				return err
			}
			if m != nil {
				found = append(found, candidate{prefix, m})
			}
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("checkpoints: %w", err)
	}
	slices.SortFunc(found, func(a, b candidate) int {
		switch {
		case a.manifest.newer(b.manifest):
			return -1
		case b.manifest.newer(a.manifest):
			return 1
		}
		return 0
	})
	for _, c := range found {
		err := c.fetch(ctx, from, into)
		if bad, ok := errors.AsType[*damaged](err); ok {
			out.Skipped = append(out.Skipped, fmt.Sprintf("checkpoint of attempt %s at step %d: %s", c.manifest.Token, c.manifest.Step, bad.reason))
			continue
		}
		if err != nil {
			return out, fmt.Errorf("checkpoint: %w", err)
		}
		out.Manifest = c.manifest
		return out, nil
	}
	return out, nil
}

// readManifest reads one; nil where there is none.
func readManifest(ctx context.Context, from objectstore.Getter, key string, of Origin) (*Manifest, error) {
	raw, _, err := objectstore.ReadAll(ctx, from, key, maxManifest)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if large, ok := errors.AsType[*objectstore.TooLarge](err); ok {
		return nil, &damaged{large.Error()}
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, &damaged{"manifest: " + err.Error()}
	}
	if err := m.validate(of); err != nil {
		return nil, &damaged{"manifest: " + err.Error()}
	}
	return &m, nil
}

// candidate is a checkpoint that may be gone on from.
type candidate struct {
	prefix   string
	manifest *Manifest
}

// fetch brings all of it into a folder, or nothing.
func (c candidate) fetch(ctx context.Context, from objectstore.Getter, into string) error {
	part := into + ".part"
	defer func() { _ = os.RemoveAll(part) }()
	if err := os.MkdirAll(part, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(part)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, e := range c.manifest.Files {
		if err := fetchFile(ctx, from, blobKey(c.prefix, e.Blob), root, e); err != nil {
			return err
		}
	}
	return os.Rename(part, into)
}

func fetchFile(ctx context.Context, from objectstore.Getter, key string, root *os.Root, e Entry) error {
	body, _, err := from.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return &damaged{e.Path + " is gone"}
	}
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if err := root.MkdirAll(path.Dir(e.Path), 0o700); err != nil {
		return collides(e, err)
	}
	out, err := root.OpenFile(e.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return collides(e, err)
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, hash), io.LimitReader(body, e.Size+1))
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); n != e.Size || got != e.SHA256 {
		return &damaged{fmt.Sprintf("%s: %d bytes of digest %.12s, want %d of %.12s", e.Path, n, got, e.Size, e.SHA256)}
	}
	if err := root.Chmod(e.Path, fs.FileMode(e.Mode).Perm()|0o600); err != nil {
		return err
	}
	return root.Chtimes(e.Path, e.Modified, e.Modified)
}

// collides types the error of a name that a manifest gives to a file and to a folder.
func collides(e Entry, err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
		return &damaged{e.Path + " is a file and a folder"}
	}
	return err
}
