package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Source is the stored bytes of one object. Open is called once, and again, after the first reader was closed, where
// the bytes have to be read a second time. A reader that is also an io.ReaderAt and has Size() int64 spares a format
// that is read from its end (Parquet) a temporary copy.
type Source interface {
	Open() (io.ReadCloser, error)
}

// sized is what a reader of a Source may also be.
type sized interface {
	io.ReaderAt
	Size() int64
}

// File is the file at a path.
func File(path string) Source { return file(path) }

type file string

// openFile is an open file that knows its size.
type openFile struct {
	*os.File
	size int64
}

func (f openFile) Size() int64 { return f.size }

func (path file) Open() (io.ReadCloser, error) {
	f, err := os.Open(string(path))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !info.Mode().IsRegular() {
		return struct{ io.ReadCloser }{f}, nil // a pipe has no size and no places
	}
	return openFile{f, info.Size()}, nil
}

// Bytes is an object in memory.
func Bytes(b []byte) Source { return inMemory(b) }

type inMemory []byte

// openBytes adds the Close that a bytes.Reader doesn't need.
type openBytes struct{ *bytes.Reader }

func (openBytes) Close() error { return nil }

func (b inMemory) Open() (io.ReadCloser, error) { return openBytes{bytes.NewReader(b)}, nil }

// Spool is a Source made of a stream that can be read once.
type Spool struct {
	from  io.Reader
	dir   string
	copy  *os.File // nil before the first Open
	named bool     // copy still has its name
	ended bool     // all of from is in copy
	size  int64
}

// Spooled copies a stream to a temporary file in dir ("": the system's) while it is read for the first time. Close
// removes the file.
func Spooled(r io.Reader, dir string) *Spool { return &Spool{from: r, dir: dir} }

// Open is the stream for the first time, its copy after that.
func (s *Spool) Open() (io.ReadCloser, error) {
	if s.copy == nil {
		f, err := os.CreateTemp(s.dir, "spool-*")
		if err != nil {
			return nil, err
		}
		// Without its name the file goes with its last handle, however the process ends. Where a file in use can't be
		// removed, Close does.
		s.copy, s.named = f, os.Remove(f.Name()) != nil
		return io.NopCloser(spooling{s}), nil
	}
	if !s.ended {
		if _, err := io.Copy(io.Discard, spooling{s}); err != nil {
			return nil, err
		}
	}
	return openBytesAt{io.NewSectionReader(s.copy, 0, s.size)}, nil
}

// openBytesAt adds a Close to a part of a file that somebody else closes.
type openBytesAt struct{ *io.SectionReader }

func (openBytesAt) Close() error { return nil }

// Close gives the copy up. Readers that Open gave are of no use after it.
func (s *Spool) Close() error {
	if s.copy == nil {
		return nil
	}
	err := s.copy.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.copy.Name()))
	}
	return err
}

// spooling reads the stream and writes what it read to the copy.
type spooling struct{ *Spool }

func (s spooling) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if n > 0 {
		if _, failed := s.copy.Write(p[:n]); failed != nil {
			return 0, fmt.Errorf("copy to a temporary file: %w", failed)
		}
		s.size += int64(n)
	}
	s.ended = s.ended || err == io.EOF
	return n, err
}
