package drift

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// mixed are columns of most sorts: n rows.
func mixed(r *rand.Rand, n int) *dataset.Table {
	number := func(name string, f func() float64) dataset.Column {
		return numberColumn(name, n, func(int) float64 { return f() })
	}
	return table(
		number("delay", r.NormFloat64),
		number("stops", func() float64 { return float64(r.IntN(4)) }),
		number("flag", func() float64 { return float64(r.IntN(2)) }),
		number("constant", func() float64 { return 3 }),
		categoryColumn("carrier", n, []string{"AA", "B6", "UA"}, func(int) int32 { return int32(r.IntN(3)) }),
		categoryColumn("way", n, []string{"in", "out"}, func(int) int32 { return int32(r.IntN(2)) }),
		categoryColumn("country", n, []string{"US"}, func(int) int32 { return 0 }),
	)
}

func methodsOf(rows []ColumnResult) map[string][]string {
	out := map[string][]string{}
	for _, c := range rows {
		out[c.Name] = append(out[c.Name], c.Method)
	}
	return out
}

func TestAllMethodsAreEveryApplicableOneAndTheDefaultDecides(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{900, 1100} {
		ref, cur := mixed(r, n), mixed(r, 800)
		all, err := CompareTables(ref, cur, Options{Method: MethodAll})
		require.NoError(t, err)
		want := map[string][]string{
			"delay": {MethodKS, MethodWasserstein, MethodPSI, MethodJS}, "stops": {MethodChiSquare, MethodKS, MethodWasserstein, MethodPSI, MethodJS},
			"flag":     {MethodZTest, MethodKS, MethodWasserstein, MethodChiSquare, MethodPSI, MethodJS},
			"constant": {MethodZTest, MethodKS, MethodWasserstein, MethodPSI, MethodJS},
			"carrier":  {MethodChiSquare, MethodPSI, MethodJS}, "way": {MethodZTest, MethodChiSquare, MethodPSI, MethodJS},
			"country": {MethodZTest, MethodPSI, MethodJS},
		}
		if n > SmallReference {
			want = map[string][]string{
				"delay": {MethodWasserstein, MethodKS, MethodPSI, MethodJS}, "stops": {MethodJS, MethodKS, MethodWasserstein, MethodChiSquare, MethodPSI},
				"flag":     {MethodJS, MethodKS, MethodWasserstein, MethodChiSquare, MethodZTest, MethodPSI},
				"constant": {MethodJS, MethodKS, MethodWasserstein, MethodPSI},
				"carrier":  {MethodJS, MethodChiSquare, MethodPSI}, "way": {MethodJS, MethodChiSquare, MethodZTest, MethodPSI},
				"country": {MethodJS, MethodPSI},
			}
		}
		assert.Equal(t, want, methodsOf(all.Columns))
		usual, err := CompareTables(ref, cur, Options{})
		require.NoError(t, err)
		var deciding []ColumnResult
		for _, c := range all.Columns {
			if !c.Beside {
				deciding = append(deciding, c)
			}
			assert.Equal(t, c.Method == MethodKS || c.Method == MethodChiSquare || c.Method == MethodZTest, c.PValue != nil, "%s %s", c.Name, c.Method)
		}
		assert.Equal(t, usual.Columns, deciding)
		all.Columns = usual.Columns
		assert.Equal(t, usual, all, "the verdict doesn't depend on what else is shown")
		assert.Equal(t, 7, all.Features)
		assert.InDelta(t, float64(all.Drifted)/7, all.Share, 0)
	}
}

func TestAMethodOfItsOwnGoesBeforeTheCommonOneAndThatBeforeTheDefault(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	ref, cur := mixed(r, 2000), mixed(r, 1500)
	got, err := CompareTables(ref, cur, Options{Method: MethodKS, Methods: map[string]string{"delay": MethodPSI, "carrier": MethodChiSquare}, PSI: 0.25})
	require.NoError(t, err)
	assert.Equal(t, map[string][]string{
		"delay": {MethodPSI}, "stops": {MethodKS}, "flag": {MethodKS}, "constant": {MethodKS},
		"carrier": {MethodChiSquare}, "way": {MethodJS}, "country": {MethodJS},
	}, methodsOf(got.Columns))
	assert.Equal(t, got.Columns[0].PSI, got.Columns[0].Statistic)
	assert.InDelta(t, 0.25, got.Columns[0].Threshold, 0)
	assert.Equal(t, PValueLimit, got.Columns[1].Threshold)
}

func TestAMethodThatDataOutgrowsGivesWayAndSaysSo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	ref, cur := mixed(r, 500), mixed(r, 500)
	got, err := CompareTables(ref, cur, Options{Methods: map[string]string{"delay": MethodChiSquare, "stops": MethodZTest, "carrier": MethodZTest, "flag": MethodChiSquare}})
	require.NoError(t, err)
	byName := map[string]ColumnResult{}
	for _, c := range got.Columns {
		byName[c.Name] = c
	}
	assert.Equal(t, MethodKS, byName["delay"].Method)
	assert.Equal(t, "chi2 compares at most 20 distinct values, observed more: ks decides", byName["delay"].Problem)
	assert.Equal(t, "ztest compares at most 2 distinct values, observed more: chi2 decides", byName["stops"].Problem)
	assert.Equal(t, "ztest compares at most 2 distinct values, observed more: chi2 decides", byName["carrier"].Problem)
	assert.Equal(t, MethodChiSquare, byName["flag"].Method)
	assert.Empty(t, byName["flag"].Problem)
}

func TestOptionsThatCannotBeMeantAreErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	ref := mixed(r, 100)
	for want, o := range map[string]Options{
		`drift: method "ksx": unknown, want all, or one of ks, chi2, ztest, wasserstein, js, psi`:                                       {Method: "ksx"},
		`drift: column "way": method "all": unknown, want one of ks, chi2, ztest, wasserstein, js, psi`:                                 {Methods: map[string]string{"way": MethodAll}},
		`drift: column "carrier": method wasserstein compares numbers, and the column is categorical: want one of chi2, ztest, js, psi`: {Methods: map[string]string{"carrier": MethodWasserstein}},
		`drift: methods: column "dlay" isn't compared: those that are: delay, way`:                                                      {Columns: []string{"delay", "way"}, Methods: map[string]string{"dlay": MethodKS}},
		`drift: column "way" is both a feature and extra`:                                                                               {Columns: []string{"way"}, Extra: []string{"way"}},
		`drift: column "way" is listed twice`:                                                                                           {Columns: []string{"way", "delay", "way"}},
		`drift: correction "bonferroni": unknown, want none or bh`:                                                                      {Correction: "bonferroni"},
		"drift: max_drifted: observed -1 < 0":                                                                                           {MaxDrifted: -1},
		"drift: max_share: observed 1.5, which isn't within 0 and 1":                                                                    {MaxShare: 1.5},
		"drift: max_share: observed NaN, which isn't within 0 and 1":                                                                    {MaxShare: math.NaN()},
		"drift: psi: observed -0.1 < 0":                                                                                                 {PSI: -0.1},
		`drift: column "speed" is in neither table: the reference has delay, stops, flag, constant, carrier, way, country; the current rows have delay, stops, flag, constant, carrier, way, country`: {Extra: []string{"speed"}},
	} {
		_, err := CompareTables(ref, ref, o)
		require.EqualError(t, err, want)
	}
}

func TestExtraColumnsAreReportedAndCountNowhere(t *testing.T) {
	const rows = 2000
	ref := table(numberColumn("x", rows, spread), numberColumn("prediction", rows, spread), numberColumn("old", rows, spread))
	cur := table(numberColumn("x", rows, spread), numberColumn("prediction", rows, func(i int) float64 { return spread(i) + 9 }), numberColumn("new", rows, spread))
	got, err := CompareTables(ref, cur, Options{Extra: []string{"prediction", "old", "new"}, PSI: 0.2})
	require.NoError(t, err)
	assert.Equal(t, []string{"x"}, []string{got.Columns[0].Name})
	assert.Equal(t, 1, got.Features)
	assert.Zero(t, got.Drifted)
	assert.False(t, got.Alert, got.Reason)
	assert.Zero(t, got.MaxPSI)
	require.Len(t, got.Extra, 3)
	assert.True(t, got.Extra[0].Drifted)
	assert.Greater(t, got.Extra[0].PSI, 0.2)
	assert.Equal(t, "no such column in the current rows", got.Extra[1].Problem)
	assert.Equal(t, "no such column in the reference", got.Extra[2].Problem)
	_, err = json.Marshal(got)
	require.NoError(t, err)
}

func TestExcludedFeaturesAreReportedAndCountNowhere(t *testing.T) {
	const rows = 2000
	moved := func(i int) float64 { return spread(i) + 9 }
	ref := table(numberColumn("x", rows, spread), numberColumn("temp", rows, spread), numberColumn("wind", rows, spread), numberColumn("prediction", rows, spread))
	cur := table(numberColumn("x", rows, spread), numberColumn("temp", rows, moved), numberColumn("prediction", rows, spread))
	o := Options{Extra: []string{"prediction"}, PSI: 0.2}
	got, err := CompareTables(ref, cur, o)
	require.NoError(t, err)
	require.True(t, got.Alert)
	require.Equal(t, []string{"temp", "wind"}, got.DriftedNames())
	temp := got.Columns[1]

	o.Exclude, o.Methods = []string{"wind", "temp", "no feature"}, map[string]string{"temp": MethodWasserstein}
	for _, columns := range [][]string{nil, {"temp", "x", "wind"}} {
		o.Columns = columns
		got, err = CompareTables(ref, cur, o)
		require.NoError(t, err)
		assert.Equal(t, 1, got.Features)
		assert.Empty(t, got.DriftedNames())
		assert.False(t, got.Alert, got.Reason)
		assert.Zero(t, got.MaxPSI)
		require.Len(t, got.Columns, 1)
		require.Len(t, got.Extra, 3)
		assert.Equal(t, "prediction", got.Extra[0].Name)
		assert.Equal(t, temp, got.Extra[1], "as it is compared otherwise")
		assert.Equal(t, "wind", got.Extra[2].Name)
		assert.Equal(t, "no such column in the current rows", got.Extra[2].Problem)
	}
	assert.Equal(t, []string{"temp", "x", "wind"}, o.Columns, "the caller's")
}

func TestAShareOfFeaturesTakesThePlaceOfTheirNumber(t *testing.T) {
	const rows = 2000
	shifted := func(n int) *dataset.Table {
		var columns []dataset.Column
		for f := range 5 {
			by := 0.0
			if f < n {
				by = 0.05
			}
			columns = append(columns, numberColumn(fmt.Sprintf("f%d", f), rows, func(i int) float64 { return spread(i) + by }))
		}
		return table(columns...)
	}
	for n, want := range []bool{false, false, false, true, true} {
		got, err := CompareTables(shifted(0), shifted(n), Options{MaxShare: 0.5})
		require.NoError(t, err)
		assert.Equal(t, want, got.DatasetDrift, got.Reason)
		assert.Equal(t, want, got.Alert)
		if n == 3 {
			assert.Equal(t, "drifted features: observed 3 of 5, a share of 0.6 > 0.5 (f0, f1, f2)", got.Reason)
		}
	}
}

func TestCorrectedPValuesDecideAndDistancesStay(t *testing.T) {
	const rows = 400
	r := rand.New(rand.NewPCG(5, 5))
	var ref, cur []dataset.Column
	for i := range 12 {
		name := fmt.Sprintf("c%d", i)
		ref = append(ref, numberColumn(name, rows, func(int) float64 { return r.NormFloat64() }))
		cur = append(cur, numberColumn(name, rows, func(int) float64 { return r.NormFloat64() + 0.02*float64(i) }))
	}
	plain, err := CompareTables(table(ref...), table(cur...), Options{Method: MethodAll})
	require.NoError(t, err)
	got, err := CompareTables(table(ref...), table(cur...), Options{Method: MethodAll, Correction: CorrectionBH})
	require.NoError(t, err)
	var p []float64
	for _, c := range plain.Columns {
		if c.Method == MethodKS {
			p = append(p, *c.PValue)
		}
	}
	want, at := BenjaminiHochberg(p), 0
	for i, c := range got.Columns {
		if c.Method != MethodKS {
			assert.Nil(t, c.PAdjusted)
			assert.Equal(t, plain.Columns[i].Drifted, c.Drifted)
			continue
		}
		assert.Equal(t, *plain.Columns[i].PValue, *c.PValue, "the p-value itself stays")
		assert.Equal(t, want[at], *c.PAdjusted)
		assert.Equal(t, want[at] < PValueLimit, c.Drifted)
		require.NotNil(t, c.Missing.PAdjusted)
		at++
	}
	assert.Equal(t, len(ref), at)
	assert.Less(t, got.Drifted, plain.Drifted)
}

func TestWorkersChangeNoBit(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	ref, cur := mixed(r, 40_000), mixed(r, 30_000) // large enough to be digested
	one, err := CompareTables(ref, cur, Options{Method: MethodAll, Workers: 1})
	require.NoError(t, err)
	for _, workers := range []int{0, 2, 7, 100} {
		many, err := CompareTables(ref, cur, Options{Method: MethodAll, Workers: workers})
		require.NoError(t, err)
		assert.Equal(t, one, many)
	}
}

func TestLargeTablesHaveTheNumbersOfTheirSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const n = 40_000
	ref, cur := mixed(r, n), mixed(r, n-77)
	for i := range cur.Columns[0].Floats {
		cur.Columns[0].Floats[i] += 0.01
	}
	got, err := CompareTables(ref, cur, Options{Method: MethodAll})
	require.NoError(t, err)
	for _, c := range got.Columns {
		a, _ := ref.Column(c.Name)
		b, _ := cur.Column(c.Name)
		if a.Floats == nil {
			continue
		}
		x, y := a.Floats, b.Floats
		d, p := KS(x, y)
		chi2, chi2P, _ := ChiSquare(countsOf(sorted(x)), countsOf(sorted(y)))
		want := map[string]float64{MethodKS: d, MethodWasserstein: Wasserstein(x, y), MethodPSI: PSI(x, y), MethodJS: JS(x, y), MethodChiSquare: chi2}
		if c.Method == MethodZTest {
			continue
		}
		assert.InDelta(t, want[c.Method], c.Statistic, 1e-12*(1+want[c.Method]), "%s %s", c.Name, c.Method)
		switch c.Method {
		case MethodKS:
			assert.Equal(t, p, *c.PValue)
		case MethodChiSquare:
			assert.Equal(t, chi2P, *c.PValue)
		}
	}
}

func TestInstantsAreComparedInSeconds(t *testing.T) {
	for _, n := range []int{500, 40_000} { // sorted, and digested
		at := func(shift int64) dataset.Column {
			c := dataset.Column{Name: "at", Kind: dataset.Timestamp}
			for i := range n {
				c.Times = append(c.Times, (1_700_000_000+int64(i)+shift)*1e9)
			}
			c.Times[0] = dataset.NullTime
			return c
		}
		got, err := CompareTables(table(at(0)), table(at(int64(n/10))), Options{Method: MethodWasserstein})
		require.NoError(t, err)
		assert.InDelta(t, 0.1*math.Sqrt(12), got.Columns[0].Statistic, 0.01)
		assert.InDelta(t, 1/float64(n), got.Columns[0].MissingCurrent, 1e-12)
	}
}

func TestAMonitorsOptions(t *testing.T) {
	m := spec.DriftMonitor{MinRows: 7, MaxDrifted: 3, MaxShare: 0.25, PSI: 0.3, Methods: map[string]string{"x": MethodKS}, Correction: CorrectionBH}
	assert.Equal(t, Options{MinRows: 7, MaxDrifted: 3, MaxShare: 0.25, PSI: 0.3, Methods: map[string]string{"x": MethodKS}, Correction: CorrectionBH}, OptionsOf(m))
	require.NoError(t, OptionsOf(spec.Defaults().Monitor.Drift).Validate())
}

// BenchmarkTables compares 1,000,000 rows of 20 columns with as many: KS, Wasserstein, PSI and Jensen-Shannon of each.
func BenchmarkTables(b *testing.B) {
	const rows, columns = 1_000_000, 20
	r := rand.New(rand.NewPCG(10, 10))
	var ref, cur []dataset.Column
	for i := range columns {
		name := fmt.Sprintf("c%d", i)
		ref = append(ref, numberColumn(name, rows, func(int) float64 { return r.NormFloat64() }))
		cur = append(cur, numberColumn(name, rows, func(int) float64 { return r.NormFloat64() }))
	}
	a, c := table(ref...), table(cur...)
	for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := CompareTables(a, c, Options{Method: MethodAll, Workers: workers}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
