package serving_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// fastPace makes every loop turn quickly.
func fastPace(c *serving.Config) {
	for _, d := range []*time.Duration{&c.Discover, &c.Follow, &c.FollowCanary, &c.Heartbeat, &c.FlushMetrics, &c.LogAge, &c.LogAgeCanary} {
		*d = 5 * time.Millisecond
	}
}

func (w *world) liveHeartbeats() []registry.Heartbeat {
	w.t.Helper()
	beats, err := registry.Heartbeats(context.Background(), w.store)
	require.NoError(w.t, err)
	return registry.Live(beats, w.clock.Now())
}

// logged reads the prediction log: rows by object key, the header first.
func (w *world) logged() map[string][][]string {
	w.t.Helper()
	ctx := context.Background()
	out := map[string][][]string{}
	require.NoError(w.t, w.store.List(ctx, "predictions/", func(info objectstore.Info) error {
		data, _, err := objectstore.ReadAll(ctx, w.store, info.Key, 1<<30)
		if err != nil {
			return err
		}
		file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return err
		}
		require.Len(w.t, file.RowGroups(), 1)
		var header []string
		for _, column := range file.Schema().Fields() {
			header = append(header, column.Name())
		}
		out[info.Key] = [][]string{header}
		rows := make([]parquet.Row, file.NumRows())
		reader := parquet.NewReader(file)
		defer func() { _ = reader.Close() }()
		n, err := reader.ReadRows(rows)
		require.Equal(w.t, len(rows), n, err)
		for _, row := range rows {
			var cells []string
			for _, v := range row {
				cells = append(cells, v.String())
			}
			out[info.Key] = append(out[info.Key], cells)
		}
		return nil
	}))
	return out
}

func loggedWorld(t *testing.T, sample string, change ...func(*serving.Config)) *world {
	w := newWorld(t, change...)
	w.applySpec("{log: {sample: " + sample + "}}")
	w.promote(w.register(flights(0)))
	w.sync()
	return w
}

func TestPredictionLogHoldsWhatWasAskedAndAnswered(t *testing.T) {
	w := loggedWorld(t, "1.0")
	a := w.predict(`{"flight_key": "UA-1,\"x\"", "dep_delay": 20.50, "carrier": null}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	w.sync()
	parts := w.logged()
	require.Len(t, parts, 1)
	for key, rows := range parts {
		require.Regexp(t, regexp.MustCompile(`^predictions/flight-delay/dt=2026-03-01/hh=12/1-gw-1-20260301T120000\.0+-00000001\.parquet$`), key)
		require.Equal(t, [][]string{
			{"prediction_id", "time", "version", "arm", "row_id", "score", "label", "latency_us", "model", "dep_delay", "carrier"},
			{a.body["prediction_id"].(string), fmt.Sprint(w.clock.Now().UnixMilli()), "1", "champion", `UA-1,"x"`,
				rows[1][5], "late", "0", "flight-delay", "20.5", "<null>"},
		}, rows)
	}
}

func TestFeaturesNamedLikeLogColumnsGetAPrefix(t *testing.T) {
	m := flights(0)
	m.features[0].Name = "score"
	w := newWorld(t)
	w.applySpec("{log: {sample: 1.0}}")
	w.promote(w.register(m))
	w.sync()
	require.Equal(t, http.StatusOK, w.predict(`{"score": 1, "carrier": "AA"}`).status)
	w.sync()
	for _, rows := range w.logged() {
		require.Equal(t, []string{"feature.score", "carrier"}, rows[0][len(predictions.Columns())+1:])
	}
}

func TestPredictionLogIsSampledByTheSpec(t *testing.T) {
	w := loggedWorld(t, "0.25")
	for _, w.point = range []float64{0.1, 0.3, 0.2, 0.9} {
		w.predict(goodRow)
	}
	w.sync()
	for _, rows := range w.logged() {
		require.Len(t, rows, 1+2)
	}
	w = loggedWorld(t, "0")
	w.predict(goodRow)
	w.sync()
	require.Empty(t, w.logged())
}

func TestPredictionsWaitWhileTheStoreIsAwayAndAreStoredOnce(t *testing.T) {
	w := loggedWorld(t, "1.0")
	w.predict(goodRow)
	w.fail(everything)
	require.Error(t, w.server.Sync(context.Background()))
	w.predict(goodRow)
	w.clock.advance(time.Hour) // another hour is another part
	w.predict(goodRow)
	require.Error(t, w.server.Sync(context.Background()))
	w.fail(nil)
	w.sync()
	w.sync()
	rows := 0
	for _, part := range w.logged() {
		rows += len(part) - 1
	}
	require.Equal(t, 3, rows)
	require.Len(t, w.logged(), 3)
	require.Contains(t, w.admin("/metrics").raw, "leanloop_prediction_log_rows_total 3")
}

func TestPredictionsBeyondTheLogsMemoryAreDroppedAndCounted(t *testing.T) {
	w := loggedWorld(t, "1.0", func(c *serving.Config) { c.LogBuffer = 400 })
	w.fail(everything)
	for range 10 {
		require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	}
	w.fail(nil)
	w.sync()
	for _, rows := range w.logged() {
		kept := len(rows) - 1
		require.Positive(t, kept)
		require.Less(t, kept, 10)
		require.Regexp(t, `leanloop_prediction_log_dropped_total [1-9]`, w.admin("/metrics").raw)
	}
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	w.sync()
	require.Len(t, w.logged(), 2, "what was sent makes room")
}

func TestArmPointsKeepTheirTimesOverRetries(t *testing.T) {
	w := withCanary(t, 1)
	w.predict(goodRow)
	w.series.Fail(&timeseries.Error{Op: "write", Status: 503, Err: errors.New("busy")})
	end := w.clock.Now()
	require.Error(t, w.server.Sync(context.Background()))
	w.clock.advance(time.Minute)
	w.predict(goodRow)
	require.Error(t, w.server.Sync(context.Background()))
	w.series.Fail(nil)
	w.clock.advance(time.Minute)
	w.sync()
	points := w.series.Points()
	require.Len(t, points, 2)
	require.Equal(t, end, points[0].Time)
	require.Equal(t, end.Add(time.Minute), points[1].Time)
	require.Equal(t, map[string]string{"model": modelName, "version": "2", "arm": "challenger", "gateway": "gw-1"}, points[0].Tags)
	require.EqualValues(t, 1, timeseries.HistogramOf(points[0].Fields).Count())
	require.EqualValues(t, 1, points[0].Fields[timeseries.FieldPredictions])
}

func TestPointsBeyondTheBacklogAndRefusedOnesAreCounted(t *testing.T) {
	w := withCanary(t, 1, func(c *serving.Config) { c.MetricBacklog = 2 })
	w.series.Fail(&timeseries.Error{Op: "write", Status: 503, Err: errors.New("busy")})
	for range 5 {
		w.clock.advance(time.Second)
		w.predict(goodRow)
		require.Error(t, w.server.Sync(context.Background()))
	}
	require.Contains(t, w.admin("/metrics").raw, "leanloop_points_dropped_total 3")
	w.series.Fail(&timeseries.Error{Op: "write", Status: 400, Final: true, Err: errors.New("bad line")})
	require.Error(t, w.server.Sync(context.Background()))
	require.Contains(t, w.admin("/metrics").raw, "leanloop_points_dropped_total 5")
	w.series.Fail(nil)
	w.sync()
	require.Empty(t, w.series.Points())
}

func TestShutdownFinishesRequestsAndSendsTheRest(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{log: {sample: 1.0}}")
	w.promote(w.register(flights(0)))
	front, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	back, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, front, back) }()
	admin := "http://" + back.Addr().String()
	require.Eventually(t, func() bool {
		return serving.CheckHealth(context.Background(), admin) == nil && w.predict(goodRow).status == http.StatusOK
	}, 5*time.Second, 5*time.Millisecond)

	// A request whose body is still on its way when the end comes.
	conn, err := net.Dial("tcp", front.Addr().String())
	require.NoError(t, err)
	body := `{"features":` + goodRow + `}`
	_, err = conn.Write([]byte("POST /predict/flight-delay HTTP/1.1\r\nHost: gw\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body[:5]))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(w.admin("/metrics").raw, "leanloop_request_bytes_held "+strconv.Itoa(len(body)))
	}, 5*time.Second, 5*time.Millisecond)
	cancel()
	require.Eventually(t, func() bool { return w.admin("/readyz").status == http.StatusServiceUnavailable }, 5*time.Second, 5*time.Millisecond)
	_, err = conn.Write([]byte(body[5:]))
	require.NoError(t, err)
	got := make([]byte, 15)
	_, err = conn.Read(got)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 OK", string(got))
	require.NoError(t, conn.Close())
	require.NoError(t, <-done)

	rows := 0
	for _, part := range w.logged() {
		rows += len(part) - 1
	}
	require.GreaterOrEqual(t, rows, 2)
	require.GreaterOrEqual(t, w.sums(timeseries.FieldRequests)["champion/1"], 2.0)
	require.Empty(t, w.liveHeartbeats())
	require.Error(t, serving.CheckHealth(context.Background(), admin))
}

func TestOldArtifactsAreRemovedFromDisk(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	for i := range 8 {
		v := w.register(flights(float64(i + 1)))
		w.canary(v, 0, time.Hour)
		w.promote(v)
		w.sync()
	}
	kept, err := os.ReadDir(filepath.Join(w.dir, "objects", "models", modelName, "artifacts"))
	require.NoError(t, err)
	require.Len(t, kept, 5, "the champion's and the four newest others")
}

func TestConfigNamesWhatCannotWork(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(*serving.Config)
	}{
		{"gateway id", func(c *serving.Config) { c.ID = "a b" }},
		{"gateway id", func(c *serving.Config) { c.ID = "../x" }},
		{"state folder", func(c *serving.Config) { c.StateDir = "" }},
		{"follow: observed 0s", func(c *serving.Config) { c.Follow = 0 }},
		{"max-batch: observed -1", func(c *serving.Config) { c.MaxBatch = -1 }},
		{"heartbeat-expiry", func(c *serving.Config) { c.HeartbeatExpiry = c.Heartbeat }},
		{"max-memory", func(c *serving.Config) { c.MaxMemory = 1 }},
		{"model name", func(c *serving.Config) { c.Models = []string{"../x"} }},
	} {
		cfg := serving.DefaultConfig()
		cfg.ID, cfg.StateDir = "gw-1", t.TempDir()
		c.change(&cfg)
		_, err := serving.New(cfg, serving.Ports{Store: objectstore.NewMemory()})
		require.ErrorContains(t, err, c.says)
	}
	cfg := serving.DefaultConfig()
	cfg.ID, cfg.StateDir = "gw-1", t.TempDir()
	_, err := serving.New(cfg, serving.Ports{})
	require.ErrorContains(t, err, "no object store")
}

// A large part on a slow line takes longer than a look at a ledger may.
func TestAPartThatTakesItsTimeIsSent(t *testing.T) {
	slow := func(c *serving.Config) {
		fastPace(c)
		c.LogFlush, c.ReadTimeout = 5*time.Millisecond, 100*time.Millisecond
	}
	w := loggedWorld(t, "1.0", slow)
	id := w.ask()
	w.mu.Lock()
	w.hang = func(op, key string) bool {
		if op == "create" && strings.HasPrefix(key, "predictions/") {
			time.Sleep(150 * time.Millisecond) // the line
		}
		return false
	}
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	require.Eventually(t, func() bool { w.clock.advance(time.Second); return w.loggedIDs()[id] == 1 }, 5*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}
