package inference

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
)

// boostedLinear is XGBoost's booster gblinear: margins are the base score, a bias and the features' values by their
// weights, added in float32 in the features' order, as XGBoost adds them. A missing value adds nothing.
type boostedLinear struct {
	features int
	base     []float32 // margin per group
	bias     []float32 // by group
	weights  []float32 // features rows of one weight per group
	link     link

	margins *sync.Pool
}

// newBoostedLinear reads the list "weights": for each feature a weight per group, then a bias per group.
func newBoostedLinear(raw json.RawMessage, features int, base []float32, l link, lim Limits) (*boostedLinear, error) {
	groups := len(base)
	want := (features + 1) * groups
	if err := within("weights", want, lim.MaxNodes); err != nil {
		return nil, err
	}
	var all []float32
	if err := decodeEach(raw, "weights", want, func(i int, w *float32) error {
		if !finite32(*w) {
			return fmt.Errorf("weights[%d]: observed %v, want a finite number", i, *w)
		}
		all = append(all, *w)
		return nil
	}); err != nil {
		return nil, err
	}
	if len(all) != want {
		return nil, fmt.Errorf("weights: observed %d, want %d: one per feature and a bias for each of %d outputs", len(all), want, groups)
	}
	split := features * groups
	return &boostedLinear{
		features: features, base: base, bias: all[split:], weights: all[:split], link: l,
		margins: &sync.Pool{New: func() any { m := make([]float32, groups); return &m }},
	}, nil
}

// Outputs is the number of scores per row.
func (b *boostedLinear) Outputs() int { return b.link.outputs(len(b.base)) }

// Score implements Scorer.
func (b *boostedLinear) Score(x []float64, rows int, out []float64) error {
	width := b.Outputs()
	if err := checkShape(x, rows, b.features, out, width); err != nil {
		return err
	}
	groups := len(b.base)
	margins := b.margins.Get().(*[]float32)
	defer b.margins.Put(margins)
	for r := range rows {
		m := *margins
		for g := range m {
			m[g] = b.bias[g] + b.base[g]
		}
		for i, v := range x[r*b.features : (r+1)*b.features] {
			if v != v {
				continue
			}
			value := float32(v)
			if math.IsInf(float64(value), 0) { // XGBoost refuses it too
				return &RowError{Row: r, Err: fmt.Errorf("value %d is beyond the range of float32, in which the model adds", i+1)}
			}
			for g, w := range b.weights[i*groups : (i+1)*groups] {
				m[g] += float32(value * w) // the conversion keeps it from being fused with the addition
			}
		}
		b.link.apply(m, out[r*width:(r+1)*width])
	}
	return nil
}

// probabilistic implements nativeScorer.
func (b *boostedLinear) probabilistic() Scorer {
	c := *b
	c.link = b.link.probabilistic()
	return &c
}

// readBoostedLinear builds a gblinear's file.
func (l *xgbLearner) readBoostedLinear(o objective, base []float32, features int, lim Limits) (nativeScorer, error) {
	model := l.GradientBooster.Model
	if model == nil {
		return nil, errors.New("gradient_booster: no model")
	}
	return newBoostedLinear(model.Weights, features, base, link{o.link}, lim)
}
