package inference

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/spec"
)

// onnxPlan ties a signature to an ONNX model: which feature is fed where, and which of its numbers are the scores.
type onnxPlan struct {
	signature Signature
	call      onnx.Call
	features  [][]int  // of each input, the features of its columns
	labels    []string // of the output's columns, where the file says; else nil
	batch     int      // rows of one question at most
}

// planONNX fits a signature to what a file declares, in one of two forms:
//
//   - one input [N, F]: the features in the signature's order, all as numbers (a category as its code) or all as text;
//   - one input [N, 1] or [N] a feature, found by name.
func planONNX(s Signature, f *onnx.File, maxOutputs int) (*onnxPlan, error) {
	p := &onnxPlan{signature: s, batch: mostRows}
	p.call.MaxColumns = maxOutputs
	fit := p.perFeature
	if isMatrix(s, f.Inputs) {
		fit = p.matrix
	}
	if err := fit(f.Inputs); err != nil {
		return nil, err
	}
	for _, in := range f.Inputs {
		if len(in.Shape) > 0 && in.Shape[0] == 1 {
			p.batch = 1
		} else if len(in.Shape) > 0 && in.Shape[0] >= 0 {
			return nil, fmt.Errorf("input %v takes %d rows at a time: export it with a dynamic first dimension", in, in.Shape[0])
		}
	}
	output, err := outputOf(s, f.Outputs)
	if err != nil {
		return nil, err
	}
	p.call.Output = output.Name
	if output.Maps {
		return p, nil // labels come with the answer
	}
	columns := 1
	if n := len(output.Shape); n > 1 {
		columns = int(output.Shape[n-1])
	}
	if len(f.Labels) > 1 && (columns < 0 || columns == len(f.Labels)) && s.Task != spec.Regression {
		p.labels = f.Labels
	}
	if columns >= 0 && output.Ranks {
		if _, err := columnsOf(s, p.labels, columns); err != nil {
			return nil, fmt.Errorf("output %v: %w", output, err)
		}
	}
	return p, nil
}

// isMatrix says whether a model has one input for all features.
func isMatrix(s Signature, inputs []onnx.Value) bool {
	if len(inputs) != 1 {
		return false
	}
	in := inputs[0]
	return len(s.Inputs) > 1 || len(in.Shape) == 2 && in.Name != s.Inputs[0].Name
}

func (p *onnxPlan) matrix(inputs []onnx.Value) error {
	in, width := inputs[0], len(p.signature.Inputs)
	if in.Other || in.Maps || in.Ranks && (len(in.Shape) != 2 || in.Shape[1] >= 0 && in.Shape[1] != int64(width)) {
		return fmt.Errorf("the signature has %d inputs and the model the one input %v: want a tensor [N, %d], or an input [N, 1] for each feature", width, in, width)
	}
	made := onnx.Input{Name: in.Name, Type: in.Type, Columns: width}
	features := make([]int, width)
	for i, f := range p.signature.Inputs {
		features[i] = i
		if err := fitsType(f, in.Type); err != nil {
			return fmt.Errorf("input %v: %w", in, err)
		}
		if in.Type == onnx.String {
			made.Texts = append(made.Texts, f.Categories)
		}
	}
	p.call.Inputs, p.features = []onnx.Input{made}, [][]int{features}
	return nil
}

func (p *onnxPlan) perFeature(inputs []onnx.Value) error {
	at := make(map[string]int, len(p.signature.Inputs))
	var names []string
	for i, f := range p.signature.Inputs {
		at[f.Name] = i
		names = append(names, f.Name)
	}
	used := map[string]bool{}
	for _, in := range inputs {
		feature, ok := at[in.Name]
		if !ok {
			return fmt.Errorf("the model's input %v is none of the signature's inputs %s", in, listed(names))
		}
		if used[in.Name] {
			return fmt.Errorf("the model has two inputs called %q", in.Name)
		}
		used[in.Name] = true
		flat := len(in.Shape) == 1
		if in.Other || in.Maps || in.Ranks && !flat && (len(in.Shape) != 2 || in.Shape[1] > 1 || in.Shape[1] == 0) {
			return fmt.Errorf("input %v: want a tensor [N, 1] for the feature, or one input [N, %d] for all", in, len(names))
		}
		f := p.signature.Inputs[feature]
		if err := fitsType(f, in.Type); err != nil {
			return fmt.Errorf("input %v: %w", in, err)
		}
		made := onnx.Input{Name: in.Name, Type: in.Type, Columns: 1, Flat: flat}
		if in.Type == onnx.String {
			made.Texts = [][]string{f.Categories}
		}
		p.call.Inputs, p.features = append(p.call.Inputs, made), append(p.features, []int{feature})
	}
	for _, name := range names {
		if !used[name] {
			return fmt.Errorf("the signature's input %q is none of the model's %d inputs", name, len(inputs))
		}
	}
	return nil
}

// fitsType says whether a feature can be fed as a type: text is a category's and nothing else's.
func fitsType(f Feature, t onnx.Type) error {
	switch t {
	case onnx.String:
		if f.Kind != KindCategory {
			return fmt.Errorf("feature %q is %s to the signature and text to the model", f.Name, f.Kind)
		}
		if i := slices.IndexFunc(f.Categories, func(c string) bool { return strings.ContainsRune(c, 0) }); i >= 0 {
			return fmt.Errorf("feature %q: category %q has a zero byte, which ends a text for the model", f.Name, f.Categories[i])
		}
		return nil
	case onnx.Float, onnx.Double, onnx.Int64, onnx.Int32:
		return nil
	case onnx.Bool:
		if f.Kind != KindBoolean {
			return fmt.Errorf("feature %q is %s to the signature and bool to the model", f.Name, f.Kind)
		}
		return nil
	}
	return fmt.Errorf("it takes %s; want float, double, int64, int32, bool or string", t)
}

// outputOf chooses the output that holds the scores: the only one of numbers that isn't a classifier's label.
func outputOf(s Signature, outputs []onnx.Value) (onnx.Value, error) {
	var fitting, all []string
	var chosen onnx.Value
	for _, out := range outputs {
		all = append(all, out.String())
		scores := out.Type == onnx.Float || out.Type == onnx.Double
		if s.Task == spec.Regression {
			scores = !out.Maps && (scores || out.Type == onnx.Int64 || out.Type == onnx.Int32)
		}
		if out.Other || !scores {
			continue
		}
		fitting = append(fitting, out.String())
		chosen = out
	}
	switch len(fitting) {
	case 1:
		return chosen, nil
	case 0:
		return chosen, fmt.Errorf("none of the outputs %s has a %s model's scores: want a float or double tensor, or a sequence of maps", listed(all), s.Task)
	}
	return chosen, fmt.Errorf("outputs %s could each be a %s model's scores: export the model with one of them", listed(fitting), s.Task)
}

// columnsOf gives for each score of a row the column it is in. labels names the columns; nil: they are in the order of
// the signature's classes.
func columnsOf(s Signature, labels []string, columns int) ([]int, error) {
	switch {
	case s.Task == spec.Regression && columns != 1:
		return nil, fmt.Errorf("observed %d values a row, a regression has 1", columns)
	case s.Task == spec.Regression:
		return []int{0}, nil
	case s.Task == spec.Binary && columns == 1 && len(labels) != 1:
		return []int{0}, nil // the positive class's probability
	case columns != len(s.Classes):
		return nil, fmt.Errorf("observed %d values a row, the signature has the %d classes %s", columns, len(s.Classes), listed(s.Classes))
	}
	order, err := classOrder(s.Classes, labels)
	if err != nil {
		return nil, err
	}
	if s.Task == spec.Binary {
		return order[1:], nil
	}
	return order, nil
}

// classOrder finds each class among a model's labels, by name; or by number, where the labels are 0, 1, 2 ... and no
// class is called so.
func classOrder(classes, labels []string) ([]int, error) {
	order := make([]int, len(classes))
	numbered, named := true, 0
	for i, class := range classes {
		order[i] = i
		if labels == nil {
			continue
		}
		numbered = numbered && labels[i] == strconv.Itoa(i)
		if at := slices.Index(labels, class); at >= 0 {
			order[i] = at
			named++
		}
	}
	rest := len(classes) == 2 && classes[0] == RestClass(classes[1]) && slices.Contains(labels, classes[1])
	switch {
	case labels == nil || named == len(classes):
		return order, nil
	case rest:
		order[0] = 1 - order[1]
		return order, nil
	case numbered && named == 0:
		return order, nil
	}
	return nil, fmt.Errorf("the model's classes are %s, the signature's %s", listed(labels), listed(classes))
}

// listed shows the first of many names.
func listed(names []string) string {
	const most = 10
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
