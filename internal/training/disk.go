//go:build unix

package training

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// DefaultDisk is what a program's folder may take where nothing else is said, in bytes.
	DefaultDisk = 50 << 30
	// leastFree is what a program must leave of the disk, in bytes: a worker whose disk is full fails for all its runs.
	leastFree = 1 << 30
	// lookEvery is how often a folder is measured, at most: one of very many files is measured less often, so that
	// measuring takes a twentieth of the time.
	lookEvery = time.Second
)

// diskGuard measures what a program writes while it runs, and ends it where that is too much.
type diskGuard struct {
	folder string
	limit  int64 // bytes of the folder
	free   int64 // bytes of its disk that are to be left
	every  time.Duration
}

func newDiskGuard(folder string, limit int64) diskGuard {
	if limit <= 0 {
		limit = DefaultDisk
	}
	return diskGuard{folder: folder, limit: limit, free: leastFree, every: lookEvery}
}

// watch gives a context that ends with ctx, and where the folder or the disk is too full: stop then says why, as
// *LimitError where it is the program's doing. stop must be called.
func (g diskGuard) watch(ctx context.Context) (watched context.Context, stop func() error) {
	watched, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	var looking sync.WaitGroup
	var full error
	looking.Go(func() {
		timer := time.NewTimer(g.every)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			began := time.Now()
			if full = g.look(done); full != nil {
				cancel(full)
				return
			}
			timer.Reset(max(g.every, 20*time.Since(began)))
		}
	})
	return watched, func() error {
		close(done)
		looking.Wait()
		cancel(nil)
		return full
	}
}

// withTail puts the last lines that a program printed into the error about what it wrote.
func withTail(full error, lines []string) error {
	if limit, ok := errors.AsType[*LimitError](full); ok {
		limit.Tail = lines
	}
	return full
}

// look measures once. What can't be measured isn't the program's fault: it is the next look's.
func (g diskGuard) look(done <-chan struct{}) error {
	size, err := folderSize(g.folder, done)
	if err != nil {
		return nil
	}
	if size > g.limit {
		return &LimitError{What: "train.resources.disk: the attempt's folder", Observed: size, Limit: g.limit, Unit: "bytes"}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(g.folder, &disk); err != nil {
		return nil
	}
	left := int64(disk.Bavail) * int64(disk.Bsize)
	switch {
	case left >= g.free:
		return nil
	case size > g.free:
		return &LimitError{What: fmt.Sprintf("the worker's disk has %d bytes left of the %d that are kept free; the attempt's folder", left, g.free),
			Observed: size, Limit: g.free, Unit: "bytes"}
	}
	return fmt.Errorf("the worker's disk is full: %d bytes left, want %d; the attempt's folder has %d of them", left, g.free, size)
}

var errLookOver = errors.New("nobody waits for the size")

// folderSize is what the files below a folder take on disk: blocks, so that a sparse file counts as what it is. Files
// that go away meanwhile count as nothing; links aren't followed.
func folderSize(folder string, done <-chan struct{}) (size int64, err error) {
	seen := 0
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone, or closed to us: the disk itself is looked at too
		}
		if seen++; seen%1024 == 0 {
			select {
			case <-done:
				return errLookOver
			default:
			}
		}
		if info, err := entry.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				size += int64(stat.Blocks) * 512
			}
		}
		return nil
	})
	return size, err
}
