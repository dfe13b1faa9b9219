package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// upload lands a file below the model's prefix and names the object as intake does: without a version id, which
// listings don't have, so that the event and the submission are one trigger.
func (a *app) upload(ctx context.Context, m *spec.Model, path string) (activities.Object, error) {
	bucket, prefix, err := objectstore.ParseURL(m.Data.Prefix)
	if err != nil {
		return activities.Object{}, err
	}
	f, stat, err := openData(path)
	if err != nil {
		return activities.Object{}, err
	}
	defer func() { _ = f.Close() }()
	buckets, err := a.buckets(ctx)
	if err != nil {
		return activities.Object{}, err
	}
	key := prefix + filepath.Base(path)
	progress := a.progress("upload "+filepath.Base(path), f, stat.Size())
	info, err := buckets.Bucket(bucket).Put(ctx, key, progress, stat.Size())
	progress.end()
	if err != nil {
		return activities.Object{}, fmt.Errorf("upload %s to %s: %w", path, objectstore.URL(bucket, key), err)
	}
	return activities.Object{Bucket: bucket, Key: key, ETag: info.ETag, Size: stat.Size(), Modified: info.Modified}, nil
}

// openData opens a file that can be landed.
func openData(path string) (*os.File, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, usagef("--data: %w", err)
	}
	stat, err := f.Stat()
	switch {
	case err != nil:
	case !stat.Mode().IsRegular():
		err = usagef("--data: %s is a %s: want a file", path, stat.Mode().Type())
	case stat.Size() == 0:
		err = usagef("--data: %s is empty: want a file with data", path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, stat, nil
}

// progressReader tells a person how far a transfer is.
type progressReader struct {
	io.ReadSeeker
	name  string
	size  int64
	read  int64
	shown time.Time
	now   func() time.Time
	draw  func(string) // nil: nobody watches
}

func (a *app) progress(name string, r io.ReadSeeker, size int64) *progressReader {
	p := &progressReader{ReadSeeker: r, name: name, size: size, now: a.now, shown: a.now()}
	if a.terminal(a.errOut) {
		p.draw = func(s string) { fmt.Fprintf(a.errOut, "\r\x1b[K%s", s) }
	}
	return p
}

// Read implements io.Reader. What is read may be read again for a checksum or a retry: the count then starts anew.
func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.ReadSeeker.Read(b)
	p.read += int64(n)
	if now := p.now(); p.draw != nil && now.Sub(p.shown) > 200*time.Millisecond {
		p.shown = now
		p.draw(fmt.Sprintf("%s  %s of %s", p.name, size(p.read), size(p.size)))
	}
	return n, err
}

// Seek implements io.Seeker.
func (p *progressReader) Seek(offset int64, whence int) (int64, error) {
	at, err := p.ReadSeeker.Seek(offset, whence)
	p.read = at
	return at, err
}

func (p *progressReader) end() {
	if p.draw != nil {
		p.draw("")
	}
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
