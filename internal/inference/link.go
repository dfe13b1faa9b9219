package inference

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// linkKind is how margins become an answer.
type linkKind uint8

const (
	linkIdentity linkKind = iota
	linkSigmoid
	linkLogitRaw // the margin itself, of a probability
	linkSoftmax
	linkArgmax // the index of the greatest margin
	linkExp
	linkStep // 1 where the margin is over 0, else 0
)

type link struct{ kind linkKind }

// outputs is the number of scores that groups margins give.
func (l link) outputs(groups int) int {
	if l.kind == linkArgmax {
		return 1
	}
	return groups
}

// apply turns margins into scores. Margins are float32 and the rest float64, so a sigmoid differs from XGBoost's own
// by its float32 rounding only (6e-8).
func (l link) apply(margins []float32, out []float64) {
	switch l.kind {
	case linkSigmoid:
		out[0] = sigmoid(float64(margins[0]))
	case linkExp:
		out[0] = math.Exp(float64(margins[0]))
	case linkStep:
		out[0] = 0
		if margins[0] > 0 {
			out[0] = 1
		}
	case linkSoftmax:
		for i, m := range margins {
			out[i] = float64(m)
		}
		softmax(out)
	case linkArgmax:
		best := 0
		for i, m := range margins {
			if m > margins[best] {
				best = i
			}
		}
		out[0] = float64(best)
	default:
		for i, m := range margins {
			out[i] = float64(m)
		}
	}
}

// probabilistic is the link that gives probabilities of the same margins.
func (l link) probabilistic() link {
	switch l.kind {
	case linkLogitRaw:
		return link{linkSigmoid}
	case linkArgmax:
		return link{linkSoftmax}
	}
	return l
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// softmax replaces margins by probabilities, in place.
func softmax(v []float64) {
	highest := v[0]
	for _, x := range v[1:] {
		highest = max(highest, x)
	}
	total := 0.0
	for i, x := range v {
		v[i] = math.Exp(x - highest)
		total += v[i]
	}
	for i := range v {
		v[i] /= total
	}
}

// objective is what scoring needs to know of an XGBoost objective.
type objective struct {
	link linkKind
	task spec.Task
}

// objectives are those whose answers are known to agree with XGBoost's.
func objectives() map[string]objective {
	return map[string]objective{
		"binary:logistic":      {linkSigmoid, spec.Binary},
		"binary:logitraw":      {linkLogitRaw, spec.Binary},
		"binary:hinge":         {linkStep, spec.Binary},
		"reg:logistic":         {linkSigmoid, spec.Binary},
		"multi:softprob":       {linkSoftmax, spec.Multiclass},
		"multi:softmax":        {linkArgmax, spec.Multiclass},
		"reg:squarederror":     {linkIdentity, spec.Regression},
		"reg:linear":           {linkIdentity, spec.Regression}, // the old name of reg:squarederror
		"reg:squaredlogerror":  {linkIdentity, spec.Regression},
		"reg:absoluteerror":    {linkIdentity, spec.Regression},
		"reg:pseudohubererror": {linkIdentity, spec.Regression},
		"reg:quantileerror":    {linkIdentity, spec.Regression}, // of one quantile: several are several targets
		"survival:cox":         {linkExp, spec.Regression},
		"survival:aft":         {linkExp, spec.Regression},
		"count:poisson":        {linkExp, spec.Regression},
		"reg:gamma":            {linkExp, spec.Regression},
		"reg:tweedie":          {linkExp, spec.Regression},
		"rank:pairwise":        {linkIdentity, spec.Regression},
		"rank:ndcg":            {linkIdentity, spec.Regression},
		"rank:map":             {linkIdentity, spec.Regression},
	}
}

func objectiveByName(name string) (objective, error) {
	known := objectives()
	if o, ok := known[name]; ok {
		return o, nil
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	sort.Strings(names)
	return objective{}, fmt.Errorf("objective: observed %q, which can't be scored; known are %s", name, strings.Join(names, ", "))
}

// margin is the inverse link: a base score is in the space of predictions, which for linkLogitRaw is the margin itself.
func (k linkKind) margin(base float64) (float32, error) {
	switch k {
	case linkSigmoid:
		if !(base > 0 && base < 1) {
			return 0, fmt.Errorf("base_score: observed %v, want a probability between 0 and 1", base)
		}
		return float32(-math.Log(1/base - 1)), nil
	case linkExp:
		if !(base > 0) {
			return 0, fmt.Errorf("base_score: observed %v, want a number over 0", base)
		}
		return float32(math.Log(base)), nil
	}
	if math.IsNaN(base) || math.IsInf(base, 0) {
		return 0, fmt.Errorf("base_score: observed %v, want a finite number", base)
	}
	return float32(base), nil
}
