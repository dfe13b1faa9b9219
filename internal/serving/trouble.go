package serving

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// quietFor bounds what is logged of one trouble: a text that differs each time (a request id, a port) is told once in
// so long. A trouble of requests that wasn't met for so long is over.
const quietFor = time.Minute

// troubles are what is wrong now, by what has it. Each is logged when it begins and when it ends, and in between
// seldom: neither an outage nor a version that fails at every request is a flood.
type troubles struct {
	log   *slog.Logger
	clock func() time.Time

	mu  sync.Mutex
	now map[string]*trouble
}

type trouble struct {
	text      string
	logged    time.Time // last
	met       time.Time // last
	unlogged  int       // times met since then
	ofRequest bool      // ends by itself
}

func newTroubles(log *slog.Logger, clock func() time.Time) *troubles {
	return &troubles{log: log, clock: clock, now: map[string]*trouble{}}
}

// note tells how something goes that is tried again and again; a nil error ends its trouble.
func (t *troubles) note(what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.meet(what, err.Error(), false)
	} else if t.now[what] != nil {
		delete(t.now, what)
		t.log.Info("recovered", "what", what)
	}
}

// noteRequest tells of a failure that a request met. The error's text must hold nothing of the request.
func (t *troubles) noteRequest(what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meet(what, err.Error(), true)
}

func (t *troubles) meet(what, text string, ofRequest bool) {
	now := t.clock()
	have, known := t.now[what]
	if !known {
		have = &trouble{ofRequest: ofRequest}
		t.now[what] = have
	}
	recent := known && now.Sub(have.logged) < quietFor
	silent := recent || known && !ofRequest && have.text == text
	have.text, have.met = text, now
	if silent {
		have.unlogged++
		return
	}
	t.log.Warn("failed", "what", what, "error", text, "unlogged", have.unlogged)
	have.logged, have.unlogged = now, 0
}

// current are the troubles that haven't ended.
func (t *troubles) current() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for what, have := range t.now {
		if have.ofRequest && t.clock().Sub(have.met) >= quietFor {
			delete(t.now, what)
			continue
		}
		out = append(out, fmt.Sprintf("%s: %s", what, have.text))
	}
	slices.Sort(out)
	return out
}

// maxProblem bounds what a heartbeat says of a model, in bytes.
const maxProblem = 500

// of tells the first of the named troubles that there is; "": none.
func (t *troubles) of(names ...string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if have := t.now[name]; have != nil {
			text := strings.ToValidUTF8(name+": "+have.text, "\uFFFD")
			if len(text) > maxProblem {
				text = strings.ToValidUTF8(text[:maxProblem], "") + "..."
			}
			return text
		}
	}
	return ""
}
