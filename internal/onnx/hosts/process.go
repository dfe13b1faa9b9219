package hosts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/leanloop/leanloop/internal/onnx"
)

// process is one running host with its model loaded. One question at a time.
type process struct {
	cmd     *exec.Cmd
	in      *os.File
	out     *os.File
	reader  *bufio.Reader
	said    *tail
	ended   chan struct{} // closed when it was reaped
	buffer  []byte
	version string // of the library
}

// errDied says that a host ended while it was asked.
var errDied = errors.New("the ONNX host ended")

// errSlow says that it was ended since it took too long.
var errSlow = errors.New("took too long")

// start runs a host and has it load the model.
func start(ctx context.Context, at found, load []byte, threads int, within time.Duration) (p *process, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	p = &process{in: in, out: out, reader: bufio.NewReaderSize(out, 1<<16), said: &tail{}, ended: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path: at.program, Args: []string{at.program, "serve", at.library}, Dir: "/", Env: environment(threads),
		Stdin: theirIn, Stdout: p.said, Stderr: p.said, ExtraFiles: []*os.File{theirOut}, WaitDelay: time.Second,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}, // an interrupt at the terminal is for the program that drains
	}
	started := p.cmd.Start()
	closed := errors.Join(theirIn.Close(), theirOut.Close())
	if started != nil {
		return nil, errors.Join(fmt.Errorf("start the ONNX host: %w", started), closed, in.Close(), out.Close())
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says it
		close(p.ended)
	}()
	defer func() {
		if err != nil {
			p.end()
			p = nil
		}
	}()
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	p.deadline(time.Now().Add(within))
	kind, body, err := p.exchange(load, maxMessage)
	switch {
	case ctx.Err() != nil:
		return p, ctx.Err()
	case err != nil:
		return p, p.died("loading the model", err)
	case kind == onnx.FrameError:
		return p, &onnx.ModelError{Message: string(body)}
	case kind != onnx.FrameLoaded:
		return p, fmt.Errorf("the ONNX host answered a model with frame %q", kind)
	}
	p.version = string(body)
	return p, nil
}

// maxMessage bounds an answer that is a text, in bytes.
const maxMessage = 64 << 10

// environment is what a host sees of this process's: nothing that is secret.
func environment(threads int) []string {
	env := []string{"GOMAXPROCS=" + strconv.Itoa(threads+1), "OMP_NUM_THREADS=" + strconv.Itoa(threads), "LC_ALL=C"}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// score asks the host, which has so long for it. An error but *onnx.RefusedError says that it can't be used any more.
func (p *process) score(j *job, maxColumns int, within time.Duration) (onnx.Answer, error) {
	p.deadline(time.Now().Add(within))
	kind, body, err := p.exchange(j.frame, maxMessage+maxColumns*(maxMessage+8*j.rows))
	switch {
	case err != nil:
		return onnx.Answer{}, p.died("scoring "+strconv.Itoa(j.rows)+" rows", err)
	case kind == onnx.FrameError:
		return onnx.Answer{}, &onnx.RefusedError{Message: string(body)}
	case kind != onnx.FrameScores:
		return onnx.Answer{}, fmt.Errorf("%w: it answered rows with frame %q", errDied, kind)
	}
	a, err := onnx.ParseAnswer(body, j.rows, maxColumns)
	if err != nil {
		return a, fmt.Errorf("%w: %w", errDied, err)
	}
	return a, nil
}

// exchange sends a frame and reads one.
func (p *process) exchange(frame []byte, limit int) (kind byte, body []byte, err error) {
	if _, err := p.in.Write(frame); err != nil {
		return 0, nil, err
	}
	kind, body, err = onnx.ReadFrame(p.reader, p.buffer, limit)
	if cap(body) > cap(p.buffer) {
		p.buffer = body
	}
	return kind, body, err
}

func (p *process) deadline(at time.Time) {
	_, _ = p.in.SetDeadline(at), p.out.SetDeadline(at)
}

// died says how a host that doesn't answer ended, with the last that it said.
func (p *process) died(at string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %s %w", errDied, at, errSlow)
	}
	p.reap(time.Second) // one that is ending by itself says how
	text := fmt.Sprintf("%s, it ended with %v", at, p.cmd.ProcessState)
	if said := p.said.String(); said != "" {
		text += ": " + said
	}
	return fmt.Errorf("%w: %s", errDied, text)
}

// end kills the host and reaps it.
func (p *process) end() { p.reap(0) }

// reap waits for the host's end, and kills it if that doesn't come.
func (p *process) reap(patience time.Duration) {
	_ = p.in.Close()
	timer := time.AfterFunc(patience, p.kill)
	<-p.ended
	timer.Stop()
	_ = p.out.Close()
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// tail keeps the last that a host printed.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const mostTail = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[max(0, len(b)-mostTail):]...)
	t.text = t.text[max(0, len(t.text)-mostTail):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(strings.TrimSpace(string(t.text)), "\uFFFD")
}
