package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
)

// machine is a machine with GPUs, as far as its nvidia-smi says, on which workers of one pool run.
type machine struct {
	stack  *testkit.Stack
	folder string // of all that its workers and trainers write
	pool   string // label that only they serve
}

func newMachine(t *testing.T, s *testkit.Stack, pool string, gpus int) *machine {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc to find what is left of a trainer")
	}
	m := &machine{stack: s, folder: t.TempDir(), pool: s.Name(pool)}
	var found, busy strings.Builder
	for i := range gpus {
		id := fmt.Sprintf("GPU-%08d-aaaa", i)
		fmt.Fprintf(&found, "%d, %s, Test GPU, 16384, [N/A]\n", i, id)
		fmt.Fprintf(&busy, "%s) echo '%s, 30, 1024, 16384';;\n", id, id)
	}
	script := "#!/bin/sh\ncase $1 in\n--id=*) for id in $(echo \"${1#--id=}\" | tr , ' '); do case $id in\n" + busy.String() + "esac; done;;\n*) cat <<'END'\n" + found.String() + "END\nesac\n"
	require.NoError(t, os.WriteFile(filepath.Join(m.folder, "nvidia-smi"), []byte(script), 0o700))
	t.Cleanup(func() { m.nothingLeft(t) })
	return m
}

// nothingLeft waits until no process of the machine's trainers or their supervisors runs: all of them have its folder
// in their environment, or on their command line. It is for a test's end, when the workers are stopped.
func (m *machine) nothingLeft(t *testing.T) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		left := m.processes(t)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("30 s after the workers' end there are %q", left)
			return
		}
	}
}

// processes are the command lines of all that the machine's workers have started, and of them.
func (m *machine) processes(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() {
			environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
			line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			if bytes.Contains(environ, []byte(m.folder)) || bytes.Contains(line, []byte(m.folder)) {
				found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
			}
		}
	}
	return found
}

// worker is one of a machine's; a killed one is started again.
type worker struct {
	*machine
	name    string
	address string
	more    []string // arguments
	process *local.Process
}

// start starts a worker of the machine, which trains and does nothing else.
func (m *machine) start(t *testing.T, name string, more ...string) *worker {
	t.Helper()
	address, err := local.FreeAddress()
	require.NoError(t, err)
	w := &worker{machine: m, name: name, address: address, more: more}
	w.again(t)
	t.Cleanup(func() {
		_ = syscall.Kill(w.process.Pid(), syscall.SIGCONT)
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		if err := w.process.Stop(ctx); err != nil {
			t.Log(err)
		}
	})
	return w
}

func (w *worker) again(t *testing.T) {
	t.Helper()
	scratch := filepath.Join(w.folder, "scratch-"+w.name)
	require.NoError(t, os.MkdirAll(scratch, 0o700))
	var err error
	w.process, err = local.Launch(local.Command{
		Name: "worker " + w.name, Path: w.stack.Programs.Worker, Log: w.log(),
		Args: append([]string{
			"--roles", "train", "--listen", w.address, "--id", w.pool + "-" + w.name, "--scratch", scratch, "--train-slots", "0",
			"--labels", w.pool, "--only-labels", "--slots", filepath.Join(w.folder, "slots"), "--train-grace", "1s",
		}, w.more...),
		Env: append(w.stack.Environment(), "PATH="+w.folder+":"+os.Getenv("PATH")),
	})
	require.NoError(t, err)
}

func (w *worker) log() string { return filepath.Join(w.folder, w.name+".log") }

// killed kills the worker and starts it again.
func (w *worker) killed(t *testing.T) {
	t.Helper()
	w.process.Kill()
	<-w.process.Done()
	w.again(t)
}

// newestCheckpoint is the highest step that a run's attempts have stored; 0: none.
func newestCheckpoint(t *testing.T, m *model) int {
	t.Helper()
	newest := 0
	err := m.Store.List(t.Context(), fmt.Sprintf("runs/%s/%012d/attempts/", m.name, 1), func(i objectstore.Info) error {
		if !strings.Contains(i.Key, "/manifest-") {
			return nil
		}
		raw, _, err := objectstore.ReadAll(t.Context(), m.Store, i.Key, 1<<20)
		var manifest struct{ Step int }
		if err == nil {
			err = json.Unmarshal(raw, &manifest)
		}
		newest = max(newest, manifest.Step)
		return err
	})
	require.NoError(t, err)
	return newest
}

// trained is what the run's last attempt made.
func trained(t *testing.T, m *model) activities.TrainOutput {
	t.Helper()
	out, _ := attempts(t, m)
	require.NotNil(t, out, "no attempt made a model")
	return *out
}

// attempts reads the run's history: what the attempt that made a model returned, and how the others ended.
func attempts(t *testing.T, m *model) (made *activities.TrainOutput, failed []enumspb.EventType) {
	t.Helper()
	scheduled := map[int64]bool{}
	for _, e := range history1(t, m) {
		a := e.GetActivityTaskScheduledEventAttributes()
		if a.GetActivityType().GetName() == "Train" {
			scheduled[e.GetEventId()] = true
		}
		if done := e.GetActivityTaskCompletedEventAttributes(); done != nil && scheduled[done.GetScheduledEventId()] {
			made = &activities.TrainOutput{}
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(done.GetResult(), made))
		}
		if scheduled[e.GetActivityTaskFailedEventAttributes().GetScheduledEventId()] || scheduled[e.GetActivityTaskTimedOutEventAttributes().GetScheduledEventId()] {
			failed = append(failed, e.GetEventType())
		}
	}
	return made, failed
}

func history1(t *testing.T, m *model) []*historypb.HistoryEvent {
	t.Helper()
	var all []*historypb.HistoryEvent
	events := m.Temporal.GetWorkflowHistory(t.Context(), m.lifecycle(1), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// hopeless makes a run end when it was judged: these tests are about training.
func hopeless(m *spec.Model) {
	m.Gates.Metrics = map[string]spec.Bound{"roc_auc": {Min: new(1.0)}}
}
