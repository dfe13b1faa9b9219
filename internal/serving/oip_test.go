package serving_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

const goodInfer = `{"id": "r-\"1\"", "inputs": [
	{"name": "dep_delay", "shape": [2, 1], "datatype": "FP64", "data": [[20], [-50]]},
	{"name": "carrier", "shape": [2], "datatype": "BYTES", "data": ["UA", "AA"]}]}`

func (w *world) infer(body string) answer {
	w.t.Helper()
	return w.request(http.MethodPost, "/v2/models/"+modelName+"/infer", body)
}

// output gives one output tensor of an answer.
func output(t *testing.T, a answer, name string) map[string]any {
	t.Helper()
	for _, o := range a.body["outputs"].([]any) {
		if tensor := o.(map[string]any); tensor["name"] == name {
			return tensor
		}
	}
	t.Fatalf("no output %q in %s", name, a.raw)
	return nil
}

func TestInferAnswersTensorsByName(t *testing.T) {
	w := champion(t, flights(0))
	a := w.infer(goodInfer)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, modelName, a.body["model_name"])
	require.Equal(t, "1", a.body["model_version"])
	require.Equal(t, `r-"1"`, a.body["id"])
	require.Equal(t, map[string]any{"name": "prediction", "datatype": "BYTES", "shape": []any{2.0}, "data": []any{"late", "on time"}},
		output(t, a, "prediction"))
	score := output(t, a, "score")
	require.Equal(t, "FP64", score["datatype"])
	require.Len(t, score["data"], 2)
	require.Len(t, output(t, a, "prediction_id")["data"], 2)

	single := w.predict(goodRow)
	require.Equal(t, single.body["score"], score["data"].([]any)[0], "both protocols give the same answer")
}

func TestInferAnswersOnlyTheOutputsAskedFor(t *testing.T) {
	w := champion(t, flights(0))
	a := w.infer(strings.Replace(goodInfer, `"inputs"`, `"outputs": [{"name": "score", "parameters": {"binary_data": false}}], "inputs"`, 1))
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Len(t, a.body["outputs"], 1)
	output(t, a, "score")
}

func TestInferOfMulticlassGivesAMatrixOfScores(t *testing.T) {
	m := linearModel{task: spec.Multiclass, classes: []string{"a", "b", "c"}, intercept: []float64{0, 1, 2},
		features: []inference.LinearFeature{{Name: "x", Kind: inference.KindNumber, Weights: []float64{0, 0, 0}}}}
	a := champion(t, m).infer(`{"inputs": [{"name": "x", "shape": [2], "datatype": "INT32", "data": [1, 2]}]}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, []any{2.0, 3.0}, output(t, a, "scores")["shape"])
	require.Len(t, output(t, a, "scores")["data"], 6)
}

func TestWrongInferRequestsAreAnsweredInTheProtocolsShape(t *testing.T) {
	w := champion(t, flights(0), func(c *serving.Config) { c.MaxBatch = 3 })
	carrier := `{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA"]}`
	tensor := func(fields string) string {
		return `{"inputs": [` + carrier + `, {"name": "dep_delay", ` + fields + `}]}`
	}
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"not JSON", `{`, 400, "not JSON"},
		{"no inputs", `{}`, 400, "no tensors"},
		{"no data", tensor(`"shape": [1], "datatype": "FP64"`), 400, "no data"},
		{"unknown datatype", tensor(`"shape": [1], "datatype": "FP128", "data": [1]`), 400, `datatype "FP128"`},
		{"no shape", tensor(`"datatype": "FP64", "data": [1]`), 400, "shape []"},
		{"wide shape", tensor(`"shape": [1, 2], "datatype": "FP64", "data": [1, 2]`), 400, "shape [1 2]"},
		{"zero rows", tensor(`"shape": [0], "datatype": "FP64", "data": []`), 400, "shape [0]"},
		{"negative shape", tensor(`"shape": [-1], "datatype": "FP64", "data": []`), 400, "not negative"},
		{"huge shape", tensor(`"shape": [99999999999999999999], "datatype": "FP64", "data": []`), 400, "not negative"},
		{"too many rows", `{"inputs": [{"name": "dep_delay", "shape": [4000000000], "datatype": "FP64", "data": []}]}`, 413, "4000000000 rows > limit 3"},
		{"rows that differ", tensor(`"shape": [2], "datatype": "FP64", "data": [1, 2]`), 400, "2 rows"},
		{"fewer values", tensor(`"shape": [1], "datatype": "FP64", "data": []`), 400, "0 values"},
		{"more values", tensor(`"shape": [1], "datatype": "FP64", "data": [1, 2]`), 400, "more values"},
		{"data that is no list", tensor(`"shape": [1], "datatype": "FP64", "data": 1`), 400, "must be a list"},
		{"text in a number tensor", tensor(`"shape": [1], "datatype": "FP64", "data": ["1"]`), 400, "not of datatype FP64"},
		{"fraction in an integer tensor", tensor(`"shape": [1], "datatype": "INT64", "data": [1.5]`), 400, "not of datatype INT64"},
		{"text for a number feature", tensor(`"shape": [1], "datatype": "BYTES", "data": ["1"]`), 400, `feature "dep_delay"`},
		{"given twice", `{"inputs": [` + carrier + `,` + carrier + `]}`, 400, "given twice"},
		{"unknown input", `{"inputs": [` + carrier + `, {"name": "dep_dely", "shape": [1], "datatype": "FP64", "data": [1]}]}`, 400, "nearest: dep_delay"},
		{"missing input", `{"inputs": [` + carrier + `]}`, 400, `feature "dep_delay" is missing`},
		{"unknown output", strings.Replace(goodInfer, `"inputs"`, `"outputs": [{"name": "proba"}], "inputs"`, 1), 400, "prediction, score, prediction_id"},
		{"nested beyond measure", tensor(`"shape": [1], "datatype": "FP64", "data": ` + strings.Repeat("[", 500) + "1" + strings.Repeat("]", 500)), 400, "nested"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.infer(c.body)
			require.Equal(t, c.status, a.status, a.raw)
			require.Len(t, a.body, 1, "only {\"error\"}: %s", a.raw)
			require.Contains(t, a.body["error"], c.says)
		})
	}
}

func TestAllRowsOfAnInferRequestAreOfOneVersion(t *testing.T) {
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), 0.5, time.Hour)
	w.sync()
	w.point = 0.1
	a := w.infer(goodInfer)
	require.Equal(t, "2", a.body["model_version"])
	require.Equal(t, map[string]any{"arm": "challenger", "fallback": false}, a.body["parameters"])
	w.point = 0.9
	require.Equal(t, "1", w.infer(goodInfer).body["model_version"])
}

func TestInferFallsBackAsAWhole(t *testing.T) {
	m := flights(1)
	m.features[1] = inference.LinearFeature{Name: "carrier", Kind: inference.KindNumber, Weights: []float64{1}}
	w := newWorld(t)
	w.promote(w.register(flights(0)))
	w.canary(w.register(m), 1, time.Hour)
	w.sync()
	a := w.infer(`{"inputs": [{"name": "dep_delay", "shape": [2], "datatype": "FP32", "data": [1, 2]},
		{"name": "carrier", "shape": [2], "datatype": "BYTES", "data": [null, "AA"]}]}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	require.Equal(t, "1", a.body["model_version"], "the challenger can read one of the two rows")
	w.sync()
	require.Equal(t, map[string]float64{"challenger/2": 1}, w.sums(timeseries.FieldErrors))
}

func TestMetadataDescribesServerAndModel(t *testing.T) {
	w := withCanary(t, 0.5)
	require.Equal(t, "leanloop", w.request(http.MethodGet, "/v2", "").body["name"])
	m := w.request(http.MethodGet, "/v2/models/flight-delay", "")
	require.Equal(t, modelName, m.body["name"])
	require.Equal(t, []any{"1", "2"}, m.body["versions"])
	require.Equal(t, []any{
		map[string]any{"name": "dep_delay", "datatype": "FP64", "shape": []any{-1.0}},
		map[string]any{"name": "carrier", "datatype": "BYTES", "shape": []any{-1.0}},
	}, m.body["inputs"])
	require.Len(t, m.body["outputs"], 3)
	for _, path := range []string{"/v2/health/live", "/v2/health/ready", "/v2/models/flight-delay/ready"} {
		require.Equal(t, http.StatusOK, w.request(http.MethodGet, path, "").status, path)
	}
	for _, path := range []string{"/v2/models/nope", "/v2/models/nope/ready"} {
		a := w.request(http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, a.status, path)
		require.Len(t, a.body, 1)
	}
}

func TestMetadataIsEnoughToMakeARequest(t *testing.T) {
	w := champion(t, flights(0))
	var inputs []string
	for _, in := range w.request(http.MethodGet, "/v2/models/flight-delay", "").body["inputs"].([]any) {
		tensor := in.(map[string]any)
		data := map[any]string{"FP64": "1.5", "BYTES": `"UA"`, "INT64": "1", "BOOL": "true"}[tensor["datatype"]]
		inputs = append(inputs, fmt.Sprintf(`{"name":%q,"datatype":%q,"shape":[1],"data":[%s]}`, tensor["name"], tensor["datatype"], data))
	}
	a := w.infer(`{"inputs":[` + strings.Join(inputs, ",") + `]}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
}
