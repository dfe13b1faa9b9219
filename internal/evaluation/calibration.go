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

// CalibrationVersion names the algorithm of Calibration; it rises when a number in it would come out differently.
const CalibrationVersion = 1

// Settings of the trial by which NannyML decides whether a class's scores are calibrated (nannyml/calibration.py,
// needs_calibration, 0.13.1).
const (
	calibrationSplits = 10    // trials
	calibrationTest   = 0.1   // share of the rows that each trial judges by
	calibrationBins   = 10    // of the expected calibration error
	separates         = 0.999 // a ROC AUC over this leaves nothing to calibrate
)

// sameScore is the difference under which isotonic regression takes two scores for one: the resolution of a float64
// (numpy.finfo), as scikit-learn has it.
const sameScore = 1e-15

// calibrationStream keeps the draws of the trials apart from other uses of the same seed.
const calibrationStream = 0x63616c6962726174

// Calibration makes probabilities of a classifier's scores: one isotonic curve for each output, learned from labelled
// rows that the model was not trained on. Probabilities are what quality is estimated from where labels are missing.
type Calibration struct {
	Version int `json:"version"`
	// Task is binary or multiclass.
	Task spec.Task `json:"task"`
	// Rows is how many labelled rows it was learned from.
	Rows int `json:"rows"`
	// Curves has one for each class, in the signature's order; one alone for a binary task. A curve without a knot
	// leaves scores as they are: they were as good without it.
	Curves []Curve `json:"curves"`
}

// Curve is a function that never falls: straight between its knots, constant beyond the outer ones.
type Curve struct {
	X []float64 `json:"x"` // ascending
	Y []float64 `json:"y"`
}

// ErrNoEstimate is wrapped by the errors of tasks and rows that no quality can be estimated for.
var ErrNoEstimate = errors.New("quality without labels can't be estimated")

// Calibrate learns a calibration from labels y and scores p, laid out as Metrics takes them. Each class is held against
// the rest. Its scores are calibrated where that makes them better probabilities: in ten trials a curve is learned from
// nine tenths of the rows, classes in proportion, and the expected calibration error of the other tenths, in ten bins
// of equally many rows, must be smaller with the curve than without. A class that has no row or no other row beside it,
// or that the scores separate from the rest (ROC AUC over 0.999), is left as it is. The seed fixes the trials.
//
// This is NannyML's procedure, with other random trials: it errs no further than a case that is all but even.
// A regression has no probabilities: ErrNoEstimate.
func Calibrate(task spec.Task, classes int, y, p []float64, seed uint64) (Calibration, error) {
	outputs := 1
	switch task {
	case spec.Binary:
	case spec.Multiclass:
		outputs = classes
	default:
		return Calibration{}, fmt.Errorf("%w: a %s model gives values, not probabilities", ErrNoEstimate, task)
	}
	if len(y) == 0 || len(p) != len(y)*outputs || !(sample{task: task, classes: classes, y: y, p: p}).valid() {
		return Calibration{}, fmt.Errorf("%w: %d labels and %d scores of %d classes are no labelled rows", ErrNoEstimate, len(y), len(p), outputs)
	}
	c := Calibration{Version: CalibrationVersion, Task: task, Rows: len(y), Curves: make([]Curve, outputs)}
	for class := range c.Curves {
		scores, is := make([]float64, len(y)), make([]float64, len(y))
		for i := range y {
			scores[i] = p[i*outputs+class]
			if (task == spec.Binary && y[i] == 1) || (task == spec.Multiclass && int(y[i]) == class) {
				is[i] = 1
			}
		}
		if worthCalibrating(scores, is, rand.New(rand.NewPCG(seed, calibrationStream+uint64(class)))) {
			c.Curves[class] = Isotonic(scores, is)
		}
	}
	return c, nil
}

// Check refuses a calibration that isn't one of a task with so many outputs, as read from a file.
func (c Calibration) Check(task spec.Task, outputs int) error {
	if c.Version != CalibrationVersion || c.Task != task || len(c.Curves) != outputs {
		return fmt.Errorf("calibration: version %d of a %s task with %d curves, want version %d of a %s task with %d",
			c.Version, c.Task, len(c.Curves), CalibrationVersion, task, outputs)
	}
	for i, curve := range c.Curves {
		ascending := len(curve.X) == len(curve.Y)
		for k := range curve.X {
			ascending = ascending && finite(curve.X[k]) && curve.Y[k] >= 0 && curve.Y[k] <= 1 &&
				(k == 0 || (curve.X[k] > curve.X[k-1] && curve.Y[k] >= curve.Y[k-1]))
		}
		if !ascending {
			return fmt.Errorf("calibration: curve %d doesn't rise from 0 to 1", i)
		}
	}
	return nil
}

// Probabilities calibrates scores, laid out as Metrics takes them; those of a multiclass row sum to 1, and are equal
// where the curves leave it none.
func (c Calibration) Probabilities(p []float64) []float64 {
	out, outputs := make([]float64, len(p)), len(c.Curves)
	for i, score := range p {
		out[i] = c.Curves[i%outputs].At(score)
	}
	if outputs == 1 {
		return out
	}
	for row := 0; row+outputs <= len(out); row += outputs {
		sum := 0.0
		for _, v := range out[row : row+outputs] {
			sum += v
		}
		for k := row; k < row+outputs; k++ {
			if sum == 0 {
				out[k] = 1 / float64(outputs)
				continue
			}
			out[k] /= sum
		}
	}
	return out
}

// At is the curve's value at a score.
func (c Curve) At(score float64) float64 {
	if len(c.X) == 0 || math.IsNaN(score) {
		return score
	}
	i, exact := slices.BinarySearch(c.X, score)
	switch {
	case exact:
		return c.Y[i]
	case i == 0:
		return c.Y[0]
	case i == len(c.X):
		return c.Y[i-1]
	}
	slope := (c.Y[i] - c.Y[i-1]) / (c.X[i] - c.X[i-1])
	return min(slope*(score-c.X[i-1])+c.Y[i-1], c.Y[i])
}

// point is rows of one score, or a block of them that has one value.
type point struct{ x, y, weight float64 }

// Isotonic is the curve that never falls and is closest to y at the scores, by the sum of squares: the pool adjacent
// violators algorithm (Barlow et al., Statistical Inference under Order Restrictions, 1972), knots as
// sklearn.isotonic.IsotonicRegression(out_of_bounds="clip") keeps them.
func Isotonic(scores, y []float64) Curve {
	return isotonic(scores, y, byScore(scores, y), nil)
}

// isotonic is Isotonic of rows in the order of byScore, without those that skip names; nil: all of them.
func isotonic(scores, y []float64, order []int, skip []bool) Curve {
	points := merged(scores, y, order, skip)
	// Blocks so far, each with its mean and how many points it took in.
	type block struct {
		sum, weight float64
		points      int
	}
	var blocks []block
	for _, p := range points {
		blocks = append(blocks, block{p.y * p.weight, p.weight, 1})
		for n := len(blocks); n > 1 && blocks[n-2].sum/blocks[n-2].weight >= blocks[n-1].sum/blocks[n-1].weight; n = len(blocks) {
			last := blocks[n-1]
			blocks = blocks[:n-1]
			blocks[n-2].sum += last.sum
			blocks[n-2].weight += last.weight
			blocks[n-2].points += last.points
		}
	}
	var c Curve
	at := 0
	for _, b := range blocks { // a block is flat: its ends say all
		mean := b.sum / b.weight
		c.X, c.Y = append(c.X, points[at].x), append(c.Y, mean)
		at += b.points
		if b.points > 1 {
			c.X, c.Y = append(c.X, points[at-1].x), append(c.Y, mean)
		}
	}
	return c
}

// byScore are the row numbers, ascending by score.
func byScore(scores, y []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(scores[a], scores[b]), cmp.Compare(y[a], y[b])) })
	return order
}

// merged are the rows in the order of byScore, those of one score as one with their mean.
func merged(scores, y []float64, order []int, skip []bool) []point {
	var out []point
	for _, i := range order {
		if skip != nil && skip[i] {
			continue
		}
		if n := len(out); n > 0 && scores[i]-out[n-1].x < sameScore {
			out[n-1].y += y[i]
			out[n-1].weight++
			continue
		}
		out = append(out, point{scores[i], y[i], 1})
	}
	for i := range out {
		out[i].y /= out[i].weight
	}
	return out
}

// worthCalibrating is the trial that Calibrate describes.
func worthCalibrating(scores, is []float64, source *rand.Rand) bool {
	area := rank(scores, func(i int) bool { return is[i] == 1 }).area(ones(len(scores)))
	if math.IsNaN(area) || area > separates {
		return false
	}
	var class [2][]int
	for i, y := range is {
		class[int(y)] = append(class[int(y)], i)
	}
	if len(class[0]) < 2 || len(class[1]) < 2 {
		return false
	}
	order, judges := byScore(scores, is), make([]bool, len(scores))
	var before, after, truth []float64
	for range calibrationSplits {
		clear(judges)
		for _, rows := range class {
			source.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			n := min(max(1, int(math.Round(calibrationTest*float64(len(rows))))), len(rows)-1)
			for _, row := range rows[:n] {
				judges[row] = true
			}
		}
		curve := isotonic(scores, is, order, judges)
		for row := range scores {
			if judges[row] {
				before, after, truth = append(before, scores[row]), append(after, curve.At(scores[row])), append(truth, is[row])
			}
		}
	}
	return calibrationError(before, truth) > calibrationError(after, truth)
}

// calibrationError is the expected calibration error: the mean difference of probability and outcome over bins of
// equally many rows (Naeini, Cooper & Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015).
// Rows of one probability stay in the order in which they came, which says nothing of their outcomes.
func calibrationError(p, y []float64) float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(p[a], p[b]), cmp.Compare(a, b)) })
	bins := min(calibrationBins, max(1, len(p)/2))
	sum := 0.0
	for b := range bins {
		difference := 0.0
		for _, i := range order[b*len(p)/bins : (b+1)*len(p)/bins] {
			difference += p[i] - y[i]
		}
		sum += math.Abs(difference) / float64(len(p))
	}
	return sum
}
