package serving_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// apiDocument is the document as a client reads it.
type apiDocument struct {
	t    *testing.T
	body map[string]any
	c    *jsonschema.Compiler
}

func (w *world) openAPI(t *testing.T) apiDocument {
	t.Helper()
	a := w.request(http.MethodGet, "/openapi.json", "")
	require.Equal(t, http.StatusOK, a.status, a.raw)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(a.raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020) // what OpenAPI 3.1's schemas are
	require.NoError(t, c.AddResource("openapi.json", doc))
	return apiDocument{t, a.body, c}
}

// valid says what a component's schema finds wrong with a JSON text.
func (d apiDocument) valid(schema, text string) error {
	d.t.Helper()
	s, err := d.c.Compile("openapi.json#/components/schemas/" + schema)
	require.NoError(d.t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	require.NoError(d.t, err)
	return s.Validate(value)
}

// at walks into the document.
func (d apiDocument) at(path ...string) any {
	d.t.Helper()
	var v any = d.body
	for _, p := range path {
		m, ok := v.(map[string]any)
		require.True(d.t, ok, "%v", path)
		require.Contains(d.t, m, p)
		v = m[p]
	}
	return v
}

func TestOpenAPIDocumentIsWellFormed(t *testing.T) {
	w := withCanary(t, 0.5)
	d := w.openAPI(t)
	require.Equal(t, "3.1.0", d.body["openapi"])
	require.Equal(t, "http://gw-1:8080", d.at("servers").([]any)[0].(map[string]any)["url"])
	ids := map[any]bool{}
	component := regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	for name := range d.at("components", "schemas").(map[string]any) {
		require.Regexp(t, component, name)
		_, err := d.c.Compile("openapi.json#/components/schemas/" + name)
		require.NoError(t, err, name)
	}
	for path, item := range d.at("paths").(map[string]any) {
		require.True(t, strings.HasPrefix(path, "/"))
		for method, op := range item.(map[string]any) {
			op := op.(map[string]any)
			require.Contains(t, []string{"get", "post"}, method)
			require.False(t, ids[op["operationId"]], "%v twice", op["operationId"])
			ids[op["operationId"]] = true
			var named []string
			if parameters, ok := op["parameters"].([]any); ok {
				for _, p := range parameters {
					p := p.(map[string]any)
					require.Equal(t, []any{"path", true}, []any{p["in"], p["required"]})
					named = append(named, p["name"].(string))
				}
			}
			var inPath []string
			for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
				inPath = append(inPath, m[1])
			}
			require.Equal(t, inPath, named, path)
			require.Contains(t, op["responses"], "200")
			for _, response := range op["responses"].(map[string]any) {
				require.NotEmpty(t, response.(map[string]any)["description"])
			}
		}
	}
	for _, found := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(w.request(http.MethodGet, "/openapi.json", "").raw, -1) {
		require.Contains(t, d.at("components", "schemas"), found[1])
	}
}

// Every path of the document is answered, by the method that it names, with what it promises.
func TestOpenAPIDocumentIsWhatTheGatewayAnswers(t *testing.T) {
	w := withCanary(t, 0.5)
	d := w.openAPI(t)
	bodies := map[string]string{
		"/predict/flight-delay":                            `{"features": ` + goodRow + `}`,
		"/v2/models/flight-delay/infer":                    goodInfer,
		"/v2/models/flight-delay/versions/{version}/infer": goodInfer,
		"/v2/repository/index":                             "",
	}
	for path, item := range d.at("paths").(map[string]any) {
		for method := range item.(map[string]any) {
			url := strings.NewReplacer("{model}", modelName, "{version}", "1").Replace(path)
			a := w.request(strings.ToUpper(method), url, bodies[path])
			require.Equal(t, http.StatusOK, a.status, "%s %s: %s", method, url, a.raw)
			pointer := "openapi.json#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method + "/responses/200/content/application~1json/schema"
			s, err := d.c.Compile(pointer)
			require.NoError(t, err)
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.raw))
			require.NoError(t, err)
			require.NoError(t, s.Validate(value), "%s: %s", path, a.raw)
		}
	}
}

func TestOpenAPIRowsAreThoseThatTheGatewayTakes(t *testing.T) {
	w := newWorld(t)
	w.applySpec("{sticky_by: customer}")
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1).with("wind")), 0.5, time.Hour)
	w.sync()
	w.point = 1
	d := w.openAPI(t)
	for _, c := range []struct {
		body  string
		taken bool
	}{
		{`{"features": {"dep_delay": 20, "carrier": "UA"}}`, true},
		{`{"features": {"dep_delay": null, "carrier": null}}`, true},
		{`{"features": {"dep_delay": 20, "carrier": "unheard of"}}`, true},
		{`{"features": {"dep_delay": 20, "carrier": 5, "wind": 3, "customer": "c-1", "flight_key": 7, "scheduled": "2026-01-01"}}`, true},
		{`{"instances": [{"dep_delay": 20, "carrier": "UA"}, {"dep_delay": 1.5e3, "carrier": true}]}`, true},
		{`{"features": {"dep_delay": "20", "carrier": "UA"}}`, false},
		{`{"features": {"dep_delay": true, "carrier": "UA"}}`, false},
		{`{"features": {"dep_delay": 20}}`, false},
		{`{"features": {"dep_delay": 20, "carrier": "UA", "cariier": 1}}`, false},
		{`{"features": {"dep_delay": [20], "carrier": "UA"}}`, false},
		{`{"instances": []}`, false},
		{`{"features": {"dep_delay": 20, "carrier": "UA"}, "instances": []}`, false},
		{`{}`, false},
		{`[]`, false},
	} {
		a := w.request(http.MethodPost, "/predict/flight-delay", c.body)
		err := d.valid("flight-delay.request", c.body)
		if c.taken {
			require.Equal(t, http.StatusOK, a.status, "%s: %s", c.body, a.raw)
			require.NoError(t, err, c.body)
			require.NoError(t, d.valid("flight-delay.answer", a.raw), a.raw)
		} else {
			require.Equal(t, http.StatusBadRequest, a.status, c.body)
			require.Error(t, err, c.body)
			require.NoError(t, d.valid("Problem", a.raw), a.raw)
		}
	}
}

func TestOpenAPIOfEveryTaskAndKind(t *testing.T) {
	w := newWorld(t)
	m := linearModel{task: spec.Multiclass, classes: []string{"a", "b", "c"}, intercept: []float64{0, 1, 2}, features: []inference.LinearFeature{
		{Name: "n", Kind: "number", Weights: []float64{1, 1, 1}}, {Name: "i", Kind: "integer", Weights: []float64{1, 1, 1}},
		{Name: "b", Kind: "boolean", Weights: []float64{1, 1, 1}}, {Name: "t", Kind: "timestamp", Weights: []float64{0, 0, 0}},
		{Name: "c", Kind: "category", Categories: []string{"x"}, CategoryWeights: [][]float64{{1, 1, 1}}}}}
	w.promote(w.register(m))
	w.sync()
	d := w.openAPI(t)
	for _, row := range []string{
		`{"n": 1.5, "i": 3, "b": true, "t": "2026-01-02", "c": "x"}`, `{"n": -1e3, "i": 3.0, "b": 0, "t": 12.5, "c": 4}`,
		`{"n": null, "i": null, "b": null, "t": null, "c": null}`,
	} {
		a := w.predict(row)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		require.NoError(t, d.valid("flight-delay.row", row))
		require.NoError(t, d.valid("flight-delay.answer", a.raw))
	}
	for _, row := range []string{`{"n": 1, "i": 1.5, "b": true, "t": 0, "c": "x"}`, `{"n": 1, "i": 1, "b": 2, "t": 0, "c": "x"}`, `{"n": 1, "i": 1, "b": "true", "t": 0, "c": "x"}`} {
		require.Equal(t, http.StatusBadRequest, w.predict(row).status)
		require.Error(t, d.valid("flight-delay.row", row))
	}
}

func TestOpenAPIFollowsTheRoutes(t *testing.T) {
	w := newWorld(t)
	w.sync()
	require.NotContains(t, w.openAPI(t).at("paths"), "/predict/flight-delay")
	w.promote(w.register(flights(0)))
	w.sync()
	require.NotContains(t, w.openAPI(t).at("components", "schemas", "flight-delay.row", "properties"), "wind")
	w.canary(w.register(flights(1).with("wind")), 0.5, time.Hour)
	w.sync()
	require.Contains(t, w.openAPI(t).at("components", "schemas", "flight-delay.row", "properties"), "wind")
	raw := w.request(http.MethodGet, "/openapi.json", "").raw
	require.Equal(t, raw, w.request(http.MethodGet, "/openapi.json", "").raw)
	require.Equal(t, http.StatusMethodNotAllowed, w.request(http.MethodPost, "/openapi.json", "").status)
}

// slowReader is a client that doesn't read its answer until it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	writing, read chan struct{}
}

func (s slowReader) Write(b []byte) (int, error) {
	close(s.writing)
	<-s.read
	return len(b), nil
}

func TestASlowReaderOfTheDocumentKeepsNobodyWaiting(t *testing.T) {
	w := withCanary(t, 0.5)
	slow := slowReader{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.server.Handler().ServeHTTP(slow, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	}()
	<-slow.writing
	other := make(chan int, 1)
	go func() { other <- w.request(http.MethodGet, "/openapi.json", "").status }()
	select {
	case status := <-other:
		require.Equal(t, http.StatusOK, status)
	case <-time.After(5 * time.Second):
		t.Error("the document waits for a client that doesn't read it")
	}
	close(slow.read)
	<-done
}
