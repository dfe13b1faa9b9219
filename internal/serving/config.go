package serving

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// Config is everything about a gateway that is not one of its Ports. DefaultConfig gives working values for all but
// ID and StateDir.
type Config struct {
	ID           string   // stable over restarts, unique among gateways; letters, digits, '.', '_' and '-'
	Address      string   // where applications reach this gateway; told in its heartbeat
	AdminAddress string   // where operators reach its admin listener; told in its heartbeat
	AdminToken   *Token   // who shows it may roll back; nil: nobody may
	StateDir     string   // folder of its own: last routing state and verified artifacts
	Models       []string // empty: every model that has a ledger

	Discover     time.Duration // between looks for new models
	Follow       time.Duration // between looks at a ledger
	FollowCanary time.Duration // the same while a challenger has weight
	StaleAfter   time.Duration // without a successful ledger read for this long, the champion serves alone
	ReadTimeout  time.Duration // of one look at a ledger
	LoadTimeout  time.Duration // of fetching and loading one version

	ChallengerTimeout time.Duration // for its part of a request, and up to 1 ms for each row (budget); then the champion answers
	ChampionTimeout   time.Duration // the same where another process or server scores the champion; then the request fails

	Heartbeat       time.Duration // between heartbeats
	HeartbeatExpiry time.Duration // a heartbeat counts for this long

	FlushMetrics  time.Duration // between points to the time series store
	MetricBacklog int           // points kept while it is away; the oldest go first

	LogFlush     time.Duration // between writes of logged predictions to the state folder: what kill -9 may lose
	LogAge       time.Duration // a part of the prediction log is at most this old when it is sent
	LogAgeCanary time.Duration // the same while a challenger has weight
	LogPart      int           // bytes, uncompressed: a part this large is sent at once
	LogBuffer    int           // bytes of rows in memory: predictions beyond it are not logged, and counted
	LogDisk      int64         // bytes of rows in the state folder: the same

	MaxBody      int64         // bytes of one request; more: 413
	MaxBatch     int           // rows of one request; more: 413
	MaxInFlight  int           // requests at once; more: 429
	MaxMemory    int64         // bytes of all request bodies at once; more: 429
	ReadHeader   time.Duration // a client has this long to send its headers
	ReadRequest  time.Duration // and this long for the whole request
	WriteAnswer  time.Duration // and an answer must be read within this
	Idle         time.Duration // a connection without a request is kept this long
	BreakGlass   time.Duration // the ledger has this long to take a break-glass rollback; then the gateway does it alone
	DrainTimeout time.Duration // requests in flight get this long at shutdown
	FlushTimeout time.Duration // metrics and prediction log get this long after that
}

// DefaultConfig is a gateway's configuration but for ID and StateDir.
func DefaultConfig() Config {
	return Config{
		Discover: 2 * time.Second, Follow: 2 * time.Second, FollowCanary: time.Second,
		StaleAfter: time.Minute, ReadTimeout: 10 * time.Second, LoadTimeout: 2 * time.Minute,
		ChallengerTimeout: 100 * time.Millisecond, ChampionTimeout: time.Second,
		Heartbeat: registry.HeartbeatEvery, HeartbeatExpiry: registry.HeartbeatTTL,
		FlushMetrics: time.Second, MetricBacklog: 10_000,
		LogFlush: 500 * time.Millisecond, LogAge: 15 * time.Second, LogAgeCanary: 5 * time.Second,
		LogPart: 8 << 20, LogBuffer: 64 << 20, LogDisk: 1 << 30,
		MaxBody: 4 << 20, MaxBatch: 10_000, MaxInFlight: 1024, MaxMemory: 256 << 20,
		ReadHeader: 5 * time.Second, ReadRequest: 30 * time.Second, WriteAnswer: 30 * time.Second,
		Idle: 2 * time.Minute, BreakGlass: 3 * time.Second, DrainTimeout: 10 * time.Second, FlushTimeout: 10 * time.Second,
	}
}

// Validate names the first setting that can't work.
func (c Config) Validate() error {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`).MatchString(c.ID) {
		return fmt.Errorf("gateway id %q: want 1 to 63 letters, digits, '.', '_' and '-', starting with a letter or digit", c.ID)
	}
	if c.StateDir == "" {
		return errors.New("gateway: no state folder given")
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"discover", c.Discover}, {"follow", c.Follow}, {"follow-canary", c.FollowCanary},
		{"stale-after", c.StaleAfter}, {"read-timeout", c.ReadTimeout}, {"load-timeout", c.LoadTimeout},
		{"challenger-timeout", c.ChallengerTimeout}, {"champion-timeout", c.ChampionTimeout}, {"heartbeat", c.Heartbeat}, {"heartbeat-expiry", c.HeartbeatExpiry}, {"flush-metrics", c.FlushMetrics},
		{"log-flush", c.LogFlush}, {"log-age", c.LogAge}, {"log-age-canary", c.LogAgeCanary}, {"read-header", c.ReadHeader},
		{"read-request", c.ReadRequest}, {"write-answer", c.WriteAnswer}, {"idle", c.Idle},
		{"break-glass", c.BreakGlass}, {"drain-timeout", c.DrainTimeout}, {"flush-timeout", c.FlushTimeout},
	} {
		if d.value <= 0 {
			return fmt.Errorf("gateway: %s: observed %v, want more than 0", d.name, d.value)
		}
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"metric-backlog", int64(c.MetricBacklog)}, {"log-part", int64(c.LogPart)}, {"log-buffer", int64(c.LogBuffer)}, {"log-disk", c.LogDisk},
		{"max-body", c.MaxBody}, {"max-batch", int64(c.MaxBatch)}, {"max-in-flight", int64(c.MaxInFlight)},
	} {
		if n.value <= 0 {
			return fmt.Errorf("gateway: %s: observed %d, want more than 0", n.name, n.value)
		}
	}
	if c.HeartbeatExpiry <= c.Heartbeat {
		return fmt.Errorf("gateway: heartbeat-expiry %v must be longer than heartbeat %v", c.HeartbeatExpiry, c.Heartbeat)
	}
	if c.MaxMemory < c.MaxBody {
		return fmt.Errorf("gateway: max-memory %d must not be less than max-body %d", c.MaxMemory, c.MaxBody)
	}
	return nil
}

// Ports are what a gateway talks to.
type Ports struct {
	Store  objectstore.Store // ledgers, artifacts, heartbeats, prediction log
	Series timeseries.Writer // nil: counters are kept for Prometheus only
	Loader *inference.Loader // of versions; nil: of the formats that are scored in Go
	Log    *slog.Logger      // nil: nothing is logged
	Clock  func() time.Time  // nil: time.Now
	Random func() float64    // uniform in [0, 1), safe for concurrent use; nil: math/rand/v2
}

func (p Ports) withDefaults() Ports {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.Random == nil {
		p.Random = rand.Float64
	}
	return p
}
