//go:build unix

package training

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// reportFD is the file that a supervisor tells the end on.
	reportFD = 3
	// lostGrace is how long a program has to end in order when nobody is left to take what it would save, and another
	// attempt may be waiting for its GPU.
	lostGrace = time.Second
	// leaseLook is how often a supervisor looks whether its worker still beats.
	leaseLook = 100 * time.Millisecond

	beat  = '.' // the worker is there
	cease = 't' // end the program, with its grace
)

// request is what a supervisor is told, as the first line of its standard input. Beats follow; the input's end is the
// worker's. The supervisor's own environment, standard output and standard error are the program's.
type request struct {
	Argv    []string      `json:"argv"`
	Dir     string        `json:"dir"`
	Memory  int64         `json:"memory,omitempty"` // bytes; 0: unbounded
	Grace   time.Duration `json:"grace"`
	Lease   time.Duration `json:"lease"`             // without a beat for so long the worker counts as gone
	Scratch string        `json:"scratch,omitempty"` // removed at the end if the worker is gone
	Input   string        `json:"input,omitempty"`   // file that is the program's standard input; "": it has none
	Locks   int           `json:"locks,omitempty"`   // so many open files behind reportFD are held until nothing is left, by the program too
}

// report is how a program ended: its code or its signal, of which one is 0, or why it never started.
type report struct {
	Code   int           `json:"code"`
	Signal int           `json:"signal,omitempty"`
	Killed bool          `json:"killed,omitempty"` // it was still there when its grace was over
	Lost   bool          `json:"lost,omitempty"`   // ended because the worker was silent
	Start  *startFailure `json:"start,omitempty"`
}

// startFailure is why a program couldn't be started, as it travels from the supervisor.
type startFailure struct {
	Text  string `json:"text"`
	Errno int    `json:"errno,omitempty"`
}

func (e *startFailure) Error() string { return e.Text }

// Unwrap gives the system's error, so that errors.Is knows os.ErrNotExist and os.ErrPermission.
func (e *startFailure) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return syscall.Errno(e.Errno)
}

// Supervise is all that a supervisor's process does, and gives its exit code. A program that trains by RunCommand runs
// itself again for it (CommandSpec.Supervisor) and calls this first thing.
//
// It starts one trainer and ends with it. Whatever the trainer starts stays below it, daemons too (Linux: it is the
// child subreaper, see prctl(2)); when the trainer ends, is told to, or the worker falls silent, dies or closes the pipe,
// it ends all of that and reports only when nothing is left. So an end that was reported is one of every process.
func Supervise() int {
	syscall.CloseOnExec(reportFD)
	tell := os.NewFile(reportFD, "report")
	control := bufio.NewReader(os.Stdin)
	var r request
	line, err := control.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err == nil && len(r.Argv) == 0 {
		err = errors.New("no program")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "supervisor of a trainer: it is started by a worker, not by hand:", err)
		return 2
	}
	locks := inherited(r.Locks)
	end := (&supervisor{request: r, locks: locks}).run(control)
	runtime.KeepAlive(locks)
	if end.Lost && r.Scratch != "" {
		_ = os.RemoveAll(r.Scratch) // who would have is gone
	}
	if err := json.NewEncoder(tell).Encode(end); err != nil {
		return 1
	}
	return 0
}

type supervisor struct {
	request
	locks []*os.File
	tree  *tree
}

// inherited are the files of locks that the worker has handed over. They stay open for as long as this process lives.
func inherited(n int) []*os.File {
	files := make([]*os.File, n)
	for i := range files {
		syscall.CloseOnExec(reportFD + 1 + i)
		files[i] = os.NewFile(uintptr(reportFD+1+i), "lock")
	}
	return files
}

// run starts the program and returns when no process of it is left.
func (s *supervisor) run(control io.Reader) report {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	c := exec.Command(s.Argv[0], s.Argv[1:]...)
	c.Dir, c.Stdout, c.Stderr = s.Dir, os.Stdout, os.Stderr
	c.ExtraFiles = s.locks // so that they outlive this process, if it is killed, in whatever it leaves behind
	c.SysProcAttr = ownGroup()
	if s.Input != "" {
		input, err := os.Open(s.Input)
		if err != nil {
			return report{Code: -1, Start: failureToStart(err)}
		}
		defer func() { _ = input.Close() }()
		c.Stdin = input
	}
	s.tree = &tree{command: c, memory: s.Memory, started: make(chan error, 1), exited: make(chan struct{}), gone: make(chan struct{})}
	go s.tree.host()
	if err := <-s.tree.started; err != nil {
		return report{Code: -1, Start: failureToStart(err)}
	}
	asked, lost := make(chan struct{}, 1), make(chan struct{})
	go s.listen(control, asked, lost)
	return s.await(signals, asked, lost)
}

// await waits for the program's end or brings it about: SIGTERM to all of the tree, then SIGKILL.
func (s *supervisor) await(signals <-chan os.Signal, asked, lost <-chan struct{}) report {
	var end report
	var overdue <-chan time.Time
	exited, ending := s.tree.exited, false
	cease := func(grace time.Duration) {
		if !ending {
			s.tree.signal(syscall.SIGTERM)
			s.tree.signal(syscall.SIGCONT) // a stopped process takes its SIGTERM only then
		}
		ending = true
		overdue = time.After(grace)
	}
	for {
		select {
		case <-exited:
			exited = nil
			if !ending { // what it forked and left behind
				s.tree.kill()
			}
		case <-signals:
			if !ending {
				cease(s.Grace)
			}
		case <-asked:
			if !ending {
				cease(s.Grace)
			}
		case <-lost:
			lost, end.Lost = nil, true
			cease(min(s.Grace, lostGrace))
		case <-overdue:
			select {
			case <-s.tree.exited:
			default:
				end.Killed = true
			}
			s.tree.kill()
		case <-s.tree.gone:
			status := s.tree.status
			end.Code = status.ExitStatus()
			if status.Signaled() {
				end.Code, end.Signal = -1, int(status.Signal())
			}
			return end
		}
	}
}

// listen follows what the worker says, and closes lost when it is gone or has been silent for the lease. A supervisor
// that was itself asleep, with its machine say, can't tell: then the lease begins anew.
func (s *supervisor) listen(control io.Reader, asked chan<- struct{}, lost chan<- struct{}) {
	var heard atomic.Int64
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		buffer := make([]byte, 64)
		for {
			n, err := control.Read(buffer)
			for _, b := range buffer[:n] {
				heard.Add(1)
				if b == cease {
					select {
					case asked <- struct{}{}:
					default: // it has been asked
					}
				}
			}
			if err != nil {
				return
			}
		}
	}()
	defer close(lost)
	ticks := time.NewTicker(leaseLook)
	defer ticks.Stop()
	last, since, before := int64(0), time.Now(), time.Now()
	for {
		select {
		case <-closed:
			return
		case <-ticks.C:
		}
		now, n := time.Now(), heard.Load()
		if n != last || now.Sub(before) > s.Lease/2 {
			last, since = n, now
		}
		before = now
		if now.Sub(since) > s.Lease {
			return
		}
	}
}

// tree is a program and every process that it started, directly or not.
type tree struct {
	command *exec.Cmd
	memory  int64
	started chan error
	exited  chan struct{} // closed when the program ended
	gone    chan struct{} // closed when nothing of the tree is left
	status  syscall.WaitStatus
}

// host starts the program and reaps it and what it leaves behind, all on one thread: the parent-death signal is sent
// when the thread that started the program ends, and Go may end any thread that no goroutine is locked to.
func (t *tree) host() {
	runtime.LockOSThread() // for ever: it ends with the goroutine, and the rules that adopt sets with it
	err := adopt()
	if err == nil {
		err = startWithin(t.command, t.memory)
	}
	t.started <- err
	if err != nil {
		return
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil: // ECHILD: whatever is an orphan becomes a child, so none is left
			close(t.gone)
			return
		case pid == t.command.Process.Pid:
			t.status = status
			close(t.exited)
		}
	}
}

// kill ends the tree and returns when nothing is left. What the kernel doesn't let go, say a process that waits for a
// broken disk, is waited for: it still holds memory and GPU.
func (t *tree) kill() {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		t.killOnce()
		select {
		case <-t.gone:
			return
		case <-time.After(pause):
		}
	}
}

func failureToStart(err error) *startFailure {
	f := &startFailure{Text: err.Error()}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		f.Errno = int(errno)
	}
	var path *os.PathError
	if errors.As(err, &path) && errors.Is(err, os.ErrNotExist) {
		f.Text += ": is it in the code folder or on the PATH, and does its #! line name a program that is here?"
	}
	return f
}
