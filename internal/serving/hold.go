package serving

import "sync/atomic"

// holds counts who may still ask a version: the follower while it serves it, an override, each request and copy that
// its route was chosen for, and each question that nobody waits for any more. The last to let go closes the model, so
// that an old version ends when it is used no more, and not before. A model that has nothing to close isn't counted:
// requests for it share no counter.
type holds struct{ count atomic.Int64 }

// hold is taken before a version is asked; false: it was closed, and a newer route has taken its place.
func (v *version) hold() bool {
	if v == nil || !v.model.Closes() {
		return true
	}
	for {
		n := v.holds.count.Load()
		if n == 0 {
			return false
		}
		if v.holds.count.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// letGo ends one hold.
func (v *version) letGo(t *troubles) {
	if v == nil || !v.model.Closes() || v.holds.count.Add(-1) > 0 {
		return
	}
	if err := v.model.Close(); err != nil {
		t.noteRequest("closing a version", err)
	}
}

// versions are those of a route's arms.
func (r *route) versions() []*version {
	var out []*version
	for _, a := range []*arm{r.champion, r.challenger} {
		if a != nil {
			out = append(out, a.version)
		}
	}
	return out
}

// hold holds all versions of a route, or none.
func (r *route) hold(t *troubles) bool {
	if r.champion != nil && !r.champion.hold() {
		return false
	}
	if r.challenger != nil && !r.challenger.hold() {
		if r.champion != nil {
			r.champion.letGo(t)
		}
		return false
	}
	return true
}

func (r *route) letGo(t *troubles) {
	if r.champion != nil {
		r.champion.letGo(t)
	}
	if r.challenger != nil {
		r.challenger.letGo(t)
	}
}

// routeFor gives a model's present route, with its versions held: the caller lets go of it. nil: no such model.
func (s *Server) routeFor(model string) (*route, map[string]*route) {
	for {
		routes := s.table.Load().routes
		r := routes[model]
		if r == nil || r.hold(s.troubles) {
			return r, routes
		}
		// It was swapped between the two lines above, and its last user has left: the table has its successor.
	}
}

// retain holds what is served and what may be again, and lets go of what was and won't. The caller holds the server's
// swapping lock.
func (f *follower) retain() {
	want := map[*version]bool{}
	for _, r := range []*route{f.asked.Load(), f.server.route(f.model)} {
		if r != nil {
			for _, v := range r.versions() {
				want[v] = true
			}
		}
	}
	if o := f.override.Load(); o != nil && o.version != nil {
		want[o.version] = true
	}
	for v := range want {
		if !f.held[v] {
			v.hold() // it can't be closed: whoever brought it holds it too
		}
	}
	for v := range f.held {
		if !want[v] {
			v.letGo(f.server.troubles)
		}
	}
	f.held = want
}

// leave serves nothing any more, and lets go of all versions.
func (s *Server) leave() {
	s.swapping.Lock()
	defer s.swapping.Unlock()
	s.table.Store(&table{})
	for _, f := range s.all() {
		for v := range f.held {
			v.letGo(s.troubles)
		}
		f.held = nil
	}
}
