package serving

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/leanloop/leanloop/internal/timeseries"
)

// metrics are what /metrics tells. Labels are bounded: models and versions come from ledgers, never from requests, and of
// a model's versions those served last are kept.
type metrics struct {
	registry *prometheus.Registry

	mu       sync.Mutex
	versions map[string][]string // by model: those that have series, newest first

	latency     *prometheus.HistogramVec
	predictions *prometheus.CounterVec
	rejected    *prometheus.CounterVec

	ledgerReads       *prometheus.CounterVec
	loadFailures      *prometheus.CounterVec
	heartbeatFailures prometheus.Counter
	copies            *prometheus.CounterVec
	breakGlass        *prometheus.CounterVec
	logWritten        prometheus.Counter
	logDropped        prometheus.Counter
}

// armMetrics are one arm's, looked up once per route.
type armMetrics struct {
	latency    prometheus.Observer
	ok, failed prometheus.Counter
	code       func(status int) prometheus.Counter
}

// codeFallback is the code of a prediction that the challenger failed and the champion gave.
const codeFallback = "fallback"

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), versions: map[string][]string{},
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "leanloop_request_seconds", Help: "Time that an arm took to encode and score its part of a request.",
			Buckets: prometheus.ExponentialBuckets(10e-6, 2, 20),
		}, []string{"model", "arm"}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leanloop_predictions_total", Help: "Rows by arm and outcome: 200, 400 (the client's mistake), 500, or fallback (the challenger failed, the champion answered).",
		}, []string{"model", "version", "arm", "code"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leanloop_requests_rejected_total", Help: "Requests that got no prediction, by status.",
		}, []string{"code"}),
		ledgerReads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leanloop_ledger_reads_total", Help: "Looks at a ledger's head by outcome: ok or error.",
		}, []string{"model", "outcome"}),
		loadFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leanloop_load_failures_total", Help: "Versions that could not be loaded; the old one served on.",
		}, []string{"model"}),
		heartbeatFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leanloop_heartbeat_failures_total", Help: "Heartbeats that could not be written."}),
		copies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leanloop_mirrored_rows_total", Help: "Rows copied to a challenger by outcome: answered, failed, or dropped (it was too slow for them).",
		}, []string{"model", "outcome"}),
		breakGlass: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leanloop_break_glass_total", Help: "Break-glass rollbacks by outcome: appended, already, stored (here alone, until the store is back) or conflict.",
		}, []string{"model", "outcome"}),
		logWritten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leanloop_prediction_log_rows_total", Help: "Rows of the prediction log that were stored."}),
		logDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leanloop_prediction_log_dropped_total", Help: "Rows that fitted neither the prediction log's memory nor its disk, or could not be read back."}),
	}
	m.registry.MustRegister(m.latency, m.predictions, m.rejected, m.ledgerReads, m.loadFailures, m.heartbeatFailures, m.copies, m.breakGlass,
		m.logWritten, m.logDropped, routeCollector{s},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "leanloop_prediction_log_bytes_held", Help: "Bytes of logged rows that the object store does not have yet, in memory and in the state folder.",
		}, func() float64 {
			memory, disk := s.logged.held()
			return float64(memory) + float64(disk)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "leanloop_points_dropped_total", Help: "Points that the time series store never took.",
		}, func() float64 { return float64(s.points.dropped()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "leanloop_requests_in_flight", Help: "Requests being answered; one whose body is on its way isn't yet.",
		}, func() float64 { return float64(s.gate.requests.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "leanloop_request_bytes_held", Help: "Bytes of request bodies in memory.",
		}, func() float64 { return float64(s.gate.bytes.Load()) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// of gives an arm's metrics.
func (m *metrics) of(model string, version int, arm string) *armMetrics {
	number := strconv.Itoa(version)
	m.remember(model, number)
	failed := "500"
	if arm == timeseries.ArmChallenger {
		failed = codeFallback
	}
	return &armMetrics{
		latency: m.latency.WithLabelValues(model, arm),
		ok:      m.predictions.WithLabelValues(model, number, arm, "200"),
		failed:  m.predictions.WithLabelValues(model, number, arm, failed),
		code: func(status int) prometheus.Counter {
			return m.predictions.WithLabelValues(model, number, arm, strconv.Itoa(status))
		},
	}
}

// Outcomes of a copy for the challenger.
const (
	mirrorAnswered = "answered"
	mirrorFailed   = "failed"
	mirrorDropped  = "dropped"
)

func (m *metrics) mirrored(model, outcome string, rows int) {
	if rows > 0 {
		m.copies.WithLabelValues(model, outcome).Add(float64(rows))
	}
}

func (m *metrics) ledgerRead(model string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.ledgerReads.WithLabelValues(model, outcome).Inc()
}

// routeCollector tells the routing table as it is when it is asked.
type routeCollector struct{ server *Server }

var (
	weightDesc = prometheus.NewDesc("leanloop_canary_weight",
		"Share of requests that the challenger gets now: 0 past its lease or without a recent ledger read.", []string{"model"}, nil)
	statusDesc = prometheus.NewDesc("leanloop_canary_status",
		"1 for what this gateway makes of the model's canary, 0 for the other states.", []string{"model", "status"}, nil)
	versionDesc  = prometheus.NewDesc("leanloop_served_version", "Version number of an arm.", []string{"model", "arm"}, nil)
	seqDesc      = prometheus.NewDesc("leanloop_ledger_applied_seq", "Ledger entry that is served completely.", []string{"model"}, nil)
	lagDesc      = prometheus.NewDesc("leanloop_ledger_lag_entries", "Entries read and not served yet.", []string{"model"}, nil)
	overrideDesc = prometheus.NewDesc("leanloop_override", "1 while a break-glass rollback wins over the ledger.", []string{"model"}, nil)
	ageDesc      = prometheus.NewDesc("leanloop_ledger_age_seconds", "Time since the ledger was last read.", []string{"model"}, nil)
)

// Describe implements prometheus.Collector.
func (c routeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{weightDesc, statusDesc, versionDesc, seqDesc, lagDesc, ageDesc, overrideDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c routeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, r := range c.server.statuses() {
		gauge(weightDesc, r.EffectiveWeight, r.Model)
		for _, state := range canaryStates() {
			is := 0.0
			if state == r.Canary {
				is = 1
			}
			gauge(statusDesc, is, r.Model, state)
		}
		gauge(seqDesc, float64(r.Seq), r.Model)
		gauge(lagDesc, float64(max(0, r.HeadSeq-r.Seq)), r.Model)
		overridden := 0.0
		if r.Override != nil {
			overridden = 1
		}
		gauge(overrideDesc, overridden, r.Model)
		if r.LedgerAge != nil {
			gauge(ageDesc, *r.LedgerAge, r.Model)
		}
		if r.Champion != nil {
			gauge(versionDesc, float64(r.Champion.Version), r.Model, timeseries.ArmChampion)
		}
		if r.Challenger != nil {
			gauge(versionDesc, float64(r.Challenger.Version), r.Model, timeseries.ArmChallenger)
		}
	}
}
