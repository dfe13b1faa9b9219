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

// checkPage refuses a place where no report can be written, before an hour of reading.
func checkPage(path string) error {
	if path == "" {
		return nil
	}
	folder := filepath.Dir(path)
	stat, err := os.Stat(folder)
	if err != nil {
		return usagef("--html: %w", err)
	}
	if !stat.IsDir() {
		return usagef("--html %s: %s is no folder", path, folder)
	}
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		return usagef("--html %s: it is a folder: want a file in it, as %s", path, filepath.Join(path, "report.html"))
	}
	return nil
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
