package inference

import (
	"context"
	"math"
	"sort"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// EncodeTable encodes a table's feature columns, found by name, to a row-major matrix of Rows x inputs. A column that
// is absent is *MissingFeature; one whose kind can't hold the feature is *FeatureType. An unknown category is missing, even where requests with one are refused: a table is judged as a whole, and
// how well the model does on values that are new is part of that. CheckCategories refuses as requests are.
func (m *Model) EncodeTable(t *dataset.Table) ([]float64, error) {
	width := len(m.Signature.Inputs)
	x := make([]float64, t.Rows*width)
	for i := range m.Signature.Inputs {
		column, ok := t.Column(m.Signature.Inputs[i].Name)
		if !ok {
			return nil, &MissingFeature{m.Signature.Inputs[i].Name}
		}
		if err := m.encodeColumn(i, column, x, width); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// CheckCategories is an *UnknownCategory where a row would be refused as a request: the first such row of the first such
// feature. Columns that are absent or of another kind are EncodeTable's to refuse.
func (m *Model) CheckCategories(t *dataset.Table) error {
	for i := range m.Signature.Inputs {
		in := &m.Signature.Inputs[i]
		c, ok := t.Column(in.Name)
		if in.Unknown != UnknownRefuse || !ok || c.Codes == nil {
			continue
		}
		for row, code := range c.Codes {
			if code < 0 {
				continue
			}
			if _, known := m.codes[i][c.Dict[code]]; !known {
				return &UnknownCategory{Feature: in.Name, Row: row, Got: describe(c.Dict[code]), Known: len(in.Categories)}
			}
		}
	}
	return nil
}

func (m *Model) encodeColumn(i int, c *dataset.Column, x []float64, width int) error {
	kind := m.Signature.Inputs[i].Kind
	if !holds(kind, c.Kind) {
		return &FeatureType{m.Signature.Inputs[i].Name, kind, "a column of kind " + c.Kind.String()}
	}
	switch c.Kind {
	case dataset.Category, dataset.Text:
		translate := make([]float64, len(c.Dict))
		for code, name := range c.Dict {
			translate[code] = math.NaN()
			if known, ok := m.codes[i][name]; ok {
				translate[code] = float64(known)
			}
		}
		for row, code := range c.Codes {
			x[row*width+i] = math.NaN()
			if code >= 0 {
				x[row*width+i] = translate[code]
			}
		}
	case dataset.Timestamp:
		for row, at := range c.Times {
			x[row*width+i] = math.NaN()
			if at != dataset.NullTime {
				x[row*width+i] = seconds(at)
			}
		}
	default:
		for row, v := range c.Floats {
			x[row*width+i] = v
		}
	}
	return nil
}

// PredictTable scores a table: Rows x Outputs() scores, row-major.
func (m *Model) PredictTable(ctx context.Context, t *dataset.Table) ([]float64, error) {
	if m.predict != nil {
		return m.predict(ctx, t)
	}
	x, err := m.EncodeTable(t)
	if err != nil {
		return nil, err
	}
	out := make([]float64, t.Rows*m.Scorer.Outputs())
	if err := m.Score(ctx, x, t.Rows, out); err != nil {
		return nil, err
	}
	return out, nil
}

// RestClass is the name of a binary model's negative class that stands for every value but the positive one.
func RestClass(positive string) string { return "not " + positive }

// Targets reads the label column that the signature's Output names as numbers that scores can be judged by: the class
// index (so 1 for the positive class of a binary model), or the value (regression). A null label is NaN. A value that
// is none of the classes is *UnknownClass, unless the negative class is the positive one's RestClass: taken for a
// negative, true would be one to a model whose classes are called 0 and 1.
func (s Signature) Targets(t *dataset.Table) ([]float64, error) {
	c, ok := t.Column(s.Output)
	if !ok {
		return nil, &MissingFeature{s.Output}
	}
	if s.Task == spec.Regression {
		if c.Floats == nil && c.Len() > 0 {
			return nil, &FeatureType{s.Output, KindNumber, "a column of kind " + c.Kind.String()}
		}
		return append([]float64(nil), c.Floats...), nil
	}
	index := make(map[string]float64, len(s.Classes))
	for k, name := range s.Classes {
		index[name] = float64(k)
	}
	rest := s.Task == spec.Binary && len(s.Classes) == 2 && s.Classes[0] == RestClass(s.Classes[1])
	label := Labeller(c)
	y := make([]float64, t.Rows)
	for row := range y {
		if c.Null(row) {
			y[row] = math.NaN()
			continue
		}
		k, known := index[label(row)]
		if !known && !rest {
			return nil, &UnknownClass{s.Output, row, label(row), s.Classes}
		}
		y[row] = k
	}
	return y, nil
}

// Labeller gives the name of each non-null value of a column of labels or ids: a category's text, true or false, a
// number as dataset.FormatNumber has it, or an instant in RFC 3339.
func Labeller(c *dataset.Column) func(row int) string {
	switch c.Kind {
	case dataset.Category, dataset.Text:
		return func(row int) string { return c.Dict[c.Codes[row]] }
	case dataset.Boolean:
		return func(row int) string { return strconv.FormatBool(c.Floats[row] != 0) }
	case dataset.Timestamp:
		return func(row int) string { return time.Unix(0, c.Times[row]).UTC().Format(time.RFC3339Nano) }
	}
	names := map[float64]string{} // labels repeat: formatting each row would cost more than training on it
	return func(row int) string {
		name, ok := names[c.Floats[row]]
		if !ok {
			name = dataset.FormatNumber(c.Floats[row])
			names[c.Floats[row]] = name
		}
		return name
	}
}

// InputOf describes a table's column as a model's input; the categories are sorted, which is the order in which
// pandas codes them too. It is a *FeatureType for text, which is never a feature.
func InputOf(c *dataset.Column) (Feature, error) {
	f := Feature{Name: c.Name, Kind: c.Kind.String(), Nullable: c.Nulls() > 0}
	switch c.Kind {
	case dataset.Text:
		return Feature{}, &FeatureType{c.Name, "a number, integer, boolean, category or timestamp", "a column of kind text"}
	case dataset.Category:
		used := make([]bool, len(c.Dict))
		for _, code := range c.Codes {
			if code >= 0 {
				used[code] = true
			}
		}
		for code, name := range c.Dict {
			if used[code] {
				f.Categories = append(f.Categories, name)
			}
		}
		sort.Strings(f.Categories)
	}
	return f, nil
}
