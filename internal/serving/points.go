package serving

import (
	"context"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/timeseries"
)

// pointQueue sends points to the time series store, again with the same times until they are taken. It holds a
// bounded number; the oldest are dropped and counted.
type pointQueue struct {
	writer timeseries.Writer // nil: points are thrown away, and not counted
	limit  int

	sending sync.Mutex // one call at a time

	mu      sync.Mutex
	waiting []timeseries.Point
	lost    int64
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

// left is how many points wait.
func (q *pointQueue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// longestPause bounds how long a store may ask to be left alone.
const longestPause = 5 * time.Minute

// run takes points at each interval and sends them, until ctx ends. A store that asked for a pause gets it; points are
// taken all the same, since each stands for its own interval.
func (q *pointQueue) run(ctx context.Context, every time.Duration, take func() []timeseries.Point, troubles *troubles) {
	pause := time.Duration(0)
	for sleep(ctx, every) {
		q.add(take())
		if pause -= every; pause > 0 {
			continue
		}
		err := q.send(ctx)
		if err != nil && ctx.Err() != nil {
			return
		}
		troubles.note("metrics", err)
		pause = min(timeseries.RetryAfter(err), longestPause)
	}
}
