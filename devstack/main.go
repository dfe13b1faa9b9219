// Command devstack runs what leanloop needs beside itself on one machine: a
// real Temporal server with its web UI, a real S3 server (versitygw) and a
// real InfluxDB, in one process, with all their state in one folder. It prints
// one line of JSON that says where they answer, serves a health endpoint, and
// ends cleanly on SIGTERM, or by itself when its parent dies.
//
// It is for development, the demo and tests. It listens on 127.0.0.1 only and
// must never serve production: Temporal and InfluxDB ask for no credentials.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// gcPercent trades a little CPU for memory: an idle stack's heap is mostly
// caches that live long, and half the usual headroom saves some 50 MB.
const gcPercent = 50

func main() {
	// A child's parent-death signal is tied to the thread that started it, so
	// the main goroutine, which starts children, keeps its thread for ever.
	runtime.LockOSThread()
	err := start()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "devstack:", err)
		os.Exit(1)
	}
}

func start() error {
	o, err := parseOptions(os.Args[1:], os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	stdout, err := takeStdout()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if o.parentPipe {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends when the parent does
			cancel()
		}()
	}
	return run(ctx, o, stdout)
}

// takeStdout gives the standard output to the ready line alone: what a server
// prints there, greetings all of it, is dropped.
func takeStdout() (*os.File, error) {
	fd, err := syscall.Dup(int(os.Stdout.Fd()))
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	syscall.CloseOnExec(fd)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	defer null.Close()
	if err := dup2(int(null.Fd()), int(os.Stdout.Fd())); err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "stdout"), nil
}
