package serving

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/timeseries"
)

// pointQueue sends points to the time series store, again with the same times until they are taken. It holds a
// bounded number; the oldest are dropped and counted.
type pointQueue struct {
	writer timeseries.Writer // nil: points are thrown away, and not counted
	limit  int
	failed failureLog

	sending sync.Mutex // one call at a time

	mu      sync.Mutex
	waiting []timeseries.Point
	lost    int64
	notYet  time.Duration // the store asked to be left alone for this long
}

func newPointQueue(w timeseries.Writer, limit int) *pointQueue {
	return &pointQueue{writer: w, limit: limit}
}

// maxPointsPerCall bounds one call; a long backlog goes in several.
const maxPointsPerCall = 1000

func (q *pointQueue) add(points []timeseries.Point) {
	if q.writer == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, points...)
	if over := len(q.waiting) - q.limit; over > 0 {
		q.lost += int64(over)
		q.waiting = append([]timeseries.Point(nil), q.waiting[over:]...)
	}
}

// send writes what waits, oldest first, until it is all taken or a call fails. Points that can never be taken are
// dropped and counted.
func (q *pointQueue) send(ctx context.Context) error {
	q.sending.Lock()
	defer q.sending.Unlock()
	for {
		batch := q.begin()
		if len(batch) == 0 {
			return nil
		}
		err := q.writer.Write(ctx, batch)
		q.end(batch, err)
		if err != nil {
			return err
		}
	}
}

// begin takes the oldest points off the queue, for one call.
func (q *pointQueue) begin() []timeseries.Point {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), maxPointsPerCall)
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return batch
}

// end puts a batch back in its place if a later call may succeed, as far as there is room.
func (q *pointQueue) end(batch []timeseries.Point, err error) {
	if err == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.notYet = timeseries.RetryAfter(err)
	if timeseries.IsFinal(err) {
		q.lost += int64(len(batch))
		return
	}
	over := max(0, min(len(batch), len(batch)+len(q.waiting)-q.limit))
	q.lost += int64(over)
	q.waiting = append(append([]timeseries.Point(nil), batch[over:]...), q.waiting...)
}

// dropped is how many points were lost.
func (q *pointQueue) dropped() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// run takes and sends points at each interval until ctx ends.
func (q *pointQueue) run(ctx context.Context, every time.Duration, take func() []timeseries.Point, log *slog.Logger) {
	for sleep(ctx, every) {
		q.add(take())
		q.mu.Lock()
		pause := q.notYet
		q.notYet = 0
		q.mu.Unlock()
		if pause > every && !sleep(ctx, pause-every) {
			return
		}
		if err := q.send(ctx); err == nil || ctx.Err() == nil {
			q.failed.note(log, "metrics", err)
		}
	}
}
