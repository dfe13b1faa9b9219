package serving

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// AdminHandler answers operators, on a listener of its own:
//
//	GET /metrics   Prometheus
//	GET /healthz   200 as long as the process answers; {"status": "ok" | "degraded", "problems": [...]}
//	GET /readyz    200 when every known model was looked at, else 503 with the reason
//	GET /routes    the routing of each model
//
//	POST /admin/rollback/{model}   break-glass: a RollbackOrder, with the admin token; 200 a RollbackAnswer, 202 where
//	                               this gateway alone serves so until the store is back
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, why := s.ready(); !ok {
			s.sendValue(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reason": why})
			return
		}
		s.sendValue(w, http.StatusOK, map[string]any{"ready": true})
	})
	mux.HandleFunc("GET /routes", func(w http.ResponseWriter, _ *http.Request) {
		s.sendValue(w, http.StatusOK, map[string]any{"gateway": s.cfg.ID, "models": s.statuses()})
	})
	mux.HandleFunc("POST /admin/rollback/{model}", s.rollback)
	return mux
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	status, problems := "ok", []string{}
	for _, r := range s.statuses() {
		for _, p := range r.Problems {
			problems = append(problems, r.Model+": "+p)
		}
	}
	problems = append(problems, s.troubles.current()...)
	if len(problems) > 0 {
		status = "degraded"
	}
	s.sendValue(w, http.StatusOK, map[string]any{"status": status, "gateway": s.cfg.ID, "problems": problems})
}

// RouteStatus is how one model is routed now.
type RouteStatus struct {
	Model           string     `json:"model"`
	Seq             int64      `json:"seq"`      // ledger entry that is served completely
	HeadSeq         int64      `json:"head_seq"` // newest entry read
	Epoch           int64      `json:"epoch"`
	Champion        *ArmStatus `json:"champion"`
	Challenger      *ArmStatus `json:"challenger"`
	Weight          float64    `json:"weight"`           // by the ledger
	EffectiveWeight float64    `json:"effective_weight"` // now: 0 past the lease or without a recent ledger read
	Canary          string     `json:"canary"`           // none | live | mirrored | expired | stale | unloaded | overridden
	LeaseUntil      *time.Time `json:"lease_until,omitempty"`
	LedgerAge       *float64   `json:"ledger_age_seconds"` // since the last successful read; null: none yet
	StickyBy        string     `json:"sticky_by,omitempty"`
	Mirror          float64    `json:"mirror,omitempty"`
	LogSample       float64    `json:"log_sample"`
	Problems        []string   `json:"problems,omitempty"`

	Override *OverrideStatus `json:"override,omitempty"` // a break-glass rollback that wins over the ledger
}

// ArmStatus is one loaded version.
type ArmStatus struct {
	Version  int    `json:"version"`
	Artifact string `json:"artifact"`
	Format   string `json:"format"`
}

// statuses are those of all followed models, by name.
func (s *Server) statuses() []RouteStatus {
	now := s.ports.Clock()
	out := []RouteStatus{}
	for _, f := range s.all() {
		st := RouteStatus{Model: f.model, Canary: s.route(f.model).canary(now)}
		st.Problems, st.HeadSeq = f.troubles.current(), f.seen.Load()
		if age, ok := f.fresh.age(now); ok {
			seconds := age.Seconds()
			st.LedgerAge = &seconds
		}
		if r := s.route(f.model); r != nil {
			st.Seq, st.Epoch, st.Weight = r.seq, r.epoch, r.weight
			st.Champion, st.Challenger = r.champion.status(), r.challenger.status()
			st.Override = r.override.status()
			st.StickyBy, st.LogSample, st.Mirror = r.settings.stickyBy, r.settings.sample, r.settings.mirror
			if r.challenger != nil {
				until := r.leaseUntil
				st.LeaseUntil = &until
			}
			if r.challenged(now) {
				st.EffectiveWeight = r.weight
			}
		}
		out = append(out, st)
	}
	return out
}

func (a *arm) status() *ArmStatus {
	if a == nil {
		return nil
	}
	return &ArmStatus{Version: a.number, Artifact: a.artifact, Format: a.model.Signature.Format}
}
