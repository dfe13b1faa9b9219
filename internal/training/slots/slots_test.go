//go:build unix

package slots

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/training/gpu"
)

func devices(memory ...int64) []gpu.Device {
	var out []gpu.Device
	for i, m := range memory {
		out = append(out, gpu.Device{ID: fmt.Sprintf("GPU-0000000%d", i), Index: i, Memory: m << 30})
	}
	return out
}

func pool(t *testing.T, folder string, cpus int, memory ...int64) *Pool {
	t.Helper()
	return New(Options{GPUs: devices(memory...), CPUs: cpus, Folder: folder})
}

func take(t *testing.T, p *Pool, n Need) *Lease {
	t.Helper()
	l, ok, err := p.Take(n)
	require.NoError(t, err)
	require.True(t, ok, n)
	return l
}

func refuses(t *testing.T, p *Pool, n Need) {
	t.Helper()
	_, ok, err := p.Take(n)
	require.NoError(t, err)
	require.False(t, ok, n)
}

func TestARunTakesAllOfItsGPUsOrNone(t *testing.T) {
	p := pool(t, t.TempDir(), 1, 16, 16, 16)
	two := take(t, p, Need{GPUs: 2})
	require.Equal(t, []string{"GPU-00000000", "GPU-00000001"}, gpu.IDs(two.Devices))
	refuses(t, p, Need{GPUs: 2})
	one := take(t, p, Need{GPUs: 1})
	refuses(t, p, Need{GPUs: 1})
	cpu := take(t, p, Need{})
	require.Empty(t, cpu.Devices, "a run without GPU takes none")
	refuses(t, p, Need{})
	two.Release()
	two.Release()
	gpus, cpus := p.InUse()
	require.Equal(t, []int{1, 1}, []int{gpus, cpus})
	take(t, p, Need{GPUs: 2}).Release()
	one.Release()
	refuses(t, p, Need{GPUs: 4})
}

func TestTheSmallestGPUThatDoesIsTaken(t *testing.T) {
	p := pool(t, t.TempDir(), 0, 80, 16, 40)
	require.Equal(t, 1, take(t, p, Need{GPUs: 1}).Devices[0].Index)
	require.Equal(t, 2, take(t, p, Need{GPUs: 1, Memory: 24 << 30}).Devices[0].Index)
	refuses(t, p, Need{GPUs: 1, Memory: 81 << 30})
	require.Equal(t, 0, take(t, p, Need{GPUs: 1, Memory: 24 << 30}).Devices[0].Index)
}

func TestTwoWorkersOfAMachineNeverShareAGPU(t *testing.T) {
	folder := t.TempDir()
	a, b := pool(t, folder, 1, 16, 16), pool(t, folder, 1, 16, 16)
	ofA := take(t, a, Need{GPUs: 1})
	ofB := take(t, b, Need{GPUs: 1})
	require.NotEqual(t, ofA.Devices, ofB.Devices, "the other GPU is tried")
	refuses(t, a, Need{GPUs: 1})
	fits, err := b.Fits(Need{GPUs: 1}, 1)
	require.NoError(t, err)
	require.False(t, fits, "what another worker holds isn't free")
	take(t, a, Need{})
	take(t, b, Need{}) // slots without a GPU are each worker's own
	ofB.Release()
	take(t, a, Need{GPUs: 1})
}

func TestWorkersThatNameTheSameFolderShareSlotsWithoutGPU(t *testing.T) {
	o := Options{CPUs: 2, Folder: t.TempDir(), LockCPUs: true}
	a, b := New(o), New(o)
	take(t, a, Need{})
	take(t, b, Need{})
	refuses(t, a, Need{})
	refuses(t, b, Need{})
}

// Random workers on one machine take and give back: no GPU is ever with two, and in the end all are free.
func TestNoGPUIsEverWithTwo(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		workers := make([]*Pool, 3)
		for i := range workers {
			workers[i] = New(Options{GPUs: devices(16, 16, 40), Folder: folder})
		}
		owner := map[string]*Lease{}
		var leases []*Lease
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if len(leases) > 0 && rapid.Bool().Draw(t, "release") {
				i := rapid.IntRange(0, len(leases)-1).Draw(t, "which")
				leases[i].Release()
				for _, d := range leases[i].Devices {
					delete(owner, d.ID)
				}
				leases = slices.Delete(leases, i, i+1)
				continue
			}
			n := Need{GPUs: rapid.IntRange(1, 3).Draw(t, "gpus"), Memory: rapid.SampledFrom([]int64{0, 24 << 30}).Draw(t, "memory")}
			w := workers[rapid.IntRange(0, 2).Draw(t, "worker")]
			fits, err := w.Fits(n, 1)
			if err != nil {
				t.Fatal(err)
			}
			l, ok, err := w.Take(n)
			if err != nil || ok != fits {
				t.Fatalf("take %v: %v %v, want %v as it was said to fit", n, ok, err, fits)
			}
			if !ok {
				continue
			}
			for _, d := range l.Devices {
				if owner[d.ID] != nil || d.Memory < n.Memory {
					t.Fatalf("GPU %s of %d bytes is given to %v: it is with another, or too small", d.ID, d.Memory, n)
				}
				owner[d.ID] = l
			}
			leases = append(leases, l)
		}
		for _, l := range leases {
			l.Release()
		}
		l, ok, err := workers[0].Take(Need{GPUs: 3})
		if err != nil || !ok {
			t.Fatalf("in the end: %v %v, want all three", ok, err)
		}
		l.Release()
	})
}

// What inherits the lock holds it on its own: the worker's share doesn't count any more.
func TestALockLivesAsLongAsTheTrainer(t *testing.T) {
	folder := t.TempDir()
	p, other := pool(t, folder, 0, 16), pool(t, folder, 0, 16)
	l := take(t, p, Need{GPUs: 1})
	c := exec.Command("sleep", "60")
	c.ExtraFiles = l.Locks
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	require.NoError(t, l.Locks[0].Close())
	refuses(t, other, Need{GPUs: 1})
	l.Release()
	refuses(t, p, Need{GPUs: 1})
	done := make(chan error, 1)
	desk := NewDesk(other, map[string]Need{"one": {GPUs: 1}})
	go func() { _, err := desk.Reserve(t.Context(), "one"); done <- err }()
	select {
	case err := <-done:
		t.Fatalf("waited for nothing: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	require.NoError(t, c.Process.Kill())
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the lock of a process that is gone isn't free")
	}
	take(t, other, Need{GPUs: 1})
}

func TestWhoWaitsIsWokenByARelease(t *testing.T) {
	p := pool(t, "", 1)
	d := NewDesk(p, map[string]Need{"none": {}})
	l := take(t, p, Need{})
	done := make(chan error, 1)
	go func() { _, err := d.Reserve(t.Context(), "none"); done <- err }()
	l.Release()
	require.NoError(t, <-done)
}

// One who asks while a task has come that hasn't taken its slot waits for that one's end, not for two slots.
func TestAWorkerOfOneSlotAsksAgainAfterEachTask(t *testing.T) {
	d := NewDesk(pool(t, "", 1), map[string]Need{"none": {}})
	first := reserve(t, d, "none")
	next := make(chan *Ticket, 1)
	go func() {
		ticket, _ := d.Reserve(t.Context(), "none")
		next <- ticket
	}()
	waits(t, d, "none")
	require.NoError(t, d.Use(first))
	lease := d.Claim("none")
	waits(t, d, "none")
	lease.Release()
	d.Return(first)
	select {
	case ticket := <-next:
		require.NotNil(t, ticket)
	case <-time.After(20 * time.Second):
		t.Fatal("the slot is free, and nobody asks")
	}
}

func TestAFolderThatCantHoldLocksIsAnError(t *testing.T) {
	p := pool(t, filepath.Join(t.TempDir(), "absent"), 0, 16)
	_, _, err := p.Take(Need{GPUs: 1})
	require.ErrorContains(t, err, "lock of slot gpu-GPU-00000000")

	folder := t.TempDir()
	target := filepath.Join(folder, "elsewhere")
	require.NoError(t, os.Symlink(target, filepath.Join(folder, "gpu-GPU-00000000.lock")))
	_, _, err = pool(t, folder, 0, 16).Take(Need{GPUs: 1})
	require.Error(t, err, "a link that somebody put there isn't followed")
	require.NoFileExists(t, target)
}

func TestTheFolderIsForEveryUser(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run", "slots")
	require.NoError(t, MakeFolder(folder))
	require.NoError(t, MakeFolder(folder))
	info, err := os.Stat(folder)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|os.ModeSticky|0o777, info.Mode())
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, MakeFolder(file), "not a folder")
}
