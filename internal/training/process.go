//go:build unix

package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// defaultGrace is how long a program has between SIGTERM and SIGKILL.
const defaultGrace = 10 * time.Second

// drainTime is how long the program's streams are read after its group was killed. Only a descendant that left the
// group can still hold them open.
const drainTime = time.Second

// ending is why a program ended.
type ending struct {
	state    *os.ProcessState
	stopped  error // the context's error, if that ended it
	timedOut bool
}

// runProcess runs argv in a process group of its own until it ends, ctx ends or the spec's timeout passes. Then nothing of
// the group is left, and everything it printed was read. The error is one of starting it.
func runProcess(ctx context.Context, s CommandSpec, argv, env []string, dir string, log *programLog) (ending, error) {
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return ending{}, fmt.Errorf("trainer pipe: %w", err)
	}
	defer outRead.Close()
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		outWrite.Close()
		return ending{}, fmt.Errorf("trainer pipe: %w", err)
	}
	defer errRead.Close()

	command := exec.Command(argv[0], argv[1:]...)
	command.Env, command.Dir = env, dir
	command.Stdout, command.Stderr = outWrite, errWrite
	command.SysProcAttr = ownGroup()
	p := &process{command: command, memory: s.Memory, started: make(chan error, 1), exited: make(chan struct{}), reap: make(chan struct{}), reaped: make(chan struct{})}
	go p.host()
	err = <-p.started
	outWrite.Close()
	errWrite.Close()
	if err != nil {
		return ending{}, err
	}
	var readers sync.WaitGroup
	readers.Go(func() { log.read(outRead, true) })
	readers.Go(func() { log.read(errRead, false) })

	end := p.wait(ctx, s.Timeout, s.Grace)
	for _, stream := range []*os.File{outRead, errRead} {
		if err := stream.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
			stream.Close()
		}
	}
	readers.Wait()
	end.state = command.ProcessState
	return end, nil
}

// process is a running program.
type process struct {
	command *exec.Cmd
	memory  int64 // bytes; 0: unbounded
	started chan error
	exited  chan struct{} // closed when the program ended, before it is reaped
	reap    chan struct{} // closed to reap it
	reaped  chan struct{}
}

// host starts the program and reaps it, all on one thread: the parent-death signal is sent when the thread that
// started the program ends, and Go may end any thread that no goroutine is locked to.
func (p *process) host() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := startWithin(p.command, p.memory)
	p.started <- err
	if err != nil {
		return
	}
	awaitExit(p.command)
	close(p.exited)
	<-p.reap
	_ = p.command.Wait() // ProcessState says it all
	close(p.reaped)
}

// wait waits for the program's end, or brings it about: SIGTERM to the group, then SIGKILL. The program is reaped
// last, so its process id, which is the group's, can't be another's when it is signalled.
func (p *process) wait(ctx context.Context, timeout, grace time.Duration) ending {
	var end ending
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		end.stopped = ctx.Err()
		p.terminate(grace)
	case <-expired:
		end.timedOut = true
		p.terminate(grace)
	}
	p.signal(syscall.SIGKILL) // what it forked
	<-p.exited
	close(p.reap)
	<-p.reaped
	return end
}

func (p *process) terminate(grace time.Duration) {
	if grace <= 0 {
		grace = defaultGrace
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // a stopped program takes its SIGTERM only then
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
}

// signal sends to the whole group; an empty group is no error.
func (p *process) signal(s syscall.Signal) {
	_ = syscall.Kill(-p.command.Process.Pid, s)
}

// scriptError is the error of a program that ended with another code than 0 or by a signal; nil for a good end.
func scriptError(argv []string, state *os.ProcessState, tail []string) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return &ScriptError{Argv: argv, Code: -1, Signal: status.Signal().String(), Tail: tail}
	case state.ExitCode() != 0:
		return &ScriptError{Argv: argv, Code: state.ExitCode(), Tail: tail}
	}
	return nil
}

// startError makes the error of a program that couldn't be started.
func startError(argv []string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) && errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: is it in the code folder or on the PATH, and does its #! line name a program that is here?", err)
	}
	return &ScriptError{Argv: argv, Code: -1, Start: err}
}
