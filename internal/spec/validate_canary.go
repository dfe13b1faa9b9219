package spec

import "time"

// defaultAnswer is how long on_failure ask waits for a person where the spec doesn't say.
const defaultAnswer = Duration(time.Hour)

// defaultLabelled is how many labelled answers of each arm a canary's quality needs where the spec doesn't say, and
// minLabelled the least that it may say: fewer carry no judgement.
const (
	defaultLabelled = 200
	minLabelled     = 50
)

// CanaryMetrics lists the metrics that a canary may compare on labels as they come: means over rows, whose bounds can be
// looked at again and again.
func (t Task) CanaryMetrics() []string {
	switch t {
	case Regression:
		return []string{"mae", "rmse"}
	case Multiclass:
		return []string{"accuracy"}
	}
	return []string{"accuracy", "log_loss"}
}

// completeCanary fills what depends on other fields.
func (m *Model) completeCanary() {
	if m.Canary.OnFailure == OnFailureAsk && m.Canary.AnswerWithin == 0 {
		m.Canary.AnswerWithin = defaultAnswer
	}
	q := m.Canary.Quality
	if q == nil {
		return
	}
	if q.Metric == "" {
		q.Metric = m.Task.CanaryMetrics()[0]
	}
	if q.MinRows == 0 {
		q.MinRows = defaultLabelled
	}
	if q.MaxLoss == 0 { // of mae and rmse the target's unit decides
		q.MaxLoss = map[string]float64{"accuracy": 0.02, "log_loss": 0.05}[q.Metric]
	}
}

func (c *checker) canaryAnswer(s Canary) {
	c.must(s.AnswerWithin == 0 || s.OnFailure == OnFailureAsk, "canary.answer_within", "%s is for canary.on_failure ask, not %s", s.AnswerWithin, s.OnFailure)
	c.must(s.AnswerWithin < s.Deadline, "canary.answer_within", "%s isn't under canary.deadline %s", s.AnswerWithin, s.Deadline)
}

// canaryLimits checks the limits by themselves and against each other: one that a slower quantile keeps anyway says
// nothing, but one that is over it is a slip.
func (c *checker) canaryLimits(l CanaryLimits) {
	c.share("canary.limits.error_rate", l.ErrorRate, true)
	before, name := 0.0, ""
	for _, q := range []struct {
		name  string
		limit float64
	}{{"latency_p50_ms", l.LatencyP50MS}, {"latency_p95_ms", l.LatencyP95MS}, {"latency_p99_ms", l.LatencyP99MS}} {
		path := "canary.limits." + q.name
		c.must(q.limit >= 0, path, "%g < 0", q.limit)
		if q.limit <= 0 {
			continue
		}
		c.must(q.limit >= before, path, "%g is under %s %g", q.limit, name, before)
		before, name = q.limit, q.name
	}
}

func (c *checker) canaryQuality(m *Model) {
	q := m.Canary.Quality
	if q == nil {
		return
	}
	c.oneOf("canary.quality.metric", q.Metric, m.Task.CanaryMetrics()...)
	c.must(q.MaxLoss > 0, "canary.quality.max_loss", "%g must be over 0 | how much worse the challenger's %s may be, in its unit", q.MaxLoss, q.Metric)
	c.atLeast("canary.quality.min_rows", q.MinRows, minLabelled)
	c.must(!m.Serving.Driven(), "canary.quality", "needs the gateway's log of predictions, and serving.target says that another program serves")
	c.must(m.Serving.Log.Sample > 0, "canary.quality", "needs serving.log.sample over 0%%: labels find logged answers")
	c.must(!q.Required || m.Data.Labels.Delay < m.Canary.Deadline, "canary.quality.required",
		"data.labels.delay %s isn't under canary.deadline %s: no label would come in time", m.Data.Labels.Delay, m.Canary.Deadline)
}
