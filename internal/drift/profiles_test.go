package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
)

func profileOf(t require.TestingT, rows *dataset.Table, against *profile.Profile) *profile.Profile {
	p, err := profile.Of(rows, profile.Options{Against: against, Workers: 1})
	require.NoError(t, err)
	return p
}

// someColumn draws a column of any kind, nulls among its values.
func someColumn(t *rapid.T, name string, rows int) dataset.Column {
	kind := dataset.Kind(rapid.IntRange(int(dataset.Number), int(dataset.Timestamp)).Draw(t, name+" kind"))
	c := dataset.Column{Name: name, Kind: kind}
	null := func() bool { return rapid.IntRange(0, 9).Draw(t, "null") == 0 }
	numbers := rapid.OneOf(rapid.Float64Range(-1e6, 1e6), rapid.Map(rapid.IntRange(-9, 9), func(n int) float64 { return float64(n) }), rapid.Float64Range(-1e300, 1e300))
	if kind != dataset.Number {
		numbers = rapid.Map(rapid.IntRange(0, rapid.IntRange(1, 40).Draw(t, "values")), func(n int) float64 { return float64(n) })
	}
	for range rows {
		switch {
		case kind == dataset.Category || kind == dataset.Text:
			c.Dict = []string{"a", "b", "c", "1", "2", "true"}
			code := int32(rapid.IntRange(0, 5).Draw(t, "code"))
			if null() {
				code = dataset.NullCode
			}
			c.Codes = append(c.Codes, code)
		case kind == dataset.Timestamp:
			at := rapid.Int64Range(-1e18, 1e18).Draw(t, "time")
			if null() {
				at = dataset.NullTime
			}
			c.Times = append(c.Times, at)
		default:
			x := numbers.Draw(t, "x")
			if kind == dataset.Boolean {
				x = math.Mod(x, 2)
			}
			if null() {
				x = math.NaN()
			}
			c.Floats = append(c.Floats, x)
		}
	}
	return c
}

func TestExactProfilesGiveWhatTheirRowsGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(1, 60).Draw(t, "n"), rapid.IntRange(1, 60).Draw(t, "m")
		ref, cur := table(someColumn(t, "x", n), someColumn(t, "y", n)), table(someColumn(t, "x", m), someColumn(t, "y", m))
		if rapid.Bool().Draw(t, "same kind") {
			cur.Columns[0].Kind, cur.Columns[0].Floats, cur.Columns[0].Times, cur.Columns[0].Codes, cur.Columns[0].Dict =
				ref.Columns[0].Kind, nil, nil, nil, nil
			refresh(t, &cur.Columns[0], &ref.Columns[0], m)
		}
		o := Options{Method: rapid.SampledFrom([]string{"", MethodAll}).Draw(t, "method"), PSI: 0.2, Workers: 1}
		want, err := CompareTables(ref, cur, o)
		require.NoError(t, err)
		a := profileOf(t, ref, nil)
		for _, against := range []*profile.Profile{nil, a} {
			got, err := CompareProfiles(a, profileOf(t, cur, against), o)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
}

// refresh fills a column of m rows with values of another column.
func refresh(t *rapid.T, c, from *dataset.Column, m int) {
	c.Dict = from.Dict
	for range m {
		row := rapid.IntRange(0, from.Len()-1).Draw(t, "row")
		switch {
		case from.Floats != nil:
			c.Floats = append(c.Floats, from.Floats[row])
		case from.Codes != nil:
			c.Codes = append(c.Codes, from.Codes[row])
		default:
			c.Times = append(c.Times, from.Times[row])
		}
	}
}

// Profiles hold 4,096 ranges of each column: with more distinct numbers they know less than the rows do, and say how
// much less.
func TestWhatProfilesDoNotHoldIsWithinTheErrorTheyState(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	n := 30_000
	if testing.Short() {
		n = 11_000 // over maxExact: p-values of so many by counting paths take long
	}
	for _, s := range shapes() {
		for _, by := range []float64{0, 0.02, 1} {
			x, y := drawn(s, r, n), drawn(s, r, n-n/7)
			for i := range y {
				y[i] = y[i]*(1+by) + by
			}
			ref := table(dataset.Column{Name: "x", Kind: dataset.Number, Floats: x})
			cur := table(dataset.Column{Name: "x", Kind: dataset.Number, Floats: y})
			a := profileOf(t, ref, nil)
			got, err := CompareProfiles(a, profileOf(t, cur, a), Options{Method: MethodAll})
			require.NoError(t, err)
			want, err := CompareTables(ref, cur, Options{Method: MethodAll})
			require.NoError(t, err)
			require.Len(t, got.Columns, len(want.Columns), s.name)
			for i, w := range want.Columns {
				holds(t, &a.Columns[0], w, got.Columns[i], fmt.Sprintf("%s, shifted by %g", s.name, by))
			}
		}
	}
}

// holds checks a row of profiles against that of the rows themselves.
func holds(t *testing.T, ref *profile.Column, want, got ColumnResult, what string) {
	t.Helper()
	what += ", " + want.Method
	require.Equal(t, want.Method, got.Method, what)
	require.Equal(t, want.Missing, got.Missing, what)
	bound := 1e-11 * math.Abs(want.Statistic)
	switch want.Method {
	case MethodKS:
		if got.Error != nil {
			bound += *got.Error
			assert.LessOrEqual(t, got.Statistic, want.Statistic*(1+1e-15), what+": what is certain is no more than what is")
		}
		assert.GreaterOrEqual(t, *got.PValue, *want.PValue*(1-1e-9), what)
	case MethodWasserstein:
		if got.Error != nil {
			bound += *got.Error
		}
	default:
		if !ref.Bins.Exact { // the reference's deciles are to its profile's resolution, and so are shares
			bound += 0.01 + 0.02*want.Statistic
		}
	}
	assert.InDelta(t, want.Statistic, got.Statistic, bound, what)
	if got.Error != nil {
		// A value that half of the rows have, or many values close together far from others, share a range.
		assert.Less(t, *got.Error, 0.03+0.02*want.Statistic+2*ref.Resolution(), "%s: the bound is of use", what)
		assert.NotEmpty(t, got.Problem, what)
	}
}

func TestShardsGiveWhatTheWholeGives(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	s := shapes()[0]
	ref := table(dataset.Column{Name: "x", Kind: dataset.Number, Floats: drawn(s, r, 9000)})
	a := profileOf(t, ref, nil)
	y := drawn(s, r, 8000)
	var shards []*profile.Profile
	for i := range 4 {
		shards = append(shards, profileOf(t, table(dataset.Column{Name: "x", Kind: dataset.Number, Floats: y[i*2000 : (i+1)*2000]}), a))
	}
	merged, err := profile.Merge(shards...)
	require.NoError(t, err)
	got, err := CompareProfiles(a, merged, Options{Method: MethodAll})
	require.NoError(t, err)
	want, err := CompareProfiles(a, profileOf(t, table(dataset.Column{Name: "x", Kind: dataset.Number, Floats: y}), a), Options{Method: MethodAll})
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestMoreCategoriesThanAProfileCountsAreNamedAsAProblem(t *testing.T) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("city %d", i)
	}
	few := table(categoryColumn("c", 20_000, names, func(i int) int32 { return int32(i % 50) }))
	many := table(categoryColumn("c", 20_000, names, func(i int) int32 { return int32(i % 9000) }))
	fewProfile, manyProfile := profileOf(t, few, nil), profileOf(t, many, nil)

	got, err := CompareProfiles(manyProfile, fewProfile, Options{})
	require.NoError(t, err)
	assert.Equal(t, "the reference has more distinct values than its profile counts: missing values alone are compared", got.Columns[0].Problem)
	assert.Empty(t, got.Columns[0].Method)

	got, err = CompareProfiles(fewProfile, manyProfile, Options{})
	require.NoError(t, err)
	assert.Contains(t, got.Columns[0].Problem, "wasn't made against the reference")

	got, err = CompareProfiles(fewProfile, profileOf(t, many, fewProfile), Options{})
	require.NoError(t, err)
	c := got.Columns[0]
	assert.Contains(t, c.Problem, "those that the reference lacks are compared as one")
	assert.True(t, c.Drifted)
	known, other := Counts{}, Counts{otherValues: 20_000}
	for i := range 50 {
		known[names[i]] = 400
		n := int64(20_000 / 9000)
		if i < 20_000%9000 {
			n++
		}
		other[names[i]] = n
		other[otherValues] -= n
	}
	assert.Equal(t, JSCategories(known, other), c.Statistic)
}

func TestAProfileOfAnotherVersionIsRefused(t *testing.T) {
	p := profileOf(t, table(numberColumn("x", 5, spread)), nil)
	old := *p
	old.Version = 1
	_, err := CompareProfiles(&old, p, Options{})
	require.EqualError(t, err, "drift: a profile of version 1 can't be compared: want version 2")
}

// A reference may itself have been counted into another one's bins, which say nothing of its own deciles.
func TestAReferenceHasItsOwnBinsWhateverItWasCountedInto(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	draw := func(shift float64) *dataset.Table {
		return table(numberColumn("x", 20_000, func(int) float64 { return r.NormFloat64() + shift }))
	}
	ref, cur := draw(5), draw(5.5)
	want, err := CompareTables(ref, cur, Options{})
	require.NoError(t, err)
	got, err := CompareProfiles(profileOf(t, ref, profileOf(t, draw(0), nil)), profileOf(t, cur, nil), Options{})
	require.NoError(t, err)
	require.InDelta(t, want.Columns[0].PSI, got.Columns[0].PSI, 0.01)
	require.Greater(t, want.Columns[0].PSI, 0.2)
	require.Contains(t, got.Columns[0].Problem, "wasn't made against the reference")
}
