package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/training"
)

// trainerSteps is how many steps the trainer of these tests makes.
const trainerSteps = 100

// trainerState is its checkpoint.
type trainerState struct {
	Step   int     `json:"step"`
	Weight float64 `json:"weight"`
}

// beTrainer makes steps, each of which depends on all before it, and puts its state in place after each. It adds a line
// to the trace for each start and step. SIGTERM makes it exit in order, with a state that it hasn't told of.
func beTrainer(trace string) int {
	lines, err := os.OpenFile(trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 3
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	path := filepath.Join(os.Getenv("LEANLOOP_CHECKPOINT_DIR"), "state.json")
	var s trainerState
	if raw, err := os.ReadFile(path); err == nil && json.Unmarshal(raw, &s) != nil {
		return 4
	}
	fmt.Fprintln(lines, "start", os.Getpid(), s.Step)
	for s.Step < trainerSteps {
		select {
		case <-term:
			return 143
		case <-time.After(15 * time.Millisecond):
		}
		s.Step++
		s.Weight = s.Weight*0.99 + float64(s.Step)/100
		raw, _ := json.Marshal(s)
		fmt.Fprintln(lines, "step", s.Step)
		fmt.Printf("{\"step\": %d, \"total\": %d}\n", s.Step, trainerSteps)
		if os.WriteFile(path+".tmp", raw, 0o600) != nil || os.Rename(path+".tmp", path) != nil {
			return 5
		}
	}
	model := fmt.Sprintf(`{"format": "leanloop-linear", "version": 1, "link": "sigmoid", "intercept": [0], "features": [{"name": "delay", "kind": "number", "weights": [%v]}]}`, s.Weight)
	if os.WriteFile(filepath.Join(os.Getenv("SM_MODEL_DIR"), "model.json"), []byte(model), 0o600) != nil {
		return 6
	}
	return 0
}

// workerOrder is what a worker of these tests does: one attempt.
type workerOrder struct {
	Bucket, Scratch, Supervisor string
	Train                       TrainInput
}

// beWorker is a worker that is a process of its own, so that it can be killed.
func beWorker(path string) int {
	var o workerOrder
	raw, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(raw, &o) != nil {
		return 3
	}
	store, err := objectstore.NewDir(o.Bucket)
	if err != nil {
		return 4
	}
	trainer := &Trainer{
		Lake:       &Lake{Store: store, Scratch: o.Scratch, Now: func() time.Time { return t0 }},
		Supervisor: []string{o.Supervisor, asSupervisor}, CheckpointEvery: 20 * time.Millisecond,
	}
	env := newEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(trainer.Train)
	value, err := env.ExecuteActivity(trainer.Train, o.Train)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 5
	}
	var out TrainOutput
	if value.Get(&out) != nil || json.NewEncoder(os.Stdout).Encode(out) != nil {
		return 6
	}
	return 0
}

// steppingWorld is a world whose model is trained by beTrainer, and its trace.
func steppingWorld(t *testing.T) (w *world, trace string) {
	t.Helper()
	trace = filepath.Join(t.TempDir(), "trace")
	command, err := json.Marshal([]string{os.Args[0], asTrainer, trace})
	require.NoError(t, err)
	w = newWorld(t, "train: {builtin: linear}", "train: {command: "+string(command)+", timeout: 20s}")
	w.accept("2013-01.csv", flights(january, 400, 1))
	return w, trace
}

// onDisk copies a world's bucket to a folder, which several processes can use.
func (w *world) onDisk() string {
	w.t.Helper()
	folder := w.t.TempDir()
	dir, err := objectstore.NewDir(folder)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.List(w.t.Context(), "", func(i objectstore.Info) error {
		raw := w.read(i.Key)
		_, err := dir.Put(w.t.Context(), i.Key, bytes.NewReader(raw), int64(len(raw)))
		return err
	}))
	return folder
}

// startsAndSteps reads a trace: where each attempt began, and all steps in order.
func startsAndSteps(t *testing.T, trace string) (starts, steps []int, pids []int) {
	t.Helper()
	raw, err := os.ReadFile(trace)
	if os.IsNotExist(err) {
		return nil, nil, nil
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		var n, pid int
		if _, err := fmt.Sscanf(line, "step %d\n", &n); err == nil {
			steps = append(steps, n)
		} else if _, err := fmt.Sscanf(line, "start %d %d\n", &pid, &n); err == nil {
			starts, pids = append(starts, n), append(pids, pid)
		}
	}
	return starts, steps, pids
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 5*time.Millisecond, what)
}

// Five times the worker is killed in the middle of an attempt. What it had stored is where the next one begins; the model
// is that of a training which nobody disturbed.
func TestKilledWorkersNeverTrainFromScratchTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	w, undisturbed := steppingWorld(t)
	s := w.snapshot()
	want := must(t, w.trainer().Train, w.trainInput(s)).Files[fileModel]
	_, steps, _ := startsAndSteps(t, undisturbed)
	require.Len(t, steps, trainerSteps)
	require.NoError(t, os.Remove(undisturbed))

	trace := undisturbed
	order := workerOrder{Bucket: w.onDisk(), Scratch: t.TempDir(), Supervisor: os.Args[0], Train: w.trainInput(s)}
	order.Train.Number = 2 // another run: nothing to go on from
	random := rand.New(rand.NewPCG(1, 2))
	stored, storedThen := 0, []int(nil)
	var out TrainOutput
	for attempt := 1; ; attempt++ {
		order.Train.Attempt, order.Train.Token = attempt, fmt.Sprintf("%03d-abcdef01", attempt)
		kill := attempt <= 5
		worker, stdout := startWorker(t, order)
		if !kill {
			require.NoError(t, worker.Wait())
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &out))
			break
		}
		_, before, _ := startsAndSteps(t, trace)
		enough := len(before) + 10 + random.IntN(10)
		waitFor(t, "some steps", func() bool { _, steps, _ := startsAndSteps(t, trace); return len(steps) >= enough })
		waitFor(t, "a checkpoint of this attempt", func() bool { return newestStored(t, order) > stored })
		stored = newestStored(t, order)
		storedThen = append(storedThen, stored)
		require.NoError(t, worker.Process.Kill())
		_ = worker.Wait()
		_, _, pids := startsAndSteps(t, trace)
		waitFor(t, "the trainer to end", func() bool { return syscall.Kill(pids[len(pids)-1], 0) != nil })
		waitFor(t, "its folder to be removed", func() bool {
			left, err := filepath.Glob(filepath.Join(order.Scratch, "leanloop-train-*"))
			return err == nil && len(left) == 0
		})
		require.GreaterOrEqual(t, newestStored(t, order), stored)
	}
	require.Equal(t, want, out.Files[fileModel], "the same model")
	starts, steps, _ := startsAndSteps(t, trace)
	require.Len(t, starts, 6)
	require.Zero(t, starts[0])
	for i := 1; i < len(starts); i++ {
		require.Greater(t, starts[i], starts[i-1], "each attempt begins behind where the one before began: %v", starts)
		require.GreaterOrEqual(t, starts[i], storedThen[i-1], "and repeats nothing that was stored when the one before was killed")
	}
	require.Equal(t, trainerSteps, steps[len(steps)-1])
	for i := 1; i < len(steps); i++ {
		require.Contains(t, append(starts, steps[i-1]), steps[i]-1, "no step is left out")
	}
	t.Logf("began at %v, %d steps for %d", starts, len(steps), trainerSteps)
}

func startWorker(t *testing.T, o workerOrder) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "order.json")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	var stdout bytes.Buffer
	worker := exec.Command(os.Args[0], asWorker, path)
	worker.Stdout, worker.Stderr = &stdout, os.Stderr
	require.NoError(t, worker.Start())
	t.Cleanup(func() { _ = worker.Process.Kill() })
	return worker, &stdout
}

// newestStored is the highest step of the run's stored checkpoints.
func newestStored(t *testing.T, o workerOrder) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(o.Bucket, "runs", theModel, "*2", "attempts", "*", "checkpoints", "manifest-*.json"))
	require.NoError(t, err)
	newest := 0
	for _, path := range found {
		var m struct{ Step int }
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &m))
		newest = max(newest, m.Step)
	}
	return newest
}

// A worker that is told to stop ends its trainer with time to save, stores that, and says that it was preempted.
func TestAPreemptedAttemptHandsOverAllThatItDid(t *testing.T) {
	w, trace := steppingWorld(t)
	in := w.trainInput(w.snapshot())
	env := newEnvironment()
	stop := make(chan struct{})
	env.SetWorkerStopChannel(stop)
	go func() {
		defer close(stop)
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if raw, _ := os.ReadFile(trace); bytes.Contains(raw, []byte("step 10\n")) {
				return
			}
		}
	}()
	trainer := w.trainer()
	trainer.CheckpointEvery = time.Hour // only the last look is left
	_, err := tryIn(t, env, trainer.Train, in)
	requireType(t, ErrorPreempted, err)
	_, steps, _ := startsAndSteps(t, trace)
	last := steps[len(steps)-1]
	require.Less(t, last, trainerSteps)

	in.Attempt, in.Token = 2, "002-abcdef01"
	from := continues(t, trainer, in)
	require.Equal(t, "001-abcdef01", from.Token)
	require.InDelta(t, last, from.Step, 1, "the last step that had arrived when the state was written")
	trainer.CheckpointEvery = time.Second
	_, err = try(t, trainer.Train, in)
	require.NoError(t, err)
	starts, steps, _ := startsAndSteps(t, trace)
	require.Equal(t, []int{0, last}, starts)
	require.Len(t, steps, trainerSteps, "no step is repeated")
	log := w.read("runs/flights/000000000001/attempts/002-abcdef01/log.txt")
	require.Contains(t, string(log), fmt.Sprintf("leanloop: continued from step %d, a checkpoint of attempt 001-abcdef01\n", from.Step))
}

// continues is where an attempt's heartbeats say that it goes on from.
func continues(t *testing.T, trainer *Trainer, in TrainInput) CheckpointRef {
	t.Helper()
	return must(t, func(ctx context.Context, in TrainInput) (CheckpointRef, error) {
		a := &trainAttempt{TrainInput: in, dir: t.TempDir(), prefix: "elsewhere/", heart: &heart{}}
		err := trainer.resume(ctx, a, training.CommandSpec{WorkDir: filepath.Join(a.dir, "work"), LogTo: io.Discard})
		if err != nil {
			return CheckpointRef{}, err
		}
		return *a.heart.last.(TrainProgress).Continued, nil
	}, in)
}

// Another run has other rows or another spec, or was asked for in spite of being the same.
func TestCheckpointsOfAnotherRunAreNotGoneOnWith(t *testing.T) {
	w, trace := steppingWorld(t)
	in := w.trainInput(w.snapshot())
	trainer := w.trainer()
	trainer.CheckpointEvery = 10 * time.Millisecond
	must(t, trainer.Train, in)
	in.Number, in.Lifecycle = 2, "lifecycle/flights/2"
	must(t, trainer.Train, in)
	starts, _, _ := startsAndSteps(t, trace)
	require.Equal(t, []int{0, 0}, starts)
}
