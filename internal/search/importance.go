package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/leanloop/leanloop/internal/search/space"
)

// Importance is how much of the differences between trials one parameter explains by itself.
type Importance struct {
	Param  string  `json:"param"`
	Share  float64 `json:"share"`  // 0 to 1
	Trials int     `json:"trials"` // it was computed of
}

// importanceBins is into how many groups of equal size a number's values are cut; fewer trials make fewer.
const importanceBins = 5

// Importances are those of each parameter, the greatest first: epsilon squared of the ranks of the values, grouped by the
// parameter (a choice by its value, a number by five groups of equal size, a trial that hasn't got it by itself). It is
// the share of the variance between groups, less what chance alone would give (Kelley 1935; on ranks, so that one huge
// loss doesn't decide). It sees a parameter's main effect only: what two parameters do together, it doesn't. Values of
// complete trials count. With fewer than ten of those it gives none.
func Importances(s *space.Compiled, trials []Trial) []Importance {
	var known []Trial
	for _, t := range trials {
		if t.State == Complete && t.judged() {
			known = append(known, t)
		}
	}
	if len(known) < startup {
		return nil
	}
	ranks := ranksOf(known)
	out := make([]Importance, len(s.Params))
	for i := range s.Params {
		out[i] = Importance{Param: s.Params[i].Name, Share: explained(groupsOf(&s.Params[i], known), ranks), Trials: len(known)}
	}
	slices.SortStableFunc(out, func(a, b Importance) int { return cmp.Compare(b.Share, a.Share) })
	return out
}

// ranksOf are the trials' ranks by value; equal ones share the mean of theirs.
func ranksOf(trials []Trial) []float64 {
	order := make([]int, len(trials))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(trials[a].Value, trials[b].Value) })
	out := make([]float64, len(trials))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && trials[order[j]].Value == trials[order[i]].Value {
			j++
		}
		for k := i; k < j; k++ {
			out[order[k]] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}

// groupsOf names the group of each trial.
func groupsOf(p *space.Param, trials []Trial) []string {
	out := make([]string, len(trials))
	var numbers []float64
	for _, t := range trials {
		if v, ok := t.Params[p.Name].(float64); ok && p.Kind != space.Choice {
			numbers = append(numbers, v)
		}
	}
	slices.Sort(numbers)
	bins := max(1, min(importanceBins, len(numbers)/4))
	for i, t := range trials {
		v, ok := t.Params[p.Name]
		switch {
		case !ok:
			out[i] = "none"
		case p.Kind == space.Choice:
			out[i] = fmt.Sprintf("%T %v", v, v)
		default:
			f, _ := v.(float64)
			below, _ := slices.BinarySearch(numbers, f) // equal values are in one group
			out[i] = fmt.Sprint(below * bins / max(1, len(numbers)))
		}
	}
	return out
}

// explained is epsilon squared: (SSB - (k-1) MSW) / SST, no less than 0.
func explained(groups []string, values []float64) float64 {
	n := float64(len(values))
	sums, counts := map[string]float64{}, map[string]float64{}
	mean := 0.0
	for i, v := range values {
		mean += v
		sums[groups[i]] += v
		counts[groups[i]]++
	}
	mean /= n
	total, within := 0.0, 0.0
	for i, v := range values {
		total += (v - mean) * (v - mean)
		own := sums[groups[i]] / counts[groups[i]]
		within += (v - own) * (v - own)
	}
	k := float64(len(counts))
	if total == 0 || n <= k || k < 2 {
		return 0
	}
	share := (total - within - (k-1)*within/(n-k)) / total
	return min(max(share, 0), 1)
}

// Progress is the best value after each trial that ended, in the order of their numbers: NaN before the first.
func (g Goal) Progress(trials []Trial) []float64 {
	best := math.NaN()
	out := make([]float64, 0, len(trials))
	for _, t := range byNumber(trials) {
		if t.State == Complete && t.judged() && g.better(t.Value, best) {
			best = t.Value
		}
		out = append(out, best)
	}
	return out
}
