package report

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/spec"
)

func pointer(x float64) *float64 { return &x }

func TestADriftedColumnIsToldInASentence(t *testing.T) {
	for _, c := range []struct {
		name   string
		column drift.ColumnResult
		want   string
		chip   string
	}{
		{"distance", drift.ColumnResult{Method: drift.MethodWasserstein, Statistic: 0.314159, Threshold: 0.1, Drifted: true},
			"Values moved by 0.3142 standard deviations on average (limit 0.1).", "Drifted"},
		{"approximate", drift.ColumnResult{Method: drift.MethodWasserstein, Statistic: 0.05, Threshold: 0.1, Error: pointer(0.002)},
			"Values moved by 0.05 ± 0.002 standard deviations on average (limit 0.1).", "Stable"},
		{"p-value", drift.ColumnResult{Method: drift.MethodKS, Statistic: 0.2, PValue: pointer(1e-9), Threshold: 0.05, Drifted: true},
			"The cumulative shares differ by at most 20.0\u00a0%, which is more than chance explains (p <\u00a00.0001, limit 0.05).", "Drifted"},
		{"corrected", drift.ColumnResult{Method: drift.MethodChiSquare, Statistic: 9, PValue: pointer(0.01), PAdjusted: pointer(0.08), Threshold: 0.05},
			"The shares of the values differ no more than chance explains (p = 0.08, limit 0.05, adjusted for the number of columns).", "Stable"},
		{"gaps", drift.ColumnResult{Missing: drift.MissingTest{Drifted: true}, MissingReference: 0, MissingCurrent: 0.031},
			"Missing values went from 0\u00a0% to 3.1\u00a0% of the rows.", "Gaps"},
		{"gaps and values", drift.ColumnResult{Method: drift.MethodJS, Statistic: 0.2, Threshold: 0.1, Drifted: true, Missing: drift.MissingTest{Drifted: true}, MissingCurrent: 0.5},
			"Missing values went from 0\u00a0% to 50.0\u00a0% of the rows. The distributions are 0.2 apart, of at most 0.83 (limit 0.1).", "Drifted, and gaps"},
		{"chance", drift.ColumnResult{Method: drift.MethodPSI, Statistic: 0.5, Threshold: 0.2, Drifted: true, ByChance: true, StatisticByChance: true},
			"The stability index is 0.5 (limit 0.2). In so few rows two samples of the same data often differ as much: it isn't counted.", "Chance"},
		{"no method", drift.ColumnResult{Problem: "no current values"}, "Note: no current values.", "Not compared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, strings.Join(DriftPage{}.say(c.column), " "))
			assert.Equal(t, c.chip, chipOf(c.column).Text)
		})
	}
}

func TestASentenceSaysWhereValuesMoved(t *testing.T) {
	side := func(c profile.Column) *profile.Profile {
		return &profile.Profile{Version: profile.Version, Columns: []profile.Column{c}}
	}
	page := DriftPage{
		Reference: side(profile.Column{Name: "x", Kind: "number", Count: 1, Numbers: &profile.Numbers{Mean: -1.5}}),
		Current:   side(profile.Column{Name: "x", Kind: "number", Count: 1, Numbers: &profile.Numbers{Mean: 2}}),
	}
	got := page.say(drift.ColumnResult{Name: "x", Type: drift.Numeric, Method: drift.MethodWasserstein})
	assert.Contains(t, got[0], "The average went from \u20111.5 to 2.")
}

// A distance of numbers that hardly spread is divided by 0.001, and not by their standard deviation.
func TestASentenceDoesNotCallAThousandthAStandardDeviation(t *testing.T) {
	column := drift.ColumnResult{Name: "x", Method: drift.MethodWasserstein, Statistic: 1100, Threshold: 0.1, Drifted: true}
	narrow := &profile.Column{Kind: "number", Count: 2, Numbers: &profile.Numbers{Std: 1e-5}}
	assert.Equal(t, "Values moved by 1100 times 0.001 on average (limit 0.1): they spread by less than that, 1e-5.", sayTest(column, narrow))
	narrow.Numbers.Std = 0.001
	assert.Contains(t, sayTest(column, narrow), "standard deviations")
}

func TestAColumnOfOneValueWithGapsIsNotTheSameInEveryRow(t *testing.T) {
	v := profileVerdict(&profile.Profile{Rows: 100, Columns: []profile.Column{{Name: "a", Count: 2, Nulls: 98, Distinct: 1}, {Name: "b", Count: 1, Nulls: 99, Distinct: 1}}})
	assert.Equal(t, []words{{Text: "Never another value: “a”."}, {Text: "Missing in more than a fifth of the rows: “a”, “b”."}}, v.Say)
}

func TestColumnsThatASideLacksAreCountedWhereTheyAreTooMany(t *testing.T) {
	names := make([]string, maxListed)
	rows, left := DriftPage{Result: drift.Result{AbsentCurrent: names, AbsentReference: names[:7]}}.absent()
	assert.Len(t, rows, maxListed)
	assert.Equal(t, 7, left)
	var v driftView
	v.sayMore(0, 3, left)
	assert.Equal(t, "7 more columns that a side lacks aren't listed here. 3 more columns, less far from their limits than those listed before them, aren't listed here.", v.More)
}

func TestAMeterReachesItsStrokeAtTheLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		column drift.ColumnResult
		length string
	}{
		{"half of a distance", drift.ColumnResult{Method: drift.MethodJS, Statistic: 0.05, Threshold: 0.1}, "16.7%"},
		{"a distance at its limit", drift.ColumnResult{Method: drift.MethodJS, Statistic: 0.1, Threshold: 0.1}, "33.3%"},
		{"far beyond", drift.ColumnResult{Method: drift.MethodJS, Statistic: 70, Threshold: 0.1}, "100%"},
		{"p = 1", drift.ColumnResult{Method: drift.MethodKS, PValue: pointer(1), Threshold: 0.05}, "0%"},
		{"p at its limit", drift.ColumnResult{Method: drift.MethodKS, PValue: pointer(0.05), Threshold: 0.05}, "33.3%"},
		{"p of 0", drift.ColumnResult{Method: drift.MethodKS, PValue: pointer(0), Threshold: 0.05}, "100%"},
		{"the adjusted p decides", drift.ColumnResult{Method: drift.MethodKS, PValue: pointer(0), PAdjusted: pointer(0.05), Threshold: 0.05}, "33.3%"},
	} {
		assert.Equal(t, c.length, testOf(c.column).Meter, c.name)
	}
}

func TestTheVerdictOnAWindow(t *testing.T) {
	alert := drift.Result{Alert: true, Drifted: 1, Features: 3, Columns: []drift.ColumnResult{{Name: "a", Method: drift.MethodJS, Drifted: true}}}
	after := spec.KOfN{K: 2, N: 3}
	for _, c := range []struct {
		name  string
		page  DriftPage
		state string
		head  string
	}{
		{"alert", DriftPage{Result: alert}, bad, "Alert: 1 of 3 columns drifted"},
		{"alert that people hear of", DriftPage{Result: alert, History: []bool{true, false, true}, After: after}, bad, "Alert: 1 of 3 columns drifted"},
		{"alert that people don't hear of yet", DriftPage{Result: alert, History: []bool{false, false, true}, After: after}, warn, "Alert: 1 of 3 columns drifted"},
		{"psi alone", DriftPage{Result: drift.Result{Alert: true, Features: 3, MaxPSI: 1, MaxPSIColumn: "a"}}, bad, "Alert: a column's PSI is over its limit"},
		{"drift without alert", DriftPage{Result: drift.Result{Drifted: 1, Features: 3}}, warn, "No alert: 1 of 3 columns drifted"},
		{"nothing", DriftPage{Result: drift.Result{Features: 3}}, good, "No drift: no column moved beyond its limit"},
		{"too few rows", DriftPage{Result: drift.Result{Inconclusive: true}}, unknown, "Too few rows to tell"},
		{"chance", DriftPage{Result: drift.Result{Features: 1, Columns: []drift.ColumnResult{{Name: "a", Method: drift.MethodJS, Drifted: true, ByChance: true, StatisticByChance: true}}}},
			good, "No drift: no column moved further than chance explains"},
		{"nothing that can be compared", DriftPage{Result: drift.Result{Features: 1, Columns: []drift.ColumnResult{{Name: "a"}}}}, unknown, "No column could be compared"},
		{"what isn't counted", DriftPage{Result: drift.Result{Features: 1, Columns: []drift.ColumnResult{{Name: "a", Method: drift.MethodJS}},
			Extra: []drift.ColumnResult{{Name: "w", Method: drift.MethodJS, Drifted: true}}}}, good, "No drift among the columns that count"},
		{"a column that can't be compared", DriftPage{Result: drift.Result{Features: 2, Columns: []drift.ColumnResult{{Name: "a"}, {Name: "b", Method: drift.MethodJS}}}},
			warn, "No drift: no column moved beyond its limit"},
	} {
		got := c.page.verdict()
		assert.Equal(t, c.state, got.State, c.name)
		assert.Equal(t, c.head, got.Head, c.name)
		assert.NotEmpty(t, got.Next, c.name)
	}
}

func TestTheVerdictOnAFile(t *testing.T) {
	block, note := dataset.Failure{Rule: dataset.RuleNull, Severity: dataset.SeverityBlock}, dataset.Failure{Rule: dataset.RuleMax, Severity: "warn"}
	checked := func(failures ...dataset.Failure) ValidationPage {
		return ValidationPage{Contract: &spec.Contract{}, Report: &dataset.Report{Failures: failures}}
	}
	for _, c := range []struct {
		name  string
		page  ValidationPage
		state string
		head  string
	}{
		{"no table", ValidationPage{Err: errors.New("a.csv: line 3: quotes")}, bad, "Refused: this is no table that can be read"},
		{"one rule", checked(note, block), bad, "Refused: 1 rule broken"},
		{"warnings", checked(note, note), warn, "Accepted, with 2 warnings"},
		{"pass", checked(), good, "Accepted: every rule held"},
		{"nothing asked", ValidationPage{}, unknown, "Read, and held to nothing"},
		{"nothing asked of a file that was read", ValidationPage{Report: &dataset.Report{}}, unknown, "Read, and held to nothing"},
		{"freshness alone", ValidationPage{Report: &dataset.Report{}, Expectations: spec.Expectations{Freshness: 1}}, good, "Accepted: every rule held"},
	} {
		got := c.page.verdict(worstFirst(c.page.Report))
		assert.Equal(t, c.state, got.State, c.name)
		assert.Equal(t, c.head, got.Head, c.name)
	}
}

func TestFailuresThatBlockComeFirstThenTheFileThenManyRows(t *testing.T) {
	failure := func(name string, rows int64, severity string) dataset.Failure {
		return dataset.Failure{Column: name, Rows: rows, Severity: severity}
	}
	var got []string
	for _, f := range worstFirst(&dataset.Report{Failures: []dataset.Failure{
		failure("warns, many", 900, "warn"), failure("few", 2, dataset.SeverityBlock), failure("many", 500, dataset.SeverityBlock),
		failure("the file", 0, dataset.SeverityBlock), failure("warns, the file", 0, "warn"),
	}}) {
		got = append(got, f.Column)
	}
	assert.Equal(t, []string{"the file", "many", "few", "warns, the file", "warns, many"}, got)
}

func TestWhatHeldIsTheContractLessWhatFailed(t *testing.T) {
	low := 0.0
	page := ValidationPage{
		Report: &dataset.Report{Failures: []dataset.Failure{
			{Column: "age", Rule: dataset.RuleMin, Severity: dataset.SeverityBlock}, {Column: "gone", Rule: dataset.RuleMissing, Severity: dataset.SeverityBlock},
		}},
		Contract: &spec.Contract{Strict: true, Rows: spec.RowRule{Min: 10}, Columns: []spec.ColumnRule{
			{Name: "age", Type: "number", Min: &low}, {Name: "gone", Type: "text"}, {Name: "code", Type: "category", Nullable: true, Values: []string{"a", "b"}, Unique: true},
		}},
	}
	rows, _ := page.held(page.Report.Failures)
	var got []string
	for _, row := range rows {
		rules := make([]string, len(row.Rules))
		for i, rule := range row.Rules {
			rules[i] = rule.Text
		}
		got = append(got, row.Column.Text+": "+strings.Join(rules, "; "))
	}
	assert.Equal(t, []string{": at least 10 rows; no other columns", "age: number; nothing missing", "code: category; one of “a”, “b”; each value once"}, got)
	page.Err = errors.New("no table")
	rows, _ = page.held(nil)
	assert.Empty(t, rows, "nothing is known to hold in what can't be read")
}

func TestAProfileSaysWhatIsWorthALook(t *testing.T) {
	p := &profile.Profile{Rows: 100, Columns: []profile.Column{
		{Name: "empty", Nulls: 100}, {Name: "constant", Count: 100, Distinct: 1}, {Name: "gaps", Count: 70, Nulls: 30, Distinct: 9}, {Name: "fine", Count: 100, Distinct: 9},
	}}
	got := profileVerdict(p)
	assert.Equal(t, warn, got.State)
	require.Len(t, got.Say, 3)
	assert.Equal(t, "Without any value: “empty”.", got.Say[0].Text)
	p.Columns = p.Columns[3:]
	assert.Equal(t, good, profileVerdict(p).State)
	assert.Equal(t, unknown, profileVerdict(nil).State)
}

func TestAFailedExpectationIsNotToldTwice(t *testing.T) {
	row := failureOf(dataset.Failure{
		Rule: "expect_column_mean_to_be_between", Column: "delay", Severity: "warn",
		Observed: "21.727786554326837", Limit: `column mean to be between {"max_value":10}`,
	}, 100)
	assert.Equal(t, "Expectation", row.Rule)
	assert.Equal(t, `{"max_value":10}`, row.Limit.Text)
	assert.Equal(t, words{Text: "21.73", Title: "21.727786554326837"}, row.Observed)
	assert.Equal(t, `"-40"`, failureOf(dataset.Failure{Rule: dataset.RuleMin, Observed: `"-40"`}, 100).Observed.Text, "a cell stays as it is")
}

// Every rule that the data set's package names has words of its own.
func TestEveryRuleHasAName(t *testing.T) {
	for _, rule := range []string{
		dataset.RuleEmpty, dataset.RuleHeader, dataset.RuleFields, dataset.RuleQuotes, dataset.RuleEncoding, dataset.RuleTruncated, dataset.RuleLimit,
		dataset.RuleMissing, dataset.RuleUnexpected, dataset.RuleType, dataset.RuleNull, dataset.RuleMin, dataset.RuleMax, dataset.RuleValues,
		dataset.RulePattern, dataset.RuleUnique, dataset.RuleRepeatedID, dataset.RuleRows, dataset.RuleFreshness, dataset.RuleContract,
		dataset.RuleColumn, dataset.RuleNoRows, dataset.RuleOneClass, dataset.RuleSplit,
	} {
		assert.NotEmpty(t, ruleName(rule), rule)
		assert.NotEqual(t, hint("another"), hint(rule), rule)
	}
	assert.Empty(t, ruleName("another"))
}

func TestExpectationsSayWhatWasAskedForAndFound(t *testing.T) {
	three, none, half := int64(3), int64(0), 50.0
	why := "column \"x\" isn't in the table"
	view := suiteOf(0, suite.NewResult("flights", 6, []suite.Outcome{
		{Success: true, Config: suite.Config{Type: "expect_column_to_exist", Kwargs: suite.Kwargs{"column": "a"}}, Found: suite.Found{UnexpectedCount: &none}},
		{Config: suite.Config{Type: "expect_column_values_to_be_in_set", Severity: suite.Warning, Kwargs: suite.Kwargs{"column": "a", "value_set": []any{"x", 1.0}, "mostly": 0.9}},
			Found: suite.Found{UnexpectedCount: &three, UnexpectedPercent: &half, PartialUnexpected: []any{"y", "y", 2500.0}}},
		{Config: suite.Config{Type: "expect_column_pair_values_to_be_equal", Kwargs: suite.Kwargs{"column_A": "a", "column_B": "b"}}, Exception: suite.Exception{Raised: true, Message: &why}},
		{Config: suite.Config{Type: "expect_table_row_count_to_equal", Kwargs: suite.Kwargs{"value": 7.0}}, Found: suite.Found{ObservedValue: int64(26_483)}},
	}))
	assert.Equal(t, "1 of 4 expectations met.", view.Lead)
	var got [][5]string
	for _, c := range view.Checks {
		got = append(got, [5]string{c.Chip.State + " " + c.Chip.Text, c.Column.Text, c.Type.Text, c.Want.Text, c.Observed.Text})
	}
	assert.Equal(t, [][5]string{
		{"bad Not judged", "a, b", "column pair values to be equal", "", why},
		{"bad Blocks", "(empty)", "table row count to equal", "value 7", "26,483"},
		{"warn Warning", "a", "column values to be in set", `mostly 0.9, value set ["x",1]`, `"y", 2500`},
		{"good Met", "a", "column to exist", "", ""},
	}, got)
	assert.Equal(t, "50.0\u00a0%", view.Checks[2].Share.Text)
}

func TestManyTestsWithoutACorrectionAreSaidToAlarmByChance(t *testing.T) {
	columns := make([]drift.ColumnResult, 200)
	for i := range columns {
		columns[i] = drift.ColumnResult{Method: drift.MethodKS, PValue: pointer(0.5), Threshold: 0.05}
	}
	assert.Contains(t, falseAlarms(columns), `Of 200 tests about 10 are beyond their limit by chance alone where nothing drifted; the correction "bh"`)
	assert.Empty(t, falseAlarms(columns[:manyTests-1]))
	for i := range columns {
		columns[i].PAdjusted = pointer(1)
	}
	assert.Empty(t, falseAlarms(columns))
}
