package bench

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

// The windows that a swap is looked at in.
const (
	swapWindow = 100 * time.Millisecond
	swapBefore = 2 * time.Second // of load before the ledger is written
	swapAfter  = 2 * time.Second // of load after the first answer of the other version
)

// timed is one answer under load.
type timed struct {
	at, took time.Duration // since the load began
	other    bool          // it was the version that is swapped in
}

// BenchmarkSwap changes the champion while every connection has a request on its way. A request that fails, fails the
// benchmark. Reported is for how long, at most, windows of 100 ms had a p99 over twice that of before; and, to compare
// with, the same before the swap, where nothing but the machine is to blame. One operation is one swap.
func BenchmarkSwap(b *testing.B) {
	g := newGateway(b, 0.1, treesModel(b, 1), treesModel(b, 2))
	g.do(registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: 2}})
	requests, champion := requestsOf(b), 2
	waitFor(b, g, requests[0], champion)
	var slow, noise time.Duration
	for b.Loop() {
		to := 3 - champion
		answers, written, swapped := underSwap(b, g, requests, to)
		champion = to
		before := p99Of(answers, 0, written)
		noise = max(noise, slowFor(answers, 0, written, 2*before))
		slow = max(slow, slowFor(answers, written, swapped+swapAfter, 2*before))
		b.Logf("to version %d: %d answers, p99 before %s, in the second around the swap %s", to, len(answers), before,
			p99Of(answers, swapped-time.Second/2, swapped+time.Second/2))
	}
	b.ReportMetric(slow.Seconds(), "s-over-2x")
	b.ReportMetric(noise.Seconds(), "s-over-2x-before")
	b.ReportMetric(0, "ns/op")
}

// underSwap loads the gateway, swaps, and returns all answers by time, when the ledger was written, and when the first
// answer of the other version came.
func underSwap(b *testing.B, g *gateway, requests [][]byte, to int) (all []timed, written, swapped time.Duration) {
	b.Helper()
	began := time.Now()
	mark := []byte(`"version":` + string(rune('0'+to)) + `,`)
	var mu sync.Mutex
	var running sync.WaitGroup
	stop, seen, failed := make(chan struct{}), make(chan time.Duration, connections), make(chan error, connections)
	for i := range connections {
		running.Go(func() {
			c, err := dial(g.address)
			if err != nil {
				failed <- err
				return
			}
			defer c.close()
			var mine []timed
			met := false
			for n := i; ; n++ {
				select {
				case <-stop:
					mu.Lock()
					defer mu.Unlock()
					all = append(all, mine...)
					return
				default:
				}
				at := time.Since(began)
				if err := c.ask(requests[n%len(requests)]); err != nil {
					failed <- err
					return
				}
				a := timed{at: at, took: time.Since(began) - at, other: bytes.Contains(c.body, mark)}
				mine = append(mine, a)
				if a.other && !met {
					met = true
					seen <- at
				}
			}
		})
	}
	time.Sleep(swapBefore)
	written = time.Since(began)
	g.do(registry.Command{Kind: registry.KindRolledBack, RolledBack: &registry.RolledBack{To: to}})
	select {
	case swapped = <-seen:
		time.Sleep(swapAfter)
	case <-time.After(time.Minute):
		b.Error("no answer of the other version within a minute")
	}
	close(stop)
	running.Wait()
	select {
	case err := <-failed:
		b.Fatalf("a request failed: %v", err)
	default:
	}
	slices.SortFunc(all, func(x, y timed) int { return int(x.at - y.at) })
	return all, written, swapped
}

// p99Of is the 99th percentile of answers asked for within a time.
func p99Of(all []timed, from, to time.Duration) time.Duration {
	var took []time.Duration
	for _, a := range all {
		if a.at >= from && a.at < to {
			took = append(took, a.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(0.99*float64(len(took)-1))]
}

// slowFor is for how long windows of a time have a p99 over a limit.
func slowFor(all []timed, from, to, limit time.Duration) (out time.Duration) {
	for at := from; at+swapWindow <= to; at += swapWindow {
		if p99Of(all, at, at+swapWindow) > limit {
			out += swapWindow
		}
	}
	return out
}

// waitFor asks until a version answers.
func waitFor(b *testing.B, g *gateway, request []byte, version int) {
	b.Helper()
	c, deadline := mustDial(b, g.address), time.Now().Add(time.Minute)
	for {
		if v, ok := c.answer(b, request)["version"].(float64); ok && int(v) == version {
			return
		}
		require.True(b, time.Now().Before(deadline), "version %d doesn't answer within a minute", version)
		time.Sleep(10 * time.Millisecond)
	}
}
