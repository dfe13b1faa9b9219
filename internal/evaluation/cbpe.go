package evaluation

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// An estimate's spread is measured on at most intervalRows rows, and fewer where many classes would make it slow; with
// more rows it is scaled down, as the root of their number.
const (
	intervalRows  = 20_000
	intervalCells = 4_000_000 // rows x classes x classes
)

// estimateResamples are drawn to measure an estimate's spread.
const estimateResamples = 200

// normal95 is the distance from the mean, in standard deviations, within which 95 % of a normal distribution lie.
const normal95 = 1.959963984540054

// Interval is an observed or estimated value and the bounds of its 95 % interval.
type Interval struct {
	Value float64 `json:"value"`
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	Rows  int     `json:"rows"`
}

// EstimatedMetrics are the metrics that CanEstimate, in the order in which people read them.
func EstimatedMetrics() []string { return []string{Accuracy, Precision, Recall, F1, ROCAUC} }

// CanEstimate reports whether a metric can be estimated without labels: those of EstimatedMetrics on a classifier.
func CanEstimate(task spec.Task, metric string) bool {
	return task != spec.Regression && slices.Contains(EstimatedMetrics(), metric)
}

// Estimate is what the metrics of rows without labels would be, if their probabilities are right: confidence-based
// performance estimation (CBPE; J. Kivimäki, J. Białek, J. Nurminen & W. Kuberski, Confidence-based Estimators for
// Predictive Performance in Model Monitoring, 2024) as NannyML 0.13.1 has it. A row that is called positive at probability q is expected to be q
// true and 1-q false positives, so the confusion matrix is expected cell by cell, and the metrics follow from it. ROC AUC
// takes the same expectations at every score as threshold. Multiclass: accuracy is the mean probability of the called
// class, the others are means over the classes, each against the rest.
//
// p are the model's scores as Metrics takes them. They decide what is called; c decides the probabilities. Where NannyML
// gives 0 for a value that nothing can be divided by, a binary metric here is NaN. Rows of one score count as one step of
// the ROC curve; NannyML takes them in the order in which its sort leaves them, which for a binary model is the same.
func Estimate(c Calibration, p []float64, threshold float64) Values {
	q, classes := c.Probabilities(p), len(c.Curves)
	if c.Task == spec.Binary {
		return expected(p, q, 1, 0, func(i int) bool { return p[i] >= threshold })
	}
	called := make([]int, len(p)/classes)
	out, sure := Values{}, 0.0
	for i := range called {
		called[i] = argmax(p[i*classes : (i+1)*classes])
		sure += q[i*classes+called[i]]
	}
	for class := range classes {
		for name, v := range expected(p, q, classes, class, func(i int) bool { return called[i] == class }) {
			if math.IsNaN(v) && name != ROCAUC {
				v = 0 // nothing is called so, or nothing is so: as in NannyML it counts among the classes
			}
			out[name] += v / float64(classes)
		}
	}
	out[Accuracy] = sure / float64(len(called))
	return out
}

// expected are the metrics of one class against the rest.
func expected(p, q []float64, outputs, class int, called func(i int) bool) Values {
	var tp, fp, fn, tn float64
	rows := len(p) / outputs
	scores := make([]float64, rows)
	for i := range rows {
		v := q[i*outputs+class]
		scores[i] = p[i*outputs+class]
		if called(i) {
			tp, fp = tp+v, fp+1-v
		} else {
			fn, tn = fn+v, tn+1-v
		}
	}
	return Values{
		Accuracy: (tp + tn) / float64(rows), Precision: tp / (tp + fp), Recall: tp / (tp + fn), F1: tp / (tp + (fp+fn)/2),
		ROCAUC: expectedArea(scores, func(i int) float64 { return q[i*outputs+class] }),
	}
}

// expectedArea is the area under the ROC curve that runs through the expected rates at every score.
func expectedArea(scores []float64, probability func(i int) float64) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var positives, negatives, area float64
	for at := 0; at < len(order); {
		var up, right float64
		score := scores[order[at]]
		for ; at < len(order) && scores[order[at]] == score; at++ {
			v := probability(order[at])
			up, right = up+v, right+1-v
		}
		area += right * (positives + up/2)
		positives, negatives = positives+up, negatives+right
	}
	return area / positives / negatives
}

// EstimateInterval is Estimate of one metric with the interval in which the metric will lie in 95 % of cases once the
// labels are there, if the probabilities are right: labels are drawn from them, on at most 20,000 of the rows, and the
// spread of the metric makes a normal interval around the estimate. It says nothing about probabilities that are wrong.
// The seed fixes the draws. ErrNoEstimate: the metric isn't one of EstimatedMetrics or the rows have no value.
func EstimateInterval(c Calibration, metric string, p []float64, threshold float64, seed uint64) (Interval, error) {
	if !CanEstimate(c.Task, metric) {
		return Interval{}, fmt.Errorf("%w: metric %s", ErrNoEstimate, metric)
	}
	outputs := len(c.Curves)
	for _, v := range p {
		if math.IsNaN(v) {
			return Interval{}, fmt.Errorf("%w: a score isn't a number", ErrNoEstimate)
		}
	}
	out := Interval{Rows: len(p) / outputs, Value: math.NaN()}
	if len(p) > 0 {
		out.Value = Estimate(c, p, threshold)[metric]
	}
	if !finite(out.Value) {
		return Interval{}, fmt.Errorf("%w: %s of %d rows has no value (%s)", ErrNoEstimate, metric, out.Rows, undefinedBecause(metric))
	}
	some := thinned(p, outputs)
	spread, err := c.spread(metric, some, threshold, seed)
	if err != nil {
		return Interval{}, err
	}
	spread *= math.Sqrt(float64(len(some)) / float64(len(p)))
	out.Lower, out.Upper = max(0, out.Value-normal95*spread), min(1, out.Value+normal95*spread)
	return out, nil
}

// thinned are the rows that the spread is measured on, evenly spaced.
func thinned(p []float64, outputs int) []float64 {
	rows, limit := len(p)/outputs, min(intervalRows, max(500, intervalCells/(outputs*outputs)))
	if rows <= limit {
		return p
	}
	out := make([]float64, 0, limit*outputs)
	for k := range limit {
		i := k * rows / limit
		out = append(out, p[i*outputs:(i+1)*outputs]...)
	}
	return out
}

// spread is the standard deviation of the metric over labels that are drawn from the probabilities. Every row stands
// there once for each label that it may have; a draw gives one of them the weight 1.
func (c Calibration) spread(metric string, p []float64, threshold float64, seed uint64) (float64, error) {
	q, outputs := c.Probabilities(p), len(c.Curves)
	labels := max(2, outputs)
	rows := len(p) / outputs
	s := sample{task: c.Task, classes: labels, threshold: threshold, y: make([]float64, 0, rows*labels), p: make([]float64, 0, rows*labels*outputs)}
	for i := range rows {
		for label := range labels {
			s.y = append(s.y, float64(label))
			s.p = append(s.p, p[i*outputs:(i+1)*outputs]...)
		}
	}
	value, err := s.statistic(metric)
	if err != nil {
		return 0, err
	}
	source := rand.New(rand.NewPCG(seed, estimateStream))
	weights := make([]int32, rows*labels)
	var n, mean, squares float64
	for range estimateResamples {
		clear(weights)
		for i := range rows {
			weights[i*labels+drawn(q[i*outputs:(i+1)*outputs], source.Float64())] = 1
		}
		if v := value(weights); finite(v) {
			n++
			d := v - mean
			mean += d / n
			squares += d * (v - mean)
		}
	}
	if n < (1-maxUndefined)*estimateResamples {
		return 0, fmt.Errorf("%w: %s of %d rows has a value in %d of %d draws only (%s)", ErrNoEstimate, metric, rows, int(n), estimateResamples, undefinedBecause(metric))
	}
	return math.Sqrt(squares / n), nil
}

// estimateStream keeps these draws apart from other uses of the same seed.
const estimateStream = 0x657374696d617465

// drawn is the label that a uniform number of [0, 1) draws; of a binary row q is the probability of 1.
func drawn(q []float64, u float64) int {
	if len(q) == 1 {
		if u < q[0] {
			return 1
		}
		return 0
	}
	for label, v := range q {
		if u -= v; u < 0 {
			return label
		}
	}
	return len(q) - 1
}

// Observed is a metric of labelled rows with its 95 % interval: the percentiles of the metric over rows drawn with
// replacement (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13). A resample on which the metric has no
// value is left out; more than 5 % of them, no rows, or no value on the rows themselves wrap ErrUndefined. The seed fixes
// the draws; resamples <= 0 is DefaultResamples.
func Observed(task spec.Task, classes int, y, p []float64, threshold float64, metric string, resamples int, seed uint64) (Interval, error) {
	value, err := sample{task, classes, y, p, threshold}.statistic(metric)
	if err != nil {
		return Interval{}, fmt.Errorf("interval: %w", err)
	}
	if resamples <= 0 {
		resamples = DefaultResamples
	}
	weights := ones(len(y))
	out := Interval{Value: value(weights), Rows: len(y)}
	if !finite(out.Value) {
		return Interval{}, fmt.Errorf("%s on %d rows has no value (%s): %w", metric, len(y), undefinedBecause(metric), ErrUndefined)
	}
	source := rand.New(rand.NewPCG(seed, bootstrapStream))
	values := make([]float64, 0, resamples)
	for range resamples {
		resample(weights, nil, source)
		if v := value(weights); finite(v) {
			values = append(values, v)
		}
	}
	if undefined := resamples - len(values); float64(undefined) > maxUndefined*float64(resamples) {
		return Interval{}, fmt.Errorf("%s on %d rows: %d of %d resamples have no value (%s), more than %g %%: %w",
			metric, len(y), undefined, resamples, undefinedBecause(metric), 100*maxUndefined, ErrUndefined)
	}
	slices.Sort(values)
	out.Lower, out.Upper = quantile(values, 0.025), quantile(values, 0.975)
	return out, nil
}

// NoValue reports whether an error says that a metric has no value on the rows at hand, and nothing worse.
func NoValue(err error) bool { return errors.Is(err, ErrUndefined) || errors.Is(err, ErrNoEstimate) }
