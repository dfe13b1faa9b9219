package inference

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// refusing is loadLinear's model whose category refuses what it doesn't know.
func refusing(t *testing.T) *Model {
	t.Helper()
	signature := strings.Replace(linearSignature, `"categories":["x","1"]`, `"categories":["x","1"],"unknown":"refuse"`, 1)
	m, err := Load(map[string][]byte{SignatureFile: []byte(signature), ModelFile: []byte(linearModel)}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUnknownCategoriesAreMissingOrRefusedByTheSignature(t *testing.T) {
	lenient, strict := loadLinear(t), refusing(t)
	for _, c := range []struct {
		value any
		known bool
		says  string
	}{
		{"x", true, ""}, {json.Number("1"), true, ""}, {1.0, true, ""}, {nil, true, ""},
		{"z", false, `feature "c": observed text "z", want one of its 2 known categories, or null`},
		{"", false, `observed text ""`}, {true, false, "observed boolean true"}, {json.Number("1.5"), false, "observed number 1.5"}, {7, false, "observed number 7"},
		{strings.Repeat("z", 100), false, "observed text of 100 bytes"},
	} {
		got, err := lenient.EncodeValue(3, c.value)
		if err != nil || math.IsNaN(got) != (!c.known || c.value == nil) {
			t.Errorf("%v by default: observed %v, %v", c.value, got, err)
		}
		_, err = strict.EncodeValue(3, c.value)
		var unknown *UnknownCategory
		if errors.As(err, &unknown) == c.known || !c.known && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: observed %v, want %q", c.value, err, c.says)
		}
	}
}

func TestATableIsScoredWithUnknownCategoriesAndCheckedApart(t *testing.T) {
	m := refusing(t)
	table := &dataset.Table{Rows: 3, Columns: []dataset.Column{
		{Name: "n", Floats: make([]float64, 3)}, {Name: "i", Kind: dataset.Integer, Floats: make([]float64, 3)}, {Name: "b", Kind: dataset.Boolean, Floats: make([]float64, 3)},
		{Name: "c", Kind: dataset.Category, Codes: []int32{0, -1, 1}, Dict: []string{"x", "new"}}, {Name: "t", Kind: dataset.Timestamp, Times: make([]int64, 3)},
	}}
	x, err := m.EncodeTable(table)
	if err != nil || x[3] != 0 || !math.IsNaN(x[8]) || !math.IsNaN(x[13]) {
		t.Fatalf("observed %v, %v", x, err)
	}
	const want = `row 3: feature "c": observed text "new", want one of its 2 known categories, or null`
	if err := m.CheckCategories(table); err == nil || err.Error() != want {
		t.Errorf("observed %v, want %s", err, want)
	}
	if err := loadLinear(t).CheckCategories(table); err != nil {
		t.Errorf("by default: observed %v", err)
	}
	table.Columns[3].Codes[2] = 0 // a value that no row has any more is none of its
	if err := m.CheckCategories(table); err != nil {
		t.Errorf("observed %v", err)
	}
}

func TestTheSpecSaysWhichFeaturesRefuse(t *testing.T) {
	s := Signature{Inputs: []Feature{{Name: "n", Kind: KindNumber}, {Name: "a", Kind: KindCategory}, {Name: "b", Kind: KindCategory}, {Name: "own", Kind: KindCategory, Unknown: UnknownMissing}}}
	for _, c := range []struct {
		name    string
		serving spec.Serving
		want    []string // by input
		says    string
	}{
		{"nothing said", spec.Serving{}, []string{"", "", "", "missing"}, ""},
		{"all", spec.Serving{UnknownCategories: "refuse"}, []string{"", "refuse", "refuse", "missing"}, ""},
		{"all but one", spec.Serving{UnknownCategories: "refuse", UnknownCategoriesOf: map[string]string{"b": "missing"}}, []string{"", "refuse", "", "missing"}, ""},
		{"one", spec.Serving{UnknownCategoriesOf: map[string]string{"a": "refuse"}}, []string{"", "refuse", "", "missing"}, ""},
		{"one that is a number", spec.Serving{UnknownCategoriesOf: map[string]string{"n": "refuse"}}, nil, `serving.unknown_categories_of: observed "n", want features of kind category that the model has: ["a" "b" "own"]`},
		{"one that isn't there", spec.Serving{UnknownCategoriesOf: map[string]string{"z": "refuse"}}, nil, `observed "z"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.WithPolicy(c.serving)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("observed %v, want %s", err, c.says)
				}
				return
			}
			for i, want := range c.want {
				if err != nil || got.Inputs[i].Unknown != want {
					t.Errorf("input %d: observed %q, %v, want %q", i, got.Inputs[i].Unknown, err, want)
				}
			}
		})
	}
	if s.Inputs[1].Unknown != "" {
		t.Error("the signature itself was changed")
	}
}
