package timeseries

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var asked = time.Date(2026, 3, 15, 8, 0, 0, 500_000_000, time.UTC)

// prometheus is a server that holds a request to what the API documents, and gives one answer.
func prometheus(t *testing.T, status int, answer string) *Prometheus {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/prefix/api/v1/query" || r.Method != http.MethodPost:
			t.Errorf("%s %s", r.Method, r.URL)
		case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
			t.Errorf("content type %q", r.Header.Get("Content-Type"))
		case r.Header.Get("Authorization") != "Bearer secret":
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		case r.FormValue("query") != `sum(increase(a{b="c"}[60s]))` || r.FormValue("time") != "2026-03-15T08:00:00.5Z" || r.FormValue("timeout") != "9s":
			t.Errorf("%v", r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	p, err := NewPrometheus(PrometheusConfig{URL: server.URL + "/prefix/", Token: "secret"})
	require.NoError(t, err)
	return p
}

const query = `sum(increase(a{b="c"}[60s]))`

func TestPrometheusGivesWhatTheApiDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   []Sample
	}{
		"a vector": {`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"le":"0.5"},"value":[1773561600.5,"12.25"]},{"metric":{"le":"+Inf"},"value":[1773561600.5,"13"]}]}}`,
			[]Sample{{Labels: map[string]string{"le": "0.5"}, Value: 12.25}, {Labels: map[string]string{"le": "+Inf"}, Value: 13}}},
		"none":                              {`{"status":"success","data":{"resultType":"vector","result":[]}}`, []Sample{}},
		"a scalar":                          {`{"status":"success","data":{"resultType":"scalar","result":[1773561600.5,"3"]}}`, []Sample{{Value: 3}}},
		"infinite":                          {`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"+Inf"]}]}}`, []Sample{{Labels: map[string]string{}, Value: math.Inf(1)}}},
		"an info is for the query's author": {`{"status":"success","infos":["metric might not be a counter"],"data":{"resultType":"scalar","result":[1,"3"]}}`, []Sample{{Value: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := prometheus(t, 200, c.answer).At(t.Context(), query, asked)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	nan, err := prometheus(t, 200, `{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`).At(t.Context(), query, asked)
	require.NoError(t, err)
	require.True(t, math.IsNaN(nan[0].Value))
}

func TestPrometheusTakesNoAnswerThatIsntOne(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		answer string
		want   string
		final  bool
	}{
		"a query that isn't one":        {400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error"}`, "bad_data: 1:5: parse error", true},
		"a query that failed":           {422, `{"status":"error","errorType":"execution","error":"too many samples"}`, "execution: too many samples", true},
		"a server that is busy":         {503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "query timed out", false},
		"another server's page":         {502, `<html>`, "isn't the API's", false},
		"a login page":                  {302, `{}`, "302", true},
		"an answer with a part missing": {200, `{"status":"success","warnings":["store 2 is away"],"data":{"resultType":"vector","result":[]}}`, "isn't complete: store 2 is away", false},
		"a matrix":                      {200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, `type "matrix"`, false},
		"a number that isn't text":      {200, `{"status":"success","data":{"resultType":"scalar","result":[1,3]}}`, "want text", false},
		"no number":                     {200, `{"status":"success","data":{"resultType":"scalar","result":[1,"many"]}}`, "isn't a number", false},
		"more than is read":             {200, strings.Repeat(" ", maxPrometheus+1), "over", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := prometheus(t, c.status, c.answer).At(t.Context(), query, asked)
			require.ErrorContains(t, err, c.want)
			answered, ok := errors.AsType[*Error](err)
			require.True(t, ok)
			require.Equal(t, c.final, answered.Final)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestPrometheusSendsItsTokenNowhereElse(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	p, err := NewPrometheus(PrometheusConfig{URL: server.URL, Token: "secret"})
	require.NoError(t, err)
	_, err = p.At(t.Context(), query, asked)
	require.Error(t, err)
}

func TestPrometheusIsAServersUrl(t *testing.T) {
	for _, url := range []string{"", "prometheus:9090", "ftp://a", "http://", "http://a:b@c"} {
		_, err := NewPrometheus(PrometheusConfig{URL: url})
		require.Error(t, err, url)
	}
}

func FuzzPrometheusAnswer(f *testing.F) {
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"le":"0.5"},"value":[1773561600.5,"12.25"]}]}}`))
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`))
	f.Add(400, []byte(`{"status":"error"}`))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		samples, err := readPrometheus(status, raw)
		if err == nil && status != 200 {
			t.Fatalf("%v from status %d", samples, status)
		}
	})
}
