package canary

import (
	"fmt"
	"math"
)

const (
	// minLatencies is how many latencies an arm needs before they say anything: the tail is dominated by a process's
	// first requests.
	minLatencies = 50

	// minUncounted is how many latencies are needed to trust a 99th percentile that comes without a histogram: then
	// ten observations lie above it.
	minUncounted = 1000

	// latencyFloor is the difference in seconds below which nobody minds, whatever the ratio: in-process scoring
	// takes microseconds, and twice that isn't a failure.
	latencyFloor = 0.001

	// tail is the share of requests over a 99th percentile.
	tail = 0.01
)

// latencyCheck compares 99th percentiles. What was seen to be over the limit is inconclusive; it fails when that is
// certain.
func latencyCheck(s State, m Measurement) Check {
	c := Check{Name: "latency_p99"}
	if s.Config.MaxSlowdown <= 0 {
		c.Verdict, c.Message = Pass, "latency isn't bounded"
		return c
	}
	champion, ok := s.comparable(m, minLatencies)
	switch {
	case m.Challenger.Requests < minLatencies:
		return c.inconclusive(fmt.Sprintf("latency: %d challenger requests < %d", m.Challenger.Requests, minLatencies))
	case !ok:
		return c.inconclusive(fmt.Sprintf("latency: %d champion requests < %d", m.Champion.Requests, minLatencies))
	case champion.Requests == 0:
		c.Verdict, c.Message = Pass, "latency: the champion has no traffic to compare with"
		return c
	case !measured(m.Challenger.LatencyP99) || !measured(champion.LatencyP99):
		return c.inconclusive("latency: no 99th percentile was measured")
	}
	c.Observed, c.Limit = m.Challenger.LatencyP99, s.slowest(champion.LatencyP99)
	seen := fmt.Sprintf("latency p99 %s against the champion's %s", millis(c.Observed), millis(champion.LatencyP99))
	switch {
	case c.Observed <= c.Limit:
		c.Verdict = Pass
		c.Message = fmt.Sprintf("%s <= %s", seen, millis(c.Limit))
	case s.certainlySlower(m.Challenger, champion):
		c.Verdict = Fail
		c.Message = fmt.Sprintf("%s > %s", seen, millis(c.Limit))
	default:
		return c.inconclusive(fmt.Sprintf("%s > %s, not certain yet", seen, millis(c.Limit)))
	}
	return c
}

// slowest is how long the challenger may take where the champion takes the given seconds.
func (s State) slowest(champion float64) float64 {
	return min(max(champion*s.Config.MaxSlowdown, champion+latencyFloor), math.MaxFloat64)
}

// certainlySlower says whether the challenger is slower than the champion allows in truth and not only in what was
// seen. Both arms are samples, and the champion's tail is luck where it has few requests, so both have bounds.
//
// Let t be the least bucket bound that certainly at most 1 % of the champion's requests exceed: its 99th percentile is
// at most t. The challenger is too slow when certainly more than 1 % of its requests exceed what t allows. A larger t is
// exceeded less by either, so it doesn't matter which t the data chose, and no correction is due for the choice.
//
// To know 1 % takes the champion some 1,400 requests. Before that the challenger is too slow only when it is so at
// some other quantile: certainly more of its requests exceed what some bound t allows than of the champion's exceed t.
// There the choice is among all bounds, and each gets its share of the false alarms.
func (s State) certainlySlower(challenger, champion Arm) bool {
	slow, fast := challenger.Histogram, champion.Histogram
	if !slow.valid() || !fast.valid() {
		return challenger.Requests >= minUncounted && champion.Requests >= minUncounted
	}
	alpha := s.share() / 2 // one half for each arm
	for i, t := range fast.Bounds {
		if _, high := rateBounds(fast.after(i), fast.total(), alpha); high <= tail {
			low, _ := rateBounds(slow.over(s.slowest(t)), slow.total(), alpha)
			return low > tail
		}
	}
	alpha /= float64(len(fast.Bounds))
	for i, t := range fast.Bounds {
		_, high := rateBounds(fast.after(i), fast.total(), alpha)
		if low, _ := rateBounds(slow.over(s.slowest(t)), slow.total(), alpha); low > high {
			return true
		}
	}
	return false
}

func (h Histogram) valid() bool { return len(h.Counts) == len(h.Bounds)+1 && h.total() > 0 }

func (h Histogram) total() int64 { return h.after(-1) }

// after counts the latencies over Bounds[i]; over no bound for -1: all.
func (h Histogram) after(i int) int64 {
	var n int64
	for _, count := range h.Counts[i+1:] {
		n += count
	}
	return n
}

// over counts the latencies that are certainly longer than limit: those in buckets that begin at it or after it.
func (h Histogram) over(limit float64) int64 {
	for i, bound := range h.Bounds {
		if bound >= limit {
			return h.after(i)
		}
	}
	return 0
}

// measured says whether a latency is a number at all: nothing is served in no time.
func measured(seconds float64) bool { return seconds > 0 && !math.IsInf(seconds, 0) }

func millis(seconds float64) string { return fmt.Sprintf("%.4g ms", 1000*seconds) }
