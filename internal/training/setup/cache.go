//go:build unix

// Package setup keeps the environments that train.setup makes: the programs and libraries that a model owner's trainer
// needs, on the worker's own disk, each made once for all runs that ask for the same.
//
// An environment is made where it stays, since virtual environments hold their own path, and counts from the moment that
// its ready.json is renamed into place. Until then, and while it is used, a lock (flock(2)) belongs to whoever makes or
// uses it, down to the last process of the program: nobody sees a half-made one, and none that is used is removed.
package setup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/leanloop/leanloop/internal/training"
)

const (
	// DefaultMaxBytes is what all environments of a worker may take.
	DefaultMaxBytes = 20 << 30

	readyFile  = "ready.json"
	envFolder  = "env"
	homeFolder = "home"
	lockSuffix = ".lock"
	// lockLook is how often one that waits for another's setup looks again.
	lockLook = 100 * time.Millisecond
)

// Cache is a folder of environments. Its methods are safe for concurrent use, by many processes too.
type Cache struct {
	Folder   string // private to this user; made if absent
	MaxBytes int64  // of all environments that aren't in use, and of one alone; 0: DefaultMaxBytes
}

// ready is what ready.json says of an environment.
type ready struct {
	Version int       `json:"version"` // 1
	Command []string  `json:"command"`
	Bytes   int64     `json:"bytes"`
	Seconds float64   `json:"seconds"` // that it took
	Made    time.Time `json:"made"`
}

// Environment is one that is ready. It stays until Close, and for as long as a process holds one of its Locks.
type Environment struct {
	Dir    string
	Cached bool // it was there
	Took   time.Duration
	Bytes  int64

	held []*os.File
}

// Locks gives an open file that holds the environment for whoever inherits it: training.CommandSpec.Locks. It is closed by
// Close, if by nobody before.
func (e *Environment) Locks() ([]*os.File, error) {
	fd, err := syscall.Dup(int(e.held[0].Fd()))
	if err != nil {
		return nil, fmt.Errorf("lock of an environment: %w", err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), e.held[0].Name())
	e.held = append(e.held, f)
	return []*os.File{f}, nil
}

// Close lets go of it. On nil it does nothing.
func (e *Environment) Close() {
	if e == nil {
		return
	}
	for _, f := range e.held {
		_ = f.Close()
	}
}

// Acquire gives the environment that a plan makes: the one that is there, or a new one. One that another process is making
// is waited for, at most for the plan's timeout.
//
// Errors: *training.InputError and *training.ParamError for a plan that can't be run; those of training.RunProgram; *training.LimitError;
// *BusyError. Any other is of this machine.
func (c *Cache) Acquire(ctx context.Context, p Plan) (*Environment, error) {
	if err := c.makeFolder(); err != nil {
		return nil, err
	}
	key, files, err := p.digest()
	if err != nil {
		return nil, err
	}
	dir, waits := filepath.Join(c.Folder, key), time.Now().Add(p.Timeout)
	for made := false; ; {
		used, err := lockWithin(ctx, dir+lockSuffix, syscall.LOCK_SH, waits)
		if err != nil {
			return nil, err
		}
		if r, err := readReady(dir); err == nil {
			now := time.Now()
			_ = os.Chtimes(filepath.Join(dir, readyFile), now, now) // the order of removal
			return &Environment{
				Dir: filepath.Join(dir, envFolder), Cached: !made, Took: time.Duration(r.Seconds * float64(time.Second)), Bytes: r.Bytes, held: []*os.File{used},
			}, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			_ = used.Close()
			return nil, fmt.Errorf("environment %.12s: %w", key, err)
		}
		_ = used.Close()
		making, err := lockWithin(ctx, dir+lockSuffix, syscall.LOCK_EX, waits)
		if err != nil {
			return nil, err
		}
		if _, err = readReady(dir); err != nil {
			made = true
			err = c.make(ctx, dir, p, files, making)
		}
		_ = making.Close()
		if err != nil {
			return nil, err
		}
		c.evict(key)
	}
}

// BusyError says that another process held an environment for too long.
type BusyError struct{ Path string }

func (e *BusyError) Error() string {
	return "train.setup: another process still makes the same environment: " + e.Path
}

// make makes an environment from nothing, whoever gave up before. lock is held by the caller, and by the program.
func (c *Cache) make(ctx context.Context, dir string, p Plan, files []string, lock *os.File) (err error) {
	began := time.Now()
	if err := removeAll(dir); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	defer func() {
		if err != nil {
			_ = removeAll(dir)
		}
	}()
	env, home := filepath.Join(dir, envFolder), filepath.Join(dir, homeFolder)
	for _, folder := range []string{env, home} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("environment: %w", err)
		}
	}
	if err := p.layOut(files, env); err != nil {
		return err
	}
	if err := p.run(ctx, env, home, lock); err != nil {
		return err
	}
	if err := removeAll(home); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	size, err := seal(env)
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	if limit := c.limit(); size > limit {
		return &training.LimitError{What: "train.setup: the environment, of the worker's --environments-size", Observed: size, Limit: limit, Unit: "bytes"}
	}
	raw, err := json.Marshal(ready{Version: 1, Command: p.Command, Bytes: size, Seconds: time.Since(began).Seconds(), Made: time.Now().UTC()})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, readyFile)
	if err := os.WriteFile(path+".tmp", raw, 0o600); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	return nil
}

func (c *Cache) limit() int64 { return cmp.Or(c.MaxBytes, DefaultMaxBytes) }

// evict removes what nobody uses: environments that were never finished, and those used longest ago until the others are
// within the limit. The one of key stays. What can't be removed now is tried again after the next setup.
func (c *Cache) evict(key string) {
	type entry struct {
		name  string
		bytes int64
		used  time.Time // zero: never finished
	}
	folders, err := os.ReadDir(c.Folder)
	if err != nil {
		return
	}
	var entries []entry
	total := int64(0)
	for _, d := range folders {
		if !d.IsDir() || !isKey(d.Name()) {
			continue
		}
		e := entry{name: d.Name()}
		dir := filepath.Join(c.Folder, e.name)
		if r, err := readReady(dir); err == nil {
			if info, err := os.Stat(filepath.Join(dir, readyFile)); err == nil {
				e.used = info.ModTime()
			}
			e.bytes = r.Bytes
		}
		entries, total = append(entries, e), total+e.bytes
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if e.name != key && (e.used.IsZero() || total > c.limit()) && c.remove(e.name) {
			total -= e.bytes
		}
	}
}

// remove removes an environment unless it is used. The ready.json goes first. The lock's file stays: who locked one that is
// gone would share the environment with who made it anew.
func (c *Cache) remove(key string) bool {
	dir := filepath.Join(c.Folder, key)
	lock, err := tryLock(dir+lockSuffix, syscall.LOCK_EX)
	if lock == nil || err != nil {
		return false
	}
	defer func() { _ = lock.Close() }()
	if err := os.Remove(filepath.Join(dir, readyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return removeAll(dir) == nil
}

// makeFolder makes the cache's folder, or refuses one that another user could fill.
func (c *Cache) makeFolder() error {
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return fmt.Errorf("folder of environments: %w", err)
	}
	info, err := os.Lstat(c.Folder)
	if err != nil {
		return fmt.Errorf("folder of environments: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("folder of environments %s: observed %s of user %d, want a folder of this user that no other may write to", c.Folder, info.Mode(), owner.Uid)
	}
	return nil
}

func readReady(dir string) (ready, error) {
	var r ready
	raw, err := os.ReadFile(filepath.Join(dir, readyFile))
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	return r, err
}

func isKey(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// tryLock locks a file that nobody removes; nil and no error where another has it.
func tryLock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of an environment: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock of an environment: %s: %w", path, err)
}

// lockWithin waits for a lock.
func lockWithin(ctx context.Context, path string, how int, until time.Time) (*os.File, error) {
	ticks := time.NewTicker(lockLook)
	defer ticks.Stop()
	for {
		if f, err := tryLock(path, how); f != nil || err != nil {
			return f, err
		}
		if time.Now().After(until) {
			return nil, &BusyError{path}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticks.C:
		}
	}
}

// seal takes away the permission to write, so that no run changes what the next one gets by mistake, and adds up the sizes.
func seal(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		return os.Chmod(path, info.Mode().Perm()&^0o222)
	})
	return size, err
}

// removeAll removes a folder whose folders may not be writable.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil // RemoveAll says what is wrong
	})
	return os.RemoveAll(dir)
}
