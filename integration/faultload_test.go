package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/testkit"
)

// The load: each client asks once in clientEvery, and waits for its answer.
const (
	clients     = 4
	clientEvery = 25 * time.Millisecond
)

// load is applications that ask two gateways by turns, and the other one where one fails. It remembers all it got.
type load struct {
	model    string
	gateways []testkit.Gateway
	bodies   [][]byte
	client   *http.Client
	every    time.Duration
	stop     func()

	mu      sync.Mutex
	answers []answer
	failed  []failure
	lost    []failure
}

// askAll starts clients that ask for rows, over and over, until the test ends or stop is called.
func askAll(t *testing.T, model string, gateways []testkit.Gateway, rows []map[string]any, clients int, every time.Duration) *load {
	t.Helper()
	l := &load{
		model: model, gateways: gateways, every: every,
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}},
	}
	for _, features := range rows {
		raw, err := json.Marshal(map[string]any{"features": features})
		require.NoError(t, err)
		l.bodies = append(l.bodies, raw)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() { l.run(ctx, client) })
	}
	l.stop = func() {
		cancel()
		running.Wait()
		l.client.CloseIdleConnections()
	}
	t.Cleanup(l.stop)
	return l
}

// run is one client. It finishes the request that it is at.
func (l *load) run(ctx context.Context, client int) {
	tick := time.NewTicker(max(l.every, time.Nanosecond))
	defer tick.Stop()
	for i := client; ctx.Err() == nil; i++ {
		l.one(i%len(l.bodies), i)
		if l.every == 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// one asks for a row: the gateway whose turn it is, and once more another one.
func (l *load) one(row, turn int) {
	first, err := l.ask(l.gateways[turn%len(l.gateways)], row)
	if err == nil {
		return
	}
	if _, err = l.ask(l.gateways[(turn+1)%len(l.gateways)], row); err != nil {
		first.err = fmt.Errorf("%w; then %w", first.err, err)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lost = append(l.lost, first)
	}
}

// ask is one request to one gateway.
func (l *load) ask(g testkit.Gateway, row int) (failure, error) {
	sent := time.Now()
	p, err := l.post(g.URL+"/predict/"+l.model, l.bodies[row])
	received := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		f := failure{sent: sent, received: received, gateway: g.Part, err: err}
		l.failed = append(l.failed, f)
		return f, err
	}
	l.answers = append(l.answers, answer{sent: sent, received: received, gateway: g.Part, row: row, version: p.Version, arm: p.Arm, score: p.Score})
	return failure{}, nil
}

func (l *load) post(url string, body []byte) (p prediction, err error) {
	res, err := l.client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return p, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return p, err
	}
	if res.StatusCode != http.StatusOK {
		return p, fmt.Errorf("%s: %s", res.Status, raw)
	}
	return p, json.Unmarshal(raw, &p)
}

// from counts the answers of a version to requests sent after a time.
func (l *load) from(version int, after time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, a := range l.answers {
		if a.version == version && a.sent.After(after) {
			n++
		}
	}
	return n
}

// tell adds what the clients got to a testimony.
func (l *load) tell(w *testimony) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.answers, w.failed, w.lost = append(w.answers, l.answers...), append(w.failed, l.failed...), append(w.lost, l.lost...)
}
