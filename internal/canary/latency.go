package canary

import (
	"fmt"
	"math"
	"sort"

	"github.com/leanloop/leanloop/internal/spec"
)

const (
	// minLatencies is how many latencies an arm needs before they say anything: the tail is dominated by a process's
	// first requests.
	minLatencies = 50

	// minUncounted is how many latencies are needed to trust a percentile that comes without a histogram: of the 99th
	// ten observations lie above it then.
	minUncounted = 1000

	// latencyFloor is the difference in seconds below which nobody minds, whatever the ratio: in-process scoring
	// takes microseconds, and twice that isn't a failure.
	latencyFloor = 0.001
)

// quantile is one of the latencies that are compared and limited.
type quantile struct {
	name string  // as checks are named and people read it: p99
	tail float64 // the share of requests that are slower
	of   func(Arm) float64
	// limit is the spec's absolute one in milliseconds; 0: none.
	limit func(spec.CanaryLimits) float64
}

// quantiles are those that are looked at, the tail first: that is where users wait.
var quantiles = [...]quantile{
	{"p99", 0.01, func(a Arm) float64 { return a.LatencyP99 }, func(l spec.CanaryLimits) float64 { return l.LatencyP99MS }},
	{"p95", 0.05, func(a Arm) float64 { return a.LatencyP95 }, func(l spec.CanaryLimits) float64 { return l.LatencyP95MS }},
	{"p50", 0.50, func(a Arm) float64 { return a.LatencyP50 }, func(l spec.CanaryLimits) float64 { return l.LatencyP50MS }},
}

// latencyCheck compares a quantile of both arms' latencies. What was seen to be over the limit is inconclusive; it fails
// when that is certain. A source that knows the 99th percentile alone is held to that.
func latencyCheck(s State, m Measurement, q quantile) Check {
	c := Check{Name: "latency_" + q.name, Optional: q.name != "p99"}
	if s.Config.MaxSlowdown <= 0 {
		c.Verdict, c.Message = Pass, "latency "+q.name+" isn't compared"
		return c
	}
	champion, ok := s.comparable(m, minLatencies)
	switch {
	case m.Challenger.Requests < minLatencies:
		return c.inconclusive(fmt.Sprintf("latency %s: %d challenger requests < %d", q.name, m.Challenger.Requests, minLatencies))
	case !ok:
		return c.inconclusive(fmt.Sprintf("latency %s: %d champion requests < %d", q.name, m.Champion.Requests, minLatencies))
	case champion.Requests == 0:
		c.Verdict, c.Message = Pass, "latency "+q.name+": the champion has no traffic to compare with"
		return c
	case !measured(q.of(m.Challenger)) || !measured(q.of(champion)):
		return c.inconclusive("latency " + q.name + " wasn't measured")
	}
	c.Optional = false
	c.Observed, c.Limit = q.of(m.Challenger), s.slowest(q.of(champion))
	seen := fmt.Sprintf("latency %s %s against the champion's %s", q.name, millis(c.Observed), millis(q.of(champion)))
	switch {
	case c.Observed <= c.Limit:
		c.Verdict = Pass
		c.Message = fmt.Sprintf("%s <= %s", seen, millis(c.Limit))
	case s.certainlySlower(m.Challenger, champion, q.tail):
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

// certainlySlower says whether the quantile that leaves a share of tail above it is slower than the champion's allows, in
// truth and not only in what was seen. Both arms are samples, and the champion's tail is luck where it has few requests,
// so both have bounds.
//
// Let t be the least bucket bound that certainly at most tail of the champion's requests exceed: its quantile is at most
// t. The challenger is too slow when certainly more than tail of its requests exceed what t allows. A larger t is
// exceeded less by either, so it doesn't matter which t the data chose, and no correction is due for the choice.
//
// While the champion has too few requests for such a t at its 99th percentile, the challenger is compared with what they
// do show: it is too slow when certainly more of its requests exceed what some bound t allows than of the champion's
// exceed t. There the choice is among all bounds, and each gets its share of the false alarms.
//
// Without histograms there is no bound: many requests have to do, of a 99th percentile ten above it.
func (s State) certainlySlower(challenger, champion Arm, tail float64) bool {
	slow, fast := challenger.Histogram, champion.Histogram
	if !slow.valid() || !fast.valid() {
		return challenger.Requests >= minUncounted && champion.Requests >= minUncounted
	}
	alpha := s.share() / 2 // one half for each arm
	i := sort.Search(len(fast.Bounds), func(i int) bool {
		_, high := rateBounds(fast.after(i), fast.total(), alpha)
		return high <= tail
	})
	if i < len(fast.Bounds) {
		low, _ := rateBounds(slow.over(s.slowest(fast.Bounds[i])), slow.total(), alpha)
		return low > tail
	}
	if tail != quantiles[0].tail {
		return false
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
