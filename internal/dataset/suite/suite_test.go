package suite

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPatternsAndFormatsAreReadAsPythonReadsThem(t *testing.T) {
	var want struct {
		Patterns []struct {
			Pattern string
			Matches []string
		}
		Texts   []string
		Formats []struct {
			Format  string
			Matches []string
		}
		Times []string
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "python.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &want))
	for _, c := range want.Patterns {
		p, err := ParsePattern(c.Pattern)
		require.NoError(t, err, c.Pattern)
		for _, text := range want.Texts {
			assert.Equal(t, slices.Contains(c.Matches, text), p.Match(text), "%q in %q", c.Pattern, text)
		}
	}
	for _, c := range want.Formats {
		f, err := ParseTimeFormat(c.Format)
		require.NoError(t, err, c.Format)
		for _, text := range want.Times {
			assert.Equal(t, slices.Contains(c.Matches, text), f.Match(text), "%q as %q", text, c.Format)
		}
	}
}

// one is a suite of a single expectation, on lines of its own.
func one(kind, kwargs string) string {
	return "{\"name\": \"s\", \"expectations\": [\n{\"type\": \"" + kind + "\",\n\"kwargs\": " + kwargs + "}]}"
}

func TestWhatIsWrongIsNamedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"an unknown kind": {one("expect_column_values_to_be_betwen", `{"column": "a"}`),
			`line 2: expectations[0].type: "expect_column_values_to_be_betwen" is an unknown kind of expectation (did you mean expect_column_values_to_be_between? docs/expectations.md lists the kinds)`},
		"a kind that isn't held": {one("expect_column_kl_divergence_to_be_less_than", `{"column": "a"}`), "expect_column_kl_divergence_to_be_less_than isn't supported (drift of a distribution"},
		"dateutil":               {one("expect_column_values_to_be_dateutil_parseable", `{"column": "a"}`), "use expect_column_values_to_match_strftime_format"},
		"an unknown argument": {one("expect_column_values_to_be_between", `{"column": "a",`+"\n"+`"min_valu": 3}`),
			`line 4: expectations[0].kwargs.min_valu: expect_column_values_to_be_between takes no "min_valu" (did you mean "min_value"?`},
		"a missing argument":         {one("expect_column_values_to_be_in_set", `{"column": "a"}`), `expect_column_values_to_be_in_set needs "value_set"`},
		"no bounds":                  {one("expect_column_values_to_be_between", `{"column": "a", "min_value": null}`), "needs min_value or max_value"},
		"bounds the wrong way round": {one("expect_column_values_to_be_between", `{"column": "a", "min_value": 3, "max_value": 2}`), "min_value 3 > max_value 2"},
		"a share above one":          {one("expect_column_values_to_not_be_null", `{"column": "a", "mostly": 95}`), "95 isn't within 0 and 1"},
		"a text for a number":        {one("expect_column_mean_to_be_between", `{"column": "a", "min_value": "3"}`), "expected numbers for bounds, found 3"},
		"look-around":                {one("expect_column_values_to_match_regex", `{"column": "a", "regex": "a(?=b)"}`), "patterns are RE2: without look-around and references"},
		"the second of a list":       {one("expect_column_values_to_match_regex_list", `{"column": "a", "regex_list": ["a", "("]}`), "expectations[0].kwargs.regex_list[1]: pattern \"(\""},
		"a directive":                {one("expect_column_values_to_match_strftime_format", `{"column": "a", "strftime_format": "%Y-%U"}`), "directive %U isn't supported"},
		"an unknown type":            {one("expect_column_values_to_be_of_type", `{"column": "a", "type_": "int65"}`), `"int65" is an unknown type`},
		"a severity":                 {`{"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": "waring"}]}`, `"waring" is unknown (did you mean "warning"?`},
		"a parameter":                {one("expect_column_values_to_be_between", `{"column": "a", "min_value": {"$PARAMETER": "low"}}`), "parameters aren't supported (write the value)"},
		"parameters of the suite":    {`{"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}], "suite_parameters": {"low": 1}}`, "suite_parameters: parameters aren't supported"},
		"an unknown field":           {`{"name": "s", "expectation": []}`, `unknown field "expectation" (did you mean "expectations"?`},
		"nothing":                    {"", "the file ends too early"},
		"nothing expected":           {`{"name": "s", "expectations": []}`, "the suite expects nothing"},
		"two values":                 {`{"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}]} {}`, "something follows the suite"},
		"a name twice":               {`{"name": "s", "name": "t", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}]}`, `"name" is given twice`},
		"NaN":                        {one("expect_column_values_to_be_between", `{"column": "a", "min_value": NaN}`), "line 3: not valid JSON"},
		"too large a number":         {one("expect_column_values_to_be_between", `{"column": "a", "min_value": 1e999}`), "number 1e999 can't be held"},
		"too deep":                   {strings.Repeat("[", 100), "nested deeper than 32 levels"},
		"one column":                 {one("expect_compound_columns_to_be_unique", `{"column_list": ["a"]}`), "1 columns < 2"},
		"the same column":            {one("expect_column_pair_values_to_be_equal", `{"column_A": "a", "column_B": "a"}`), `"a" is column_A too`},
		"quantiles":                  {one("expect_column_quantile_values_to_be_between", `{"column": "a", "quantile_ranges": {"quantiles": [0.5], "value_ranges": []}}`), "as many quantiles as value_ranges"},
		"a word to ignore rows by":   {one("expect_compound_columns_to_be_unique", `{"column_list": ["a", "b"], "ignore_row_if": "all_missing"}`), `"all_missing" is unknown (valid: all_values_are_missing`},
		"a condition":                {one("expect_column_values_to_not_be_null", `{"column": "a", "row_condition": "b.str.len() > 3"}`), "row_condition \"b.str.len() > 3\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("e.json", []byte(c.src))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "suite e.json is invalid")
		})
	}
}

func TestBothFormsAreTheSameSuite(t *testing.T) {
	newer, err := Parse("new.json", []byte(`{"name": "s", "id": "1", "meta": {"great_expectations_version": "1.24.1"}, "notes": null, "suite_parameters": {}, "expectations": [
		{"type": "expect_column_values_to_be_in_set", "id": "2", "kwargs": {"column": "a", "value_set": [1, "x", null], "mostly": 0.9, "result_format": "SUMMARY"},
		 "meta": {}, "notes": "why", "severity": "critical", "description": "d"}]}`))
	require.NoError(t, err)
	older, err := Parse("old.json", []byte("\ufeff"+`{"expectation_suite_name": "s", "data_asset_type": null, "ge_cloud_id": null, "meta": {}, "expectations": [
		{"expectation_type": "expect_column_values_to_be_in_set", "kwargs": {"column": "a", "value_set": [1, "x", null], "mostly": 0.9, "batch_id": "b", "catch_exceptions": true},
		 "meta": {"notes": {"content": []}}}]}`))
	require.NoError(t, err)
	newer.Expectations[0].Severity = ""
	require.Equal(t, newer, older)
	require.Equal(t, &Suite{Name: "s", Expectations: []Expectation{{Type: "expect_column_values_to_be_in_set",
		Kwargs: Kwargs{"column": "a", "value_set": []any{1.0, "x", nil}, "mostly": 0.9}}}}, newer)
	require.Equal(t, []string{"a"}, newer.Columns())
}

func TestConditions(t *testing.T) {
	number := func(f float64) []Value { return []Value{{Kind: NumberValue, Number: f}} }
	text := func(s string) []Value { return []Value{{Text: s}} }
	for src, want := range map[string]Condition{
		`age > 5`:                     {Column: "age", Op: ">", Values: number(5)},
		`col("a b")<=-1.5e3`:          {Column: "a b", Op: "<=", Values: number(-1500)},
		"`a b` == 'x y'":              {Column: "a b", Op: "==", Values: text("x y")},
		`col("x").notNull()`:          {Column: "x", Op: "not_null"},
		`x.isnull()`:                  {Column: "x", Op: "null"},
		`(a != 1) & (b=="2") and c>3`: {Op: "and", Parts: []Condition{{Column: "a", Op: "!=", Values: number(1)}, {Column: "b", Op: "==", Values: text("2")}, {Column: "c", Op: ">", Values: number(3)}}},
	} {
		got, err := ParseCondition(src)
		require.NoError(t, err, src)
		require.Equal(t, &want, got, src)
	}
	for _, src := range []any{"", "a", "a >", "a > b", "a > 1 or b > 2", "not a", "a in [1]", "(a > 1", "a > 1)", `a == "x`, "1 > a", 5.0, map[string]any{"type": "xor"},
		map[string]any{"type": "comparison", "operator": "=="}, map[string]any{"type": "and", "conditions": []any{}}} {
		_, err := ParseCondition(src)
		require.Error(t, err, "%v", src)
	}
}

func TestEveryKindIsKnownOnceAndNamesItsColumns(t *testing.T) {
	for name, why := range refusals() {
		require.NotContains(t, kinds(), name)
		require.NotEmpty(t, why)
	}
	require.GreaterOrEqual(t, len(Kinds()), 45)
	r, problems := Expectation{Type: "expect_column_pair_values_to_be_equal", Kwargs: Kwargs{"column_B": "b", "column_A": "a", "row_condition": "c > 1"}}.Rule()
	require.Empty(t, problems)
	require.Equal(t, []string{"a", "b"}, r.Columns)
	require.Equal(t, []string{"a", "b", "c"}, r.Reads())
}

// Whatever a file holds, reading it ends, and what is read can be read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(one("expect_column_values_to_be_between", `{"column": "a", "min_value": 1, "row_condition": "b > 1 and c == 'x'"}`)))
	f.Add([]byte(one("expect_column_quantile_values_to_be_between", `{"column": "a", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[null, 1]]}}`)))
	f.Add([]byte(one("expect_column_values_to_match_strftime_format", `{"column": "a", "strftime_format": "%Y-%m-%d"}`)))
	f.Add([]byte(one("expect_column_values_to_match_regex_list", `{"column": "a", "regex_list": ["[]\\d]$", "\\W"], "match_on": "all"}`)))
	f.Add([]byte(`{"expectation_suite_name": "s", "expectations": [{"expectation_type": "expect_column_to_exist", "kwargs": {"column": "a"}}]}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse("f", src)
		if err != nil {
			return
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again", raw)
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		require.Equal(t, s, again)
	})
}

func TestFilesOfGreatExpectationsAreReadAsTheyAre(t *testing.T) {
	for file, want := range map[string]struct {
		name         string
		expectations int
		columns      []string
	}{
		"written.json":      {"flights", 12, []string{"delay", "carrier", "flight", "day", "arrival", "departure", "id"}},
		"written_0.18.json": {"taxi.warning", 5, []string{"vendor_id", "passenger_count", "pickup", "fare", "tip"}},
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		s, err := Parse(file, raw)
		require.NoError(t, err)
		require.Equal(t, want.name, s.Name)
		require.Len(t, s.Expectations, want.expectations)
		require.Equal(t, want.columns, s.Columns())
		for _, e := range s.Expectations {
			require.NotContains(t, e.Kwargs, "result_format")
		}
	}
}
