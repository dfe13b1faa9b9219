package training

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// minTrainingRows is the fewest rows that a built-in trainer learns from: with fewer, no mean is worth anything.
const minTrainingRows = 10

// maxClasses bounds a multiclass target: more distinct values are a number or an id, not classes.
const maxClasses = 1000

// labels are the targets of an input as numbers, class indices or values, and how much each row counts.
type labels struct {
	classes           []string // by index; binary: negative, positive; nil for regression
	train, validation []float64
	weights, weighing []float64 // of training and of validation rows; nil: all count one
}

// readLabels checks the target columns and gives their numbers.
func readLabels(in Input) (*labels, error) {
	if in.Train == nil || in.Train.Rows < minTrainingRows {
		rows := 0
		if in.Train != nil {
			rows = in.Train.Rows
		}
		return nil, &DataError{TooFewRows, fmt.Sprintf("%d", rows), fmt.Sprintf("at least %d", minTrainingRows)}
	}
	l := &labels{}
	for _, t := range in.tables() {
		if err := checkLabels(t, in.Target, in.Task); err != nil {
			return nil, err
		}
	}
	var err error
	switch in.Task {
	case spec.Binary:
		l.classes, err = binaryClasses(in)
	case spec.Multiclass:
		l.classes, err = multiClasses(in)
	case spec.Regression:
	default:
		err = &UnknownName{"task", string(in.Task), []string{string(spec.Binary), string(spec.Multiclass), string(spec.Regression)}}
	}
	if err != nil {
		return nil, err
	}
	s := inference.Signature{Task: in.Task, Classes: l.classes, Output: in.Target}
	if l.train, err = s.Targets(in.Train); err != nil {
		return nil, err
	}
	if l.weights, err = in.weightsOf(in.Train); err != nil {
		return nil, err
	}
	if in.Task != spec.Regression && !l.severalCount() {
		return nil, &DataError{OneClass, fmt.Sprintf("the rows whose weight %q isn't 0 have one value of target %q", in.Weight, in.Target), "two classes or more that count"}
	}
	if !in.validates() {
		return l, nil
	}
	if l.validation, err = s.Targets(in.Validation); err != nil {
		return nil, err
	}
	l.weighing, err = in.weightsOf(in.Validation)
	return l, err
}

// severalCount reports whether training rows of more than one class have a weight.
func (l *labels) severalCount() bool {
	first := -1.0
	for row, class := range l.train {
		if weightOf(l.weights, row) == 0 {
			continue
		}
		if first >= 0 && class != first {
			return true
		}
		first = class
	}
	return false
}

// validates reports whether there are validation rows.
func (in Input) validates() bool { return in.Validation != nil && in.Validation.Rows > 0 }

// tables are the training table and, if it has rows, the validation table.
func (in Input) tables() []*dataset.Table {
	if in.validates() {
		return []*dataset.Table{in.Train, in.Validation}
	}
	return []*dataset.Table{in.Train}
}

// maxWeight bounds a row's weight, so that sums of them stay exact enough.
const maxWeight = 1e9

// weightsOf gives how much each row of a table counts; nil where the input has no weights.
func (in Input) weightsOf(t *dataset.Table) ([]float64, error) {
	if in.Weight == "" {
		return nil, nil
	}
	c, ok := t.Column(in.Weight)
	if !ok {
		return nil, &DataError{NoColumn, fmt.Sprintf("weight %q is none of the table's columns", in.Weight), ""}
	}
	if c.Kind != dataset.Number && c.Kind != dataset.Integer {
		return nil, &DataError{BadWeight, fmt.Sprintf("weight %q is a %s", in.Weight, c.Kind), "a number"}
	}
	total := 0.0
	for row, w := range c.Floats {
		if !(w >= 0 && w <= maxWeight) { // NaN is a null
			return nil, &DataError{BadWeight, fmt.Sprintf("weight %q, row %d of %d: %v", in.Weight, row+1, t.Rows, w), fmt.Sprintf("a number from 0 to %g in every row", float64(maxWeight))}
		}
		total += w
	}
	if total == 0 {
		return nil, &DataError{BadWeight, fmt.Sprintf("weight %q is 0 in all %d rows", in.Weight, t.Rows), "rows that count"}
	}
	return c.Floats, nil
}

// weightOf is what a row counts by weights that may be nil.
func weightOf(weights []float64, row int) float64 {
	if weights == nil {
		return 1
	}
	return weights[row]
}

// checkLabels refuses a target column that is absent, has nulls, or can't be the task's.
func checkLabels(t *dataset.Table, target string, task spec.Task) error {
	c, ok := t.Column(target)
	if !ok {
		return &DataError{NoColumn, fmt.Sprintf("target %q is none of the table's columns", target), ""}
	}
	for row := range t.Rows {
		if c.Null(row) {
			return &DataError{NullLabel, fmt.Sprintf("target %q, row %d of %d", target, row+1, t.Rows), "a value in every row"}
		}
	}
	if task != spec.Regression {
		return nil
	}
	if c.Kind != dataset.Number && c.Kind != dataset.Integer && c.Kind != dataset.Boolean {
		return &DataError{BadLabel, fmt.Sprintf("target %q is a %s", target, c.Kind), "a number for regression"}
	}
	for row, v := range c.Floats {
		if math.IsInf(float64(float32(v)), 0) {
			return &DataError{NotFinite, fmt.Sprintf("target %q, row %d: %v", target, row+1, v), "a finite float32"}
		}
	}
	return nil
}

// distinct lists the label values of tables, numbers in order of value, others in order of text.
func distinct(target string, tables ...*dataset.Table) []string {
	seen := map[string]bool{}
	var names []string
	numbers := true
	for _, t := range tables {
		c, _ := t.Column(target)
		numbers = numbers && (c.Kind == dataset.Number || c.Kind == dataset.Integer)
		label := inference.Labeller(c)
		for row := range t.Rows {
			if name := label(row); !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
			if len(names) > maxClasses {
				return names
			}
		}
	}
	sort.Slice(names, func(i, j int) bool {
		if numbers {
			a, _ := strconv.ParseFloat(names[i], 64)
			b, _ := strconv.ParseFloat(names[j], 64)
			return a < b
		}
		return names[i] < names[j]
	})
	return names
}

// binaryClasses names the negative and the positive class of training and validation rows; the training rows need both.
func binaryClasses(in Input) ([]string, error) {
	learned := distinct(in.Target, in.Train)
	if len(learned) == 1 {
		return nil, &DataError{OneClass, fmt.Sprintf("target %q is %q in all %d rows", in.Target, learned[0], in.Train.Rows), "two classes"}
	}
	names := distinct(in.Target, in.tables()...)
	c, _ := in.Train.Column(in.Target)
	if in.Positive == "" {
		if coded := c.Kind == dataset.Category || c.Kind == dataset.Text; coded || len(names) != 2 {
			return nil, &DataError{NotPositive, fmt.Sprintf("target %q has the values %s", in.Target, some(names)), "data.positive to name one of them"}
		}
		return names, nil // false, true; or the smaller and the larger number
	}
	positive := in.Positive
	if v, err := strconv.ParseFloat(positive, 64); err == nil && c.Floats != nil && c.Kind != dataset.Boolean {
		positive = dataset.FormatNumber(v) // 1.0 in the spec is the 1 of the data
	}
	if !slices.Contains(learned, positive) {
		return nil, &DataError{NotPositive, fmt.Sprintf("no row of target %q is %q; its values are %s", in.Target, in.Positive, some(learned)), ""}
	}
	if others := slices.DeleteFunc(names, func(name string) bool { return name == positive }); len(others) == 1 {
		return []string{others[0], positive}, nil
	}
	return []string{inference.RestClass(positive), positive}, nil
}

// multiClasses names the classes of training and validation rows; the training rows need two of them.
func multiClasses(in Input) ([]string, error) {
	if names := distinct(in.Target, in.Train); len(names) == 1 {
		return nil, &DataError{OneClass, fmt.Sprintf("target %q is %q in all %d rows", in.Target, names[0], in.Train.Rows), "two classes or more"}
	}
	names := distinct(in.Target, in.tables()...)
	if len(names) > maxClasses {
		return nil, &DataError{TooMany, fmt.Sprintf("target %q has more than %d distinct values", in.Target, maxClasses), "classes, not numbers or ids"}
	}
	return names, nil
}

// some shows at most eight names.
func some(names []string) string {
	if len(names) <= 8 {
		return fmt.Sprintf("%q", names)
	}
	return fmt.Sprintf("%q and %d more", names[:8], len(names)-8)
}

// source is a feature's columns.
type source struct {
	train, validation *dataset.Column // validation is nil when nothing is validated
}

// readFeatures finds the features' columns. Those that nothing can be learned from are ignored and named.
func readFeatures(in Input) (sources []source, ignored []string, err error) {
	for _, name := range in.Features {
		if name == in.Target {
			return nil, nil, &DataError{NoFeatures, fmt.Sprintf("the target %q is listed as a feature", name), ""}
		}
		var columns [2]*dataset.Column
		for i, t := range in.tables() {
			c, ok := t.Column(name)
			if !ok {
				return nil, nil, &DataError{NoColumn, fmt.Sprintf("feature %q is none of the table's columns", name), ""}
			}
			columns[i] = c
		}
		if columns[0].Kind == dataset.Text || columns[0].Nulls() == in.Train.Rows {
			ignored = append(ignored, name)
			continue
		}
		sources = append(sources, source{columns[0], columns[1]})
	}
	if len(sources) == 0 {
		observed := "none given"
		if len(ignored) > 0 {
			observed = "only text or empty columns: " + some(ignored)
		}
		return nil, ignored, &DataError{NoFeatures, observed, "at least one number, integer, boolean, category or timestamp"}
	}
	return sources, ignored, nil
}

// keptCategories lists the categories of a training column that get a code of their own: the most frequent ones, at
// least minRows each and at most limit of them, sorted by name.
func keptCategories(c *dataset.Column, minRows, limit int) []string {
	counts := make([]int, len(c.Dict))
	for _, code := range c.Codes {
		if code >= 0 {
			counts[code]++
		}
	}
	var codes []int
	for code, n := range counts {
		if n >= max(minRows, 1) {
			codes = append(codes, code)
		}
	}
	sort.Slice(codes, func(i, j int) bool {
		a, b := codes[i], codes[j]
		if counts[a] != counts[b] {
			return counts[a] > counts[b]
		}
		return c.Dict[a] < c.Dict[b]
	})
	var names []string
	for _, code := range codes[:min(limit, len(codes))] {
		names = append(names, c.Dict[code])
	}
	sort.Strings(names)
	return names
}

// codesOf translates a column's codes to positions in names; -1 for nulls and names that aren't there. A column of
// another kind has no codes, which is an error.
func codesOf(c *dataset.Column, names []string) ([]int32, error) {
	if c.Kind != dataset.Category && c.Kind != dataset.Text {
		return nil, &DataError{BadFeature, fmt.Sprintf("feature %q is a %s in the validation rows", c.Name, c.Kind), "a category as in the training rows"}
	}
	position := make(map[string]int32, len(names))
	for i, name := range names {
		position[name] = int32(i)
	}
	translate := make([]int32, len(c.Dict))
	for code, name := range c.Dict {
		translate[code] = -1
		if p, ok := position[name]; ok {
			translate[code] = p
		}
	}
	out := make([]int32, len(c.Codes))
	for row, code := range c.Codes {
		out[row] = -1
		if code >= 0 {
			out[row] = translate[code]
		}
	}
	return out, nil
}

// valuesOf gives a column's numbers as a scorer will see them.
func valuesOf(c *dataset.Column) ([]float64, error) {
	switch c.Kind {
	case dataset.Number, dataset.Integer, dataset.Boolean:
		for row, v := range c.Floats {
			if math.IsInf(v, 0) {
				return nil, &DataError{NotFinite, fmt.Sprintf("feature %q, row %d: %v", c.Name, row+1, v), "a finite number or null"}
			}
		}
		return c.Floats, nil
	case dataset.Timestamp:
		out := make([]float64, len(c.Times))
		for row, at := range c.Times {
			out[row] = math.NaN()
			if at != dataset.NullTime {
				out[row] = float64(at) / 1e9
			}
		}
		return out, nil
	}
	return nil, &DataError{BadFeature, fmt.Sprintf("feature %q is a %s in the validation rows", c.Name, c.Kind), "a number as in the training rows"}
}
