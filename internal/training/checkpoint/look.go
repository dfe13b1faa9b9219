//go:build unix

// Package checkpoint keeps what a training program writes into its checkpoint folder, so that the next attempt goes on
// from there: any files, taken when they are complete, stored with their digests under a manifest that comes last.
//
// It writes only below the prefix of its own attempt, and gives back nothing whose bytes aren't the ones that were stored.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Bounds of one checkpoint.
const (
	MaxFiles = 1000
	MaxBytes = 20 << 30
	maxPath  = 500 // bytes
)

// TooLarge says that a folder holds more than is kept.
type TooLarge struct {
	What            string // files or bytes
	Observed, Limit int64
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("checkpoint folder: %d %s > limit %d: not kept", e.Observed, e.What, e.Limit)
}

// seen is a file at one look.
type seen struct {
	path     string // with slashes, below the folder
	size     int64
	modified time.Time
	mode     fs.FileMode
	inode    uint64
}

func (s seen) same(other seen) bool {
	return s.path == other.path && s.size == other.size && s.inode == other.inode && s.modified.Equal(other.modified)
}

// look is what a folder holds at one moment, by path. Links, devices and files under a temporary name have no part in it.
type look []seen

// take looks into a folder. A file that goes away meanwhile isn't there.
func take(dir string) (look, error) {
	var l look
	var size int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("checkpoint folder: %w", err)
		}
		if path == dir {
			return nil
		}
		if temporary(d.Name()) && d.IsDir() {
			return fs.SkipDir
		}
		if temporary(d.Name()) || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("checkpoint folder: %w", err)
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return fmt.Errorf("checkpoint folder: %w", err)
		}
		if len(relative) > maxPath || !utf8.ValidString(relative) {
			return fmt.Errorf("checkpoint folder: the name %.60q isn't UTF-8 of %d bytes at most: not kept", relative, maxPath)
		}
		l = append(l, sight(filepath.ToSlash(relative), info))
		size += info.Size()
		switch {
		case len(l) > MaxFiles:
			return &TooLarge{"files or more", int64(len(l)), MaxFiles}
		case size > MaxBytes:
			return &TooLarge{"bytes or more", size, MaxBytes}
		}
		return nil
	})
	slices.SortFunc(l, func(a, b seen) int { return strings.Compare(a.path, b.path) })
	return l, err
}

func sight(path string, info os.FileInfo) seen {
	s := seen{path: path, size: info.Size(), modified: info.ModTime(), mode: info.Mode().Perm()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = uint64(stat.Ino)
	}
	return s
}

// temporary names are those of files that are being written, to be renamed when they are complete.
func temporary(name string) bool {
	for _, suffix := range []string{".tmp", ".temp", ".part", ".partial", "~"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.HasPrefix(name, ".")
}

func (l look) same(other look) bool { return slices.EqualFunc(l, other, seen.same) }

// newest is when the folder was last written to.
func (l look) newest() time.Time {
	var t time.Time
	for _, s := range l {
		if s.modified.After(t) {
			t = s.modified
		}
	}
	return t
}

// complete gives what of a folder is a whole checkpoint, judged by two looks some time apart:
//   - all of it, if nothing changed between them;
//   - all of it, if one file alone changed and is another one under the same name: it was renamed into place;
//   - if only numbered files changed, those of the highest number but one, which the program has left for the next, and
//     the files without a number.
func complete(before, now look) (look, bool) {
	if before.same(now) {
		return now, len(now) > 0
	}
	changed, replaced := differences(before, now)
	if len(changed) == 1 && replaced {
		return now, true
	}
	for _, path := range changed {
		if _, ok := Step(path); !ok {
			return nil, false
		}
	}
	return now.lastButOne()
}

// differences are the paths that differ between two looks; replaced says that each is another file under its old name.
func differences(before, now look) (paths []string, replaced bool) {
	old := map[string]seen{}
	for _, s := range before {
		old[s.path] = s
	}
	replaced = true
	for _, s := range now {
		was, ok := old[s.path]
		delete(old, s.path)
		if ok && was.same(s) {
			continue
		}
		paths = append(paths, s.path)
		replaced = replaced && ok && was.inode != s.inode
	}
	for path := range old {
		paths, replaced = append(paths, path), false
	}
	return paths, replaced
}

// lastButOne is what carries the second highest number, and what carries none.
func (l look) lastButOne() (look, bool) {
	var numbers []int
	for _, s := range l {
		if n, ok := Step(s.path); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	if len(numbers) < 2 {
		return nil, false
	}
	wanted := numbers[len(numbers)-2]
	var part look
	for _, s := range l {
		if n, ok := Step(s.path); !ok || n == wanted {
			part = append(part, s)
		}
	}
	return part, true
}

// numbered finds a step in a name: checkpoint-120, step_000120.pt, epoch=3-step=1200.ckpt.
var numbered = regexp.MustCompile(`(?i)(?:^|[^a-z])(step|iteration|iter|round|epoch|checkpoint|ckpt)[-_=]?([0-9]{1,9})(?:[^0-9]|$)`)

// Step is the number that a path carries behind one of the words step, iteration, iter, round, epoch, checkpoint and
// ckpt; where several stand, behind the first of these words.
func Step(path string) (int, bool) {
	best, step := len(stepWords()), 0
	for i := 0; i < len(path); {
		m := numbered.FindStringSubmatchIndex(path[i:])
		if m == nil {
			break
		}
		word := slices.Index(stepWords(), strings.ToLower(path[i+m[2]:i+m[3]]))
		if n, err := strconv.Atoi(path[i+m[4] : i+m[5]]); err == nil && word < best {
			best, step = word, n
		}
		i += m[5] // what ends a number may begin the next word
	}
	return step, best < len(stepWords())
}

func stepWords() []string {
	return []string{"step", "iteration", "iter", "round", "epoch", "checkpoint", "ckpt"}
}

// step is the highest that a name carries.
func (l look) step() (int, bool) {
	highest, found := 0, false
	for _, s := range l {
		if n, ok := Step(s.path); ok {
			highest, found = max(highest, n), true
		}
	}
	return highest, found
}
