package search

import (
	"fmt"
	"math"
	"slices"
)

// Kinds of pruners.
const (
	PruneNone      = "none"
	PruneMedian    = "median"
	PruneHyperband = "hyperband"
)

// Pruners lists the valid ones.
func Pruners() []string { return []string{PruneNone, PruneMedian, PruneHyperband} }

// Report is what a trial said of itself after a step.
type Report struct {
	Step  int     `json:"step"`
	Value float64 `json:"value"`
}

// Course is a trial's reports, by rising steps.
type Course struct {
	Number  int      `json:"number"`
	State   State    `json:"state"`
	Reports []Report `json:"reports,omitempty"`

	apart int // steps that reports are apart at least, all but the newest; 0: any
}

// Pruner says when a trial isn't worth its time.
type Pruner struct {
	Kind string
	Goal Goal

	MinTrials int // median: complete trials that it needs
	Warmup    int // median: steps that are never judged
	Every     int // median: judged each so many steps

	MinSteps int // hyperband: steps before the first rung
	MaxSteps int // hyperband: of a whole training; 0: what Total says, or the longest complete trial
	Factor   int // hyperband: of a rung's trials, one in so many goes on; and of the steps between rungs
}

// Judges says whether the pruner looks at a trial that went from one step to another. Between its looks nothing about
// other trials needs to be known.
func (p Pruner) Judges(number, from, to, total int) bool {
	switch p.Kind {
	case PruneMedian:
		every := max(1, p.Every)
		return to > p.Warmup && to/every > max(from, p.Warmup)/every
	case PruneHyperband:
		limit := p.limit(nil, total)
		if limit == 0 { // known only by those that are complete
			return true
		}
		before, _ := p.rung(number, from, limit)
		after, _ := p.rung(number, to, limit)
		return after > before
	}
	return false
}

// Prune says whether a trial should end after its newest report, and why. total is how many steps it will have; 0: not
// known. A report that is no number is worse than any.
func (p Pruner) Prune(trial Course, others []Course, total int) (bool, string) {
	if len(trial.Reports) == 0 {
		return false, ""
	}
	switch p.Kind {
	case PruneMedian:
		return p.byMedian(trial, others)
	case PruneHyperband:
		return p.byRung(trial, others, total)
	}
	return false, ""
}

// byMedian prunes a trial whose best value so far is worse than the median of what complete trials had at its step
// (Golovin et al., "Google Vizier", KDD 2017; as Optuna applies it).
func (p Pruner) byMedian(trial Course, others []Course) (bool, string) {
	step := trial.Reports[len(trial.Reports)-1].Step
	var there []float64
	for _, o := range others {
		if o.Number == trial.Number || o.State != Complete {
			continue
		}
		if v, ok := o.at(step); ok && !math.IsNaN(v) {
			there = append(there, v)
		}
	}
	if len(there) < max(1, p.MinTrials) {
		return false, ""
	}
	slices.Sort(there)
	median := there[len(there)/2]
	if len(there)%2 == 0 {
		median = there[len(there)/2-1]/2 + median/2
	}
	best := math.NaN()
	for _, r := range trial.Reports {
		if p.Goal.better(r.Value, best) {
			best = r.Value
		}
	}
	if !p.Goal.better(median, best) {
		return false, ""
	}
	return true, fmt.Sprintf("best %.6g until step %d, the median of %d trials there is %.6g", best, step, len(there), median)
}

// byRung is asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys
// 2020) in the brackets of Hyperband (Li et al., JMLR 2018): at each rung a trial goes on if it is among the best
// one-in-Factor of those of its bracket that came so far, those that still run included.
func (p Pruner) byRung(trial Course, others []Course, total int) (bool, string) {
	limit := p.limit(others, total)
	if limit == 0 {
		return false, ""
	}
	last := trial.Reports[len(trial.Reports)-1].Step
	rung, at := p.rung(trial.Number, last, limit)
	if rung < 0 || at >= limit {
		return false, ""
	}
	own, _ := trial.at(at)
	bracket, rivals, ahead := p.bracket(trial.Number, limit), 1, 0
	for _, o := range others {
		if o.Number == trial.Number || p.bracket(o.Number, limit) != bracket || o.State == Failed {
			continue
		}
		if v, ok := o.at(at); ok && o.Reports[len(o.Reports)-1].Step >= at {
			rivals++
			if p.Goal.better(v, own) {
				ahead++
			}
		}
	}
	if ahead < max(1, rivals/p.factor()) {
		return false, ""
	}
	return true, fmt.Sprintf("%.6g at step %d: %d of %d trials that came so far were better", own, at, ahead, rivals-1)
}

func (p Pruner) factor() int { return max(2, p.Factor) }

// limit is how many steps a whole training has; 0: not known yet.
func (p Pruner) limit(others []Course, total int) int {
	if p.MaxSteps > 0 {
		return p.MaxSteps
	}
	if total > 0 {
		return total
	}
	longest := 0
	for _, o := range others {
		if o.State == Complete && len(o.Reports) > 0 {
			longest = max(longest, o.Reports[len(o.Reports)-1].Step)
		}
	}
	return longest
}

// rung is the newest rung that a step has reached, and the step at which it stands; -1 before the first.
func (p Pruner) rung(number, step, limit int) (rung, at int) {
	rung = -1
	next := max(1, p.MinSteps)
	for range p.bracket(number, limit) {
		next = grown(next, p.factor(), limit)
	}
	for next <= step && next < limit {
		rung, at = rung+1, next
		next = grown(next, p.factor(), limit)
	}
	return rung, at
}

// grown is steps times factor, no more than limit.
func grown(steps, factor, limit int) int {
	if steps > limit/factor {
		return limit
	}
	return steps * factor
}

// bracket gives a trial its bracket by its number: bracket b skips the first b rungs. The earlier brackets, which prune
// more, get more trials, so that each bracket takes about as many steps.
func (p Pruner) bracket(number, limit int) int {
	brackets := 1
	for steps := max(1, p.MinSteps); steps <= limit/p.factor(); steps *= p.factor() {
		brackets++
	}
	total := 0
	weights := make([]int, brackets)
	for b := range weights {
		// Hyperband's own: ceil((s+1) / (s_b+1) * factor^s_b) trials, at most as many as fit into an int.
		s := brackets - 1 - b
		weights[b] = int(min(math.Ceil(float64(brackets)/float64(s+1)*math.Pow(float64(p.factor()), float64(s))), 1e6))
		total += weights[b]
	}
	// A number's place is its share of the golden ratio's multiples: spread evenly, whatever the number of trials.
	_, part := math.Modf(float64(number) * (math.Sqrt(5) - 1) / 2)
	place := part * float64(total)
	for b, w := range weights {
		if place -= float64(w); place < 0 {
			return b
		}
	}
	return brackets - 1
}

// at is the newest value at a step or before it; ok is false where there is none yet.
func (c Course) at(step int) (value float64, ok bool) {
	for _, r := range c.Reports {
		if r.Step > step {
			break
		}
		value, ok = r.Value, true
	}
	return value, ok
}

// MaxReports bounds a course that is kept.
const MaxReports = 256

// Add appends a report. It takes the place of any of its step or a later one: a training went back to a checkpoint. Where
// there are too many, every second goes, and those that follow are as far apart; the newest is always there.
func (c *Course) Add(r Report) {
	for n := len(c.Reports); n > 0 && c.Reports[n-1].Step >= r.Step; n-- {
		c.Reports = c.Reports[:n-1]
	}
	if n := len(c.Reports); n > 1 && c.Reports[n-1].Step-c.Reports[n-2].Step < c.apart {
		c.Reports = c.Reports[:n-1]
	}
	if n := len(c.Reports); n >= MaxReports {
		c.apart = max(1, 2*(c.Reports[n-1].Step-c.Reports[0].Step)/(n-1))
		kept := c.Reports[:1]
		for _, old := range c.Reports[1:] {
			if old.Step-kept[len(kept)-1].Step >= c.apart {
				kept = append(kept, old)
			}
		}
		c.Reports = kept[:min(len(kept), MaxReports-1)]
	}
	c.Reports = append(c.Reports, r)
}
