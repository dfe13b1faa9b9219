package integration

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trafficEvery is the time between two requests of one test's traffic.
const trafficEvery = 5 * time.Millisecond

// traffic is an application that asks for one prediction after the other.
type traffic struct {
	served atomic.Int64
	failed atomic.Int64

	mu   sync.Mutex
	last error // of the last request that failed
	stop func()
}

// asks sends the rows of a file, over and over, until the test ends or stop is called.
func (m *model) asks(t *testing.T, rows []flight) *traffic {
	t.Helper()
	return m.asksFrom(t, featuresOf(rows))
}

func (m *model) asksFrom(t *testing.T, rows []map[string]any) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	tr, done := &traffic{}, make(chan struct{})
	tr.stop = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(trafficEvery)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				tr.count(ctx, m, rows[i%len(rows)])
			}
		}
	}()
	t.Cleanup(tr.stop)
	return tr
}

func (tr *traffic) count(ctx context.Context, m *model, features map[string]any) {
	_, err := m.predictFrom(ctx, features)
	switch {
	case err == nil:
		tr.served.Add(1)
	case ctx.Err() == nil:
		tr.failed.Add(1)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.last = err
	}
}

// trouble is the last request that failed.
func (tr *traffic) trouble() error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.last
}
