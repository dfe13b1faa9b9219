package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
)

// standardInput is how a command line names what is piped into it.
const standardInput = "-"

// formatFlag is the help of --format.
const formatFlag = "the data's format, where a name doesn't end with it: csv, csv.gz, csv.zst or parquet"

// dataFile is a file that a command reads: a path, an s3:// URL, or - for standard input.
type dataFile struct {
	name   string // as given
	format string // one of the dataset package's
	size   int64  // bytes as stored; 0: unknown
	source dataset.Source
	close  func()
}

// dataFile finds a file. flag is where it was named, for errors, or "" for an argument; format is "" where its name says it.
func (a *app) dataFile(ctx context.Context, flag, name, format string) (*dataFile, error) {
	f := &dataFile{name: name, close: func() {}}
	var err error
	if f.format, err = dataFormat(flag, name, format); err != nil {
		return nil, err
	}
	switch {
	case name == standardInput:
		f.name = "standard input"
		f.spool(ctx, io.NopCloser(a.in))
	case strings.HasPrefix(name, "s3://"):
		err = f.findObject(ctx, a, flag)
	default:
		err = f.findFile(ctx, flag)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// dataFormat is what the command line says, or else the name's ending.
func dataFormat(flag, name, format string) (string, error) {
	if format != "" {
		known, err := dataset.FormatOf("data." + format)
		if err != nil {
			return "", usagef("--format %s: want csv, csv.gz, csv.zst or parquet", format)
		}
		return known, nil
	}
	if name == standardInput {
		return "", usagef("%sstandard input has no name to tell its format by: --format csv, csv.gz, csv.zst or parquet", of(flag))
	}
	format, err := dataset.FormatOf(name)
	if err != nil {
		return "", usagef("%s%s: the name doesn't end with .csv, .csv.gz, .csv.zst or .parquet: say which it is by --format", of(flag), name)
	}
	return format, nil
}

// of begins an error about what a flag named.
func of(flag string) string {
	if flag == "" {
		return ""
	}
	return flag + ": "
}

// findFile takes a path. What comes from a pipe is kept in a temporary file, since Parquet is read from its end and
// kinds that are inferred may need a second look.
func (f *dataFile) findFile(ctx context.Context, flag string) error {
	stat, err := os.Stat(f.name)
	if err != nil {
		return usagef("%s%w", of(flag), err)
	}
	if stat.IsDir() {
		return usagef("%s%s is a folder: want one file", of(flag), f.name)
	}
	if stat.Mode().IsRegular() {
		f.size, f.source = stat.Size(), dataset.File(f.name)
		return nil
	}
	pipe, err := os.Open(f.name)
	if err != nil {
		return usagef("%s%w", of(flag), err)
	}
	f.spool(ctx, pipe)
	return nil
}

// spool takes what can be read once.
func (f *dataFile) spool(ctx context.Context, r io.ReadCloser) {
	s := dataset.Spooled(newPipeReader(ctx, r), "")
	f.source, f.close = s, func() { _ = errors.Join(s.Close(), r.Close()) } // what was read was read
}

// findObject opens an object of S3, which is kept in a temporary file while it is read.
func (f *dataFile) findObject(ctx context.Context, a *app, flag string) error {
	bucket, key, err := objectstore.ParseURL(f.name)
	if err != nil {
		return usagef("%s%w", of(flag), err)
	}
	buckets, err := a.buckets(ctx)
	if err != nil {
		return err
	}
	body, info, err := buckets.Bucket(bucket).Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return usagef("%s%s: no such object", of(flag), f.name)
	}
	if err != nil {
		return err
	}
	f.size = info.Size
	f.spool(ctx, body)
	return nil
}

// reading tells a person at a terminal how far files are read. Elsewhere it does nothing.
type reading struct {
	to    io.Writer // nil: nobody watches
	now   func() time.Time
	mu    sync.Mutex
	shown time.Time
	files []string // what is known of each
}

func (a *app) reading() *reading {
	r := &reading{now: a.now, shown: a.now()}
	if a.terminal(a.errOut) {
		r.to = a.errOut
	}
	return r
}

// of is what the reader of one more file calls as it goes.
func (r *reading) of(f *dataFile) func(rows int, stored int64) {
	if r.to == nil {
		return nil
	}
	at := len(r.files)
	r.files = append(r.files, "")
	return func(rows int, stored int64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.files[at] = fmt.Sprintf("%s  %s, %d rows", oneLine(f.name), partOf(stored, f.size), rows)
		if now := r.now(); now.Sub(r.shown) > 200*time.Millisecond {
			r.shown = now
			fmt.Fprintf(r.to, "\r\x1b[K%s", strings.Join(r.files, "   "))
		}
	}
}

// partOf is how much of a file there is so far.
func partOf(n, of int64) string {
	if of <= 0 {
		return size(n)
	}
	return fmt.Sprintf("%s of %s", size(n), size(of))
}

// end clears the line.
func (r *reading) end() {
	if r.to != nil {
		fmt.Fprint(r.to, "\r\x1b[K")
	}
}
