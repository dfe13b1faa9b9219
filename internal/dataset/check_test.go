package dataset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

var epoch = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)

func ptr(v float64) *float64 { return &v }

func TestCheckNamesTheRuleTheValueAndTheRows(t *testing.T) {
	const text = "id,delay,carrier,when,flag\nA1,5,UA,2013-01-01,1\nA2,-40,AA,2013-01-03,0\nA1,,XX,2013-01-02,1\nZZ,900,,2013-01-02,1\n"
	tests := map[string]struct {
		rule spec.ColumnRule
		want []Failure
	}{
		"everything as agreed": {rule: spec.ColumnRule{Name: "delay", Type: "number", Nullable: true, Min: ptr(-40), Max: ptr(900)}},
		"below min": {rule: spec.ColumnRule{Name: "delay", Type: "number", Nullable: true, Min: ptr(-30)},
			want: []Failure{{Column: "delay", Rule: RuleMin, Observed: `"-40"`, Limit: "at least -30", Rows: 1, First: []int64{2}}}},
		"above max, and null": {rule: spec.ColumnRule{Name: "delay", Type: "integer", Max: ptr(60.5)},
			want: []Failure{
				{Column: "delay", Rule: RuleNull, Observed: "null", Limit: "a value in every row", Rows: 1, First: []int64{3}},
				{Column: "delay", Rule: RuleMax, Observed: `"900"`, Limit: "at most 60.5", Rows: 1, First: []int64{4}}}},
		"an unknown category": {rule: spec.ColumnRule{Name: "carrier", Type: "category", Nullable: true, Values: []string{"UA", "AA"}},
			want: []Failure{{Column: "carrier", Rule: RuleValues, Observed: `"XX"`, Limit: "one of UA, AA", Rows: 1, First: []int64{3}}}},
		"a pattern matches the whole cell": {rule: spec.ColumnRule{Name: "id", Type: "text", Pattern: "A|A[0-9]"},
			want: []Failure{{Column: "id", Rule: RulePattern, Observed: `"ZZ"`, Limit: "text that matches A|A[0-9]", Rows: 1, First: []int64{4}}}},
		"a repeated value": {rule: spec.ColumnRule{Name: "id", Type: "text", Unique: true},
			want: []Failure{{Column: "id", Rule: RuleUnique, Observed: `"A1"`, Limit: "each value once", Rows: 1, First: []int64{3}}}},
		"nulls repeat freely": {rule: spec.ColumnRule{Name: "delay", Type: "number", Nullable: true, Unique: true}},
		"zeros do not": {rule: spec.ColumnRule{Name: "flag", Type: "integer", Unique: true},
			want: []Failure{{Column: "flag", Rule: RuleUnique, Observed: `"1"`, Limit: "each value once", Rows: 2, First: []int64{3, 4}}}},
		"a column of another type": {rule: spec.ColumnRule{Name: "carrier", Type: "number"},
			want: []Failure{{Column: "carrier", Rule: RuleType, Observed: "category", Limit: "a finite decimal number", Rows: 4}}},
		"a missing column": {rule: spec.ColumnRule{Name: "origin", Type: "category"},
			want: []Failure{{Column: "origin", Rule: RuleMissing, Observed: "columns id, delay, carrier, when, flag", Limit: "a column origin"}}},
		"a missing optional column": {rule: spec.ColumnRule{Name: "origin", Type: "category", Optional: true}},
		"a pattern that isn't one": {rule: spec.ColumnRule{Name: "id", Type: "text", Pattern: "("},
			want: []Failure{{Column: "id", Rule: RuleContract, Observed: "error parsing regexp: missing closing ): `\\A(?:()\\z`", Limit: "an RE2 pattern"}}},
		"an unknown type": {rule: spec.ColumnRule{Name: "id", Type: "string"},
			want: []Failure{{Column: "id", Rule: RuleContract, Observed: `type "string": unknown, want one of number, integer, category, text, boolean, timestamp`, Limit: "a contract that can be held"}}},
		"a range of names": {rule: spec.ColumnRule{Name: "id", Type: "text", Min: ptr(1)},
			want: []Failure{{Column: "id", Rule: RuleContract, Observed: "min or max for a category", Limit: "a number, integer or boolean"}}},
	}
	table := mustRead(t, text)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for i := range test.want {
				test.want[i].Severity = SeverityBlock
			}
			report := Check(table, spec.Contract{Columns: []spec.ColumnRule{test.rule}}, spec.Expectations{}, epoch, "")
			require.Equal(t, test.want, report.Failures)
			require.Equal(t, len(test.want) == 0, report.Error() == nil)
		})
	}
}

func TestCheckOfTheFileAsAWhole(t *testing.T) {
	table := mustRead(t, "id,when\nA,2013-01-01\nB,2013-01-03\n")
	all := []spec.ColumnRule{{Name: "id", Type: "text"}}
	day := spec.Duration(24 * time.Hour)
	landed := time.Date(2013, 1, 10, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		contract spec.Contract
		expect   spec.Expectations
		want     []string
	}{
		"as agreed":     {spec.Contract{Columns: all, Rows: spec.RowRule{Min: 2, Max: 2}}, spec.Expectations{Freshness: 8 * day}, nil},
		"too few rows":  {spec.Contract{Columns: all, Rows: spec.RowRule{Min: 3}}, spec.Expectations{}, []string{"rows: observed 2, want at least 3"}},
		"too many rows": {spec.Contract{Columns: all, Rows: spec.RowRule{Max: 1}}, spec.Expectations{}, []string{"rows: observed 2, want at most 1"}},
		"strict":        {spec.Contract{Columns: all, Strict: true}, spec.Expectations{}, []string{"column when: unexpected: observed a column when, want only the contract's columns, since it is strict"}},
		"stale": {spec.Contract{Columns: all}, spec.Expectations{Freshness: 7 * day},
			[]string{"column when: freshness: observed the newest at 2013-01-03T00:00:00Z, 7.5d older, want an event at most 7d older than 2013-01-10T12:00:00Z"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range Check(table, test.contract, test.expect, landed, "when").Failures {
				got = append(got, f.String())
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestCheckDoesNotCountAMalformedCellTwice(t *testing.T) {
	contract := columns(spec.ColumnRule{Name: "a", Type: "number"})
	table, _, report, err := read(t, "a\n1\nx\n", ReadOptions{Contract: contract})
	require.NoError(t, err)
	require.Len(t, report.Failures, 1)
	require.Empty(t, Check(table, *contract, spec.Expectations{}, epoch, "").Failures)
}

func TestMergeKeepsARuleOnce(t *testing.T) {
	contract := columns(spec.ColumnRule{Name: "a", Type: "number"}, spec.ColumnRule{Name: "b", Type: "number"})
	table, _, report, err := read(t, "a\n1\n", ReadOptions{Contract: contract})
	require.NoError(t, err)
	report.Merge(Check(table, *contract, spec.Expectations{}, epoch, ""))
	require.Len(t, report.Failures, 1)
	require.Equal(t, RuleMissing, report.Failures[0].Rule)
}

func TestAnInferredContractHoldsItsOwnFileAndPinsTypes(t *testing.T) {
	table := mustRead(t, "n,i,c,b,t\n1.5,1,x,true,2013-01-01\n,,,,\n")
	contract := InferContract(table)
	require.Empty(t, Check(table, contract, spec.Expectations{}, epoch, "").Failures)
	var types []string
	for _, c := range contract.Columns {
		types = append(types, c.Type)
		require.True(t, c.Nullable)
	}
	require.Equal(t, []string{"number", "number", "category", "boolean", "timestamp"}, types)

	next, info, report, err := read(t, "t,c,b,n,i,new\n2013-02-01,y,,2,1.5,7\n", ReadOptions{Contract: &contract})
	require.NoError(t, err)
	require.NoError(t, report.Error(), "a decimal where the first file had whole numbers, and a new column")
	require.Equal(t, []string{"new"}, info.Ignored)
	both, err := Concat(table, next)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "-", "1.5"}, texts(t, both, "i"))
}

func TestDescribeIsWhatTheFileShows(t *testing.T) {
	table := mustRead(t, "key,at,late,label,carrier,flag,gust\na1,2013-01-01,0,1.0,UA,true,\na2,2013-01-02,1,,AA,false,3.5\na3,2013-01-02,1,0.0,UA,true,4\n")
	low, high, gust, most := 0.0, 1.0, 3.5, 4.0
	require.Equal(t, []spec.ColumnRule{
		{Name: "key", Type: "category", Unique: true, Values: []string{"a1", "a2", "a3"}},
		{Name: "at", Type: "timestamp"},
		{Name: "late", Type: "integer", Min: &low, Max: &high},
		{Name: "label", Type: "integer", Nullable: true, Min: &low, Max: &high},
		{Name: "carrier", Type: "category", Values: []string{"AA", "UA"}},
		{Name: "flag", Type: "boolean"},
		{Name: "gust", Type: "number", Nullable: true, Min: &gust, Max: &most},
	}, Describe(table))
}
