package serving_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// withMirror is a world whose challenger answers nobody and gets copies of everything.
func withMirror(t *testing.T, challenger linearModel, change ...func(*serving.Config)) *world {
	w := newWorld(t, change...)
	w.applySpec("{mirror: 100%}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(challenger), 0, 10*time.Minute)
	w.sync()
	return w
}

func TestMirroredChallengerAnswersNobodyAndIsMeasured(t *testing.T) {
	w := withMirror(t, flights(1))
	for range 3 {
		a := w.predict(goodRow)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		require.EqualValues(t, 1, a.body["version"])
		require.Equal(t, "champion", a.body["arm"])
		require.NotContains(t, a.body, "fallback")
	}
	batch := w.request(http.MethodPost, "/predict/flight-delay", `{"instances": [`+goodRow+`,`+goodRow+`]}`)
	require.Equal(t, http.StatusOK, batch.status)
	w.sync()
	require.Equal(t, map[string]float64{"champion/1": 4, "challenger/2": 4}, w.sums(timeseries.FieldRequests))
	require.Equal(t, map[string]float64{"champion/1": 5, "challenger/2": 5}, w.sums(timeseries.FieldPredictions))
	require.Equal(t, map[string]float64{"champion/1": 0, "challenger/2": 0}, w.sums(timeseries.FieldErrors))
	bucket := timeseries.PredictionField(timeseries.ProbabilityBucket(0.8808)) // logit 2: 0.1*20 - 1 + 1
	require.Equal(t, 4.0, w.sums(bucket)["challenger/2"])
	metrics := w.admin("/metrics").raw
	require.Contains(t, metrics, `leanloop_mirrored_rows_total{model="flight-delay",outcome="answered"} 5`)
	require.Contains(t, metrics, `leanloop_canary_weight{model="flight-delay"} 0`)
}

func TestMirroredChallengerThatCannotReadARowHasFailedIt(t *testing.T) {
	w := withMirror(t, flights(1).with("wind"))
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	w.sync()
	require.Equal(t, map[string]float64{"champion/1": 0, "challenger/2": 1}, w.sums(timeseries.FieldErrors))
	require.Equal(t, map[string]float64{"champion/1": 0, "challenger/2": 0}, w.sums(timeseries.FieldFallbacks), "nobody was answered in its place")
}

func TestAMirroredChallengerThatFailsOrHangsKeepsNobodyWaiting(t *testing.T) {
	w := withMirror(t, flights(1), func(c *serving.Config) { c.ChallengerTimeout = time.Millisecond })
	release := make(chan struct{})
	w.server.SetChallengerScorer(modelName, &stubborn{does: func() error { <-release; return errors.New("no") }})
	for range 8 {
		require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	}
	w.sync()
	close(release)
	require.Equal(t, map[string]float64{"champion/1": 0, "challenger/2": 8}, w.sums(timeseries.FieldErrors))
}

func TestCopiesBeyondTheQueueAreDroppedAndCounted(t *testing.T) {
	w := withMirror(t, flights(1))
	const asked = 300
	for range asked {
		require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	}
	require.Contains(t, w.admin("/metrics").raw, `leanloop_mirrored_rows_total{model="flight-delay",outcome="dropped"} 44`)
	w.sync()
	require.Equal(t, 256.0, w.sums(timeseries.FieldRequests)["challenger/2"])
	require.EqualValues(t, asked, w.sums(timeseries.FieldRequests)["champion/1"])
}

func TestCopiesAreBoundedInBytesToo(t *testing.T) {
	w := withMirror(t, flights(1))
	w.server.SetMirrorRoom(100) // a copied row takes 16
	batch := `{"instances": [` + goodRow + "," + goodRow + `]}`
	for range 5 {
		require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/flight-delay", batch).status)
	}
	require.Contains(t, w.admin("/metrics").raw, `leanloop_mirrored_rows_total{model="flight-delay",outcome="dropped"} 4`)
	for range 2 { // what was asked makes room
		w.sync()
		w.clock.advance(time.Second)
		require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/flight-delay", batch).status)
	}
	w.sync()
	require.Equal(t, 5.0, w.sums(timeseries.FieldRequests)["challenger/2"])
}

func TestOnlyTheSpecsShareIsMirroredAndNothingBeyondTheLease(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{mirror: 25%}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), 0, time.Minute)
	w.sync()
	for _, w.point = range []float64{0, 0.2499, 0.25, 0.9} {
		require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	}
	w.point = 0
	require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/v2/models/flight-delay/versions/1/infer", inferBody).status, "a version that was asked for")
	w.clock.advance(time.Minute)
	require.Equal(t, http.StatusOK, w.predict(goodRow).status, "its lease is over")
	w.clock.advance(-time.Minute)
	w.sync()
	require.Equal(t, 2.0, w.sums(timeseries.FieldRequests)["challenger/2"])
}

const inferBody = `{"inputs": [{"name": "dep_delay", "shape": [1], "datatype": "FP64", "data": [20]},
	{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA"]}]}`

func TestCopiesThatWaitWhenTheCanaryEndsAreDropped(t *testing.T) {
	w := withMirror(t, flights(1))
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	w.rollback()
	w.sync()
	require.NotContains(t, w.sums(timeseries.FieldRequests), "challenger/2")
	require.Contains(t, w.admin("/metrics").raw, `outcome="dropped"} 1`)
}

// With a weight as well, a request is the challenger's or copied to it, never both.
func TestARequestOfTheChallengersIsNotCopiedToIt(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{mirror: 100%}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1).with("wind")), 1, time.Minute)
	w.sync()
	require.Equal(t, true, w.predict(goodRow).body["fallback"])
	require.EqualValues(t, 2, w.predict(`{"dep_delay": 20, "carrier": "UA", "wind": 3}`).body["version"])
	w.sync()
	require.Equal(t, map[string]float64{"challenger/2": 2}, w.sums(timeseries.FieldRequests))
	require.NotContains(t, w.admin("/metrics").raw, "leanloop_mirrored_rows_total{")
}

func TestRunAsksTheMirroredChallenger(t *testing.T) {
	w := withMirror(t, flights(1))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	require.Eventually(t, func() bool { return strings.Contains(w.admin("/metrics").raw, `outcome="answered"} 1`) }, 5*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// What is small waits in the server's buffer until the handler ends; the client mustn't wait for the copy so.
func TestTheAnswerIsOnItsWayBeforeItsRequestIsCopied(t *testing.T) {
	w := withMirror(t, flights(1))
	send := func() *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/predict/"+modelName, strings.NewReader(`{"features":`+goodRow+`}`)))
		require.Equal(t, http.StatusOK, rec.Code)
		require.NotEmpty(t, rec.Header().Get("Content-Length"), "without it, it would be sent in chunks")
		return rec
	}
	require.True(t, send().Flushed)
	w.rollback()
	w.sync()
	require.False(t, send().Flushed, "nothing is copied, and one write to the network is enough")
}
