package spec

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

func hours(n int) Duration { return Duration(time.Duration(n) * time.Hour) }

func TestNamePrefixAndTargetAloneAreAValidSpec(t *testing.T) {
	m, err := Parse("minimal.yaml", read(t, "minimal.yaml"))
	require.NoError(t, err)
	want := Defaults()
	want.Metadata.Name, want.Data.Prefix, want.Data.Target = "churn", "s3://lake/churn/", "left"
	want.Split.By, want.Data.Labels.Match, want.Train.Builtin = "hash", "prediction_id", "trees"
	want.Gates.Champion.Metric, want.Monitor.Quality.Metric = "roc_auc", "f1"
	require.Equal(t, want, m)
	require.NoError(t, m.Validate())
	require.Contains(t, m.Warnings()[0], "approval.approvers is empty: nobody may approve")
}

func TestFullSpecParsesAsItIsWritten(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "design.yaml"))
	require.NoError(t, err)
	half := 0.70
	require.Equal(t, Bound{Min: &half}, m.Gates.Metrics["f1"])
	require.Equal(t, []string{"accuracy", "f1", "latency_p99_ms"}, m.Gates.Names())
	require.Equal(t, &Disparity{By: "carrier", Metric: "recall", Max: 0.15, MinRows: 50}, m.Gates.Disparity)
	require.Equal(t, Window{Last: hours(365 * 24), MinRows: 5000}, m.Data.Window)
	require.Equal(t, TestSplit{Newest: 0.2, Max: hours(720), MinRows: 1000}, m.Split.Test)
	require.Equal(t, Percent(0.1), m.Split.Validation)
	require.Equal(t, Bytes(4<<30), m.Train.Resources.Memory)
	require.Equal(t, map[string]any{"max_depth": 6.0, "eta": 0.1}, m.Train.Params)
	require.Equal(t, []string{"python3", "train.py"}, m.Train.Command)
	require.Empty(t, m.Train.Builtin)
	require.Equal(t, []Step{{Weight: 0.1, Hold: hours(24), MinRequests: 2000}}, m.Canary.Steps)
	require.Equal(t, KOfN{K: 2, N: 3}, m.Monitor.Drift.AlertAfter)
	require.Equal(t, Budget{PerRun: Money{20, "USD"}, PerMonth: Money{200, "USD"}}, m.Budget)
	require.Equal(t, []string{"slack:U012AB", "cli:ana"}, m.Approval.Approvers)
	require.Empty(t, m.Data.Contract.File, "the contract's file is read")
	require.Equal(t, []string{"UA", "B6", "9E", "1"}, m.Data.Contract.Columns[2].Values)
}

func TestParseLeavesAContractFileToLoad(t *testing.T) {
	m, err := Parse("design.yaml", read(t, "design.yaml"))
	require.NoError(t, err)
	require.Equal(t, &Contract{File: "contract.yaml"}, m.Data.Contract)
	_, err = m.Canonical()
	require.EqualError(t, err, `spec flight-delay: contract "contract.yaml" isn't read yet: use Load`)
}

// withField is the minimal spec with more lines.
func withField(lines string) []byte {
	return []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: left}\n" + lines)
}

func TestProblemsNameFieldLineAndWhatIsMeant(t *testing.T) {
	cases := []struct{ name, src, want string }{
		{"unknown field at the top", "canry: {}\n",
			`line 3: canry: unknown field "canry" (did you mean "canary"? valid: apiVersion, kind, metadata, task, data, split, train, predict, gates, approval, serving, canary, monitor, retrain, notify, budget)`},
		{"unknown field in a section", "split:\n  by: hash\n  validaton: 10%\n",
			`line 5: split.validaton: unknown field "validaton" (did you mean "validation"? valid: by, validation, test, seed)`},
		{"field of another section", "cooldown: 7d\n", `unknown field "cooldown" (it belongs to retrain; valid: apiVersion`},
		{"unknown metric", "gates: {auc: {min: 0.8}}\n", `line 3: gates.auc: unknown metric "auc" (did you mean "roc_auc"? valid: accuracy, precision`},
		{"metric of another task", "gates: {rmse: {max: 3}}\n",
			`line 3: gates.rmse: rmse isn't measured for a binary task (valid: accuracy, precision, recall, f1, log_loss, roc_auc, latency_p50_ms, latency_p99_ms)`},
		{"gate without bounds", "gates: {f1: {}}\n", "line 3: gates.f1: no bound is set (write {min: 0.8} or {max: 50})"},
		{"gate as a number", "gates: {f1: 0.7}\n", `line 3: gates.f1: expected bounds, found number "0.7" (write f1: {min: 0.7} or {max: 0.7})`},
		{"gate over what the metric can reach", "gates: {f1: {min: 70}}\n", "gates.f1: 70 isn't within 0 and 1, where f1 lies"},
		{"duplicate key", "split: {by: hash}\nsplit: {by: hash}\n", `line 4: split: "split" is given twice, first on line 3 (remove one of them)`},
		{"text for a number", "split: {seed: many}\n", `line 3: split.seed: expected a whole number, found text "many"`},
		{"fraction for a whole number", "approval: {quorum: 1.5}\n", `approval.quorum: expected a whole number, found number "1.5"`},
		{"negative count", "approval: {quorum: -1}\n", `approval.quorum: expected a whole number, found number "-1"`},
		{"number for a text", "serving: {sticky_by: 5}\n", `serving.sticky_by: expected a text, found number "5" (write it in quotes: "5")`},
		{"text for a list", "retrain: {on: drift}\n", `retrain.on: expected a list, found text "drift"`},
		{"list for a section", "split: [1]\n", "line 3: split: expected a mapping, found a list"},
		{"nothing for a section", "split:\n", "line 3: split: has no value (give a value, or remove the line for the default)"},
		{"duration without unit", "train: {timeout: 90}\n", `train.timeout: duration "90": 90 has no unit: write 90s, 90m, 90h or 90d`},
		{"percent of a hundred", "split: {validation: 10}\n", "split.validation: 10 > 1 (for 10 percent write 10%)"},
		{"share that isn't one", "split: {validation: tenth}\n", `split.validation: share "tenth": write 10% or 0.1`},
		{"not two of three", "monitor: {drift: {alert_after: 4 of 3}}\n", "monitor.drift.alert_after: 4 of 3 isn't 1 of 1 to 100 of 100"},
		{"a step that nobody meets", "canary: {steps: [{weight: 0%}]}\n", "canary.steps[0].weight: 0 must be over 0"},
		{"more copies than requests", "serving: {mirror: 200%}\n", "serving.mirror: 2 > 1"},
		{"steps that don't grow", "canary: {steps: [{weight: 50%}, {weight: 10%}]}\n", "canary.steps[1].weight: 10% isn't over the step before, 50%"},
		{"deadline within the holds", "canary: {deadline: 24h}\n", "canary.deadline: 1d isn't over the holds of all steps, 1d"},
		{"both trainers", "train: {command: [sh, x], builtin: trees}\n", `line 3: train: command and builtin "trees" are both set, expected one`},
		{"unknown trainer", "train: {builtin: tree}\n", `train.builtin: "tree" is unknown (did you mean "trees"? valid: trees, linear)`},
		{"a secret's value", "train: {secrets: [s3cr3t]}\n", `train.secrets[0]: "s3cr3t" isn't the name of a secret`},
		{"a secret that the contract sets", "train: {secrets: [SM_HPS]}\n", "train.secrets[0]: SM_HPS is set by the trainer contract"},
		{"a secret that says the threads", "train: {secrets: [OMP_NUM_THREADS]}\n", "train.secrets[0]: OMP_NUM_THREADS is set by the trainer contract"},
		{"a built-in trainer's memory", "train: {builtin: trees, resources: {memory: 4Gi}}\n", "train.resources.memory: bounds train.command; a built-in trainer runs within the worker"},
		{"approver without edge", "approval: {approvers: [ana]}\n", `approval.approvers[0]: "ana" isn't an actor (write cli:ana or slack:U012AB)`},
		{"quorum over the approvers", "approval: {approvers: [\"cli:ana\"], quorum: 2}\n", "approval.quorum: 2 > 1 approvers"},
		{"silence that approves", "approval: {on_timeout: approve}\n", `approval.on_timeout: "approve" is unknown (valid: reject)`},
		{"unknown trigger", "retrain: {on: [new-data]}\n", `retrain.on[0]: "new-data" is unknown (did you mean "new_data"?`},
		{"cron without line", "retrain: {on: [cron]}\n", `retrain.on: cron needs retrain.cron (such as "0 6 * * MON")`},
		{"cron that nobody asked for", "retrain: {cron: 0 6 * * *}\n", `retrain.cron: "0 6 * * *" has no effect (add cron to retrain.on)`},
		{"cron with six fields", "retrain: {on: [cron], cron: 0 0 6 * * *}\n", "has 6 fields, expected 5"},
		{"cron out of range", "retrain: {on: [cron], cron: 0 24 * * *}\n", `hour "24": "24" isn't within 0 and 23`},
		{"budget in two currencies", "budget: {per_run: 1 USD, per_month: 1 EUR}\n", "budget: per_run is in USD, per_month in EUR"},
		{"amount without currency", "budget: {per_run: 20}\n", `budget.per_run: amount "20": write a number and a currency of three letters, such as 20 USD`},
		{"anchor", "serving: &a {sticky_by: x}\n", "serving: anchors and aliases aren't allowed (write the value out)"},
		{"tag", "serving: !!map {sticky_by: x}\n", "serving: YAML tags aren't allowed (remove the tag)"},
		{"number that JSON can't hold", "train: {params: {seed: 9007199254740993}}\n",
			`train.params.seed: number 9007199254740993 can't be held exactly (write it in quotes: "9007199254740993")`},
		{"nothing left to train on", "split: {validation: 80%}\n", "split: validation 80% and test 20% leave nothing to train on"},
		{"another version", "apiVersion: leanloop/v2\n", `line 3: apiVersion: "leanloop/v2" is unknown (did you mean "leanloop/v1"? valid: leanloop/v1)`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("model.yaml", withField(c.src))
			var invalid *Invalid
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Problems, 1, "%v", err)
			require.Contains(t, err.Error(), "spec model.yaml is invalid: ")
			require.Contains(t, err.Error(), c.want)
		})
	}
}

func TestDataProblems(t *testing.T) {
	cases := []struct{ name, data, want string }{
		{"no prefix", "{target: y}", "line 2: data.prefix: is required (s3://bucket/folder/)"},
		{"no target", "{prefix: s3://lake/a/}", "line 2: data.target: is required (the label's column)"},
		{"prefix of a file", "{prefix: s3://lake/a, target: y}", `data.prefix: "s3://lake/a" doesn't end with / (write s3://lake/a/)`},
		{"prefix of another kind", "{prefix: /lake/a/, target: y}", "isn't an S3 address"},
		{"bucket with capitals", "{prefix: s3://Lake/a/, target: y}", `"Lake" isn't a bucket's name`},
		{"prefix that climbs", "{prefix: s3://lake/../a/, target: y}", "has an empty or relative part"},
		{"prefix with an empty part", "{prefix: s3://lake/a//b/, target: y}", "has an empty or relative part"},
		{"format", "{prefix: s3://lake/a/, target: y, format: csv.zip}", `"csv.zip" is unknown (did you mean "csv.zst"?`},
		{"format", "{prefix: s3://lake/a/, target: y, format: parket}", `"parket" is unknown (did you mean "parquet"?`},
		{"two roles", "{prefix: s3://lake/a/, target: y, id: y}", `data.target: "y" is data.id too`},
		{"target as feature", "{prefix: s3://lake/a/, target: y, features: {include: [x, y]}}", `data.features.include[1]: "y" is the target: a model would read the answer`},
		{"window without time", "{prefix: s3://lake/a/, target: y, window: {last: 7d}}", "data.window.last: 7d needs data.time"},
		{"labels by an id that isn't", "{prefix: s3://lake/a/, target: y, labels: {match: id}}", "data.labels.match: id needs data.id"},
		{"expectation of an unknown kind", "{prefix: s3://lake/a/, target: y, expectations: {suite: {expectations: [{type: expect_column_to_exits, kwargs: {column: y}}]}}}",
			`data.expectations.suite.expectations[0].type: "expect_column_to_exits" is an unknown kind of expectation (did you mean expect_column_to_exist?`},
		{"expectation of a column that the contract hasn't", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number}]}, expectations: {suite: {expectations: [{type: expect_column_values_to_not_be_null, kwargs: {column: x}}]}}}",
			`data.expectations.suite.expectations[0].kwargs: column "x" isn't in the contract, so it isn't read`},
		{"expectation of a column of another type", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number}, {name: c, type: category}]}, expectations: {suite: {expectations: [{type: expect_column_mean_to_be_between, kwargs: {column: c, min_value: 0}}]}}}",
			"expect_column_mean_to_be_between takes number, integer, boolean, and column c is category"},
		{"severity", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number, severity: wran}]}}", `data.contract.columns[0].severity: "wran" is unknown (did you mean "warn"?`},
		{"severity of a freshness that isn't", "{prefix: s3://lake/a/, target: y, expectations: {freshness_severity: warn}}", "it needs data.expectations.freshness"},
		{"bounds of a time that are numbers", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number}, {name: t, type: timestamp, min: 5}]}}", "min and max of a timestamp are times (such as 2013-01-01"},
		{"bounds of a number that are times", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number, max: 2013-01-01}]}}", "min and max of a column of type number are numbers, not times"},
		{"bounds of a time that are none", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number}, {name: t, type: timestamp, min: soon}]}}", `"soon" isn't a time such as 2006-01-02`},
		{"bounds of a time the wrong way round", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: number}, {name: t, type: timestamp, min: 2013-01-02, max: 2013-01-01}]}}", "min is later than max"},
		{"contract without the target", "{prefix: s3://lake/a/, target: left, contract: {columns: [{name: lft, type: integer}]}}",
			`data.target: column "left" isn't in the contract (did you mean "lft"? valid: lft)`},
		{"column type", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: int}]}}", `data.contract.columns[0].type: "int" is unknown`},
		{"bounds of a text", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: integer}, {name: x, type: text, min: 0}]}}", "min and max are for numbers and timestamps, not for text"},
		{"pattern", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: integer}, {name: x, type: text, pattern: \"(\"}]}}", "error parsing regexp"},
		{"column twice", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: integer}, {name: y, type: integer}]}}", `data.contract.columns[1].name: "y" is listed twice, first as columns[0]`},
		{"delay without time", "{prefix: s3://lake/a/, target: y, labels: {delay: 2d}}", "data.labels.delay: 2d needs data.time"},
		{"a delay that swallows the quality window", "{prefix: s3://lake/a/, target: y, time: t, labels: {delay: 31d}}",
			"monitor.quality.window: 30d holds no prediction older than data.labels.delay 31d: quality would never be judged"},
		{"included column that the contract hasn't", "{prefix: s3://lake/a/, target: y, features: {include: [a, x]}, contract: {columns: [{name: y, type: number}, {name: x, type: number}]}}",
			`data.features.include[0]: column "a" isn't in the contract (did you mean "y"? valid: y, x)`},
		{"excluded column that the contract hasn't", "{prefix: s3://lake/a/, target: y, features: {exclude: [air]}, contract: {columns: [{name: y, type: number}, {name: air_time, type: number}]}}",
			`data.features.exclude[0]: column "air" isn't in the contract (did you mean "air_time"?`},
		{"included text", "{prefix: s3://lake/a/, target: y, features: {include: [x]}, contract: {columns: [{name: y, type: number}, {name: x, type: text}]}}",
			`data.features.include[0]: "x" is a text in the contract, which no model reads (declare it a category)`},
		{"two words and no yes", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: category}]}}",
			`data.positive: is required, since target "y" is a category in the contract (the value that counts as yes)`},
		{"a yes that isn't allowed", "{prefix: s3://lake/a/, target: y, positive: ja, contract: {columns: [{name: y, type: category, values: [no, yes]}]}}",
			`data.positive: "ja" isn't among the values of "y" in the contract (no, yes)`},
		{"an instant to predict", "{prefix: s3://lake/a/, target: y, contract: {columns: [{name: y, type: timestamp}]}}", `data.target: "y" is a timestamp in the contract`},
		{"time that isn't one", "{prefix: s3://lake/a/, target: y, time: t, contract: {columns: [{name: y, type: integer}, {name: t, type: text}]}}", "t is data.time, so its type is timestamp, not text"},
		{"a weight that is no number", "{prefix: s3://lake/a/, target: y, weight: w, contract: {columns: [{name: y, type: integer}, {name: w, type: category}]}}", "data.contract.columns[1].type: w is data.weight, so its type is number or integer, not category"},
		{"a weight that the contract hasn't", "{prefix: s3://lake/a/, target: y, weight: weigh, contract: {columns: [{name: y, type: integer}, {name: weight, type: number}]}}", `data.weight: column "weigh" isn't in the contract (did you mean "weight"?`},
		{"the target as weight", "{prefix: s3://lake/a/, target: y, weight: y}", `data.weight: "y" is data.target too`},
		{"the weight as feature", "{prefix: s3://lake/a/, target: y, weight: w, features: {include: [w]}}", `data.features.include[0]: "w" is the weight`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("model.yaml", []byte("metadata: {name: churn}\ndata: "+c.data+"\n"))
			var invalid *Invalid
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Problems, 1, "%v", err)
			require.Contains(t, err.Error(), c.want)
		})
	}
}

func TestAllProblemsComeAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := Parse("model.yaml", []byte("metadata: {name: Bad}\ndata:\n  prefix: x\n  targt: y\nsplit: {by: time}\n"))
	require.EqualError(t, err, strings.Join([]string{
		"spec model.yaml is invalid: 5 problems",
		`  line 1: metadata.name: "Bad" isn't a name (2 to 63 lower-case letters, digits and dashes, no dash at the ends)`,
		`  line 2: data.target: is required (the label's column)`,
		`  line 3: data.prefix: "x" isn't an S3 address (s3://bucket/folder/)`,
		`  line 4: data.targt: unknown field "targt" (did you mean "target"? valid: prefix, format, id, time, target, positive, group, weight, features, window, on_redelivery, drop_nulls, contract, expectations, labels)`,
		`  line 5: split.by: time needs data.time`}, "\n"))
}

func TestFilesThatArentASpec(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"empty":          {"", "the file has no content"},
		"comments only":  {"# nothing\n", "the file has no content"},
		"a list":         {"- 1\n", "expected a mapping, found a list"},
		"a text":         {"hello\n", `expected a mapping, found text "hello"`},
		"not YAML":       {"a: [1\nb: 2\n", "not valid YAML"},
		"tabs":           {"a:\n\tb: 1\n", "not valid YAML"},
		"two documents":  {"a: 1\n---\nb: 2\n", "line 3: more than one document in the file"},
		"not UTF-8":      {"a: 1\nb: \xff\n", "line 2: the file isn't valid UTF-8"},
		"a zero byte":    {"a: \x00\n", "line 1: a zero byte at offset 3"},
		"deep brackets":  {strings.Repeat("[", 10000), "nested deeper than 32 levels"},
		"deep dashes":    {strings.Repeat("- ", 10000), "nested deeper than 32 levels"},
		"too long":       {"# " + strings.Repeat("x", maxSource), "1048578 bytes > 1048576"},
		"deep in params": {string(withField("train: {params: {a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}}\n")), "nested deeper than 32 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("model.yaml", []byte(c.src))
			var invalid *Invalid
			require.ErrorAs(t, err, &invalid)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestLoadReadsTheContractOnlyFromItsFolder(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	require.NoError(t, os.WriteFile(outside, []byte("columns: [{name: left, type: integer}]\n"), 0o600))
	dir := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link.yaml")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "ok.yaml"), []byte("columns: [{name: left, type: integer}]\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("columns:\n  - {name: left, type: txt}\n  - {nme: x, type: text}\n"), 0o600))
	load := func(contract string) (*Model, error) {
		path := filepath.Join(dir, "model.yaml")
		src := "metadata: {name: churn}\ndata:\n  prefix: s3://lake/churn/\n  target: left\n  contract: " + contract + "\n"
		require.NoError(t, os.WriteFile(path, []byte(src), 0o600))
		return Load(path)
	}
	m, err := load("sub/ok.yaml")
	require.NoError(t, err)
	require.Equal(t, []ColumnRule{{Name: "left", Type: "integer"}}, m.Data.Contract.Columns)
	for contract, want := range map[string]string{
		"../secret.yaml": `line 5: data.contract: "../secret.yaml" is outside of the spec's folder`,
		outside:          "is outside of the spec's folder",
		"link.yaml":      "can't be read",
		"none.yaml":      "can't be read",
	} {
		_, err := load(contract)
		require.ErrorContains(t, err, want)
	}
	_, err = load("bad.yaml")
	require.ErrorContains(t, err, `bad.yaml line 2: data.contract.columns[0].type: "txt" is unknown (did you mean "text"?`)
	require.ErrorContains(t, err, `bad.yaml line 3: data.contract.columns[1].nme: unknown field "nme" (did you mean "name"?`)

	_, err = Load(filepath.Join(dir, "missing.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestModelTravelsAsJSONUnchanged(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "design.yaml"))
	require.NoError(t, err)
	b, err := json.Marshal(m)
	require.NoError(t, err)
	var back Model
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, m, &back)
	fromJSON, err := Parse("model.json", b)
	require.NoError(t, err, "the JSON of a spec is a spec")
	require.Equal(t, m, fromJSON)
	one, err := m.Digest()
	require.NoError(t, err)
	two, err := back.Digest()
	require.NoError(t, err)
	require.Equal(t, one, two)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"gates":{"auc":{"min":1}}}`), &back), `unknown metric "auc"`)
}

func TestDigestIgnoresHowASpecIsWritten(t *testing.T) {
	digest := func(src string) string {
		m, err := Parse("x", []byte(src))
		require.NoError(t, err)
		d, err := m.Digest()
		require.NoError(t, err)
		return d
	}
	base := digest("metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: left}\n")
	require.Equal(t, base, digest("# why\ndata:\n  target: \"left\"\n  prefix: s3://lake/churn/\nmetadata:\n  name: churn\nsplit: {validation: 10%}\ncanary: {deadline: 3d}\nretrain: {cooldown: 24h}\n"))
	require.NotEqual(t, base, digest("metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: gone}\n"))
}

func TestValidateJudgesAModelThatNobodyParsed(t *testing.T) {
	var invalid *Invalid
	require.True(t, errors.As((&Model{}).Validate(), &invalid))
	require.Greater(t, len(invalid.Problems), 10)
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"one approver with four eyes":  {"approval: {approvers: [\"cli:ana\"]}\n", "nobody may approve a run that cli:ana asked for"},
		"a whole edge approves":        {"approval: {approvers: [\"cli:*\"]}\n", "approval.approvers has cli:*: everyone who reaches the servers that way may approve"},
		"no gate":                      {"", "gates has no metric"},
		"regression":                   {"task: regression\n", "max_loss 0.005 is in units of rmse"},
		"budget without a price":       {"budget: {per_run: 5 USD}\n", "budget.cost_per_hour isn't set"},
		"no trigger":                   {"retrain: {on: []}\n", "only people start runs"},
		"a trigger that nothing pulls": {"monitor: {drift: {every: 0s}}\n", "monitor.drift.every is 0s: retrain.on names drift, which nothing watches"},
		"outcomes that find nothing": {"metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: left, contract: {columns: [{name: left, type: integer}]}}\n",
			"no outcome finds its prediction"},
		"few rows to judge":   {"split: {test: {min_rows: 20}}\n", "split.test.min_rows is 20: a comparison on fewer than 50 rows says little"},
		"all traffic at once": {"canary: {steps: [{weight: 100%}]}\n", "the champion gets no traffic to compare with"},
	} {
		t.Run(name, func(t *testing.T) {
			src := []byte(c.src)
			if !strings.HasPrefix(c.src, "metadata:") {
				src = withField(c.src)
			}
			m, err := Parse("x", src)
			require.NoError(t, err)
			require.Contains(t, strings.Join(m.Warnings(), "\n"), c.want)
		})
	}
}

func TestFirstStepMayBeMirroredAlone(t *testing.T) {
	m, err := Parse("x", withField("serving: {mirror: 50%}\ncanary: {steps: [{weight: 0%, hold: 1h}, {weight: 10%, hold: 1h}]}\n"))
	require.NoError(t, err)
	require.Equal(t, Percent(0.5), m.Serving.Mirror)
	require.Zero(t, m.Canary.Steps[0].Weight)
	require.NoError(t, bySchema(compiled(t), withField("serving: {mirror: 50%}\ncanary: {steps: [{weight: 0%}, {weight: 10%}]}\n")))
}
