package serving

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// node is a piece of a JSON document; its keys are written in order, so equal documents are equal bytes.
type node = map[string]any

// apiDocument keeps the document of the newest table that was asked for: it is as long as all signatures together. It
// keeps no table, whose models would stay with it.
type apiDocument struct {
	mu    sync.Mutex
	table weak.Pointer[table]
	body  []byte
}

// openAPI is GET /openapi.json: what this gateway answers now, model by model, as OpenAPI 3.1.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) {
	body, err := s.apiBody(s.table.Load())
	if err != nil {
		s.log().Error("the OpenAPI document has no JSON", "error", err)
		s.reject(w, true, &problem{Status: http.StatusInternalServerError, Code: "internal", Message: "the document could not be written"})
		return
	}
	sendJSON(w, http.StatusOK, body)
}

// apiBody is the document of a table as bytes. Nobody is sent anything while others wait for it.
func (s *Server) apiBody(t *table) ([]byte, error) {
	s.api.mu.Lock()
	defer s.api.mu.Unlock()
	if of := weak.Make(t); s.api.table != of {
		body, err := json.Marshal(s.describe(t))
		if err != nil {
			return nil, err
		}
		s.api.table, s.api.body = of, append(body, '\n')
	}
	return s.api.body, nil
}

// describe is the document of a table.
func (s *Server) describe(t *table) node {
	paths, schemas := commonPaths(), commonSchemas()
	tags := []any{node{"name": "server", "description": "Health and metadata of the Open Inference Protocol v2."}}
	for _, model := range slices.Sorted(maps.Keys(t.routes)) {
		r := t.routes[model]
		if r.champion == nil {
			continue
		}
		tags = append(tags, node{"name": model, "description": fmt.Sprintf("Version %d answers; task %s.", r.champion.number, r.champion.model.Signature.Task)})
		r.describe(paths, schemas, s.cfg)
	}
	address := s.cfg.Address
	if address == "" {
		address = "/"
	}
	return node{
		"openapi": "3.1.0",
		"info": node{"title": "leanloop gateway", "version": "1",
			"description": "Predictions of every model in service. The features are those of the versions that answer now: the document changes with a promotion."},
		"servers": []any{node{"url": address}}, "tags": tags, "paths": paths, "components": node{"schemas": schemas},
	}
}

// describe adds one model's paths and schemas.
func (r *route) describe(paths, schemas node, cfg Config) {
	m, id := r.model, strings.ReplaceAll(r.model, "-", "_")
	schemas[m+".row"], schemas[m+".prediction"] = r.rowSchema(), r.predictionSchema()
	row, prediction := ref(m+".row"), ref(m+".prediction")
	schemas[m+".request"] = node{"oneOf": []any{
		object([]string{"features"}, node{"features": row}),
		object([]string{"instances"}, node{"instances": node{"type": "array", "items": row, "minItems": 1, "maxItems": cfg.MaxBatch}}),
	}}
	named := node{"model": node{"const": m}}
	schemas[m+".answer"] = node{"anyOf": []any{
		node{"description": "to features", "allOf": []any{prediction}, "type": "object", "required": []string{"model"}, "properties": named},
		node{"description": "to instances, in their order", "type": "object", "required": []string{"model", "predictions"},
			"properties": node{"model": node{"const": m}, "predictions": node{"type": "array", "items": prediction}}},
	}}
	paths["/predict/"+m] = node{"post": operation("predict_"+id, m, "Predict from named features, one row or a batch.",
		jsonBody(ref(m+".request")), answers(jsonContent("The prediction, or one for each row.", ref(m+".answer")), "Problem",
			400, 404, 408, 413, 429, 500, 503))}

	schemas[m+".tensors"] = r.inferSchema()
	infer := func(id string) node {
		body := jsonBody(ref(m + ".tensors"))
		body["content"].(node)["application/octet-stream"] = node{"schema": node{"type": "string", "format": "binary",
			"description": "The JSON, of the length in " + headerLength + ", and the data of its binary tensors behind it."}}
		return operation(id, m, "Predict from tensors, one for each feature (Open Inference Protocol v2).", body,
			answers(jsonContent("One tensor for each output.", ref("Inferred")), "Error", 400, 404, 408, 413, 429, 500, 503))
	}
	paths["/v2/models/"+m+"/infer"] = node{"post": infer("infer_" + id)}
	versioned := infer("infer_version_" + id)
	versioned["parameters"] = []any{pathParameter("version", "The champion's number.")}
	paths["/v2/models/"+m+"/versions/{version}/infer"] = node{"post": versioned}
}

// rowSchema is what one row may hold. The champion's features are required; null is a missing value.
func (r *route) rowSchema() node {
	properties, required := node{}, []string{}
	for name := range r.ignored {
		properties[name] = node{"description": "Taken, and read by nobody."}
	}
	for _, name := range r.settings.known {
		properties[name] = node{"type": []string{"string", "number", "boolean", "null"}, "description": "Names or times the row; no feature.", KindKey: KindOfKey}
	}
	if r.challenger != nil {
		for _, f := range r.challenger.model.Signature.Inputs {
			properties[f.Name] = featureSchema(f)
		}
	}
	for _, f := range r.champion.model.Signature.Inputs {
		properties[f.Name] = featureSchema(f)
		required = append(required, f.Name)
	}
	return object(required, properties)
}

// maxExamples bounds how many categories are shown.
const maxExamples = 20

// KindKey is an extension of a row's properties: the feature's kind as the signature has it, or KindOfKey. A property
// without it is read by nobody.
const (
	KindKey   = "x-leanloop-kind"
	KindOfKey = "key" // names or times the row
)

// featureSchema is what a row may hold of a feature.
func featureSchema(f inference.Feature) node {
	schema := valueSchema(f)
	schema[KindKey] = f.Kind
	return schema
}

// valueSchema is what inference.Model.EncodeValue takes for a feature.
func valueSchema(f inference.Feature) node {
	switch f.Kind {
	case inference.KindInteger:
		return node{"type": []string{"integer", "null"}}
	case inference.KindBoolean:
		return node{"enum": []any{true, false, 1, 0, nil}}
	case inference.KindTimestamp:
		return node{"type": []string{"string", "number", "null"}, "description": "2006-01-02, 2006-01-02T15:04:05Z, or seconds since 1970.",
			"examples": []any{"2006-01-02T15:04:05Z"}}
	case inference.KindCategory:
		other := "is a missing value"
		if f.Unknown == inference.UnknownRefuse {
			other = "is refused"
		}
		return node{"type": []string{"string", "number", "boolean", "null"}, "examples": f.Categories[:min(len(f.Categories), maxExamples)],
			"description": fmt.Sprintf("One of %d categories; another one %s.", len(f.Categories), other)}
	}
	return node{"type": []string{"number", "null"}}
}

// predictionSchema is one row's answer.
func (r *route) predictionSchema() node {
	sig := r.champion.model.Signature
	properties := node{
		"version": node{"type": "integer"}, "arm": node{"enum": []string{"champion", "challenger"}},
		"prediction_id": node{"type": "string", "description": "By which its label can find it."},
		"prediction":    node{"type": "number", "description": sig.Output},
		"score":         node{"type": "number", "description": "The value."},
		"fallback":      node{"const": true, "description": "The challenger was asked first, and failed."},
	}
	required := []string{"version", "arm", "prediction_id", "prediction", "score"}
	if len(sig.Classes) > 0 {
		properties["prediction"] = node{"type": "string", "description": sig.Output, "examples": sig.Classes[:min(len(sig.Classes), maxExamples)]}
		properties["score"] = node{"type": "number", "minimum": 0, "maximum": 1, "description": "Probability of the positive class, or of the most probable one."}
	}
	if sig.Task == spec.Multiclass {
		properties["scores"] = node{"type": "object", "additionalProperties": node{"type": "number"}, "description": "Probability of each class."}
		required = append(required, "scores")
	}
	return node{"type": "object", "required": required, "properties": properties}
}

// inferSchema is an infer request; which tensors there must be is in its description, since JSON Schema has no short
// way to say it.
func (r *route) inferSchema() node {
	names := append([]string(nil), r.order...)
	names = append(names, slices.Sorted(maps.Keys(r.ignored))...)
	slices.Sort(names)
	var features []string
	for _, in := range r.metadata().Inputs {
		features = append(features, fmt.Sprintf("%s (%s)", in.Name, in.Datatype))
	}
	tensor := object([]string{"name", "shape", "datatype"}, node{
		"name":       node{"enum": slices.Compact(names)},
		"shape":      node{"type": "array", "items": node{"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2, "description": "[n] or [n, 1]"},
		"datatype":   node{"enum": datatypes()},
		"data":       node{"type": "array", "description": "Flat or nested; null is a missing value."},
		"parameters": node{"type": "object", "properties": node{"binary_data_size": node{"type": "integer", "minimum": 0}}},
	})
	tensor["additionalProperties"] = true
	return node{
		"type": "object", "required": []string{"inputs"},
		"properties": node{
			"id":     node{"type": "string"},
			"inputs": node{"type": "array", "minItems": 1, "items": tensor, "description": "One for each of: " + strings.Join(features, ", ") + "."},
			"outputs": node{"type": "array", "items": node{"type": "object", "required": []string{"name"}, "properties": node{
				"name": node{"enum": r.outputs()}, "parameters": node{"type": "object", "properties": node{"binary_data": node{"type": "boolean"}}}}}},
			"parameters": node{"type": "object", "properties": node{"binary_data_output": node{"type": "boolean"}}},
		},
	}
}

// datatypes are those that knownDatatype knows.
func datatypes() []string {
	return []string{"BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64", "BYTES"}
}

// commonPaths are those of every gateway.
func commonPaths() node {
	get := func(id, summary string, parameters []any, ok node, failures ...int) node {
		op := operation(id, "server", summary, nil, answers(ok, "Error", failures...))
		if parameters != nil {
			op["parameters"] = parameters
		}
		return node{"get": op}
	}
	model := []any{pathParameter("model", "The model's name.")}
	version := append(slices.Clone(model), pathParameter("version", "The champion's number."))
	flag := func(name string) node { return object([]string{name}, node{name: node{"const": true}}) }
	readyModel := object([]string{"name", "ready"}, node{"name": node{"type": "string"}, "ready": node{"const": true}})
	return node{
		"/openapi.json":                         get("openapi", "This document.", nil, jsonContent("The document.", node{"type": "object"})),
		"/v2":                                   get("server_metadata", "What this server speaks.", nil, jsonContent("The server.", ref("Server"))),
		"/v2/health/live":                       get("server_live", "Whether the process answers.", nil, jsonContent("It does.", flag("live"))),
		"/v2/health/ready":                      get("server_ready", "Whether predictions may be asked for.", nil, jsonContent("They may.", flag("ready")), 503),
		"/v2/models/{model}":                    get("model_metadata", "A model's tensors.", model, jsonContent("The model.", ref("Model")), 404, 503),
		"/v2/models/{model}/ready":              get("model_ready", "Whether a model is served.", model, jsonContent("It is.", readyModel), 404, 503),
		"/v2/models/{model}/versions/{version}": get("version_metadata", "The tensors of the version that answers.", version, jsonContent("The model.", ref("Model")), 404, 503),
		"/v2/models/{model}/versions/{version}/ready": get("version_ready", "Whether a version may be asked for.", version, jsonContent("It may.", readyModel), 404, 503),
		"/v2/repository/index": node{"post": operation("repository_index", "server", "The models.", nil,
			answers(jsonContent("The models.", node{"type": "array", "items": ref("IndexEntry")}), "Error"))},
	}
}

func commonSchemas() node {
	text, number := node{"type": "string"}, node{"type": "integer"}
	texts := node{"type": "array", "items": text}
	shape := node{"type": "array", "items": number}
	tensor := object([]string{"name", "datatype", "shape"}, node{"name": text, "datatype": text, "shape": shape})
	return node{
		"Error": object([]string{"error"}, node{"error": text}),
		"Problem": object([]string{"error", "code"}, node{"error": text, "code": text, "features": node{"type": "array",
			"items": object([]string{"name"}, node{"name": text, "nearest": texts})}}),
		"Server": object([]string{"name", "version", "extensions"}, node{"name": text, "version": text, "extensions": texts}),
		"Model": object([]string{"name", "versions", "platform", "inputs", "outputs"}, node{"name": text, "versions": texts, "platform": text,
			"inputs": node{"type": "array", "items": tensor}, "outputs": node{"type": "array", "items": tensor}}),
		"IndexEntry": node{"type": "object", "required": []string{"name"}, "properties": node{"name": text, "version": text, "state": text, "reason": text}},
		"Inferred": node{"type": "object", "required": []string{"model_name", "model_version", "outputs"}, "properties": node{
			"model_name": text, "model_version": text, "id": text,
			"outputs": node{"type": "array", "items": node{"type": "object", "required": []string{"name", "datatype", "shape"}, "properties": node{
				"name": text, "datatype": text, "shape": shape, "data": node{"type": "array"}, "parameters": node{"type": "object"}}}}}},
	}
}

func ref(schema string) node { return node{"$ref": "#/components/schemas/" + schema} }

// object is a closed one.
func object(required []string, properties node) node {
	return node{"type": "object", "required": required, "properties": properties, "additionalProperties": false}
}

func pathParameter(name, description string) node {
	return node{"name": name, "in": "path", "required": true, "description": description, "schema": node{"type": "string"}}
}

func jsonContent(description string, schema node) node {
	return node{"description": description, "content": node{"application/json": node{"schema": schema}}}
}

func jsonBody(schema node) node {
	return node{"required": true, "content": node{"application/json": node{"schema": schema}}}
}

func operation(id, tag, summary string, body, responses node) node {
	op := node{"operationId": id, "tags": []string{tag}, "summary": summary, "responses": responses}
	if body != nil {
		op["requestBody"] = body
	}
	return op
}

// answers are those of an operation: one that is fine, and the ways in which it fails.
func answers(ok node, failure string, failures ...int) node {
	out := node{"200": ok}
	for _, status := range failures {
		a := jsonContent(http.StatusText(status), ref(failure))
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			a["headers"] = node{"Retry-After": node{"description": "Seconds.", "schema": node{"type": "integer"}}}
		}
		out[fmt.Sprint(status)] = a
	}
	return out
}
