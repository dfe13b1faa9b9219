package serving

import (
	"strconv"
	"sync"
	"time"

	"github.com/leanloop/leanloop/internal/timeseries"
)

type armKey struct {
	model   string
	version int
	arm     string
}

// armCounters are what one arm did since the last flush. They outlive the routes that share them, so a request that
// still runs on an old route counts where its successors do. One lock, held for a few additions, keeps an interval's
// fields of one request together: errors are never more than requests.
type armCounters struct {
	mu                                       sync.Mutex
	requests, predictions, errors, fallbacks int
	latency                                  time.Duration
	histogram                                timeseries.Histogram
	predicted                                [timeseries.PredictionBuckets]uint32
}

// noPrediction is the bucket of a request in which the arm gave no answer.
const noPrediction = -1

func (c *armCounters) count(rows int, failed, fellBack bool, latency time.Duration, predicted int) {
	bucket := timeseries.LatencyBucket(latency)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.predictions += rows
	if failed {
		c.errors++
	}
	if fellBack {
		c.fallbacks++
	}
	c.latency += latency
	c.histogram[bucket]++
	if predicted != noPrediction {
		c.predicted[predicted]++
	}
}

// take gives the counts since the last take as fields, or nil if there is nothing to tell.
func (c *armCounters) take() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == 0 {
		return nil
	}
	fields := map[string]float64{
		timeseries.FieldRequests:    float64(c.requests),
		timeseries.FieldPredictions: float64(c.predictions),
		timeseries.FieldErrors:      float64(c.errors),
		timeseries.FieldFallbacks:   float64(c.fallbacks),
		timeseries.FieldLatencySum:  c.latency.Seconds(),
	}
	c.histogram.Fields(fields)
	for i, n := range c.predicted {
		if n > 0 {
			fields[timeseries.PredictionField(i)] = float64(n)
		}
	}
	c.predicted = [timeseries.PredictionBuckets]uint32{}
	c.requests, c.predictions, c.errors, c.fallbacks, c.latency = 0, 0, 0, 0, 0
	c.histogram = timeseries.Histogram{}
	return fields
}

// counterSet holds the counters of every arm that was ever routed to by this process.
type counterSet struct {
	mu   sync.Mutex
	arms map[armKey]*armCounters
}

func newCounterSet() *counterSet { return &counterSet{arms: map[armKey]*armCounters{}} }

func (s *counterSet) of(k armKey) *armCounters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.arms[k]
	if !ok {
		c = &armCounters{}
		s.arms[k] = c
	}
	return c
}

// points takes all counters; now is the end of the interval and, with the gateway's id, what makes the points unique.
func (s *counterSet) points(gateway string, now time.Time) []timeseries.Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	var points []timeseries.Point
	for k, c := range s.arms {
		fields := c.take()
		if fields == nil {
			continue
		}
		points = append(points, timeseries.Point{
			Measurement: timeseries.ArmMeasurement,
			Tags: map[string]string{
				"model": k.model, "version": strconv.Itoa(k.version), "arm": k.arm, "gateway": gateway,
			},
			Fields: fields,
			Time:   now,
		})
	}
	return points
}
