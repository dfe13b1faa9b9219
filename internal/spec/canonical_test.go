package spec

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

func TestCanonicalIsReadable(t *testing.T) {
	m, err := Load(filepath.Join("testdata", "design.yaml"))
	require.NoError(t, err)
	b, err := m.Canonical()
	require.NoError(t, err)
	for _, line := range []string{"apiVersion: leanloop/v1\n", "  owner: \"@ana\"\n", "    last: 365d\n", "  validation: 0.1\n",
		"    memory: 4Gi\n", "    alert_after: \"2 of 3\"\n", "    - slack:U012AB\n", "  per_run: \"20 USD\"\n", "    eta: 0.1\n"} {
		require.Contains(t, string(b), line)
	}
}

// drawText has the texts that YAML would read as something else, and any other.
func drawText(t *rapid.T, name string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"yes", "on", "null", "~", "1", "0x1f", "1e3", ".5", "2013-01-01", "- a", "a: b", "a:b", "#x", "x #y",
			" a", "a ", "\ta", "a\nb", "a\n", "'", "\"", "\\", "{", "[", "]", "&a", "*a", "!a", "%a", "@a", "`a", "|", ">", "?", ",", "é", "\u2028",
			"\u0085", "\u00a0", "\ufeffx", "\U0001f600", "\x7f", "\x01", "True", "NaN", ".inf", "=", "<<", "0o7", "1_000", "12:30", "---", "..."}),
		rapid.StringN(1, 12, -1),
	).Draw(t, name)
}

func drawParam(t *rapid.T, depth int) any {
	kinds := 3
	if depth > 0 {
		kinds = 5
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return drawText(t, "text")
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.OneOf(rapid.Float64(), rapid.Float64Range(-10, 10), rapid.Map(rapid.IntRange(-maxExact, maxExact), func(i int) float64 { return float64(i) })).Draw(t, "number")
	case 3:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			out = append(out, drawParam(t, depth-1))
		}
		return out
	}
	out := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		out[drawText(t, "key")] = drawParam(t, depth-1)
	}
	return out
}

// drawSuite has expectations with all forms of arguments.
func drawSuite(t *rapid.T) *suite.Suite {
	low := rapid.Float64Range(-1e9, 1e9).Draw(t, "bound")
	return &suite.Suite{Name: drawText(t, "suite's name"), Expectations: []suite.Expectation{
		{Type: "expect_column_values_to_be_in_set", Severity: suite.Warning,
			Kwargs: suite.Kwargs{"column": "target", "value_set": []any{drawText(t, "member"), 1.0, true, nil}, "mostly": rapid.Float64Range(0, 1).Draw(t, "mostly")}},
		{Type: "expect_column_quantile_values_to_be_between", Kwargs: suite.Kwargs{"column": "x", "allow_relative_error": "linear",
			"quantile_ranges": map[string]any{"quantiles": []any{0.0, 0.5}, "value_ranges": []any{[]any{nil, low}, []any{low, nil}}}}},
		{Type: "expect_table_row_count_to_be_between"},
	}}
}

// drawModel is a valid spec with most of its fields at random.
func drawModel(t *rapid.T) *Model {
	share := func(name string) Percent { return Percent(rapid.Float64Range(0.001, 0.4).Draw(t, name)) }
	duration := func(name string) Duration { return Duration(rapid.Int64Range(1, 1<<50).Draw(t, name)) }
	m := Defaults()
	m.Metadata = Metadata{Name: rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,20}[a-z0-9]`).Draw(t, "name"), Owner: drawText(t, "owner")}
	m.Data.Prefix, m.Data.Target, m.Data.ID, m.Data.Time = "s3://lake/a/", "target", "id", "time"
	m.Data.Format = rapid.SampledFrom(append(Formats(), "")).Draw(t, "format")
	m.Data.Positive = drawText(t, "positive")
	m.Data.Features.Exclude = rapid.SliceOfNDistinct(rapid.Just("x"), 0, 1, func(s string) string { return s }).Draw(t, "exclude")
	if len(m.Data.Features.Exclude) == 0 {
		m.Data.Features.Exclude = nil
	}
	m.Data.Window.Last = duration("last")
	m.Split.Validation, m.Split.Test.Newest, m.Split.Seed = share("validation"), share("test"), rapid.Uint64().Draw(t, "seed")
	m.Train.Params = map[string]any{}
	for range rapid.IntRange(1, 4).Draw(t, "params") {
		m.Train.Params[strings.Map(func(r rune) rune {
			if r == ' ' || r == '=' || r == 0 {
				return '_'
			}
			return r
		}, drawText(t, "param"))] = drawParam(t, 2)
	}
	if rapid.Bool().Draw(t, "command") {
		m.Train.Builtin, m.Train.Command = "", []string{"python3", strings.ReplaceAll(drawText(t, "argument"), "\x00", "0")} // no argument of a program has one
		m.Train.Resources.Memory = Bytes(rapid.Int64Min(0).Draw(t, "memory"))
		m.Train.Resources.Disk = rapid.SampledFrom([]Bytes{0, 1 << 20, 3 << 30}).Draw(t, "disk")
		if m.Train.Resources.GPUs = rapid.IntRange(0, MaxGPUs).Draw(t, "gpus"); m.Train.Resources.GPUs > 0 {
			m.Train.Resources.GPUMemory = Bytes(rapid.Int64Range(0, 288<<30).Draw(t, "gpu memory"))
		}
	}
	if rapid.Bool().Draw(t, "search") {
		m.Train.Search = drawSearch(t)
	}
	m.Train.Resources.Labels = rapid.SampledFrom([][]string{nil, {"spot"}, {"eu-1", "a100"}}).Draw(t, "labels")
	m.Train.Priority = rapid.IntRange(0, LowestPriority).Draw(t, "priority")
	low := rapid.Float64Range(0, 1).Draw(t, "gate")
	m.Gates.Metrics = map[string]Bound{"f1": {Min: &low}, "log_loss": {Max: &low}}
	m.Approval.Approvers = rapid.SampledFrom([][]string{{}, {"cli:ana"}, {"slack:U1", "cli:bo"}}).Draw(t, "approvers")
	m.Approval.FourEyes = rapid.Bool().Draw(t, "four eyes")
	m.Serving.Mirror = Percent(rapid.SampledFrom([]float64{0, 0.25, 1}).Draw(t, "mirror"))
	m.Serving.UnknownCategories = rapid.SampledFrom([]string{"", UnknownMissing, UnknownRefuse}).Draw(t, "unknown")
	if rapid.Bool().Draw(t, "unknown of") {
		m.Serving.UnknownCategoriesOf = map[string]string{drawText(t, "category"): UnknownRefuse, "other": UnknownMissing}
	}
	m.Canary.Steps = []Step{{Weight: share("weight"), Hold: duration("hold"), MinRequests: 1}}
	m.Canary.Deadline = m.Canary.Steps[0].Hold + m.Canary.Interval + 1
	if len(m.Train.Command) > 0 && rapid.Bool().Draw(t, "setup") {
		m.Train.Setup = Setup{Command: []string{"npm", "ci"}, Files: []string{"package.json", "vendor/left pad"}, Timeout: Duration(rapid.Int64Range(1, int64(maxSetupTimeout)).Draw(t, "setup timeout"))}
	}
	if len(m.Train.Command) > 0 && rapid.Bool().Draw(t, "predict") {
		m.Predict = Predict{Command: []string{"python3", "predict.py"}, Timeout: Duration(rapid.Int64Range(1, int64(maxPredictTimeout)).Draw(t, "predict timeout"))}
		m.Canary.Steps, m.Canary.Deadline = []Step{}, m.Canary.Interval+1
	}
	if m.Canary.OnFailure = rapid.SampledFrom([]string{"rollback", "pause", "ask"}).Draw(t, "on failure"); m.Canary.OnFailure == "ask" {
		m.Canary.AnswerWithin = m.Canary.Interval
	}
	m.Canary.Limits = CanaryLimits{ErrorRate: Percent(rapid.SampledFrom([]float64{0, 0.02}).Draw(t, "error limit")), LatencyP99MS: rapid.SampledFrom([]float64{0, 50}).Draw(t, "p99 limit")}
	if rapid.Bool().Draw(t, "canary quality") {
		m.Canary.Quality = &CanaryQuality{MaxLoss: 0.5, MinRows: 50, Required: rapid.Bool().Draw(t, "required")}
		m.Canary.Deadline += m.Data.Labels.Delay
	}
	m.Monitor.Drift.AlertAfter = KOfN{K: 1, N: rapid.IntRange(1, 100).Draw(t, "n")}
	m.Monitor.Drift.MaxShare = Percent(rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "max share"))
	m.Monitor.Drift.Correction = rapid.SampledFrom([]string{"", CorrectionBH}).Draw(t, "correction")
	if rapid.Bool().Draw(t, "methods") {
		m.Monitor.Drift.Methods = map[string]string{drawText(t, "compared"): rapid.SampledFrom(DriftMethods()).Draw(t, "method"), "time": "ks"}
	}
	m.Budget = Budget{PerRun: Money{rapid.Float64Range(0, 1e6).Draw(t, "budget"), "USD"}}
	if rapid.Bool().Draw(t, "contract") {
		m.Data.Contract = &Contract{Columns: []ColumnRule{{Name: "id", Type: "text"}, {Name: "time", Type: "timestamp"},
			{Name: "target", Type: "category", Values: []string{drawText(t, "value")}, Pattern: "a|b"}, {Name: "x", Type: "boolean"},
			{Name: drawText(t, "column") + "y", Type: "number", Min: &low}}}
		m.Data.Positive = m.Data.Contract.Columns[2].Values[0]
		oldest, newest := Instant(rapid.Int64Range(-1<<60, 0).Draw(t, "oldest")), Instant(rapid.Int64Range(0, 1<<60).Draw(t, "newest"))
		m.Data.Contract.Columns[1].MinTime, m.Data.Contract.Columns[1].MaxTime = &oldest, &newest
		m.Data.Contract.Columns[0].Severity = rapid.SampledFrom([]string{"", SeverityBlock, SeverityWarn}).Draw(t, "severity")
		m.Data.Contract.Rows.Severity = SeverityWarn
	}
	if rapid.Bool().Draw(t, "suite") {
		m.Data.Expectations = Expectations{Freshness: duration("freshness"), FreshnessSeverity: SeverityWarn, Suite: drawSuite(t)}
	}
	m.complete()
	return m
}

func TestParseReadsWhatCanonicalWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		b, err := m.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("canonical", b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		again, err := back.Canonical()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%v\n%s\n%s", err, b, again)
		}
		require.Equal(t, m, back)

		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var travelled Model
		if err := json.Unmarshal(raw, &travelled); err != nil {
			t.Fatal(err)
		}
		require.Equal(t, m, &travelled)
	})
}

// Whatever is read either is an *Invalid or has a canonical form that reads back to the same bytes.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"design.yaml", "minimal.yaml", "contract.yaml"} {
		f.Add(read(f, name))
	}
	f.Add([]byte("metadata: {name: aa}\ndata: {prefix: 's3://abc/', target: y}\ntrain: {params: {a: [1, {b: .5}]}}\n"))
	f.Add([]byte("metadata: {name: aa}\ndata: {prefix: 's3://abc/', target: y}\ntrain: {search: {space: {a: {log: [.1, 1], when: {b: [x, 2]}}, b: {choice: [x, 2]}}}}\n"))
	f.Add([]byte("a: &x [*x]\n? [b]\n: !!str c\n<<: {d: |\n  e\n}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		start := time.Now()
		m, err := Parse("fuzz", src)
		if spent := time.Since(start); spent > 5*time.Second {
			t.Fatalf("%s for %d bytes", spent, len(src))
		}
		if err != nil {
			if m != nil {
				t.Fatal("a model and an error")
			}
			return
		}
		if m.Data.Contract != nil && m.Data.Contract.File != "" {
			return
		}
		b, err := m.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("canonical", b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		again, err := back.Canonical()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%v\n%s\n%s", err, b, again)
		}
	})
}
