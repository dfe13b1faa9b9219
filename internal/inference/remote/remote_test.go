package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// signature is of a binary model with a feature of each kind.
func signature() inference.Signature {
	return inference.Signature{
		Version: 1, Format: inference.FormatRemote, Task: spec.Binary, Output: "late", Classes: []string{"no", "yes"}, Threshold: 0.5,
		Inputs: []inference.Feature{
			{Name: "delay", Kind: inference.KindNumber}, {Name: "stops", Kind: inference.KindInteger},
			{Name: "carrier", Kind: inference.KindCategory, Categories: []string{"AA", "\"B6\"\n"}}, {Name: "at", Kind: inference.KindTimestamp},
			{Name: "night", Kind: inference.KindBoolean},
		},
	}
}

// server is one of the protocol whose parts tests replace.
type server struct {
	metadata, about string
	infer           http.HandlerFunc
	ready           int
	asked           atomic.Int64

	mu     sync.Mutex
	bodies [][]byte
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.EscapedPath() {
	case "/v2":
		_, _ = io.WriteString(w, s.about)
	case "/v2/models/late%20ones/versions/3/ready":
		w.WriteHeader(s.ready)
	case "/v2/models/late%20ones/versions/3":
		_, _ = io.WriteString(w, s.metadata)
	case "/v2/models/late%20ones/versions/3/infer":
		s.asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies = append(s.bodies, body)
		s.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.infer(w, r)
	default:
		http.NotFound(w, r)
	}
}

// matrixModel takes all features as one tensor, and answers with half the first feature, capped.
const matrixModel = `{"name":"late ones","inputs":[{"name":"x","datatype":"FP32","shape":[-1,5]}],
	"outputs":[{"name":"label","datatype":"INT64","shape":[-1]},{"name":"p","datatype":"FP32","shape":[-1,2]}]}`

// answerMatrix answers both classes' probabilities as JSON, nested.
func answerMatrix(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Inputs []struct {
			Shape []int
			Data  []*float64
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, `{"error":"bad"}`, http.StatusBadRequest)
		return
	}
	rows := req.Inputs[0].Shape[0]
	var data [][]float64
	for i := range rows {
		p := *req.Inputs[0].Data[i*5] / 100
		data = append(data, []float64{1 - p, p})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"outputs": []any{map[string]any{"name": "p", "datatype": "FP32", "shape": []int{rows, 2}, "data": data}}})
}

// open starts a server, and gives the scorer that asks it.
func open(t *testing.T, s *server, change ...func(*File)) (inference.ContextScorer, error) {
	t.Helper()
	if s.ready == 0 {
		s.ready = http.StatusOK
	}
	if s.about == "" {
		s.about = `{"name":"test","version":"1","extensions":[]}`
	}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	f := File{URL: ts.URL, Model: "late ones", Version: "3", Batch: 3}
	for _, c := range change {
		c(&f)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Hosts: []string{"127.0.0.1"}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r.Open(t.Context(), signature(), raw)
}

// rows are n rows whose first feature is 10 times their number.
func rows(n int) []float64 {
	var x []float64
	for i := range n {
		x = append(x, float64(10*i), 2, 1, 1.5, 1)
	}
	return x
}

func TestRowsGoAsOneTensorInBatchesAndThePositiveClassComesBack(t *testing.T) {
	s := &server{metadata: matrixModel, infer: answerMatrix}
	m, err := open(t, s)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 7)
	if err := m.ScoreContext(t.Context(), rows(7), 7, out); err != nil {
		t.Fatal(err)
	}
	if want := []float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6}; !slices.EqualFunc(out, want, near) || s.asked.Load() != 3 {
		t.Errorf("observed %v in %d requests", out, s.asked.Load())
	}
	want := `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,5],"data":[60,2,1,1.5,1]}],"outputs":[{"name":"p"}]}`
	if string(s.bodies[2]) != want {
		t.Errorf("observed %s", s.bodies[2])
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-7 }

func TestFeaturesGoAsATensorEachByTheServersTypes(t *testing.T) {
	s := &server{
		metadata: `{"inputs":[{"name":"at","datatype":"BYTES","shape":[-1]},{"name":"night","datatype":"BOOL","shape":[-1]},{"name":"delay","datatype":"FP64","shape":[-1,1]},
			{"name":"stops","datatype":"INT32","shape":[-1]},{"name":"carrier","datatype":"BYTES","shape":[-1]}],"outputs":[{"name":"p","datatype":"FP64","shape":[-1]}]}`,
		infer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"outputs":[{"name":"p","datatype":"FP64","shape":[2],"data":[0.25,1]}]}`)
		},
	}
	m, err := open(t, s)
	if err != nil {
		t.Fatal(err)
	}
	nan, out := math.NaN(), make([]float64, 2)
	if err := m.Score([]float64{0.1, 2, 1, 1.5, 1, nan, nan, nan, nan, nan}, 2, out); err != nil || out[0] != 0.25 || out[1] != 1 {
		t.Fatalf("observed %v, %v", out, err)
	}
	want := `{"inputs":[{"name":"delay","datatype":"FP64","shape":[2,1],"data":[0.1,null]},{"name":"stops","datatype":"INT32","shape":[2],"data":[2,null]},` +
		`{"name":"carrier","datatype":"BYTES","shape":[2],"data":["\"B6\"\n",null]},{"name":"at","datatype":"BYTES","shape":[2],"data":["1970-01-01T00:00:01.5Z",null]},` +
		`{"name":"night","datatype":"BOOL","shape":[2],"data":[true,null]}],"outputs":[{"name":"p"}]}`
	if string(s.bodies[0]) != want {
		t.Errorf("observed %s", s.bodies[0])
	}
	for name, x := range map[string][]float64{"half a stop": {0, 0.5, 0, 0, 0}, "a category that isn't there": {0, 0, 2, 0, 0}} {
		if err := m.Score(x, 1, out); err == nil {
			t.Errorf("%s was sent", name)
		}
	}
}

// Servers cut an integer to its width without a word, and then answer for another row.
func TestANumberThatItsTensorCantHoldIsRefused(t *testing.T) {
	for _, c := range []struct {
		datatype string
		held     []float64
		refused  []float64
	}{
		{"INT8", []float64{-128, 127}, []float64{-129, 128, 0.5, math.Inf(1)}},
		{"UINT8", []float64{0, 255}, []float64{-1, 256}},
		{"INT16", []float64{-32768, 32767}, []float64{32768}},
		{"UINT16", []float64{65535}, []float64{65536}},
		{"INT32", []float64{math.MinInt32, math.MaxInt32}, []float64{math.MaxInt32 + 1, math.MinInt32 - 1}},
		{"UINT32", []float64{math.MaxUint32}, []float64{math.MaxUint32 + 1}},
		{"INT64", []float64{-1 << 53, 1 << 53}, []float64{1 << 54, math.Inf(-1)}},
		{"UINT64", []float64{1 << 53}, []float64{-1}},
		{"FP32", []float64{1e38}, []float64{1e39, math.Inf(1)}},
		{"FP64", []float64{1e300}, []float64{math.Inf(1), math.Inf(-1)}},
		{"BOOL", []float64{0, 1}, []float64{2}},
	} {
		of := func(v float64) column {
			return column{tensor: Tensor{Name: "x", Datatype: c.datatype}, features: []inference.Feature{{Name: "age"}, {Name: "delay"}}, x: []float64{0, 1, 1, v}, stride: 1, n: 4}
		}
		for _, v := range c.held {
			text, err := of(v).json(nil)
			if err != nil || !json.Valid(append(append([]byte("["), text...), ']')) {
				t.Errorf("%s %g: %s: %v", c.datatype, v, text, err)
			}
		}
		for _, v := range c.refused {
			_, err := of(v).json(nil)
			if of(v).fitsBytes() && err != nil {
				_, err = of(v).bytes(nil)
			}
			bad, ok := errors.AsType[*inference.RowError](err)
			if !ok || bad.Row != 1 || !strings.Contains(bad.Error(), `"delay"`) || !strings.Contains(bad.Error(), c.datatype) {
				t.Errorf("%s %g: %v", c.datatype, v, err)
			}
		}
	}
}

func TestNumbersGoAndComeAsBytesWhereTheServerTakesThem(t *testing.T) {
	for datatype, size := range map[string]int{"FP64": 8, "FP32": 4, "FP16": 2} {
		t.Run(datatype, func(t *testing.T) {
			s := &server{
				about:    `{"extensions":["model_repository","binary_tensor_data"]}`,
				metadata: strings.ReplaceAll(matrixModel, `"p","datatype":"FP32"`, `"p","datatype":"`+datatype+`"`),
				infer: func(w http.ResponseWriter, r *http.Request) {
					head, _ := strconv.Atoi(r.Header.Get(headerLength))
					body, _ := io.ReadAll(r.Body)
					if len(body)-head != 2*5*4 || math.Float32frombits(binary.LittleEndian.Uint32(body[head+20:])) != 10 {
						http.Error(w, `{"error":"want two rows of FP32"}`, http.StatusBadRequest)
						return
					}
					tail := map[string][]byte{
						"FP64": f64(0.75, 0.25, 0, 1), "FP32": f32(0.75, 0.25, 0, 1), "FP16": {0x00, 0x3a, 0x00, 0x34, 0, 0, 0x00, 0x3c},
					}[datatype]
					header := fmt.Sprintf(`{"outputs":[{"name":"p","datatype":%q,"shape":[2,2],"parameters":{"binary_data_size":%d}}]}`, datatype, 4*size)
					w.Header().Set(headerLength, strconv.Itoa(len(header)))
					_, _ = w.Write(append([]byte(header), tail...))
				},
			}
			m, err := open(t, s)
			if err != nil {
				t.Fatal(err)
			}
			out := make([]float64, 2)
			x := rows(2)
			x[1] = math.NaN()
			if err := m.Score(x, 2, out); err != nil || out[0] != 0.25 || out[1] != 1 {
				t.Errorf("observed %v, %v", out, err)
			}
		})
	}
}

func f64(v ...float64) (out []byte) {
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
	}
	return out
}

func f32(v ...float32) (out []byte) {
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func TestAHostThatNobodyAllowedIsNotAsked(t *testing.T) {
	asked := atomic.Int64{}
	ts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer ts.Close()
	port := ts.URL[strings.LastIndex(ts.URL, ":")+1:]
	file := []byte(`{"url":"` + ts.URL + `","model":"m","version":""}`)
	for _, hosts := range [][]string{nil, {"localhost"}, {"127.0.0.1:1"}, {"127.0.0.2"}} {
		r, err := New(Config{Hosts: hosts})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Open(t.Context(), signature(), file)
		if _, ok := errors.AsType[*NotAllowed](err); !ok || !strings.Contains(err.Error(), "--remote-hosts 127.0.0.1:"+port) {
			t.Errorf("%v: observed %v", hosts, err)
		}
		if _, ok := errors.AsType[*inference.FormatError](err); !ok {
			t.Errorf("%v: it would be tried again: %v", hosts, err)
		}
		r.Close()
	}
	if asked.Load() > 0 {
		t.Error("it was asked")
	}
	for _, h := range []string{"", "http://a", "a/b", "*", "a b", "a@b"} {
		if _, err := New(Config{Hosts: []string{h}}); err == nil {
			t.Errorf("host %q was taken", h)
		}
	}
}

func TestAModelThatDoesntFitIsRefusedWhenItIsLoaded(t *testing.T) {
	each := func(change string) string {
		return strings.Replace(`{"inputs":[{"name":"at","datatype":"INT64","shape":[-1]},{"name":"night","datatype":"BOOL","shape":[-1]},{"name":"delay","datatype":"FP64","shape":[-1]},
			{"name":"stops","datatype":"INT32","shape":[-1]},{"name":"carrier","datatype":"BYTES","shape":[-1]}],"outputs":[{"name":"p","datatype":"FP64","shape":[-1]}]}`,
			change[:strings.Index(change, ">")], change[strings.Index(change, ">")+1:], 1)
	}
	for _, c := range []struct{ name, metadata, says string }{
		{"no inputs", `{"inputs":[],"outputs":[]}`, "the server doesn't describe the model's"},
		{"fewer columns", strings.Replace(matrixModel, "[-1,5]", "[-1,4]", 1), `input "x": 4 columns, the signature has 5 inputs`},
		{"a matrix of texts", strings.Replace(matrixModel, `"FP32"`, `"BYTES"`, 1), "want numbers where one tensor has all features"},
		{"a feature less", each(`{"name":"at","datatype":"INT64","shape":[-1]},>`), `the model has no tensor "at"`},
		{"a feature more", each(`"inputs":[>"inputs":[{"name":"wind","datatype":"FP64","shape":[-1]},`), `"wind"`},
		{"a number as text", each(`"FP64">"BYTES"`), "datatype BYTES, the signature has a number"},
		{"a datatype of another world", each(`"INT32">"BF16"`), `datatype "BF16"`},
		{"a vector for a feature", each(`"FP64","shape":[-1]>"FP64","shape":[-1,7]`), "want [-1] or [-1, 1]"},
		{"no scores", strings.Replace(matrixModel, "[-1,2]", "[-1,9]", 1), `0 of the model's ["label" "p"] can be scores`},
		{"two that could be", strings.Replace(matrixModel, `"label","datatype":"INT64"`, `"label","datatype":"FP64"`, 1), "name one in remote.json as output"},
		{"no JSON", "<html>", "answers wrongly: metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(t, &server{metadata: c.metadata})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("observed %v\nwant %s", err, c.says)
			}
		})
	}
	t.Run("not ready", func(t *testing.T) {
		_, err := open(t, &server{metadata: matrixModel, ready: http.StatusServiceUnavailable})
		if _, ok := errors.AsType[*inference.PassingError](err); !ok || !strings.Contains(err.Error(), "model isn't ready") {
			t.Errorf("observed %v", err)
		}
	})
	t.Run("a tensor that the file names", func(t *testing.T) {
		_, err := open(t, &server{metadata: matrixModel}, func(f *File) { f.Output = "q" })
		if err == nil || !strings.Contains(err.Error(), `output "q": the model has ["label" "p"]`) {
			t.Errorf("observed %v", err)
		}
	})
	t.Run("a server that says nothing, where the file does", func(t *testing.T) {
		s := &server{metadata: `{"name":"late ones"}`, infer: answerMatrix}
		m, err := open(t, s, func(f *File) {
			f.Inputs, f.Output = []Tensor{{Name: "x", Datatype: "FP64", Shape: []int64{-1, 5}}}, "p"
		})
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float64, 1)
		if err := m.Score(rows(1), 1, out); err != nil {
			t.Error(err)
		}
	})
}

func TestARemoteFileIsReadStrictly(t *testing.T) {
	for name, raw := range map[string]string{
		"no URL": `{"model":"m"}`, "another scheme": `{"url":"file:///etc/passwd","model":"m"}`, "a password": `{"url":"http://a:b@c","model":"m"}`,
		"a query": `{"url":"http://c?x=1","model":"m"}`, "no model": `{"url":"http://c"}`, "a way up": `{"url":"http://c","model":".."}`,
		"an unknown field": `{"url":"http://c","model":"m","headers":{}}`, "a huge batch": `{"url":"http://c","model":"m","batch":1000000}`,
		"two documents": `{"url":"http://c","model":"m"} {}`, "an unknown datatype": `{"url":"http://c","model":"m","inputs":[{"name":"x","datatype":"FP8","shape":[-1]}]}`,
	} {
		if _, err := ParseFile([]byte(raw)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestAServerThatMisbehavesIsAnErrorAndNothingElse(t *testing.T) {
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	outputs := func(rest string) http.HandlerFunc {
		return say(`{"outputs":[{"name":"p","datatype":"FP32",` + rest + `}]}`)
	}
	for _, c := range []struct {
		name    string
		infer   http.HandlerFunc
		says    string
		passing bool
	}{
		{"no JSON", say("<html>"), "not the protocol's JSON", false},
		{"nothing", say(""), "not the protocol's JSON", false},
		{"another output", say(`{"outputs":[{"name":"q"}]}`), `no output "p"`, false},
		{"too few rows", outputs(`"shape":[1,2],"data":[0,1]`), "want 2 rows of [1 2] numbers", false},
		{"a row too wide", outputs(`"shape":[2,3],"data":[0,1,0,0,1,0]`), "want 2 rows of [1 2] numbers", false},
		{"a shape that lies", outputs(`"shape":[2,2],"data":[0,1,0]`), "observed 3 numbers, want 4", false},
		{"a shape that lies the other way", outputs(`"shape":[2],"data":[0,1,0]`), "more than 2 numbers", false},
		{"a huge shape", outputs(`"shape":[2,9223372036854775807],"data":[]`), "want 2 rows of [1 2] numbers", false},
		{"no data", outputs(`"shape":[2]`), "observed 0 numbers", false},
		{"texts", outputs(`"shape":[2],"data":["a","b"]`), "want numbers", false},
		{"a number alone", outputs(`"shape":[2],"data":7`), "want a list of numbers", false},
		{"an object", outputs(`"shape":[2],"data":{"a":1}`), "want a list of numbers", false},
		{"NaN as Python writes it", outputs(`"shape":[2],"data":[NaN,1]`), "not the protocol's JSON", false},
		{"null for a number", outputs(`"shape":[2],"data":[null,1]`), "want numbers", false},
		{"a number beyond all", outputs(`"shape":[2],"data":[1e999,1]`), "want a list of numbers", false},
		{"no probability", outputs(`"shape":[2],"data":[0.5,1.5]`), "row 2: observed 1.5, want a probability of 0 to 1", false},
		{"classes that don't add up", outputs(`"shape":[2,2],"data":[0.5,0.5,0.5,0.2]`), "row 2: observed 0.7, want probabilities that add up to 1", false},
		{"bytes that aren't there", outputs(`"shape":[2],"parameters":{"binary_data_size":8}`), "binary_data_size 8, and 0 bytes are left", false},
		{"a size below nothing", outputs(`"shape":[2],"parameters":{"binary_data_size":-1}`), "binary_data_size -1", false},
		{"bytes with NaN", func(w http.ResponseWriter, _ *http.Request) {
			head := `{"outputs":[{"name":"p","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]}`
			w.Header().Set(headerLength, strconv.Itoa(len(head)))
			_, _ = w.Write(append([]byte(head), f32(0, float32(math.NaN()))...))
		}, "row 2: observed NaN, want a finite number", false},
		{"a header length out of the answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headerLength, "100")
			_, _ = io.WriteString(w, "{}")
		}, "header Inference-Header-Content-Length", false},
		{"an endless answer", func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
					return
				}
			}
		}, "size: observed more than 65792 bytes", false},
		{"a packed answer that nobody asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 10<<20))
			_ = z.Close()
		}, `content-encoding: observed "gzip"`, false},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
		}, "answers 307 Temporary Redirect: redirects aren't followed", false},
		{"a refusal", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"x is\u0007 wrong`+strings.Repeat("!", 1000)+`"}`)
		}, "answers 400 Bad Request: x is  wrong!!!", false},
		{"an overload", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "answers 429", true},
		{"a fault", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "answers 500", true},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", true},
		{"huge headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 200<<10))
		}, "headers exceeded", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := open(t, &server{metadata: matrixModel, infer: c.infer})
			if err != nil {
				t.Fatal(err)
			}
			out := []float64{-7, -7}
			err = m.ScoreContext(t.Context(), rows(2), 2, out)
			if err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 1000 {
				t.Fatalf("observed %.2000v\nwant %s", err, c.says)
			}
			if _, ok := errors.AsType[*inference.PassingError](err); ok != c.passing {
				t.Errorf("passing: observed %v of %v", ok, err)
			}
			if out[0] != -7 || out[1] != -7 {
				t.Errorf("scores were written: %v", out)
			}
		})
	}
}

func TestASlowServerIsLeftWhenTheCallerIs(t *testing.T) {
	release := make(chan struct{})
	s := &server{metadata: matrixModel, infer: func(http.ResponseWriter, *http.Request) { <-release }}
	m, err := open(t, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	out := []float64{-7}
	if err := m.ScoreContext(ctx, rows(1), 1, out); !errors.Is(err, context.DeadlineExceeded) || out[0] != -7 {
		t.Errorf("observed %v, %v", err, out)
	}
	m.(*scorer).runtime.timeout = 30 * time.Millisecond
	err = m.Score(rows(1), 1, out)
	if _, ok := errors.AsType[*inference.PassingError](err); !ok || !strings.Contains(err.Error(), "no answer within 30ms") {
		t.Errorf("observed %v", err)
	}
	close(release)
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, text := range []string{
		`{"outputs":[{"name":"p","datatype":"FP32","shape":[2,2],"data":[[0.5,0.5],[0,1]]}]}`,
		`{"outputs":[{"name":"p","datatype":"FP64","shape":[2],"parameters":{"binary_data_size":16}}]}`,
		`{"outputs":[{"name":"q","shape":[2],"parameters":{"binary_data_size":8}},{"name":"p","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]}`,
		`{"outputs":[{"name":"p","shape":[2],"data":[[[[1]]],0]}]}`, `{}`, `[`,
	} {
		f.Add([]byte(text), f64(0.5, 1), uint8(2))
	}
	f.Fuzz(func(t *testing.T, header, tail []byte, n uint8) {
		p := &plan{output: "p", widths: []int{1, 2}}
		scores, width, err := p.decode(answer{header, tail}, int(n))
		if err == nil && (len(scores) != int(n)*width || width < 1 || width > 2) {
			t.Fatalf("%d scores of width %d for %d rows", len(scores), width, n)
		}
		s := &scorer{plan: p, signature: signature()}
		positive, err := s.scores(answer{header, tail}, int(n), 0)
		if err == nil && (len(positive) != int(n) || s.signature.CheckScores(positive, 1) != nil) {
			t.Fatalf("observed %v", positive)
		}
	})
}
