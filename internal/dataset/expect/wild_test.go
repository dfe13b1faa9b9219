package expect_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset/expect"
	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// drawBatch has a column of each type, whatever is in it.
func drawBatch(t *rapid.T, rows int) *expect.Batch {
	b := &expect.Batch{Rows: rows}
	floats := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1, math.MaxFloat64, -math.MaxFloat64}))
	for _, typ := range []string{"number", "integer", "boolean"} {
		b.Columns = append(b.Columns, expect.Column{Name: typ, Type: typ, Floats: rapid.SliceOfN(floats, rows, rows).Draw(t, typ)})
	}
	dict := append(rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "dict"), "2013-01-01")
	for _, typ := range []string{"category", "text"} {
		b.Columns = append(b.Columns, expect.Column{Name: typ, Type: typ, Dict: dict, Codes: rapid.SliceOfN(rapid.Int32Range(-1, int32(len(dict)-1)), rows, rows).Draw(t, typ)})
	}
	times := rapid.OneOf(rapid.Int64(), rapid.Just(int64(math.MinInt64)))
	b.Columns = append(b.Columns, expect.Column{Name: "timestamp", Type: "timestamp", Times: rapid.SliceOfN(times, rows, rows).Draw(t, "timestamp")})
	return b
}

// drawExpectation is any kind about any columns.
func drawExpectation(t *rapid.T) suite.Expectation {
	column := rapid.SampledFrom([]string{"number", "integer", "boolean", "category", "text", "timestamp", "gone"})
	number := rapid.SampledFrom([]any{-1.0, 0.0, 0.5, 1e308, "2013-01-01T00:00:00Z"})
	all := suite.Kwargs{
		"column": column.Draw(t, "column"), "column_A": column.Draw(t, "a"), "column_B": column.Draw(t, "b"), "column_set": []any{"number", "x"},
		"column_list": []any{column.Draw(t, "first"), column.Draw(t, "second")}, "min_value": number.Draw(t, "min"), "strict_max": true,
		"value": 1.0, "value_set": []any{1.0, "x", true, nil, "2013-01-01"}, "type_": "int64", "type_list": []any{"str"}, "regex": "a|^$", "regex_list": []any{"a", "b"},
		"threshold": 1.0, "double_sided": true, "sum_total": 1.0, "strftime_format": "%Y-%m-%d", "mostly": 0.5,
		"quantile_ranges": map[string]any{"quantiles": []any{0.0, 0.3, 1.0}, "value_ranges": []any{[]any{nil, 1.0}, []any{0.0, 1.0}, []any{nil, nil}}},
		"row_condition":   rapid.SampledFrom([]any{nil, "number > 0", `category == "x" and text.notNull()`, "timestamp < 5"}).Draw(t, "where"),
	}
	e := suite.Expectation{Type: rapid.SampledFrom(suite.Kinds()).Draw(t, "kind"), Kwargs: suite.Kwargs{}}
	for name, v := range all {
		if v == nil {
			continue
		}
		e.Kwargs[name] = v
	}
	for { // leave out what the kind doesn't take
		_, problems := e.Rule()
		removed := false
		for _, p := range problems {
			if len(p.Path) > 7 && p.Path[:7] == "kwargs." {
				if _, ok := e.Kwargs[p.Path[7:]]; ok {
					delete(e.Kwargs, p.Path[7:])
					removed = true
				}
			}
		}
		if !removed {
			return e
		}
	}
}

// Whatever is in the rows, an expectation is judged or says why it can't be, and its result is JSON.
func TestNoRowsAreTooWild(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := &suite.Suite{Name: "wild"}
		for range 8 {
			if e := drawExpectation(t); len((&suite.Suite{Expectations: []suite.Expectation{e}}).Problems()) == 0 {
				s.Expectations = append(s.Expectations, e)
			}
		}
		r := expect.New(s, expect.Options{Limit: 3, Dir: dir})
		defer func() { require.NoError(t, r.Close()) }()
		first := drawBatch(t, rapid.IntRange(0, 12).Draw(t, "rows"))
		require.NoError(t, r.Begin(first.Columns))
		require.NoError(t, r.Rows(first))
		second := drawBatch(t, rapid.IntRange(0, 5).Draw(t, "more rows"))
		second.First = int64(first.Rows)
		require.NoError(t, r.Rows(second))
		found, err := r.Finish(nil)
		require.NoError(t, err)
		_, err = json.Marshal(r.Result(found))
		require.NoError(t, err)
	})
}

func TestLongTextsStayOutOfResults(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	b := &expect.Batch{Rows: 3, Columns: []expect.Column{{Name: "x", Type: "text", Codes: []int32{0, 0, 1}, Dict: []string{long, "b"}}, {Name: "y", Type: "text", Codes: []int32{0, 0, 0}, Dict: []string{long}}}}
	s := &suite.Suite{Name: "long", Expectations: []suite.Expectation{
		{Type: "expect_column_values_to_match_regex", Kwargs: suite.Kwargs{"column": "x", "regex": "b"}},
		{Type: "expect_column_values_to_be_unique", Kwargs: suite.Kwargs{"column": "x"}},
		{Type: "expect_column_distinct_values_to_be_in_set", Kwargs: suite.Kwargs{"column": "x", "value_set": []any{"b"}}},
		{Type: "expect_column_most_common_value_to_be_in_set", Kwargs: suite.Kwargs{"column": "x", "value_set": []any{"b"}}},
		{Type: "expect_column_pair_values_to_be_equal", Kwargs: suite.Kwargs{"column_A": "x", "column_B": "y"}},
		{Type: "expect_compound_columns_to_be_unique", Kwargs: suite.Kwargs{"column_list": []any{"x", "y"}}},
	}}
	r := expect.New(s, expect.Options{})
	require.NoError(t, r.Begin(b.Columns))
	require.NoError(t, r.Rows(b))
	found, err := r.Finish(nil)
	require.NoError(t, err)
	for _, f := range found {
		require.False(t, f.Outcome.Success, f.Rule.Type)
	}
	raw, err := json.Marshal(r.Result(found))
	require.NoError(t, err)
	require.Less(t, len(raw), 8<<10)
}
