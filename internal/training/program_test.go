package training

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func shell(t *testing.T, script string) Program {
	t.Helper()
	home := t.TempDir()
	return Program{
		Supervisor: superviseInTest(), Argv: []string{"sh", "-euc", script}, Home: home, Timeout: time.Minute, Grace: 200 * time.Millisecond,
		MaxOutput: 1000,
	}
}

func TestAProgramReadsItsInputAndAnswers(t *testing.T) {
	t.Setenv("LEANLOOP_TEST_SECRET", "the worker's own")
	p := shell(t, `echo to the log >&2; pwd; cat; env | cut -d= -f1 | sort | tr '\n' ' '`)
	p.Input, p.Env, p.Dir = []byte("a line\n"), map[string]string{"TOKEN": "x"}, t.TempDir()
	out, err := RunProgram(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) != 3 || lines[0] != p.Dir || lines[1] != "a line" {
		t.Fatalf("observed %q", out)
	}
	for _, name := range strings.Fields(lines[2]) {
		switch name {
		case "HOME", "LANG", "PATH", "PWD", "TMPDIR", "TOKEN", "_", "OLDPWD", "SHLVL":
		default:
			t.Errorf("the program sees %s", name)
		}
	}
}

func TestAProgramThatFailsSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		change func(*Program)
		want   string
	}{
		"an exit code, with the last lines of standard error": {"echo an answer; echo no such alias >&2; exit 3", nil, "exit code 3; its last lines: no such alias"},
		"a signal":        {"kill -9 $$", nil, "ended by signal: killed"},
		"a timeout":       {"echo waits >&2; sleep 60", func(p *Program) { p.Timeout = 200 * time.Millisecond }, "still running after its timeout of 200ms; its last lines: waits"},
		"no such program": {"", func(p *Program) { p.Argv = []string{"no-such-program"} }, "not started"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shell(t, c.script)
			if c.change != nil {
				c.change(&p)
			}
			_, err := RunProgram(context.Background(), p)
			if _, ok := errors.AsType[*ProgramError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("observed %T: %v, want a *ProgramError with %q", err, err, c.want)
			}
		})
	}
}

func TestAProgramThatPrintsTooMuchIsRefusedAndEndsByItself(t *testing.T) {
	p := shell(t, `i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; : >ended`)
	p.Dir = t.TempDir()
	_, err := RunProgram(context.Background(), p)
	if over, ok := errors.AsType[*OutputError](err); !ok || over.Limit != 1000 {
		t.Fatalf("observed %v", err)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "ended")); err != nil {
		t.Fatal("it was left waiting for a reader:", err)
	}
}

func TestAProgramIsStoppedWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := shell(t, `: >begun; sleep 60`)
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(p.Home, "begun")); err == nil {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, err := RunProgram(ctx, p)
	if _, ok := errors.AsType[*StoppedError](err); !ok || !errors.Is(err, context.Canceled) {
		t.Fatalf("observed %v", err)
	}
}

func TestAProgramsEnvironmentKeepsItsNames(t *testing.T) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "1A", "A B", ""} {
		p := shell(t, "true")
		p.Env = map[string]string{name: "x"}
		if _, err := RunProgram(context.Background(), p); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
