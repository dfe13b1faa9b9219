package training

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Program is one run of a model owner's program that doesn't train: it reads its standard input and answers on its
// standard output. It is kept apart as a trainer is: under a supervisor, without a shell, with a clean environment.
type Program struct {
	// Supervisor, Lease, Grace and Scratch are as in CommandSpec.
	Supervisor []string
	Lease      time.Duration
	Grace      time.Duration
	Scratch    string

	Argv    []string          // run as it is, without a shell
	Dir     string            // its working directory; "": Home
	Home    string            // a private folder that is there; its HOME, and TMPDIR below it
	Env     map[string]string // secrets: beside PATH, HOME, LANG and TMPDIR, which none may replace, all of its environment; no log shows their values
	Input   []byte            // its standard input
	Timeout time.Duration     // 0: none
	Disk    int64             // bytes that Scratch, or else Home, may take; 0: DefaultDisk
	Memory  int64             // bytes of private writable memory of each process, on Linux only; 0: unbounded
	EnvDir  string            // as in CommandSpec
	Locks   []*os.File        // as in CommandSpec

	MaxOutput int // bytes of standard output; one that prints more is an *OutputError

	// LogTo, where it isn't nil, makes standard output a part of the log, which it gets, and not an answer.
	LogTo io.Writer

	contract map[string]string // variables that are no secrets
}

// OutputError says that a program printed more than it may.
type OutputError struct {
	Argv  []string
	Limit int // bytes
}

func (e *OutputError) Error() string {
	return fmt.Sprintf("program %q: its standard output is over %d bytes", strings.Join(e.Argv, " "), e.Limit)
}

// ProgramError says that a program failed: it couldn't be started, ended with another code than 0 or by a signal, or took
// too long.
type ProgramError struct {
	Argv    []string
	Code    int           // exit code; -1: ended by Signal, or never started
	Signal  string        // "" or the signal's name, such as "killed"
	Timeout time.Duration // that it ran into; 0: it didn't
	Start   error         // why it couldn't be started; nil otherwise
	Tail    []string      // the last lines of its standard error, or of its log
}

func (e *ProgramError) Error() string {
	what := fmt.Sprintf("exit code %d", e.Code)
	switch {
	case e.Start != nil:
		return fmt.Sprintf("program %q: not started: %v", strings.Join(e.Argv, " "), e.Start)
	case e.Timeout > 0:
		what = fmt.Sprintf("still running after its timeout of %s", e.Timeout)
	case e.Signal != "":
		what = "ended by signal: " + e.Signal
	}
	return fmt.Sprintf("program %q: %s%s", strings.Join(e.Argv, " "), what, lastLines(e.Tail))
}

// Unwrap gives the cause of a program that couldn't be started.
func (e *ProgramError) Unwrap() error { return e.Start }

// RunProgram runs the program to its end and gives its standard output. No process that it started is left either way
// (Linux; elsewhere none of its group).
//
// Errors: *ParamError for what can't be run; *ProgramError; *OutputError; *LimitError where it wrote too much; *StoppedError when ctx ended it. Any other is of
// this machine.
func RunProgram(ctx context.Context, p Program) ([]byte, error) {
	argv, err := arguments(CommandSpec{Argv: p.Argv})
	if err != nil {
		return nil, err
	}
	env, err := p.environment(os.Getenv("PATH"))
	if err != nil {
		return nil, err
	}
	temporary, input := filepath.Join(p.Home, "tmp"), filepath.Join(p.Home, "stdin")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return nil, fmt.Errorf("program's folder: %w", err)
	}
	if err := os.WriteFile(input, p.Input, 0o600); err != nil {
		return nil, fmt.Errorf("program's input: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, &StoppedError{Argv: argv, Orderly: true, Err: err}
	}
	dir := p.Dir
	if dir == "" {
		dir = p.Home
	}
	run := CommandSpec{
		Supervisor: p.Supervisor, Lease: p.Lease, Grace: p.Grace, Scratch: p.Scratch, Timeout: p.Timeout, Memory: p.Memory,
		Locks: p.Locks, WorkDir: p.Home, Disk: p.Disk, input: input,
	}
	out, log := &limited{room: p.MaxOutput}, newProgramLog(p.LogTo, p.Env, nil)
	to := printed{
		out: func(r io.Reader) { _, _ = io.Copy(out, r) },
		err: func(r io.Reader) { log.read(r, false) },
	}
	if p.LogTo != nil {
		to.out = to.err
	}
	end, err := runProcess(ctx, run, argv, env, dir, "HOME="+p.Home, to)
	failure, unstarted := errors.AsType[*startFailure](err)
	switch {
	case end.full != nil:
		return nil, fmt.Errorf("program %q: %w", p.Argv[0], withTail(end.full, log.lines()))
	case unstarted:
		return nil, &ProgramError{Argv: argv, Code: -1, Start: failure}
	case end.stopped != nil:
		return nil, &StoppedError{Argv: argv, Orderly: err == nil && end.orderly(), Err: end.stopped}
	case err != nil:
		return nil, fmt.Errorf("program %q: %w", p.Argv[0], err)
	case end.timedOut:
		return nil, &ProgramError{Argv: argv, Code: -1, Timeout: p.Timeout, Tail: log.lines()}
	case end.report.Lost:
		return nil, fmt.Errorf("program %q: ended by its supervisor, to which this worker was silent for longer than its lease", p.Argv[0])
	case end.report.Signal != 0:
		return nil, &ProgramError{Argv: argv, Code: -1, Signal: syscall.Signal(end.report.Signal).String(), Tail: log.lines()}
	case end.report.Code != 0:
		return nil, &ProgramError{Argv: argv, Code: end.report.Code, Tail: log.lines()}
	case out.over:
		return nil, &OutputError{Argv: argv, Limit: p.MaxOutput}
	}
	return out.kept.Bytes(), nil
}

// environment is everything that the program sees; of the worker's own only PATH.
func (p Program) environment(path string) ([]string, error) {
	vars := map[string]string{"PATH": path, "HOME": p.Home, "LANG": "C.UTF-8", "TMPDIR": filepath.Join(p.Home, "tmp")}
	addSetup(vars, p.EnvDir)
	maps.Copy(vars, p.contract)
	for name, value := range p.Env {
		if _, taken := vars[name]; taken || !nameOf(name, "") || name[0] <= '9' {
			return nil, &ParamError{"environment", name, "a name of letters, digits and underscores, and none that the contract sets: PATH, HOME, LANG, TMPDIR"}
		}
		vars[name] = value
	}
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		if strings.ContainsRune(value, 0) {
			return nil, &ParamError{"environment", name, "a value without NUL bytes"}
		}
		env = append(env, name+"="+value)
	}
	sort.Strings(env)
	return env, nil
}

// limited keeps the first bytes, and takes the others so that who prints them doesn't wait for ever.
type limited struct {
	kept bytes.Buffer
	room int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.room-l.kept.Len() {
		l.over = true
	}
	l.kept.Write(p[:min(len(p), l.room-l.kept.Len())])
	return len(p), nil
}
