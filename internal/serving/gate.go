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

// enter admits a request of at most size bytes; the caller must leave with the same size. Too many at once is a 429.
func (g *gate) enter(size int64) *problem {
	if g.requests.Add(1) > g.maxRequests {
		g.requests.Add(-1)
		return overloaded("too many requests at once")
	}
	if g.bytes.Add(size) > g.maxBytes {
		g.leave(size)
		return overloaded("too many bytes of requests at once")
	}
	return nil
}

func (g *gate) leave(size int64) {
	g.bytes.Add(-size)
	g.requests.Add(-1)
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
