package timeseries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// prometheusTimeout bounds one query; the server is told a little less, so that its own error arrives.
	prometheusTimeout = 10 * time.Second
	// maxPrometheus bounds an answer in bytes: a handful of numbers, or some hundred buckets.
	maxPrometheus = 4 << 20
)

// PrometheusConfig names a server that speaks Prometheus's HTTP API (Prometheus itself, Thanos, Mimir, VictoriaMetrics).
type PrometheusConfig struct {
	URL   string // base, below which /api/v1/query is
	Token string // sent as a bearer token; "": none is
}

// Validate says what is missing or wrong.
func (c PrometheusConfig) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("prometheus: url %q, want http://host:port or https://host:port", withoutUser(c.URL))
	}
	if u.User != nil {
		return errors.New("prometheus: the url holds a user or password, want a bearer token apart from it")
	}
	return nil
}

// Prometheus asks a server by instant queries: https://prometheus.io/docs/prometheus/latest/querying/api/. It is safe
// for concurrent use.
type Prometheus struct {
	endpoint string
	token    string
	client   *http.Client
}

// NewPrometheus makes a client. It makes no call.
func NewPrometheus(c PrometheusConfig) (*Prometheus, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Prometheus{
		endpoint: strings.TrimSuffix(c.URL, "/") + "/api/v1/query", token: c.Token,
		client: &http.Client{
			Timeout: prometheusTimeout,
			// A token must not follow to another host, and what answers elsewhere isn't the API that was named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// prometheusAnswer is the envelope of every answer. Infos (say, that a metric's name doesn't end in _total) are for
// authors of queries; warnings say that something is missing.
type prometheusAnswer struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// prometheusSeries is an element of a vector: labels, and a pair of a time and a number as text.
type prometheusSeries struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// At implements Instant.
func (p *Prometheus) At(ctx context.Context, expression string, at time.Time) ([]Sample, error) {
	form := url.Values{
		"query": {expression}, "time": {at.UTC().Format(time.RFC3339Nano)},
		"timeout": {strconv.FormatFloat((prometheusTimeout-time.Second).Seconds(), 'f', -1, 64) + "s"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &Error{Op: "query", Final: true, Err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, &Error{Op: "query", Err: err}
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxPrometheus+1))
	if err != nil {
		return nil, &Error{Op: "query", Status: res.StatusCode, Err: err}
	}
	if len(raw) > maxPrometheus {
		return nil, &Error{Op: "query", Status: res.StatusCode, Final: true, Err: fmt.Errorf("its answer is over %d bytes", maxPrometheus)}
	}
	samples, err := readPrometheus(res.StatusCode, raw)
	if err != nil {
		status := res.StatusCode
		final := status >= 300 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
		return nil, &Error{Op: "query", Status: status, Final: final, Err: err}
	}
	return samples, nil
}

// readPrometheus reads an answer of the status, whatever sent it.
func readPrometheus(status int, raw []byte) ([]Sample, error) {
	var a prometheusAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("its answer isn't the API's: %.100q", raw)
	}
	switch {
	case status != http.StatusOK || a.Status != "success":
		return nil, fmt.Errorf("%.40s: %.500s", a.ErrorType, a.Error)
	case len(a.Warnings) > 0:
		return nil, fmt.Errorf("its answer isn't complete: %.500s", strings.Join(a.Warnings, "; "))
	}
	switch a.Data.ResultType {
	case "scalar":
		var pair [2]any
		if err := json.Unmarshal(a.Data.Result, &pair); err != nil {
			return nil, fmt.Errorf("a scalar: %w", err)
		}
		v, err := prometheusNumber(pair)
		return []Sample{{Value: v}}, err
	case "vector":
		var series []prometheusSeries
		if err := json.Unmarshal(a.Data.Result, &series); err != nil {
			return nil, fmt.Errorf("a vector: %w", err)
		}
		out := make([]Sample, len(series))
		for i, s := range series {
			v, err := prometheusNumber(s.Value)
			if err != nil {
				return nil, err
			}
			out[i] = Sample{Labels: s.Metric, Value: v}
		}
		return out, nil
	}
	return nil, fmt.Errorf("a result of type %.40q, want a vector or a scalar", a.Data.ResultType)
}

// prometheusNumber reads a value, which is text so that it may be NaN, +Inf or -Inf.
func prometheusNumber(pair [2]any) (float64, error) {
	text, ok := pair[1].(string)
	if !ok {
		return math.NaN(), fmt.Errorf("a value of type %T, want text", pair[1])
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return math.NaN(), fmt.Errorf("value %.40q isn't a number", text)
	}
	return v, nil
}
