package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// commandLimit is how long a command of the operators' program may take. It is killed then, and the test fails.
const commandLimit = 2 * time.Minute

// Answer is how a command ended.
type Answer struct {
	Command string
	Code    int
	Out     string
	Err     string
}

// Starter runs the operators' program as somebody and returns how it ended, whatever its exit code.
func (s *Stack) Starter(t testing.TB, as string, args ...string) Answer {
	t.Helper()
	return s.Begin(t, as, args...)()
}

// Begin starts the operators' program and returns a function that waits for its end, for commands that run at once.
func (s *Stack) Begin(t testing.TB, as string, args ...string) func() Answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.Programs.Starter, args...)
	cmd.Env = append(s.Environment(), "LEANLOOP_USER="+as)
	cmd.WaitDelay = time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	name := "starter " + strings.Join(args, " ")
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	limit := time.AfterFunc(commandLimit, func() { _ = cmd.Process.Kill() })
	return func() Answer {
		t.Helper()
		err := cmd.Wait()
		if !limit.Stop() {
			t.Fatalf("%s: not over within %s\n%s%s", name, commandLimit, out.String(), errOut.String())
		}
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", name, err)
		}
		return Answer{Command: name, Code: cmd.ProcessState.ExitCode(), Out: out.String(), Err: errOut.String()}
	}
}

// Want fails the test unless the command ended with this exit code.
func (a Answer) Want(t testing.TB, code int) Answer {
	t.Helper()
	if a.Code != code {
		t.Fatalf("%s: exit code %d, want %d\nstdout: %s\nstderr: %s", a.Command, a.Code, code, a.Out, a.Err)
	}
	return a
}

// Decode reads the document that a command with -o json printed.
func (a Answer) Decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Out), into); err != nil {
		t.Fatalf("%s: %v\nstdout: %s\nstderr: %s", a.Command, err, a.Out, a.Err)
	}
}
