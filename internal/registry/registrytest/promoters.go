// Package registrytest holds tests of the ledger that run on any object store: in memory with every fault, and on a
// real S3 server.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// Options size a race.
type Options struct {
	Model     string // one that has no ledger yet
	Promoters int    // that bring versions to the champion's place, each again and again
	Rounds    int    // how often each one tries
	Seed      uint64 // of faults
	Faults    int    // of a hundred requests, how many fail, half of them after the store did what was asked
}

// DefaultOptions are eight promoters on one model, with a fifth of all requests failing.
func DefaultOptions() Options {
	return Options{Model: "raced", Promoters: 8, Rounds: 4, Seed: 1, Faults: 20}
}

// RacePromoters races promoters, each as a process of its own with lost answers and repeated requests, against one
// another and against somebody who rolls back, on one model. It fails the test unless
//   - every read shows at most one champion and one challenger, and an epoch that never falls,
//   - every read and write agrees with one order of all entries in real time (linearizability: an append-only chain
//     with granted numbers needs no search for one),
//   - each command is in the ledger once, and exactly when its promoter was told so,
//   - no promotion stands on an approval from before a rollback or another promotion,
//   - the whole ledger verifies.
func RacePromoters(t *testing.T, store objectstore.Store, o Options) {
	r := &race{t: t, store: store, options: o, told: map[string]int64{}, maybe: map[string]bool{}}
	require.NoError(t, objectstore.Probe(t.Context(), store))

	var promoters, others sync.WaitGroup
	stop := make(chan struct{})
	for n := range o.Promoters {
		promoters.Go(func() { r.promoter(n) })
	}
	others.Go(func() { r.roller(stop) })
	for n := range 2 {
		others.Go(func() { r.reader(n, stop) })
	}
	promoters.Wait()
	close(stop)
	others.Wait()
	r.judge()
}

// race is what all racers share: the observations from which the verdict is made.
type race struct {
	t       *testing.T
	store   objectstore.Store
	options Options

	mu    sync.Mutex
	ops   []observation
	told  map[string]int64 // key -> entry, as Do answered
	maybe map[string]bool  // keys whose outcome nobody was told
}

// observation is one finished call: a read that saw the head, or a write that got an entry.
type observation struct {
	write      bool
	seq        int64
	start, end time.Time
}

// faulty is the store as one process sees it.
func (r *race) faulty(who string) objectstore.Store {
	var count atomic.Uint64
	return objectstore.NewFaulty(r.store, func(op, _ string) objectstore.Fault {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d/%s/%d", r.options.Seed, who, count.Add(1))
		dice := h.Sum64() >> 8
		if int(dice%100) >= r.options.Faults {
			return objectstore.NoFault
		}
		switch dice / 100 % 4 {
		case 0:
			return objectstore.FailBefore
		case 1:
			if op == "create" {
				return objectstore.Contend
			}
			return objectstore.FailBefore
		}
		return objectstore.FailAfter
	})
}

// promoter takes a version of its own through register, approve, canary and promote, again and again.
func (r *race) promoter(n int) {
	who := fmt.Sprintf("promoter-%d", n)
	ledger := registry.NewLedger(r.faulty(who), r.options.Model)
	for round := range r.options.Rounds {
		at := Clock(n*1000 + round)
		step := func(stage string, c registry.Command) (registry.Entry, bool) {
			c.Key, c.Actor, c.Via, c.Time = fmt.Sprintf("%s/%d/%s", who, round, stage), who, "race", at
			return r.do(ledger, c)
		}
		registered, ok := step("register", registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
			Artifact: Digest(who, round, "artifact"), Evidence: Digest(who, round, "evidence"), Verdict: registry.VerdictPass,
		}})
		if !ok {
			continue
		}
		v, _ := registered.State.ByArtifact(Digest(who, round, "artifact"))
		head, ok := r.head(ledger)
		if !ok {
			continue
		}
		if _, ok := step("approve", registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{
			Version: v.Number, Evidence: v.Evidence, Approvers: []string{"cli:ana"},
			Comparison: registry.Comparison{Champion: head.State.Champion, Epoch: head.State.Epoch},
		}}); !ok {
			continue
		}
		var guard registry.Guard
		if n%2 == 0 { // the others rely on what their approval is bound to
			guard = registry.Guard{Epoch: new(head.State.Epoch), Champion: new(head.State.Champion)}
		}
		if head.State.Champion != 0 {
			if _, ok := step("canary", registry.Command{Kind: registry.KindCanaryStarted, Guard: guard, Canary: &registry.CanaryWeight{
				Version: v.Number, Weight: 0.1, LeaseUntil: at.Add(time.Minute), Run: who,
			}}); !ok {
				continue
			}
			if _, ok := step("weight", registry.Command{Kind: registry.KindCanaryWeight, Guard: guard, Canary: &registry.CanaryWeight{
				Version: v.Number, Weight: 0.5, LeaseUntil: at.Add(time.Minute), Run: who,
			}}); !ok {
				continue
			}
		}
		step("promote", registry.Command{Kind: registry.KindPromoted, Guard: guard, Promoted: &registry.Promoted{Version: v.Number}})
	}
}

// roller rolls back whatever challenger it finds, and every other time the champion.
func (r *race) roller(stop <-chan struct{}) {
	ledger := registry.NewLedger(r.faulty("roller"), r.options.Model)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		head, ok := r.head(ledger)
		if !ok || head.State.Epoch == 0 {
			continue
		}
		back := &registry.RolledBack{Reason: "race"}
		if n%2 == 1 {
			for _, v := range head.State.Versions {
				if !v.PromotedAt.IsZero() && v.Number != head.State.Champion {
					back.To = v.Number
				}
			}
		}
		r.do(ledger, registry.Command{
			Key: fmt.Sprintf("roller/%d", n), Kind: registry.KindRolledBack, Actor: "roller", Time: Clock(n), RolledBack: back,
		})
	}
}

// reader follows the ledger as a gateway does.
func (r *race) reader(n int, stop <-chan struct{}) {
	ledger := registry.NewLedger(r.faulty(fmt.Sprintf("reader-%d", n)), r.options.Model)
	var last registry.Entry
	for {
		select {
		case <-stop:
			return
		default:
		}
		head, ok := r.head(ledger)
		if !ok {
			continue
		}
		if head.Seq < last.Seq || head.State.Epoch < last.State.Epoch {
			r.t.Errorf("reader went back from entry %d (epoch %d) to %d (epoch %d)", last.Seq, last.State.Epoch, head.Seq, head.State.Epoch)
		}
		last = head
	}
}

// do asks until it is told: a conflict or refusal is an answer, trouble is asked again with the same key.
func (r *race) do(ledger *registry.Ledger, c registry.Command) (registry.Entry, bool) {
	start := time.Now()
	for range 20 {
		e, err := ledger.Do(r.t.Context(), c)
		var conflict *registry.Conflict
		var refused *registry.Refused
		switch {
		case err == nil:
			r.observe(observation{write: true, seq: e.Seq, start: start, end: time.Now()}, e.State)
			r.tell(c.Key, e.Seq)
			return e, true
		case errors.As(err, &conflict), errors.As(err, &refused):
			r.tell(c.Key, 0)
			return registry.Entry{}, false
		case !errors.Is(err, objectstore.ErrInjected):
			r.t.Errorf("%s: %v", c.Key, err)
			return registry.Entry{}, false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.maybe[c.Key] = true
	return registry.Entry{}, false
}

// head reads the head, with the observation that the read is.
func (r *race) head(ledger *registry.Ledger) (registry.Entry, bool) {
	for range 20 {
		start := time.Now()
		e, err := ledger.Head(r.t.Context())
		if err == nil {
			r.observe(observation{seq: e.Seq, start: start, end: time.Now()}, e.State)
			return e, true
		}
		if !errors.Is(err, objectstore.ErrInjected) {
			r.t.Errorf("head: %v", err)
			return registry.Entry{}, false
		}
	}
	return registry.Entry{}, false
}

// observe keeps a finished call, and holds what it saw to what must hold at every moment.
func (r *race) observe(o observation, s registry.State) {
	if err := Invariants(s); err != nil {
		r.t.Errorf("entry %d: %v", o.seq, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, o)
}

func (r *race) tell(key string, seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[key] = seq
}

// judge reads the ledger as it lies in the store, without faults, and compares it with what everybody was told.
func (r *race) judge() {
	ctx := context.WithoutCancel(r.t.Context())
	ledger := registry.NewLedger(r.store, r.options.Model)
	var entries []registry.Entry
	require.NoError(r.t, ledger.History(ctx, 1, func(e registry.Entry) error {
		entries = append(entries, e)
		return nil
	}))
	inLedger := map[string]int64{}
	promotions := 0
	for i, e := range entries {
		require.Zero(r.t, inLedger[e.Key], "key %s made entry %d and %d", e.Key, inLedger[e.Key], e.Seq)
		inLedger[e.Key] = e.Seq
		require.NoError(r.t, Invariants(e.State), "entry %d", e.Seq)
		if e.Command.Kind == registry.KindPromoted {
			promotions++
			NotOverRollback(r.t, entries[:i], e)
		}
	}
	for key, seq := range r.told {
		require.Equal(r.t, seq, inLedger[key], "%s was told entry %d (0: refused)", key, seq)
	}
	for key, seq := range inLedger {
		_, told := r.told[key]
		require.True(r.t, told || r.maybe[key], "entry %d of %s: nobody asked", seq, key)
	}
	require.Positive(r.t, promotions, "nothing was promoted: the race raced nothing")
	require.NoError(r.t, linearizable(r.ops))

	head := entries[len(entries)-1]
	v, err := ledger.Verify(ctx, registry.VerifyOptions{Head: head.Seq, HeadHash: head.Hash})
	require.NoError(r.t, err)
	require.Empty(r.t, v.Problems)
	require.True(r.t, v.Verified)
	r.t.Logf("%d entries, %d promotions, %d calls, %d outcomes unknown to their caller", len(entries), promotions, len(r.ops), len(r.maybe))
}
