package serving

import (
	"context"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
)

// heartbeat tells the object store what this gateway serves, for as long as ttl; 0 says that it is leaving.
func (s *Server) heartbeat(ctx context.Context, ttl time.Duration) error {
	s.beating.Lock() // an older one must not overtake a newer one
	defer s.beating.Unlock()
	now := s.ports.Clock().UTC()
	h := registry.Heartbeat{
		ID: s.cfg.ID, Address: s.cfg.Address, Admin: s.cfg.AdminAddress, Time: now, ExpiresAt: now.Add(ttl), Only: s.cfg.Models,
		Models: map[string]registry.Serve{},
	}
	problems := map[string]string{}
	for _, f := range s.all() {
		problems[f.model] = f.troubles.of("champion", "challenger", "spec")
	}
	for model, r := range s.table.Load().routes {
		served := registry.Serve{Seq: r.seq, Epoch: r.epoch, Override: r.override != nil, Problem: problems[model]}
		if r.champion != nil {
			served.Champion = r.champion.number
		}
		if r.challenger != nil {
			served.Challenger = r.challenger.number
			served.Weight = r.weight
		}
		h.Models[model] = served
	}
	// One that hangs leaves time for another before the last one expires: who is alive mustn't be taken for gone.
	putting, cancel := context.WithTimeout(ctx, min(s.cfg.ReadTimeout, (s.cfg.HeartbeatExpiry-s.cfg.Heartbeat)/2))
	defer cancel()
	err := registry.PutHeartbeat(putting, s.ports.Store, h)
	if err != nil && ctx.Err() == nil {
		s.metrics.heartbeatFailures.Inc()
		s.troubles.note("heartbeat", err)
	} else if err == nil {
		s.troubles.note("heartbeat", nil)
	}
	return err
}

func (s *Server) wakeHeartbeat() {
	select {
	case s.beat <- struct{}{}:
	default: // one is due already
	}
}

// runHeartbeat writes one at each applied change and at the configured pace, until ctx ends.
func (s *Server) runHeartbeat(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		_ = s.heartbeat(ctx, s.cfg.HeartbeatExpiry) // noted
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.beat:
		}
	}
}
