package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// checkLimit is how long a component may take to answer a health check.
const checkLimit = 2 * time.Second

// health serves /healthz, which is 200 while every component answers and 503
// otherwise, and /s3-events, where the S3 server posts its events.
type health struct {
	log    *zap.Logger
	server *http.Server
	addr   string

	mu         sync.Mutex
	components []component // nil until all have started
}

// report is the body of /healthz.
type report struct {
	Status     string                     `json:"status"` // "ok", "starting" or "down"
	PID        int                        `json:"pid"`
	Components map[string]componentReport `json:"components"`
}

type componentReport struct {
	State   string `json:"state"` // "up" or "down"
	Source  string `json:"source"`
	Address string `json:"address"`
	Error   string `json:"error,omitempty"`
}

func newHealth(log *zap.Logger) *health { return &health{log: log} }

// listen serves from now on: the S3 server refuses to start while nobody
// listens for its events.
func (h *health) listen(port int, events http.Handler) error {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return fmt.Errorf("health endpoint: %w", err)
	}
	h.addr = l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.serve)
	mux.Handle("POST "+eventsPath, events)
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := h.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("health endpoint", zap.Error(err))
		}
	}()
	return nil
}

func (h *health) url() string { return "http://" + h.addr + "/healthz" }

// watch gives the components to check, once all have started.
func (h *health) watch(components []component) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.components = components
}

func (h *health) close() { _ = h.server.Close() }

func (h *health) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	components := h.components
	h.mu.Unlock()
	body := report{Status: "starting", PID: os.Getpid(), Components: map[string]componentReport{}}
	if components != nil {
		body.Status = "ok"
		checkAll(r.Context(), components, body.Components)
	}
	for _, c := range body.Components {
		if c.State != "up" {
			body.Status = "down"
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if body.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body)
}

// checkAll asks all components at once.
func checkAll(ctx context.Context, components []component, into map[string]componentReport) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	var (
		mu   sync.Mutex
		wait sync.WaitGroup
	)
	for _, c := range components {
		wait.Go(func() {
			answer := componentReport{State: "up", Source: c.source, Address: c.address}
			if err := c.check(ctx); err != nil {
				answer.State, answer.Error = "down", err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			into[c.name] = answer
		})
	}
	wait.Wait()
}

// checkHTTP is the check of a component that serves HTTP: any answer to GET
// url that isn't a server error.
func checkHTTP(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("GET %s: status %d", url, resp.StatusCode)
		}
		return nil
	}
}

// checkDial is the check of a server whose protocol or certificates are not
// known here: it accepts a connection.
func checkDial(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// await repeats a check until it passes. It ends early with the reason when
// the component ended or ctx did.
func await(ctx context.Context, what string, check func(context.Context) error, ended <-chan error) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, checkLimit)
		err := check(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not ready: %w", what, err)
		case end := <-ended:
			if end == nil {
				end = err
			}
			return fmt.Errorf("%s: ended while starting: %w", what, end)
		case <-again.C:
		}
	}
}
