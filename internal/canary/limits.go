package canary

import "fmt"

// limitChecks hold the challenger to the spec's absolute limits, whatever the champion does.
func limitChecks(s State, m Measurement) []Check {
	var out []Check
	if s.Config.Limits.ErrorRate > 0 {
		out = append(out, errorLimit(s, m.Challenger))
	}
	for _, q := range quantiles {
		if q.limit(s.Config.Limits) > 0 {
			out = append(out, latencyLimit(s, m.Challenger, q))
		}
	}
	return out
}

// limits are how many there are.
func (s State) limits() int {
	n := 0
	if s.Config.Limits.ErrorRate > 0 {
		n++
	}
	for _, q := range quantiles {
		if q.limit(s.Config.Limits) > 0 {
			n++
		}
	}
	return n
}

// errorLimit fails when even the least error rate that the data allow is over the limit.
func errorLimit(s State, a Arm) Check {
	limit := float64(s.Config.Limits.ErrorRate)
	c := Check{Name: "error_rate_limit", Limit: limit, Observed: a.rate()}
	if a.Requests < minRequests {
		return c.inconclusive(fmt.Sprintf("error rate: %d challenger requests < %d", a.Requests, minRequests))
	}
	least, _ := rateBounds(a.Errors, a.Requests, s.share())
	seen := fmt.Sprintf("error rate %s (%d of %d)", percent(c.Observed), a.Errors, a.Requests)
	switch {
	case least > limit:
		c.Verdict, c.Message = Fail, fmt.Sprintf("%s: at least %s > canary.limits.error_rate %s", seen, percent(least), percent(limit))
	case c.Observed > limit:
		return c.inconclusive(fmt.Sprintf("%s > canary.limits.error_rate %s, not certain yet (at least %s)", seen, percent(limit), percent(least)))
	default:
		c.Verdict, c.Message = Pass, fmt.Sprintf("%s <= canary.limits.error_rate %s", seen, percent(limit))
	}
	return c
}

// latencyLimit fails when certainly more requests than the quantile leaves above it are slower than the limit. A bucket
// that the limit divides counts as within it.
func latencyLimit(s State, a Arm, q quantile) Check {
	limit := q.limit(s.Config.Limits) / 1000
	c := Check{Name: "latency_" + q.name + "_limit", Limit: limit, Observed: q.of(a)}
	name := fmt.Sprintf("canary.limits.latency_%s_ms %s", q.name, millis(limit))
	switch {
	case a.Requests < minLatencies:
		return c.inconclusive(fmt.Sprintf("latency %s: %d challenger requests < %d", q.name, a.Requests, minLatencies))
	case !measured(c.Observed):
		return c.inconclusive("latency " + q.name + " wasn't measured: nothing to hold to " + name)
	}
	seen := fmt.Sprintf("latency %s %s", q.name, millis(c.Observed))
	switch {
	case c.Observed <= limit:
		c.Verdict, c.Message = Pass, fmt.Sprintf("%s <= %s", seen, name)
	case s.certainlyOver(a, limit, q.tail):
		c.Verdict, c.Message = Fail, fmt.Sprintf("%s > %s", seen, name)
	default:
		return c.inconclusive(fmt.Sprintf("%s > %s, not certain yet", seen, name))
	}
	return c
}

// certainlyOver says whether more than tail of an arm's requests take longer than limit, in truth.
func (s State) certainlyOver(a Arm, limit, tail float64) bool {
	if !a.Histogram.valid() {
		return a.Requests >= minUncounted
	}
	low, _ := rateBounds(a.Histogram.over(limit), a.Histogram.total(), s.share())
	return low > tail
}
