package serving_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
)

// inferBinary sends JSON with tensors behind it.
func (w *world) inferBinary(path, header string, tensors ...[]byte) *httptest.ResponseRecorder {
	w.t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(append([]byte(header), bytes.Join(tensors, nil)...)))
	req.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(header)))
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, req)
	return rec
}

// little is values as a binary tensor.
func little(values any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err)
	}
	return b
}

// texts is a BYTES tensor.
func texts(values ...string) []byte {
	var b []byte
	for _, v := range values {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

const inferPath = "/v2/models/" + modelName + "/infer"

func binaryInput(name, datatype string, rows, size int) string {
	return fmt.Sprintf(`{"name":%q,"shape":[%d],"datatype":%q,"parameters":{"binary_data_size":%d}}`, name, rows, datatype, size)
}

func TestBinaryTensorsAreReadAsTheNumbersTheyAre(t *testing.T) {
	one := func(datatype string, data []byte, kind string) (float64, bool) {
		t.Helper()
		w := champion(t, linearModel{task: spec.Regression, intercept: []float64{0}, features: []inference.LinearFeature{{Name: "x", Kind: kind, Weights: []float64{1}}}})
		rec := w.inferBinary(inferPath, `{"inputs":[`+binaryInput("x", datatype, 1, len(data))+`],"outputs":[{"name":"score"}]}`, data)
		if rec.Code != http.StatusOK {
			return 0, false
		}
		var out struct {
			Outputs []struct{ Data []float64 }
		}
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &out), rec.Body.String())
		return out.Outputs[0].Data[0], true // the model's answer is x
	}
	for _, c := range []struct {
		datatype string
		value    any
		want     float64
	}{
		{"FP64", -1.25, -1.25}, {"FP32", float32(0.1), 0.1}, {"FP16", uint16(0xC100), -2.5}, {"FP16", uint16(0x0400), math.Ldexp(1, -14)},
		{"INT8", int8(-3), -3}, {"INT16", int16(-300), -300}, {"INT32", int32(7), 7}, {"INT64", int64(-9), -9},
		{"UINT8", uint8(5), 5}, {"UINT16", uint16(6), 6}, {"UINT32", uint32(8), 8}, {"UINT64", uint64(4), 4},
	} {
		got, ok := one(c.datatype, little(c.value), inference.KindNumber)
		require.True(t, ok, "%s %v", c.datatype, c.value)
		require.InDelta(t, c.want, got, 1e-9, "%s %v", c.datatype, c.value)
	}
	got, ok := one("BOOL", []byte{1}, inference.KindBoolean)
	require.True(t, ok)
	require.InDelta(t, 1, got, 1e-9)
	for name, data := range map[string][]byte{"infinity": little(math.Inf(1)), "cut off": {1, 2, 3}, "too long": make([]byte, 9)} {
		_, ok := one("FP64", data, inference.KindNumber)
		require.False(t, ok, name)
	}
}

func TestBinaryOutputsStandBehindTheJSON(t *testing.T) {
	w := champion(t, flights(0))
	delays, carriers := little([]float32{20, -50}), texts("UA", "AA")
	rec := w.inferBinary(inferPath, `{"parameters":{"binary_data_output":true},"inputs":[`+binaryInput("dep_delay", "FP32", 2, len(delays))+`,`+
		binaryInput("carrier", "BYTES", 2, len(carriers))+`]}`, delays, carriers)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	length, err := strconv.Atoi(rec.Header().Get("Inference-Header-Content-Length"))
	require.NoError(t, err)
	var head struct {
		Outputs []struct {
			Name       string
			Parameters struct {
				Size int `json:"binary_data_size"`
			}
		}
	}
	body := rec.Body.Bytes()
	require.NoError(t, json.Unmarshal(body[:length], &head))
	data, at := map[string][]byte{}, length
	for _, o := range head.Outputs {
		data[o.Name] = body[at : at+o.Parameters.Size]
		at += o.Parameters.Size
	}
	require.Len(t, body, at)
	require.Equal(t, texts("late", "on time"), data["prediction"])
	plain := output(t, w.infer(goodInfer), "score")["data"].([]any)
	for i := range plain {
		require.Equal(t, plain[i], math.Float64frombits(binary.LittleEndian.Uint64(data["score"][8*i:])))
	}
}

func TestBinaryTensorsThatDontAddUpAreRefused(t *testing.T) {
	w := champion(t, flights(0))
	carriers := texts("UA")
	carrier := binaryInput("carrier", "BYTES", 1, len(carriers))
	for _, c := range []struct {
		name, delay string
		data        []byte
		says        string
	}{
		{"less than announced", binaryInput("dep_delay", "FP64", 1, 80), little(1.0), "binary_data_size is 80"},
		{"more than announced", binaryInput("dep_delay", "FP64", 1, 8), little([]float64{1, 2}), "belong to no tensor"},
		{"a negative size", binaryInput("dep_delay", "FP64", 1, -8), nil, "binary_data_size"},
		{"data twice", `{"name":"dep_delay","shape":[1],"datatype":"FP64","data":[1],"parameters":{"binary_data_size":8}}`, little(1.0), "data twice"},
		{"a huge shape", binaryInput("dep_delay", "FP64", 400, 8), little(1.0), "400 rows"},
		{"text cut off", binaryInput("dep_delay", "BYTES", 1, 4), []byte{9, 0, 0, 0}, "a text of 9 bytes"},
		{"text that is no text", binaryInput("dep_delay", "BYTES", 1, 5), []byte{1, 0, 0, 0, 0xff}, "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := w.inferBinary(inferPath, `{"inputs":[`+carrier+`,`+c.delay+`]}`, carriers, c.data)
			require.Equal(t, http.StatusBadRequest, rec.Code, rec.Body.String())
			require.Contains(t, rec.Body.String(), c.says)
		})
	}
	req := httptest.NewRequest(http.MethodPost, inferPath, strings.NewReader("{}"))
	req.Header.Set("Inference-Header-Content-Length", "10")
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, req)
	require.Equal(t, http.StatusBadRequest, rec.Code)
	require.Contains(t, rec.Body.String(), "0 to the body's 2 bytes")
}

func TestTheChampionAnswersWhereItsVersionIsNamed(t *testing.T) {
	w := withCanary(t, 1)
	w.point = 0
	require.Equal(t, "2", w.infer(goodInfer).body["model_version"])
	named := w.request(http.MethodPost, "/v2/models/"+modelName+"/versions/1/infer", goodInfer)
	require.Equal(t, "1", named.body["model_version"])
	refused := w.request(http.MethodPost, "/v2/models/"+modelName+"/versions/2/infer", goodInfer)
	require.Equal(t, http.StatusNotFound, refused.status, refused.raw)
	require.Equal(t, http.StatusOK, w.request(http.MethodGet, "/v2/models/"+modelName+"/versions/1/ready", "").status)
	require.Equal(t, http.StatusNotFound, w.request(http.MethodGet, "/v2/models/"+modelName+"/versions/9/ready", "").status)
}

// Triton's client is one that no one here wrote.
func TestTritonsClientListsChecksAndInfers(t *testing.T) {
	if testing.Short() {
		t.Skip("short: it starts a Python")
	}
	python := pythontest.Interpreter(t, "tritonclient[http]", "-c", "import tritonclient.http")
	w := champion(t, flights(0))
	applications, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, applications, admin) }()
	defer func() {
		stop()
		require.NoError(t, <-served)
	}()
	asking, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(asking, python, filepath.Join("testdata", "triton_client.py"), applications.Addr().String(), modelName)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	raw, err := cmd.Output()
	require.NoError(t, err, problems.String())
	var found struct {
		Live, Ready bool
		ModelReady  bool `json:"model_ready"`
		Server      string
		Index       []struct{ Name, State string }
		Metadata    struct {
			Inputs []struct{ Name, Datatype string }
		}
		Binary    map[string][]any
		JSON      map[string][]any
		OfVersion map[string][]any `json:"of_version"`
		Refused   []string
	}
	require.NoError(t, json.Unmarshal(raw, &found), string(raw))
	require.True(t, found.Live && found.Ready && found.ModelReady)
	require.Equal(t, "leanloop", found.Server)
	require.Equal(t, []struct{ Name, State string }{{modelName, "READY"}}, found.Index)
	require.Len(t, found.Metadata.Inputs, 2)
	require.Equal(t, []any{"late", "on time"}, found.Binary["prediction"])
	require.Equal(t, []any{"late", "on time"}, found.JSON["prediction"])
	require.Equal(t, found.Binary["score"], found.JSON["score"])
	require.Equal(t, found.JSON, found.OfVersion)
	require.Len(t, found.Refused, 2)
	require.Contains(t, found.Refused[1], `output "proba"`)
}
