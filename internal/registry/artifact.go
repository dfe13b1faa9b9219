package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// Limits of an artifact.
const (
	manifestName = "manifest.json"
	maxManifest  = 4 << 20 // bytes
	maxFiles     = 10_000
)

// Manifest names an artifact's files with their digests. Its stored bytes' SHA-256 is the artifact's own digest.
type Manifest struct {
	Format int             `json:"format"`
	Files  map[string]File `json:"files"`
}

// File is one file of an artifact.
type File struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// names are the files' names, sorted.
func (m Manifest) names() []string { return slices.Sorted(maps.Keys(m.Files)) }

// Bytes is the sum of the files' sizes.
func (m Manifest) Bytes() int64 {
	var sum int64
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

// check holds a manifest to names that stay in its folder, none of them another's folder.
func (m Manifest) check() error {
	if len(m.Files) == 0 || len(m.Files) > maxFiles {
		return fmt.Errorf("%d files, want 1 to %d", len(m.Files), maxFiles)
	}
	for name, f := range m.Files {
		if err := checkFileName(name); err != nil {
			return err
		}
		if err := checkDigest("file "+name, f.SHA256); err != nil {
			return err
		}
		if f.Size < 0 {
			return fmt.Errorf("file %s has %d bytes", name, f.Size)
		}
		if strings.EqualFold(name, manifestName) || strings.HasPrefix(name, manifestName+"/") {
			return fmt.Errorf("file name %q is taken by the manifest", name)
		}
		for i := range name {
			if _, file := m.Files[name[:i]]; file && name[i] == '/' {
				return fmt.Errorf("file name %q: %q is a file, not a folder", name, name[:i])
			}
		}
	}
	return nil
}

// encode gives the stored bytes, the same for the same files.
func (m Manifest) encode() ([]byte, error) { return json.MarshalIndent(m, "", " ") }

// PutArtifact stores files (name -> local path) as an artifact and gives its digest. The manifest comes last: an
// artifact without one doesn't exist, so a store that dies in between leaves nothing that counts. Storing the same
// files again, or at the same time elsewhere, gives the same digest and changes nothing.
func PutArtifact(ctx context.Context, store objectstore.Store, model string, files map[string]string) (digest string, m Manifest, err error) {
	if err := CheckName("model", model); err != nil {
		return "", Manifest{}, err
	}
	m = Manifest{Format: Format, Files: make(map[string]File, len(files))}
	for name, path := range files {
		if m.Files[name], err = digestFile(path); err != nil {
			return "", Manifest{}, fmt.Errorf("artifact of %s: file %s: %w", model, name, err)
		}
	}
	if err := m.check(); err != nil {
		return "", Manifest{}, fmt.Errorf("artifact of %s: %w", model, err)
	}
	raw, err := m.encode()
	if err == nil && len(raw) > maxManifest {
		err = fmt.Errorf("manifest of %d bytes > limit %d", len(raw), maxManifest)
	}
	if err != nil {
		return "", Manifest{}, fmt.Errorf("artifact of %s: %w", model, err)
	}
	digest = hashOf(raw)
	for _, name := range m.names() {
		if err := putFile(ctx, store, model, digest, name, files[name], m.Files[name]); err != nil {
			return "", Manifest{}, fmt.Errorf("artifact %s of %s: %w", digest, model, err)
		}
	}
	if err := createBytes(ctx, store, artifactPrefix(model, digest)+manifestName, raw); err != nil {
		return "", Manifest{}, fmt.Errorf("artifact %s of %s: %w", digest, model, err)
	}
	return digest, m, nil
}

// putFile stores one file; one that is there already must have the same bytes.
func putFile(ctx context.Context, store objectstore.Store, model, digest, name, path string, want File) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	body := &hashingBody{from: f}
	same := func() error { return copyVerified(ctx, store, model, digest, name, want, io.Discard) }
	created, err := createOnce(ctx, store, artifactPrefix(model, digest)+name, body, want.Size, same)
	if err != nil {
		return err
	}
	if created && body.sum() != want.SHA256 {
		if err := same(); err != nil {
			return fmt.Errorf("file %s changed while it was stored: %w", path, err)
		}
	}
	return nil
}

// createOnce creates an object whose key its content decides. If it is there already, same must say that it holds
// what it should.
func createOnce(ctx context.Context, store objectstore.Putter, key string, body io.ReadSeeker, size int64, same func() error) (created bool, err error) {
	for n := 1; ; n++ {
		_, err := store.Create(ctx, key, body, size)
		if !errors.Is(err, objectstore.ErrExists) {
			return err == nil, err
		}
		if err := same(); !errors.Is(err, objectstore.ErrNotFound) {
			return false, err
		}
		if n == maxTrouble { // 409 each time: another write of the same object is going on, or broke off
			return false, fmt.Errorf("%d conditional writes met another one's: %w", n, err)
		}
		if err := pause(ctx, key, n); err != nil {
			return false, err
		}
	}
}

// createBytes is createOnce for what is in memory.
func createBytes(ctx context.Context, store objectstore.Store, key string, raw []byte) error {
	_, err := createOnce(ctx, store, key, bytes.NewReader(raw), int64(len(raw)), func() error {
		have, _, err := objectstore.ReadAll(ctx, store, key, int64(len(raw)))
		var large *objectstore.TooLarge
		if errors.As(err, &large) || (err == nil && !bytes.Equal(have, raw)) {
			return &Broken{Object: key, Problem: "it exists with other bytes"}
		}
		return err
	})
	return err
}

// digestFile hashes a regular file.
func digestFile(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return File{}, err
	} else if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s isn't a regular file but %s", path, info.Mode())
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return File{}, err
	}
	return File{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, nil
}

// hashingBody hashes what a provider reads since it last went back to the start, so what was sent can be compared
// with what was announced.
type hashingBody struct {
	from io.ReadSeeker
	hash hash.Hash
}

func (b *hashingBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.hash == nil {
		b.hash = sha256.New()
	}
	b.hash.Write(p[:n])
	return n, err
}

func (b *hashingBody) Seek(offset int64, whence int) (int64, error) {
	at, err := b.from.Seek(offset, whence)
	if at == 0 {
		b.hash = nil
	}
	return at, err
}

func (b *hashingBody) sum() string {
	if b.hash == nil {
		b.hash = sha256.New()
	}
	return hex.EncodeToString(b.hash.Sum(nil))
}
