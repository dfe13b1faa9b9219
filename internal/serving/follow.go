package serving

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// follower keeps one model's route at its ledger's head.
type follower struct {
	server *Server
	model  string
	ledger *registry.Follower
	writer *registry.Ledger // for break-glass alone
	fresh  *freshness
	wake   chan struct{}

	stepping sync.Mutex       // one step at a time; the fields down to the next lock are its
	head     registry.Routing // as last read
	checked  time.Time        // when it was last read whole
	met      time.Time        // when the entry of the last attempt was first read
	features map[string]bool  // that versions served here read
	applied  routingState     // the newest state that is served completely
	tried    int64            // the entry of the last attempt
	complete bool             // that attempt left nothing out
	attempts int              // failed ones at that entry
	retryAt  time.Time        // no further attempt at it before

	held       map[*version]bool            // that it serves or may serve again; under the server's swapping
	last       atomic.Pointer[routingState] // as last read, or restored
	asked      atomic.Pointer[route]        // the newest one by the ledger alone; written under the server's swapping
	override   atomic.Pointer[override]
	overriding sync.Mutex // of those that change the override
	breaking   sync.Mutex // one break-glass order at a time

	looked atomic.Bool // a step came to its end: the route is what the ledger asks for, as far as it can be loaded

	seen     atomic.Int64 // the highest entry read
	troubles *troubles    // of: ledger, champion, challenger, spec, disk
}

// Pauses between attempts to load what the ledger names.
const (
	firstRetry   = time.Second
	longestRetry = time.Minute
)

// maxFeatures bounds how many names of features are remembered for versions that aren't served any more.
const maxFeatures = 10_000

func (s *Server) newFollower(model string) *follower {
	return &follower{
		server: s, model: model, ledger: registry.NewFollower(s.ports.Store, model),
		writer: registry.NewLedger(s.ports.Store, model), wake: make(chan struct{}, 1),
		fresh: newFreshness(s.started, s.cfg.StaleAfter), features: map[string]bool{},
		troubles: newTroubles(s.log().With("model", model), s.ports.Clock),
	}
}

// restore serves what was served last, from disk alone if need be. The challenger waits for the ledger.
func (f *follower) restore(ctx context.Context) {
	f.stepping.Lock()
	defer f.stepping.Unlock()
	f.restoreOverride(ctx)
	state, ok, err := f.server.disk.load(f.model)
	f.troubles.note("disk", err)
	if !ok {
		return
	}
	f.ledger.Saw(state.Seq, state.Hash)
	f.writer.Saw(state.Seq, state.Hash)
	f.last.Store(&state)
	f.met = f.server.ports.Clock()
	for _, name := range state.Features {
		f.features[name] = true
	}
	if f.apply(ctx, offline{f.server.ports.Store}, state) != nil {
		f.tried = 0 // what disk lacks is read with the ledger's head
	}
}

// step reads the ledger once and serves what it says. Until that succeeds completely, what was served goes on.
func (f *follower) step(ctx context.Context) error {
	f.stepping.Lock()
	defer f.stepping.Unlock()
	o, refused := f.appendOverride(ctx)
	read, err := f.readAndApply(ctx)
	if read {
		f.endOverride(ctx, o, refused)
	}
	return err
}

// readAndApply is step but for what a break-glass rollback adds; read says that the ledger answered.
func (f *follower) readAndApply(ctx context.Context) (read bool, err error) {
	s := f.server
	asked := s.ports.Clock()
	reading, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout)
	head, err := f.look(reading, asked)
	cancel()
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err() // we are stopping: not the ledger's fault
	}
	f.troubles.note("ledger", err)
	s.metrics.ledgerRead(f.model, err)
	if err != nil {
		var broken *registry.Broken
		if errors.As(err, &broken) { // an answer, which waiting doesn't change
			f.looked.Store(true)
		}
		return false, err
	}
	f.fresh.read(asked)
	f.seen.Store(max(f.seen.Load(), head.Seq))
	defer f.looked.Store(true)
	want := routingOf(f.model, head)
	if head.Seq > 0 {
		f.last.Store(&want)
		f.writer.Saw(head.Seq, head.Hash)
	}
	switch {
	case head.Seq == 0:
		return true, nil
	case head.Seq == f.tried && f.complete:
		return true, nil
	case head.Seq == f.tried && asked.Before(f.retryAt):
		return true, fmt.Errorf("%s: entry %d is not served completely, next attempt in %v", f.model, head.Seq, f.retryAt.Sub(asked))
	}
	if head.Seq != f.tried {
		f.met = asked
	}
	return true, f.apply(ctx, s.ports.Store, want)
}

// look gives the ledger's head. Mostly that is one small request, which finds nothing behind what was read before; the
// head is read whole when there is something, and four times within StaleAfter to see that it still stands.
func (f *follower) look(ctx context.Context, asked time.Time) (registry.Routing, error) {
	if f.head.Seq > 0 && asked.Sub(f.checked) < f.server.cfg.StaleAfter/4 {
		moved, err := f.ledger.Moved(ctx)
		if err != nil || !moved {
			return f.head, err
		}
	}
	head, err := f.ledger.Head(ctx)
	if err == nil {
		f.head, f.checked = head, asked
	}
	return head, err
}

// apply makes the route that a state asks for and swaps it in. What can't be loaded is left out: without the
// champion that the ledger names, the old one answers alone; without the challenger, the champion does.
func (f *follower) apply(ctx context.Context, from objectstore.Store, want routingState) error {
	s := f.server
	old := f.asked.Load() // what the ledger asked for, whatever wins over it meanwhile
	f.withdraw(old, want)
	loading, cancel := context.WithTimeout(ctx, s.cfg.LoadTimeout)
	defer cancel()

	champion, championErr := f.version(loading, from, want.Champion)
	defer champion.letGo(s.troubles)
	challenger, challengerErr := f.version(loading, from, want.Challenger)
	defer challenger.letGo(s.troubles)
	set, specErr := s.loadSettings(loading, from, f.model, want.Spec)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if specErr != nil && old != nil {
		set = old.settings
	}
	if championErr != nil && old != nil && old.champion != nil {
		champion = old.champion.version
	}
	if championErr != nil || champion == nil {
		challenger = nil
	}
	f.troubles.note("champion", championErr)
	f.troubles.note("challenger", challengerErr)
	f.troubles.note("spec", specErr)
	err := errors.Join(championErr, challengerErr, specErr)

	want.Features = f.remember(champion, challenger)
	r := newRoute(f.model, champion, challenger, set)
	r.ignore(want.Features)
	r.seq, r.epoch, r.of, r.fresh = want.Seq, want.Epoch, want.standing(), f.fresh
	if challenger != nil {
		r.weight, r.leaseUntil, r.leaseEnds = want.Weight, want.LeaseUntil, f.met.Add(want.LeaseFor)
	}
	if err != nil { // the heartbeat must not confirm this entry
		r.seq, r.epoch = f.applied.Seq, f.applied.Epoch
	}
	s.count(r)
	f.publish(r)
	f.settle(want, err)
	return err
}

// publish swaps the table. Requests that hold the old one finish on it. A break-glass rollback wins here, so that no
// route that was being made while it came undoes it.
func (f *follower) publish(r *route) {
	f.server.swapping.Lock()
	defer f.server.swapping.Unlock()
	f.asked.Store(r)
	f.serve(r)
}

// republish serves by the override there is now, if any.
func (f *follower) republish() {
	f.server.swapping.Lock()
	defer f.server.swapping.Unlock()
	if r := f.asked.Load(); r != nil {
		f.serve(r)
	} else {
		f.retain() // what an override will serve
	}
}

// serve puts a route of the ledger, or what wins over it, into the table. The caller holds the lock.
func (f *follower) serve(r *route) {
	s := f.server
	if o := f.override.Load(); o.wins(r) {
		r = s.over(o, r)
	}
	s.table.Store(s.table.Load().with(r))
	f.retain()
}

// withdraw takes weight away at once, before anything is loaded: a rollback mustn't wait for a download.
func (f *follower) withdraw(old *route, want routingState) {
	if old == nil || old.challenger == nil || old.weight == 0 {
		return
	}
	weight := 0.0
	if old.challenger.number == want.Challenger.Number {
		weight = min(old.weight, want.Weight)
	}
	if weight < old.weight {
		less := *old
		less.weight = weight
		f.publish(&less)
	}
}

// version gives a loaded version, the one in service if it is the same; nil for none. It is held: the caller lets go.
func (f *follower) version(ctx context.Context, from objectstore.Store, ref versionRef) (*version, error) {
	if ref.Number == 0 {
		return nil, nil
	}
	for _, r := range []*route{f.server.route(f.model), f.asked.Load()} { // the latter has what an override leaves out
		if r == nil {
			continue
		}
		for _, a := range []*arm{r.champion, r.challenger} {
			if a != nil && a.number == ref.Number && a.artifact == ref.Artifact && a.hold() {
				return a.version, nil
			}
		}
	}
	v, err := f.server.loadVersion(ctx, from, f.model, ref)
	if err != nil {
		f.server.metrics.loadFailures.WithLabelValues(f.model).Inc()
	}
	return v, err
}

// remember adds what versions read to the names that requests may carry, and gives all of them, sorted. A client that
// sends what a challenger needs mustn't be refused for it once the challenger is rolled back.
func (f *follower) remember(versions ...*version) []string {
	if len(f.features) > maxFeatures {
		clear(f.features)
	}
	for _, v := range versions {
		if v == nil {
			continue
		}
		for _, in := range v.model.Signature.Inputs {
			f.features[in.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(f.features))
}

// settle remembers how an attempt ended.
func (f *follower) settle(want routingState, err error) {
	s := f.server
	if want.Seq != f.tried {
		f.attempts = 0
	}
	f.tried, f.complete = want.Seq, err == nil
	if err != nil {
		pause := min(firstRetry<<min(f.attempts, 10), longestRetry)
		f.attempts++
		f.retryAt = s.ports.Clock().Add(pause)
		return
	}
	f.applied = want
	s.log().Info("routing", "model", f.model, "seq", want.Seq, "champion", want.Champion.Number,
		"challenger", want.Challenger.Number, "weight", want.Weight)
	used := []string{want.Champion.Artifact, want.Challenger.Artifact}
	if o := f.override.Load(); o != nil {
		used = append(used, o.To.Artifact)
	}
	f.troubles.note("disk", errors.Join(s.disk.save(want), s.disk.prune(f.model, used...)))
	s.wakeHeartbeat()
}

// interval is how long the follower may wait now.
func (f *follower) interval() time.Duration {
	if r := f.server.route(f.model); r != nil && r.challenger != nil {
		return f.server.cfg.FollowCanary
	}
	return f.server.cfg.Follow
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	for {
		_ = f.step(ctx) // reported
		timer := time.NewTimer(f.interval())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-f.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// wakeUp has the ledger read now.
func (f *follower) wakeUp() {
	select {
	case f.wake <- struct{}{}:
	default: // it is about to be
	}
}

// sleep waits for d; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
