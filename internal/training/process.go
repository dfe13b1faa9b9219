//go:build unix

package training

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// defaultGrace is how long a program has between SIGTERM and SIGKILL.
	defaultGrace = 10 * time.Second
	// defaultLease is how long a worker may be silent before its trainers are ended: far above any pause of a garbage
	// collector, and below the 10 s after which a heartbeat is missed and another attempt begins.
	defaultLease = 8 * time.Second
	// beatsPerLease is how often a worker says that it is there.
	beatsPerLease = 8
	// answerTime is how long a supervisor may take to end a tree after the grace, before it is taken for broken.
	answerTime = 30 * time.Second
	// drainTime is how long the program's streams are read after its end. Where daemons can't be followed, one can still
	// hold them open.
	drainTime = time.Second
)

// ending is why a program ended.
type ending struct {
	report   report
	stopped  error // the context's error, if that ended it
	full     error // why it was ended for what it wrote; see diskGuard
	timedOut bool
}

// orderly says that the program ended by itself, not by a signal: what it wrote, it finished writing.
func (e ending) orderly() bool { return e.report.Signal == 0 && !e.report.Killed }

// printed takes what a program prints, each stream to its end.
type printed struct{ out, err func(io.Reader) }

// runProcess runs argv under a supervisor until it ends, ctx ends or the spec's timeout passes. Then none of its
// processes is left, and everything it printed was read. mark is an entry of env that no other run has. A program that
// can't be started is a *startFailure; any other error is of the supervisor.
func runProcess(ctx context.Context, s CommandSpec, argv, env []string, dir, mark string, to printed) (ending, error) {
	p, err := startSupervisor(s, argv, env, dir)
	if err != nil {
		return ending{}, fmt.Errorf("supervisor: %w", err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { to.out(p.out) })
	readers.Go(func() { to.err(p.err) })
	folder := s.Scratch
	if folder == "" {
		folder = s.WorkDir
	}
	watched, written := newDiskGuard(folder, s.Disk).watch(ctx)
	end, err := p.wait(watched, s.Timeout)
	if full := written(); end.stopped != nil {
		end.full = full
	}
	p.letGo()
	if err != nil {
		sweep(mark)
	}
	for _, stream := range []*os.File{p.out, p.err} {
		if err := stream.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
			_ = stream.Close()
		}
	}
	readers.Wait()
	_, _ = p.out.Close(), p.err.Close()
	switch {
	case err != nil:
		return end, fmt.Errorf("supervisor: %w", err)
	case end.report.Start != nil:
		return end, end.report.Start
	}
	return end, nil
}

// supervised is a supervisor as its worker sees it.
type supervised struct {
	command  *exec.Cmd
	control  *os.File // beats and orders go there
	out, err *os.File // what the program prints
	reported chan told
	grace    time.Duration
	quiet    chan struct{} // closed to end the beats
}

// told is what came of a supervisor.
type told struct {
	report report
	err    error
}

// startSupervisor starts one and tells it what to run. Its environment is the program's.
func startSupervisor(s CommandSpec, argv, env []string, dir string) (_ *supervised, err error) {
	if len(s.Supervisor) == 0 {
		return nil, errors.New("none is named")
	}
	grace, lease := s.Grace, s.Lease
	if grace <= 0 {
		grace = defaultGrace
	}
	if lease <= 0 {
		lease = defaultLease
	}
	order, err := json.Marshal(request{Argv: argv, Dir: dir, Memory: s.Memory, Grace: grace, Lease: lease, Scratch: s.Scratch, Input: s.input, Locks: len(s.Locks)})
	if err != nil {
		return nil, err
	}
	var files []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	for range 4 { // control, standard output, standard error, report
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("pipe: %w", err)
		}
		files = append(files, r, w)
	}
	c := exec.Command(s.Supervisor[0], s.Supervisor[1:]...)
	c.Env, c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = env, files[0], files[3], files[5], append([]*os.File{files[7]}, s.Locks...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at a terminal is the worker's
	err = c.Start()
	closeAll(append([]*os.File{files[0], files[3], files[5], files[7]}, s.Locks...))
	if err != nil {
		closeAll([]*os.File{files[1], files[2], files[4], files[6]})
		return nil, err
	}
	p := &supervised{command: c, control: files[1], out: files[2], err: files[4], reported: make(chan told, 1), grace: grace, quiet: make(chan struct{})}
	go p.hear(files[6])
	go p.talk(append(order, '\n'), lease/beatsPerLease)
	return p, nil
}

// hear reads the report, which comes when nothing of the program is left.
func (p *supervised) hear(from *os.File) {
	defer func() { _ = from.Close() }()
	var t told
	t.err = json.NewDecoder(bufio.NewReader(from)).Decode(&t.report)
	if t.err != nil {
		t.err = fmt.Errorf("it ended without a report: %w", t.err)
	}
	p.reported <- t
}

// talk gives the order and says that the worker is there, until nobody listens. A supervisor that reads nothing for a
// while misses beats, which is its loss alone.
func (p *supervised) talk(order []byte, every time.Duration) {
	if err := p.say(order, answerTime); err != nil {
		return
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-p.quiet:
			return
		case <-ticks.C:
			if err := p.say([]byte{beat}, every); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		}
	}
}

func (p *supervised) say(what []byte, within time.Duration) error {
	_ = p.control.SetWriteDeadline(time.Now().Add(within))
	_, err := p.control.Write(what)
	return err
}

// wait waits for the report, or asks for the end. A supervisor that doesn't answer in time is an error.
func (p *supervised) wait(ctx context.Context, timeout time.Duration) (ending, error) {
	var end ending
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case t := <-p.reported:
		end.report = t.report
		return end, t.err
	case <-ctx.Done():
		end.stopped = ctx.Err()
	case <-expired:
		end.timedOut = true
	}
	_ = p.say([]byte{cease}, time.Second)
	timer := time.NewTimer(p.grace + answerTime)
	defer timer.Stop()
	select {
	case t := <-p.reported:
		end.report = t.report
		return end, t.err
	case <-timer.C:
		return end, fmt.Errorf("it didn't end the program within %s", p.grace+answerTime)
	}
}

// letGo ends what is left of the supervisor: nothing, unless it is broken.
func (p *supervised) letGo() {
	close(p.quiet)
	_ = p.control.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.command.Wait() // the report says it all
	}()
	select {
	case <-ended:
	case <-time.After(drainTime):
		_ = p.command.Process.Kill()
		<-ended
	}
}

// scriptError is the error of a program that ended with another code than 0 or by a signal; nil for a good end.
func scriptError(argv []string, r report, tail []string) error {
	switch {
	case r.Signal != 0:
		return &ScriptError{Argv: argv, Code: -1, Signal: syscall.Signal(r.Signal).String(), Tail: tail}
	case r.Code != 0:
		return &ScriptError{Argv: argv, Code: r.Code, Tail: tail}
	}
	return nil
}
