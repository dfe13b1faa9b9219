package training

import (
	"fmt"
	"math"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
)

// linearFeature is how a feature becomes weights: a number has one for its standardised value and, where the training
// rows have nulls, one for being missing; a category has one per kept category and one for all others and nulls.
type linearFeature struct {
	input       inference.Feature
	first       int // its first weight
	width       int // how many it has
	mean, scale float64
}

func (f *linearFeature) isCategory() bool { return f.input.Kind == inference.KindCategory }

// design is a table as each feature's one entry per row: the weight that it touches and by how much. So a row costs as
// many multiplications as there are features, however many categories they have.
type design struct {
	rows, features, weights int
	index                   []int32 // rows x features
	value                   []float64
}

// learnDesign decides the model's weights from the training rows, which count by weights; nil: alike.
func learnDesign(sources []source, weights []float64, minCategoryRows int) ([]linearFeature, error) {
	features := make([]linearFeature, len(sources))
	next := 0
	for i, s := range sources {
		f := linearFeature{input: inference.Feature{Name: s.train.Name, Kind: s.train.Kind.String(), Nullable: s.train.Nulls() > 0}, first: next, width: 1}
		if f.isCategory() {
			f.input.Categories = keptCategories(s.train, minCategoryRows, maxLinearCategories)
			if len(f.input.Categories) == 0 { // all are rare: keep the most frequent, so that the signature has one
				f.input.Categories = keptCategories(s.train, 1, 1)
			}
			f.width = len(f.input.Categories) + 1
		} else {
			values, err := valuesOf(s.train)
			if err != nil {
				return nil, err
			}
			f.mean, f.scale = meanAndScale(values, weights)
			if f.input.Nullable {
				f.width = 2
			}
		}
		next += f.width
		features[i] = f
	}
	return features, nil
}

// maxLinearCategories bounds the weights of one feature.
const maxLinearCategories = 1000

// meanAndScale gives the mean and the standard deviation of the values that aren't NaN; a constant has the scale 1.
// weights may be nil.
func meanAndScale(values, weights []float64) (mean, scale float64) {
	n, squares := 0.0, 0.0
	for row, v := range values { // Welford 1962, with weights: West 1979
		if w := weightOf(weights, row); w > 0 && v == v {
			n += w
			d := v - mean
			mean += w * d / n
			squares += w * d * (v - mean)
		}
	}
	if n > 0 {
		scale = math.Sqrt(squares / n)
	}
	if !(scale > 1e-12*math.Abs(mean)) || math.IsInf(scale, 0) || scale < math.SmallestNonzeroFloat64*1e20 {
		scale = 1
	}
	return mean, scale
}

// fillDesign turns a table into a design; column picks each feature's column of it.
func fillDesign(features []linearFeature, sources []source, rows int, column func(source) *dataset.Column) (*design, error) {
	last := features[len(features)-1]
	d := &design{rows: rows, features: len(features), weights: last.first + last.width,
		index: make([]int32, rows*len(features)), value: make([]float64, rows*len(features))}
	for i := range features {
		if err := features[i].fill(d, i, column(sources[i])); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (f *linearFeature) fill(d *design, at int, c *dataset.Column) error {
	if f.isCategory() {
		codes, err := codesOf(c, f.input.Categories)
		if err != nil {
			return err
		}
		for row, code := range codes {
			if code < 0 {
				code = int32(f.width - 1)
			}
			d.index[row*d.features+at], d.value[row*d.features+at] = int32(f.first)+code, 1
		}
		return nil
	}
	values, err := valuesOf(c)
	if err != nil {
		return err
	}
	for row, v := range values {
		entry := row*d.features + at
		switch {
		case v == v:
			d.index[entry], d.value[entry] = int32(f.first), (v-f.mean)/f.scale
		case f.width == 2:
			d.index[entry], d.value[entry] = int32(f.first+1), 1
		default: // no nulls were seen: the mean, which adds nothing
			d.index[entry], d.value[entry] = int32(f.first), 0
		}
	}
	return nil
}

// margins adds the intercepts and weights of each row: out is rows x groups, weights are groups x d.weights.
func (d *design) margins(intercepts, weights, out []float64) {
	groups := len(intercepts)
	for row := range d.rows {
		index := d.index[row*d.features : (row+1)*d.features]
		value := d.value[row*d.features : (row+1)*d.features]
		for k := range groups {
			w := weights[k*d.weights : (k+1)*d.weights]
			m := intercepts[k]
			for j, at := range index {
				m += w[at] * value[j]
			}
			out[row*groups+k] = m
		}
	}
}

// file gives the model's file.
func linearFile(features []linearFeature, link string, classes []string, intercepts, weights []float64, width int) inference.LinearFile {
	groups := len(intercepts)
	pick := func(at int) []float64 {
		out := make([]float64, groups)
		for k := range out {
			out[k] = weights[k*width+at]
		}
		return out
	}
	f := inference.LinearFile{Format: inference.FormatLinear, Version: inference.LinearVersion, Link: link, Classes: classes, Intercept: intercepts}
	for _, from := range features {
		to := inference.LinearFeature{Name: from.input.Name, Kind: from.input.Kind}
		if from.isCategory() {
			to.Categories = from.input.Categories
			for code := range to.Categories {
				to.CategoryWeights = append(to.CategoryWeights, pick(from.first+code))
			}
			to.Unknown = pick(from.first + from.width - 1)
		} else {
			scale := from.scale
			to.Mean, to.Scale, to.Weights = from.mean, &scale, pick(from.first)
			if from.width == 2 {
				to.Missing = pick(from.first + 1)
			}
		}
		f.Features = append(f.Features, to)
	}
	return f
}

// checkWidth bounds what a linear model may ask of memory.
func checkWidth(d *design, groups, limit int) error {
	if d.weights*groups > limit {
		return &DataError{TooMany, fmt.Sprintf("%d weights of a linear model > limit %d", d.weights*groups, limit), "fewer features with many categories"}
	}
	return nil
}
