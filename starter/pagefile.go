package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// pageFlag is the help of --html.
const pageFlag = "write a report to this file: one HTML page that needs no network"

// checkPage refuses what checkOutput does, for --html.
func checkPage(path string, inputs ...string) error { return checkOutput("--html", path, inputs...) }

// checkOutput refuses a place where nothing can be written, before an hour of reading, and one that holds what the
// command reads: what is written would replace it.
func checkOutput(flag, path string, inputs ...string) error {
	switch path {
	case "":
		return nil
	case standardInput:
		return usagef("%s -: want a file; /dev/stdout is one", flag)
	}
	folder := filepath.Dir(path)
	stat, err := os.Stat(folder)
	if err != nil {
		return usagef("%s: %w", flag, err)
	}
	if !stat.IsDir() {
		return usagef("%s %s: %s is no folder", flag, path, folder)
	}
	for _, input := range inputs {
		if sameFile(path, input) {
			return usagef("%s %s: that is %s, which it would replace", flag, path, input)
		}
	}
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		return usagef("%s %s: it is a folder: want a file in it", flag, path)
	}
	return nil
}

// sameFile reports whether two paths are one regular file, or will be once it is there.
func sameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	one, errA := os.Stat(a)
	other, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return one.Mode().IsRegular() && os.SameFile(one, other)
	}
	absolute, errA := filepath.Abs(a)
	another, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absolute == another
}

// writePage writes the report that --html asks for.
func writePage(path string, draw func(io.Writer) error) error { return writeFile("--html", path, draw) }

// writeFile writes what a flag asks for where its path says; "" is nowhere. A file appears when it is whole, and not at
// all where draw fails.
func writeFile(flag, path string, draw func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	if stat, err := os.Stat(path); err == nil && !stat.Mode().IsRegular() { // /dev/stdout, a pipe
		return fillFile(flag, path, os.O_WRONLY, draw)
	}
	part := fmt.Sprintf("%s.part-%d", path, os.Getpid())
	if err := fillFile(flag, part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, draw); err != nil {
		return errors.Join(err, removed(part))
	}
	if err := os.Rename(part, path); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", flag, err), removed(part))
	}
	return nil
}

func fillFile(flag, path string, flags int, draw func(io.Writer) error) error {
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if err = draw(f); err != nil {
		err = fmt.Errorf("%s %s: %w", flag, path, err)
	}
	return errors.Join(err, f.Close())
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
