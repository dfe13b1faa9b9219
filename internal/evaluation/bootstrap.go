package evaluation

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// DefaultResamples is how many bootstrap resamples make a comparison.
const DefaultResamples = 500

// A bound is a quantile of the resampled differences, and worth no more than the resamples beyond it: with 500 of them
// the 99.9 % bound would be the worst or the second worst. So there are at least minBeyond, up to maxResamples in all.
const (
	minBeyond    = 20
	maxResamples = 10_000
)

// minGroups is how many groups it takes to resample groups.
const minGroups = 10

// maxUndefined is the share of resamples on which a metric may be undefined (one class only) before there is no bound.
const maxUndefined = 0.05

// ErrUndefined is wrapped by the errors of a comparison that has no value: no rows, one class only, predictions that
// aren't numbers. It says nothing against the challenger; a person has to look.
var ErrUndefined = errors.New("the comparison is undefined")

// Comparison is the challenger against the champion on the same rows.
type Comparison struct {
	Metric     string  `json:"metric"`
	Champion   float64 `json:"champion"`
	Challenger float64 `json:"challenger"`
	// Difference is how much better the challenger is: positive is better for every metric, also for those where
	// smaller values are (log_loss, rmse, mae).
	Difference float64 `json:"difference"`
	// Lower bounds Difference from below: in Confidence of the resamples it is at least this.
	Lower      float64 `json:"lower"`
	Rows       int     `json:"rows"`
	Confidence float64 `json:"confidence"`
	Resamples  int     `json:"resamples"` // that had a value for both
}

// Duel is two models' predictions for the same rows.
type Duel struct {
	Task    spec.Task
	Classes int       // of a multiclass task
	Y       []float64 // class index, or value
	// Champion and Challenger are row-major probabilities (binary: of the positive class) or values.
	Champion, Challenger                   []float64
	ChampionThreshold, ChallengerThreshold float64 // binary: from where a row is positive
	// Groups has the group of each row as an index; negative: a group of its own. nil: every row is one. Rows of a group
	// resemble each other, so they are drawn together: drawn one by one they would make the bound too narrow.
	Groups []int32
}

// Bootstrap compares the two by a metric. Rows are drawn with replacement, the same ones for both models, and Lower is
// the (1-confidence) quantile of the differences: the percentile method, one-sided (Efron & Tibshirani, An Introduction
// to the Bootstrap, 1993, ch. 13). With Groups whole groups are drawn (the cluster bootstrap: Davison & Hinkley,
// Bootstrap Methods and their Application, 1997, ch. 3.8). The seed fixes every draw. resamples <= 0 is
// DefaultResamples; a high confidence raises it.
//
// A resample on which the metric is undefined for either model is left out; more than 5 % of them is an error, as are
// no rows, fewer than 10 groups, and a metric that is undefined on the rows themselves. Those wrap ErrUndefined.
func (d Duel) Bootstrap(metric string, confidence float64, resamples int, seed uint64) (Comparison, error) {
	if !(confidence > 0 && confidence < 1) {
		return Comparison{}, fmt.Errorf("bootstrap %s: confidence: observed %v, must be between 0 and 1", metric, confidence)
	}
	if resamples <= 0 {
		resamples = DefaultResamples
	}
	resamples = max(resamples, int(min(maxResamples, math.Ceil(minBeyond/(1-confidence)))))
	champion, err := sample{d.Task, d.Classes, d.Y, d.Champion, d.ChampionThreshold}.statistic(metric)
	if err != nil {
		return Comparison{}, fmt.Errorf("bootstrap: champion: %w", err)
	}
	challenger, err := sample{d.Task, d.Classes, d.Y, d.Challenger, d.ChallengerThreshold}.statistic(metric)
	if err != nil {
		return Comparison{}, fmt.Errorf("bootstrap: challenger: %w", err)
	}
	n := len(d.Y)
	weights := ones(n)
	c := Comparison{Metric: metric, Champion: champion(weights), Challenger: challenger(weights), Rows: n, Confidence: confidence}
	if !finite(c.Champion) || !finite(c.Challenger) {
		return Comparison{}, fmt.Errorf("bootstrap %s on %d rows: champion %v, challenger %v (%s): %w",
			metric, n, c.Champion, c.Challenger, undefinedBecause(metric), ErrUndefined)
	}
	clusters, err := d.clusters()
	if err != nil {
		return Comparison{}, fmt.Errorf("bootstrap %s: %w", metric, err)
	}
	sign := 1.0
	if SmallerIsBetter(metric) {
		sign = -1
	}
	c.Difference = sign * (c.Challenger - c.Champion)
	differences := make([]float64, 0, resamples)
	source := rand.New(rand.NewPCG(seed, bootstrapStream))
	for range resamples {
		resample(weights, clusters, source)
		if diff := sign * (challenger(weights) - champion(weights)); finite(diff) {
			differences = append(differences, diff)
		}
	}
	if undefined := resamples - len(differences); float64(undefined) > maxUndefined*float64(resamples) {
		return Comparison{}, fmt.Errorf("bootstrap %s on %d rows: %d of %d resamples have no value (%s), more than %g %%: %w",
			metric, n, undefined, resamples, undefinedBecause(metric), 100*maxUndefined, ErrUndefined)
	}
	slices.Sort(differences)
	c.Lower, c.Resamples = quantile(differences, 1-confidence), len(differences)
	return c, nil
}

// bootstrapStream is the second word of the generator's state, so that another use of the same seed draws other
// numbers.
const bootstrapStream = 0x6c65616e6c6f6f70

// clusters are the rows of each group; nil where every row is one of its own.
func (d Duel) clusters() ([][]int32, error) {
	if d.Groups == nil {
		return nil, nil
	}
	if len(d.Groups) != len(d.Y) {
		return nil, fmt.Errorf("groups: observed %d, expected one for each of %d rows", len(d.Groups), len(d.Y))
	}
	var clusters [][]int32
	at := map[int32]int{}
	for row, group := range d.Groups {
		i, known := at[group]
		if group < 0 || !known {
			i = len(clusters)
			clusters = append(clusters, nil)
			at[group] = i
		}
		clusters[i] = append(clusters[i], int32(row))
	}
	if len(clusters) < minGroups {
		return nil, fmt.Errorf("%d groups < %d, too few to tell how they differ: %w", len(clusters), minGroups, ErrUndefined)
	}
	return clusters, nil
}

// resample sets weights to how often each row is drawn, when as many rows, or clusters of them, are drawn with
// replacement as there are.
func resample(weights []int32, clusters [][]int32, source *rand.Rand) {
	clear(weights)
	if clusters == nil {
		for range weights {
			weights[source.IntN(len(weights))]++
		}
		return
	}
	for range clusters {
		for _, row := range clusters[source.IntN(len(clusters))] {
			weights[row]++
		}
	}
}

func ones(n int) []int32 {
	w := make([]int32, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// quantile is the q-quantile of sorted values by linear interpolation (Hyndman & Fan 1996, type 7: NumPy's default);
// NaN for no values.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (sorted[low+1]-sorted[low])*(at-float64(low))
}
