package serving_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// rewriteHead changes the text of the newest entry.
func (w *world) rewriteHead(changes ...string) {
	w.t.Helper()
	ctx := context.Background()
	head, err := w.ledger.Head(ctx)
	require.NoError(w.t, err)
	key := fmt.Sprintf("models/%s/ledger/%012d.json", modelName, head.Seq)
	raw, _, err := objectstore.ReadAll(ctx, w.store, key, 1<<20)
	require.NoError(w.t, err)
	changed := strings.NewReplacer(changes...).Replace(string(raw))
	require.NotEqual(w.t, string(raw), changed)
	_, err = w.store.Put(ctx, key, strings.NewReader(changed), int64(len(changed)))
	require.NoError(w.t, err)
}

func TestRollbackByANewerReleaseIsFollowed(t *testing.T) {
	w := withCanary(t, 1)
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	w.rollback()
	w.rewriteHead(`"format":1`, `"format":2`, `"kind":"rolled_back"`, `"kind":"withdrawn"`, `"status":"rolled_back"`, `"status":"withdrawn","since":"now"`)
	w.sync()
	require.EqualValues(t, 1, w.predict(goodRow).body["version"])
	require.Equal(t, "ok", w.admin("/healthz").body["status"])
}

func TestOneUnreadableLedgerDoesNotKeepTheOthersFromBeingServed(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	spoilt := "models/spoilt/ledger/000000000001.json"
	_, err := w.store.Put(context.Background(), spoilt, strings.NewReader("{"), 1)
	require.NoError(t, err)
	require.ErrorContains(t, w.server.Sync(context.Background()), spoilt)
	require.Equal(t, http.StatusOK, w.admin("/readyz").status)
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	require.Contains(t, w.admin("/healthz").raw, "spoilt: ledger: ")
}

func TestVersionIsServedThoughTheDiskTakesNothing(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	objects := filepath.Join(w.dir, "objects")
	require.NoError(t, os.RemoveAll(objects))
	require.NoError(t, os.WriteFile(objects, nil, 0o600)) // where a folder can't be made nothing can be kept
	w.canary(w.register(flights(1)), 0, time.Minute)
	w.promote(2)
	require.NoError(t, w.server.Sync(context.Background()))
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	require.Contains(t, w.admin("/healthz").raw, "state folder: write ")
}

// A client that sends what the challenger needs must not be refused for it afterwards.
func TestFeaturesOfAVersionServedBeforeAreStillTakenAfterItsRollback(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	const windy = `{"dep_delay": 20, "carrier": "UA", "wind": 3}`
	require.Equal(t, "unknown_feature", w.predict(windy).body["code"], "nothing ever read it")
	w.canary(w.register(flights(1).with("wind")), 1, time.Hour)
	w.sync()
	require.EqualValues(t, 2, w.predict(windy).body["version"])
	w.rollback()
	w.sync()
	for _, when := range []string{"after the rollback", "after a restart"} {
		a := w.predict(windy)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", when, a.raw)
		require.EqualValues(t, 1, a.body["version"])
		inferred := w.infer(`{"inputs": [{"name": "dep_delay", "shape": [1], "datatype": "FP64", "data": [20]},
			{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA"]}, {"name": "wind", "shape": [1], "datatype": "FP64", "data": [3]}]}`)
		require.Equal(t, http.StatusOK, inferred.status, "%s: %s", when, inferred.raw)
		require.Equal(t, "unknown_feature", w.predict(`{"dep_delay": 20, "carrier": "UA", "wnd": 3}`).body["code"], "a typing error is still one")
		w.start()
		w.sync()
	}
}

// By the gateway's clock, ten minutes behind the one that wrote it, the lease lasts ten minutes longer than it is long.
func TestSlowClockDoesNotProlongALease(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	v := w.register(flights(1))
	behind := 10 * time.Minute
	w.clock.advance(behind)
	w.canary(v, 1, 30*time.Second)
	w.clock.advance(-behind)
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	w.clock.advance(30*time.Second - 1)
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	w.clock.advance(1)
	w.sync()
	require.EqualValues(t, 1, w.predict(goodRow).body["version"])
}

func TestFollowingCostsOneRequestWhileNothingMoves(t *testing.T) {
	w := withCanary(t, 1)
	w.sync()
	asked := map[string]int{}
	w.fail(func(op, key string) bool {
		if op != "create" && op != "put" {
			asked[op]++
		}
		return false
	})
	w.sync()
	require.Equal(t, map[string]int{"get": 1, "folders": 1}, asked, "behind the head; and for new models")
	w.clock.advance(15 * time.Second)
	w.sync()
	require.Equal(t, map[string]int{"get": 1 + 2, "folders": 2}, asked, "now and then, whether the head still stands")
}

func TestGatewayOfNamedModelsSaysSoInItsHeartbeat(t *testing.T) {
	w := newWorld(t, func(c *serving.Config) { c.Models = []string{"other"} })
	w.promote(w.register(flights(0)))
	w.sync()
	beats, err := registry.Heartbeats(context.Background(), w.store)
	require.NoError(t, err)
	ok, missing := registry.Confirmed(beats, modelName, 3, w.clock.Now())
	require.True(t, ok, "nobody serves that model: %v miss it", missing)
	ok, _ = registry.Confirmed(beats, "other", 3, w.clock.Now())
	require.False(t, ok)
}

// stuck is a time series store that takes calls and never answers.
type stuck struct{}

func (stuck) Write(ctx context.Context, _ []timeseries.Point) error {
	<-ctx.Done()
	return &timeseries.Error{Op: "write", Err: ctx.Err()}
}

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// restartWith makes another gateway in the place of the world's, with a log.
func (w *world) restartWith(series timeseries.Writer, change func(*serving.Config)) *lines {
	w.t.Helper()
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir = "gw-1", w.dir
	change(&cfg)
	log := &lines{}
	server, err := serving.New(cfg, serving.Ports{Store: w.store, Series: series, Clock: w.clock.Now,
		Random: func() float64 { return w.point }, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(w.t, err)
	w.server = server
	return log
}

func TestMetricsStoreThatHangsCostsNoPredictionsAtShutdown(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{log: {sample: 1.0}}")
	w.promote(w.register(flights(0)))
	log := w.restartWith(stuck{}, func(c *serving.Config) {
		c.FlushMetrics, c.LogAge, c.LogAgeCanary = time.Hour, time.Hour, time.Hour
		c.FlushTimeout = 200 * time.Millisecond
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	require.Eventually(t, func() bool { return w.predict(goodRow).status == http.StatusOK && len(w.liveHeartbeats()) == 1 },
		5*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.NotEmpty(t, w.logged())
	require.Empty(t, w.liveHeartbeats(), "it said that it leaves")
	require.Equal(t, 1, log.count(`what=metrics lost=1`))
}

func TestChallengerThatFailsEachRequestIsToldOnceAndWithoutItsValues(t *testing.T) {
	m := flights(1)
	m.features[1].Kind, m.features[1].Categories, m.features[1].CategoryWeights, m.features[1].Weights = "number", nil, nil, []float64{1}
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(m), 1, time.Hour)
	log := w.restartWith(nil, func(*serving.Config) {})
	w.sync()
	for i := range 50 {
		row := fmt.Sprintf(`{"dep_delay": 20, "carrier": "secret-%d"}`, i)
		require.Equal(t, true, w.predict(row).body["fallback"])
	}
	require.Equal(t, 1, log.count("challenger of flight-delay"))
	require.Zero(t, log.count("secret"))
	require.Contains(t, w.admin("/healthz").raw, "challenger of flight-delay")
	w.clock.advance(time.Minute)
	require.Equal(t, "ok", w.admin("/healthz").body["status"], "not met for a minute")
}

// Who asks a gateway that has just started is told to come back, not that there is no such model.
func TestAModelThatIsntKnownYetIsNotUnknown(t *testing.T) {
	w := champion(t, flights(0))
	w.dir = t.TempDir() // another machine's
	w.start()
	a := w.predict(goodRow)
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.raw)
	require.Equal(t, "not_ready", a.body["code"])
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, w.request(http.MethodGet, "/v2/models/flight-delay", "").status)
	w.sync()
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	require.Equal(t, http.StatusNotFound, w.request(http.MethodPost, "/predict/nobody", `{"features":{}}`).status)
}

func TestARestartedGatewayAnswersItsFirstRequest(t *testing.T) {
	w := champion(t, flights(0))
	w.start()
	w.fail(func(string, string) bool { return true })
	front, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	back, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, front, back) }()
	res, err := http.Post("http://"+front.Addr().String()+"/predict/flight-delay", "application/json", strings.NewReader(`{"features":`+goodRow+`}`))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	stop()
	require.NoError(t, <-done)
}
