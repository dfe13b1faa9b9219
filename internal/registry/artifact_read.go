package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// OpenArtifact reads an artifact's manifest and checks it against the artifact's digest. The error is a *Broken if
// it doesn't match, objectstore.ErrNotFound (wrapped) if there is none.
func OpenArtifact(ctx context.Context, store objectstore.Getter, model, digest string) (Manifest, error) {
	if err := CheckName("model", model); err != nil {
		return Manifest{}, err
	}
	if err := checkDigest("artifact", digest); err != nil {
		return Manifest{}, err
	}
	key := artifactPrefix(model, digest) + manifestName
	raw, _, err := objectstore.ReadAll(ctx, store, key, maxManifest)
	if err != nil {
		return Manifest{}, fmt.Errorf("artifact %s of %s: %w", digest, model, err)
	}
	if observed := hashOf(raw); observed != digest {
		return Manifest{}, &Broken{Object: key, Problem: fmt.Sprintf("its digest is %s, want %s", observed, digest)}
	}
	var m Manifest
	if err := decodeStrict(raw, &m); err != nil {
		return Manifest{}, &Broken{Object: key, Problem: err.Error()}
	}
	if err := m.check(); err != nil {
		return Manifest{}, &Broken{Object: key, Problem: err.Error()}
	}
	return m, nil
}

// ReadArtifactFile reads one file of at most limit bytes into memory, checked against manifest and digest.
func ReadArtifactFile(ctx context.Context, store objectstore.Getter, model, digest, name string, limit int64) ([]byte, error) {
	m, err := OpenArtifact(ctx, store, model, digest)
	if err != nil {
		return nil, err
	}
	f, ok := m.Files[name]
	if !ok {
		return nil, fmt.Errorf("artifact %s of %s has no file %q, it has %q", digest, model, name, m.names())
	}
	if f.Size > limit {
		return nil, &objectstore.TooLarge{Key: artifactPrefix(model, digest) + name, Size: f.Size, Limit: limit}
	}
	var buffer bytes.Buffer
	if err := copyVerified(ctx, store, model, digest, name, f, &buffer); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// FetchArtifact writes an artifact's files below dir, which is made if need be. A file appears under its name only
// after its digest was checked, and none is written outside dir, whatever links dir holds.
func FetchArtifact(ctx context.Context, store objectstore.Getter, model, digest, dir string) (Manifest, error) {
	m, err := OpenArtifact(ctx, store, model, digest)
	if err != nil {
		return Manifest{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Manifest{}, fmt.Errorf("fetch artifact %s of %s: %w", digest, model, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, fmt.Errorf("fetch artifact %s of %s: %w", digest, model, err)
	}
	defer root.Close()
	for _, name := range m.names() {
		err := fetchFile(root, name, func(w io.Writer) error {
			return copyVerified(ctx, store, model, digest, name, m.Files[name], w)
		})
		if err != nil {
			return Manifest{}, fmt.Errorf("fetch artifact %s of %s: %w", digest, model, err)
		}
	}
	return m, nil
}

// fetchFile writes a file beside its name, then renames it. Names come sorted, so a file called name.partial is
// written after the one that it could be mistaken for.
func fetchFile(root *os.Root, name string, fill func(io.Writer) error) (err error) {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	partial := name + ".partial"
	f, err := root.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			if removeErr := root.Remove(partial); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
				err = errors.Join(err, removeErr)
			}
		}
	}()
	if err := fill(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return root.Rename(partial, name)
}

// copyVerified streams a stored file and compares it with its manifest's line. What was written to w before an error
// must be thrown away.
func copyVerified(ctx context.Context, store objectstore.Getter, model, digest, name string, want File, w io.Writer) error {
	key := artifactPrefix(model, digest) + name
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("artifact %s of %s: %w", digest, model, err)
	}
	defer body.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), io.LimitReader(body, want.Size+1))
	if err != nil {
		return fmt.Errorf("artifact %s of %s: copy %s: %w", digest, model, name, err)
	}
	if n != want.Size {
		return &Broken{Object: key, Problem: fmt.Sprintf("%d bytes or more, want %d", n, want.Size)}
	}
	if observed := hex.EncodeToString(h.Sum(nil)); observed != want.SHA256 {
		return &Broken{Object: key, Problem: fmt.Sprintf("its digest is %s, want %s", observed, want.SHA256)}
	}
	return nil
}
