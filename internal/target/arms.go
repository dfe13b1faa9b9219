package target

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

const (
	// excess is how far counts of the same requests may differ: increase() extrapolates each of them to the window's
	// ends by itself.
	excess = 1.05
	// maxBuckets bounds a histogram.
	maxBuckets = 500
)

// Measured is what is asked of a metrics store: both arms between two times.
type Measured struct {
	Champion, Challenger int
	Weight               float64        // of the challenger: at 1 the champion has no requests, and may have no series
	IDs                  map[int]string // the target's names of versions
	From, Until          time.Time
}

// stale says why numbers can't be trusted.
type stale string

func (e stale) Error() string { return string(e) }

// Arms measures both arms by a spec's queries. Whatever is missing, older than the spec allows or no number is an error
// that says so: no data is never a success.
func Arms(ctx context.Context, store timeseries.Instant, m spec.ServingMetrics, q Measured) (champion, challenger canary.Arm, err error) {
	for _, side := range []struct {
		name    string
		version int
		arm     *canary.Arm
		idle    bool
	}{{timeseries.ArmChampion, q.Champion, &champion, q.Weight >= 1}, {timeseries.ArmChallenger, q.Challenger, &challenger, false}} {
		a := armQuery{store: store, metrics: m, name: side.name, version: side.version, id: q.IDs[side.version], from: q.From, until: q.Until}
		arm, err := a.measure(ctx)
		if _, missing := errors.AsType[stale](err); missing && side.idle {
			continue
		}
		if err != nil {
			return canary.Arm{}, canary.Arm{}, fmt.Errorf("%s (version %d): %w", side.name, side.version, err)
		}
		*side.arm = arm
	}
	return champion, challenger, nil
}

// armQuery asks about one arm.
type armQuery struct {
	store       timeseries.Instant
	metrics     spec.ServingMetrics
	name        string
	version     int
	id          string
	from, until time.Time
}

func (a armQuery) measure(ctx context.Context) (canary.Arm, error) {
	window := a.until.Sub(a.from)
	if fresh := a.metrics.StaleAfter.D(); window > fresh {
		// A window of hours has samples long after the last one came.
		if _, err := a.count(ctx, "requests", a.metrics.Requests, fresh); err != nil {
			return canary.Arm{}, err
		}
	}
	requests, err := a.count(ctx, "requests", a.metrics.Requests, window)
	if err != nil {
		return canary.Arm{}, err
	}
	failed, err := a.count(ctx, "errors", a.metrics.Errors, window)
	if err != nil {
		return canary.Arm{}, err
	}
	if failed > requests*excess+1 {
		return canary.Arm{}, stale(fmt.Sprintf("%g errors in %g requests: the queries don't count the same", failed, requests))
	}
	arm := canary.Arm{Requests: int64(math.Round(requests))}
	arm.Errors = min(int64(math.Round(failed)), arm.Requests)
	switch {
	case arm.Requests == 0: // of nothing there is no latency: a quantile would be NaN
	case a.metrics.Latency != "":
		err = a.histogram(ctx, window, &arm)
	case a.metrics.LatencyP99 != "":
		arm.LatencyP99, err = a.count(ctx, "latency_p99", a.metrics.LatencyP99, window)
	}
	return arm, err
}

// ask fills a query in and asks it at the window's end.
func (a armQuery) ask(ctx context.Context, name, query string, window time.Duration) ([]timeseries.Sample, error) {
	if strings.Contains(query, "$id") && a.id == "" {
		return nil, stale(fmt.Sprintf("%s uses $id, and the target's program names no id of version %d", name, a.version))
	}
	expression := strings.NewReplacer(
		"$arm", quoted(a.name), "$version", strconv.Itoa(a.version), "$id", quoted(a.id),
		"$window", strconv.FormatInt(int64(max(window, time.Second)/time.Second), 10)+"s",
	).Replace(query)
	samples, err := a.store.At(ctx, expression, a.until)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(samples) == 0 {
		return nil, stale(fmt.Sprintf("%s has no sample within %s", name, window.Round(time.Second)))
	}
	return samples, nil
}

// quoted escapes what stands between double quotes in PromQL, which are Go's.
func quoted(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// count asks for one number that isn't negative.
func (a armQuery) count(ctx context.Context, name, query string, window time.Duration) (float64, error) {
	samples, err := a.ask(ctx, name, query, window)
	if err != nil {
		return 0, err
	}
	if len(samples) > 1 {
		return 0, stale(fmt.Sprintf("%s has %d series, want one: sum() them", name, len(samples)))
	}
	if v := samples[0].Value; math.IsNaN(v) || v < 0 || v > math.MaxInt32*1e6 {
		return 0, stale(fmt.Sprintf("%s is %g", name, v))
	}
	return samples[0].Value, nil
}

// histogram asks for the buckets, which are cumulative: https://prometheus.io/docs/concepts/metric_types/#histogram.
func (a armQuery) histogram(ctx context.Context, window time.Duration, arm *canary.Arm) error {
	samples, err := a.ask(ctx, "latency", a.metrics.Latency, window)
	if err != nil {
		return err
	}
	if len(samples) > maxBuckets {
		return stale(fmt.Sprintf("latency has %d buckets > %d", len(samples), maxBuckets))
	}
	type bucket struct{ bound, count float64 }
	var buckets []bucket
	for _, s := range samples {
		bound, err := strconv.ParseFloat(s.Labels["le"], 64)
		if err != nil || math.IsNaN(bound) || math.IsNaN(s.Value) || s.Value < 0 || math.IsInf(s.Value, 0) || len(s.Labels) != 1 {
			return stale(fmt.Sprintf("latency has a bucket %v of %g, want sum by (le)", s.Labels, s.Value))
		}
		buckets = append(buckets, bucket{bound, s.Value})
	}
	slices.SortFunc(buckets, func(x, y bucket) int {
		if x.bound < y.bound {
			return -1
		}
		return 1
	})
	last := buckets[len(buckets)-1]
	switch {
	case !math.IsInf(last.bound, 1) || len(buckets) < 2:
		return stale("latency has no bucket +Inf, or no other")
	case last.count < 1:
		return stale(fmt.Sprintf("latency counts none of %d requests", arm.Requests))
	}
	var h canary.Histogram
	below := int64(0)
	for i, b := range buckets {
		if i < len(buckets)-1 {
			if len(h.Bounds) > 0 && b.bound <= h.Bounds[len(h.Bounds)-1] {
				return stale(fmt.Sprintf("latency has the bucket %g twice", b.bound))
			}
			h.Bounds = append(h.Bounds, b.bound)
		}
		// Extrapolated one by one, a bucket may come out a little below the one before it.
		upTo := max(below, int64(math.Round(b.count)))
		h.Counts = append(h.Counts, upTo-below)
		below = upTo
	}
	arm.Histogram = h
	arm.LatencyP50, arm.LatencyP95, arm.LatencyP99 = quantile(h, 0.5), quantile(h, 0.95), quantile(h, 0.99)
	return nil
}

// quantile is histogram_quantile of PromQL: linear within a bucket, and the highest finite bound for what is over it.
func quantile(h canary.Histogram, q float64) float64 {
	total := int64(0)
	for _, n := range h.Counts {
		total += n
	}
	rank, before := q*float64(total), 0.0
	for i, n := range h.Counts[:len(h.Bounds)] {
		if n > 0 && before+float64(n) >= rank {
			low := 0.0
			if i > 0 {
				low = h.Bounds[i-1]
			}
			return low + (h.Bounds[i]-low)*(rank-before)/float64(n)
		}
		before += float64(n)
	}
	return h.Bounds[len(h.Bounds)-1]
}
