package training

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/slots"
)

// oneGPU is a worker of a machine with one GPU; those that share a folder are on the same machine.
func oneGPU(folder string) *slots.Pool {
	return slots.New(slots.Options{GPUs: []gpu.Device{{ID: "GPU-11111111"}}, Folder: folder})
}

func takeGPU(t *testing.T, p *slots.Pool) *slots.Lease {
	t.Helper()
	l, ok, err := p.Take(slots.Need{GPUs: 1})
	if err != nil || !ok {
		t.Fatalf("observed %v, %v, want the GPU", ok, err)
	}
	return l
}

func isFree(t *testing.T, p *slots.Pool) bool {
	t.Helper()
	free, err := p.Fits(slots.Need{GPUs: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return free
}

func TestATrainerSeesTheGPUsOfItsSlotAndHoldsThem(t *testing.T) {
	folder := t.TempDir()
	worker, other := oneGPU(folder), oneGPU(folder)
	l := takeGPU(t, worker)
	s, in, _ := marked(t, `echo "sees $CUDA_VISIBLE_DEVICES of $SM_NUM_GPUS"; `+ready+`while [ ! -e "$LEANLOOP_CHECKPOINT_DIR/go" ]; do sleep 0.02; done`+"\n"+copyModel)
	s.GPUs, s.Locks = gpu.IDs(l.Devices), l.Locks
	var log bytes.Buffer
	s.LogTo = &log
	ended := make(chan error, 1)
	go func() {
		_, err := RunCommand(t.Context(), s, in, nil)
		ended <- err
	}()
	waitReady(t, s)
	if isFree(t, other) {
		t.Error("observed a free GPU while its trainer runs")
	}
	if err := os.WriteFile(CheckpointFolder(s.WorkDir)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the GPU to be free for another worker, before this one gives it back", func() bool { return isFree(t, other) })
	l.Release()
	if !strings.Contains(log.String(), "sees GPU-11111111 of 1\n") {
		t.Errorf("observed %q", log.String())
	}
}

func TestAGPUIsFreeOnlyWhenNothingOfAKilledSupervisorIsLeft(t *testing.T) {
	folder := t.TempDir()
	worker, other := oneGPU(folder), oneGPU(folder)
	l := takeGPU(t, worker)
	// The daemon changes its environment, so nobody finds it: it keeps the GPU for as long as it lives.
	s, in, mark := marked(t, `setsid env -i sleep 300 & echo "daemon $!"; sleep 0.2; kill -9 $PPID; sleep 300`)
	s.GPUs, s.Locks = gpu.IDs(l.Devices), l.Locks
	var log bytes.Buffer
	s.LogTo = &log
	if _, err := RunCommand(t.Context(), s, in, nil); err == nil || Classify(err) != CauseInfrastructure {
		t.Fatalf("observed %v, want an error of infrastructure", err)
	}
	l.Release()
	requireNoneLeft(t, mark)
	if isFree(t, other) || isFree(t, worker) {
		t.Error("observed a free GPU while a daemon of its trainer lives")
	}
	if err := syscall.Kill(numberAfter(t, log.String(), "daemon "), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the GPU to be free", func() bool { return isFree(t, other) })
}

func numberAfter(t *testing.T, text, word string) int {
	t.Helper()
	_, rest, found := strings.Cut(text, word)
	n, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if !found || err != nil {
		t.Fatalf("observed %q, want %q and a number", text, word)
	}
	return n
}
