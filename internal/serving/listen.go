package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve answers on two listeners and runs until ctx ends. Then it stops being ready, finishes the requests in
// flight, and sends the last metrics, predictions and heartbeat, in that order. The error is that of a listener that
// broke, or of requests that outlived the drain.
func (s *Server) Serve(ctx context.Context, applications, admin net.Listener) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	front, back := s.httpServer(s.Handler()), s.httpServer(s.AdminHandler())
	broken := make(chan error, 2)
	go func() { broken <- serveHTTP(back, admin) }()
	s.restore(running) // what is on disk is served from the first request on; until then they wait to be accepted
	ran := make(chan error, 1)
	go func() { ran <- s.run(running) }()
	go func() { broken <- serveHTTP(front, applications) }()

	var err error
	ended := 0
	select {
	case <-ctx.Done():
	case err = <-broken:
		ended++
	}
	s.draining.Store(true)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	if drainErr := front.Shutdown(drain); drainErr != nil {
		err = errors.Join(err, fmt.Errorf("requests in flight after %v: %w", s.cfg.DrainTimeout, drainErr), front.Close())
	}
	stop()
	err = errors.Join(err, <-ran)
	s.leave()
	if back.Shutdown(drain) != nil {
		err = errors.Join(err, back.Close())
	}
	for ; ended < 2; ended++ {
		err = errors.Join(err, <-broken)
	}
	return err
}

func serveHTTP(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listener %s: %w", l.Addr(), err)
	}
	return nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.cfg.ReadHeader,
		ReadTimeout:       s.cfg.ReadRequest,
		WriteTimeout:      s.cfg.WriteAnswer,
		IdleTimeout:       s.cfg.Idle,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.ports.Log.Handler(), slog.LevelDebug),
	}
}

// CheckHealth asks a gateway's admin listener whether it is ready; for container health checks.
func CheckHealth(ctx context.Context, adminURL string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, adminURL+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s answered %s", adminURL, resp.Status)
	}
	return nil
}
