package profile

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

func numbers(name string, values ...float64) dataset.Column {
	return dataset.Column{Name: name, Kind: dataset.Number, Floats: values}
}

// names is a column of categories; "" is null.
func names(name string, values ...string) dataset.Column {
	c := dataset.Column{Name: name, Kind: dataset.Category, Codes: make([]int32, len(values))}
	for i, v := range values {
		code := slices.Index(c.Dict, v)
		if code < 0 && v != "" {
			code = len(c.Dict)
			c.Dict = append(c.Dict, v)
		}
		c.Codes[i] = int32(code)
	}
	return c
}

func tableOf(columns ...dataset.Column) *dataset.Table {
	return &dataset.Table{Columns: columns, Rows: columns[0].Len()}
}

// build profiles the parts of a table, one after another, as a scan would.
func build(t require.TestingT, o Options, parts ...*dataset.Table) *Profile {
	b := NewBuilder(o)
	var rules []spec.ColumnRule
	for _, c := range parts[0].Columns {
		rules = append(rules, spec.ColumnRule{Name: c.Name, Type: c.Kind.String()})
	}
	require.NoError(t, b.Begin(rules))
	for _, part := range parts {
		require.NoError(t, b.Rows(dataset.Chunk{Table: part}))
	}
	p, err := b.Profile()
	require.NoError(t, err)
	return p
}

func TestNumbersAreSummedUp(t *testing.T) {
	p := build(t, Options{}, tableOf(numbers("x", 3, math.NaN(), 1, 2, math.Inf(1), 4)))
	c, ok := p.Column("x")
	require.True(t, ok)
	assert.Equal(t, int64(6), p.Rows)
	assert.Equal(t, int64(4), c.Count)
	assert.Equal(t, int64(2), c.Nulls, "no number and infinity")
	assert.Equal(t, int64(4), c.Distinct)
	assert.False(t, c.Estimated)
	assert.Equal(t, 1.0, c.Numbers.Min)
	assert.Equal(t, 4.0, c.Numbers.Max)
	assert.Equal(t, 2.5, c.Numbers.Mean)
	assert.InDelta(t, math.Sqrt(1.25), c.Numbers.Std, 1e-15)
	assert.Equal(t, 1.75, c.Numbers.Quantiles[3])
	assert.Equal(t, 2.5, c.Quantile(0.5))
	assert.True(t, c.Exact())
	assert.Equal(t, []Bucket{{1, 1, 1}, {2, 2, 1}, {3, 3, 1}, {4, 4, 1}}, c.Buckets())
	values, ok := c.Values()
	assert.True(t, ok)
	assert.Equal(t, map[string]int64{"1": 1, "2": 1, "3": 1, "4": 1}, values)
}

func TestCategoriesAreCounted(t *testing.T) {
	p := build(t, Options{Top: 2}, tableOf(names("c", "b", "a", "", "b", "c", "\xff", "\xfe")))
	c := &p.Columns[0]
	assert.Equal(t, []ValueCount{{"b", 2}, {"�", 2}}, c.Top, "ties by value; other bytes than UTF-8 are replaced")
	assert.Equal(t, int64(2), c.Other)
	assert.Equal(t, int64(4), c.Distinct)
	assert.Equal(t, int64(1), c.Nulls)
	assert.Nil(t, c.Bins)
	assert.Nil(t, c.Numbers)
	assert.True(t, math.IsNaN(c.Quantile(0.5)))
}

func TestBooleansAndInstantsAreNumbers(t *testing.T) {
	at := func(s string) int64 {
		at, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return at.UnixNano()
	}
	p := build(t, Options{}, tableOf(
		dataset.Column{Name: "b", Kind: dataset.Boolean, Floats: []float64{0, 1, 1}},
		dataset.Column{Name: "t", Kind: dataset.Timestamp, Times: []int64{at("2013-01-02T00:00:00.123456789Z"), dataset.NullTime, at("2013-01-01T00:00:00Z")}},
	))
	assert.Equal(t, []ValueCount{{"true", 2}, {"false", 1}}, p.Columns[0].Top)
	assert.Equal(t, 2.0/3, p.Columns[0].Numbers.Mean)
	c := &p.Columns[1]
	assert.Equal(t, "2013-01-01T00:00:00Z", c.Oldest.Format(time.RFC3339Nano))
	assert.Equal(t, "2013-01-02T00:00:00.123456789Z", c.Newest.Format(time.RFC3339Nano))
	assert.Equal(t, float64(at("2013-01-01T00:00:00Z"))/1e9, c.Numbers.Min)
	assert.Equal(t, int64(1), c.Nulls)
}

func TestManyNumbersAreSketched(t *testing.T) {
	const n = 300_000
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, n)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	whole := tableOf(numbers("x", values...))
	p := build(t, Options{}, whole)
	c := &p.Columns[0]
	assert.False(t, c.Exact())
	assert.True(t, c.Estimated)
	assert.InEpsilon(t, n, c.Distinct, 3*distinctError(1))
	assert.Less(t, c.Resolution(), 0.005)
	sorted := slices.Sorted(slices.Values(values))
	for _, q := range []float64{0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.999, 1} {
		exact := sorted[int(q*(n-1))]
		assert.InDelta(t, exact, c.Quantile(q), 0.01*math.Abs(exact)+1e-4, "quantile %v", q)
	}
	buckets := c.Buckets()
	assert.LessOrEqual(t, len(buckets), maxBuckets)
	assert.Greater(t, 2*len(buckets), maxBuckets)
	rank := 0
	for i, b := range buckets {
		assert.LessOrEqual(t, b.Low, b.High)
		if i > 0 {
			assert.Less(t, buckets[i-1].High, b.Low)
		}
		first, _ := slices.BinarySearch(sorted, b.Low)
		require.Equal(t, rank, first, "bucket %d", i)
		rank += int(b.Count)
	}
	assert.Equal(t, n, rank)
	for i, count := range c.Bins.Counts {
		assert.InDelta(t, n/10, count, 0.01*n, "bin %d", i)
	}
}

func TestOfIsExactWhereTheSketchIsNot(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := make([]float64, 50_000)
	times := make([]int64, len(values))
	for i := range values {
		values[i] = math.Round(r.ExpFloat64()*1e4) / 1e4
		times[i] = int64(1.37e18 + r.Float64()*1e16)
	}
	values[7] = math.NaN()
	table := tableOf(numbers("x", values...), dataset.Column{Name: "t", Kind: dataset.Timestamp, Times: times})
	p, err := Of(table, Options{})
	require.NoError(t, err)
	for i := range p.Columns {
		c := &p.Columns[i]
		require.False(t, c.Exact())
		sorted := slices.Clone(values)
		if c.Name == "t" {
			for i, at := range times {
				sorted[i] = float64(at) / 1e9
			}
		}
		sorted = slices.DeleteFunc(sorted, math.IsNaN)
		slices.Sort(sorted)
		ranked := func(rank int64) float64 { return sorted[rank] }
		var deciles []float64
		for i := range 11 {
			deciles = append(deciles, linear(int64(len(sorted)), float64(i)*0.1, ranked))
		}
		assert.Equal(t, deciles[1:10], c.Bins.Edges)
		assert.True(t, c.Bins.Exact)
		var want []int64
		from := 0
		for _, edge := range append(deciles[1:10:10], math.Inf(1)) {
			to, _ := slices.BinarySearchFunc(sorted, edge, func(x, edge float64) int {
				if x <= edge {
					return -1
				}
				return 1
			})
			want = append(want, int64(to-from))
			from = to
		}
		assert.Equal(t, want, c.Bins.Counts)
		for i, share := range QuantileShares() {
			assert.Equal(t, linear(int64(len(sorted)), share, ranked), c.Numbers.Quantiles[i])
		}
	}
	again := roundTrip(t, p)
	assert.Equal(t, p, again)
}

func roundTrip(t require.TestingT, p *Profile) *Profile {
	data, err := json.Marshal(p)
	require.NoError(t, err)
	var out Profile
	require.NoError(t, json.Unmarshal(data, &out))
	return &out
}

func TestWorkersDontChangeAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var columns []dataset.Column
	for i := range 8 {
		values := make([]float64, 20_000)
		for j := range values {
			values[j] = r.NormFloat64() * math.Pow(10, float64(i))
		}
		columns = append(columns, numbers(strconv.Itoa(i), values...))
	}
	table := tableOf(columns...)
	assert.Equal(t, build(t, Options{Workers: 1}, table), build(t, Options{Workers: 4}, table))
}

func TestRowsMustHaveTheColumnsOfTheBeginning(t *testing.T) {
	b := NewBuilder(Options{})
	_, err := b.Profile()
	require.EqualError(t, err, "profile: no columns: Begin wasn't called")
	require.EqualError(t, b.Begin([]spec.ColumnRule{{Name: "x", Type: "float"}}),
		`profile: column "x": type "float": unknown, want one of number, integer, category, text, boolean, timestamp`)
	require.NoError(t, b.Begin([]spec.ColumnRule{{Name: "x", Type: "number"}}))
	require.EqualError(t, b.Add(tableOf(numbers("y", 1))), `profile: column 1 of the rows is number "y", want number "x"`)
	require.EqualError(t, b.Add(&dataset.Table{}), "profile: rows of 0 columns after a beginning with 1")
}

func TestASecondBeginningVoidsWhatWasSeen(t *testing.T) {
	b := NewBuilder(Options{})
	require.NoError(t, b.Begin([]spec.ColumnRule{{Name: "x", Type: "integer"}}))
	require.NoError(t, b.Add(tableOf(dataset.Column{Name: "x", Kind: dataset.Integer, Floats: []float64{1, 2}})))
	require.NoError(t, b.Begin([]spec.ColumnRule{{Name: "x", Type: "category"}}))
	require.NoError(t, b.Add(tableOf(names("x", "1", "2", "two"))))
	p, err := b.Profile()
	require.NoError(t, err)
	assert.Equal(t, build(t, Options{}, tableOf(names("x", "1", "2", "two"))), p)
}

func TestTheEstimateIsOfTheSetAndWithinItsError(t *testing.T) {
	for _, n := range []int{5_000, 40_000, 300_000} {
		values := make([]float64, 0, 2*n)
		dict := make([]string, n)
		codes := make([]int32, n)
		for i := range n {
			values = append(values, float64(i)/100, float64(n-1-i)/100) // each twice
			dict[i], codes[i] = "key-"+strconv.Itoa(i), int32(i)
		}
		once := columnsOf(t, numbers("x", values[:n]...))
		twice := columnsOf(t, numbers("x", values...))
		text := columnsOf(t, dataset.Column{Name: "x", Kind: dataset.Text, Dict: dict, Codes: codes})
		c := &twice.Columns[0]
		assert.True(t, c.Estimated)
		assert.InEpsilon(t, n, c.Distinct, 3*distinctError(1), "regular numbers")
		assert.InEpsilon(t, n, text.Columns[0].Distinct, 3*distinctError(1), "texts that differ in a digit")
		assert.LessOrEqual(t, once.Columns[0].Distinct, int64(n))
	}
}

func TestAFewThousandValuesAreExactAndOneMoreIsNot(t *testing.T) {
	values := make([]float64, maxBuckets+1)
	for i := range values {
		values[i] = float64(i) * 0.37
	}
	assert.True(t, columnsOf(t, numbers("x", values[:maxBuckets]...)).Columns[0].Exact())
	c := &columnsOf(t, numbers("x", values...)).Columns[0]
	assert.False(t, c.Exact())
	assert.True(t, c.Estimated)
	_, ok := c.Values()
	assert.False(t, ok)
}
