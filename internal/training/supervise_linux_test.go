package training

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// marked is a program that can be told from all others by its environment.
func marked(t *testing.T, script string) (s CommandSpec, in Input, mark string) {
	t.Helper()
	s, in = program(t, script)
	mark = "LEFT_BY=" + strconv.FormatUint(rand.Uint64(), 36)
	name, value, _ := strings.Cut(mark, "=")
	s.Env = map[string]string{name: value}
	t.Cleanup(func() { requireNoneLeft(t, mark) })
	return s, in, mark
}

// left are the processes that have a mark in their environment, supervisors too.
func left(mark string) []int {
	var found []int
	for _, m := range processes() {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(m.pid) + "/environ")
		if err == nil && bytes.Contains(environ, []byte(mark)) && !m.ended {
			found = append(found, m.pid)
		}
	}
	return found
}

func requireNoneLeft(t *testing.T, mark string) {
	t.Helper()
	waitFor(t, "no process left", func() bool { return len(left(mark)) == 0 })
	waitFor(t, "no zombie left", func() bool {
		return !slices.ContainsFunc(processes(), func(m member) bool { return m.parent == os.Getpid() && m.ended })
	})
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for: %s", what)
		}
	}
}

// ready is a line of a script after which the test goes on.
const ready = `: > "$LEANLOOP_CHECKPOINT_DIR/ready"` + "\n"

func waitReady(t *testing.T, s CommandSpec) {
	t.Helper()
	waitFor(t, "the program to be ready", func() bool {
		_, err := os.Stat(filepath.Join(CheckpointFolder(s.WorkDir), "ready"))
		return err == nil
	})
}

// Programs that leave processes behind, each in its way; all of them then go on.
func escapes() map[string]string {
	return map[string]string{
		"a child in the background":        "sleep 300 &\n",
		"a daemon in a session of its own": "setsid sleep 300 &\n",
		"a double fork":                    "(setsid sh -c 'sleep 300 & sleep 300 & exit 0' &)\n",
		"one that ignores SIGTERM":         `setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 1; done' &` + "\n",
		"fifty sleepers":                   "i=0; while [ $i -lt 50 ]; do sleep 300 & i=$((i+1)); done\n",
		"one that forks and forks":         `setsid sh -c 'trap "" TERM; while :; do setsid sleep 300 & sleep 0.01; done' &` + "\n",
		"one that is stopped":              "sleep 300 & kill -STOP $!\n",
	}
}

func TestNothingIsLeftWhenTheTrainerEnds(t *testing.T) {
	for name, escape := range escapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, in, mark := marked(t, escape+copyModel)
			if _, err := RunCommand(t.Context(), s, in, nil); err != nil {
				t.Fatal(err)
			}
			if pids := left(mark); len(pids) > 0 {
				t.Errorf("observed processes %v when the run had ended", pids)
			}
		})
	}
}

func TestNothingIsLeftOfACancelledTrainer(t *testing.T) {
	for name, escape := range escapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, in, mark := marked(t, escape+`trap "" TERM`+"\n"+`echo '{"step":1}'; while :; do sleep 1; done`)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := RunCommand(ctx, s, in, func(Progress) { cancel() })
			stopped, ok := errors.AsType[*StoppedError](err)
			if !ok || stopped.Orderly || !errors.Is(err, context.Canceled) {
				t.Errorf("observed %v, want *StoppedError of a program that had to be killed", err)
			}
			if pids := left(mark); len(pids) > 0 {
				t.Errorf("observed processes %v when the run had ended", pids)
			}
		})
	}
}

// startWorker runs the program by a worker that is a process of its own.
func startWorker(t *testing.T, s CommandSpec) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(s) // it has no writer
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "spec.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	worker := exec.Command(os.Args[0], asWorker, path)
	worker.Stderr = os.Stderr
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = worker.Process.Kill(); _ = worker.Wait() })
	waitReady(t, s)
	return worker
}

func TestNothingIsLeftOfAKilledWorker(t *testing.T) {
	for name, escape := range escapes() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !strings.Contains(escape, "TERM") {
				t.Skip("one of them is enough")
			}
			s, _, mark := marked(t, escape+`trap "" TERM`+"\n"+ready+"while :; do sleep 1; done")
			s.Scratch = filepath.Dir(s.WorkDir)
			worker := startWorker(t, s)
			if err := worker.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = worker.Wait()
			requireNoneLeft(t, mark)
			if _, err := os.Stat(s.Scratch); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("observed %v of the attempt's folder, want that it is gone", err)
			}
		})
	}
}

func TestNothingIsLeftOfAStoppedWorker(t *testing.T) {
	s, _, mark := marked(t, "setsid sleep 300 &\n"+ready+"while :; do sleep 1; done")
	s.Lease = 500 * time.Millisecond
	worker := startWorker(t, s)
	if err := worker.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	requireNoneLeft(t, mark)
	if err := worker.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := worker.Wait(); worker.ProcessState.ExitCode() != 5 {
		t.Errorf("observed %v of the worker that came back, want that its run failed", err)
	}
}

func TestAWorkerThatBeatsKeepsItsTrainer(t *testing.T) {
	s, in, _ := marked(t, "sleep 1\n"+copyModel)
	s.Lease = 400 * time.Millisecond
	if _, err := RunCommand(t.Context(), s, in, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAKilledSupervisorIsTheMachinesFault(t *testing.T) {
	s, in, mark := marked(t, "setsid sleep 300 &\n"+`kill -9 $PPID; sleep 300`)
	_, err := RunCommand(t.Context(), s, in, nil)
	if err == nil || Classify(err) != CauseInfrastructure || !strings.Contains(err.Error(), "ended without a report") {
		t.Errorf("observed %v, want an error of infrastructure", err)
	}
	requireNoneLeft(t, mark)
}

func TestASupervisorThatDoesntAnswerIsNone(t *testing.T) {
	s, in := program(t, copyModel)
	s.Supervisor = []string{"no-such-program-of-ours"}
	_, err := RunCommand(t.Context(), s, in, nil)
	if err == nil || Classify(err) != CauseInfrastructure {
		t.Errorf("observed %v, want an error of infrastructure", err)
	}
	s.Supervisor = nil
	if _, err = RunCommand(t.Context(), s, in, nil); err == nil || !strings.Contains(err.Error(), "supervisor: none is named") {
		t.Errorf("observed %v, want that none is named", err)
	}
}

func TestEndsAreReportedExactly(t *testing.T) {
	for _, c := range []struct {
		script string
		code   int
		signal string
	}{
		{"exit 1", 1, ""}, {"exit 137", 137, ""}, {"exit 255", 255, ""}, {"kill -TERM $$", -1, "terminated"}, {"kill -9 $$", -1, "killed"}, {"kill -ABRT $$", -1, "aborted"},
		{"exec 1>&- 2>&-; exit 3", 3, ""},
	} {
		s, in := program(t, "setsid sleep 300 &\n"+c.script)
		_, err := RunCommand(t.Context(), s, in, nil)
		script, ok := errors.AsType[*ScriptError](err)
		if !ok || script.Code != c.code || script.Signal != c.signal {
			t.Errorf("%s: observed %v, want code %d, signal %q", c.script, err, c.code, c.signal)
		}
	}
}

func TestATrainerThatClosesItsStreamsStillTrains(t *testing.T) {
	s, in, _ := marked(t, "exec 1>&- 2>&-; sleep 0.2\n"+copyModel)
	if _, err := RunCommand(t.Context(), s, in, nil); err != nil {
		t.Fatal(err)
	}
}

func TestEveryLineThatATrainerPrintedIsRead(t *testing.T) {
	s, in, _ := marked(t, `i=0; while [ $i -lt 2000 ]; do echo "{\"step\":$i}"; i=$((i+1)); done; head -c 3000000 /dev/zero | tr '\0' 'x'; echo; echo last`+"\n"+copyModel)
	var log bytes.Buffer
	s.LogTo = &log
	steps := 0
	if _, err := RunCommand(t.Context(), s, in, func(Progress) { steps++ }); err != nil {
		t.Fatal(err)
	}
	if steps != 2000 || log.Len() != 3_000_000+len("\nlast\n") || !strings.HasSuffix(log.String(), "\nlast\n") {
		t.Errorf("observed %d steps and a log of %d bytes", steps, log.Len())
	}
}

func TestOnlyWhatEndedByItselfEndedInOrder(t *testing.T) {
	for _, c := range []struct {
		name, onTerm string
		want         bool
	}{
		{"it saves and exits", `trap 'exit 0' TERM`, true},
		{"it exits with a code of its own", `trap 'exit 143' TERM`, true},
		{"it dies of SIGTERM", ":", false},
		{"it has to be killed", `trap "" TERM`, false},
	} {
		s, in := program(t, c.onTerm+"\n"+`echo '{"step":1}'; while :; do sleep 0.02; done`)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := RunCommand(ctx, s, in, func(Progress) { cancel() })
		if EndedInOrder(err) != c.want {
			t.Errorf("%s: observed %v, want in order: %v", c.name, err, c.want)
		}
	}
}

func TestAProgramOfAGroupHasItsGraceAsWell(t *testing.T) {
	s, in, _ := marked(t, `sh -c 'trap "sleep 0.3; echo saved > \"$LEANLOOP_CHECKPOINT_DIR/last\"; exit 0" TERM; echo "{\"step\":1}"; while :; do sleep 0.02; done'; exit 1`)
	s.Grace = 10 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	_, _ = RunCommand(ctx, s, in, func(Progress) { cancel() })
	if _, err := os.Stat(filepath.Join(CheckpointFolder(s.WorkDir), "last")); err != nil {
		t.Errorf("a shell's child had no time to save: %v", err)
	}
}
