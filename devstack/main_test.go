package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary be the program itself, or the fake Temporal
// CLI, so that tests can start, kill and restart it as a process.
const asProgram = "DEVSTACK_TEST_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "devstack":
		main()
		os.Exit(0)
	case "temporal":
		if err := fakeTemporal(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "fake temporal:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a devstack started by a test.
type process struct {
	ready
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *strings.Builder
	rest   chan string // what follows the ready line on stdout
}

// startProcess runs the program and waits for its ready line. The process is
// killed at the test's end if it still runs.
func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{stderr: &strings.Builder{}, rest: make(chan string, 1)}
	p.cmd = exec.Command(os.Args[0], append(args, "--parent-pipe")...)
	p.cmd.Env = append(os.Environ(), asProgram+"=devstack", "TEMPORAL_ADDRESS=")
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	must(t, err)
	p.stdin, err = p.cmd.StdinPipe()
	must(t, err)
	must(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	out := bufio.NewReader(stdout)
	line, err := out.ReadBytes('\n')
	if err != nil {
		_ = p.cmd.Wait()
		t.Fatalf("no ready line: %s", p.stderr)
	}
	must(t, json.Unmarshal(line, &p.ready))
	go func() {
		rest, _ := io.ReadAll(out)
		p.rest <- string(rest)
	}()
	return p
}

// wait gives the process's exit code once it has ended, within 10 s.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case rest := <-p.rest:
		if rest != "" {
			t.Errorf("after its ready line the program printed %q", rest)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the process still runs after 10 s")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the process to end and expects a clean end.
func (p *process) stop(t *testing.T) {
	t.Helper()
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	if code := p.wait(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM: %s", code, p.stderr)
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	must(t, p.cmd.Process.Kill())
	p.wait(t)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func realServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real servers")
	}
}

// within gives a context that ends before the test's patience does.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// failedStart runs the program where it must not start, and gives its error.
func failedStart(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(within(t, 20*time.Second), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=devstack", "TEMPORAL_ADDRESS=")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("devstack %v started: %s", args, out)
	}
	return string(out)
}
