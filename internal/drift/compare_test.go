package drift

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

func monitor() spec.DriftMonitor {
	return spec.DriftMonitor{MinRows: 10, MaxDrifted: 2, PSI: 0.2, AlertAfter: spec.KOfN{K: 2, N: 3}}
}

// compareFeatures is CompareTables of the features with a monitor's options.
func compareFeatures(ref, cur *dataset.Table, features []string, m spec.DriftMonitor) (Result, error) {
	o := OptionsOf(m)
	o.Columns = features
	return CompareTables(ref, cur, o)
}

// numberColumn is a column of f(0) to f(rows-1).
func numberColumn(name string, rows int, f func(i int) float64) dataset.Column {
	c := dataset.Column{Name: name, Kind: dataset.Number, Floats: make([]float64, rows)}
	for i := range rows {
		c.Floats[i] = f(i)
	}
	return c
}

// categoryColumn is a column of the categories with the codes f(0) to f(rows-1).
func categoryColumn(name string, rows int, dict []string, f func(i int) int32) dataset.Column {
	c := dataset.Column{Name: name, Kind: dataset.Category, Dict: dict, Codes: make([]int32, rows)}
	for i := range rows {
		c.Codes[i] = f(i)
	}
	return c
}

func table(columns ...dataset.Column) *dataset.Table {
	return &dataset.Table{Columns: columns, Rows: columns[0].Len()}
}

// spread is row i's place in a sequence that fills [0, 1) evenly.
func spread(i int) float64 { return math.Mod(float64(i)*0.6180339887498949, 1) }

func TestTheMethodFollowsFromTypeDistinctValuesAndReferenceSize(t *testing.T) {
	few := func(values int) func(int) float64 { return func(i int) float64 { return float64(i % values) } }
	codes := func(values int32) func(int) int32 { return func(i int) int32 { return int32(i) % values } }
	abc := []string{"a", "b", "c"}
	for _, c := range []struct {
		name, want string
		rows       int
		column     func(rows int) dataset.Column
	}{
		{"numbers, small", MethodKS, 1000, func(n int) dataset.Column { return numberColumn("x", n, spread) }},
		{"numbers, large", MethodWasserstein, 1001, func(n int) dataset.Column { return numberColumn("x", n, spread) }},
		{"six values, small", MethodKS, 1000, func(n int) dataset.Column { return numberColumn("x", n, few(6)) }},
		{"five values, small", MethodChiSquare, 1000, func(n int) dataset.Column { return numberColumn("x", n, few(5)) }},
		{"two values, small", MethodZTest, 1000, func(n int) dataset.Column { return numberColumn("x", n, few(2)) }},
		{"one value, small", MethodZTest, 1000, func(n int) dataset.Column { return numberColumn("x", n, few(1)) }},
		{"five values, large", MethodJS, 1001, func(n int) dataset.Column { return numberColumn("x", n, few(5)) }},
		{"three categories, small", MethodChiSquare, 1000, func(n int) dataset.Column { return categoryColumn("x", n, abc, codes(3)) }},
		{"two categories, small", MethodZTest, 1000, func(n int) dataset.Column { return categoryColumn("x", n, abc, codes(2)) }},
		{"categories, large", MethodJS, 1001, func(n int) dataset.Column { return categoryColumn("x", n, abc, codes(3)) }},
		{"boolean, small", MethodZTest, 1000, func(n int) dataset.Column {
			col := numberColumn("x", n, few(2))
			col.Kind = dataset.Boolean
			return col
		}},
		{"instants, small", MethodKS, 1000, func(n int) dataset.Column {
			col := dataset.Column{Name: "x", Kind: dataset.Timestamp}
			for i := range n {
				col.Times = append(col.Times, int64(i)*1e9)
			}
			return col
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := table(c.column(c.rows))
			r, err := compareFeatures(ref, ref, []string{"x"}, monitor())
			require.NoError(t, err)
			got := r.Columns[0]
			assert.Equal(t, c.want, got.Method)
			assert.False(t, got.Drifted, "a window equal to its reference has not drifted")
			assert.Equal(t, got.PValue == nil, c.rows > SmallReference, "p-values decide up to 1,000 reference rows")
			assert.Zero(t, got.PSI)
		})
	}
}

func TestAnUnseenCategoryIsCounted(t *testing.T) {
	ref := table(categoryColumn("c", 900, []string{"a", "b"}, func(i int) int32 { return int32(i) % 2 }))
	cur := table(categoryColumn("c", 900, []string{"new", "b", "a"}, func(i int) int32 { return int32(i) % 3 }))
	r, err := compareFeatures(ref, cur, []string{"c"}, monitor())
	require.NoError(t, err)
	assert.Equal(t, MethodChiSquare, r.Columns[0].Method)
	assert.True(t, r.Columns[0].Drifted)
	assert.InDelta(t, PSICategories(Counts{"a": 450, "b": 450}, Counts{"a": 300, "b": 300, "new": 300}), r.Columns[0].PSI, 1e-12)
}

func TestNumbersAgainstCategoriesAreComparedAsCategories(t *testing.T) {
	ref := table(numberColumn("c", 100, func(i int) float64 { return math.Copysign(float64(i%2), -1) }))
	cur := table(categoryColumn("c", 100, []string{"-1", "0"}, func(i int) int32 { return int32(i) % 2 }))
	r, err := compareFeatures(ref, cur, []string{"c"}, monitor())
	require.NoError(t, err)
	assert.Equal(t, Categorical, r.Columns[0].Type)
	assert.Zero(t, r.Columns[0].PSI, "minus zero is zero")
}

func TestMissingSharesAreATestOfTheirOwn(t *testing.T) {
	for _, rows := range []int{1000, 1001} {
		ref := table(numberColumn("x", rows, spread))
		cur := table(numberColumn("x", rows, func(i int) float64 {
			if i%10 == 0 {
				return math.NaN()
			}
			return spread(i)
		}))
		r, err := compareFeatures(ref, cur, []string{"x"}, monitor())
		require.NoError(t, err)
		got := r.Columns[0]
		assert.False(t, got.Drifted, "the values are the same")
		assert.True(t, got.Missing.Drifted)
		assert.Equal(t, 0.0, got.MissingReference)
		assert.InDelta(t, 0.1, got.MissingCurrent, 1e-3)
		assert.Equal(t, 1, r.Drifted)
		assert.Equal(t, []string{"x"}, r.DriftedNames())
	}
}

func TestAColumnWithoutValuesIsAProblemAndItsMissingShareDrifts(t *testing.T) {
	ref := table(numberColumn("x", 2000, spread))
	cur := table(numberColumn("x", 2000, func(int) float64 { return math.Inf(1) }))
	r, err := compareFeatures(ref, cur, []string{"x"}, monitor())
	require.NoError(t, err)
	assert.Equal(t, "no current values", r.Columns[0].Problem)
	assert.Empty(t, r.Columns[0].Method)
	assert.True(t, r.Columns[0].Missing.Drifted)
	_, err = json.Marshal(r)
	require.NoError(t, err, "no NaN reaches JSON")
}

func TestLargeColumnsWithoutValuesAreAProblem(t *testing.T) {
	none := func(int) float64 { return math.NaN() }
	for want, c := range map[string]struct{ ref, cur func(int) float64 }{
		"no values on either side":   {none, none},
		"no values in the reference": {none, spread},
		"no current values":          {spread, none},
	} {
		r, err := compareFeatures(table(numberColumn("x", largeSamples, c.ref)), table(numberColumn("x", largeSamples, c.cur)), []string{"x"}, monitor())
		require.NoError(t, err)
		assert.Equal(t, want, r.Columns[0].Problem)
	}
}

func TestHugeNumbersGiveFiniteStatistics(t *testing.T) {
	ref := table(numberColumn("x", 2000, func(i int) float64 { return 1.5e308 * (2*spread(i) - 1) }))
	cur := table(numberColumn("x", 2000, func(i int) float64 { return spread(i) * 1.5e308 }))
	r, err := compareFeatures(ref, cur, []string{"x"}, monitor())
	require.NoError(t, err)
	small := Wasserstein(numberColumn("", 2000, func(i int) float64 { return (spread(i) - 0.5) * 3 }).Floats,
		numberColumn("", 2000, func(i int) float64 { return spread(i) * 1.5 }).Floats)
	assert.InDelta(t, small, r.Columns[0].Statistic, 1e-9)
}

func TestMoreDriftedFeaturesThanAllowedAlert(t *testing.T) {
	const rows = 2000
	shift := func(n int) *dataset.Table {
		var columns []dataset.Column
		for f := range 5 {
			by := 0.0
			if f < n {
				by = 0.04 // over 0.1 deviations of a uniform, and a PSI well under 0.2
			}
			columns = append(columns, numberColumn(fmt.Sprintf("f%d", f), rows, func(i int) float64 { return spread(i) + by }))
		}
		return table(columns...)
	}
	features := []string{"f0", "f1", "f2", "f3", "f4"}
	for n, want := range []bool{false, false, false, true, true} {
		r, err := compareFeatures(shift(0), shift(n), features, monitor())
		require.NoError(t, err)
		assert.Equal(t, n, r.Drifted)
		assert.Equal(t, want, r.Alert, "%d drifted: %s", n, r.Reason)
		if n == 3 {
			assert.Equal(t, "drifted features: observed 3 > 2 (f0, f1, f2)", r.Reason)
		}
	}
}

func TestOnePSIOverTheLimitAlerts(t *testing.T) {
	ref := table(numberColumn("x", 2000, spread))
	cur := table(numberColumn("x", 2000, func(i int) float64 { return spread(i) + 0.5 }))
	r, err := compareFeatures(ref, cur, []string{"x"}, monitor())
	require.NoError(t, err)
	assert.True(t, r.Alert)
	assert.Equal(t, "x", r.MaxPSIColumn)
	assert.Contains(t, r.Reason, "psi of x: observed")
}

func TestTooFewRowsAreInconclusiveAndNeverNoDrift(t *testing.T) {
	ref := table(numberColumn("x", 2000, spread))
	for _, rows := range []int{0, 9} {
		cur := table(numberColumn("x", rows, func(i int) float64 { return 1e6 + spread(i) }))
		r, err := compareFeatures(ref, cur, []string{"x"}, monitor())
		require.NoError(t, err)
		assert.True(t, r.Inconclusive)
		assert.Empty(t, r.Columns)
		assert.False(t, r.Alert)
		assert.Equal(t, fmt.Sprintf("too few rows: observed %d current < 10", rows), r.Reason)
	}
	none := monitor()
	none.MinRows = 0
	r, err := compareFeatures(ref, table(numberColumn("x", 0, spread)), []string{"x"}, none)
	require.NoError(t, err)
	assert.True(t, r.Inconclusive, "no rows say nothing, whatever the limit")
	r, err = compareFeatures(table(numberColumn("x", 0, spread)), ref, []string{"x"}, monitor())
	require.NoError(t, err)
	assert.Equal(t, "the reference has no rows", r.Reason)
}

func TestAbsentColumnsAreNamedAndCounted(t *testing.T) {
	ref := table(numberColumn("kept", 50, spread), numberColumn("gone", 50, spread))
	cur := table(numberColumn("kept", 50, spread), numberColumn("new", 50, spread))
	r, err := compareFeatures(ref, cur, []string{"kept", "gone", "new"}, monitor())
	require.NoError(t, err)
	assert.Equal(t, []string{"new"}, r.AbsentReference)
	assert.Equal(t, []string{"gone"}, r.AbsentCurrent)
	assert.Equal(t, 2, r.Drifted)
	_, err = compareFeatures(ref, cur, []string{"typo"}, monitor())
	require.EqualError(t, err, `drift: feature "typo" is in neither table: the reference has kept, gone; the current rows have kept, new`)
}

func TestAlertAfterNeedsKOfTheNewestNWindows(t *testing.T) {
	for _, c := range []struct {
		name    string
		history []bool
		k, n    int
		want    bool
	}{
		{"one window is noise", []bool{true}, 2, 3, false},
		{"two of two so far", []bool{true, true}, 2, 3, true},
		{"two of three", []bool{true, false, true}, 2, 3, true},
		{"an old alert is forgotten", []bool{true, false, false, true}, 2, 3, false},
		{"no history", nil, 1, 1, false},
		{"limits under one are one", []bool{false, true}, 0, 0, true},
		{"n is at least k", []bool{true, true}, 2, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, AlertAfter(c.history, c.k, c.n)) })
	}
}

func BenchmarkCompare(b *testing.B) {
	const rows = 200_000
	ref := table(numberColumn("x", rows, spread))
	cur := table(numberColumn("x", rows, func(i int) float64 { return spread(i + rows) }))
	for b.Loop() {
		if _, err := compareFeatures(ref, cur, []string{"x"}, monitor()); err != nil {
			b.Fatal(err)
		}
	}
}
