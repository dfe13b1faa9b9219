package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/slots"
)

// gpuWorld is a world whose model is trained by a script on one GPU, and a trainer with that GPU.
func gpuWorld(t *testing.T, script string) (*world, *Trainer, *slots.Pool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "train.sh")
	model := `{"format": "leanloop-linear", "version": 1, "link": "sigmoid", "intercept": [0], "features": [{"name": "delay", "kind": "number", "weights": [1]}]}`
	require.NoError(t, os.WriteFile(path, []byte(script+"\nprintf '%s' '"+model+"' > \"$SM_MODEL_DIR/model.json\"\n"), 0o600))
	w := newWorld(t, "train: {builtin: linear}", fmt.Sprintf("train: {command: [sh, %q], resources: {gpus: 1}, timeout: 20s}", path))
	w.accept("2013-01.csv", flights(january, 400, 1))
	pool := slots.New(slots.Options{GPUs: []gpu.Device{{ID: "GPU-11111111", Memory: 16 << 30}}, Folder: t.TempDir()})
	trainer := w.trainer()
	trainer.Slots = func(string) *slots.Lease {
		lease, _, err := pool.Take(slots.Need{GPUs: 1})
		require.NoError(t, err)
		return lease
	}
	return w, trainer, pool
}

func TestAnAttemptHasItsGPUAndGivesItBack(t *testing.T) {
	w, trainer, pool := gpuWorld(t, `echo "on $CUDA_VISIBLE_DEVICES"`)
	out := must(t, trainer.Train, w.trainInput(w.snapshot()))
	require.Contains(t, string(w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt")), "on GPU-11111111\n")
	require.Nil(t, out.GPU, "nobody measured")
	used, _ := pool.InUse()
	require.Zero(t, used)
}

func TestAnAttemptThatFindsNoSlotGoesBackToTheQueue(t *testing.T) {
	w, trainer, pool := gpuWorld(t, "echo never")
	lease, _, err := pool.Take(slots.Need{GPUs: 1})
	require.NoError(t, err)
	defer lease.Release()
	_, err = try(t, trainer.Train, w.trainInput(w.snapshot()))
	requireType(t, ErrorNoSlot, err)
	_, stored := w.store.Stat(t.Context(), "runs/flights/000000000001/attempts/001-abcdef01/"+fileSpent)
	require.Error(t, stored, "it cost nothing")
}

func TestAnAttemptOnAWorkerWithoutItsGPUIsTheWorkersFault(t *testing.T) {
	w, trainer, _ := gpuWorld(t, "echo never")
	trainer.Slots = nil
	_, err := try(t, trainer.Train, w.trainInput(w.snapshot()))
	requireType(t, "", err)
	require.ErrorContains(t, err, "train.resources.gpus: 1, and this worker gives 0")
}

// The program runs until it has been sampled for a while: at 30 % all the time.
func TestAnIdleGPUIsSaidAndStored(t *testing.T) {
	folder := t.TempDir()
	w, trainer, _ := gpuWorld(t, `while [ ! -e "`+folder+`/enough" ]; do sleep 0.01; done`)
	metrics := timeseries.NewMemory()
	sampled := 0
	trainer.GPUs = GPUMeter{Worker: "gpu-1", Metrics: metrics, Every: 5 * time.Millisecond, Sample: func(_ context.Context, devices []gpu.Device) ([]gpu.Sample, error) {
		if sampled++; sampled == 3 {
			return nil, errors.New("nvidia-smi hangs") // which harms nothing
		}
		if sampled == 50 {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "enough"), nil, 0o600))
		}
		return []gpu.Sample{{ID: devices[0].ID, Utilisation: 30, Used: 2 << 30, Total: 16 << 30}}, nil
	}}
	out := must(t, trainer.Train, w.trainInput(w.snapshot()))
	require.Len(t, out.Notes, 1)
	require.Contains(t, out.Notes[0], "GPU utilisation 30 % < 70 % over 5m0s: the data loader is the bottleneck")
	require.Contains(t, string(w.read("runs/flights/000000000001/attempts/001-abcdef01/log.txt")), "leanloop: "+out.Notes[0]+"\n")
	require.InDelta(t, 30, out.GPU.Utilisation, 1e-9)
	require.EqualValues(t, 2<<30, out.GPU.PeakMemory)
	points := metrics.Points()
	require.Len(t, points, out.GPU.Samples)
	for _, p := range points {
		require.Equal(t, map[string]string{"model": theModel, "worker": "gpu-1", "gpu": "GPU-11111111"}, p.Tags)
		require.Equal(t, map[string]float64{"samples": 1, "utilisation": 30, "memory_used": 2 << 30, "memory_total": 16 << 30}, p.Fields)
		require.Equal(t, p.Time, p.Time.Truncate(5*time.Millisecond), "on the grid")
	}
}
