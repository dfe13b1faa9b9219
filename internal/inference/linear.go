package inference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/leanloop/leanloop/internal/spec"
)

// The links of a LinearFile.
const (
	LinkIdentity = "identity" // regression
	LinkSigmoid  = "sigmoid"  // binary
	LinkSoftmax  = "softmax"  // multiclass
)

// LinearVersion is the version of the linear format that this package reads.
const LinearVersion = 1

// LinearFile is a model.json in the leanloop-linear format. With K outputs (1, or the number of classes), a row's
// margins are Intercept plus what each feature adds, and the link turns them into the answer.
//
//	{"format": "leanloop-linear", "version": 1, "link": "sigmoid", "intercept": [-1.2],
//	 "features": [
//	  {"name": "dep_delay", "kind": "number", "mean": 12.6, "scale": 40.2, "weights": [2.1], "missing": [0.3]},
//	  {"name": "carrier", "kind": "category", "categories": ["AA", "B6"], "category_weights": [[-0.2], [0.1]], "unknown": [0]}]}
type LinearFile struct {
	Format    string          `json:"format"`  // leanloop-linear
	Version   int             `json:"version"` // 1
	Link      string          `json:"link"`    // identity | sigmoid | softmax
	Classes   []string        `json:"classes,omitempty"`
	Intercept []float64       `json:"intercept"` // K numbers
	Features  []LinearFeature `json:"features"`  // in the order of a row's columns
}

// LinearFeature is one column. A category adds the weights of its code, or Unknown when it is missing or has no code.
// Any other kind adds Weights x (value - Mean) / Scale; a missing one counts as Impute, and adds Missing.
type LinearFeature struct {
	Name string `json:"name"`
	Kind string `json:"kind"`

	Weights []float64 `json:"weights,omitempty"` // K numbers
	Mean    float64   `json:"mean,omitempty"`
	Scale   *float64  `json:"scale,omitempty"`   // over 0; absent: 1
	Impute  *float64  `json:"impute,omitempty"`  // absent: Mean
	Missing []float64 `json:"missing,omitempty"` // K numbers; absent: 0

	Categories      []string    `json:"categories,omitempty"`       // by code
	CategoryWeights [][]float64 `json:"category_weights,omitempty"` // K numbers per code
	Unknown         []float64   `json:"unknown,omitempty"`          // K numbers; absent: 0
}

// linear scores a LinearFile.
type linear struct {
	link      string
	outputs   int
	intercept []float64
	columns   []linearColumn
	file      *LinearFile // for fits
}

// linearColumn is a feature with its numbers in the order that they are read.
type linearColumn struct {
	codes   int // categories; -1: not a category
	mean    float64
	inverse float64   // 1 / scale
	weights []float64 // K; of a category: K per code
	missing []float64 // K, the whole contribution of a missing value
}

// Outputs is the number of scores per row.
func (l *linear) Outputs() int { return l.outputs }

// Score implements Scorer. It is an error when a row's margin isn't a number: infinite weights times an infinite value.
func (l *linear) Score(x []float64, rows int, out []float64) error {
	if err := checkShape(x, rows, len(l.columns), out, l.outputs); err != nil {
		return err
	}
	for r := range rows {
		margins := out[r*l.outputs : (r+1)*l.outputs]
		l.margins(x[r*len(l.columns):(r+1)*len(l.columns)], margins)
		for _, m := range margins {
			if m != m {
				return fmt.Errorf("score: row %d: the margin is not a number", r)
			}
		}
		switch l.link {
		case LinkSigmoid:
			margins[0] = sigmoid(margins[0])
		case LinkSoftmax:
			softmax(margins)
		}
	}
	return nil
}

func (l *linear) margins(row, margins []float64) {
	copy(margins, l.intercept)
	for i, v := range row {
		c := &l.columns[i]
		switch {
		case c.codes >= 0:
			weights := c.missing
			if v >= 0 && v < float64(c.codes) {
				at := int(v) * l.outputs
				weights = c.weights[at : at+l.outputs]
			}
			for k, w := range weights {
				margins[k] += w
			}
		case v != v:
			for k, w := range c.missing {
				margins[k] += w
			}
		default:
			z := (v - c.mean) * c.inverse
			for k, w := range c.weights {
				margins[k] += w * z
			}
		}
	}
}

// rawLinear delays the lists whose elements cost more memory than text.
type rawLinear struct {
	Format    string          `json:"format"`
	Version   int             `json:"version"`
	Link      string          `json:"link"`
	Classes   json.RawMessage `json:"classes"`
	Intercept []float64       `json:"intercept"`
	Features  json.RawMessage `json:"features"`
}

type rawLinearFeature struct {
	LinearFeature

	Categories      json.RawMessage `json:"categories"`
	CategoryWeights json.RawMessage `json:"category_weights"`
}

// readLinear reads a LinearFile within the limits.
func readLinear(data []byte, lim Limits) (*File, error) {
	var raw rawLinear
	if err := strictly(data, &raw); err != nil {
		return nil, err
	}
	if raw.Version != LinearVersion {
		return nil, fmt.Errorf("version: observed %d, want %d", raw.Version, LinearVersion)
	}
	if err := within("intercept", len(raw.Intercept), lim.MaxOutputs); err != nil {
		return nil, err
	}
	f := &LinearFile{Format: raw.Format, Version: raw.Version, Link: raw.Link, Intercept: raw.Intercept}
	var err error
	if f.Classes, err = collect[string](raw.Classes, "classes", lim.MaxOutputs); err != nil {
		return nil, err
	}
	err = decodeEach(raw.Features, "features", lim.MaxFeatures, func(i int, element *json.RawMessage) error {
		var r rawLinearFeature
		if err := strictly(*element, &r); err != nil {
			return fmt.Errorf("features[%d]: %w", i, err)
		}
		feature := r.LinearFeature
		if feature.Categories, err = collect[string](r.Categories, "categories", lim.MaxCategories); err != nil {
			return fmt.Errorf("features[%d]: %w", i, err)
		}
		if feature.CategoryWeights, err = collect[[]float64](r.CategoryWeights, "category_weights", lim.MaxCategories); err != nil {
			return fmt.Errorf("features[%d]: %w", i, err)
		}
		f.Features = append(f.Features, feature)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f.compile()
}

// strictly refuses fields that the format doesn't have: a misspelt weight would be a silent zero.
func strictly(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func collect[T any](raw json.RawMessage, what string, limit int) ([]T, error) {
	var list []T
	err := decodeEach(raw, what, limit, func(_ int, v *T) error {
		list = append(list, *v)
		return nil
	})
	return list, err
}

// compile checks a file and gives its scorer.
func (f *LinearFile) compile() (*File, error) {
	outputs := len(f.Intercept)
	task, ok := map[string]spec.Task{LinkIdentity: spec.Regression, LinkSigmoid: spec.Binary, LinkSoftmax: spec.Multiclass}[f.Link]
	if !ok {
		return nil, fmt.Errorf("link: observed %q, want %s, %s or %s", f.Link, LinkIdentity, LinkSigmoid, LinkSoftmax)
	}
	if several := task == spec.Multiclass; several != (outputs > 1) || outputs == 0 {
		return nil, fmt.Errorf("intercept: observed %d numbers, which link %s can't have", outputs, f.Link)
	}
	if len(f.Features) == 0 {
		return nil, errors.New("features: a model needs at least one")
	}
	l := &linear{link: f.Link, outputs: outputs, intercept: f.Intercept, file: f}
	file := &File{Format: FormatLinear, Objective: f.Link, Task: task, Inputs: len(f.Features), Classes: f.Classes,
		Categories: make([][]string, len(f.Features)), Scorer: l, linear: l}
	for i := range f.Features {
		column, err := f.Features[i].compile(outputs)
		if err != nil {
			return nil, fmt.Errorf("features[%d] %q: %w", i, f.Features[i].Name, err)
		}
		l.columns = append(l.columns, column)
		file.Features = append(file.Features, f.Features[i].Name)
		file.Categories[i] = f.Features[i].Categories
	}
	return file, nil
}

func (f *LinearFeature) compile(outputs int) (linearColumn, error) {
	c := linearColumn{codes: -1, mean: f.Mean, inverse: 1, missing: make([]float64, outputs)}
	if f.Kind == KindCategory {
		if len(f.CategoryWeights) != len(f.Categories) {
			return c, fmt.Errorf("category_weights: observed %d for %d categories", len(f.CategoryWeights), len(f.Categories))
		}
		c.codes = len(f.Categories)
		for code, weights := range f.CategoryWeights {
			if len(weights) != outputs {
				return c, fmt.Errorf("category_weights[%d]: observed %d numbers, want %d", code, len(weights), outputs)
			}
			c.weights = append(c.weights, weights...)
		}
		return c, fill(c.missing, "unknown", f.Unknown)
	}
	scale, impute := 1.0, f.Mean
	if f.Scale != nil {
		scale = *f.Scale
	}
	if f.Impute != nil {
		impute = *f.Impute
	}
	if c.inverse = 1 / scale; !(scale > 0) || math.IsInf(c.inverse, 0) {
		return c, fmt.Errorf("scale: observed %v, want a number over 0", scale)
	}
	if len(f.Weights) != outputs {
		return c, fmt.Errorf("weights: observed %d numbers, want %d", len(f.Weights), outputs)
	}
	c.weights = f.Weights
	if err := fill(c.missing, "missing", f.Missing); err != nil {
		return c, err
	}
	for k, w := range c.weights {
		c.missing[k] += w * (impute - c.mean) * c.inverse
	}
	return c, nil
}

// fill copies an optional list of K numbers.
func fill(into []float64, what string, from []float64) error {
	if len(from) != 0 && len(from) != len(into) {
		return fmt.Errorf("%s: observed %d numbers, want %d", what, len(from), len(into))
	}
	copy(into, from)
	return nil
}

// fits holds kinds and classes to the signature's.
func (l *linear) fits(s Signature) error {
	for i, f := range l.file.Features {
		in := s.Inputs[i]
		if (f.Kind == KindCategory) != (in.Kind == KindCategory) {
			return fmt.Errorf("features[%d]: feature %q is %s to the model and %s to the signature", i, f.Name, f.Kind, in.Kind)
		}
	}
	if len(l.file.Classes) != 0 {
		if err := equalNames(l.file.Classes, s.Classes); err != nil {
			return fmt.Errorf("classes: %w", err)
		}
	}
	return nil
}

func equalNames(model, signature []string) error {
	if len(model) != len(signature) {
		return fmt.Errorf("the model has %d, the signature %d", len(model), len(signature))
	}
	for i := range model {
		if model[i] != signature[i] {
			return fmt.Errorf("at %d the model has %q, the signature %q", i, model[i], signature[i])
		}
	}
	return nil
}
