package serving_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// withNeedyChallenger is a world whose challenger wants one feature more than the champion.
func withNeedyChallenger(t *testing.T) *world {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1).with("wind")), 1, time.Hour)
	w.sync()
	return w
}

func TestFeatureMissingOnlyForTheChallengerFallsBackAndCountsAgainstIt(t *testing.T) {
	w := withNeedyChallenger(t)
	a := w.predict(goodRow)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, "champion", a.body["arm"])
	require.EqualValues(t, 1, a.body["version"])
	require.Equal(t, true, a.body["fallback"])
	require.Equal(t, "challenger", w.predict(`{"dep_delay": 20, "carrier": "UA", "wind": 3}`).body["arm"])
	w.sync()
	require.Equal(t, map[string]float64{"challenger/2": 2}, w.sums(timeseries.FieldRequests), "the champion had no traffic of its own")
	require.Equal(t, map[string]float64{"challenger/2": 1}, w.sums(timeseries.FieldErrors))
	require.Equal(t, map[string]float64{"challenger/2": 1}, w.sums(timeseries.FieldFallbacks))
	metrics := w.admin("/metrics").raw
	require.Contains(t, metrics, `leanloop_predictions_total{arm="challenger",code="fallback",model="flight-delay",version="2"} 1`)
	require.Contains(t, metrics, `leanloop_predictions_total{arm="challenger",code="200",model="flight-delay",version="2"} 1`)
}

func TestFeatureMissingForBothIsTheClientsMistakeAndCountsAgainstNoOne(t *testing.T) {
	w := withNeedyChallenger(t)
	a := w.predict(`{"carrier": "UA"}`)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Equal(t, "missing_feature", a.body["code"])
	require.Equal(t, []any{map[string]any{"name": "dep_delay"}}, a.body["features"])
	w.sync()
	require.Empty(t, w.series.Points())
}

func TestFeatureOfWrongTypeOnlyForTheChallengerFallsBack(t *testing.T) {
	m := flights(1)
	m.features[1] = inference.LinearFeature{Name: "carrier", Kind: inference.KindNumber, Weights: []float64{1}}
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(m), 1, time.Hour)
	w.sync()
	a := w.predict(goodRow)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, true, a.body["fallback"])
}

func TestChallengerWhoseScoreIsNoNumberFallsBack(t *testing.T) {
	m := flights(1)
	m.features[0].Weights = []float64{1e308}
	m.features = append(m.features, inference.LinearFeature{Name: "x", Kind: inference.KindNumber, Weights: []float64{-1e308}})
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(m), 1, time.Hour)
	w.sync()
	a := w.predict(`{"dep_delay": 1e9, "carrier": "UA", "x": 1e9}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, true, a.body["fallback"])
	require.Equal(t, "late", a.body["prediction"])
}

func TestChampionThatFailsIsAServerErrorAndItsOwn(t *testing.T) {
	m := flights(0)
	m.features[0].Weights = []float64{1e308}
	m.features = append(m.features, inference.LinearFeature{Name: "x", Kind: inference.KindNumber, Weights: []float64{-1e308}})
	w := newWorld(t)
	w.promote(w.register(m))
	w.sync()
	a := w.predict(`{"dep_delay": 1e9, "carrier": "UA", "x": 1e9}`)
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, "scoring_failed", a.body["code"])
	w.sync()
	require.Equal(t, map[string]float64{"champion/1": 1}, w.sums(timeseries.FieldErrors))
	require.Equal(t, map[string]float64{"champion/1": 0}, w.sums(timeseries.FieldFallbacks))
}

func TestRowsOfABatchGoToTheirArmsAndFallBackAlone(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{sticky_by: flight_key}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1).with("wind")), 1, time.Hour)
	w.sync()
	a := w.request(http.MethodPost, "/predict/flight-delay", `{"instances": [
		{"dep_delay": 1, "carrier": "AA", "wind": 1}, {"dep_delay": 2, "carrier": "B6"}, {"dep_delay": 3, "carrier": null, "wind": null}]}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	var arms []any
	ids := map[any]bool{}
	for _, p := range a.body["predictions"].([]any) {
		arms = append(arms, p.(map[string]any)["arm"])
		ids[p.(map[string]any)["prediction_id"]] = true
	}
	require.Equal(t, []any{"challenger", "champion", "challenger"}, arms)
	require.Len(t, ids, 3)
	w.sync()
	require.Equal(t, map[string]float64{"challenger/2": 1}, w.sums(timeseries.FieldRequests))
	require.Equal(t, map[string]float64{"challenger/2": 3}, w.sums(timeseries.FieldPredictions))
	require.Equal(t, map[string]float64{"challenger/2": 1}, w.sums(timeseries.FieldErrors))
}
