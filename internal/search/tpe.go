package search

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/leanloop/leanloop/internal/search/space"
)

// Settings of the tree-structured Parzen estimator. The method is Bergstra et al., "Algorithms for Hyper-Parameter
// Optimization" (NeurIPS 2011) and "Making a Science of Model Search" (ICML 2013); the joint density of all parameters
// is that of Falkner et al., "BOHB" (ICML 2018); bandwidths, the prior and the weights of old trials are those that
// Optuna 5 uses by default (Watanabe, "Tree-Structured Parzen Estimator", arXiv:2304.11127). The share of good trials,
// the number of candidates and the spread of the first trials are ours: they find better values within 50 trials
// (docs/benchmarks.md).
const (
	startup    = 10   // trials drawn at random before there is anything to estimate by
	candidates = 48   // drawn from the good trials' density, of which the best is taken
	goodShare  = 0.15 // of the trials that ended
	mostGood   = 25
	recent     = 25 // trials that weigh fully; older ones less and less
)

// estimate draws candidates from the density of the good trials and takes the one for which it is greatest beside that
// of the others. A parameter that a trial hasn't got is, in that trial's kernel, whatever the prior says, so that
// conditional parameters need no estimator of their own.
func (s Study) estimate(history []Trial, number int) map[string]any {
	r := s.random(number)
	known := byNumber(history)
	good, others := s.split(known)
	if len(good) == 0 {
		return s.unlike(known, s.spreadPoint(number, r), r)
	}
	better, worse := newMixture(s.Space, good), newMixture(s.Space, others)
	var best map[string]any
	highest := math.Inf(-1)
	var spare map[string]any // the best that was tried already
	spareHighest := math.Inf(-1)
	for range candidates {
		c := better.sample(r)
		gain := better.logDensity(c) - worse.logDensity(c)
		if math.IsNaN(gain) {
			gain = math.Inf(-1)
		}
		if tried(known, c) {
			if spare == nil || gain > spareHighest {
				spare, spareHighest = c, gain
			}
			continue
		}
		if best == nil || gain > highest {
			best, highest = c, gain
		}
	}
	if best == nil {
		return s.unlike(known, spare, r)
	}
	return best
}

// unlike is the point, or another one at random where a trial has had it: only a space that is as good as used up gives
// the same again.
func (s Study) unlike(known []Trial, point map[string]any, r *rand.Rand) map[string]any {
	for range candidates {
		if !tried(known, point) {
			return point
		}
		point = randomPoint(s.Space, r)
	}
	return point
}

// split divides trials, in the order of their numbers: the best few, and the others, with those that
// failed (where they failed is bad) and those that run (nothing says that they are good, and a second one beside them
// would learn little). Until enough have ended there are no good ones.
func (s Study) split(known []Trial) (good, others []Trial) {
	var judged []Trial
	for _, t := range known {
		if t.judged() {
			judged = append(judged, t)
		} else {
			others = append(others, t)
		}
	}
	if len(judged) < startup {
		return nil, nil
	}
	slices.SortStableFunc(judged, s.rank)
	n := min(int(math.Ceil(goodShare*float64(len(judged)))), mostGood)
	return byNumber(judged[:n]), byNumber(append(others, judged[n:]...))
}

// rank orders trials, the best first: complete ones by value, then pruned ones, those that came further first.
func (s Study) rank(a, b Trial) int {
	switch {
	case a.State != b.State:
		if a.State == Complete {
			return -1
		}
		return 1
	case a.State == Pruned && a.Step != b.Step:
		return b.Step - a.Step
	case s.Goal.better(a.Value, b.Value):
		return -1
	case s.Goal.better(b.Value, a.Value):
		return 1
	}
	return 0
}

// mixture is a density over a space: one kernel for each trial, and the prior.
type mixture struct {
	space   *space.Compiled
	weights []float64 // cumulated, the last is 1
	logs    []float64 // of each weight
	parts   []part    // by parameter
}

// part is one parameter's share of each kernel.
type part struct {
	axis   axis
	normal []normal    // of numbers
	chance [][]float64 // of choices: kernel by choice
}

// newMixture is the density of trials, which are in the order of their numbers.
func newMixture(s *space.Compiled, trials []Trial) *mixture {
	n := len(trials)
	m := &mixture{space: s, weights: make([]float64, n+1), logs: make([]float64, n+1), parts: make([]part, len(s.Params))}
	total := 1.0 // the prior's
	for i := range n {
		total += weightOf(i, n)
	}
	sum := 0.0
	for i := range n + 1 {
		w := 1.0
		if i < n {
			w = weightOf(i, n)
		}
		sum += w / total
		m.weights[i], m.logs[i] = sum, math.Log(w/total)
	}
	for i := range s.Params {
		p := &s.Params[i]
		if p.Kind == space.Choice {
			m.parts[i].chance = chances(p, trials)
			continue
		}
		m.parts[i].axis = axisOf(p)
		m.parts[i].normal = normals(m.parts[i].axis, trials)
	}
	return m
}

// weightOf lets the older ones of more than recent trials weigh less, the oldest of n one n-th.
func weightOf(i, n int) float64 {
	old := n - recent
	if i >= old {
		return 1
	}
	if old == 1 {
		return 1 / float64(n)
	}
	return 1/float64(n) + (1-1/float64(n))*float64(i)/float64(old-1)
}

// chances are those of each choice, kernel by kernel: the trial's own has most, the prior spreads evenly.
func chances(p *space.Param, trials []Trial) [][]float64 {
	out := make([][]float64, len(trials)+1)
	few := 1 / float64(len(trials)+1)
	for i := range out {
		row := make([]float64, len(p.Choices))
		for k := range row {
			row[k] = 1 / float64(len(p.Choices))
		}
		if i < len(trials) {
			if own := p.IndexOf(trials[i].Params[p.Name]); own >= 0 {
				total := 1 + few*float64(len(row))
				for k := range row {
					row[k] = few / total
				}
				row[own] += 1 / total
			}
		}
		out[i] = row
	}
	return out
}

// normals are one for each trial, as wide as the farther of its neighbours is away, and the prior's over the whole axis.
func normals(a axis, trials []Trial) []normal {
	width := a.high - a.low
	prior := normal{mean: a.low + width/2, deviation: width, low: a.low, high: a.high}
	out := make([]normal, len(trials)+1)
	var order []int // trials that have the parameter, by where they lie
	for i := range out {
		out[i] = prior
		if i == len(trials) {
			break
		}
		if v, ok := trials[i].Params[a.p.Name].(float64); ok && !math.IsNaN(v) {
			out[i].mean = a.at(v)
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int {
		if out[x].mean < out[y].mean {
			return -1
		} else if out[x].mean > out[y].mean {
			return 1
		}
		return 0
	})
	least := width / min(100, float64(len(order)+2))
	for k, i := range order {
		left, right := out[i].mean-a.low, a.high-out[i].mean
		if k > 0 {
			left = out[i].mean - out[order[k-1]].mean
		} else if len(order) > 1 {
			left = 0 // the ends of the axis are no neighbours
		}
		if k+1 < len(order) {
			right = out[order[k+1]].mean - out[i].mean
		} else if len(order) > 1 {
			right = 0
		}
		out[i].deviation = min(max(left, right, least), width)
	}
	for i := range out {
		out[i].measure()
	}
	return out
}

// sample draws a point: a kernel, and each parameter from its part.
func (m *mixture) sample(r *rand.Rand) map[string]any {
	at := r.Float64()
	k := min(max(0, slices.IndexFunc(m.weights, func(w float64) bool { return at < w })), len(m.weights)-1)
	out := map[string]any{}
	for i := range m.space.Params {
		p, u := &m.space.Params[i], r.Float64()
		switch {
		case !m.space.Active(i, out):
		case p.Kind == space.Choice:
			out[p.Name] = p.Choices[pick(m.parts[i].chance[k], u)]
		default:
			out[p.Name] = m.parts[i].axis.value(m.parts[i].normal[k].quantile(u))
		}
	}
	return out
}

// pick is the choice at u of cumulated chances.
func pick(chances []float64, u float64) int {
	for i, c := range chances {
		if u -= c; u < 0 {
			return i
		}
	}
	return len(chances) - 1
}

// logDensity is the logarithm of the density at a point, over the parameters that it has.
func (m *mixture) logDensity(point map[string]any) float64 {
	terms := slices.Clone(m.logs)
	for i := range m.space.Params {
		p := &m.space.Params[i]
		v, ok := point[p.Name]
		if !ok {
			continue
		}
		part := &m.parts[i]
		if p.Kind == space.Choice {
			own := p.IndexOf(v)
			for k := range terms {
				terms[k] += math.Log(part.chance[k][own])
			}
			continue
		}
		value := v.(float64)
		at := part.axis.at(value)
		if !part.axis.discrete() {
			for k := range terms {
				terms[k] += part.normal[k].logDensity(at)
			}
			continue
		}
		from, to := part.axis.cell(value)
		for k := range terms {
			terms[k] += part.normal[k].logMass(from, to)
		}
	}
	return logSum(terms)
}

// logSum is the logarithm of the sum of exponentials.
func logSum(terms []float64) float64 {
	highest := slices.Max(terms)
	if math.IsInf(highest, -1) {
		return highest
	}
	total := 0.0
	for _, t := range terms {
		total += math.Exp(t - highest)
	}
	return highest + math.Log(total)
}
