package serving

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// What a challenger has for a request beside Config.ChallengerTimeout: perRow for each row, but no more than slower times
// what the champion takes for as many, as far as that is known, and blindly at most where it isn't. A challenger that
// hangs keeps a large request waiting for all of it.
const (
	perRow  = time.Millisecond
	slower  = 4
	blindly = time.Second
)

// budget is the time that a route's challenger has for so many rows.
func (s *Server) budget(r *route, rows int) time.Duration {
	more := time.Duration(rows) * perRow
	if pace := r.champion.pace.Load(); pace > 0 {
		more = min(more, slower*time.Duration(rows)*time.Duration(pace))
	} else {
		more = min(more, blindly)
	}
	return s.cfg.ChallengerTimeout + more
}

// learn takes in what the champion took for so many rows. A row of a large request costs less than one that comes alone,
// and it is large requests that the pace is for: they move it more.
func (v *version) learn(rows int, took time.Duration) {
	const half = 64 // rows that move it halfway
	observed, before := int64(took)/int64(rows), v.pace.Load()
	if observed <= 0 {
		return
	}
	if before > 0 {
		observed = before + (observed-before)*int64(rows)/int64(rows+half)
	}
	v.pace.Store(max(1, observed)) // of two at once one is forgotten
}

// errOpen is the failure of a challenger that isn't asked for a while, since it kept failing.
var errOpen = errors.New("the challenger failed too often in a row and rests")

// asking is a challenger's part of a request, on a goroutine of its own so that nobody has to wait for it. Its buffers
// are its own: a request that has gone on without it may already be another's.
type asking struct {
	x, out []float64
	err    error
	done   chan struct{}
}

func newAsking() any { return &asking{done: make(chan struct{}, 1)} }

// askWithin scores the rows in w.x within the challenger's time. A scorer of this process can't be stopped: one that takes
// longer is left to itself, and its answer goes nowhere.
func (s *Server) askWithin(ctx context.Context, w *work, r *route, rows int) error {
	a, budget := r.challenger, s.budget(r, rows)
	q := s.askings.Get().(*asking)
	q.x = append(q.x[:0], w.x...)
	if a.model.Waits() {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(context.WithoutCancel(ctx), budget)
		defer end()
	}
	a.hold() // whoever asks does, so it can't fail
	go q.run(ctx, a, rows, s.troubles)
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case <-q.done:
		w.out[0], q.out = q.out, w.out[0]
		err := q.err
		if cap(q.x) <= maxKept/8 && cap(q.out) <= maxKept/8 {
			s.askings.Put(q)
		}
		return err
	case <-timer.C:
		return fmt.Errorf("version %d took longer than %s for %d rows", a.number, budget, rows)
	}
}

func (q *asking) run(ctx context.Context, a *arm, rows int, t *troubles) {
	defer a.letGo(t)
	q.out, q.err = a.ask(ctx, q.x, rows, q.out)
	q.done <- struct{}{}
}

// ask scores rows into out. A panic of the scorer is an error like any other, and so is an answer that is no number.
func (a *arm) ask(ctx context.Context, x []float64, rows int, out []float64) (scores []float64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("version %d panicked: %v", a.number, p)
		}
	}()
	scores = grow(out[:0], rows*a.model.Scorer.Outputs())
	if err := a.model.Score(ctx, x, rows, scores); err != nil {
		return scores, err
	}
	for _, v := range scores {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return scores, fmt.Errorf("version %d answered %v, want a finite number", a.number, v)
		}
	}
	return scores, nil
}

// How a breaker opens: after so many failures in a row, for restFirst, then twice as long each time up to restMost.
const (
	failuresInRow = 5
	restFirst     = time.Second
	restMost      = 30 * time.Second
)

// breaker keeps a challenger that fails or hangs from being asked, so that requests don't pile up behind it. What it
// keeps away counts as the challenger's failure all the same: that is what users would have got. It belongs to a
// version, so it outlives the routes that the version is in. The zero value is closed.
type breaker struct {
	mu       sync.Mutex
	failures int // in a row
	rest     time.Duration
	until    time.Time // no request before; one at a time after it, until one succeeds
	trial    bool      // one was let through since
}

// allow says whether the challenger may be asked now.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < failuresInRow {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until, b.trial = now.Add(b.rest), true // this one is the trial; the others wait for what comes of it
	return true
}

// note takes what came of a request.
func (b *breaker) note(now time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.failures, b.rest, b.trial = 0, 0, false
		return
	}
	// Requests that were under way when it opened say nothing new: they don't make the rest longer.
	if b.failures++; b.failures == failuresInRow || b.trial {
		b.trial = false
		b.rest = min(max(2*b.rest, restFirst), restMost)
		b.until = now.Add(b.rest)
	}
}
