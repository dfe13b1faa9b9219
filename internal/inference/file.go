package inference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leanloop/leanloop/internal/spec"
)

// File is a model.json that was read: what the file says of itself, and a scorer that answers as its format does.
type File struct {
	Format    string    // xgboost-json | leanloop-linear
	Objective string    // XGBoost: the objective's name; linear: the link
	Task      spec.Task // what the objective or link is for
	Inputs    int       // columns of a row
	Features  []string  // the inputs' names; nil when the file has none
	Types     []string  // XGBoost's feature_types (float, int, i, q, c); nil when the file has none
	Scorer    Scorer    // native: the margin of binary:logitraw and the class index of multi:softmax, as XGBoost answers

	// Categories are those that the file holds, by feature; nil when it holds none.
	Categories [][]string
	// Classes are the class names of a linear file; XGBoost holds none.
	Classes []string

	native nativeScorer // XGBoost
	linear *linear      // leanloop-linear
}

// nativeScorer answers as XGBoost does.
type nativeScorer interface {
	Scorer
	// probabilistic answers with probabilities where the objective's own answer is something else: the sigmoid of a
	// binary:logitraw margin, and the class probabilities of multi:softmax.
	probabilistic() Scorer
}

// Inspect reads a model.json of either format. Whatever data holds, it returns a file within the limits or a
// *FormatError.
func Inspect(data []byte, lim Limits) (*File, error) {
	f, err := inspect(data, lim.withDefaults())
	if err != nil {
		return nil, &FormatError{ModelFile, err}
	}
	return f, nil
}

func inspect(data []byte, lim Limits) (*File, error) {
	if int64(len(data)) > lim.MaxBytes {
		return nil, fmt.Errorf("size: observed %d > limit %d bytes", len(data), lim.MaxBytes)
	}
	if bytes.HasPrefix(data, []byte("{L\x00\x00")) || bytes.HasPrefix(data, []byte("binf")) {
		return nil, errors.New("it is an XGBoost model in UBJSON or the old binary format: save it with a name that ends in .json")
	}
	var kind struct {
		Format  string          `json:"format"`
		Learner json.RawMessage `json:"learner"`
	}
	data = quoteSpecials(data)
	if err := json.Unmarshal(data, &kind); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch {
	case kind.Learner != nil:
		return readXGBoost(kind.Learner, lim)
	case kind.Format == FormatLinear:
		return readLinear(data, lim)
	}
	return nil, fmt.Errorf("format: observed %q and no \"learner\": neither %s nor an XGBoost JSON model", kind.Format, FormatLinear)
}

// scorerFor gives the scorer that answers as the signature promises, or says what doesn't fit.
func (f *File) scorerFor(s Signature) (Scorer, error) {
	if f.Format != s.Format {
		return nil, fmt.Errorf("format: observed %s, the signature says %s", f.Format, s.Format)
	}
	if f.Task != s.Task {
		return nil, fmt.Errorf("task: objective %s is for %s, the signature says %s", f.Objective, f.Task, s.Task)
	}
	if f.Inputs != len(s.Inputs) {
		return nil, fmt.Errorf("inputs: the model has %d columns, the signature %d", f.Inputs, len(s.Inputs))
	}
	for i, name := range f.Features {
		if name != s.Inputs[i].Name {
			return nil, fmt.Errorf("inputs[%d]: the model says %q, the signature %q", i, name, s.Inputs[i].Name)
		}
	}
	for i, t := range f.Types {
		// The other way round is allowed: a model may take a category's codes as plain numbers.
		if t == "c" && s.Inputs[i].Kind != KindCategory {
			return nil, fmt.Errorf("inputs[%d]: feature %q is a category to the model and %s to the signature", i, s.Inputs[i].Name, s.Inputs[i].Kind)
		}
	}
	for i, names := range f.Categories {
		if names == nil || s.Inputs[i].Kind != KindCategory {
			continue
		}
		if err := equalNames(names, s.Inputs[i].Categories); err != nil {
			return nil, fmt.Errorf("inputs[%d]: feature %q: categories: %w", i, s.Inputs[i].Name, err)
		}
	}
	if f.linear != nil {
		if err := f.linear.fits(s); err != nil {
			return nil, err
		}
	}
	scorer := f.Scorer
	if f.native != nil {
		scorer = f.native.probabilistic()
	}
	if scorer.Outputs() != s.Outputs() {
		return nil, fmt.Errorf("outputs: the model gives %d a row, the signature has %d", scorer.Outputs(), s.Outputs())
	}
	return scorer, nil
}
