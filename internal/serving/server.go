package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// Server is one gateway. Handler and AdminHandler answer from the moment it is made; Run makes it follow ledgers.
type Server struct {
	cfg     Config
	ports   Ports
	started time.Time
	disk    *disk
	ids     *predictionIDs

	table    atomic.Pointer[table] // read by every request
	swapping sync.Mutex            // by those that make a new table

	followers  map[string]*follower
	following  sync.Mutex
	discovered atomic.Bool // the models are known, from the store or by name
	draining   atomic.Bool

	gate     *gate
	mirrors  *mirror
	api      apiDocument
	counters *counterSet
	metrics  *metrics
	points   *pointQueue
	logged   *predictionLog
	beat     chan struct{} // wakes the heartbeat
	beating  sync.Mutex
	works    sync.Pool
	askings  sync.Pool
	troubles *troubles // of the gateway as a whole; each follower has its own
}

// New makes a gateway and its state folder. It makes no call to a store.
func New(cfg Config, ports Ports) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if ports.Store == nil {
		return nil, errors.New("gateway: no object store given")
	}
	for _, model := range cfg.Models {
		if err := registry.CheckName("model", model); err != nil {
			return nil, err
		}
	}
	d, err := openDisk(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	ports = ports.withDefaults()
	started := ports.Clock()
	troubles := newTroubles(ports.Log, ports.Clock)
	d.unkept = func(err error) { troubles.note("state folder", err) }
	s := &Server{
		cfg: cfg, ports: ports, started: started, disk: d, ids: newPredictionIDs(cfg.ID, started),
		followers: map[string]*follower{}, gate: newGate(cfg.MaxInFlight, cfg.MaxMemory), mirrors: newMirror(), counters: newCounterSet(),
		points: newPointQueue(ports.Series, cfg.MetricBacklog), beat: make(chan struct{}, 1),
		works: sync.Pool{New: func() any { return &work{} }}, askings: sync.Pool{New: newAsking}, troubles: troubles,
	}
	s.table.Store(&table{})
	s.metrics = newMetrics(s)
	s.logged = newPredictionLog(s)
	return s, nil
}

// Run follows ledgers, sends metrics, logs and heartbeats until ctx ends; then it sends what is left and returns. It
// returns nil: no trouble with a store ends a gateway.
func (s *Server) Run(ctx context.Context) error {
	s.restore(ctx)
	return s.run(ctx)
}

// run is Run behind restore.
func (s *Server) run(ctx context.Context) error {
	var tasks sync.WaitGroup
	followed := map[string]bool{}
	follow := func() {
		for _, f := range s.all() {
			if !followed[f.model] {
				followed[f.model] = true
				tasks.Go(func() { f.run(ctx) })
			}
		}
	}
	follow()
	tasks.Go(func() { s.runHeartbeat(ctx) })
	tasks.Go(func() { s.points.run(ctx, s.cfg.FlushMetrics, s.takePoints, s.troubles) })
	tasks.Go(func() { s.logged.keep(ctx) })
	tasks.Go(func() { s.logged.run(ctx) })
	tasks.Go(func() { s.runMirror(ctx) })
	for {
		s.discover(ctx)
		follow()
		if !sleep(ctx, s.cfg.Discover) {
			break
		}
	}
	tasks.Wait()
	s.flush()
	return nil
}

// Sync does once what Run does for ever: discovers models, reads each ledger, writes a heartbeat and sends metrics
// and log. The error joins all that went wrong; what could be served is.
func (s *Server) Sync(ctx context.Context) error {
	s.restore(ctx)
	err := s.discover(ctx)
	for _, f := range s.all() {
		err = errors.Join(err, f.step(ctx))
	}
	err = errors.Join(err, s.heartbeat(ctx, s.cfg.HeartbeatExpiry))
	s.drainMirror(ctx)
	s.points.add(s.takePoints())
	return errors.Join(err, s.points.send(ctx), s.logged.flush(ctx))
}

// restore begins with the models named by the configuration and those on disk.
func (s *Server) restore(ctx context.Context) {
	models := s.cfg.Models
	if len(models) == 0 {
		found, err := s.disk.models()
		if err != nil {
			s.troubles.note("state folder", err)
		}
		models = found
	}
	for _, model := range models {
		if f, added := s.follow(model); added {
			f.restore(ctx)
		}
	}
	if len(s.cfg.Models) > 0 {
		s.discovered.Store(true)
	}
}

// discover looks for models that have a ledger by now.
func (s *Server) discover(ctx context.Context) error {
	if len(s.cfg.Models) > 0 {
		return nil
	}
	listing, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout)
	defer cancel()
	models, err := registry.NewModels(listing, s.ports.Store, s.follows)
	if err != nil {
		if ctx.Err() == nil {
			s.troubles.note("discover models", err)
		}
		return fmt.Errorf("discover models: %w", err)
	}
	s.troubles.note("discover models", nil)
	for _, model := range models {
		if f, added := s.follow(model); added {
			f.restore(ctx)
		}
	}
	s.discovered.Store(true) // last: who knows no model yet isn't ready
	return nil
}

// follow gives a model's follower; added says that it is new.
func (s *Server) follow(model string) (f *follower, added bool) {
	s.following.Lock()
	defer s.following.Unlock()
	if f, ok := s.followers[model]; ok {
		return f, false
	}
	f = s.newFollower(model)
	s.followers[model] = f
	return f, true
}

func (s *Server) follows(model string) bool {
	s.following.Lock()
	defer s.following.Unlock()
	return s.followers[model] != nil
}

// all are the followers by model.
func (s *Server) all() []*follower {
	s.following.Lock()
	defer s.following.Unlock()
	var out []*follower
	for _, model := range slices.Sorted(maps.Keys(s.followers)) {
		out = append(out, s.followers[model])
	}
	return out
}

// route is a model's present route; nil: none.
func (s *Server) route(model string) *route { return s.table.Load().routes[model] }

// count gives a new route's arms their counters.
func (s *Server) count(r *route) {
	for _, a := range []*arm{r.champion, r.challenger} {
		if a != nil {
			a.counts = s.counters.of(armKey{r.model, a.number, a.name})
			a.metrics = s.metrics.of(r.model, a.number, a.name)
		}
	}
}

// ready says whether requests may come: of each known model either something is served, or its ledger was looked at. A
// model that can't be loaded doesn't keep the others from being served; GET /v2/models/{model}/ready tells of one.
func (s *Server) ready() (bool, string) {
	if s.draining.Load() {
		return false, "shutting down"
	}
	served := 0
	for _, f := range s.all() {
		r := s.route(f.model)
		if r == nil && !f.looked.Load() {
			return false, fmt.Sprintf("model %s: its ledger was not read yet", f.model)
		}
		if r != nil && r.champion != nil {
			served++
		}
	}
	if served == 0 && !s.discovered.Load() {
		return false, "the object store was not read yet"
	}
	return true, ""
}

func (s *Server) takePoints() []timeseries.Point {
	return s.counters.points(s.cfg.ID, s.ports.Clock())
}

// flush sends what is left when everything else has stopped: all at once, so that a store that hangs costs only what
// is its own.
func (s *Server) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.FlushTimeout)
	defer cancel()
	s.points.add(s.takePoints())
	var tasks sync.WaitGroup
	for _, task := range []struct {
		name string
		send func() error
		left func() int
	}{
		{"metrics", func() error { return s.points.send(ctx) }, s.points.left},
		{"prediction log", func() error { return s.logged.flush(ctx) }, s.logged.left},
		{"last heartbeat", func() error { return s.heartbeat(ctx, 0) }, func() int { return 1 }},
	} {
		tasks.Go(func() {
			if err := task.send(); err != nil {
				s.log().Warn("not everything was sent before the end", "what", task.name, "lost", task.left(), "error", err)
			}
		})
	}
	tasks.Wait()
	if err := s.logged.end(); err != nil {
		s.log().Warn("prediction log: state folder", "error", err)
	}
}

func (s *Server) log() *slog.Logger { return s.ports.Log }
