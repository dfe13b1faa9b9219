package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/internal/training/fleet"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/slots"
	"github.com/leanloop/leanloop/workflows"
)

// trainers is what a worker in role train runs attempts on.
type trainers struct {
	offer  fleet.Offer
	pool   *slots.Pool
	desk   *slots.Desk
	queues []string
	seen   bool // its GPUs were found by nvidia-smi, which can measure them
}

// newTrainers finds the machine's GPUs and works out which task queues they can serve.
func newTrainers(ctx context.Context, c *config, smi gpu.SMI, log *slog.Logger) (*trainers, error) {
	t := &trainers{}
	devices, err := t.find(ctx, c, smi, log)
	if err != nil {
		return nil, fmt.Errorf("--gpus %s: %w", c.GPUs, err)
	}
	sets, err := fleet.ParseSets(c.Labels)
	if err != nil {
		return nil, fmt.Errorf("--labels: %w", err)
	}
	t.offer = fleet.Offer{CPUs: c.TrainSlots, GPUs: devices, Sets: sets, Only: c.OnlyLabels}
	if err := t.offer.Validate(); err != nil {
		return nil, fmt.Errorf("role train with --gpus %s, --train-slots %d: %w", c.GPUs, c.TrainSlots, err)
	}
	folder := either(c.Slots, c.defaultSlots())
	if len(devices) > 0 || c.Slots != "" {
		if err := slots.MakeFolder(folder); err != nil {
			return nil, fmt.Errorf("--slots: %w", err)
		}
	}
	t.pool = slots.New(slots.Options{GPUs: devices, CPUs: c.TrainSlots, Folder: folder, LockCPUs: c.Slots != ""})
	needs := map[string]slots.Need{}
	for _, r := range t.offer.Serves() {
		queue := workflows.TrainQueue(r)
		needs[queue] = slots.Need{GPUs: r.GPUs, Memory: spec.LeastMemory(r.MemoryClass())}
		t.queues = append(t.queues, queue)
	}
	t.desk = slots.NewDesk(t.pool, needs)
	return t, nil
}

// find gives the GPUs that the operator chose. Those that are to be found by themselves are none where nvidia-smi is
// missing or fails; those that were named have to be there.
func (t *trainers) find(ctx context.Context, c *config, smi gpu.SMI, log *slog.Logger) ([]gpu.Device, error) {
	chosen, err := gpu.ParseSelection(c.GPUs)
	if err != nil || chosen.None() {
		return nil, err
	}
	found, err := smi.Devices(ctx)
	switch {
	case err == nil:
		t.seen = true
		return chosen.Of(found)
	case !chosen.Auto && errors.Is(err, gpu.ErrNoProgram):
		return chosen.Unseen(), nil
	case !chosen.Auto:
		return nil, err
	case !errors.Is(err, gpu.ErrNoProgram):
		log.Error("GPUs not found: this worker trains without any", "error", err)
	}
	return nil, nil
}

// workers makes one worker for each task queue that the trainers serve; all of them share the same slots.
func (t *trainers) workers(c *config, temporal client.Client, activity any, fatal func(error)) ([]worker.Worker, error) {
	var all []worker.Worker
	for _, queue := range t.queues {
		o, err := temporalx.ShareSlots(dataOptions(0, c.trainStop(), fatal), t.desk)
		if err != nil {
			return nil, err
		}
		w := worker.New(temporal, queue, o)
		w.RegisterActivity(activity)
		all = append(all, w)
	}
	return all, nil
}
