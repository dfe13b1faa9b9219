package expect_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset/expect"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/instant"
)

// golden is what Great Expectations found in table.csv; testdata/make_cases.py made it.
type golden struct {
	Types map[string]string `json:"types"`
	Cases []struct {
		Type    string         `json:"type"`
		Kwargs  suite.Kwargs   `json:"kwargs"`
		Success bool           `json:"success"`
		Raised  bool           `json:"raised"`
		Result  map[string]any `json:"result"`
	} `json:"cases"`
}

func readGolden(t testing.TB) golden {
	t.Helper()
	var g golden
	raw, err := os.ReadFile(filepath.Join("testdata", "cases.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &g))
	return g
}

// readTable is table.csv as one batch.
func readTable(t testing.TB, types map[string]string) *expect.Batch {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "table.csv"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	b := &expect.Batch{Rows: len(rows) - 1}
	for i, name := range rows[0] {
		c := expect.Column{Name: name, Type: types[name]}
		codes := map[string]int32{}
		for _, row := range rows[1:] {
			appendCell(t, &c, codes, row[i])
		}
		b.Columns = append(b.Columns, c)
	}
	return b
}

func appendCell(t testing.TB, c *expect.Column, codes map[string]int32, cell string) {
	t.Helper()
	switch c.Type {
	case "category", "text":
		code, ok := codes[cell]
		switch {
		case cell == "":
			code = -1
		case !ok:
			code = int32(len(c.Dict))
			codes[cell] = code
			c.Dict = append(c.Dict, cell)
		}
		c.Codes = append(c.Codes, code)
	case "timestamp":
		at := int64(math.MinInt64)
		if cell != "" {
			var ok bool
			at, ok = instant.Parse(cell)
			require.True(t, ok, cell)
		}
		c.Times = append(c.Times, at)
	default:
		v := math.NaN()
		switch cell {
		case "":
		case "True", "False":
			v = 0
			if cell == "True" {
				v = 1
			}
		default:
			var err error
			v, err = strconv.ParseFloat(cell, 64)
			require.NoError(t, err)
		}
		c.Floats = append(c.Floats, v)
	}
}

// part is rows of a batch, with dictionaries of their own.
func part(b *expect.Batch, from, to int) *expect.Batch {
	out := &expect.Batch{Rows: to - from, First: int64(from)}
	for _, c := range b.Columns {
		switch {
		case c.Codes != nil:
			dict, codes := []string(nil), make([]int32, 0, to-from)
			for _, code := range c.Codes[from:to] {
				if code >= 0 {
					at := slices.Index(dict, c.Dict[code])
					if at < 0 {
						at = len(dict)
						dict = append(dict, c.Dict[code])
					}
					code = int32(at)
				}
				codes = append(codes, code)
			}
			c.Codes, c.Dict = codes, dict
		case c.Times != nil:
			c.Times = c.Times[from:to]
		default:
			c.Floats = c.Floats[from:to]
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

// run holds a table to a suite, in batches of the given sizes, over and over.
func run(t testing.TB, s *suite.Suite, b *expect.Batch, o expect.Options, sizes ...int) []expect.Finding {
	t.Helper()
	r := expect.New(s, o)
	require.NoError(t, r.Begin(b.Columns))
	for from, i := 0, 0; from < b.Rows; i++ {
		to := min(from+max(sizes[i%len(sizes)], 1), b.Rows)
		require.NoError(t, r.Rows(part(b, from, to)))
		from = to
	}
	found, err := r.Finish(nil)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return found
}

func TestEveryKindFindsWhatGreatExpectationsFinds(t *testing.T) {
	g := readGolden(t)
	table := readTable(t, g.Types)
	s := &suite.Suite{Name: "golden"}
	for _, c := range g.Cases {
		s.Expectations = append(s.Expectations, suite.Expectation{Type: c.Type, Kwargs: c.Kwargs})
	}
	require.Empty(t, s.Problems())
	kinds := map[string]bool{}
	for i, f := range run(t, s, table, expect.Options{Dir: t.TempDir()}, 64) {
		c := g.Cases[i]
		kinds[c.Type] = true
		name := fmt.Sprintf("%s %v", c.Type, c.Kwargs)
		assert.False(t, c.Raised, name)
		assert.False(t, f.Outcome.Exception.Raised, "%s: %s", name, f.Observed)
		assert.Equal(t, c.Success, f.Outcome.Success, "%s: %v, found %s", name, c.Result, f.Observed)
		raw, err := json.Marshal(f.Outcome.Found)
		require.NoError(t, err)
		var found map[string]any
		require.NoError(t, json.Unmarshal(raw, &found))
		for key, want := range c.Result {
			if strings.HasPrefix(c.Type, "expect_compound") && key == "partial_unexpected_list" {
				continue // texts instead of objects
			}
			if list, ok := want.([]any); ok && key == "observed_value" && len(list) > suite.PartialCount && strings.Contains(c.Type, "most_common") {
				want = list[:suite.PartialCount] // a column of different values would list them all
			}
			assertSame(t, want, found[key], name+": "+key)
		}
	}
	for _, kind := range suite.Kinds() {
		if !kinds[kind] {
			require.Contains(t, []string{"expect_column_type_to_be", "expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list",
				"expect_multicolumn_values_to_be_unique"}, kind, "a kind without a golden case: types are a contract's here")
		}
	}
}

// assertSame compares JSON values: numbers to 1e-9, and empty lists and none are the same.
func assertSame(t *testing.T, want, got any, name string) {
	t.Helper()
	switch want := want.(type) {
	case nil:
		assert.Nil(t, got, name)
	case float64:
		f, ok := got.(float64)
		if b, is := got.(bool); is { // pandas shows a boolean column's numbers
			f, ok = 0, true
			if b {
				f = 1
			}
		}
		assert.True(t, ok, "%s: want %v, got %v", name, want, got)
		assert.InDelta(t, want, f, 1e-9*math.Max(1, math.Abs(want)), name)
	case []any:
		list, _ := got.([]any)
		if !assert.Len(t, list, len(want), "%s: want %v, got %v", name, want, got) {
			return
		}
		for i := range want {
			assertSame(t, want[i], list[i], fmt.Sprintf("%s[%d]", name, i))
		}
	case map[string]any:
		m, _ := got.(map[string]any)
		for key := range want {
			assertSame(t, want[key], m[key], name+"."+key)
		}
	case string: // times have no zone in pandas
		text, _ := got.(string)
		assert.Equal(t, strings.TrimSuffix(want, "Z"), strings.TrimSuffix(text, "Z"), name)
	default:
		assert.Equal(t, want, got, name)
	}
}

func TestAnyBatchesAndAnyMemoryGiveTheSame(t *testing.T) {
	g := readGolden(t)
	table := readTable(t, g.Types)
	s := &suite.Suite{Name: "golden"}
	for _, c := range g.Cases {
		s.Expectations = append(s.Expectations, suite.Expectation{Type: c.Type, Kwargs: c.Kwargs})
	}
	want := run(t, s, table, expect.Options{}, table.Rows)
	dir := t.TempDir()
	for _, c := range []struct {
		limit int
		sizes []int
	}{{50, []int{33, 1}}, {0, []int{1}}, {1, []int{7, 64, 3}}} {
		if testing.Short() && c.limit != 50 {
			continue
		}
		for i, f := range run(t, s, table, expect.Options{Dir: dir, Limit: c.limit}, c.sizes...) {
			// A rule is compared by its outcome: it holds compiled patterns.
			require.Equal(t, want[i].Outcome, f.Outcome)
			require.Equal(t, []any{want[i].Rows, want[i].First, want[i].Observed, want[i].Limit}, []any{f.Rows, f.First, f.Observed, f.Limit})
		}
	}
}

func TestARuleThatCantBeHeldFailsAloneAndSaysWhy(t *testing.T) {
	s := &suite.Suite{Name: "s", Expectations: []suite.Expectation{
		{Type: "expect_column_mean_to_be_between", Kwargs: suite.Kwargs{"column": "c", "min_value": 0.0}},
		{Type: "expect_column_values_to_not_be_null", Kwargs: suite.Kwargs{"column": "nope"}},
		{Type: "expect_column_pair_values_to_be_equal", Kwargs: suite.Kwargs{"column_A": "c", "column_B": "n"}},
		{Type: "expect_column_values_to_be_between", Kwargs: suite.Kwargs{"column": "n", "min_value": "2013-01-01"}},
		{Type: "expect_column_values_to_not_be_null", Kwargs: suite.Kwargs{"column": "c"}},
	}}
	b := &expect.Batch{Rows: 1, Columns: []expect.Column{{Name: "c", Type: "category", Codes: []int32{0}, Dict: []string{"x"}}, {Name: "n", Type: "number", Floats: []float64{1}}}}
	found := run(t, s, b, expect.Options{}, 1)
	var whys []string
	for _, f := range found {
		if f.Outcome.Exception.Raised {
			require.False(t, f.Outcome.Success)
			whys = append(whys, *f.Outcome.Exception.Message)
		}
	}
	require.Equal(t, []string{
		"expect_column_mean_to_be_between takes number, integer, boolean, and column c is category",
		`column "nope" isn't in the table`,
		"column c is category and column n is number: they can't be compared",
		"column n is number, and the bound 2013-01-01 is no number",
	}, whys)
	require.True(t, found[4].Outcome.Success)
}

func TestTypesAreAContracts(t *testing.T) {
	for _, c := range []struct {
		name, typ string
		want      bool
	}{{"int64", "integer", true}, {"float64", "integer", true}, {"float64", "number", true}, {"int64", "number", false}, {"str", "category", true},
		{"VARCHAR", "text", true}, {"bool", "boolean", true}, {"datetime64[ns]", "timestamp", true}, {"bool", "integer", false}} {
		e := suite.Expectation{Type: "expect_column_values_to_be_of_type", Kwargs: suite.Kwargs{"column": "x", "type_": c.name}}
		b := &expect.Batch{Columns: []expect.Column{{Name: "x", Type: c.typ}}}
		require.Equal(t, c.want, run(t, &suite.Suite{Expectations: []suite.Expectation{e}}, b, expect.Options{}, 1)[0].Outcome.Success, c)
	}
}
