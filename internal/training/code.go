package training

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Limits of a code package: code, not data.
const (
	maxCodeBytes = 32 << 20 // unpacked
	maxCodeFiles = 2000
)

// CodeKey is where a code package lies in the bucket.
func CodeKey(digest string) string { return "code/" + digest + ".tar.gz" }

// Pack makes a code package of the folder beside model.yaml: regular files in sorted order with neither times nor
// owners, so that the same folder gives the same bytes. Hidden files, __pycache__, virtual environments and data (a
// folder named data, and .csv, .gz, .zst, .parquet files) are left out. A link is an error, since it may lead anywhere.
func Pack(dir string) (pkg []byte, digest string, err error) {
	var names []string
	total := int64(0)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == dir {
			return nil
		}
		if skipped(d) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s: a %s can't be packed, only regular files", path, d.Type())
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if total += info.Size(); total > maxCodeBytes {
			return fmt.Errorf("%s: the folder beside model.yaml holds more than %d MiB; keep data and models out of it, or in a folder named data", dir, maxCodeBytes>>20)
		}
		rel, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("pack code: %w", err)
	}
	if len(names) > maxCodeFiles {
		return nil, "", fmt.Errorf("pack code: %s holds %d files > %d", dir, len(names), maxCodeFiles)
	}
	slices.Sort(names)
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	t := tar.NewWriter(z)
	for _, name := range names {
		if err := packFile(t, dir, name); err != nil {
			return nil, "", fmt.Errorf("pack code: %w", err)
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, "", fmt.Errorf("pack code: %w", err)
	}
	sum := sha256.Sum256(buf.Bytes())
	return buf.Bytes(), hex.EncodeToString(sum[:]), nil
}

func skipped(d fs.DirEntry) bool {
	name := d.Name()
	if strings.HasPrefix(name, ".") {
		return true
	}
	if d.IsDir() {
		return slices.Contains([]string{"__pycache__", "data", "node_modules", "venv"}, name)
	}
	return slices.Contains([]string{".csv", ".gz", ".zst", ".parquet", ".pyc"}, filepath.Ext(name))
}

func packFile(t *tar.Writer, dir, name string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = t.Write(content)
	return err
}

// Unpack writes a package into a new folder, after its bytes were found to be the ones of the digest. Names that lead
// out of the folder, links and oversize contents are errors.
func Unpack(r io.Reader, digest, into string) error {
	raw, err := io.ReadAll(io.LimitReader(r, maxCodeBytes+1))
	if err != nil {
		return fmt.Errorf("unpack code %.12s: %w", digest, err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != digest {
		return fmt.Errorf("unpack code %.12s: its bytes have digest %x", digest, sum[:6])
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("unpack code %.12s: %w", digest, err)
	}
	if err := os.Mkdir(into, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	t, total := tar.NewReader(z), int64(0)
	for files := 0; ; files++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack code %.12s: %w", digest, err)
		}
		if files == maxCodeFiles {
			return fmt.Errorf("unpack code %.12s: more than %d files", digest, maxCodeFiles)
		}
		if total += h.Size; h.Typeflag != tar.TypeReg || total > maxCodeBytes {
			return fmt.Errorf("unpack code %.12s: %q of type %q, %d bytes so far: want regular files of at most %d bytes in all", digest, h.Name, h.Typeflag, total, maxCodeBytes)
		}
		if err := unpackFile(root, h, t); err != nil {
			return fmt.Errorf("unpack code %.12s: %w", digest, err)
		}
	}
}

func unpackFile(root *os.Root, h *tar.Header, content io.Reader) error {
	if dir := filepath.Dir(filepath.FromSlash(h.Name)); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(filepath.FromSlash(h.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(h.Mode)&0o755|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(content, maxCodeBytes))
	return errors.Join(err, f.Close())
}
