package serving

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// everyKind is a route whose champion has a feature of each kind.
func everyKind(t require.TestingT) *route {
	file := `{"format":"leanloop-linear","version":1,"link":"identity","intercept":[0],"features":[
		{"name":"number","kind":"number","weights":[1]},{"name":"integer","kind":"integer","weights":[1]},
		{"name":"boolean","kind":"boolean","weights":[1]},{"name":"time","kind":"timestamp","weights":[1]},
		{"name":"category","kind":"category","categories":["a","1","true","é\""],"category_weights":[[1],[2],[3],[4]]}]}`
	signature := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatLinear, Task: spec.Regression, Output: "y",
		Inputs: []inference.Feature{{Name: "number", Kind: "number"}, {Name: "integer", Kind: "integer"}, {Name: "boolean", Kind: "boolean"},
			{Name: "time", Kind: "timestamp"}, {Name: "category", Kind: "category", Categories: []string{"a", "1", "true", "é\""}}}}
	encoded, err := signature.Marshal()
	require.NoError(t, err)
	m, err := inference.Load(map[string][]byte{inference.SignatureFile: encoded, inference.ModelFile: []byte(file)}, inference.Limits{})
	require.NoError(t, err)
	return newRoute("m", &version{number: 1, model: m}, nil, settings{id: "id", known: []string{"id"}})
}

// What the gateway makes of a request must be what inference.Model.Encode makes of the same JSON.
func TestFastEncodingAgreesWithTheModelsOwn(t *testing.T) {
	r := everyKind(t)
	values := []string{"null", "0", "-0", "1", "1.5", "-12.25", "1e3", "1E-3", "123456789012345678901234567890", "0.1",
		"9007199254740993", "1e400", "true", "false", `"a"`, `"1"`, `"true"`, `"\u00e9\""`, `"unknown"`, `""`,
		`"2026-03-01T10:00:00.5Z"`, `"2026-03-01"`}
	rapid.Check(t, func(t *rapid.T) {
		row := map[string]json.RawMessage{}
		for _, f := range []string{"number", "integer", "boolean", "time", "category", "id"} {
			if rapid.IntRange(0, 9).Draw(t, f+" present") > 0 {
				row[f] = json.RawMessage(rapid.SampledFrom(values).Draw(t, f))
			}
		}
		body, err := json.Marshal(map[string]any{"features": row})
		require.NoError(t, err)
		w := &work{body: body}
		single, p := w.decodePredict(r, 10)
		require.Nil(t, p)
		require.True(t, single)

		var generic struct{ Features map[string]any }
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		require.NoError(t, d.Decode(&generic))
		want, got := make([]float64, 5), make([]float64, 5)
		wantErr := r.champion.model.Encode(generic.Features, want)
		gotErr := r.champion.encode(w.row(0, len(r.order)), got)
		require.Equal(t, wantErr, gotErr)
		if wantErr == nil {
			require.True(t, slices.EqualFunc(want, got, func(a, b float64) bool {
				return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
			}), "observed %v, want %v", got, want)
		}
	})
}

func TestNumbersAreTheNearestFloat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringMatching(`-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
		want, err := strconv.ParseFloat(raw, 64)
		got, ok := parseNumber([]byte(raw))
		if ok != (err == nil) || ok && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s: observed %v %v, want %v %v", raw, got, ok, want, err)
		}
	})
}

func TestKeysSpreadEvenlyAndDifferentlyForEachChallenger(t *testing.T) {
	const keys = 20_000
	below, both := 0, 0
	for i := range keys {
		key := []byte("UA-" + strconv.Itoa(i))
		a, b := stickyPoint(stickySalt("m", 2), key), stickyPoint(stickySalt("m", 3), key)
		if a < 0 || a >= 1 {
			t.Fatalf("point %v is not in [0, 1)", a)
		}
		if a < 0.1 {
			below++
			if b < 0.1 {
				both++
			}
		}
	}
	require.InDelta(t, keys*0.1, below, 5*math.Sqrt(keys*0.09))
	require.InDelta(t, keys*0.01, both, 5*math.Sqrt(keys*0.01))
}

func FuzzDecodePredict(f *testing.F) {
	for _, seed := range []string{`{"features":{"number":1.5,"category":"a","time":"2026-03-01T10:00:00Z"}}`,
		`{"instances":[{"number":null},{"x":{"y":[1,{}]}}]}`, `{"features":{"number":1e`, `{"features":{"category":"\u12`, `[[[[`, ``} {
		f.Add([]byte(seed))
	}
	r := everyKind(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &work{body: body}
		if p := w.check(); p != nil {
			return
		}
		_, p := w.decodePredict(r, 100)
		if p == nil {
			if !json.Valid(body) {
				t.Fatalf("took what is not JSON: %q", body)
			}
			if len(w.values) != w.rows*len(r.order) {
				t.Fatalf("%d values for %d rows", len(w.values), w.rows)
			}
			for i := range w.rows {
				var missing *inference.MissingFeature
				var wrong *inference.FeatureType
				err := r.champion.encode(w.row(i, len(r.order)), make([]float64, 5))
				if err != nil && !errors.As(err, &missing) && !errors.As(err, &wrong) {
					t.Fatalf("unexpected error %v", err)
				}
			}
		} else if p.Status < 400 || p.Status >= 500 || p.Message == "" {
			t.Fatalf("problem %+v", p)
		}
	})
}

func FuzzDecodeInfer(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","inputs":[{"name":"number","shape":[2],"datatype":"FP64","data":[1,2]},{"name":"category","shape":[2,1],"datatype":"BYTES","data":[["a"],[null]]}]}`,
		`{"inputs":[{"name":"number","shape":[1],"datatype":"FP64","data":[[[]]]}]}`, `{"outputs":[{"name":"score"}],"inputs":[]}`, `{`} {
		f.Add([]byte(seed))
	}
	r := everyKind(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &work{body: body}
		if p := w.check(); p != nil {
			return
		}
		req, p := w.decodeInfer(r, 100)
		if p == nil && (w.rows < 1 || len(w.values) != w.rows*len(r.order) || req.id != nil && !json.Valid(req.id)) {
			t.Fatalf("%d values for %d rows, id %q", len(w.values), w.rows, req.id)
		}
		if p != nil && (p.Status < 400 || p.Status >= 500) {
			t.Fatalf("problem %+v", p)
		}
	})
}

// The bytes behind the JSON are cut, read and answered as the JSON says, or refused: whatever both are.
func FuzzInferWithBinaryTails(f *testing.F) {
	const tensors = `{"inputs":[{"name":"number","shape":[2],"datatype":"FP64","parameters":{"binary_data_size":16}},` +
		`{"name":"category","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":10}}],"parameters":{"binary_data_output":true}}`
	tail := append(make([]byte, 16), 1, 0, 0, 0, 'a', 1, 0, 0, 0, '1')
	f.Add(tensors, tail, strconv.Itoa(len(tensors)))
	f.Add(tensors, tail[:20], strconv.Itoa(len(tensors)))
	f.Add(tensors, append(make([]byte, 16), 0xff, 0xff, 0xff, 0xff), strconv.Itoa(len(tensors)))
	for _, datatype := range []string{"BOOL", "INT8", "UINT64", "FP16", "FP32"} {
		one := strings.Replace(`{"inputs":[{"name":"number","shape":[1],"datatype":"?","parameters":{"binary_data_size":8}}]}`, "?", datatype, 1)
		f.Add(one, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, strconv.Itoa(len(one)))
	}
	f.Add(`{}`, []byte{}, "-1")
	f.Add(`{"inputs":[{"name":"number","shape":[1],"datatype":"FP64","parameters":{"binary_data_size":9223372036854775807}}]}`, []byte{0}, "118")
	r := everyKind(f)
	f.Fuzz(func(t *testing.T, head string, tail []byte, length string) {
		w := &work{body: append([]byte(head), tail...)}
		size := len(w.body)
		req := &http.Request{Header: http.Header{headerLength: {length}}}
		p := w.cutBinary(req)
		if p == nil {
			p = w.check()
		}
		var asked inferRequest
		if p == nil {
			asked, p = w.decodeInfer(r, 100)
		}
		if p != nil {
			if p.Status < 400 || p.Status >= 500 || p.Message == "" {
				t.Fatalf("problem %+v", p)
			}
			return
		}
		if w.rows < 1 || w.rows > 100 || len(w.values) != w.rows*len(r.order) || len(w.numbers) > 32*size {
			t.Fatalf("%d values for %d rows, %d bytes of numbers of %d", len(w.values), w.rows, len(w.numbers), size)
		}
		w.ids = bytes.Repeat([]byte{'0'}, w.rows*predictionIDLength)
		for i := range w.rows {
			x := make([]float64, len(r.champion.inputs))
			if err := r.champion.encode(w.row(i, len(r.order)), x); err != nil {
				return // the client's mistake, told with the row
			}
			for _, v := range x {
				if math.IsInf(v, 0) {
					t.Fatalf("row %d is read as %v", i, x)
				}
			}
			w.results = append(w.results, result{arm: r.champion, scores: []float64{1}})
		}
		w.appendInfer(r, asked)
		answer, behind := w.answer, 0
		if w.header > 0 {
			answer, behind = w.answer[:w.header], len(w.answer)-w.header
		}
		var said struct {
			Outputs []struct {
				Parameters struct {
					Size int `json:"binary_data_size"`
				}
			}
		}
		if err := json.Unmarshal(answer, &said); err != nil {
			t.Fatalf("answer %q: %v", answer, err)
		}
		for _, o := range said.Outputs {
			behind -= o.Parameters.Size
		}
		if behind != 0 {
			t.Fatalf("%d bytes behind the JSON belong to no output", behind)
		}
	})
}
