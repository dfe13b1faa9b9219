package canary

import (
	"fmt"
	"time"
)

const (
	// falseAlarm bounds the chance that a challenger whose true error rate, latency and predictions are within the
	// spec's bounds is ever rolled back for them, over all looks and steps of one canary. Each step and each of its
	// tests gets an equal share (a union bound).
	falseAlarm = 0.01

	// minRequests is how many requests of an arm are needed before its errors say anything. The bounds hold for fewer
	// too; but the first few requests of a process are unlike the rest.
	minRequests = 20
)

// judge says what a look shows. It never looks at holds or deadlines: those are Decide's.
func judge(s State, m Measurement, now time.Time) Judgement {
	j := Judgement{At: now, Step: s.Step,
		Requests: Counts{Champion: m.Champion.Requests, Challenger: m.Challenger.Requests},
		Errors:   Counts{Champion: m.Champion.Errors, Challenger: m.Challenger.Errors}}
	if problem := m.usable(s); problem != "" {
		j.Checks = []Check{{Name: "data", Verdict: Inconclusive, Message: problem}}
		j.Verdict = Inconclusive
		return j
	}
	j.Checks = append(j.Checks, errorCheck(s, m))
	for _, q := range quantiles {
		j.Checks = append(j.Checks, latencyCheck(s, m, q))
	}
	j.Checks = append(j.Checks, predictionCheck(s, m))
	j.Checks = append(j.Checks, limitChecks(s, m)...)
	if s.Config.Quality != nil {
		j.Checks = append(j.Checks, qualityCheck(s, now))
	}
	j.Checks = append(j.Checks, freshCheck(s, m), requestsCheck(s, m))
	j.Verdict = worst(j.Checks)
	return j
}

// usable says why a measurement can't be trusted; "" means that it can.
func (m Measurement) usable(s State) string {
	switch {
	case s.Step >= len(s.Config.Steps):
		return fmt.Sprintf("the canary has no step %d: %d are configured", s.Step+1, len(s.Config.Steps))
	case m.Stale && m.Problem == "":
		return "no measurement"
	case m.Stale:
		return "no measurement: " + m.Problem
	case !m.From.Equal(s.StepSince):
		return fmt.Sprintf("measured from %s, but this weight has been set since %s", stamp(m.From), stamp(s.StepSince))
	case m.To.Before(m.From):
		return fmt.Sprintf("measured until %s, before its start at %s", stamp(m.To), stamp(m.From))
	case m.Challenger.Requests < s.Seen.Challenger || m.Champion.Requests < s.Seen.Champion:
		return fmt.Sprintf("counts went back: champion %d after %d, challenger %d after %d",
			m.Champion.Requests, s.Seen.Champion, m.Challenger.Requests, s.Seen.Challenger)
	case !m.Champion.valid():
		return fmt.Sprintf("the champion has %d errors in %d requests", m.Champion.Errors, m.Champion.Requests)
	case !m.Challenger.valid():
		return fmt.Sprintf("the challenger has %d errors in %d requests", m.Challenger.Errors, m.Challenger.Requests)
	}
	return ""
}

func (a Arm) valid() bool { return a.Errors >= 0 && a.Errors <= a.Requests }

// freshCheck holds a step whose traffic has stopped: numbers from before a look say nothing about now.
func freshCheck(s State, m Measurement) Check {
	fresh := m.Challenger.Requests - s.Seen.Challenger
	c := Check{Name: "data", Verdict: Pass, Observed: float64(fresh), Limit: 1,
		Message: fmt.Sprintf("%d new challenger requests since the last look", fresh)}
	if fresh <= 0 {
		c.Verdict = Inconclusive
		c.Message = fmt.Sprintf("no new challenger request since the last look (%d so far)", m.Challenger.Requests)
	}
	return c
}

// requestsCheck holds a step until the challenger has served enough.
func requestsCheck(s State, m Measurement) Check {
	observed, limit := m.Challenger.Requests, int64(max(1, s.Config.Steps[s.Step].MinRequests))
	c := Check{Name: "requests", Verdict: Pass, Observed: float64(observed), Limit: float64(limit),
		Message: fmt.Sprintf("%d challenger requests >= %d", observed, limit)}
	if observed < limit {
		c.Verdict = Inconclusive
		c.Message = fmt.Sprintf("%d challenger requests < %d", observed, limit)
	}
	return c
}

// errorCheck compares error rates. It fails when even the least excess that the data allow is over MaxErrorRate; an
// excess that is merely seen to be over it is inconclusive.
func errorCheck(s State, m Measurement) Check {
	limit := float64(s.Config.MaxErrorRate)
	c := Check{Name: "error_rate", Limit: limit}
	if m.Challenger.Requests < minRequests {
		return c.inconclusive(fmt.Sprintf("error rate: %d challenger requests < %d", m.Challenger.Requests, minRequests))
	}
	champion, ok := s.comparable(m, minRequests)
	if !ok {
		return c.inconclusive(fmt.Sprintf("error rate: %d champion requests < %d", m.Champion.Requests, minRequests))
	}
	alpha := s.share() / 2 // one half for each arm
	low, _ := rateBounds(m.Challenger.Errors, m.Challenger.Requests, alpha)
	// Without any traffic of the champion, the challenger's own rate is held against the limit.
	high := 0.0
	if champion.Requests > 0 {
		_, high = rateBounds(champion.Errors, champion.Requests, alpha)
	}
	observed, least := m.Challenger.rate()-champion.rate(), low-high
	c.Observed = observed
	seen := fmt.Sprintf("error rate %s (%d of %d) against the champion's %s (%d of %d)",
		percent(m.Challenger.rate()), m.Challenger.Errors, m.Challenger.Requests,
		percent(champion.rate()), champion.Errors, champion.Requests)
	switch {
	case least > limit:
		c.Verdict = Fail
		c.Message = fmt.Sprintf("%s: excess at least %s > %s", seen, percent(least), percent(limit))
	case observed > limit:
		return c.inconclusive(fmt.Sprintf("%s: excess %s > %s, not certain yet (at least %s)",
			seen, percent(observed), percent(limit), percent(max(0, least))))
	default:
		c.Verdict = Pass
		c.Message = fmt.Sprintf("%s: excess %s <= %s", seen, percent(observed), percent(limit))
	}
	return c
}

// comparable is the champion to compare with: this step's, or that of an earlier step where this one leaves it fewer
// requests than least. At full weight without an earlier step it is empty. ok is false where traffic should still come.
func (s State) comparable(m Measurement, least int64) (champion Arm, ok bool) {
	switch {
	case m.Champion.Requests >= least:
		return m.Champion, true
	case s.Baseline != nil && s.Baseline.Requests >= least:
		return *s.Baseline, true
	}
	return Arm{}, s.Weight() >= 1
}

// share is the part of falseAlarm that one test in one step may use.
func (s State) share() float64 { return falseAlarm / float64(s.tests()*len(s.Config.Steps)) }

// tests are how many of the checks may fail.
func (s State) tests() int {
	n := 1 // error rate
	if s.Config.MaxSlowdown > 0 {
		n += len(quantiles)
	}
	if s.Config.MaxPSI > 0 {
		n++
	}
	if s.Config.Quality != nil {
		n++
	}
	return n + s.limits()
}

func (a Arm) rate() float64 {
	if a.Requests <= 0 {
		return 0
	}
	return float64(a.Errors) / float64(a.Requests)
}

func (c Check) inconclusive(why string) Check {
	c.Verdict, c.Message = Inconclusive, why
	return c
}

// worst is the worst verdict of the checks.
func worst(checks []Check) Verdict {
	v := Pass
	for _, c := range checks {
		if c.Verdict == Fail || (c.decides(Inconclusive) && v == Pass) {
			v = c.Verdict
		}
	}
	return v
}

func percent(rate float64) string { return fmt.Sprintf("%.4g %%", 100*rate) }
func stamp(t time.Time) string    { return t.UTC().Format(time.RFC3339Nano) }
