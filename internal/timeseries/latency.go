package timeseries

import (
	"math"
	"strconv"
	"time"
)

// Latency histograms have one set of bounds everywhere, so that counts of any gateways and windows add up: bound i
// is 4 µs x 2^(i/4), up to 14 s. Four bounds an octave put a quantile within 19 % of the truth, and linear
// interpolation inside a bucket closer still. The last bucket is open.
const (
	latencyBounds    = 88
	LatencyBuckets   = latencyBounds + 1
	latencyFirst     = 4e-6 // s
	latencyPerOctave = 4
	latencyPrefix    = "lat_"
)

// LatencyBound is the upper bound of bucket i in seconds; +Inf for the last.
func LatencyBound(i int) float64 {
	if i >= latencyBounds {
		return math.Inf(1)
	}
	return latencyFirst * math.Exp2(float64(i)/latencyPerOctave)
}

// LatencyBucket is the bucket that d falls into: the first whose bound isn't below d.
func LatencyBucket(d time.Duration) int {
	s := d.Seconds()
	if s <= latencyFirst {
		return 0
	}
	i := int(math.Ceil(latencyPerOctave * math.Log2(s/latencyFirst)))
	// The logarithm may be off by one unit in the last place, right on a bound.
	if i > 0 && s <= LatencyBound(i-1) {
		i--
	} else if i < latencyBounds && s > LatencyBound(i) {
		i++
	}
	return min(i, latencyBounds)
}

// LatencyField is the name of the field that counts bucket i: lat_00 to lat_88.
func LatencyField(i int) string {
	if i < 10 {
		return latencyPrefix + "0" + strconv.Itoa(i)
	}
	return latencyPrefix + strconv.Itoa(i)
}

// Histogram counts latencies by bucket. The zero value is empty.
type Histogram [LatencyBuckets]float64

// Add counts d once.
func (h *Histogram) Add(d time.Duration) { h[LatencyBucket(d)]++ }

// Merge adds the other's counts.
func (h *Histogram) Merge(o *Histogram) {
	for i := range h {
		h[i] += o[i]
	}
}

// Count is how many latencies were counted.
func (h *Histogram) Count() float64 {
	var n float64
	for _, c := range h {
		n += c
	}
	return n
}

// Fields writes the buckets that aren't empty into a point's fields.
func (h *Histogram) Fields(into map[string]float64) {
	for i, c := range h {
		if c > 0 {
			into[LatencyField(i)] = c
		}
	}
}

// HistogramOf reads the buckets out of a row's fields; other fields are left alone.
func HistogramOf(fields map[string]float64) *Histogram {
	var h Histogram
	for i := range h {
		h[i] = fields[LatencyField(i)]
	}
	return &h
}

// Quantile is the q-quantile (0 to 1) in seconds, interpolated linearly inside its bucket. NaN when nothing was
// counted; the last finite bound when the quantile lies beyond it.
func (h *Histogram) Quantile(q float64) float64 {
	total := h.Count()
	if total == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	rank := math.Max(0, math.Min(1, q)) * total
	var below float64
	for i, c := range h {
		if c == 0 || below+c < rank {
			below += c
			continue
		}
		if i == latencyBounds {
			break
		}
		low := 0.0
		if i > 0 {
			low = LatencyBound(i - 1)
		}
		return low + (LatencyBound(i)-low)*(rank-below)/c
	}
	return LatencyBound(latencyBounds - 1)
}

// Quantile is the q-quantile in seconds of the histogram in a row's fields; NaN when nothing was counted.
func Quantile(fields map[string]float64, q float64) float64 { return HistogramOf(fields).Quantile(q) }
