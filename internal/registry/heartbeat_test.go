package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

func beat(id string, at time.Time, seq int64) registry.Heartbeat {
	return registry.Heartbeat{
		ID: id, Address: "http://127.0.0.1:8080", Time: at, ExpiresAt: at.Add(registry.HeartbeatTTL),
		Models: map[string]registry.Serve{model: {Seq: seq, Epoch: 1, Champion: 1}},
	}
}

func TestHeartbeatsAreReplacedAndReadByID(t *testing.T) {
	store := objectstore.NewMemory()
	for _, h := range []registry.Heartbeat{beat("gw-b", clock(0), 3), beat("gw-a.example", clock(1), 4), beat("gw-b", clock(5), 5)} {
		require.NoError(t, registry.PutHeartbeat(t.Context(), store, h))
	}
	all, err := registry.Heartbeats(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, []registry.Heartbeat{beat("gw-a.example", clock(1), 4), beat("gw-b", clock(5), 5)}, all)
	require.Equal(t, []string{"gateways/gw-a.example.json", "gateways/gw-b.json"}, keysOf(t, store))
}

func TestConfirmed(t *testing.T) {
	other := beat("gw-other", clock(100), 0)
	other.Models = nil
	elsewhere := other
	elsewhere.Only = []string{"another-model"}
	tests := []struct {
		rule    string
		all     []registry.Heartbeat
		missing []string
	}{
		{"every live gateway reached it", []registry.Heartbeat{beat("gw-a", clock(100), 7), beat("gw-b", clock(100), 9)}, nil},
		{"one lags", []registry.Heartbeat{beat("gw-a", clock(100), 7), beat("gw-b", clock(100), 6)}, []string{"gw-b"}},
		{"one doesn't know the model yet", []registry.Heartbeat{other}, []string{"gw-other"}},
		{"one that serves other models alone doesn't count", []registry.Heartbeat{elsewhere, beat("gw-a", clock(100), 7)}, nil},
		{"one that expired doesn't count", []registry.Heartbeat{beat("gw-a", clock(100), 7), beat("gw-gone", clock(80), 1)}, nil},
		{"one expires at its expiry", []registry.Heartbeat{beat("gw-edge", clock(85), 1)}, nil},
		{"nobody serves", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			ok, missing := registry.Confirmed(test.all, model, 7, clock(100))
			require.Equal(t, test.missing, missing)
			require.Equal(t, len(test.missing) == 0, ok)
		})
	}
}

func TestAHeartbeatThatCannotBeReadIsAnError(t *testing.T) {
	for want, data := range map[string]string{"unexpected end": "{", `holds the heartbeat of gateway "x"`: `{"id":"x"}`} {
		store := objectstore.NewMemory()
		overwrite(t, store, "gateways/gw-a.json", data)
		_, err := registry.Heartbeats(t.Context(), store)
		require.ErrorContains(t, err, want)
	}
	for _, id := range []string{"", "a/b", "../a", ".hidden", "a b"} {
		h := beat(id, clock(1), 1)
		require.ErrorContains(t, registry.PutHeartbeat(t.Context(), objectstore.NewMemory(), h), "gateway id", "%q", id)
	}
}

func TestRefusedDecisionsAreKeptOnce(t *testing.T) {
	store := objectstore.NewMemory()
	late := registry.RefusedDecision{Time: clock(9), Actor: "cli:bo", Via: "cli", Decision: "reject", Version: 2, Reason: "version 2 is decided already: approved"}
	early := registry.RefusedDecision{Time: clock(3), Actor: "slack:U1", Via: "slack", Decision: "approve", Version: 2, Reason: "U1 is no approver"}
	for _, r := range []registry.RefusedDecision{late, early, late} {
		require.NoError(t, registry.RecordRefusal(t.Context(), store, model, r))
	}
	var got []registry.RefusedDecision
	require.NoError(t, registry.RefusedDecisions(t.Context(), store, model, func(r registry.RefusedDecision) error {
		got = append(got, r)
		return nil
	}))
	require.Equal(t, []registry.RefusedDecision{early, late}, got)
	require.ErrorContains(t, registry.RecordRefusal(t.Context(), store, model, registry.RefusedDecision{Time: clock(1)}), "each is needed")
	require.ErrorContains(t, registry.RecordRefusal(t.Context(), store, "../x", late), "model name")
}
