// Package canary decides, look by look, whether a challenger gets more traffic, is promoted or is rolled back.
//
// It is pure: the caller measures, tells the time and moves traffic. A canary always ends: by its last step, by a
// failure, by a person or by its deadline, which rolls back. No data is never a success.
package canary

import (
	"fmt"
	"slices"
	"time"
)

// Verdict is what one look says.
type Verdict string

// The verdicts. Inconclusive is neither: the canary goes on, and the deadline ends it.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Arm is what one version served in the measured window. Latencies are in seconds.
type Arm struct {
	Requests   int64     `json:"requests"`
	Errors     int64     `json:"errors"` // of Requests: failures, time-outs and fallbacks
	LatencyP50 float64   `json:"latency_p50,omitempty"`
	LatencyP95 float64   `json:"latency_p95,omitempty"`
	LatencyP99 float64   `json:"latency_p99,omitempty"`
	Histogram  Histogram `json:"histogram,omitzero"`
	// Predictions counts answers by bucket: any buckets, the same for both arms. Nil where none were counted.
	Predictions []int64 `json:"predictions,omitempty"`
}

// Histogram counts latencies: Counts[i] are those in (Bounds[i-1], Bounds[i]], the last one those over all bounds,
// so it has one more element. Bounds are seconds, increasing. A zero Histogram means that there is none.
type Histogram struct {
	Bounds []float64 `json:"bounds,omitempty"`
	Counts []int64   `json:"counts,omitempty"`
}

// Measurement is what both arms served in State.Window.
type Measurement struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Champion   Arm       `json:"champion"`
	Challenger Arm       `json:"challenger"`
	Stale      bool      `json:"stale,omitempty"`   // no data, or the store couldn't be read
	Problem    string    `json:"problem,omitempty"` // why it is stale
}

// Arms are a measurement's numbers as people look at them, without the counts that they come from. Not measured is 0.
type Arms struct {
	From       time.Time `json:"from,omitzero"`
	To         time.Time `json:"to,omitzero"`
	Champion   Arm       `json:"champion"`
	Challenger Arm       `json:"challenger"`
}

// Arms are its numbers.
func (m Measurement) Arms() Arms {
	return Arms{From: m.From, To: m.To, Champion: m.Champion.brief(), Challenger: m.Challenger.brief()}
}

func (a Arm) brief() Arm {
	a.Histogram, a.Predictions = Histogram{}, nil
	return a
}

// Look is one look as people see it: every check, and what it was about.
type Look struct {
	Judgement
	Arms Arms `json:"arms"`
}

// Check is one thing that was looked at. Latencies are in seconds, rates are shares of one, quality is in its metric's
// unit.
type Check struct {
	// Name is one of error_rate, latency_p99, latency_p95, latency_p50, predictions, quality, data and requests; or the
	// name of an absolute limit: error_rate_limit, latency_p99_limit, ...
	Name     string  `json:"name"`
	Verdict  Verdict `json:"verdict"`
	Observed float64 `json:"observed"`
	Limit    float64 `json:"limit"`
	Message  string  `json:"message"`
	Optional bool    `json:"optional,omitempty"` // that it is inconclusive holds nothing up
}

// Judgement is one look with its numbers. The worst check decides: fail, then inconclusive, then pass.
type Judgement struct {
	At       time.Time `json:"at"`
	Step     int       `json:"step"`
	Verdict  Verdict   `json:"verdict"`
	Checks   []Check   `json:"checks,omitempty"`
	Requests Counts    `json:"requests"`
	Errors   Counts    `json:"errors"`
}

// Reason is the message of the first check that decided.
func (j Judgement) Reason() string {
	for _, c := range j.Checks {
		if c.decides(j.Verdict) {
			return c.Message
		}
	}
	return string(j.Verdict)
}

// brief keeps the checks that decided, so that a State stays small: one that passed has nothing to explain.
func (j Judgement) brief() Judgement {
	j.Checks = slices.DeleteFunc(slices.Clone(j.Checks), func(c Check) bool {
		return c.Verdict == Pass || !c.decides(j.Verdict)
	})
	return j
}

// decides says whether a look's verdict is this check's.
func (c Check) decides(v Verdict) bool {
	return c.Verdict == v && (c.Verdict != Inconclusive || !c.Optional)
}

// Decide takes one look: it judges m and says what to do with traffic. After the end it repeats the final action.
func Decide(s State, m Measurement, now time.Time) (State, Action, Judgement) {
	j := judge(s, m, now)
	if s.Over() {
		return s, s.final(), j
	}
	if s.Failed == nil || !s.Failed.Withdrawn { // else nothing is served that a look could be about
		s = s.took(m, j)
	}
	switch {
	case s.Failed == nil && j.Verdict == Fail:
		s, a := s.fail(j, now)
		return s, a, j
	case !now.Before(s.Deadline):
		s = s.end(RolledBack, fmt.Sprintf("deadline %s reached after %s at step %d of %d: %s",
			stamp(s.Deadline), s.Deadline.Sub(s.Started), s.Step+1, len(s.Config.Steps), s.why(j)), now)
		return s, s.final(), j
	case s.Failed != nil:
		s, a := s.wait(now)
		return s, a, j
	case j.Verdict == Inconclusive || s.Paused || s.held(now) < s.hold():
		return s, Action{Kind: Hold, Weight: s.Weight(), Reason: s.holdReason(j, now)}, j
	case s.Step == len(s.Config.Steps)-1:
		s = s.end(Promoted, fmt.Sprintf("all %d steps passed; %s", len(s.Config.Steps), j.Reason()), now)
		return s, s.final(), j
	}
	s, a := s.advance(m, now)
	return s, a, j
}

// advance goes to the next step. The champion's numbers are kept where they are worth comparing with, since the next
// step may leave it no traffic; few never take the place of many.
func (s State) advance(m Measurement, now time.Time) (State, Action) {
	if m.Champion.Requests >= minLatencies || (s.Baseline == nil && m.Champion.Requests >= minRequests) {
		arm := m.Champion
		s.Baseline = &arm
	}
	if q := s.Quality; q != nil && (s.BaselineLabels == nil || q.Champion.Rows >= s.BaselineLabels.Rows) {
		labels := q.Champion
		s.BaselineLabels = &labels
	}
	s.Step++
	s.ExtraHold = 0
	s = s.afresh(now)
	return s, Action{Kind: Advance, Weight: s.Weight(),
		Reason: fmt.Sprintf("step %d of %d: weight %.4g", s.Step+1, len(s.Config.Steps), s.Weight())}
}

// held is how long this step's weight has been set, and hold how long it has to be.
func (s State) held(now time.Time) time.Duration { return now.Sub(s.StepSince) }
func (s State) hold() time.Duration              { return s.Config.Steps[s.Step].Hold.D() + s.ExtraHold }

// took keeps what a look saw.
func (s State) took(m Measurement, j Judgement) State {
	s.Verdicts = append(slices.Clone(s.Verdicts), j.brief())
	if over := len(s.Verdicts) - maxVerdicts; over > 0 {
		s.Verdicts = s.Verdicts[over:]
	}
	if m.usable(s) == "" {
		s.Seen = Counts{Champion: m.Champion.Requests, Challenger: m.Challenger.Requests}
	}
	return s
}

// afresh begins the step's measurements anew: what was served before doesn't count any more.
func (s State) afresh(now time.Time) State {
	s.StepSince, s.Seen, s.Quality = now, Counts{}, nil
	return s
}

func (s State) holdReason(j Judgement, now time.Time) string {
	switch {
	case s.Paused:
		return fmt.Sprintf("paused by %s: %s", s.By, s.Reason)
	case j.Verdict == Pass:
		return fmt.Sprintf("held %s of %s; %s", s.held(now).Round(time.Second), s.hold(), j.Reason())
	}
	return j.Reason()
}
