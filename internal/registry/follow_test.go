package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// served is a ledger with a champion and a challenger, and its head.
func served(t *testing.T) (*objectstore.Memory, registry.Entry) {
	t.Helper()
	store := objectstore.NewMemory()
	ledger := registry.NewLedger(store, model)
	for _, c := range canary2(t).told {
		_, err := ledger.Do(t.Context(), c)
		require.NoError(t, err)
	}
	head, err := ledger.Head(t.Context())
	require.NoError(t, err)
	require.NotZero(t, head.State.Challenger)
	return store, head
}

func TestAFollowerReadsWhatRoutingNeeds(t *testing.T) {
	store, head := served(t)
	got, err := registry.NewFollower(store, model).Head(t.Context())
	require.NoError(t, err)
	s := head.State
	require.Equal(t, registry.Routing{
		Seq: head.Seq, Hash: head.Hash, Time: head.Time, Epoch: s.Epoch, Spec: s.Spec.Digest,
		Champion:   registry.Slot{Number: s.Champion, Artifact: s.Versions[s.Champion-1].Artifact},
		Challenger: registry.Slot{Number: s.Challenger, Artifact: s.Versions[s.Challenger-1].Artifact},
		Weight:     s.Weight, LeaseUntil: s.Lease.Until,
	}, got)

	empty, err := registry.NewFollower(objectstore.NewMemory(), model).Head(t.Context())
	require.NoError(t, err)
	require.Zero(t, empty)
	_, err = registry.NewFollower(store, "../x").Head(t.Context())
	require.ErrorContains(t, err, "model name")
}

// A newer release adds fields, statuses and kinds of commands while older gateways still serve.
func TestAFollowerGoesOnWhereAWriterOfAnOlderReleaseStops(t *testing.T) {
	store, head := served(t)
	newer := strings.NewReplacer(
		`"format":1`, `"format":2,"signed_by":"hsm-1"`,
		`"kind":"canary_started"`, `"kind":"shadow_started","shadow":{"share":1}`,
		`"status":"champion"`, `"status":"primary","region":"eu"`,
		`"champion":`, `"mirror":3,"champion":`,
	).Replace(content(t, store, entryKey(head.Seq)))
	overwrite(t, store, entryKey(head.Seq), newer)

	got, err := registry.NewFollower(store, model).Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head.State.Champion, got.Champion.Number)
	require.Equal(t, head.State.Weight, got.Weight)

	ledger := registry.NewLedger(store, model)
	_, err = ledger.Do(t.Context(), numbered(9))
	var broken *registry.Broken
	require.ErrorAs(t, err, &broken, "it would lose the fields that it doesn't know")
	require.ErrorContains(t, err, "format 2, this program knows 1")
}

func TestAFollowerRefuses(t *testing.T) {
	for rule, change := range map[string]struct{ from, to, want string }{
		"what asks for a newer reader":   {`"format":1`, `"format":2,"min_reader":2`, "asks for a reader of format 2"},
		"another model's entry":          {`"model":"flight-delay"`, `"model":"other"`, `of model "other"`},
		"another number's entry":         {`{"format":1,"seq":`, `{"format":1,"seq":9`, "holds entry 9"},
		"a champion that isn't listed":   {`"champion":1`, `"champion":7`, "the champion is version 7"},
		"a challenger that isn't listed": {`"challenger":2`, `"challenger":7`, "the challenger is version 7"},
		"a challenger without a lease":   {`"lease":`, `"leased":`, "without a lease"},
		"a weight that is no share":      {`"weight":0.1,"lease"`, `"weight":1.5,"lease"`, "weight 1.5"},
		"an artifact that has no digest": {`"versions":[{"number":1,"artifact":"`, `"versions":[{"number":1,"artifact":"../`, "artifact"},
		"what isn't JSON":                {`{"format"`, `{"format`, "not an entry"},
	} {
		t.Run(rule, func(t *testing.T) {
			store, head := served(t)
			before := content(t, store, entryKey(head.Seq))
			after := strings.ReplaceAll(before, change.from, change.to)
			require.NotEqual(t, before, after)
			overwrite(t, store, entryKey(head.Seq), after)
			_, err := registry.NewFollower(store, model).Head(t.Context())
			var broken *registry.Broken
			require.ErrorAs(t, err, &broken)
			require.ErrorContains(t, err, change.want)
		})
	}
}

func TestAFollowerAsksOnceWhileNothingMoves(t *testing.T) {
	store := filled(t, 40)
	var gets atomic.Int64
	follower := registry.NewFollower(counting(store, &gets), model)
	_, err := follower.Head(t.Context())
	require.NoError(t, err)
	gets.Store(0)
	moved, err := follower.Moved(t.Context())
	require.NoError(t, err)
	require.False(t, moved)
	require.EqualValues(t, 1, gets.Load())

	_, err = registry.NewLedger(store, model).Do(t.Context(), numbered(41))
	require.NoError(t, err)
	moved, err = follower.Moved(t.Context())
	require.NoError(t, err)
	require.True(t, moved)

	down := registry.NewFollower(failing(store, objectstore.FailBefore, 1, "get", "ledger"), model)
	_, err = down.Moved(t.Context())
	require.ErrorIs(t, err, objectstore.ErrInjected)
}

func TestAFollowerNoticesTruncation(t *testing.T) {
	store := filled(t, 9)
	follower := registry.NewFollower(store, model)
	_, err := follower.Head(t.Context())
	require.NoError(t, err)
	store.Remove(entryKey(9))
	_, err = follower.Head(t.Context())
	require.ErrorContains(t, err, "truncated")
}

func TestNewModelsAsksOnlyAboutThoseItDoesNotKnow(t *testing.T) {
	store := objectstore.NewMemory()
	for n := range 5 {
		overwrite(t, store, fmt.Sprintf("models/model-%d/ledger/%012d.json", n, 1), "{}")
	}
	overwrite(t, store, "models/only-a-spec/specs/x.yaml", "x")
	var asked atomic.Int64
	counted := objectstore.NewFaulty(store, func(op, _ string) objectstore.Fault {
		asked.Add(1)
		return objectstore.NoFault
	})
	models, err := registry.NewModels(t.Context(), counted, func(name string) bool { return name < "model-3" })
	require.NoError(t, err)
	require.Equal(t, []string{"model-3", "model-4"}, models)
	require.EqualValues(t, 1+3, asked.Load(), "the folders, and the three unknown ones")
}

// dated gives the objects that it lists other ages.
type dated struct {
	objectstore.Store
	modified map[string]time.Time
}

func (d dated) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	return d.Store.List(ctx, prefix, func(info objectstore.Info) error {
		info.Modified = d.modified[info.Key]
		return each(info)
	})
}

func TestHeartbeatsOfGatewaysLongGoneAreNotRead(t *testing.T) {
	store := objectstore.NewMemory()
	for _, id := range []string{"gw-now", "gw-yesterday", "gw-gone"} {
		require.NoError(t, registry.PutHeartbeat(t.Context(), store, beat(id, clock(0), 1)))
	}
	all, err := registry.Heartbeats(t.Context(), dated{store, map[string]time.Time{
		"gateways/gw-now.json":       clock(100_000),
		"gateways/gw-yesterday.json": clock(100_000 - 86_400),
		"gateways/gw-gone.json":      clock(100_000 - 86_401),
	}})
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "gw-now", all[0].ID)
	require.Equal(t, "gw-yesterday", all[1].ID)
}
