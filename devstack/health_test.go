package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
)

func TestHealthIs200OnlyWhileEveryComponentAnswers(t *testing.T) {
	up := func(context.Context) error { return nil }
	down := func(context.Context) error { return errors.New("refused") }
	for name, c := range map[string]struct {
		components []component
		code       int
		status     string
	}{
		"starting": {nil, 503, "starting"},
		"all up":   {[]component{{name: "s3", check: up}, {name: "temporal", check: up}}, 200, "ok"},
		"one down": {[]component{{name: "s3", check: down}, {name: "temporal", check: up}}, 503, "down"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHealth(zap.NewNop())
			h.watch(c.components)
			w := httptest.NewRecorder()
			h.serve(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			var r report
			must(t, json.NewDecoder(w.Body).Decode(&r))
			if w.Code != c.code || r.Status != c.status || len(r.Components) != len(c.components) {
				t.Errorf("status %d, %+v", w.Code, r)
			}
			if name == "one down" && r.Components["s3"].Error != "refused" {
				t.Errorf("the reason is missing: %+v", r)
			}
		})
	}
}

func TestAComponentThatDiesIsNamed(t *testing.T) {
	ended := make(chan error, 1)
	ended <- errors.New("disk full")
	err := supervise(t.Context(), []component{{name: "s3", source: "embedded", ended: ended}, {name: "temporal"}})
	if err == nil || !strings.Contains(err.Error(), "component s3") || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := supervise(stopped, nil); err != nil {
		t.Errorf("a stop that was asked for gives %v", err)
	}
}

func TestEventsAreForwardedBestEffort(t *testing.T) {
	post := func(f *forwarder, body string) int {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodPost, eventsPath, strings.NewReader(body)))
		return w.Code
	}
	t.Run("a failing receiver is tried again", func(t *testing.T) {
		var tries atomic.Int32
		got := make(chan struct{})
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tries.Add(1) < eventTries {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			close(got)
		}))
		defer hook.Close()
		f := newForwarder(hook.URL, zap.NewNop())
		defer f.close()
		if code := post(f, "{}"); code != http.StatusNoContent {
			t.Errorf("status %d", code)
		}
		<-got
	})
	t.Run("a refusal is final", func(t *testing.T) {
		var tries atomic.Int32
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			tries.Add(1)
			w.WriteHeader(http.StatusBadRequest)
		}))
		defer hook.Close()
		f := newForwarder(hook.URL, zap.NewNop())
		defer f.close()
		if err := f.deliver([]byte("{}")); err == nil || tries.Load() != 1 {
			t.Errorf("%d tries, error %v", tries.Load(), err)
		}
	})
	t.Run("a full queue drops and never blocks the S3 server", func(t *testing.T) {
		release := make(chan struct{})
		hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer hook.Close()
		defer close(release)
		f := newForwarder(hook.URL, zap.NewNop())
		defer f.close()
		for range eventQueue + 10 {
			if code := post(f, "{}"); code != http.StatusNoContent {
				t.Fatalf("status %d", code)
			}
		}
	})
	t.Run("an oversized body is refused", func(t *testing.T) {
		f := newForwarder("", zap.NewNop())
		defer f.close()
		if code := post(f, strings.Repeat("x", eventMaxSize+1)); code != http.StatusBadRequest {
			t.Errorf("status %d", code)
		}
	})
}
