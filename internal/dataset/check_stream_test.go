package dataset

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/spec"
)

// drawTable has a column of each kind, with few different values, so that they repeat.
func drawTable(t *rapid.T) *Table {
	rows := rapid.IntRange(1, 120).Draw(t, "rows")
	table := &Table{Rows: rows}
	numbers := rapid.SliceOfN(rapid.SampledFrom([]float64{math.NaN(), 0, math.Copysign(0, -1), 1, -3, 2.5, 1e300}), rows, rows)
	codes := rapid.SliceOfN(rapid.Int32Range(-1, 3), rows, rows)
	times := rapid.SliceOfN(rapid.SampledFrom([]int64{NullTime, 0, 1, 1e18, -1e18}), rows, rows)
	dict := []string{"a", "b", "ä", "long text"}
	table.Columns = []Column{
		{Name: "n", Kind: Number, Floats: numbers.Draw(t, "n")},
		{Name: "m", Kind: Number, Floats: numbers.Draw(t, "m")},
		{Name: "c", Kind: Category, Codes: codes.Draw(t, "c"), Dict: dict},
		{Name: "x", Kind: Text, Codes: codes.Draw(t, "x"), Dict: dict},
		{Name: "at", Kind: Timestamp, Times: times.Draw(t, "at")},
	}
	for row := range rows {
		if rapid.IntRange(0, 9).Draw(t, "malformed") == 0 {
			table.Columns[0].malformed.set(row)
			table.Columns[0].Floats[row] = math.NaN()
		}
	}
	return table
}

// drawContract has rules that such tables break.
func drawContract(t *rapid.T) *spec.Contract {
	bound := func(name string) *float64 {
		if !rapid.Bool().Draw(t, name) {
			return nil
		}
		v := rapid.SampledFrom([]float64{-1, 0, 2}).Draw(t, name+" at")
		return &v
	}
	instant := spec.Instant(1)
	c := &spec.Contract{Strict: rapid.Bool().Draw(t, "strict"), Rows: spec.RowRule{Min: rapid.IntRange(0, 60).Draw(t, "rows")}}
	for _, rule := range []spec.ColumnRule{{Name: "n", Type: "number"}, {Name: "m", Type: "integer"}, {Name: "c", Type: "category", Values: []string{"a", "ä"}},
		{Name: "x", Type: "text", Pattern: "[a-b]|long.*"}, {Name: "at", Type: "timestamp", MinTime: &instant, MaxTime: &instant}, {Name: "gone", Type: "text"}} {
		if !rapid.Bool().Draw(t, "listed") {
			continue
		}
		rule.Nullable, rule.Unique = rapid.Bool().Draw(t, "nullable"), rapid.Bool().Draw(t, "unique")
		rule.Severity = rapid.SampledFrom([]string{"", SeverityWarn, SeverityBlock}).Draw(t, "severity")
		if rule.Type == "number" || rule.Type == "integer" {
			rule.Min, rule.Max = bound("min"), bound("max")
		}
		c.Columns = append(c.Columns, rule)
	}
	return c
}

// cut is rows of a table with dictionaries of their own, as Scan hands them out.
func cut(t *Table, from, to int) Chunk {
	out := &Table{Rows: to - from}
	for _, c := range t.Columns {
		var malformed bitset
		for row := from; row < to; row++ {
			if c.malformed.has(row) {
				malformed.set(row - from)
			}
		}
		c.malformed = malformed
		switch {
		case c.Kind.numeric():
			c.Floats = c.Floats[from:to]
		case c.Kind.coded():
			dict := newDictionary()
			codes := make([]int32, 0, to-from)
			for _, code := range c.Codes[from:to] {
				if code >= 0 {
					code = dict.codeString(c.Dict[code])
				}
				codes = append(codes, code)
			}
			c.Codes, c.Dict = codes, dict.values
		default:
			c.Times = c.Times[from:to]
		}
		out.Columns = append(out.Columns, c)
	}
	return Chunk{Table: out, First: int64(from)}
}

func TestAnyChunksGiveTheReportOfTheWhole(t *testing.T) {
	dir := t.TempDir()
	landed := time.Unix(1e9, 0).Add(240 * time.Hour)
	expectations := spec.Expectations{Freshness: spec.Duration(24 * time.Hour), FreshnessSeverity: SeverityWarn, Suite: &suite.Suite{Name: "s", Expectations: []suite.Expectation{
		{Type: "expect_column_values_to_be_unique", Kwargs: suite.Kwargs{"column": "c"}},
		{Type: "expect_column_median_to_be_between", Kwargs: suite.Kwargs{"column": "n", "max_value": 0.5}, Severity: suite.Info},
	}}}
	rapid.Check(t, func(t *rapid.T) {
		table, contract := drawTable(t), drawContract(t)
		o := CheckOptions{Contract: contract, Expectations: expectations, Landed: landed, Time: "at", ID: "x", TempDir: dir}
		whole := NewChecker(o)
		require.NoError(t, whole.Begin(rulesOf(table)))
		require.NoError(t, whole.Rows(Chunk{Table: table}))
		want, err := whole.Report()
		require.NoError(t, err)

		o.limit = rapid.IntRange(1, 5).Draw(t, "limit")
		k := NewChecker(o)
		defer func() { require.NoError(t, k.Close()) }()
		if rapid.Bool().Draw(t, "begun twice") {
			require.NoError(t, k.Begin([]spec.ColumnRule{{Name: "n", Type: "category"}}))
			require.NoError(t, k.Rows(Chunk{Table: &Table{Rows: 1, Columns: []Column{{Name: "n", Kind: Category, Codes: []int32{-1}}}}}))
		}
		require.NoError(t, k.Begin(rulesOf(table)))
		for from := 0; from < table.Rows; {
			to := min(from+rapid.IntRange(1, 50).Draw(t, "rows of a chunk"), table.Rows)
			require.NoError(t, k.Rows(cut(table, from, to)))
			from = to
		}
		got, err := k.Report()
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "no temporary file stays")
}

func TestCheckIsTheCheckerInMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, contract := drawTable(t), drawContract(t)
		k := NewChecker(CheckOptions{Contract: contract})
		require.NoError(t, k.Begin(rulesOf(table)))
		require.NoError(t, k.Rows(Chunk{Table: table}))
		want, err := k.Report()
		require.NoError(t, err)
		require.Equal(t, want, Check(table, *contract, spec.Expectations{}, time.Time{}, ""))
	})
}

// check holds text to a contract while it is scanned.
func check(t *testing.T, text string, o CheckOptions) *Report {
	t.Helper()
	k := NewChecker(o)
	defer func() { require.NoError(t, k.Close()) }()
	info, report, err := Scan(t.Context(), Bytes([]byte(text)), ReadOptions{Name: "a.csv", Contract: o.Contract, Workers: 1}, k)
	require.NoError(t, err)
	k.Header(info.Header)
	found, err := k.Report()
	require.NoError(t, err)
	report.Merge(found)
	return report
}

func lines(r *Report) []string {
	var out []string
	for _, f := range r.Failures {
		out = append(out, f.Severity+": "+f.String())
	}
	return out
}

func TestSeverityDecidesWhatRefuses(t *testing.T) {
	limit := spec.Instant(epoch.UnixNano())
	contract := &spec.Contract{Rows: spec.RowRule{Min: 5, Severity: SeverityWarn}, Columns: []spec.ColumnRule{
		{Name: "n", Type: "number", Min: ptr(0), Severity: SeverityWarn}, {Name: "at", Type: "timestamp", MinTime: &limit, Severity: SeverityWarn},
		{Name: "gone", Type: "text", Severity: SeverityWarn}}}
	report := check(t, "n,at\n-1,2012-12-31\nx,2013-01-01\n", CheckOptions{Contract: contract})
	require.Equal(t, []string{
		"block: column gone: missing: observed columns n, at, want a column gone",
		`block: column n: type: observed "x", want a finite decimal number (row 2)`,
		`warn: column n: min: observed "-1", want at least 0 (row 1)`,
		`warn: column at: min: observed "2012-12-31T00:00:00Z", want at least 2013-01-01T00:00:00Z (row 1)`,
		"warn: rows: observed 2, want at least 5",
	}, lines(report))
	require.Len(t, report.Warnings(), 3)
	refused, ok := report.Error().(*ContractError) //nolint:errorlint // the type itself is promised
	require.True(t, ok)
	require.Len(t, refused.Failures, 2)
}

func TestRepeatedIDsAreAWarning(t *testing.T) {
	const text = "id,n\na,1\nb,2\na,3\n,4\n,5\na,6\n"
	report := check(t, text, CheckOptions{ID: "id"})
	require.Equal(t, []string{`warn: column id: repeated_id: observed "a", want each id once: of rows with one id the first is trained on (2 rows: 3, 6)`}, lines(report))
	require.NoError(t, report.Error())
	contract := columns(spec.ColumnRule{Name: "id", Type: "text", Nullable: true, Unique: true}, spec.ColumnRule{Name: "n", Type: "number"})
	report = check(t, text, CheckOptions{ID: "id", Contract: contract})
	require.Equal(t, []string{`block: column id: unique: observed "a", want each value once (2 rows: 3, 6)`}, lines(report), "said once")
}

func TestASuiteSeesTheFilesColumns(t *testing.T) {
	s := &suite.Suite{Name: "s", Expectations: []suite.Expectation{
		{Type: "expect_table_columns_to_match_ordered_list", Kwargs: suite.Kwargs{"column_list": []any{"extra", "n"}}},
		{Type: "expect_column_to_exist", Kwargs: suite.Kwargs{"column": "extra"}},
		{Type: "expect_table_column_count_to_equal", Kwargs: suite.Kwargs{"value": 3.0}},
		{Type: "expect_column_values_to_be_between", Kwargs: suite.Kwargs{"column": "n", "max_value": 1.0, "mostly": 0.9}, Severity: suite.Warning},
	}}
	report := check(t, "extra,n\n1,1\n2,2\n", CheckOptions{Contract: columns(spec.ColumnRule{Name: "n", Type: "number"}), Suite: s})
	require.Equal(t, []string{
		`block: expect_table_column_count_to_equal: observed 2, want table column count to equal {"value":3}`,
		`warn: column n: expect_column_values_to_be_between: observed 1 unexpected (50 %) of 2 values, the first 2, want column values to be between {"max_value":1,"mostly":0.9} (row 2)`,
	}, lines(report))
	require.False(t, report.Suite.Success)
	require.Equal(t, suite.Statistics{Evaluated: 4, Successful: 2, Unsuccessful: 2, SuccessPercent: 50}, report.Suite.Statistics)
}

func TestInstantsAreReadAsCellsAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`20[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,10})?(Z|[+-][0-2][0-9]:[0-6][0-9])?)?`),
			rapid.StringMatching(`[0-9T:.+Z-]{8,30}`)).Draw(t, "text")
		want, ok := parseTimestamp([]byte(text))
		got, err := spec.ParseInstant(text)
		if ok != (err == nil) || (ok && int64(got) != want) {
			t.Fatalf("%q: a cell is %d, %v; an instant is %d, %v", text, want, ok, got, err)
		}
	})
}

func TestCheckedColumnsComeInAnyOrder(t *testing.T) {
	contract := columns(spec.ColumnRule{Name: "b", Type: "integer", Unique: true}, spec.ColumnRule{Name: "a", Type: "number", Max: ptr(1)})
	report := check(t, "a,b\n2,1\n1,1\n", CheckOptions{Contract: contract})
	require.Equal(t, []string{RuleUnique, RuleMax}, []string{report.Failures[0].Rule, report.Failures[1].Rule})
	require.True(t, slices.Equal([]int64{2}, report.Failures[0].First))
}

func TestAReportInTheShapeOfGreatExpectations(t *testing.T) {
	o := CheckOptions{Time: "at", Landed: epoch.Add(240 * time.Hour), Expectations: spec.Expectations{Freshness: spec.Duration(24 * time.Hour), FreshnessSeverity: SeverityWarn},
		Contract: &spec.Contract{Strict: true, Rows: spec.RowRule{Min: 1}, Columns: []spec.ColumnRule{
			{Name: "n", Type: "number", Min: ptr(0), Unique: true, Severity: SeverityWarn}, {Name: "at", Type: "timestamp", Nullable: true}, {Name: "c", Type: "category", Optional: true, Values: []string{"x"}}}}}
	report := check(t, "n,at,extra\n-1,2013-01-01,1\n,,2\n-2,,3\n", o)
	got := report.SuiteResult(o)
	require.False(t, got.Success)
	var failed []string
	for _, outcome := range got.Results {
		_, problems := suite.Expectation{Type: outcome.Config.Type, Kwargs: outcome.Config.Kwargs, Severity: outcome.Config.Severity}.Rule()
		require.Empty(t, problems, "an expectation that Great Expectations would take")
		if !outcome.Success {
			failed = append(failed, outcome.Config.Severity+" "+outcome.Config.Type)
		}
	}
	require.Equal(t, []string{"warning expect_column_values_to_not_be_null", "warning expect_column_values_to_be_between",
		"critical expect_table_columns_to_match_set", "warning expect_column_max_to_be_between"}, failed)
	require.Equal(t, 13, got.Statistics.Evaluated)
	raw, err := json.Marshal(got.Results[3])
	require.NoError(t, err)
	require.JSONEq(t, `{"success": false, "expectation_config": {"type": "expect_column_values_to_be_between", "kwargs": {"column": "n", "min_value": 0}, "meta": {}, "severity": "warning"},
		"result": {"element_count": 3, "unexpected_count": 2, "unexpected_percent": 66.66666666666667, "partial_unexpected_list": ["\"-1\""], "partial_unexpected_index_list": [0, 2]},
		"exception_info": {"raised_exception": false, "exception_message": null, "exception_traceback": null}, "meta": {}}`, string(raw))
}

func TestWhatRefusesAFileIsAmongTheResultsWhateverAskedForIt(t *testing.T) {
	missing := Failure{Column: "late", Rule: RuleMissing, Observed: "columns a", Limit: "a column late, since data.target names it", Severity: SeverityBlock}
	repeated := Failure{Column: "a", Rule: RuleRepeatedID, Observed: "x", Limit: "each id once", Rows: 1, Severity: SeverityWarn}
	got := (&Report{Rows: 3, Failures: []Failure{missing, repeated}}).SuiteResult(CheckOptions{})
	require.False(t, got.Success, "no rule of a contract or a suite asked for the target")
	require.Len(t, got.Results, 1)
	require.Equal(t, missing.String(), *got.Results[0].Exception.Message)

	held := &spec.Contract{Columns: []spec.ColumnRule{{Name: "late", Type: "integer"}}}
	got = (&Report{Rows: 3, Failures: []Failure{missing}}).SuiteResult(CheckOptions{Contract: held})
	require.Equal(t, 1, got.Statistics.Unsuccessful, "what a rule asked for is told once")
}
