package evaluation

import (
	"fmt"
	"math"

	"github.com/leanloop/leanloop/internal/spec"
)

// Metrics are all metrics of the task on rows with labels y and predictions p.
//
//   - binary: y is 0 or 1, p the probability of the positive class; a row with p >= threshold is predicted positive.
//   - multiclass: y is the class index, p has classes probabilities a row, row-major; the most probable class is
//     predicted (the first of equals). Precision, recall and F1 are macro means over the classes that occur in y or
//     among the predictions, with 0 for a class that was never predicted or has no row, as scikit-learn has it. ROC AUC
//     is the macro mean of one class against the rest, over the classes that occur in y.
//   - regression: y and p are values.
//
// Log loss clips probabilities to [2^-52, 1-2^-52], as scikit-learn does. A metric that has no value is NaN: precision
// with no positive prediction, recall with no positive row, F1 with neither, ROC AUC on one class, R2 of a constant
// target; and every metric where there are no rows, where a label or a prediction is NaN, a class is out of range or
// the lengths don't match.
func Metrics(task spec.Task, classes int, y, p []float64, threshold float64) Values {
	out := make(Values)
	w := ones(len(y))
	for _, name := range MetricNames(task) {
		out[name] = math.NaN()
		if value, err := (sample{task, classes, y, p, threshold}).statistic(name); err == nil {
			out[name] = value(w)
		}
	}
	return out
}

// sample is rows with their labels and predictions.
type sample struct {
	task      spec.Task
	classes   int
	y, p      []float64
	threshold float64
}

// statistic is a metric as a function of how often each row counts. Everything that doesn't depend on the weights is
// done once, so a bootstrap pays for a pass over the rows only; all weights 1 is the plain metric. The function is NaN
// where the metric is undefined, which includes labels and predictions that aren't numbers.
func (s sample) statistic(metric string) (func(w []int32) float64, error) {
	if err := knownMetric(s.task, metric); err != nil {
		return nil, err
	}
	outputs := 1
	if s.task == spec.Multiclass {
		outputs = s.classes
		if s.classes < 2 {
			return nil, fmt.Errorf("metric %s: classes: observed %d, a multiclass task has at least 2", metric, s.classes)
		}
	}
	if len(s.p) != len(s.y)*outputs {
		return nil, fmt.Errorf("metric %s: predictions: observed %d, expected %d rows x %d", metric, len(s.p), len(s.y), outputs)
	}
	if len(s.y) == 0 || !s.valid() {
		return func([]int32) float64 { return math.NaN() }, nil
	}
	switch s.task {
	case spec.Regression:
		return s.regression(metric), nil
	case spec.Multiclass:
		return s.multiclass(metric), nil
	default:
		return s.binary(metric), nil
	}
}

// valid reports whether every label and prediction is a number, and every class one of the task's.
func (s sample) valid() bool {
	for _, v := range s.p {
		if math.IsNaN(v) {
			return false
		}
	}
	classes := float64(s.classes)
	if s.task == spec.Binary {
		classes = 2
	}
	for _, v := range s.y {
		if math.IsNaN(v) {
			return false
		}
		if s.task != spec.Regression && (v < 0 || v >= classes || v != math.Trunc(v)) {
			return false
		}
	}
	return true
}

func (s sample) binary(metric string) func(w []int32) float64 {
	switch metric {
	case LogLoss:
		return weightedMean(s.logLosses(func(i int) float64 {
			if s.y[i] == 1 {
				return clip(s.p[i])
			}
			return clip(1 - s.p[i])
		}))
	case ROCAUC:
		r := rank(s.p, func(i int) bool { return s.y[i] == 1 })
		return r.area
	}
	const positive, predicted = 1, 2
	cell := make([]uint8, len(s.y))
	for i, y := range s.y {
		if y == 1 {
			cell[i] |= positive
		}
		if s.p[i] >= s.threshold {
			cell[i] |= predicted
		}
	}
	return func(w []int32) float64 {
		var count [4]int64
		for i, c := range cell {
			count[c] += int64(w[i])
		}
		tn, fn, fp, tp := float64(count[0]), float64(count[positive]), float64(count[predicted]), float64(count[positive|predicted])
		switch metric {
		case Precision:
			return tp / (tp + fp)
		case Recall:
			return tp / (tp + fn)
		case F1:
			return 2 * tp / (2*tp + fp + fn)
		default:
			return (tp + tn) / (tp + tn + fp + fn)
		}
	}
}

func (s sample) multiclass(metric string) func(w []int32) float64 {
	k := s.classes
	switch metric {
	case LogLoss:
		return weightedMean(s.logLosses(func(i int) float64 { return clip(s.p[i*k+int(s.y[i])]) }))
	case ROCAUC:
		return s.oneVersusRest()
	}
	actual, predicted := make([]int32, len(s.y)), make([]int32, len(s.y))
	for i := range s.y {
		actual[i], predicted[i] = int32(s.y[i]), int32(argmax(s.p[i*k:(i+1)*k]))
	}
	hits, rows, calls := make([]int64, k), make([]int64, k), make([]int64, k)
	return func(w []int32) float64 {
		clear(hits)
		clear(rows)
		clear(calls)
		var hit, all int64
		for i, a := range actual {
			n := int64(w[i])
			rows[a] += n
			calls[predicted[i]] += n
			all += n
			if a == predicted[i] {
				hits[a] += n
				hit += n
			}
		}
		if metric == Accuracy {
			return float64(hit) / float64(all)
		}
		return macro(metric, hits, rows, calls)
	}
}

// macro is the mean of precision, recall or F1 over the classes that have a row or a prediction.
func macro(metric string, hits, rows, calls []int64) float64 {
	sum, present := 0.0, 0.0
	for c := range hits {
		if rows[c] == 0 && calls[c] == 0 {
			continue
		}
		present++
		if hits[c] == 0 {
			continue
		}
		switch metric {
		case Precision:
			sum += float64(hits[c]) / float64(calls[c])
		case Recall:
			sum += float64(hits[c]) / float64(rows[c])
		default:
			sum += 2 * float64(hits[c]) / float64(rows[c]+calls[c])
		}
	}
	return sum / present
}

// oneVersusRest is the macro mean of each class's ROC AUC against all others, over the classes that have rows and
// aren't alone.
func (s sample) oneVersusRest() func(w []int32) float64 {
	ranked := make([]ranking, s.classes)
	scores := make([]float64, len(s.y))
	for c := range ranked {
		for i := range scores {
			scores[i] = s.p[i*s.classes+c]
		}
		ranked[c] = rank(scores, func(i int) bool { return int(s.y[i]) == c })
	}
	return func(w []int32) float64 {
		sum, defined := 0.0, 0.0
		for _, r := range ranked {
			if area := r.area(w); !math.IsNaN(area) {
				sum += area
				defined++
			}
		}
		return sum / defined
	}
}

// constantShare is the share of the squares under which a variance is rounding, and the target constant.
const constantShare = 0x1p-40

func (s sample) regression(metric string) func(w []int32) float64 {
	loss, center := make([]float64, len(s.y)), 0.0
	for i, y := range s.y {
		d := y - s.p[i]
		if metric == MAE {
			loss[i] = math.Abs(d)
		} else {
			loss[i] = d * d
		}
		center += (y - center) / float64(i+1)
	}
	mean := weightedMean(loss)
	switch metric {
	case MAE:
		return mean
	case RMSE:
		return func(w []int32) float64 { return math.Sqrt(mean(w)) }
	}
	return func(w []int32) float64 {
		// Deviations are taken from the mean of all rows, so that a large offset of the target doesn't cancel.
		var n, sum, squares float64
		for i, y := range s.y {
			d, weight := y-center, float64(w[i])
			n += weight
			sum += weight * d
			squares += weight * d * d
		}
		variance := squares/n - (sum/n)*(sum/n)
		if !(variance > constantShare*squares/n) {
			return math.NaN()
		}
		return 1 - mean(w)/variance
	}
}

// logLosses is -log of the probability that each row's own class was given.
func (s sample) logLosses(probability func(i int) float64) []float64 {
	out := make([]float64, len(s.y))
	for i := range out {
		out[i] = -math.Log(probability(i))
	}
	return out
}

// clip keeps a probability away from 0 and 1 by one unit in the last place of 1.
func clip(p float64) float64 { return math.Min(math.Max(p, 0x1p-52), 1-0x1p-52) }

func argmax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// weightedMean is the mean of values that count w[i] times each.
func weightedMean(values []float64) func(w []int32) float64 {
	return func(w []int32) float64 {
		sum, n := 0.0, int64(0)
		for i, v := range values {
			sum += float64(w[i]) * v
			n += int64(w[i])
		}
		return sum / float64(n)
	}
}
