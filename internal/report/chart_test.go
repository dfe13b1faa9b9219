package report

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// numbers is the profile of a column of numbers.
func numbers(t require.TestingT, kind dataset.Kind, values ...float64) *profile.Column {
	table := &dataset.Table{Rows: len(values), Columns: []dataset.Column{{Name: "x", Kind: kind, Floats: values}}}
	p, err := profile.Of(table, profile.Options{})
	require.NoError(t, err)
	return &p.Columns[0]
}

// sequence is f(0) to f(n-1).
func sequence(n int, f func(i int) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

func TestBarsAreOfRoundWidths(t *testing.T) {
	for _, c := range []struct {
		name            string
		low, high       float64
		instants        bool
		whole           bool
		start, step     float64
		atMost, atLeast int
	}{
		{name: "unit interval", low: 0, high: 1, start: 0, step: 0.05, atMost: 21, atLeast: 20},
		{name: "hours of a day", low: 0, high: 23, whole: true, start: 0, step: 1, atMost: 24, atLeast: 24},
		{name: "few whole numbers", low: 3, high: 12, whole: true, start: 3, step: 1, atMost: 10, atLeast: 10},
		{name: "negative", low: -37.2, high: 41, start: -38, step: 2, atMost: 41, atLeast: 40},
		{name: "a month of instants", low: 1_356_998_400, high: 1_359_676_799, instants: true, start: 1_356_998_400, step: 86_400, atMost: 31, atLeast: 31},
		{name: "a year of instants", low: 1_356_998_400, high: 1_388_534_399, instants: true, start: 1_355_961_600, step: 14 * 86_400, atMost: 27, atLeast: 26},
	} {
		t.Run(c.name, func(t *testing.T) {
			start, step, n := scale(c.low, c.high, c.instants, c.whole)
			assert.InDelta(t, c.start, start, 1e-9)
			assert.Equal(t, c.step, step)
			assert.LessOrEqual(t, n, c.atMost)
			assert.GreaterOrEqual(t, n, c.atLeast)
		})
	}
}

func TestEdgesAreToldApart(t *testing.T) {
	for _, c := range []struct {
		at, step float64
		want     string
	}{
		{0, 1, "0"}, {100.005, 0.005, "100.005"}, {1_000_002, 2, "1,000,002"}, {0.1 + 0.2, 0.1, "0.3"}, {-0.5, 0.5, "-0.5"}, {1e20, 1e18, "1e20"}, {2e-7, 1e-7, "2e-7"},
	} {
		assert.Equal(t, c.want, edge(c.at, c.step))
	}
	assert.Equal(t, "2013-07-01", calendar(1_372_636_800, 31*86_400))
	assert.Equal(t, "07-01 05:15", calendar(1_372_655_700, 86_400))
	assert.Equal(t, "05:15:00", calendar(1_372_655_700, 60))
	assert.Equal(t, "1,000,000,000,000", calendar(1e12, 1e12), "beyond what a calendar shows")
}

func TestSharesOfBarsAndBeyondAddUpToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1e300, 1e300), rapid.Float64Range(-10, 10)), 1, 60).Draw(t, "values")
		c := numbers(t, dataset.Number, values...)
		if c.Count == 0 {
			return
		}
		sides := [2][]profile.Bucket{bucketsOf(c)}
		low, high := spanned(sides)
		h := drawn(c, c)
		if max(math.Abs(low), math.Abs(high)) > drawable {
			if h != nil {
				t.Fatalf("%v is drawn", values)
			}
			return
		}
		start, step, n := scale(low, high, false, false)
		shares, beyond := binned(sides[0], start, step, n)
		sum := beyond
		for _, s := range shares {
			sum += s
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("%v: bars from %g, %d of %g: shares add up to %g, of which %g beyond", values, start, n, step, sum, beyond)
		}
		if n > bins+2 || beyond > 2*tailShare+1e-9 && float64(c.Count)*tailShare > 1 {
			t.Fatalf("%d bars, %g beyond", n, beyond)
		}
		for _, text := range append([]string{outline(shares, 1)}, labels(h)...) {
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Fatalf("%v is drawn as %s", values, text)
			}
		}
	})
}

func labels(h *histogram) []string {
	out := []string{h.Ref, h.Cur, h.MarkRef, h.MarkCur, h.Beyond}
	for _, tick := range h.Ticks {
		out = append(out, tick.At, tick.Text)
	}
	return out
}

func TestAnOutlierDoesNotHideTheRest(t *testing.T) {
	values := sequence(1000, func(i int) float64 { return float64(i % 100) })
	values[500] = 1e12
	h := drawn(numbers(t, dataset.Number, values...), nil)
	assert.Equal(t, "0", h.Ticks[0].Text)
	assert.NotEmpty(t, h.Beyond, "it is said that something isn't drawn")
	assert.Contains(t, h.Beyond, "0.1\u00a0%")
	assert.Empty(t, h.MarkRef, "the average, 1e9, isn't within the drawing")
	assert.Empty(t, drawn(numbers(t, dataset.Number, values[:500]...), nil).Beyond)
}

func TestBothSidesShareEdgesAndHeights(t *testing.T) {
	a := numbers(t, dataset.Number, sequence(1000, func(i int) float64 { return float64(i) / 100 })...)
	b := numbers(t, dataset.Number, sequence(50, func(i int) float64 { return 5 + float64(i)/10 })...)
	h := drawn(a, b)
	require.NotEmpty(t, h.Ref)
	require.NotEmpty(t, h.Cur)
	assert.True(t, strings.HasPrefix(h.Cur, "M0 100V100"), "the window has nothing below 5: %s", h.Cur)
	assert.True(t, strings.HasSuffix(h.Ref, "H"+strconv.Itoa(h.Width)+"V100"))
	assert.Nil(t, drawn(numbers(t, dataset.Number, math.NaN()), nil), "there is nothing to draw")
	assert.NotNil(t, drawn(numbers(t, dataset.Number, math.NaN()), b), "one side is enough")
}

func TestMissingIsNotZeroAmongCategories(t *testing.T) {
	column := func(values ...string) *profile.Column {
		c := dataset.Column{Name: "x", Kind: dataset.Category}
		for i, v := range values {
			c.Dict = append(c.Dict, v)
			c.Codes = append(c.Codes, int32(i))
		}
		p, err := profile.Of(&dataset.Table{Rows: len(values), Columns: []dataset.Column{c}}, profile.Options{})
		require.NoError(t, err)
		return &p.Columns[0]
	}
	few, many := column("a", "b"), column(sequenceOfNames(10_000)...)
	bars := categories(few, column("b", "c"))
	require.Len(t, bars.Rows, 3)
	for _, row := range bars.Rows {
		want := map[string][2]string{"a": {"50.0\u00a0%", "0\u00a0%"}, "b": {"50.0\u00a0%", "50.0\u00a0%"}, "c": {"0\u00a0%", "50.0\u00a0%"}}[row.Label.Text]
		assert.Equal(t, want, [2]string{row.Ref.Text.Text, row.Cur.Text.Text}, row.Label.Text)
	}
	bars = categories(few, many)
	if bars != nil {
		for _, row := range bars.Rows {
			if !row.Other && row.Label.Text == "a" {
				assert.Equal(t, none, row.Cur.Text.Text, "whether the window has it isn't known")
			}
		}
	}
	tall := categories(column(sequenceOfNames(300)...), nil)
	require.Len(t, tall.Rows, maxBars+1)
	assert.Equal(t, "other (292)", tall.Rows[maxBars].Label.Text)
}

func sequenceOfNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "value " + strconv.Itoa(i)
	}
	return out
}
