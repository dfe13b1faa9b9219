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
	ledger *registry.Ledger
	fresh  *freshness

	stepping sync.Mutex   // one step at a time; the fields down to the next lock are its
	applied  routingState // the newest state that is served completely
	tried    int64        // the entry of the last attempt
	complete bool         // that attempt left nothing out
	attempts int          // failed ones at that entry
	retryAt  time.Time    // no further attempt at it before

	looked atomic.Bool // a step came to its end: the route is what the ledger asks for, as far as it can be loaded

	mu       sync.Mutex
	seen     int64             // the highest entry read
	problems map[string]string // by what has them: ledger, champion, challenger, spec, disk
}

// Pauses between attempts to load what the ledger names.
const (
	firstRetry   = time.Second
	longestRetry = time.Minute
)

func (s *Server) newFollower(model string) *follower {
	return &follower{
		server: s, model: model, ledger: registry.NewLedger(s.ports.Store, model),
		fresh: newFreshness(s.started, s.cfg.StaleAfter), problems: map[string]string{},
	}
}

// restore serves what was served last, from disk alone if need be. The challenger waits for the ledger.
func (f *follower) restore(ctx context.Context) {
	f.stepping.Lock()
	defer f.stepping.Unlock()
	state, ok, err := f.server.disk.load(f.model)
	f.report("disk", err)
	if !ok {
		return
	}
	f.ledger.Saw(state.Seq, state.Hash)
	if f.apply(ctx, offline{f.server.ports.Store}, state) != nil {
		f.tried = 0 // what disk lacks is read with the ledger's head
	}
}

// step reads the ledger once and serves what it says. Until that succeeds completely, what was served goes on.
func (f *follower) step(ctx context.Context) error {
	f.stepping.Lock()
	defer f.stepping.Unlock()
	s := f.server
	asked := s.ports.Clock()
	reading, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout)
	head, err := f.ledger.Head(reading)
	cancel()
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // we are stopping: not the ledger's fault
	}
	f.report("ledger", err)
	s.metrics.ledgerRead(f.model, err)
	if err != nil {
		return err
	}
	f.fresh.read(asked)
	f.saw(head.Seq)
	defer f.looked.Store(true)
	switch {
	case head.Seq == 0:
		return nil
	case head.Seq == f.tried && f.complete:
		return nil
	case head.Seq == f.tried && asked.Before(f.retryAt):
		return fmt.Errorf("%s: entry %d is not served completely, next attempt in %v", f.model, head.Seq, f.retryAt.Sub(asked))
	}
	want, err := routingOf(head)
	f.report("ledger", err)
	if err != nil {
		return err
	}
	return f.apply(ctx, s.ports.Store, want)
}

// apply makes the route that a state asks for and swaps it in. What can't be loaded is left out: without the
// champion that the ledger names, the old one answers alone; without the challenger, the champion does.
func (f *follower) apply(ctx context.Context, from objectstore.Store, want routingState) error {
	s := f.server
	old := s.route(f.model)
	f.withdraw(old, want)
	loading, cancel := context.WithTimeout(ctx, s.cfg.LoadTimeout)
	defer cancel()

	champion, championErr := f.version(loading, from, old, want.Champion)
	challenger, challengerErr := f.version(loading, from, old, want.Challenger)
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
	f.report("champion", championErr)
	f.report("challenger", challengerErr)
	f.report("spec", specErr)
	err := errors.Join(championErr, challengerErr, specErr)

	r := newRoute(f.model, champion, challenger, set)
	r.seq, r.epoch, r.fresh = want.Seq, want.Epoch, f.fresh
	if challenger != nil {
		r.weight, r.leaseUntil = want.Weight, want.LeaseUntil
	}
	if err != nil { // the heartbeat must not confirm this entry
		r.seq, r.epoch = f.applied.Seq, f.applied.Epoch
	}
	s.swap(r)
	f.settle(want, err)
	return err
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
		f.server.publish(&less)
	}
}

// version gives a loaded version, the one in service if it is the same; nil for none.
func (f *follower) version(ctx context.Context, from objectstore.Store, old *route, ref versionRef) (*version, error) {
	if ref.Number == 0 {
		return nil, nil
	}
	if old != nil {
		for _, a := range []*arm{old.champion, old.challenger} {
			if a != nil && a.number == ref.Number && a.artifact == ref.Artifact {
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
	changed := f.applied != want
	f.applied = want
	if !changed {
		return
	}
	s.log().Info("routing", "model", f.model, "seq", want.Seq, "champion", want.Champion.Number,
		"challenger", want.Challenger.Number, "weight", want.Weight)
	f.report("disk", errors.Join(s.disk.save(want), s.disk.prune(f.model, want.Champion.Artifact, want.Challenger.Artifact)))
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
		if !sleep(ctx, f.interval()) {
			return
		}
	}
}

// report notes or clears what is wrong, and logs it when it changes.
func (f *follower) report(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if f.problems[what] == text {
		return
	}
	if err == nil {
		delete(f.problems, what)
		f.server.log().Info("recovered", "model", f.model, "what", what)
		return
	}
	f.problems[what] = text
	f.server.log().Warn("serving goes on without", "model", f.model, "what", what, "error", err)
}

func (f *follower) saw(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = max(f.seen, seq)
}

// trouble lists what is wrong, and gives the highest entry read.
func (f *follower) trouble() (problems []string, seen int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(f.problems)) {
		problems = append(problems, what+": "+f.problems[what])
	}
	return problems, f.seen
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
