package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// asStepper is this test program as a model owner's: a trainer that can be killed at any step.
const asStepper = "train-by-steps"

// stepperState is its checkpoint.
type stepperState struct {
	Step   int
	Weight float64
}

// beStepper makes steps, each of which depends on all before it, and keeps its state after each. Into folder it writes a
// trace of its name, and for as long as it lives it holds the locks of the GPUs that it was given: where another has one,
// that is written to the file "shared".
//
//	train-by-steps FOLDER NAME STEPS MILLISECONDS
func beStepper(args []string) int {
	folder, name := args[0], args[1]
	steps, err := strconv.Atoi(args[2])
	if err != nil {
		return 2
	}
	pause, err := strconv.Atoi(args[3])
	if err != nil {
		return 2
	}
	for _, id := range strings.Split(os.Getenv("CUDA_VISIBLE_DEVICES"), ",") {
		f, err := os.OpenFile(filepath.Join(folder, "held-"+id), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return 3
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			note(folder, "shared", "%s: GPU %q: %v\n", name, id, err)
		}
		defer func() { _ = f.Close() }()
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	path := filepath.Join(os.Getenv("LEANLOOP_CHECKPOINT_DIR"), "state.json")
	var s stepperState
	if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &s) != nil {
		return 4
	}
	note(folder, "trace-"+name, "start %d\n", s.Step)
	note(folder, "turns", "%s\n", name)
	for s.Step < steps {
		select {
		case <-term:
			return 143
		case <-time.After(time.Duration(pause) * time.Millisecond):
		}
		s.Step++
		s.Weight = s.Weight*0.99 + float64(s.Step)/100
		raw, _ := json.Marshal(s)
		fmt.Printf("{\"step\": %d, \"total\": %d}\n", s.Step, steps)
		if os.WriteFile(path+".tmp", raw, 0o600) != nil || os.Rename(path+".tmp", path) != nil {
			return 5
		}
		note(folder, "trace-"+name, "step %d\n", s.Step)
	}
	model := fmt.Sprintf(`{"format": "leanloop-linear", "version": 1, "link": "sigmoid", "intercept": [0], "features": [{"name": "delay", "kind": "number", "scale": 100, "weights": [%v]}]}`, s.Weight)
	if os.WriteFile(filepath.Join(os.Getenv("SM_MODEL_DIR"), "model.json"), []byte(model), 0o600) != nil {
		return 6
	}
	return 0
}

// note adds to a file in one write, which others can't get between.
func note(folder, file, format string, args ...any) {
	if f, err := os.OpenFile(filepath.Join(folder, file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_, _ = fmt.Fprintf(f, format, args...)
		_ = f.Close()
	}
}

// bySteps makes the tests' spec one that such a trainer trains, on one GPU of a pool.
func bySteps(t *testing.T, folder, pool string, steps, milliseconds int) func(*spec.Model) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return func(m *spec.Model) {
		m.Train.Builtin, m.Train.Command = "", []string{self, asStepper, folder, m.Metadata.Name, strconv.Itoa(steps), strconv.Itoa(milliseconds)}
		m.Train.Resources.GPUs, m.Train.Resources.Labels = 1, []string{pool}
		m.Train.Retries = spec.Retries{Infrastructure: 30, Preemption: 30}
	}
}

// traced are a trainer's starts and steps so far, in order.
func traced(folder, name string) (starts, steps []int) {
	raw, _ := os.ReadFile(filepath.Join(folder, "trace-"+name))
	for line := range strings.Lines(string(raw)) {
		var n int
		if _, err := fmt.Sscanf(line, "start %d\n", &n); err == nil {
			starts = append(starts, n)
		} else if _, err := fmt.Sscanf(line, "step %d\n", &n); err == nil {
			steps = append(steps, n)
		}
	}
	return starts, steps
}
