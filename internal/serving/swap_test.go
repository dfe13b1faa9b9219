package serving_test

import (
	"context"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Versions are swapped while requests run. Each answer must be exactly what the version that it names says, by the
// intercept that only this version has.
func TestNoRequestSeesHalfASwap(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(1)))
	w.sync()
	handler := w.server.Handler()
	var stop atomic.Bool
	var served atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				a := ask(t, handler, http.MethodPost, "/predict/"+modelName, `{"features":{"dep_delay": 0, "carrier": null}}`)
				if a.status != http.StatusOK {
					t.Errorf("status %d: %s", a.status, a.raw)
					return
				}
				want := 1 / (1 + math.Exp(-a.body["version"].(float64)))
				if math.Abs(a.body["score"].(float64)-want) > 1e-12 {
					t.Errorf("version %v answered %v, want %v", a.body["version"], a.body["score"], want)
					return
				}
				served.Add(1)
			}
		})
	}
	swaps := 30
	if testing.Short() {
		swaps = 8
	}
	for version := 2; version <= swaps; version++ {
		at := served.Load()
		v := w.register(flights(float64(version)))
		w.canary(v, 0.5, time.Hour)
		w.sync()
		w.promote(v)
		w.sync()
		for served.Load() < at+20 && !t.Failed() {
			time.Sleep(time.Millisecond) // until requests have gone through this version
		}
	}
	stop.Store(true)
	clients.Wait()
	require.Positive(t, served.Load())
}

func TestRunFollowsServesAndLeaves(t *testing.T) {
	w := newWorld(t, fastPace)
	w.promote(w.register(flights(0)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	require.Eventually(t, func() bool { return w.predict(goodRow).status == http.StatusOK }, 5*time.Second, 5*time.Millisecond)
	v := w.register(flights(1))
	w.canary(v, 1, time.Hour)
	require.Eventually(t, func() bool { return w.predict(goodRow).body["arm"] == "challenger" }, 5*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return w.sums("requests")["challenger/2"] > 0 }, 5*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, w.liveHeartbeats(), "a gateway that left holds nothing up")
}
