package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

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

// CopyArtifactFile streams one file of an artifact to w, checked against what its manifest, or a file that the manifest
// binds, says of it. What was written to w before an error must be thrown away.
func CopyArtifactFile(ctx context.Context, store objectstore.Getter, model, digest, name string, want File, w io.Writer) error {
	if err := errors.Join(CheckName("model", model), checkDigest("artifact", digest), checkFileName(name)); err != nil {
		return err
	}
	return copyVerified(ctx, store, model, digest, name, want, w)
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
