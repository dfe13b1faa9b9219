package inference

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// linearModel is a binary model of one feature of each kind.
const linearModel = `{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[-1],"features":[
 {"name":"n","kind":"number","mean":10,"scale":2,"weights":[0.5],"missing":[0.25]},
 {"name":"i","kind":"integer","weights":[0.1],"impute":3},
 {"name":"b","kind":"boolean","weights":[2]},
 {"name":"c","kind":"category","categories":["x","1"],"category_weights":[[0.7],[-0.7]],"unknown":[0.3]},
 {"name":"t","kind":"timestamp","weights":[0]}]}`

const linearSignature = `{"version":1,"format":"leanloop-linear","task":"binary","output":"late","classes":["no","yes"],"inputs":[
 {"name":"n","kind":"number"},{"name":"i","kind":"integer"},{"name":"b","kind":"boolean"},
 {"name":"c","kind":"category","categories":["x","1"]},{"name":"t","kind":"timestamp"}]}`

func loadLinear(t *testing.T) *Model {
	t.Helper()
	m, err := Load(map[string][]byte{SignatureFile: []byte(linearSignature), ModelFile: []byte(linearModel)}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLinearScoresByItsFormula(t *testing.T) {
	m := loadLinear(t)
	for _, c := range []struct {
		name   string
		row    map[string]any
		margin float64
	}{
		{"values", map[string]any{"n": 14.0, "i": 2, "b": true, "c": "x", "t": "2013-01-01T00:00:00Z"}, -1 + 0.5*2 + 0.2 + 2 + 0.7},
		{"a time as files have it", map[string]any{"n": 14.0, "i": 2, "b": true, "c": "x", "t": "2013-01-01 00:00:00"}, -1 + 0.5*2 + 0.2 + 2 + 0.7},
		{"nulls", map[string]any{"n": nil, "i": nil, "b": nil, "c": nil, "t": nil}, -1 + 0.25 + 0.3 + 0 + 0.3},
		{"unknown category", map[string]any{"n": 10, "i": 0, "b": false, "c": "never seen", "t": 0}, -1 + 0.3},
		{"category written as a number", map[string]any{"n": 10, "i": 0, "b": 0, "c": json.Number("1"), "t": 0}, -1 - 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, out := make([]float64, 5), make([]float64, 1)
			if err := m.Encode(c.row, x); err != nil {
				t.Fatal(err)
			}
			if err := m.Scorer.Score(x, 1, out); err != nil {
				t.Fatal(err)
			}
			if want := sigmoid(c.margin); math.Abs(out[0]-want) > 1e-12 {
				t.Errorf("observed %v, want %v", out[0], want)
			}
		})
	}
}

func TestEncodeChecksTypes(t *testing.T) {
	m := loadLinear(t)
	good := func() map[string]any { return map[string]any{"n": 1.5, "i": 1, "b": true, "c": "x", "t": 0} }
	for _, c := range []struct {
		name, feature string
		value         any
		want          string
	}{
		{"text in a number", "n", "12", `feature "n": observed text "12", want number`},
		{"fraction in an integer", "i", 1.5, `feature "i": observed number 1.5, want integer`},
		{"two as a boolean", "b", 2, `feature "b": observed number 2, want boolean: true, false, 1 or 0`},
		{"a list as a category", "c", []any{"x"}, `feature "c": observed a list, want category`},
		{"text that is no instant", "t", "yesterday", `feature "t": observed text "yesterday", want timestamp: 2006-01-02, 2006-01-02T15:04:05Z or seconds since 1970`},
		{"infinity", "n", math.Inf(1), `feature "n": observed number +Inf, want number`},
		{"a number over float64", "n", json.Number("1e999"), `feature "n": observed json.Number, want number`},
		{"long text", "n", strings.Repeat("y", 100), `feature "n": observed text of 100 bytes, want number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := good()
			row[c.feature] = c.value
			err := m.Encode(row, make([]float64, 5))
			var typed *FeatureType
			if !errors.As(err, &typed) || err.Error() != c.want {
				t.Errorf("observed %v, want %s", err, c.want)
			}
		})
	}
	row := good()
	delete(row, "c")
	row["d"], row["a"] = 1, 1
	var missing *MissingFeature
	if err := m.Encode(row, make([]float64, 5)); !errors.As(err, &missing) || missing.Feature != "c" {
		t.Errorf("observed %v, want *MissingFeature of c", err)
	}
	if got := m.Unknown(row); !reflect.DeepEqual(got, []string{"a", "d"}) {
		t.Errorf("observed %v, want a and d", got)
	}
}

func TestEncodeTableAgreesWithEncode(t *testing.T) {
	m := loadLinear(t)
	at := time.Date(2013, 7, 1, 12, 0, 0, 5e8, time.UTC)
	table := &dataset.Table{Rows: 2, Columns: []dataset.Column{
		{Name: "t", Kind: dataset.Timestamp, Times: []int64{at.UnixNano(), dataset.NullTime}},
		{Name: "c", Kind: dataset.Category, Codes: []int32{2, -1}, Dict: []string{"1", "other", "x"}},
		{Name: "n", Floats: []float64{1.5, math.NaN()}},
		{Name: "i", Kind: dataset.Integer, Floats: []float64{7, math.NaN()}},
		{Name: "b", Kind: dataset.Boolean, Floats: []float64{1, math.NaN()}},
	}}
	got, err := m.EncodeTable(table)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, 10)
	for i, row := range []map[string]any{
		{"n": 1.5, "i": 7, "b": true, "c": "x", "t": at.Format(time.RFC3339Nano)},
		{"n": nil, "i": nil, "b": nil, "c": nil, "t": nil},
	} {
		if err := m.Encode(row, want[i*5:i*5+5]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("value %d: observed %v, want %v", i, got[i], want[i])
		}
	}
	table.Columns[2].Kind, table.Columns[2].Codes = dataset.Text, []int32{0, 0}
	table.Columns[2].Dict = []string{"a"}
	var typed *FeatureType
	if _, err := m.EncodeTable(table); !errors.As(err, &typed) {
		t.Errorf("observed %v, want *FeatureType", err)
	}
	var missing *MissingFeature
	table.Columns[2].Name = "m"
	if _, err := m.EncodeTable(table); !errors.As(err, &missing) {
		t.Errorf("observed %v, want *MissingFeature", err)
	}
}

// Seven digits and more are where Go's shortest form of a float64 turns to an exponent, and no file writes one.
func TestNumbersThatAreNamesKeepTheirDigits(t *testing.T) {
	names := []string{"1", "1000000", "1234567", "9007199254740992", "0.5"}
	m := &Model{Signature: Signature{Inputs: []Feature{{Name: "shop", Kind: KindCategory, Categories: names}}}, codes: []map[string]int32{{}}}
	for code, name := range names {
		m.codes[0][name] = int32(code)
	}
	for code, value := range []any{1.0, 1e6, 1234567, json.Number("9007199254740992"), json.Number("5e-1")} {
		if got, err := m.EncodeValue(0, value); err != nil || got != float64(code) {
			t.Errorf("%v: observed code %v, %v, want %d", value, got, err, code)
		}
	}
	label := Labeller(&dataset.Column{Kind: dataset.Number, Floats: []float64{1, 1e6, 1234567, 1 << 53, 0.5}})
	for row, name := range names {
		if got := label(row); got != name {
			t.Errorf("observed %q, want %q", got, name)
		}
	}
}

func TestInstantsOfAnyYear(t *testing.T) {
	m := loadLinear(t)
	for text, want := range map[string]float64{
		"9999-12-31T00:00:00Z": 253402214400, "1500-01-01T00:00:00Z": -14831769600, "2013-01-01T00:00:00.5Z": 1356998400.5,
	} {
		if got, err := m.EncodeValue(4, text); err != nil || got != want {
			t.Errorf("%s: observed %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestDecision(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     Signature
		out   []float64
		label string
		score float64
	}{
		{"at the threshold is positive", Signature{Task: spec.Binary, Classes: []string{"no", "yes"}, Threshold: 0.3}, []float64{0.3}, "yes", 0.3},
		{"below it is negative", Signature{Task: spec.Binary, Classes: []string{"no", "yes"}, Threshold: 0.3}, []float64{0.29}, "no", 0.29},
		{"the most probable class, the first of equals", Signature{Task: spec.Multiclass, Classes: []string{"a", "b", "c"}}, []float64{0.2, 0.4, 0.4}, "b", 0.4},
		{"a value has no label", Signature{Task: spec.Regression}, []float64{-3}, "", -3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if label, score := (&Model{Signature: c.s}).Decision(c.out); label != c.label || score != c.score {
				t.Errorf("observed %q %v, want %q %v", label, score, c.label, c.score)
			}
		})
	}
}

func TestSignatureIsStrict(t *testing.T) {
	if _, err := ParseSignature([]byte(linearSignature)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown field", `"output"`, `"outptu"`, `unknown field "outptu"`},
		{"version", `"version":1`, `"version":2`, "version: observed 2, want 1"},
		{"format", "leanloop-linear", "pickle", `format: observed "pickle", want one of xgboost-json, leanloop-linear, onnx, command, remote`},
		{"kind", `"integer"`, `"int"`, `inputs[1]: feature "i": kind: observed "int"`},
		{"feature twice", `"name":"i"`, `"name":"n"`, `inputs[1]: feature "n" is listed twice`},
		{"category without categories", `,"categories":["x","1"]`, ``, `inputs[3]: feature "c": kind category needs its categories`},
		{"unknown categories", `["x","1"]`, `["x","1"],"unknown":"ignore"`, `unknown: observed "ignore", want missing or refuse`},
		{"unknown categories of a number", `"name":"n","kind":"number"`, `"name":"n","kind":"number","unknown":"refuse"`, `feature "n": unknown: observed "refuse", kind number has no categories`},
		{"category twice", `["x","1"]`, `["x","x"]`, `"x" is listed twice`},
		{"three classes of a binary task", `["no","yes"]`, `["no","yes","maybe"]`, "classes: observed 3, a binary model has 2"},
		{"task", `"binary"`, `"ranking"`, `task: observed "ranking"`},
		{"threshold", `"version":1`, `"version":1,"threshold":2`, "threshold: observed 2"},
		{"more data", `"timestamp"}]}`, `"timestamp"}]}{}`, "more data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(linearSignature, c.from, c.to, 1)
			if text == linearSignature {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseSignature([]byte(text))
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("observed %v, want %s", err, c.want)
			}
		})
	}
}

func TestLoadHoldsModelAndSignatureTogether(t *testing.T) {
	for _, c := range []struct{ name, signatureFrom, signatureTo, modelFrom, modelTo, want string }{
		{"another order of features", `"name":"n"`, `"name":"i2"`, ``, ``, `inputs[0]: the model says "n", the signature "i2"`},
		{"another order of categories", `["x","1"]`, `["1","x"]`, ``, ``, `categories: at 0 the model has "x", the signature "1"`},
		{"another task", `"binary","output":"late","classes":["no","yes"]`, `"regression","output":"late"`, ``, ``, "task: objective sigmoid is for binary, the signature says regression"},
		{"a misspelt weight", ``, ``, `"impute"`, `"imputed"`, `unknown field "imputed"`},
		{"a scale of zero", ``, ``, `"scale":2`, `"scale":0`, "scale: observed 0, want a number over 0"},
		{"two numbers for one output", ``, ``, `"weights":[2]`, `"weights":[2,3]`, "weights: observed 2 numbers, want 1"},
		{"an unknown link", ``, ``, `"sigmoid"`, `"probit"`, `link: observed "probit"`},
		{"an unknown version", ``, ``, `"version":1`, `"version":7`, "version: observed 7, want 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string][]byte{
				SignatureFile: []byte(strings.Replace(linearSignature, c.signatureFrom, c.signatureTo, 1)),
				ModelFile:     []byte(strings.Replace(linearModel, c.modelFrom, c.modelTo, 1)),
			}
			if _, err := Load(files, Limits{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("observed %v, want %s", err, c.want)
			}
		})
	}
	for _, name := range []string{SignatureFile, ModelFile} {
		files := map[string][]byte{SignatureFile: []byte(linearSignature), ModelFile: []byte(linearModel)}
		delete(files, name)
		var format *FormatError
		if _, err := Load(files, Limits{}); !errors.As(err, &format) || format.File != name {
			t.Errorf("without %s: observed %v", name, err)
		}
	}
}

// A binary task wants probabilities, so a margin is taken through the sigmoid; a file alone answers as XGBoost does.
func TestLoadGivesProbabilitiesOfLogitraw(t *testing.T) {
	data := []byte(strings.Replace(string(writeForest(8, 3, 4, false, 1)), "binary:logistic", "binary:logitraw", 1))
	file, err := Inspect(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := Signature{Version: 1, Format: FormatXGBoost, Task: spec.Binary, Output: "y", Classes: []string{"0", "1"}, Threshold: 0.5}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.Inputs = append(s.Inputs, Feature{Name: name, Kind: KindNumber})
	}
	m, err := NewModel(s, file)
	if err != nil {
		t.Fatal(err)
	}
	x, margin, p := []float64{0.1, -0.4, math.NaN(), 2}, make([]float64, 1), make([]float64, 1)
	if err := errors.Join(file.Scorer.Score(x, 1, margin), m.Scorer.Score(x, 1, p)); err != nil {
		t.Fatal(err)
	}
	if math.Abs(p[0]-sigmoid(margin[0])) > 1e-12 || p[0] == margin[0] {
		t.Errorf("observed %v, want the sigmoid of %v", p[0], margin[0])
	}
}

// Walking trees in lockstep is an optimisation of walking each by itself.
func TestLockstepAgreesWithOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		depth, trees := rapid.IntRange(0, 5).Draw(t, "depth"), rapid.IntRange(0, 9).Draw(t, "trees")
		file, err := Inspect(writeForest(trees, depth, 4, rapid.Bool().Draw(t, "categories"), rapid.Uint64().Draw(t, "seed")), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f := file.native.(*forest)
		row := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-2, 25), rapid.SampledFrom([]float64{
			math.NaN(), 0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 1e300, -1e300, 16777216, 4294967297})), 4, 4).Draw(t, "row")
		s := f.scratch.New().(*scratch)
		f.prepare(row, s)
		want := f.base[0]
		for _, tr := range f.trees {
			want += f.one(tr, s)
		}
		f.sum(s)
		if s.margins[0] != want {
			t.Fatalf("observed %v, want %v", s.margins[0], want)
		}
	})
}

func TestOrderKeyOrdersAsFloatsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float32().Draw(t, "a"), rapid.Float32().Draw(t, "b")
		if a != a || b != b {
			t.Skip("not a number")
		}
		if (a < b) != (orderKey(a) < orderKey(b)) || (a == b) != (orderKey(a) == orderKey(b)) {
			t.Fatalf("%v and %v: keys %d and %d", a, b, orderKey(a), orderKey(b))
		}
	})
}

func TestScoreAllocatesNothing(t *testing.T) {
	for name, data := range map[string][]byte{"numbers": writeForest(20, 5, 8, false, 1), "categories": writeForest(20, 5, 8, true, 1), "linear": []byte(linearModel)} {
		file, err := Inspect(data, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		x, out := make([]float64, file.Inputs), make([]float64, 1)
		if n := testing.AllocsPerRun(200, func() {
			if err := file.Scorer.Score(x, 1, out); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: observed %v allocations, want 0", name, n)
		}
		if err := file.Scorer.Score(x, 2, out); err == nil {
			t.Errorf("%s: two rows in the place of one are no error", name)
		}
	}
}

func TestScorersAreSafeForConcurrentUse(t *testing.T) {
	file, err := Inspect(writeForest(20, 5, 8, true, 1), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			x, first, again := make([]float64, 8), make([]float64, 1), make([]float64, 1)
			for i := range x {
				x[i] = float64(worker*i) / 7
			}
			for i := range 200 {
				out := again
				if i == 0 {
					out = first
				}
				if err := file.Scorer.Score(x, 1, out); err != nil {
					t.Error(err)
				}
				if i > 0 && again[0] != first[0] {
					t.Errorf("observed %v, want %v", again[0], first[0])
				}
			}
		})
	}
	wait.Wait()
}

func TestParseTimeTakesWhatDataFilesHave(t *testing.T) {
	for text, want := range map[string]string{
		"2024-02-29":                     "2024-02-29T00:00:00Z",
		"2024-02-29 13:14:15":            "2024-02-29T13:14:15Z",
		"2024-02-29T13:14:15":            "2024-02-29T13:14:15Z",
		"2024-02-29T13:14:15.123456789Z": "2024-02-29T13:14:15.123456789Z",
		"2024-02-29 13:14:15.5+02:00":    "2024-02-29T11:14:15.5Z",
		"2024-02-29 13:14:15.5":          "2024-02-29T13:14:15.5Z",
		"2023-02-29":                     "", // no such day
		"29/02/2024":                     "",
		"2024-02-29 13:14":               "",
		"":                               "",
	} {
		at, ok := ParseTime(text)
		if got := at.UTC().Format(time.RFC3339Nano); ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: observed %s, %t, want %q", text, got, ok, want)
		}
	}
}
