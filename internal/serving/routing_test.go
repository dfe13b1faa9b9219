package serving_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

func TestChampionAnswersWithItsVersionAndID(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	a := w.predict(goodRow)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, modelName, a.body["model"])
	require.EqualValues(t, 1, a.body["version"])
	require.Equal(t, "champion", a.body["arm"])
	require.Equal(t, "late", a.body["prediction"])
	require.InDelta(t, 1/(1+math.Exp(-1)), a.body["score"], 1e-12)
	require.Len(t, a.body["prediction_id"], 30)
	require.NotContains(t, a.body, "fallback")
	require.NotContains(t, a.body, "scores")
}

func TestPredictionIDsAreUniqueAndSortByTime(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	last := ""
	for range 20 {
		id := w.predict(goodRow).body["prediction_id"].(string)
		require.Greater(t, id, last)
		last = id
		w.clock.advance(time.Millisecond)
	}
	w.start() // the same gateway again, at the same place of the counter
	w.sync()
	require.NotEqual(t, last[13:21], w.predict(goodRow).body["prediction_id"].(string)[13:21])
}

func TestWeightSplitsAtRandomWithoutAStickyField(t *testing.T) {
	w := withCanary(t, 0.3)
	for _, c := range []struct {
		point float64
		arm   string
	}{{0, "challenger"}, {0.2999, "challenger"}, {0.3, "champion"}, {0.99, "champion"}} {
		w.point = c.point
		require.Equal(t, c.arm, w.predict(goodRow).body["arm"], "at %v", c.point)
	}
}

func TestSameKeyStaysOnItsArmAndWeightOnlyAddsKeys(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{sticky_by: flight_key}")
	w.promote(w.register(flights(0)))
	version := w.register(flights(1))
	arms := map[int]map[string]string{}
	for _, percent := range []int{10, 50} {
		w.canary(version, float64(percent)/100, 10*time.Minute)
		w.sync()
		arms[percent] = map[string]string{}
		for i := range 2000 {
			key := fmt.Sprintf("UA-%d", i)
			row := fmt.Sprintf(`{"flight_key": %q, "dep_delay": 20, "carrier": "UA"}`, key)
			w.point = float64(i%2) * 0.999 // must not matter
			arms[percent][key] = w.predict(row).body["arm"].(string)
			require.Equal(t, arms[percent][key], w.predict(row).body["arm"])
		}
	}
	count := map[int]int{}
	for percent, of := range arms {
		for key, arm := range of {
			if arm == "challenger" {
				count[percent]++
				require.Equal(t, "challenger", arms[50][key], "a key left the challenger as its weight rose")
			}
		}
	}
	require.InDelta(t, 200, count[10], 50)
	require.InDelta(t, 1000, count[50], 100)
}

func TestRequestWithoutItsStickyFieldIsSplitAtRandom(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{sticky_by: flight_key}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), 0.5, time.Minute)
	w.sync()
	w.point = 0.4
	require.Equal(t, "challenger", w.predict(goodRow).body["arm"])
	w.point = 0.6
	require.Equal(t, "champion", w.predict(goodRow).body["arm"])
}

func TestChallengerGetsNothingPastItsLease(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), 1, 30*time.Second)
	w.sync()
	require.Equal(t, "challenger", w.predict(goodRow).body["arm"])
	w.clock.advance(30*time.Second - 1)
	require.Equal(t, "challenger", w.predict(goodRow).body["arm"])
	w.clock.advance(1)
	require.Equal(t, "champion", w.predict(goodRow).body["arm"])
	require.Contains(t, w.admin("/metrics").raw, `leanloop_canary_weight{model="flight-delay"} 0`)
	w.canary(2, 1, 30*time.Second)
	w.sync()
	require.Equal(t, "challenger", w.predict(goodRow).body["arm"], "a renewed lease counts")
}

func TestChallengerGetsNothingAMinuteAfterTheLastLedgerRead(t *testing.T) {
	w := withCanary(t, 1)
	w.fail(everything)
	for range 4 {
		w.clock.advance(15 * time.Second)
		require.Error(t, w.server.Sync(context.Background()))
		require.Equal(t, "challenger", w.predict(goodRow).body["arm"])
	}
	w.clock.advance(1)
	require.Equal(t, "champion", w.predict(goodRow).body["arm"])
	w.fail(nil)
	w.sync()
	require.Equal(t, "challenger", w.predict(goodRow).body["arm"])
}

func TestRouteFollowsTheLedger(t *testing.T) {
	w := withCanary(t, 0.5)
	w.point = 0.4
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	w.canary(2, 0.2, time.Minute)
	w.sync()
	require.EqualValues(t, 1, w.predict(goodRow).body["version"])
	w.promote(2)
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
	require.Equal(t, "champion", w.predict(goodRow).body["arm"])
	w.canary(w.register(flights(3)), 1, time.Minute)
	w.sync()
	require.EqualValues(t, 3, w.predict(goodRow).body["version"])
	w.rollback()
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
}

func TestHeartbeatConfirmsOnlyWhatIsServedCompletely(t *testing.T) {
	w := withCanary(t, 0.25)
	ctx := context.Background()
	head, err := w.ledger.Head(ctx)
	require.NoError(t, err)
	beats, err := registry.Heartbeats(ctx, w.store)
	require.NoError(t, err)
	require.Len(t, beats, 1)
	require.Equal(t, "http://gw-1:8080", beats[0].Address)
	require.Equal(t, registry.Serve{Seq: head.Seq, Epoch: 1, Champion: 1, Challenger: 2, Weight: 0.25}, beats[0].Models[modelName])

	w.rollback()
	bad := flights(2).files(t)
	bad["model.json"] = []byte(`{"format":"leanloop-linear","version":1}`)
	w.registerFiles(bad)
	w.canary(3, 1, time.Minute)
	require.ErrorContains(t, w.server.Sync(ctx), "load flight-delay version 3")
	beats, err = registry.Heartbeats(ctx, w.store)
	require.NoError(t, err)
	served := beats[0].Models[modelName]
	require.Contains(t, served.Problem, "challenger: load flight-delay version 3")
	served.Problem = ""
	require.Equal(t, registry.Serve{Seq: head.Seq, Epoch: 1, Champion: 1}, served)
	confirmed, missing := registry.Confirmed(beats, modelName, head.Seq+1, w.clock.Now())
	require.False(t, confirmed)
	require.Equal(t, []string{"gw-1"}, missing)
}

// registerFiles stores files as an approved version, whatever they hold.
func (w *world) registerFiles(files map[string][]byte) int {
	digest := w.artifact(files)
	head, err := w.ledger.Head(context.Background())
	require.NoError(w.t, err)
	e := w.do(registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
		Artifact: digest, Verdict: registry.VerdictPass, Evidence: digest}})
	v, _ := e.State.ByArtifact(digest)
	w.do(registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{Version: v.Number, Evidence: digest,
		Approvers: []string{"cli:ana"}, Comparison: registry.Comparison{Champion: head.State.Champion, Epoch: head.State.Epoch}}})
	return v.Number
}

func TestVersionThatCannotBeLoadedLeavesTheOldOneInService(t *testing.T) {
	w := withCanary(t, 1)
	w.rollback()
	w.promoteNext(flights(5), func() { w.fail(func(op, key string) bool { return strings.Contains(key, "/artifacts/") }) })
	require.ErrorContains(t, w.server.Sync(context.Background()), "version 3")
	require.EqualValues(t, 1, w.predict(goodRow).body["version"])
	health := w.admin("/healthz")
	require.Equal(t, http.StatusOK, health.status)
	require.Equal(t, "degraded", health.body["status"])
	require.Contains(t, health.raw, "champion: load flight-delay version 3")
	require.Contains(t, w.admin("/metrics").raw, `leanloop_load_failures_total{model="flight-delay"} 1`)
	require.Contains(t, w.admin("/metrics").raw, `leanloop_ledger_lag_entries{model="flight-delay"} `)

	w.fail(nil)
	require.ErrorContains(t, w.server.Sync(context.Background()), "next attempt", "a failed load is not repeated at once")
	w.clock.advance(time.Minute)
	w.sync()
	require.EqualValues(t, 3, w.predict(goodRow).body["version"])
	require.Equal(t, "ok", w.admin("/healthz").body["status"])
}

// promoteNext registers and promotes through a canary; before is called before the promotion is seen.
func (w *world) promoteNext(m linearModel, before func()) {
	v := w.register(m)
	w.canary(v, 0, time.Minute)
	w.promote(v)
	before()
}

func TestRollbackDoesNotWaitForADownload(t *testing.T) {
	w := withCanary(t, 1)
	// Back to nothing that is loaded: 2 is promoted, 3 is its challenger, then both give way to 1.
	w.promote(2)
	w.canary(w.register(flights(3)), 1, time.Hour)
	w.sync()
	require.EqualValues(t, 3, w.predict(goodRow).body["version"])
	w.do(registry.Command{Kind: registry.KindRolledBack, RolledBack: &registry.RolledBack{To: 1}})
	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "objects")))
	during := make(chan any, 1)
	w.fail(func(op, key string) bool {
		if op == "get" && strings.Contains(key, "/artifacts/") {
			select {
			case during <- w.predictVersion():
			default:
			}
		}
		return false
	})
	w.sync()
	require.EqualValues(t, 2, <-during, "the challenger is out before version 1 is loaded")
	w.fail(nil)
	require.EqualValues(t, 1, w.predict(goodRow).body["version"])
}

func (w *world) predictVersion() any { return w.predict(goodRow).body["version"] }

func TestGatewayServesFromDiskWhileTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{sticky_by: flight_key}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), 1, time.Hour)
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])

	w.fail(everything)
	w.start()
	require.Error(t, w.server.Sync(context.Background()))
	a := w.predict(`{"flight_key": "UA-1", "dep_delay": 20, "carrier": "UA"}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.EqualValues(t, 1, a.body["version"], "weights wait for the ledger")
	require.Equal(t, http.StatusOK, w.admin("/readyz").status)
	require.Equal(t, "degraded", w.admin("/healthz").body["status"])

	w.fail(nil)
	w.sync()
	require.EqualValues(t, 2, w.predict(goodRow).body["version"])
}

func TestGatewayThatKnowsNothingIsNotReadyWithoutTheStore(t *testing.T) {
	w := newWorld(t)
	w.fail(everything)
	require.Error(t, w.server.Sync(context.Background()))
	require.Equal(t, http.StatusServiceUnavailable, w.admin("/readyz").status)
	require.Equal(t, http.StatusServiceUnavailable, w.request("GET", "/v2/health/ready", "").status)
	require.Equal(t, http.StatusOK, w.request("GET", "/v2/health/live", "").status)
	w.fail(nil)
	w.sync()
	require.Equal(t, http.StatusOK, w.admin("/readyz").status, "no models is an answer")
}

func TestArtifactSpoiltOnDiskIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.sync()
	spoilt := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(w.dir, "objects"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			spoilt++
			return os.WriteFile(path, []byte("{}"), 0o600)
		}
		return err
	}))
	require.Equal(t, 3, spoilt, "manifest, signature and model")
	w.start()
	w.sync()
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
}

func TestLedgerThatWasCutIsRefusedAfterARestartToo(t *testing.T) {
	w := withCanary(t, 0.5)
	w.store = objectstoreWithout(t, w, "000000000005.json", "000000000006.json")
	w.start()
	require.ErrorContains(t, w.server.Sync(context.Background()), "truncated")
	require.EqualValues(t, 1, w.predict(goodRow).body["version"])
}

func TestModelWithoutAChampionIsKnownAndNotReady(t *testing.T) {
	w := newWorld(t)
	w.register(flights(0))
	w.sync()
	a := w.predict(goodRow)
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, "no_champion", a.body["code"])
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, http.StatusServiceUnavailable, w.request("GET", "/v2/models/flight-delay/ready", "").status)
}

func TestOnlyNamedModelsAreServed(t *testing.T) {
	w := newWorld(t, func(c *serving.Config) { c.Models = []string{"other"} })
	w.promote(w.register(flights(0)))
	w.sync()
	require.Equal(t, http.StatusNotFound, w.predict(goodRow).status)
}

// A challenger that learned a class more has the others in other places. That alone is no shift of its predictions.
func TestAClassCountsInTheSameBucketForBothArms(t *testing.T) {
	feature := func(classes int) []inference.LinearFeature {
		return []inference.LinearFeature{{Name: "dep_delay", Kind: inference.KindNumber, Weights: make([]float64, classes)}}
	}
	w := newWorld(t)
	w.promote(w.register(linearModel{task: spec.Multiclass, classes: []string{"late", "on time"}, intercept: []float64{0, 9}, features: feature(2)}))
	w.canary(w.register(linearModel{task: spec.Multiclass, classes: []string{"cancelled", "late", "on time"}, intercept: []float64{0, 0, 9}, features: feature(3)}), 0.5, time.Hour)
	w.sync()
	for _, w.point = range []float64{0, 0.9} {
		a := w.predict(`{"dep_delay": 1}`)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		require.Equal(t, "on time", a.body["prediction"], a.raw)
	}
	w.sync()
	require.Equal(t, map[string]float64{"champion/1": 1, "challenger/2": 1}, w.sums(timeseries.PredictionField(timeseries.ClassBucket(1))))
}
