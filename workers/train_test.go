package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/training/fleet"
	"github.com/leanloop/leanloop/internal/training/gpu"
)

const twoGPUs = "cat <<'END'\n0, GPU-11111111, Tesla T4, 15360, [N/A]\n1, GPU-22222222, NVIDIA A100, 81920, [N/A]\nEND\n"

// smi is an nvidia-smi that does as a script says.
func smi(t *testing.T, script string) gpu.SMI {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nvidia-smi")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return gpu.SMI{Program: path, Timeout: 2 * time.Second}
}

func noSMI(*testing.T) gpu.SMI { return gpu.SMI{Program: "no-such-nvidia-smi"} }

func TestAWorkerTrainsOnTheGPUsThatItIsGiven(t *testing.T) {
	slotsFolder := filepath.Join(t.TempDir(), "slots")
	for _, c := range []struct {
		name  string
		smi   gpu.SMI
		args  []string
		offer string // "": it doesn't start
		says  string // the error, or what is logged
	}{
		{"all that there are", smi(t, twoGPUs), nil, "1 GPU of 16Gi, 1 GPU of 80Gi, 1 slot without GPU", ""},
		{"one by its UUID", smi(t, twoGPUs), []string{"--gpus", "device=GPU-22222222", "--train-slots", "0"}, "1 GPU of 80Gi", ""},
		{"none where none is wanted, and nothing is asked", smi(t, "sleep 60"), []string{"--gpus", "none"}, "1 slot without GPU", ""},
		{"none where there is no nvidia-smi", noSMI(t), []string{"--train-slots", "3"}, "3 slots without GPU", ""},
		{"none where nvidia-smi finds none", smi(t, "echo No devices were found"), nil, "1 slot without GPU", ""},
		{"none where the driver is broken, which is said", smi(t, "echo driver >&2; exit 9"), nil, "1 slot without GPU", "GPUs not found"},
		{"none where it prints garbage, which is said", smi(t, "echo garbage"), nil, "1 slot without GPU", "GPUs not found"},
		{"none where it hangs, which is said", gpu.SMI{Program: smi(t, "sleep 60").Program, Timeout: 50 * time.Millisecond}, nil, "1 slot without GPU", "no answer within"},
		{"more than there are", smi(t, twoGPUs), []string{"--gpus", "3"}, "", "--gpus 3: 3 GPUs: 2 found"},
		{"one that isn't there", smi(t, twoGPUs), []string{"--gpus", "device=2"}, "", "GPU 2: not found"},
		{"named ones and a broken driver", smi(t, "exit 9"), []string{"--gpus", "1"}, "", "exit status 9"},
		{"named ones without any nvidia-smi are taken at their word", noSMI(t), []string{"--gpus", "2", "--train-slots", "0"}, "2 GPUs", ""},
		{"neither a GPU nor a slot", noSMI(t), []string{"--train-slots", "0"}, "", "neither a GPU nor a slot without one"},
		{"only runs with labels, and no labels", noSMI(t), []string{"--only-labels"}, "", "no set of labels"},
		{"label sets", noSMI(t), []string{"--labels", "spot,eu+a100", "--only-labels"}, "1 slot without GPU; labels spot, a100+eu only", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			trains, err := newTrainers(t.Context(), parse(t, nil, append([]string{"--slots", slotsFolder}, c.args...)...), c.smi, slog.New(slog.NewTextHandler(&log, nil)))
			if c.offer == "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.offer, trains.offer.String())
			require.Contains(t, log.String(), c.says)
			require.Len(t, trains.queues, len(trains.offer.Serves()))
		})
	}
}

func TestAWorkerPollsAQueueForEachKindOfRun(t *testing.T) {
	trains, err := newTrainers(t.Context(), parse(t, nil, "--slots", t.TempDir(), "--labels", "spot"), smi(t, twoGPUs), silent)
	require.NoError(t, err)
	for _, queue := range []string{
		"leanloop-train", "leanloop-train.gpu1", "leanloop-train.gpu1.80Gi", "leanloop-train.gpu2.16Gi", "leanloop-train@spot", "leanloop-train.gpu2.8Gi@spot",
	} {
		require.Contains(t, trains.queues, queue)
	}
	require.NotContains(t, trains.queues, "leanloop-train.gpu2.80Gi", "only one of them is so large")
}

func TestOnlyGPUsThatWereSeenAreMeasured(t *testing.T) {
	for _, c := range []struct {
		smi      gpu.SMI
		measured bool
	}{{smi(t, twoGPUs), true}, {noSMI(t), false}} {
		h, err := newActivities(parse(t, nil), objectstore.NewMemory(), objectstore.NewMemoryBuckets(), nil, silent)
		require.NoError(t, err)
		require.NoError(t, h.train(t.Context(), parse(t, nil, "--slots", t.TempDir(), "--gpus", "1"), c.smi, silent))
		require.Equal(t, c.measured, h.trainer.GPUs.Sample != nil)
		require.Equal(t, "host.example-7400", h.trainer.GPUs.Worker)
	}
}

func TestAWorkerSaysThatItIsThereAndThatItGoes(t *testing.T) {
	store := objectstore.NewMemory()
	c := parse(t, nil, "--id", "gpu-1", "--roles", "train", "--slots", t.TempDir())
	h, err := newActivities(c, store, objectstore.NewMemoryBuckets(), nil, silent)
	require.NoError(t, err)
	require.NoError(t, h.train(t.Context(), c, smi(t, twoGPUs), silent))
	read := func() (b fleet.Beat) {
		raw, _, err := objectstore.ReadAll(t.Context(), store, "workers/gpu-1.json", 1<<20)
		if err == nil {
			require.NoError(t, json.Unmarshal(raw, &b))
		}
		return b
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.beat(ctx, c, store, h.trainers.queues, silent) }()
	require.Eventually(t, func() bool { return read().ID != "" }, 20*time.Second, time.Millisecond)
	b := read()
	require.True(t, b.Live(time.Now()))
	require.Equal(t, []string{"train"}, b.Roles)
	require.Len(t, b.Offer.GPUs, 2)
	require.Equal(t, h.trainers.queues, b.Queues)
	stop()
	<-done
	require.False(t, read().Live(time.Now()), "it went in order")
}
