package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/search/space"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("model.json", doc))
	s, err := c.Compile("model.json")
	require.NoError(t, err)
	return s
}

// bySchema judges YAML by the schema, as an editor does.
func bySchema(s *jsonschema.Schema, src []byte) error {
	var doc any
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

func TestSchemaAcceptsTheExamples(t *testing.T) {
	s := compiled(t)
	for _, path := range examples(t) {
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, bySchema(s, src), path)
	}
}

func TestSchemaAcceptsWhateverParseAccepts(t *testing.T) {
	s := compiled(t)
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		b, err := m.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if err := bySchema(s, b); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
	})
}

func TestSchemaAndParseRefuseTheSameShapes(t *testing.T) {
	s := compiled(t)
	for _, src := range []string{
		"canry: {}\n", "split: {validaton: 10%}\n", "gates: {auc: {min: 0.8}}\n", "gates: {f1: {}}\n", "gates: {f1: 0.7}\n", "gates: {f1: {min: 70}}\n",
		"gates: {f1: {mn: 0.7}}\n", "gates: {disparity: {by: a}}\n", "gates: {champion: {confidence: 1}}\n", "gates: {rmse: {max: -1}}\n",
		"split: {seed: many}\n", "split: {seed: -1}\n", "approval: {quorum: 1.5}\n", "approval: {quorum: 0}\n", "serving: {sticky_by: 5}\n",
		"retrain: {on: drift}\n", "retrain: {on: [new-data]}\n", "retrain: {on: [drift, drift]}\n", "split: [1]\n", "split:\n", "split: {test: {}, by: random}\n",
		"train: {timeout: 90}\n", "train: {timeout: soon}\n", "train: {timeout: -5m}\n", "train: {timeout: 5 minutes}\n", "split: {validation: 10}\n",
		"split: {validation: tenth}\n", "monitor: {drift: {alert_after: 2}}\n", "monitor: {drift: {psi: 0}}\n", "monitor: {drift: {max_share: 1.5}}\n",
		"monitor: {drift: {correction: bonferroni}}\n", "monitor: {drift: {methods: [ks]}}\n", "monitor: {drift: {methods: {x: all}}}\n",
		"monitor: {drift: {methods: {x: 5}}}\n", "monitor: {drift: {exclude: x}}\n", "monitor: {drift: {exclude: [5]}}\n", "serving: {mirror: much}\n",
		"serving: {unknown_categories: null}\n", "serving: {unknown_categories: ignore}\n", "serving: {unknown_categories_of: [x]}\n", "serving: {unknown_categories_of: {x: ignore}}\n",
		"canary: {steps: [{hold: 1h}]}\n", "canary: {steps: [{weight: 10%, hold: 1}]}\n", "canary: {max_slowdown: 0.5}\n", "canary: {max_psi: -1}\n", "canary: {on_failure: ignore}\n",
		"canary: {answer_within: 5}\n", "canary: {limits: {error: 2%}}\n", "canary: {limits: {latency_p99_ms: -1}}\n",
		"canary: {quality: {metric: f1}}\n", "canary: {quality: {max_loss: -1}}\n", "canary: {quality: {min_rows: 49}}\n", "canary: {quality: {needed: true}}\n",
		"train: {builtin: tree}\n", "train: {secrets: [s3cr3t]}\n", "train: {retries: {script: 101}}\n", "train: {resources: {memory: 4GB}}\n",
		"train: {search: {}}\n", "train: {search: {space: {}}}\n", "train: {search: {space: [eta]}}\n", "train: {search: {space: {eta: [0, 1]}}}\n",
		"train: {search: {space: {eta: {log: 5}}}}\n", "train: {search: {space: {eta: {log: [1]}}}}\n", "train: {search: {space: {eta: {choice: [[1], 2]}}}}\n",
		"train: {search: {space: {eta: {lgo: [1, 2]}}}}\n", "train: {search: {space: {eta: {log: [1, 2], float: [1, 2]}}}}\n",
		"train: {search: {space: {eta: {log: [1, 2]}}, trials: 0}}\n", "train: {search: {space: {eta: {log: [1, 2]}}, sampler: bayes}}\n",
		"train: {search: {space: {eta: {log: [1, 2]}}, metric: {goal: less}}}\n", "train: {search: {space: {eta: {log: [1, 2]}}, pruner: {kind: mean}}}\n",
		"train: {search: {space: {eta: {log: [1, 2]}}, pruner: {factor: 1}}}\n",
		"train: {search: {space: {eta: {log: [1, 2]}}, best: keep}}\n", "train: {search: {space: {\"a b\": {log: [1, 2]}}}}\n",
		"train: {command: [a], resources: {gpus: 17}}\n", "train: {command: [a], resources: {gpus: 1, gpu_memory: lots}}\n", "train: {priority: 6}\n", "train: {priority: high}\n",
		"train: {resources: {labels: [a, b, c, d, e]}}\n", "train: {resources: {labels: [A]}}\n", "train: {resources: {labels: [a, a]}}\n", "train: {resources: {labels: spot}}\n",
		"train: {params: [1]}\n", "train: {params: {a: null}}\n", "train: {command: python3}\n", "train: {command: [1]}\n",
		"approval: {approvers: [ana]}\n", "approval: {approvers: [\"email:ana\"]}\n", "approval: {on_timeout: approve}\n", "approval: {four_eyes: \"no\"}\n",
		"budget: {per_run: 20}\n", "budget: {per_run: -1 USD}\n", "notify: {slack: \"a b\"}\n", "apiVersion: leanloop/v2\n", "kind: Pod\n", "task: ranking\n",
	} {
		_, err := Parse("x", withField(src))
		require.Error(t, err, "Parse accepts %s", src)
		require.Error(t, bySchema(s, withField(src)), "the schema accepts %s", src)
	}
	for _, data := range []string{
		"{target: y}", "{prefix: s3://lake/a/}", "{prefix: s3://lake/a, target: y}", "{prefix: /lake/a/, target: y}", "{prefix: s3://Lake/a/, target: y}",
		"{prefix: s3://lake/a/, target: y, format: xlsx}", "{prefix: s3://lake/a/, target: [y]}", "{prefix: s3://lake/a/, target: y, contract: {}}",
		"{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y}]}}", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: int}]}}",
		"{prefix: s3://lake/a/, target: y, contract: 5}", "{prefix: s3://lake/a/, target: y, expectations: {suite: 5}}",
		"{prefix: s3://lake/a/, target: y, expectations: {suite: {expectations: []}}}",
		"{prefix: s3://lake/a/, target: y, expectations: {suite: {expectations: [{kwargs: {column: y}}]}}}",
		"{prefix: s3://lake/a/, target: y, expectations: {suite: {expectations: [{type: expect_column_to_exist, kwargs: {column: y}, severity: high}]}}}",
		"{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number, severity: note}]}}",
		"{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number, min: [1]}]}}",
		"{prefix: s3://lake/a/, target: y, labels: {match: name}}", "{prefix: s3://lake/a/, target: y, features: {exclude: x}}",
	} {
		src := []byte("metadata: {name: churn}\ndata: " + data + "\n")
		_, err := Parse("x", src)
		require.Error(t, err, "Parse accepts %s", data)
		require.Error(t, bySchema(s, src), "the schema accepts %s", data)
	}
}

// What the schema lists and what the types have is the same, section by section.
func TestSchemaKnowsEveryField(t *testing.T) {
	var schema map[string]any
	require.NoError(t, json.Unmarshal(Schema(), &schema))
	sections := 0
	var walk func(t reflect.Type, at map[string]any, path string) error
	walk = func(typ reflect.Type, at map[string]any, path string) error {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ == reflect.TypeFor[space.Space]() {
			dimension, _ := schema["$defs"].(map[string]any)["dimension"].(map[string]any)
			return walk(typ.Elem(), dimension, path+".*")
		}
		if typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct {
			items, _ := at["items"].(map[string]any)
			return walk(typ.Elem(), items, path+"[]")
		}
		if _, ok := reflect.New(typ).Interface().(interface{ UnmarshalText([]byte) error }); ok || typ.Kind() != reflect.Struct {
			return nil
		}
		if typ == reflect.TypeFor[Contract]() {
			at = schema["$defs"].(map[string]any)["contract"].(map[string]any)
		}
		if typ == reflect.TypeFor[suite.Suite]() {
			at = schema["$defs"].(map[string]any)["suite"].(map[string]any)
		}
		if typ == reflect.TypeFor[space.Dimension]() {
			at = schema["$defs"].(map[string]any)["dimension"].(map[string]any)
		}
		sections++
		properties, _ := at["properties"].(map[string]any)
		want := names(fieldsOf(typ))
		if typ == reflect.TypeFor[Gates]() {
			want = append(want, AllMetrics()...)
		}
		var have []string
		for name := range properties {
			have = append(have, name)
		}
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(want, have) || at["additionalProperties"] != false {
			return fmt.Errorf("%s: schema has %v, the type %v", path, have, want)
		}
		for _, f := range fieldsOf(typ) {
			child, _ := properties[f.name].(map[string]any)
			if err := walk(typ.Field(f.index).Type, child, join(path, f.name)); err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, walk(reflect.TypeFor[Model](), schema, ""))
	require.Greater(t, sections, 25)
}

func TestSchemaStatesTheDefaultsThatParseFills(t *testing.T) {
	var schema map[string]any
	require.NoError(t, json.Unmarshal(Schema(), &schema))
	filled := map[string]any{}
	m, err := Parse("minimal.yaml", read(t, "minimal.yaml"))
	require.NoError(t, err)
	var walk func(at map[string]any, under map[string]any)
	walk = func(at, under map[string]any) {
		properties, _ := at["properties"].(map[string]any)
		for name, p := range properties {
			child := p.(map[string]any)
			if d, ok := child["default"]; ok {
				under[name] = d
				continue
			}
			sub := map[string]any{}
			if walk(child, sub); len(sub) > 0 {
				under[name] = sub
			}
		}
	}
	walk(schema, filled)
	delete(filled["gates"].(map[string]any), "disparity") // it has a default only where there is one
	delete(filled["train"].(map[string]any), "search")    // nor is one searched for where nobody says so
	filled["metadata"] = map[string]any{"name": "churn"}
	data := filled["data"].(map[string]any)
	data["prefix"], data["target"] = "s3://lake/churn/", "left"
	raw, err := json.Marshal(filled)
	require.NoError(t, err)
	stated, err := Parse("defaults.json", raw)
	require.NoError(t, err, "%s", raw)
	require.Equal(t, m, stated)
}
