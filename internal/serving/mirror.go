package serving

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds of the copies that wait for the challenger. Beyond them a copy is dropped, and counted.
const (
	maxCopies    = 256     // requests
	maxCopyBytes = 8 << 20 // of their encoded rows
)

// mirror has the challenger answer copies of the champion's requests, after their answers were sent. Nobody waits for
// it: one goroutine asks, with the challenger's time limit and breaker, and what it answers is counted and thrown away.
type mirror struct {
	copies chan *copied
	room   int64        // bytes at most
	bytes  atomic.Int64 // of those that wait or are asked
}

// copied is a request as the challenger reads it.
type copied struct {
	route *route
	room  int64 // bytes that it was given
	x     []float64
	rows  int   // in x
	bad   int   // that the challenger can't read
	err   error // of the first of these
}

func newMirror() *mirror { return &mirror{copies: make(chan *copied, maxCopies), room: maxCopyBytes} }

// enter makes room for a copy; leave gives it back.
func (m *mirror) enter(room int64) bool {
	if m.bytes.Add(room) > m.room {
		m.bytes.Add(-room)
		return false
	}
	return true
}

func (m *mirror) leave(room int64) { m.bytes.Add(-room) }

// mirrored says whether this request is copied: while a canary's lease runs, by the share that the spec asks for.
func (s *Server) mirrored(w *work, r *route, now time.Time) bool {
	share := r.settings.mirror
	return share > 0 && !w.pinned && r.leased(now) && (share >= 1 || s.ports.Random() < share)
}

// mirror copies the rows that the champion was given; those that fell back to it have met the challenger already.
func (s *Server) mirror(answered http.ResponseWriter, w *work, r *route, now time.Time) {
	if !s.mirrored(w, r, now) {
		return
	}
	_ = http.NewResponseController(answered).Flush() // a small answer waits in a buffer for the handler's end
	own := 0
	for i := range w.rows {
		if w.champions(r, i) {
			own++
		}
	}
	if own == 0 {
		return
	}
	c := &copied{route: r, room: int64(8 * own * len(r.challenger.inputs))}
	if !s.mirrors.enter(c.room) {
		s.metrics.mirrored(r.model, mirrorDropped, own)
		return
	}
	c.encode(w, own)
	r.challenger.hold() // the request does, so it can't fail
	select {
	case s.mirrors.copies <- c:
	default:
		s.forget(c)
		s.metrics.mirrored(r.model, mirrorDropped, own)
	}
}

// champions says whether a row was the champion's from the beginning.
func (w *work) champions(r *route, row int) bool {
	return w.results[row].arm == r.champion && !w.results[row].fallback
}

// encode copies the champion's rows. The request's buffers are another's after it.
func (c *copied) encode(w *work, own int) {
	places, width := len(c.route.order), len(c.route.challenger.inputs)
	c.x = make([]float64, width*own)
	for i := range w.rows {
		if !w.champions(c.route, i) {
			continue
		}
		if err := c.route.challenger.encode(w.row(i, places), c.x[c.rows*width:(c.rows+1)*width]); err != nil {
			if c.bad++; c.err == nil {
				c.err = err
			}
			continue
		}
		c.rows++
	}
	c.x = c.x[:c.rows*width]
}

// forget gives back what a copy holds.
func (s *Server) forget(c *copied) {
	s.mirrors.leave(c.room)
	c.route.challenger.letGo(s.troubles)
}

// forgetAll drops the copies that wait.
func (s *Server) forgetAll() {
	for {
		select {
		case c := <-s.mirrors.copies:
			s.forget(c)
		default:
			return
		}
	}
}

// runMirror asks the challenger until ctx ends. Copies that wait then are dropped: they are nobody's.
func (s *Server) runMirror(ctx context.Context) {
	var w work
	for {
		select {
		case <-ctx.Done():
			s.forgetAll()
			return
		case c := <-s.mirrors.copies:
			s.askCopy(ctx, &w, c)
		}
	}
}

// drainMirror asks for the copies that wait now.
func (s *Server) drainMirror(ctx context.Context) {
	var w work
	for range len(s.mirrors.copies) {
		select {
		case c := <-s.mirrors.copies:
			s.askCopy(ctx, &w, c)
		default:
			return
		}
	}
}

// askCopy counts for the challenger what users would have got.
func (s *Server) askCopy(ctx context.Context, w *work, c *copied) {
	defer s.forget(c)
	start := s.ports.Clock()
	r := c.route
	if now := s.route(r.model); now == nil || now.challenger == nil || now.challenger.version != r.challenger.version || !now.leased(start) {
		s.metrics.mirrored(r.model, mirrorDropped, c.rows+c.bad) // its canary is over
		return
	}
	asked := armOutcome{rows: c.rows + c.bad, failed: c.bad, err: c.err, predicted: noPrediction}
	if c.rows > 0 {
		err := errOpen
		if breaker := &r.challenger.breaker; breaker.allow(start) {
			w.x = append(w.x[:0], c.x...)
			err = s.askWithin(ctx, w, r, c.rows)
			breaker.note(s.ports.Clock(), err == nil)
		}
		if err != nil {
			asked.failed, asked.err = asked.rows, err
		} else {
			asked.predicted = r.challenger.bucket(w.out[0][:r.challenger.model.Scorer.Outputs()])
		}
	}
	asked.latency = s.ports.Clock().Sub(start)
	r.challenger.observe(asked.rows, asked.failed, false, asked.latency, asked.predicted)
	s.metrics.mirrored(r.model, mirrorAnswered, asked.rows-asked.failed)
	s.metrics.mirrored(r.model, mirrorFailed, asked.failed)
	if asked.failed > 0 {
		s.troubles.noteRequest("challenger of "+r.model, withoutValues(asked.err))
	}
}
