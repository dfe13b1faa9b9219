package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/training/fleet"
)

// lastBeat is how long a worker that ends may take to say so.
const lastBeat = 2 * time.Second

// beat says until ctx ends that this worker is there, what it polls and what it offers; and at last that it is gone.
func (h *host) beat(ctx context.Context, c *config, store objectstore.Putter, queues []string, log *slog.Logger) {
	ticks := time.NewTicker(fleet.BeatEvery)
	defer ticks.Stop()
	for well := true; ; {
		err := fleet.Put(ctx, store, h.said(c, queues, time.Now().UTC(), fleet.BeatTTL))
		if err != nil && well && ctx.Err() == nil {
			log.Warn("nobody is told that this worker is there", "error", err)
		}
		well = err == nil
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastBeat)
			defer cancel()
			_ = fleet.Put(last, store, h.said(c, queues, time.Now().UTC(), 0)) // else it expires by itself
			return
		case <-ticks.C:
		}
	}
}

// said is what the worker says of itself.
func (h *host) said(c *config, queues []string, now time.Time, lasts time.Duration) fleet.Beat {
	b := fleet.Beat{ID: c.ID, Time: now, ExpiresAt: now.Add(lasts), Roles: c.Roles, Queues: queues}
	if h.trainers != nil {
		b.Offer = h.trainers.offer
		b.GPUsUsed, b.CPUsUsed = h.trainers.pool.InUse()
	}
	return b
}
