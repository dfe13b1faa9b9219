package serving_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
)

func champion(t *testing.T, m linearModel, change ...func(*serving.Config)) *world {
	w := newWorld(t, change...)
	w.promote(w.register(m))
	w.sync()
	return w
}

func TestWrongRequestsSayWhatIsWrong(t *testing.T) {
	w := champion(t, flights(0))
	for _, c := range []struct {
		name, body string
		status     int
		code, says string
	}{
		{"no body", ``, 400, "bad_json", "the text ends, want '{'"},
		{"not JSON", `{"features": {"dep_delay": .5}}`, 400, "bad_json", "not JSON at byte 28"},
		{"not an object", `[1]`, 400, "bad_json", "want '{'"},
		{"more after the end", `{"features": ` + goodRow + `} {}`, 400, "bad_json", "after the end"},
		{"empty object", `{}`, 400, "bad_request", "empty request"},
		{"bare features", goodRow, 400, "bad_request", `unknown field "dep_delay"`},
		{"both forms", `{"features": ` + goodRow + `, "instances": []}`, 400, "bad_request", "want one of them once"},
		{"no rows", `{"instances": []}`, 400, "bad_request", "no rows"},
		{"unknown feature", `{"features": {"dep_dely": 20, "carrier": "UA"}}`, 400, "unknown_feature", `no feature "dep_dely" (nearest: dep_delay)`},
		{"missing feature", `{"features": {"carrier": "UA"}}`, 400, "missing_feature", `feature "dep_delay" is missing`},
		{"several are missing", `{"features": {}}`, 400, "missing_feature", "are: see features"},
		{"missing feature in a batch", `{"instances": [` + goodRow + `, {"carrier": "UA"}]}`, 400, "missing_feature", "row 2 of 2"},
		{"text for a number", `{"features": {"dep_delay": "20", "carrier": "UA"}}`, 400, "bad_feature", `feature "dep_delay": observed text "20", want number`},
		{"a number out of range", `{"features": {"dep_delay": 1e999, "carrier": "UA"}}`, 400, "bad_feature", "dep_delay"},
		{"NaN", `{"features": {"dep_delay": NaN, "carrier": "UA"}}`, 400, "bad_json", "want a value"},
		{"nested", `{"features": {"dep_delay": [20], "carrier": "UA"}}`, 400, "bad_feature", `feature "dep_delay"`},
		{"given twice", `{"features": {"dep_delay": 1, "dep_delay": 2, "carrier": "UA"}}`, 400, "bad_request", "given twice"},
		{"bad escape", `{"features": {"dep_delay": 1, "carrier": "\x"}}`, 400, "bad_json", "wrong escape"},
		{"raw control character", "{\"features\": {\"dep_delay\": 1, \"carrier\": \"\n\"}}", 400, "bad_json", "control character"},
		{"not UTF-8", "{\"features\": {\"dep_delay\": 1, \"carrier\": \"\xff\"}}", 400, "bad_json", "UTF-8"},
		{"deep nesting", `{"features": {"x": ` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`, 400, "bad_json", "nested deeper than 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.request(http.MethodPost, "/predict/"+modelName, c.body)
			require.Equal(t, c.status, a.status, a.raw)
			require.Equal(t, c.code, a.body["code"], a.raw)
			require.Contains(t, a.body["error"], c.says)
		})
	}
	require.Contains(t, w.admin("/metrics").raw, `leanloop_requests_rejected_total{code="400"}`)
}

func TestUnknownFeaturesAreListedWithTheNearestNames(t *testing.T) {
	a := champion(t, flights(0)).predict(`{"dep_dely": 20, "carier": "UA", "zzzzzzzzzz": 1}`)
	require.Equal(t, []any{
		map[string]any{"name": "dep_dely", "nearest": []any{"dep_delay"}},
		map[string]any{"name": "carier", "nearest": []any{"carrier"}},
		map[string]any{"name": "zzzzzzzzzz"},
	}, a.body["features"])
}

func TestColumnsThatTheSpecNamesAreNoUnknownFeatures(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{sticky_by: tail_number}")
	w.promote(w.register(flights(0)))
	w.sync()
	a := w.predict(`{"flight_key": "UA-1", "scheduled": "2026-03-01T10:00:00Z", "tail_number": "N1", "dep_delay": 20, "carrier": "UA"}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
}

func TestNullAndUnknownCategoriesAreMissingValues(t *testing.T) {
	w := champion(t, flights(0))
	for _, row := range []string{`{"dep_delay": null, "carrier": null}`, `{"dep_delay": null, "carrier": "ZZ"}`} {
		a := w.predict(row)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		require.InDelta(t, 0.5, a.body["score"], 1e-12)
	}
}

func TestUnknownCategoriesAreRefusedWhereTheSignatureSaysSo(t *testing.T) {
	m := flights(0)
	m.unknown = inference.UnknownRefuse
	w := champion(t, m)
	a := w.request(http.MethodPost, "/predict/"+modelName, `{"instances": [`+goodRow+`, {"dep_delay": 1, "carrier": "ZZ"}]}`)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.JSONEq(t, `{"code": "unknown_category", "features": [{"name": "carrier"}],
		"error": "row 2 of 2: feature \"carrier\": observed text \"ZZ\", want one of its 3 known categories, or null"}`, a.raw)
	a = w.infer(strings.Replace(goodInfer, `["UA", "AA"]`, `["UA", "ZZ"]`, 1))
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.body["error"], `row 2 of 2: feature "carrier": observed text "ZZ"`)
	require.Equal(t, http.StatusOK, w.predict(`{"dep_delay": 1, "carrier": null}`).status)
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	require.Contains(t, w.request(http.MethodGet, "/openapi.json", "").raw, "another one is refused")
}

// What the champion reads isn't lost to a challenger that refuses it: it counts as users would have met it.
func TestAChallengerThatRefusesACategoryFallsBack(t *testing.T) {
	m := flights(1)
	m.unknown = inference.UnknownRefuse
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(m), 1, time.Hour)
	w.sync()
	a := w.predict(`{"dep_delay": 1, "carrier": "secret"}`)
	require.Equal(t, true, a.body["fallback"], a.raw)
	require.Contains(t, w.admin("/healthz").raw, "one of its 3 known categories")
	require.NotContains(t, w.admin("/healthz").raw, "secret")
}

func TestUnknownModelIs404WithTheNearestName(t *testing.T) {
	w := champion(t, flights(0))
	a := w.request(http.MethodPost, "/predict/flight-dely", `{"features":{}}`)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, "unknown_model", a.body["code"])
	require.Contains(t, a.body["error"], "flight-delay")
	require.Equal(t, http.StatusNotFound, w.request(http.MethodGet, "/nothing", "").status)
}

func TestOtherMethodsAre405(t *testing.T) {
	w := champion(t, flights(0))
	a := w.request(http.MethodGet, "/predict/flight-delay", "")
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, "POST", a.header.Get("Allow"))
	require.Equal(t, http.StatusMethodNotAllowed, w.request(http.MethodPost, "/v2/health/live", "").status)
}

func TestRequestOverTheLimitsIs413(t *testing.T) {
	w := champion(t, flights(0), func(c *serving.Config) { c.MaxBody, c.MaxBatch = 200, 2 })
	a := w.predict(`{"dep_delay": 20, "carrier": "` + strings.Repeat("x", 300) + `"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	require.Equal(t, "too_large", a.body["code"])
	require.Contains(t, a.body["error"], "> limit 200")

	body := `{"features": {"dep_delay": 20, "carrier": "` + strings.Repeat("x", 300) + `"}}`
	req := httptest.NewRequest(http.MethodPost, "/predict/flight-delay", struct{ *strings.Reader }{strings.NewReader(body)})
	req.ContentLength = -1 // chunked: its size is known only once it is read
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, req)
	require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code)

	a = w.request(http.MethodPost, "/predict/flight-delay", `{"instances": [`+goodRow+","+goodRow+","+goodRow+`]}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	require.Contains(t, a.body["error"], "more than 2 rows")
}

func TestTooManyRequestsAtOnceAre429WithRetryAfter(t *testing.T) {
	w := champion(t, flights(0), func(c *serving.Config) { c.MaxInFlight = 1 })
	begun, end := make(chan struct{}), make(chan struct{})
	old := w.server.SetChampionScorer(modelName, &stubborn{does: func() error { close(begun); <-end; return nil }})
	done := make(chan int)
	go func() { done <- w.predict(goodRow).status }()
	<-begun
	a := w.predict(goodRow)
	require.Equal(t, http.StatusTooManyRequests, a.status, a.raw)
	require.Equal(t, "overloaded", a.body["code"])
	require.Equal(t, "1", a.header.Get("Retry-After"))
	close(end)
	require.Equal(t, http.StatusOK, <-done)
	w.server.SetChampionScorer(modelName, old)
	require.Equal(t, http.StatusOK, w.predict(goodRow).status, "what left makes room")
}

func TestTooManyBytesAtOnceAre429(t *testing.T) {
	w := champion(t, flights(0), func(c *serving.Config) { c.MaxBody, c.MaxMemory = 100, 150 })
	begun, end := make(chan struct{}), make(chan struct{})
	slow := httptest.NewRequest(http.MethodPost, "/predict/flight-delay", &slowBody{begun: begun, end: end})
	slow.ContentLength = 90
	done := make(chan int)
	go func() {
		rec := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(rec, slow)
		done <- rec.Code
	}()
	<-begun
	body := `{"features":` + goodRow + `}` + strings.Repeat(" ", 30)
	require.Equal(t, http.StatusTooManyRequests, w.request(http.MethodPost, "/predict/flight-delay", body).status)
	close(end)
	require.Equal(t, http.StatusBadRequest, <-done)
	require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/flight-delay", body).status, "what left makes room")
}

// Whoever says that megabytes will come, and sends none, takes neither a place nor the memory from others.
func TestSlowClientsHoldOnlyWhatTheySent(t *testing.T) {
	w := champion(t, flights(0), func(c *serving.Config) { c.MaxInFlight, c.MaxMemory = 2, 4<<20 })
	end := make(chan struct{})
	var slow sync.WaitGroup
	for range 50 {
		begun := make(chan struct{})
		req := httptest.NewRequest(http.MethodPost, "/predict/flight-delay", &slowBody{begun: begun, end: end})
		req.ContentLength = 4 << 20
		slow.Go(func() { w.server.Handler().ServeHTTP(httptest.NewRecorder(), req) })
		<-begun
	}
	require.Equal(t, http.StatusOK, w.predict(goodRow).status)
	close(end)
	slow.Wait()
	big := `{"features":` + goodRow + `}` + strings.Repeat(" ", 3<<20)
	require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/flight-delay", big).status, "all of it is given back")
}

// slowBody gives nothing until it is told to end.
type slowBody struct {
	begun, end chan struct{}
	started    bool
}

func (b *slowBody) Read([]byte) (int, error) {
	if !b.started {
		b.started = true
		close(b.begun)
	}
	<-b.end
	return 0, fmt.Errorf("connection reset")
}

func TestMulticlassAnswersEveryClass(t *testing.T) {
	m := linearModel{task: spec.Multiclass, classes: []string{`a"b`, "late", "gone"}, intercept: []float64{0, 1, 2},
		features: []inference.LinearFeature{{Name: "x", Kind: inference.KindNumber, Weights: []float64{0, 0, 0}}}}
	a := champion(t, m).predict(`{"x": 1}`)
	require.Equal(t, "gone", a.body["prediction"])
	scores := a.body["scores"].(map[string]any)
	require.Len(t, scores, 3)
	require.Equal(t, scores["gone"], a.body["score"])
	require.InDelta(t, 1, scores[`a"b`].(float64)+scores["late"].(float64)+scores["gone"].(float64), 1e-9)
}

func TestRegressionAnswersTheValue(t *testing.T) {
	m := linearModel{task: spec.Regression, intercept: []float64{-0.5},
		features: []inference.LinearFeature{{Name: "x", Kind: inference.KindNumber, Weights: []float64{2}}}}
	a := champion(t, m).predict(`{"x": 1e-7}`)
	require.InDelta(t, -0.4999998, a.body["prediction"], 1e-12)
	require.Equal(t, a.body["score"], a.body["prediction"])
}

func TestRoutesTellWhatIsServed(t *testing.T) {
	w := withCanary(t, 0.25)
	w.clock.advance(3 * time.Second)
	model := w.admin("/routes").body["models"].([]any)[0].(map[string]any)
	require.EqualValues(t, 1, model["champion"].(map[string]any)["version"])
	require.EqualValues(t, 2, model["challenger"].(map[string]any)["version"])
	require.EqualValues(t, 0.25, model["weight"])
	require.EqualValues(t, 0.25, model["effective_weight"])
	require.EqualValues(t, 3, model["ledger_age_seconds"])
	require.Equal(t, model["seq"], model["head_seq"])
	require.Contains(t, w.admin("/metrics").raw, `leanloop_canary_weight{model="flight-delay"} 0.25`)
	require.Contains(t, w.admin("/metrics").raw, `leanloop_ledger_lag_entries{model="flight-delay"} 0`)
}
