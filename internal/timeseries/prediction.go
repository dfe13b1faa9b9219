package timeseries

import (
	"math"
	"strconv"
)

// Prediction histograms have one set of buckets everywhere, as latency histograms have, so that two arms of any gateways
// can be compared. Which buckets are used depends on the task: a probability's, a class's or a value's.
const (
	PredictionBuckets = 2*valueSide + 1
	predictionPrefix  = "pred_"

	// Probabilities in twentieths. By their log-odds a model that merely became surer of what it said before, as one
	// does that was trained on more rows, would look like another model.
	probabilities = 20

	// Values by sign and size, four to an octave from 2^-4 to 2^20, and one for what is nearer to zero.
	valueOctave, valueLow, valueHigh = 4, -4, 20
	valueSide                        = valueOctave * (valueHigh - valueLow)
)

// ProbabilityBucket is the bucket of a probability: 0 to 19.
func ProbabilityBucket(p float64) int {
	return int(max(0, min(probabilities-1, math.Floor(p*probabilities))))
}

// ClassBucket is the bucket of a class by its position; classes beyond the buckets share the last.
func ClassBucket(class int) int { return min(class, PredictionBuckets-1) }

// ValueBucket is the bucket of a finite number: 0 to PredictionBuckets-1, ascending.
func ValueBucket(v float64) int {
	side := 0
	if size := math.Abs(v); size > 0 {
		side = int(max(0, min(valueSide, math.Floor((math.Log2(size)-valueLow)*valueOctave)+1)))
	}
	if v < 0 {
		side = -side
	}
	return valueSide + side
}

// PredictionField is the name of the field that counts bucket i: pred_000 to pred_192.
func PredictionField(i int) string {
	text := strconv.Itoa(i)
	return predictionPrefix + "000"[min(len(text), 3):] + text
}

// PredictionsOf reads the buckets out of a row's fields: PredictionBuckets counts, or nil where there are none.
func PredictionsOf(fields map[string]float64) []int64 {
	counts, any := make([]int64, PredictionBuckets), false
	for i := range counts {
		counts[i] = int64(fields[PredictionField(i)])
		any = any || counts[i] > 0
	}
	if !any {
		return nil
	}
	return counts
}
