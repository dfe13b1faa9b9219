package training

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// program is a shell script run under the contract, with a model of the built-in trees beside it as trees.json.
func program(t *testing.T, script string) (CommandSpec, Input) {
	t.Helper()
	in := splitMade(300, 3, spec.Binary)
	out, err := Builtin(context.Background(), Trees, Input{Train: in.Train, Features: in.Features, Target: in.Target, Task: in.Task,
		Params: map[string]any{"rounds": 3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	code := t.TempDir()
	for name, content := range map[string][]byte{"train.sh": []byte("set -eu\n" + script), "trees.json": out.Model} {
		if err := os.WriteFile(filepath.Join(code, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return CommandSpec{Supervisor: superviseInTest(), Argv: []string{"sh", "train.sh"}, CodeDir: code, WorkDir: filepath.Join(t.TempDir(), "run"),
		Timeout: time.Minute, Grace: 200 * time.Millisecond}, in
}

const copyModel = `cp trees.json "$SM_MODEL_DIR/model.json"` + "\n"

func TestCommandTrainsAndItsSignatureIsDerived(t *testing.T) {
	s, in := program(t, `
		head -1 "$SM_CHANNEL_TRAIN/train.csv"
		test -s "$SM_CHANNEL_VALIDATION/validation.csv"
		echo '{"epoch":1,"total":2,"metrics":{"auc":0.5}}'
		echo '{"epoch":2,"total":2,"metrics":{"auc":NaN}}'
		echo '{"this is": no progress}'
		echo to stderr >&2
		`+copyModel)
	var log bytes.Buffer
	s.LogTo = &log
	var reports []Progress
	out, err := RunCommand(context.Background(), s, in, func(p Progress) { reports = append(reports, p) })
	if err != nil {
		t.Fatal(err)
	}
	m := load(t, out)
	if got := len(m.Signature.Inputs); got != len(in.Features) || m.Signature.Output != "target" {
		t.Errorf("observed %d inputs for %q", got, m.Signature.Output)
	}
	requireReportedMetrics(t, in, out)
	if len(reports) != 2 || reports[0].Step != 1 || reports[0].Metrics["auc"] != 0.5 || !math.IsNaN(reports[1].Metrics["auc"]) || out.Rounds != 2 {
		t.Errorf("observed progress %v and %d rounds", reports, out.Rounds)
	}
	for _, want := range []string{"n0,n1,n2,c3,c40,target\n", "to stderr\n", "{\"this is\": no progress}\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "epoch") {
		t.Errorf("the log has progress in it: %s", log.String())
	}
}

func TestCommandSeesTheContractAndNothingElse(t *testing.T) {
	s, in := program(t, copyModel+`env | sort; for a in "$@"; do echo "arg=$a"; done; cat "$LEANLOOP_SCHEMA"; pwd`)
	t.Setenv("LEANLOOP_TEST_OF_THE_WORKER", "its own")
	s.Params = map[string]any{"eta": 0.1, "objective": "binary:logistic", "max_depth": 6, "fast": true}
	s.Env = map[string]string{"WEATHER_API_KEY": "secret"}
	var log bytes.Buffer
	s.LogTo = &log
	if _, err := RunCommand(context.Background(), s, in, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"WEATHER_API_KEY=***\n", "HOME=" + s.WorkDir, "SM_MODEL_DIR=" + filepath.Join(s.WorkDir, "model"),
		"LEANLOOP_CHECKPOINT_DIR=" + filepath.Join(s.WorkDir, "checkpoints"), "SM_NUM_GPUS=0", "CUDA_VISIBLE_DEVICES=",
		`SM_HPS={"eta":0.1,"fast":true,"max_depth":6,"objective":"binary:logistic"}`, `SM_CHANNELS=["train","validation"]`,
		"SM_CHANNEL_TEST=" + filepath.Join(s.WorkDir, "input", "data", "validation"),
		"arg=--eta\narg=0.1\narg=--fast\narg=true\narg=--max_depth\narg=6\narg=--objective\narg=binary:logistic",
		`"target": "target"`, s.CodeDir,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("observed no %q in\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "LEANLOOP_TEST_OF_THE_WORKER") {
		t.Error("the worker's own environment reached the program")
	}
}

func TestCommandIsToldItsShareOfTheMachine(t *testing.T) {
	s, in := program(t, copyModel+`echo "$SM_NUM_CPUS $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS $MKL_NUM_THREADS"; ulimit -d; ulimit -H -d; sh -c "ulimit -d"`)
	var log bytes.Buffer
	s.CPUs, s.LogTo = 3, &log
	want := "3 3 3 3\n"
	if runtime.GOOS == "linux" {
		s.Memory = 1 << 30
		want += strings.Repeat("1048576\n", 3) // KiB; what the program starts has the same limit
	}
	if _, err := RunCommand(context.Background(), s, in, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(log.String(), want) {
		t.Errorf("observed %q, want %q", log.String(), want)
	}
}

func TestCommandThatNeedsMoreMemoryThanItsLimitFails(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits of memory are kept on Linux only")
	}
	// dd holds a whole block in memory.
	s, in := program(t, "dd if=/dev/zero of=/dev/null bs=100000000 count=1\n"+copyModel)
	if _, err := RunCommand(context.Background(), s, in, nil); err != nil {
		t.Fatalf("without a limit: %v", err)
	}
	s.Memory = 32 << 20
	_, err := RunCommand(context.Background(), s, in, nil)
	var script *ScriptError
	if !errors.As(err, &script) || script.Start != nil || script.Code <= 0 {
		t.Errorf("observed %v, want *ScriptError with the program's own exit code", err)
	}
}

func TestCommandWithALimitOfMemoryEndsAsOneWithout(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("limits of memory are kept on Linux only")
	}
	s, in := program(t, "sleep 60")
	s.Memory = 1 << 30
	for _, c := range []struct {
		name    string
		argv    []string
		timeout time.Duration
		ok      func(error) bool
	}{
		{"timeout", []string{"sh", "train.sh"}, 300 * time.Millisecond, func(err error) bool { var e *TimeoutError; return errors.As(err, &e) }},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, time.Minute, func(err error) bool { var e *ScriptError; return errors.As(err, &e) && e.Signal == "killed" }},
		{"missing", []string{"no-such-program-of-ours"}, time.Minute, func(err error) bool { var e *ScriptError; return errors.As(err, &e) && e.Start != nil }},
	} {
		s.Argv, s.Timeout = c.argv, c.timeout
		if _, err := RunCommand(context.Background(), s, in, nil); !c.ok(err) {
			t.Errorf("%s: observed %v", c.name, err)
		}
	}
}

func TestCommandFailuresAreTyped(t *testing.T) {
	for _, c := range []struct {
		name, script string
		argv         []string
		check        func(t *testing.T, err error)
	}{
		{"exit code and the last lines", "echo one; echo two >&2; exit 3", nil, func(t *testing.T, err error) {
			var script *ScriptError
			if !errors.As(err, &script) || script.Code != 3 || len(script.Tail) != 2 {
				t.Errorf("observed %#v, want *ScriptError of code 3 with two lines", err)
			}
		}},
		{"killed by a signal", "kill -9 $$", nil, func(t *testing.T, err error) {
			var script *ScriptError
			if !errors.As(err, &script) || script.Signal != "killed" || script.Code != -1 {
				t.Errorf("observed %#v, want *ScriptError of the signal", err)
			}
		}},
		{"program missing", "", []string{"no-such-program-of-ours"}, func(t *testing.T, err error) {
			var script *ScriptError
			if !errors.As(err, &script) || script.Start == nil {
				t.Errorf("observed %#v, want *ScriptError that never started", err)
			}
		}},
		{"program not executable", "", []string{"./train.sh"}, func(t *testing.T, err error) {
			if !errors.Is(err, os.ErrPermission) {
				t.Errorf("observed %v, want a permission error", err)
			}
		}},
		{"no model", `echo x > "$SM_MODEL_DIR/model.pkl"`, nil, func(t *testing.T, err error) {
			var none *NoModelError
			if !errors.As(err, &none) || len(none.Found) != 1 || none.Found[0] != "model.pkl (2 bytes)" {
				t.Errorf("observed %v, want *NoModelError that names model.pkl", err)
			}
		}},
		{"a link instead of a model", `ln -s /etc/passwd "$SM_MODEL_DIR/model.json"`, nil, func(t *testing.T, err error) {
			var none *NoModelError
			if !errors.As(err, &none) || none.Found[0] != "model.json (link)" {
				t.Errorf("observed %v, want *NoModelError that names the link", err)
			}
		}},
		{"a model that can't be read", `echo '{"learner":{}}' > "$SM_MODEL_DIR/model.json"`, nil, func(t *testing.T, err error) {
			var model *ModelError
			if !errors.As(err, &model) {
				t.Errorf("observed %v, want *ModelError", err)
			}
		}},
		{"a signature that doesn't fit", copyModel + `echo '{"version":1}' > "$SM_MODEL_DIR/signature.json"`, nil, func(t *testing.T, err error) {
			var model *ModelError
			if !errors.As(err, &model) {
				t.Errorf("observed %v, want *ModelError", err)
			}
		}},
		{"features that the data doesn't have", `sed 's/"n0"/"other"/' trees.json > "$SM_MODEL_DIR/model.json"`, nil, func(t *testing.T, err error) {
			if err == nil || !strings.Contains(err.Error(), `feature "other" is none of the columns`) {
				t.Errorf("observed %v", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := program(t, c.script)
			if c.argv != nil {
				s.Argv = c.argv
			}
			_, err := RunCommand(context.Background(), s, in, nil)
			c.check(t, err)
		})
	}
}

func TestCategoriesThatPandasWouldCodeOtherwise(t *testing.T) {
	for _, c := range []struct {
		name       string
		categories []string
		want       bool
	}{
		{"names", []string{"AA", "B6"}, true},
		{"names and numbers", []string{"10", "9E", "B6"}, true},
		{"numbers sort by value", []string{"10", "9"}, false},
		{"a name that is read as null", []string{"EU", "NA"}, false},
	} {
		if got := codedAlike(c.categories); got != c.want {
			t.Errorf("%s: observed %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCommandGarbageIsBounded(t *testing.T) {
	s, in := program(t, `
		i=0; while [ $i -lt 200 ]; do echo "line $i"; i=$((i+1)); done
		head -c 300000 /dev/zero | tr '\0' 'x'; echo
		printf '{"epoch": 1e999}\n{"metrics": {"a": "text", "b": null}}\n{"metrics": 3}\n\377\376\n'
		exit 1`)
	_, err := RunCommand(context.Background(), s, in, nil)
	var script *ScriptError
	if !errors.As(err, &script) {
		t.Fatalf("observed %v, want *ScriptError", err)
	}
	if len(script.Tail) != tailLines {
		t.Errorf("observed %d lines, want %d", len(script.Tail), tailLines)
	}
	for _, line := range script.Tail {
		if len(line) > tailLine+100 || !utf8.ValidString(line) {
			t.Errorf("observed a line of %d bytes: %.40q", len(line), line)
		}
	}
	if len(err.Error()) > 20_000 {
		t.Errorf("observed an error of %d bytes", len(err.Error()))
	}
}

// size counts what is written to it.
type size int

func (s *size) Write(b []byte) (int, error) {
	*s += size(len(b))
	return len(b), nil
}

func TestCommandFloodIsCut(t *testing.T) {
	var stored size
	var last []byte
	log := newProgramLog(io.MultiWriter(&stored, writerFunc(func(b []byte) { last = bytes.Clone(b) })), nil, nil)
	line := bytes.Repeat([]byte("y"), 1<<20)
	line[len(line)-1] = '\n'
	log.read(io.LimitReader(repeat(line), 80<<20), false)
	log.line([]byte("the end\n"), true, false)
	if stored > mostLog+size(len(logCut)) || string(last) != logCut {
		t.Errorf("observed %d bytes, the last of them %.40q, want at most %d and that it was cut", stored, last, mostLog)
	}
	if tail := log.lines(); tail[len(tail)-1] != "the end" {
		t.Errorf("observed %q, want the last line whatever was cut", tail[len(tail)-1])
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// repeat reads the same bytes for ever.
type repeat []byte

func (r repeat) Read(b []byte) (int, error) { return copy(b, r), nil }

// alive reports whether a process exists and isn't a zombie.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// requireDead waits until the processes whose ids a program wrote, one a line, have ended.
func requireDead(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		t.Fatal("the program wrote no process ids")
	}
	deadline := time.Now().Add(5 * time.Second)
	for _, field := range fields {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for alive(t, pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d is still alive", pid)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

const forkChild = `sh -c 'trap "" TERM; while :; do sleep 1; done' & echo $! >> "$LEANLOOP_CHECKPOINT_DIR/pids"` + "\n"

func TestCommandEndsTheWholeGroup(t *testing.T) {
	pids := func(s CommandSpec) string { return filepath.Join(s.WorkDir, "checkpoints", "pids") }

	t.Run("on timeout, though it ignores SIGTERM", func(t *testing.T) {
		s, in := program(t, `trap "" TERM; echo $$ >> "$LEANLOOP_CHECKPOINT_DIR/pids"`+"\n"+forkChild+"echo hanging; while :; do sleep 1; done")
		s.Timeout = 300 * time.Millisecond
		_, err := RunCommand(context.Background(), s, in, nil)
		var timeout *TimeoutError
		if !errors.As(err, &timeout) || len(timeout.Tail) != 1 {
			t.Errorf("observed %v, want *TimeoutError with one line", err)
		}
		requireDead(t, pids(s))
	})
	t.Run("on cancel, after its grace", func(t *testing.T) {
		s, in := program(t, forkChild+`trap 'echo saved > "$LEANLOOP_CHECKPOINT_DIR/last"; exit 0' TERM`+"\n"+`echo '{"epoch":1}'`+"\nwhile :; do sleep 0.05; done")
		s.Grace = 2 * time.Second // all of which the child takes
		ctx, cancel := context.WithCancel(context.Background())
		_, err := RunCommand(ctx, s, in, func(Progress) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("observed %v, want the context's error", err)
		}
		if _, err := os.Stat(filepath.Join(s.WorkDir, "checkpoints", "last")); err != nil {
			t.Errorf("it had no time to save: %v", err)
		}
		requireDead(t, pids(s))
	})
	t.Run("on success", func(t *testing.T) {
		s, in := program(t, forkChild+copyModel)
		if _, err := RunCommand(context.Background(), s, in, nil); err != nil {
			t.Fatal(err)
		}
		requireDead(t, pids(s))
	})
	t.Run("that stopped itself", func(t *testing.T) {
		s, in := program(t, `echo $$ >> "$LEANLOOP_CHECKPOINT_DIR/pids"; kill -STOP $$`)
		s.Timeout = 200 * time.Millisecond
		_, err := RunCommand(context.Background(), s, in, nil)
		var timeout *TimeoutError
		if !errors.As(err, &timeout) {
			t.Errorf("observed %v, want *TimeoutError", err)
		}
		requireDead(t, pids(s))
	})
}

func TestCommandRefusesWhatBreaksTheContract(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*CommandSpec)
	}{
		{"no program", func(s *CommandSpec) { s.Argv = nil }},
		{"a secret named like the contract's", func(s *CommandSpec) { s.Env = map[string]string{"SM_MODEL_DIR": "/"} }},
		{"a secret named PATH", func(s *CommandSpec) { s.Env = map[string]string{"PATH": "/"} }},
		{"a secret with a bad name", func(s *CommandSpec) { s.Env = map[string]string{"A=B": "x"} }},
		{"a parameter with a bad name", func(s *CommandSpec) { s.Params = map[string]any{"a b": 1} }},
		{"a parameter that JSON can't hold", func(s *CommandSpec) { s.Params = map[string]any{"a": math.NaN()} }},
		{"no working folder", func(s *CommandSpec) { s.WorkDir = "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := program(t, "")
			c.change(&s)
			_, err := RunCommand(context.Background(), s, in, nil)
			var param *ParamError
			if !errors.As(err, &param) {
				t.Errorf("observed %v, want *ParamError", err)
			}
		})
	}
}

func TestCommandTakesALinearModelWithItsOwnSignature(t *testing.T) {
	s, in := program(t, `
		cat > "$SM_MODEL_DIR/model.json" <<'END'
{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[0.1],"features":[{"name":"n0","kind":"number","weights":[1.5]}]}
END
		cat > "$SM_MODEL_DIR/signature.json" <<'END'
{"version":1,"format":"leanloop-linear","task":"binary","inputs":[{"name":"n0","kind":"number"}],"classes":["0","1"],"output":"target","threshold":0.4}
END`)
	out, err := RunCommand(context.Background(), s, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Signature.Threshold != 0.4 || out.Signature.Format != inference.FormatLinear {
		t.Errorf("observed %+v", out.Signature)
	}
}

func TestCommandSignatureMustNameTheDatasClasses(t *testing.T) {
	s, in := program(t, `
		cat > "$SM_MODEL_DIR/model.json" <<'END'
{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[0.1],"features":[{"name":"n0","kind":"number","weights":[1.5]}]}
END
		cat > "$SM_MODEL_DIR/signature.json" <<'END'
{"version":1,"format":"leanloop-linear","task":"binary","inputs":[{"name":"n0","kind":"number"}],"classes":["bad","good"],"output":"target"}
END`)
	_, err := RunCommand(context.Background(), s, in, nil)
	var model *ModelError
	if !errors.As(err, &model) || !strings.Contains(err.Error(), `not one of the model's classes ["bad" "good"]`) {
		t.Errorf("observed %v, want *ModelError", err)
	}
}

func FuzzParseProgress(f *testing.F) {
	f.Add([]byte(`{"epoch":3,"metrics":{"auc":0.91}}`))
	f.Add([]byte(`{"step":1e300,"metrics":{"a\"NaN":NaN,"b":-Infinity}}`))
	f.Add([]byte(`{"metrics":{}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		p, ok := parseProgress(line)
		if !ok && (p.Step != 0 || len(p.Metrics) != 0) {
			t.Errorf("observed %+v of a line that is no progress", p)
		}
		if p.Step < 0 || p.Total < 0 || len(p.Metrics) > mostMetrics {
			t.Errorf("observed %+v", p)
		}
	})
}
