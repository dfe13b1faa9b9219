package timeseries_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/timeseries"
)

func TestInfluxSortsAnswersIntoFinalAndRetryable(t *testing.T) {
	for _, c := range []struct {
		name       string
		status     int
		header     string
		final      bool
		retryAfter time.Duration
	}{
		{"a bad line is final", 400, "", true, 0},
		{"a bad token is final", 401, "", true, 0},
		{"too large a body is final", 413, "", true, 0},
		{"too many requests may pass, after the time it names", 429, "7", false, 7 * time.Second},
		{"an overloaded server may pass, after the time it names", 503, "2", false, 2 * time.Second},
		{"any other failure may pass", 500, "", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, `{"code":"some code","message":"some reason"}`)
			}))
			defer server.Close()
			store := influx(t, server.URL)
			err := store.Write(context.Background(), somePoints())
			require.Error(t, err)
			require.Equal(t, c.final, timeseries.IsFinal(err))
			require.Equal(t, c.retryAfter, timeseries.RetryAfter(err))
			require.ErrorContains(t, err, "some reason")
			_, err = store.Sum(context.Background(), someQuery())
			require.Error(t, err)
			require.Equal(t, c.retryAfter, timeseries.RetryAfter(err))
		})
	}
}

func TestInfluxThatIsDownIsRetryable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := influx(t, server.URL).Write(context.Background(), somePoints())
	require.ErrorContains(t, err, "store unreachable")
	require.False(t, timeseries.IsFinal(err))
}

func TestInfluxWritesOneRequestOfLineProtocol(t *testing.T) {
	var body, query []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = append(body, string(b))
		query = append(query, r.URL.Path+"?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	require.NoError(t, influx(t, server.URL).Write(context.Background(), []timeseries.Point{
		{Measurement: "leanloop_arm", Tags: map[string]string{"model": "m, n", "gateway": `g\`},
			Fields: map[string]float64{"requests": 3}, Time: time.Unix(1, 5)},
		{Measurement: "leanloop_arm", Tags: map[string]string{"model": "m"},
			Fields: map[string]float64{"requests": 0.25}, Time: time.Unix(2, 0)},
	}))
	require.Equal(t, []string{"leanloop_arm,gateway=" + timeseries.TagValue(`g\`) + `,model=m\,\ n requests=3 1000000005` + "\n" +
		"leanloop_arm,model=m requests=0.25 2000000000\n"}, body)
	require.Equal(t, []string{"/api/v2/write?bucket=db%2Frp&org=&precision=ns"}, query)
}

func TestInfluxQueryIsWrittenWithAbsoluteTimesAndQuotes(t *testing.T) {
	var flux string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		flux = string(b)
		w.Header().Set("Content-Type", "text/csv")
		_, _ = io.WriteString(w, "#datatype,string,long,string,string,double\r\n#group,false,false,true,true,false\r\n"+
			"#default,_result,,,,\r\n,result,table,_field,arm,_value\r\n,,0,requests,champion,12\r\n,,1,errors,champion,1\r\n"+
			",,2,requests,challenger,4\r\n\r\n")
	}))
	defer server.Close()
	rows, err := influx(t, server.URL).Sum(context.Background(), someQuery())
	require.NoError(t, err)
	require.Equal(t, []timeseries.Row{
		{Tags: map[string]string{"arm": "challenger"}, Fields: map[string]float64{"requests": 4}},
		{Tags: map[string]string{"arm": "champion"}, Fields: map[string]float64{"requests": 12, "errors": 1}},
	}, rows)
	require.Contains(t, flux, `range(start: 1970-01-01T00:01:40Z, stop: 1970-01-01T00:03:20Z)`)
	require.Contains(t, flux, `r[\"model\"] == \"flight-delay\"`)
}

func TestInfluxConfigSaysWhatIsWrong(t *testing.T) {
	_, err := timeseries.NewInflux(timeseries.InfluxConfig{URL: "localhost:8086", Bucket: "b"})
	require.ErrorContains(t, err, `url "localhost:8086"`)
	_, err = timeseries.NewInflux(timeseries.InfluxConfig{URL: "http://localhost:8086"})
	require.ErrorContains(t, err, "no bucket")
}

func influx(t *testing.T, url string) *timeseries.Influx {
	t.Helper()
	store, err := timeseries.NewInflux(timeseries.InfluxConfig{URL: url, Bucket: "db/rp"})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

func somePoints() []timeseries.Point {
	return []timeseries.Point{{Measurement: "m", Tags: map[string]string{"a": "x"},
		Fields: map[string]float64{"n": 1}, Time: time.Unix(100, 0)}}
}

func someQuery() timeseries.Query {
	return timeseries.Query{Measurement: "m", Tags: map[string]string{"model": "flight-delay"},
		GroupBy: []string{"arm"}, Start: time.Unix(100, 0), Stop: time.Unix(200, 0)}
}

func TestInfluxConfigKeepsPasswordsOutOfAddressesAndErrors(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"http://ana:geheim@influx:8086", "belong in the token"},
		{"ana:geheim@influx:8086", `url "...@influx:8086", want http://`},
		{"influx:8086", `url "influx:8086", want http://`},
	} {
		_, err := timeseries.NewInflux(timeseries.InfluxConfig{URL: c.url, Bucket: "db/rp"})
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "geheim")
	}
}
