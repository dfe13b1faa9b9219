package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/slots"
)

// claim takes what the worker has reserved for this attempt.
func (t *Trainer) claim(ctx context.Context) (*slots.Lease, error) {
	if t.Slots == nil {
		return slots.Nothing(), nil
	}
	queue := activity.GetInfo(ctx).TaskQueue
	lease := t.Slots(queue)
	if lease == nil {
		return nil, permanent(ErrorNoSlot, fmt.Errorf("no slot of this worker is free any more for what comes by queue %s", queue))
	}
	return lease, nil
}

// measurementGPU is the name of the points that GPUMeter writes. Their fields are sums over samples: divide by samples.
const measurementGPU = "gpu"

// GPUMeter samples the GPUs that attempts use.
type GPUMeter struct {
	// Sample measures devices; nil: nobody does.
	Sample func(context.Context, []gpu.Device) ([]gpu.Sample, error)
	// Metrics keeps the samples; nil: nobody does.
	Metrics timeseries.Writer
	// Worker is the machine's name, in points.
	Worker string
	// Every is the time between two samples; 0: gpu.SampleEvery.
	Every time.Duration
}

// watch samples until ctx ends. Points have the times of a grid, so that one that is written again replaces itself. That
// a sample or a point fails is said once; it never harms the training.
func (g GPUMeter) watch(ctx context.Context, a *trainAttempt) {
	if g.Sample == nil || len(a.lease.Devices) == 0 {
		return
	}
	every := cmp.Or(g.Every, gpu.SampleEvery)
	logger := activity.GetLogger(ctx)
	warned := false
	for {
		at := time.Now().Truncate(every).Add(every)
		timer := time.NewTimer(time.Until(at))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		err := g.look(ctx, a, at)
		if err != nil && ctx.Err() == nil && !warned {
			logger.Warn("GPUs not measured", "attempt", a.Token, "error", err)
			warned = true
		}
	}
}

// look takes one sample of each GPU.
func (g GPUMeter) look(ctx context.Context, a *trainAttempt, at time.Time) error {
	samples, err := g.Sample(ctx, a.lease.Devices)
	if err != nil {
		return err
	}
	if low := a.usage.Add(samples); low != "" {
		activity.GetLogger(ctx).Warn(low, "model", a.Model, "attempt", a.Token)
		a.note()
	}
	if g.Metrics == nil || len(samples) == 0 {
		return nil
	}
	points := make([]timeseries.Point, len(samples))
	for i, s := range samples {
		points[i] = timeseries.Point{
			Measurement: measurementGPU, Time: at,
			Tags:   map[string]string{"model": a.Model, "worker": g.Worker, "gpu": s.ID},
			Fields: map[string]float64{"samples": 1, "utilisation": s.Utilisation, "memory_used": float64(s.Used), "memory_total": float64(s.Total)},
		}
	}
	return g.Metrics.Write(ctx, points)
}

// notes are what people should know of an attempt that has ended.
func (a *trainAttempt) notes() []string {
	if low := a.usage.Low(); low != "" {
		return []string{low}
	}
	return nil
}
