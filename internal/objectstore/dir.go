package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// Dir is a Store on a folder: a bucket copied to disk, to verify a ledger far from any server. An object appears
// as a whole or not at all, but nothing is flushed to the disk, so it isn't a place to keep a ledger.
type Dir struct{ root *os.Root }

// NewDir opens an existing folder. No key leads out of it, by no link either.
func NewDir(folder string) (*Dir, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("object store in a folder: %w", err)
	}
	return &Dir{root: root}, nil
}

// Close releases the folder.
func (d *Dir) Close() error { return d.root.Close() }

// Get implements Getter.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	info, err := d.Stat(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return nil, Info{}, d.error("get", key, err)
	}
	return f, info, nil
}

// Stat implements Getter.
func (d *Dir) Stat(ctx context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, unreachable("stat", key, err)
	}
	stat, err := d.root.Stat(key)
	if err != nil {
		return Info{}, d.error("stat", key, err)
	}
	if !stat.Mode().IsRegular() {
		return Info{}, fmt.Errorf("stat %s: %w", key, ErrNotFound)
	}
	return dirInfo(key, stat), nil
}

// dirInfo's ETag is of time and size: reading all of a file to list it would cost too much.
func dirInfo(key string, stat fs.FileInfo) Info {
	modified := stat.ModTime().UTC()
	return Info{Key: key, Size: stat.Size(), ETag: fmt.Sprintf("%x-%x", modified.UnixNano(), stat.Size()), Modified: modified}
}

// Create implements Putter.
func (d *Dir) Create(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error) {
	return d.write(ctx, "create", key, body, size, d.root.Link)
}

// Put implements Putter.
func (d *Dir) Put(ctx context.Context, key string, body io.ReadSeeker, size int64) (Info, error) {
	return d.write(ctx, "put", key, body, size, d.root.Rename)
}

// write fills a file of its own, then gives it its name: by Link, which never replaces, or by Rename, which does.
func (d *Dir) write(ctx context.Context, op, key string, body io.ReadSeeker, size int64, name func(from, to string) error) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, unreachable(op, key, err)
	}
	if err := d.root.MkdirAll(path.Dir(key), 0o755); err != nil {
		return Info{}, d.error(op, key, err)
	}
	partial, err := d.fill(op, key, body, size)
	if err != nil {
		return Info{}, err
	}
	err = name(partial, key)
	if op == "create" || err != nil {
		err = errors.Join(err, d.root.Remove(partial))
	}
	if err != nil {
		return Info{}, d.error(op, key, err)
	}
	return d.Stat(ctx, key)
}

// fill writes a body to a new file in the root, whose name no key can have.
func (d *Dir) fill(op, key string, body io.ReadSeeker, size int64) (partial string, err error) {
	data, err := readBody(op, key, body, size)
	if err != nil {
		return "", err
	}
	for n := 0; ; n++ {
		partial = fmt.Sprintf("%s%d.%d", partialPrefix, os.Getpid(), n)
		f, err := d.root.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", d.error(op, key, err)
		}
		_, err = f.Write(data)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", d.error(op, key, errors.Join(err, d.root.Remove(partial)))
		}
		return partial, nil
	}
}

// partialPrefix starts the names of files that are being written; a control character is in no key.
const partialPrefix = ".partial\x01"

// List implements Lister.
func (d *Dir) List(ctx context.Context, prefix string, each func(Info) error) error {
	var found []Info
	err := fs.WalkDir(d.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if entry.IsDir() {
			if name != "." && !strings.HasPrefix(name+"/", prefix) && !strings.HasPrefix(prefix, name+"/") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(name, prefix) || !entry.Type().IsRegular() || checkKey(name) != nil {
			return nil
		}
		stat, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced while we looked
		}
		if err != nil {
			return err
		}
		found = append(found, dirInfo(name, stat))
		return nil
	})
	if err != nil {
		return unreachable("list", prefix, err)
	}
	return eachInfo(ctx, prefix, found, each)
}

// Folders implements Lister.
func (d *Dir) Folders(ctx context.Context, prefix string, each func(name string) error) error {
	return foldersOf(ctx, d, prefix, each)
}

// error sorts what the file system says.
func (d *Dir) error(op, key string, err error) error {
	switch {
	case (op == "get" || op == "stat") && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		return fmt.Errorf("%s %s: %w", op, key, ErrNotFound)
	case errors.Is(err, fs.ErrExist) && op == "create":
		return fmt.Errorf("%s %s: %w", op, key, ErrExists)
	}
	return unreachable(op, key, err)
}
