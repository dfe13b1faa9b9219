package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
)

const glassToken = "correct-horse-battery-staple"

// gateway is a real one over the session's bucket, which it can't reach once down says so. Its heartbeat is written.
func (w *session) gateway(id string, down *atomic.Bool) (admin string) {
	w.t.Helper()
	token, err := serving.NewToken(glassToken)
	require.NoError(w.t, err)
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir, cfg.AdminToken, cfg.BreakGlass = id, w.t.TempDir(), token, 100*time.Millisecond
	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) { handler.ServeHTTP(rw, req) }))
	w.t.Cleanup(listener.Close)
	cfg.AdminAddress = listener.URL
	store := objectstore.NewFaulty(w.bucket, func(string, string) objectstore.Fault {
		if down.Load() {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	server, err := serving.New(cfg, serving.Ports{Store: store, Clock: w.now})
	require.NoError(w.t, err)
	handler = server.AdminHandler()
	_ = server.Sync(w.t.Context()) // the test's artifacts aren't there: what is decided is followed all the same
	return listener.URL
}

func (w *session) glass(args ...string) (int, glassBroken) {
	w.t.Helper()
	w.variables["LEANLOOP_ADMIN_TOKEN"] = glassToken
	code := w.starter(append([]string{"rollback", "churn", "--break-glass", "--reason", "errors", "-o", "json"}, args...)...)
	var out glassBroken
	if w.stdout.Len() > 0 {
		require.NoError(w.t, json.Unmarshal(w.stdout.Bytes(), &out), w.stdout.String())
	}
	return code, out
}

func (w *session) churn() registry.Entry {
	w.t.Helper()
	head, err := registry.NewLedger(w.bucket, "churn").Head(w.t.Context())
	require.NoError(w.t, err)
	return head
}

func TestBreakGlassTellsEveryLiveGatewayAndIsOneEntry(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.approved("churn", 2)
	w.canary("churn", 2)
	before := w.churn().Seq
	var up atomic.Bool
	w.gateway("g1", &up)
	w.gateway("g2", &up)
	for range 2 {
		code, out := w.glass()
		require.Equal(t, exitOK, code, w.stderr.String())
		require.True(t, out.InLedger)
		require.Len(t, out.Gateways, 2)
		for _, g := range out.Gateways {
			require.Contains(t, []string{"appended", "already"}, g.Answer.Outcome)
		}
	}
	e := w.churn()
	require.Equal(t, before+1, e.Seq)
	require.Equal(t, "cli:ana", e.Actor)
	require.Equal(t, 1, e.State.Champion)
	require.NotContains(t, w.transcript.String(), glassToken)
}

func TestBreakGlassWithoutTheStoreNeedsTheGatewaysNamesAndSaysWhoDidIt(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.approved("churn", 2)
	w.canary("churn", 2)
	var down, up atomic.Bool
	one, two := w.gateway("g1", &down), w.gateway("g2", &up)
	down.Store(true)
	code, out := w.glass("--gateway", one, "--gateway", "http://127.0.0.1:1")
	require.Equal(t, exitFailure, code)
	require.False(t, out.InLedger)
	require.Equal(t, "stored", out.Gateways[0].Answer.Outcome)
	require.Equal(t, "g1", out.Gateways[0].ID)
	require.NotEmpty(t, out.Gateways[1].Error)
	require.Contains(t, w.stderr.String(), "1 of 2 gateway(s) didn't roll churn back")
	require.Equal(t, 2, w.churn().State.Challenger)

	code, out = w.glass("--gateway", one, "--gateway", two+"/", "--gateway", "http://127.0.0.1:1")
	require.Equal(t, exitOK, code, "the ledger has it: %s", w.stderr.String())
	require.True(t, out.InLedger)
	require.Zero(t, w.churn().State.Challenger)

	require.Equal(t, exitOK, w.starter("rollback", "churn", "--break-glass", "--reason", "errors", "--gateway", one, "--gateway", two))
	require.Contains(t, w.stdout.String(), "the ledger has it")
}

func TestBreakGlassIsRefusedForWhatTheLedgerDoesNotAllow(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	var up atomic.Bool
	w.gateway("g1", &up)
	code, out := w.glass("--to", "9")
	require.Equal(t, exitConflict, code)
	require.Contains(t, out.Gateways[0].Error, "never the champion")
}

func TestBreakGlassUsage(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	require.Equal(t, exitUsage, w.starter("rollback", "churn", "--break-glass", "--reason", "x"))
	require.Contains(t, w.stderr.String(), "LEANLOOP_ADMIN_TOKEN")
	code, _ := w.glass()
	require.Equal(t, exitConflict, code, "no gateway is alive")
	code, _ = w.glass("--gateway", "10.0.0.5:9090")
	require.Equal(t, exitUsage, code)
	require.Equal(t, exitUsage, w.starter("rollback", "churn", "--gateway", "http://x:1", "--reason", "x"), "without --break-glass")

	w.heartbeat("old", 3)
	code, out := w.glass()
	require.Equal(t, exitFailure, code)
	require.Contains(t, out.Gateways[0].Error, "names no admin listener")
}

func TestBreakGlassTokenFollowsNoRedirect(t *testing.T) {
	w := newSession(t)
	var told atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		told.Store(strings.Contains(req.Header.Get("Authorization"), glassToken))
	}))
	defer elsewhere.Close()
	moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer moved.Close()
	code, out := w.glass("--gateway", moved.URL)
	require.Equal(t, exitFailure, code)
	require.Contains(t, out.Gateways[0].Error, "redirect")
	require.False(t, told.Load())
}

// Whoever may write to the bucket may write a heartbeat. What comes to the address in it is no token, and what it answers is
// believed only of somebody who knows the token.
func TestBreakGlassShowsItsTokenToNobodyAndBelievesNoStranger(t *testing.T) {
	w := newSession(t)
	var heard atomic.Value
	stranger := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		heard.Store(req.Header.Get("Authorization"))
		_, _ = rw.Write([]byte(`{"gateway": "g9", "outcome": "appended", "seq": 7}`))
	}))
	defer stranger.Close()
	require.NoError(t, registry.PutHeartbeat(t.Context(), w.bucket, registry.Heartbeat{ID: "g9", Admin: stranger.URL, Time: w.now(), ExpiresAt: w.now().Add(time.Minute)}))
	code, out := w.glass()
	require.Equal(t, exitFailure, code)
	require.Contains(t, out.Gateways[0].Error, "its answer isn't signed with the admin token")
	require.NotContains(t, heard.Load(), glassToken)
	require.Contains(t, heard.Load(), "Leanloop-Hmac ")
}

// Two gateways on two machines both say that they are at 127.0.0.1: from here that is one and the same.
func TestBreakGlassTakesNoGatewaysAnswerForAnothers(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.approved("churn", 2)
	w.canary("churn", 2)
	var down atomic.Bool
	one := w.gateway("g1", &down)
	down.Store(true)
	beats, err := registry.Heartbeats(t.Context(), w.bucket)
	require.NoError(t, err)
	require.Equal(t, one, beats[0].Admin)
	beats[0].ID = "g2"
	require.NoError(t, registry.PutHeartbeat(t.Context(), w.bucket, beats[0]))
	code, out := w.glass()
	require.Equal(t, exitFailure, code, "g2 still has the challenger")
	require.Equal(t, "stored", out.Gateways[0].Answer.Outcome)
	require.Nil(t, out.Gateways[1].Answer)
	require.Contains(t, out.Gateways[1].Error, `gateway "g1" answered at the address of "g2"`)
}
