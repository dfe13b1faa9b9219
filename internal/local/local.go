// Package local runs this project's processes on one machine: the development stack, workers and gateways, for
// `starter dev`, the demo and the integration tests. Nothing of it is used in production.
package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/parent"
)

// Binaries are the programs to run.
type Binaries struct {
	Worker  string
	Gateway string
}

// Build finds the worker and the gateway beside the running program, or builds them from source into dir.
func Build(ctx context.Context, dir string, log io.Writer) (Binaries, error) {
	if self, err := os.Executable(); err == nil {
		b := Binaries{Worker: filepath.Join(filepath.Dir(self), "worker"), Gateway: filepath.Join(filepath.Dir(self), "gateway")}
		if executable(b.Worker) && executable(b.Gateway) {
			return b, nil
		}
	}
	root, err := devstack.ProductDir()
	if err != nil {
		return Binaries{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Binaries{}, err
	}
	b := Binaries{Worker: filepath.Join(dir, "worker"), Gateway: filepath.Join(dir, "gateway")}
	_, _ = fmt.Fprintln(log, "building worker and gateway ...")
	host := filepath.Join(dir, "onnxhost") // beside them is where they look for it
	for _, one := range []struct{ out, pkg string }{{b.Worker, "./workers"}, {b.Gateway, "./gateway"}, {host, "./onnxhost"}} {
		if err := devstack.Compile(ctx, root, one.pkg, one.out, log); err != nil {
			return Binaries{}, fmt.Errorf("build %s: %w", one.pkg, err)
		}
	}
	return b, nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Environment is what programs need to find the stack, as NAME=value.
func Environment(a devstack.Addresses, bucket string) []string {
	env := []string{
		"TEMPORAL_ADDRESS=" + a.Temporal.Address, "TEMPORAL_NAMESPACE=" + a.Temporal.Namespace, "LEANLOOP_TEMPORAL_UI=" + a.Temporal.UI,
		"AWS_ENDPOINT_URL_S3=" + a.S3.Endpoint, "AWS_REGION=" + a.S3.Region, "AWS_ACCESS_KEY_ID=" + a.S3.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + a.S3.SecretKey, "LEANLOOP_S3_PATH_STYLE=true", "LEANLOOP_BUCKET=" + bucket,
	}
	if a.Influx.URL != "" {
		env = append(env, "INFLUX_URL="+a.Influx.URL, "INFLUX_BUCKET="+a.Influx.Database+"/autogen", "INFLUX_ORG=", "INFLUX_TOKEN="+a.Influx.Token)
	}
	return env
}

// FreeAddress is a loopback address that nothing listens on now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// Command is one program to run.
type Command struct {
	Name    string // for messages
	Path    string
	Args    []string
	Without []string // prefixes of this process's variables that it doesn't inherit
	Env     []string // added to the others
	Log     string   // file that its output is appended to
	Health  string   // URL that answers 200 once it is ready
}

// Process is a running Command. It ends when this process does, since it holds the other end of its standard input.
type Process struct {
	command Command
	cmd     *exec.Cmd
	stdin   io.Closer
	done    chan struct{}
	once    sync.Once
	err     error
}

// Start runs c and waits until it is healthy, a minute at most.
func Start(ctx context.Context, c Command) (*Process, error) {
	p, err := Launch(c)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// Launch runs c and returns at once.
func Launch(c Command) (*Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(append(inherited(c.Without), c.Env...), parent.Environment+"=1")
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	p := &Process{command: c, cmd: cmd, stdin: stdin, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// inherited are this process's variables but those with one of the prefixes.
func inherited(without []string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}

func (p *Process) ready(ctx context.Context) error {
	if p.command.Health == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if healthy(ctx, p.command.Health) {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w; its log: %s%s", p.command.Name, p.err, p.command.Log, tail(p.command.Log))
		case <-ctx.Done():
			return fmt.Errorf("%s isn't ready: %w; its log: %s%s", p.command.Name, ctx.Err(), p.command.Log, tail(p.command.Log))
		case <-tick.C:
		}
	}
}

func healthy(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode == http.StatusOK
}

// tail is the end of a log, for an error.
func tail(path string) string {
	const shown = 1500
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size == 0 {
		return ""
	} else if _, err := f.Seek(max(0, size-shown), io.SeekStart); err != nil {
		return ""
	}
	raw, err := io.ReadAll(io.LimitReader(f, shown))
	if err != nil {
		return ""
	}
	return "\n" + string(raw)
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends it with SIGKILL and waits.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks it to end, and kills it when ctx ends first.
func (p *Process) Stop(ctx context.Context) error {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		_ = p.stdin.Close()
	})
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s didn't stop in time and was killed", p.command.Name)
	}
}
