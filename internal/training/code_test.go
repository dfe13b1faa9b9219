package training_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/training"
)

// folder writes files below a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

// unpacked are the files below a folder.
func unpacked(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(raw)
		return err
	}))
	return files
}

func TestAPackageIsTheFoldersProgramAndNothingElse(t *testing.T) {
	dir := folder(t, map[string]string{
		"model.yaml": "m", "train.py": "t", "lib/features.py": "f", "lib/deep/er.py": "d", "requirements.txt": "r",
		".git/HEAD": "x", ".env": "SECRET=1", "lib/.hidden": "x", "__pycache__/train.pyc": "x", "lib/old.pyc": "x",
		"data/2013.csv": "x", "node_modules/a/a.js": "x", "venv/bin/python": "x", "sample.csv": "x", "sample.csv.gz": "x", "s.parquet": "x", "s.zst": "x",
	})
	require.NoError(t, os.Chmod(filepath.Join(dir, "train.py"), 0o755))
	pkg, digest, err := training.Pack(dir)
	require.NoError(t, err)
	into := filepath.Join(t.TempDir(), "code")
	require.NoError(t, training.Unpack(bytes.NewReader(pkg), digest, into))
	require.Equal(t, map[string]string{"model.yaml": "m", "train.py": "t", "lib/features.py": "f", "lib/deep/er.py": "d", "requirements.txt": "r"}, unpacked(t, into))
	info, err := os.Stat(filepath.Join(into, "train.py"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), info.Mode(), "what was executable is")
	require.Equal(t, "code/"+digest+".tar.gz", training.CodeKey(digest))
}

func TestTheSameFolderGivesTheSamePackage(t *testing.T) {
	files := map[string]string{"a.py": "a", "b/c.py": "c", "b.py": "b"}
	first, digest, err := training.Pack(folder(t, files))
	require.NoError(t, err)
	dir := folder(t, files)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a.py"), time.Unix(0, 0), time.Unix(0, 0)))
	second, again, err := training.Pack(dir)
	require.NoError(t, err)
	require.Equal(t, digest, again)
	require.Equal(t, first, second)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.py"), []byte("b"), 0o644))
	_, other, err := training.Pack(dir)
	require.NoError(t, err)
	require.NotEqual(t, digest, other)
}

func TestWhatCantBePackedIsSaid(t *testing.T) {
	t.Run("a link", func(t *testing.T) {
		dir := folder(t, map[string]string{"train.py": "t"})
		require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "passwd")))
		_, _, err := training.Pack(dir)
		require.ErrorContains(t, err, "only regular files")
	})
	t.Run("too much of it", func(t *testing.T) {
		dir := folder(t, map[string]string{"train.py": "t"})
		f, err := os.Create(filepath.Join(dir, "weights.bin"))
		require.NoError(t, err)
		require.NoError(t, f.Truncate(33<<20))
		require.NoError(t, f.Close())
		_, _, err = training.Pack(dir)
		require.ErrorContains(t, err, "more than 32 MiB")
	})
	t.Run("too many files", func(t *testing.T) {
		files := map[string]string{}
		for i := range 2001 {
			files[fmt.Sprintf("f%d.py", i)] = ""
		}
		_, _, err := training.Pack(folder(t, files))
		require.ErrorContains(t, err, "2001 files > 2000")
	})
	t.Run("no folder", func(t *testing.T) {
		_, _, err := training.Pack(filepath.Join(t.TempDir(), "absent"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

// pack makes a package of any headers.
func pack(t testing.TB, headers ...*tar.Header) (pkg []byte, digest string) {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, h := range headers {
		require.NoError(t, w.WriteHeader(h))
		_, err := io.CopyN(w, zeros{}, h.Size)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return buf.Bytes(), digestOf(buf.Bytes())
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func file(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}
}

func TestAHostilePackageIsRefused(t *testing.T) {
	many := make([]*tar.Header, 2001)
	for i := range many {
		many[i] = file(fmt.Sprintf("f%d", i), 0)
	}
	for _, c := range []struct {
		name    string
		headers []*tar.Header
	}{
		{"a name that leads out", []*tar.Header{file("../out.py", 1)}},
		{"a name that leads out from within", []*tar.Header{file("lib/../../out.py", 1)}},
		{"a name from the root", []*tar.Header{file("/out.py", 1)}},
		{"a name twice", []*tar.Header{file("a.py", 1), file("a.py", 1)}},
		{"a file that is a folder too", []*tar.Header{file("a", 1), file("a/b", 1)}},
		{"a symbolic link", []*tar.Header{{Name: "l", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}}},
		{"a hard link", []*tar.Header{{Name: "l", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}}},
		{"a device", []*tar.Header{{Name: "d", Typeflag: tar.TypeChar}}},
		{"a folder entry", []*tar.Header{{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}}},
		{"a file that unpacks to more than the limit", []*tar.Header{file("bomb", 33<<20)}},
		{"files that together do", []*tar.Header{file("a", 20<<20), file("b", 20<<20)}},
		{"too many files", many},
	} {
		t.Run(c.name, func(t *testing.T) {
			pkg, digest := pack(t, c.headers...)
			parent := t.TempDir()
			require.Error(t, training.Unpack(bytes.NewReader(pkg), digest, filepath.Join(parent, "code")))
			for name := range unpacked(t, parent) {
				require.True(t, strings.HasPrefix(name, "code/"), "%s lies outside", name)
			}
		})
	}
}

func TestAPackageOfOtherBytesIsNotUnpacked(t *testing.T) {
	pkg, digest, err := training.Pack(folder(t, map[string]string{"a.py": "a"}))
	require.NoError(t, err)
	for name, bytes := range map[string][]byte{"one changed": flipped(pkg), "cut off": pkg[:len(pkg)-1], "more": append(slices.Clone(pkg), 0), "none": nil} {
		into := filepath.Join(t.TempDir(), "code")
		require.ErrorContains(t, training.Unpack(reader(bytes), digest, into), "its bytes have digest", name)
		_, err := os.Stat(into)
		require.ErrorIs(t, err, fs.ErrNotExist, "nothing is made of them")
	}
	require.Error(t, training.Unpack(reader([]byte("text")), digestOf([]byte("text")), filepath.Join(t.TempDir(), "code")), "no package at all")
	taken := t.TempDir()
	require.Error(t, training.Unpack(reader(pkg), digest, taken), "the folder is new")
}

func reader(raw []byte) io.Reader { return bytes.NewReader(raw) }

func flipped(raw []byte) []byte {
	out := slices.Clone(raw)
	out[len(out)/2] ^= 1
	return out
}

// Whatever the bytes, nothing is written outside the folder, and nothing but files of bounded size inside.
func FuzzUnpack(f *testing.F) {
	for _, headers := range [][]*tar.Header{{file("a.py", 3)}, {file("../a", 1)}, {file("a/b/c", 2), file("a/b", 1)}, {}} {
		pkg, _ := pack(f, headers...)
		z, err := gzip.NewReader(bytes.NewReader(pkg))
		require.NoError(f, err)
		raw, err := io.ReadAll(z)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		if _, err := z.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		parent := t.TempDir()
		_ = training.Unpack(bytes.NewReader(buf.Bytes()), digestOf(buf.Bytes()), filepath.Join(parent, "code"))
		entries, err := os.ReadDir(parent)
		if err != nil || len(entries) > 1 {
			t.Fatalf("beside the folder: %v, %v", entries, err)
		}
		err = filepath.WalkDir(filepath.Join(parent, "code"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !d.Type().IsRegular() {
				t.Errorf("%s is a %s", path, d.Type())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
