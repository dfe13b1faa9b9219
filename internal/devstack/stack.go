// Package devstack builds and starts the development stack: the program in
// the folder devstack/, which runs a real Temporal server, S3 server and
// InfluxDB on one machine. It is for development, the demo and tests; nothing
// that runs in production imports it, and it links none of those servers
// itself.
package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long Stop waits for a clean end before it kills: the
// program ends by itself within 5 s of SIGTERM.
const stopLimit = 10 * time.Second

// readyLimit is how long a stack may take to start. It takes 1-3 s on an idle
// machine; a machine that runs other builds can take a minute.
const readyLimit = 3 * time.Minute

// Stack is a running devstack program.
type Stack struct {
	addresses Addresses
	cmd       *exec.Cmd
	parent    io.Closer // its end is our end, for the program
	tail      *tail
	done      chan struct{}
	err       error // how it ended; readable once done is closed

	mu       sync.Mutex
	stopping bool
}

// Start builds the program if its source changed (see Build), runs it and
// waits until every component answers. A stack that fails to start is an error
// that carries the end of what it wrote. The caller ends it with Stop; unless
// Options.Detach is set it also ends with this process.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Temporal == "" {
		o.Temporal = os.Getenv("TEMPORAL_ADDRESS")
	}
	var cli string
	if o.Temporal == "" {
		var err error
		if cli, err = findCLI(o.TemporalCLI); err != nil {
			return nil, err
		}
	}
	kind := embedded
	if o.Temporal != "" || cli != "" {
		kind = light
	}
	path, err := build(ctx, kind, o.Log)
	if err != nil {
		return nil, err
	}
	return launch(ctx, path, cli, o)
}

// launch runs the program at path and reads its ready line.
func launch(ctx context.Context, path, cli string, o Options) (*Stack, error) {
	args, err := o.args(cli)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.DataDir, 0o755); err != nil {
		return nil, fmt.Errorf("devstack data folder: %w", err)
	}
	s := &Stack{cmd: exec.Command(path, args...), tail: newTail(), done: make(chan struct{})}
	// A group of its own: Ctrl-C in a terminal reaches this process alone,
	// which then stops the stack after its own work.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !o.Detach, Setsid: o.Detach}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("devstack: %w", err)
	}
	if !o.Detach {
		if s.parent, err = s.cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("devstack: %w", err)
		}
	}
	if closeLog, err := s.directStderr(o); err != nil {
		return nil, err
	} else if closeLog != nil {
		defer closeLog.Close()
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start devstack: %w", err)
	}
	lines := make(chan []byte, 1)
	go s.follow(stdout, lines)
	if err := s.await(ctx, lines); err != nil {
		return nil, err
	}
	return s, nil
}

// directStderr sends the program's warnings to Options.Stderr, or to a file in
// the data folder; a detached program must have a file, since a pipe would
// break when this process ends.
func (s *Stack) directStderr(o Options) (io.Closer, error) {
	if o.Stderr != nil && !o.Detach {
		s.cmd.Stderr = io.MultiWriter(o.Stderr, s.tail)
		return nil, nil
	}
	path := filepath.Join(o.DataDir, logFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("devstack log: %w", err)
	}
	at, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("devstack log: %w", err), f.Close())
	}
	s.cmd.Stderr = f
	s.tail.fromFile(path, at)
	return f, nil
}

// follow hands over the first line of the program's output, drops the rest and
// records how the program ended.
func (s *Stack) follow(stdout io.Reader, lines chan<- []byte) {
	r := bufio.NewReader(stdout)
	if line, err := r.ReadBytes('\n'); err == nil {
		lines <- line
	}
	_, _ = io.Copy(io.Discard, r)
	err := s.cmd.Wait()
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	switch {
	case stopping && err == nil:
	case err == nil:
		s.err = errors.New("devstack ended by itself")
	default:
		s.err = fmt.Errorf("devstack: %w%s", err, s.tail.suffix())
	}
	close(s.done)
}

// await returns when the stack is ready, or ends it and says why it is not.
func (s *Stack) await(ctx context.Context, lines <-chan []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit,
		fmt.Errorf("devstack was not ready within %s", readyLimit))
	defer cancel()
	var err error
	select {
	case line := <-lines:
		if s.addresses, err = parseAddresses(line); err == nil {
			return nil
		}
	case <-s.done:
		return fmt.Errorf("devstack didn't start: %w", s.err)
	case <-ctx.Done():
		err = fmt.Errorf("start devstack: %w%s", context.Cause(ctx), s.tail.suffix())
	}
	s.Kill()
	<-s.done
	return err
}

// Addresses gives where the stack's components answer.
func (s *Stack) Addresses() Addresses { return s.addresses }

// Pid is the process id of the program.
func (s *Stack) Pid() int { return s.cmd.Process.Pid }

// Wait gives a channel that yields one value when the program has ended, nil
// if it was asked to by Stop and ended cleanly, and is then closed.
func (s *Stack) Wait() <-chan error {
	c := make(chan error, 1)
	go func() {
		<-s.done
		c <- s.err
		close(c)
	}()
	return c
}

// Stop ends the stack cleanly (SIGTERM) and waits for its end. It kills it,
// and says so in the error, when ctx or 10 s end first. Stopping a stack that
// has ended gives nil.
func (s *Stack) Stop(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop devstack (pid %d): %w", s.Pid(), err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopLimit, fmt.Errorf("still running after %s", stopLimit))
	defer cancel()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		s.Kill()
		<-s.done
		return fmt.Errorf("stop devstack (pid %d): killed it: %w", s.Pid(), context.Cause(ctx))
	}
}

// Kill ends the program at once (SIGKILL), as a crash would, for tests of
// faults. It doesn't wait; Wait does.
func (s *Stack) Kill() { _ = s.cmd.Process.Kill() }
