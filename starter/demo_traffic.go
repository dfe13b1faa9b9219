package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// Traffic of the demo: real flights, in the order in which they left, spread over their month, since the weather of two
// days says little about a season.
const (
	trafficRate  = 400  // requests a second
	trafficLanes = 4    // at once
	trafficRows  = 4000 // flights a month that are asked about
)

// traffic asks the gateway about flights at their departure, as an application would.
type traffic struct {
	url    string // of the model's predict
	spec   *spec.Model
	client *http.Client

	served   atomic.Int64
	failed   atomic.Int64
	lastFail atomic.Value
}

func newTraffic(gateway string, m *spec.Model) *traffic {
	return &traffic{
		url: gateway + "/predict/" + m.Metadata.Name, spec: m,
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: trafficLanes}},
	}
}

// play asks about a month's flights until ctx ends, from the start again when the month is over.
func (t *traffic) play(ctx context.Context, file string) error {
	bodies, err := t.requests(ctx, file)
	if err != nil {
		return err
	}
	next := make(chan []byte)
	var lanes sync.WaitGroup
	for range trafficLanes {
		lanes.Go(func() {
			for body := range next {
				t.ask(ctx, body)
			}
		})
	}
	defer lanes.Wait()
	defer close(next)
	tick := time.NewTicker(time.Second / trafficRate)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case next <- bodies[i%len(bodies)]:
		}
	}
}

// during plays a month while do runs.
func (t *traffic) during(ctx context.Context, file string, do func() error) error {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- t.play(ctx, file) }()
	err := do()
	stop()
	if played := <-done; err == nil {
		err = played
	}
	return err
}

func (t *traffic) ask(ctx context.Context, body []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := t.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.fail(err.Error())
		}
		return
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil || res.StatusCode != http.StatusOK {
		if ctx.Err() == nil {
			t.fail(fmt.Sprintf("%s: %s", res.Status, raw))
		}
		return
	}
	t.served.Add(1)
}

func (t *traffic) fail(why string) {
	t.failed.Add(1)
	t.lastFail.Store(why)
}

// requests are the bodies of one month: what a dispatcher knows at departure, so neither the outcome nor what is only
// known after landing.
func (t *traffic) requests(ctx context.Context, file string) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	table, _, report, err := dataset.Read(ctx, f, dataset.ReadOptions{Name: filepath.Base(file), Format: t.spec.Data.Format, Contract: t.spec.Data.Contract})
	if err != nil {
		return nil, err
	}
	if err := report.Error(); err != nil {
		return nil, err
	}
	unknown := map[string]bool{t.spec.Data.Target: true, t.spec.Data.Time: true}
	for _, name := range t.spec.Data.Features.Exclude {
		unknown[name] = true
	}
	step := max(1, table.Rows/trafficRows)
	values := make([]func(int) any, len(table.Columns))
	for i := range table.Columns {
		values[i] = cellValues(&table.Columns[i])
	}
	bodies := make([][]byte, 0, table.Rows/step+1)
	for row := 0; row < table.Rows; row += step {
		features := map[string]any{}
		for i := range table.Columns {
			if c := &table.Columns[i]; !unknown[c.Name] {
				features[c.Name] = values[i](row)
			}
		}
		body, err := json.Marshal(map[string]any{"features": features})
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

// cellValues gives a column's cells as JSON has them.
func cellValues(c *dataset.Column) func(row int) any {
	label := inference.Labeller(c)
	return func(row int) any {
		if c.Null(row) {
			return nil
		}
		if c.Kind == dataset.Number || c.Kind == dataset.Integer {
			return c.Floats[row]
		}
		return label(row)
	}
}
