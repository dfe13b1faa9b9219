package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// heart beats once a second for an activity that is busy: in a read, an upload or a fit, nothing of which comes back in
// time for a heartbeat. It tells the newest that was noted. A worker that is gone stops it, and by it a cancellation
// arrives; what hangs for another reason ends by the activity's own timeout.
type heart struct {
	mu     sync.Mutex
	last   any
	cancel context.CancelFunc
	done   chan struct{}
}

// keepBeating starts a heart; the caller stops it.
func keepBeating(ctx context.Context) *heart {
	inner, cancel := context.WithCancel(ctx)
	h := &heart{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			h.mu.Lock()
			last := h.last
			h.mu.Unlock()
			activity.RecordHeartbeat(ctx, last)
			select {
			case <-inner.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return h
}

// note is what the next beats tell: small, and fit for JSON.
func (h *heart) note(details any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = details
}

func (h *heart) stop() {
	h.cancel()
	<-h.done
}

// reading is the heartbeat of an activity that reads rows.
type reading struct {
	File string `json:"file,omitempty"`
	Rows int    `json:"rows"`
}
