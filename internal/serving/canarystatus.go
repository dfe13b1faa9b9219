package serving

import "time"

// What a gateway makes of a model's canary: a label of leanloop_canary_status, and the field canary of /routes.
const (
	canaryNone       = "none"       // there is no challenger
	canaryLive       = "live"       // the challenger answers its share of the requests
	canaryMirrored   = "mirrored"   // its share is 0: it gets copies at most
	canaryExpired    = "expired"    // its lease is over: the champion answers everything
	canaryStale      = "stale"      // the ledger wasn't read for too long, with the same effect
	canaryUnloaded   = "unloaded"   // it can't be loaded
	canaryOverridden = "overridden" // a break-glass rollback keeps it out
)

// canaryStates are all of them, in the order in which they are told.
func canaryStates() []string {
	return []string{canaryNone, canaryLive, canaryMirrored, canaryExpired, canaryStale, canaryUnloaded, canaryOverridden}
}

// canary is the state of a route's challenger. A nil route has none.
func (r *route) canary(now time.Time) string {
	switch {
	case r == nil || r.of.challenger == 0 && r.challenger == nil:
		return canaryNone
	case r.override != nil:
		return canaryOverridden
	case r.challenger == nil:
		return canaryUnloaded
	case !r.fresh.within(now):
		return canaryStale
	case !r.leased(now):
		return canaryExpired
	case r.weight == 0:
		return canaryMirrored
	}
	return canaryLive
}

// maxVersions bounds the versions of a model that leanloop_predictions_total has series of: those served last.
const maxVersions = 8

// remember keeps a model's newest versions among the metrics, and forgets the series of the others.
func (m *metrics) remember(model, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := []string{version}
	for _, old := range m.versions[model] {
		switch {
		case old == version:
		case len(kept) < maxVersions:
			kept = append(kept, old)
		default:
			m.predictions.DeletePartialMatch(map[string]string{"model": model, "version": old})
		}
	}
	m.versions[model] = kept
}
