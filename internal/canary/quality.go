package canary

import (
	"fmt"
	"math"
	"time"
)

const (
	// QualityEvery is how often labels are read at most: they come by files, and reading those takes its time.
	QualityEvery = 10 * time.Minute

	// minLabelled is how many labelled answers an arm needs whatever the spec says: the bound of a mean rests on sums that
	// are nearly normal.
	minLabelled = 50

	// qualityStale is how many readings may fail to come before the last one says nothing about now.
	qualityStale = 3
)

// Quality is what labels say of the answers that both arms gave in a step, as they were read at a time.
type Quality struct {
	From       time.Time `json:"from"` // of the answers: State.StepSince
	At         time.Time `json:"at"`   // when it was read
	Metric     string    `json:"metric"`
	Champion   Labelled  `json:"champion"`
	Challenger Labelled  `json:"challenger"`
	Problem    string    `json:"problem,omitempty"` // why it couldn't be read
}

// Labelled sums up one arm's loss on its answers that have a label, one row of each request and of each id: rows of one
// request, and answers about one thing, resemble each other.
//
// The loss of a row is what its metric is the mean of: 1 for a wrong class (accuracy), the negative logarithm of the
// label's probability (log_loss), the absolute error (mae) or the squared one (rmse).
type Labelled struct {
	Rows    int64   `json:"rows"`
	Sum     float64 `json:"sum"`     // of losses
	Squares float64 `json:"squares"` // of losses
}

// Add counts one row.
func (l *Labelled) Add(loss float64) {
	l.Rows++
	l.Sum += loss
	l.Squares += loss * loss
}

func (l Labelled) mean() float64 { return l.Sum / float64(max(1, l.Rows)) }

// variance is of one row's loss.
func (l Labelled) variance() float64 {
	return max(0, l.Squares/float64(max(1, l.Rows))-l.mean()*l.mean())
}

// WithQuality is the state with what was read about this step. What is about another, or older, changes nothing.
func WithQuality(s State, q Quality) State {
	if !q.From.Equal(s.StepSince) || s.Quality != nil && q.At.Before(s.Quality.At) {
		return s
	}
	s.Quality = &q
	return s
}

// Value is the metric as people know it, from the mean loss.
func (l Labelled) Value(metric string) float64 {
	switch metric {
	case "accuracy":
		return 1 - l.mean()
	case "rmse":
		return math.Sqrt(l.mean())
	}
	return l.mean()
}

// qualityCheck compares quality on labels, where they come. It fails when even the least loss that the data allow is over
// MaxLoss. Too few labels hold nothing up unless the spec requires them; labels that can't be read do.
func qualityCheck(s State, now time.Time) Check {
	want := s.Config.Quality
	c := Check{Name: "quality", Limit: want.MaxLoss}
	q := s.Quality
	stale := qualityStale * max(QualityEvery, s.LabelsEvery())
	switch {
	case q == nil:
		return c.inconclusive("quality: the labels of this step weren't read yet")
	case q.Problem != "":
		return c.inconclusive("quality: " + q.Problem)
	case now.Sub(q.At) > stale:
		return c.inconclusive(fmt.Sprintf("quality: the labels were read %s ago, more than %s", now.Sub(q.At).Round(time.Second), stale))
	}
	champion := q.Champion
	if b := s.BaselineLabels; champion.Rows < int64(want.MinRows) && b != nil && b.Rows > champion.Rows {
		champion = *b
	}
	few, rows := "challenger", q.Challenger.Rows
	if champion.Rows < rows {
		few, rows = "champion", champion.Rows
	}
	if least := int64(max(want.MinRows, minLabelled)); rows < least {
		c.Optional = !want.Required
		return c.inconclusive(fmt.Sprintf("quality: %d labelled answers of the %s < canary.quality.min_rows %d", rows, few, least))
	}
	return s.compareQuality(c, champion, q.Challenger)
}

func (s State) compareQuality(c Check, champion, challenger Labelled) Check {
	metric, limit := s.Config.Quality.Metric, s.Config.Quality.MaxLoss
	loss, least := lossBound(metric, champion, challenger, s.share())
	c.Observed = loss
	seen := fmt.Sprintf("quality: %s %.4g on %d labelled answers against the champion's %.4g on %d", metric,
		challenger.Value(metric), challenger.Rows, champion.Value(metric), champion.Rows)
	switch {
	case least > limit:
		c.Verdict, c.Message = Fail, fmt.Sprintf("%s: worse by at least %.4g > %.4g", seen, least, limit)
	case loss > limit:
		return c.inconclusive(fmt.Sprintf("%s: worse by %.4g > %.4g, not certain yet (at least %.4g)", seen, loss, limit, max(0, least)))
	default:
		c.Verdict, c.Message = Pass, fmt.Sprintf("%s: worse by %.4g <= %.4g", seen, loss, limit)
		if loss <= 0 {
			c.Message = seen + ": no worse"
		}
	}
	return c
}

// lossBound is how much worse the challenger was seen to be, and a lower bound of the truth that holds at every look
// together with probability 1 - alpha.
//
// Accuracy is a rate, and has the exact bounds of rates. The other losses have no bound of their own, so their means have
// the asymptotic confidence sequence that predictions have (see shift); the root of a mean goes by the delta method. Losses
// are skewed: a few huge ones make most of the mean, and of an arm that has had none of those yet, mean and variance are both
// too small. So the champion's, which may have few rows, counts as no less varied than the challenger's.
func lossBound(metric string, champion, challenger Labelled, alpha float64) (loss, least float64) {
	if metric == "accuracy" {
		low, _ := rateBounds(int64(math.Round(challenger.Sum)), challenger.Rows, alpha/2)
		_, high := rateBounds(int64(math.Round(champion.Sum)), champion.Rows, alpha/2)
		return challenger.mean() - champion.mean(), low - high
	}
	n, m := float64(champion.Rows), float64(challenger.Rows)
	a, b := max(champion.variance(), challenger.variance())/n, challenger.variance()/m
	loss = challenger.mean() - champion.mean()
	if metric == "rmse" {
		loss = math.Sqrt(challenger.mean()) - math.Sqrt(champion.mean())
		a, b = a/(4*max(champion.mean(), math.SmallestNonzeroFloat64)), b/(4*max(challenger.mean(), math.SmallestNonzeroFloat64))
	}
	least = loss - math.Sqrt(a+b)*timeUniform(n*m/(n+m), alpha)
	if math.IsNaN(least) || math.IsInf(least, 0) || math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, math.Inf(-1)
	}
	return loss, least
}

// LabelsEvery is how often the step's labels are read.
func (s State) LabelsEvery() time.Duration {
	return max(s.Config.Interval.D(), min(QualityEvery, s.hold()/8))
}
