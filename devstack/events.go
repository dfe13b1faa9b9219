package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// eventsPath is where the S3 server posts its events.
const eventsPath = "/s3-events"

const (
	eventQueue   = 1024
	eventMaxSize = 1 << 20 // bytes; the server's events have about 1 KB
	eventTries   = 3
	eventTimeout = 2 * time.Second // for one try
	eventPause   = 200 * time.Millisecond
)

// forwarder passes S3 events on to one URL, best effort: an event is a hint
// that makes its reader look sooner. An event that can't be delivered in a few
// tries, or finds the queue full, is dropped with a warning. It is the reason
// why the S3 server needn't be restarted, and isn't slowed down, when the
// receiver is.
type forwarder struct {
	target string // empty: events are dropped silently
	log    *zap.Logger
	client *http.Client
	queue  chan []byte
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

func newForwarder(target string, log *zap.Logger) *forwarder {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{
		target: target, log: log, ctx: ctx, cancel: cancel,
		client: &http.Client{Timeout: eventTimeout},
		queue:  make(chan []byte, eventQueue),
		done:   make(chan struct{}),
	}
	go f.run()
	return f
}

// ServeHTTP takes an event. The answer is always quick and never an error that
// the S3 server could do anything about.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, eventMaxSize))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if f.target == "" {
		return
	}
	select {
	case f.queue <- body:
	default:
		f.log.Warn("s3 event dropped: queue is full", zap.Int("limit", eventQueue))
	}
}

func (f *forwarder) run() {
	defer close(f.done)
	for {
		select {
		case <-f.ctx.Done():
			return
		case event := <-f.queue:
			if err := f.deliver(event); err != nil {
				f.log.Warn("s3 event dropped", zap.String("webhook", f.target), zap.Error(err))
			}
		}
	}
}

// deliver posts an event, a few times if need be. An answer of 4xx is final.
func (f *forwarder) deliver(event []byte) error {
	var err error
	for try := range eventTries {
		if try > 0 {
			select {
			case <-f.ctx.Done():
				return f.ctx.Err()
			case <-time.After(eventPause << (try - 1)):
			}
		}
		var final bool
		if final, err = f.post(event); err == nil || final {
			return err
		}
	}
	return fmt.Errorf("%d tries: %w", eventTries, err)
}

func (f *forwarder) post(event []byte) (final bool, err error) {
	req, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.target, bytes.NewReader(event))
	if err != nil {
		return true, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, eventMaxSize))
	if resp.StatusCode >= 300 {
		return resp.StatusCode < 500, fmt.Errorf("status %d", resp.StatusCode)
	}
	return false, nil
}

// close drops what is queued and waits for the worker's end.
func (f *forwarder) close() {
	f.cancel()
	<-f.done
}
