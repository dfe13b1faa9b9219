package serving

import (
	"net/http"
	"sync/atomic"
)

// gate bounds what is in flight, so that overload is answered before memory grows.
type gate struct {
	maxRequests, maxBytes int64
	requests, bytes       atomic.Int64
}

func newGate(requests int, bytes int64) *gate {
	return &gate{maxRequests: int64(requests), maxBytes: bytes}
}

// firstBytes is what a request may hold at first. More is taken as its body arrives: what a client says that it will
// send, and doesn't, takes nothing from others.
const firstBytes = 16 << 10

// admit takes in a request whose body begins to arrive. It counts by what it holds, and not among the requests at once
// before it is whole, so that slow clients keep no other waiting. The caller must leave.
func (g *gate) admit(w *work, total int64) *problem {
	if g.requests.Load() >= g.maxRequests {
		return overloaded("too many requests at once")
	}
	return g.hold(w, min(total, firstBytes))
}

// hold has a request hold so many bytes, if it held fewer.
func (g *gate) hold(w *work, bytes int64) *problem {
	more := bytes - w.held
	if more <= 0 {
		return nil
	}
	if g.bytes.Add(more) > g.maxBytes {
		g.bytes.Add(-more)
		return overloaded("too many bytes of requests at once")
	}
	w.held = bytes
	return nil
}

// enter counts a request whose body is there. Too many at once is a 429.
func (g *gate) enter(w *work) *problem {
	if g.requests.Add(1) > g.maxRequests {
		g.requests.Add(-1)
		return overloaded("too many requests at once")
	}
	w.entered = true
	return nil
}

// leave gives back what a request held.
func (g *gate) leave(w *work) {
	g.bytes.Add(-w.held)
	if w.entered {
		g.requests.Add(-1)
	}
	w.held, w.entered = 0, false
}

// bodySize is what a request's body may take: what it says, or the limit if it doesn't. More than the limit is a 413.
func bodySize(req *http.Request, limit int64) (int64, *problem) {
	switch {
	case req.ContentLength > limit:
		return 0, tooLarge("request body: %d bytes > limit %d", req.ContentLength, limit)
	case req.ContentLength < 0:
		return limit, nil
	}
	return req.ContentLength, nil
}
