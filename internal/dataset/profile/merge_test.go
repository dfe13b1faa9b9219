package profile

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
)

// wildNumbers are columns such as break sums, sketches and sorts: constant, tied, huge, denormal, of both zeros, with
// and without nulls, exact and beyond the limit.
func wildNumbers() *rapid.Generator[[]float64] {
	return rapid.Custom(func(t *rapid.T) []float64 {
		n := rapid.SampledFrom([]int{0, 1, 2, 7, 1000, 4096, 9000}).Draw(t, "rows")
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		nulls := rapid.SampledFrom([]float64{0, 0, 0.1, 1}).Draw(t, "nulls")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		out := make([]float64, n)
		for i := range out {
			out[i] = wildNumber(r, kind)
			if r.Float64() < nulls {
				out[i] = math.NaN()
			}
		}
		return out
	})
}

func wildNumber(r *rand.Rand, kind int) float64 {
	switch kind {
	case 0:
		return r.NormFloat64()
	case 1:
		return 7.1
	case 2:
		return float64(r.IntN(3))
	case 3:
		return math.Copysign(0, r.Float64()-0.5)
	case 4: // huge or infinite
		return r.NormFloat64() * 1e308 / 8
	case 5:
		return math.Float64frombits(uint64(r.IntN(1 << 20))) // denormal
	case 6:
		return 1e9 + r.Float64()*1e-3
	case 7: // half of them tied
		if r.IntN(2) == 0 {
			return 0.3
		}
		return r.ExpFloat64()
	case 8: // any finite number
		for {
			if x := math.Float64frombits(r.Uint64()); x-x == 0 {
				return x
			}
		}
	}
	return float64(r.IntN(20_000)) / 100
}

// wildTable has a column of wild numbers, one of instants, one of categories and one of texts.
func wildTable(t *rapid.T) *dataset.Table {
	x := wildNumbers().Draw(t, "numbers")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
	few := rapid.SampledFrom([]int{1, 30, maxCategories, 3 * maxCategories}).Draw(t, "categories")
	long := rapid.SampledFrom([]string{"%d", "%0200d"}).Draw(t, "text")
	at := dataset.Column{Name: "t", Kind: dataset.Timestamp, Times: make([]int64, len(x))}
	c := dataset.Column{Name: "c", Kind: dataset.Category, Codes: make([]int32, len(x)), Dict: make([]string, few)}
	text := dataset.Column{Name: "text", Kind: dataset.Text, Codes: c.Codes, Dict: make([]string, few)}
	for i := range few {
		c.Dict[i], text.Dict[i] = fmt.Sprint(i), fmt.Sprintf(long, i)
	}
	for i := range x {
		at.Times[i] = 1.37e18 + r.Int64N(1<<uint(1+r.IntN(60)))
		c.Codes[i] = int32(r.IntN(few+1)) - 1
		if r.IntN(9) == 0 {
			at.Times[i] = dataset.NullTime
		}
	}
	return tableOf(numbers("x", x...), at, c, text)
}

// sameButMoments holds two profiles to each other to the bit, but for means and standard deviations, which are held to
// 1e-12 of the spread of the numbers.
func sameButMoments(t require.TestingT, want, got *Profile) {
	a, b := roundTrip(t, want), roundTrip(t, got)
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		if x.Numbers != nil && y.Numbers != nil {
			require.InDelta(t, 0, x.Numbers.Std/2-y.Numbers.Std/2, 1e-12*x.Numbers.Std+5e-324, "standard deviations %v and %v of %s", x.Numbers.Std, y.Numbers.Std, x.Name)
			scale := max(x.Numbers.Std, math.Abs(x.Numbers.Mean))
			require.InDelta(t, 0, x.Numbers.Mean/2-y.Numbers.Mean/2, 1e-12*scale+5e-324, "means %v and %v of %s", x.Numbers.Mean, y.Numbers.Mean, x.Name)
			y.Numbers.Mean, y.Numbers.Std, y.moments = x.Numbers.Mean, x.Numbers.Std, x.moments
		}
	}
	one, err := json.Marshal(a)
	require.NoError(t, err)
	two, err := json.Marshal(b)
	require.NoError(t, err)
	require.Equal(t, string(one), string(two))
	require.Equal(t, a, b)
}

func TestAnyShardsInAnyOrderMergeToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := wildTable(t)
		var o Options
		if rapid.Bool().Draw(t, "against") {
			reference, err := Of(wildTable(t), Options{})
			require.NoError(t, err)
			o.Against = reference
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "sharding"), 3))
		shards := make([][]int, rapid.IntRange(1, 6).Draw(t, "shards"))
		for row := range table.Rows {
			shard := r.IntN(len(shards)) * r.IntN(2)
			shards[shard] = append(shards[shard], row)
		}
		parts := make([]*Profile, len(shards))
		for i, rows := range shards {
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			cut := r.IntN(len(rows) + 1)
			parts[i] = roundTrip(t, build(t, o, table.Select(rows[:cut]), table.Select(rows[cut:])))
		}
		merged, err := Merge(parts...)
		require.NoError(t, err)
		sameButMoments(t, build(t, o, table), merged)
	})
}

// exactMoments are the mean and the standard deviation by exact sums.
func exactMoments(x []float64) (mean, std float64) {
	const digits = 4400 // bits from the greatest square to the least
	n := big.NewFloat(float64(len(x)))
	sum, squares := new(big.Float).SetPrec(digits), new(big.Float).SetPrec(digits)
	for _, v := range x {
		b := new(big.Float).SetPrec(digits).SetFloat64(v)
		sum.Add(sum, b)
		squares.Add(squares, new(big.Float).SetPrec(digits).Mul(b, b))
	}
	average := new(big.Float).SetPrec(digits).Quo(sum, n)
	squares.Quo(squares, n)
	squares.Sub(squares, new(big.Float).SetPrec(digits).Mul(average, average))
	mean, _ = average.Float64()
	if squares.Sign() > 0 {
		std, _ = squares.SetPrec(200).Sqrt(squares).Float64()
	}
	return mean, std
}

func TestMomentsAreThoseOfExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := slices.DeleteFunc(wildNumbers().Draw(t, "numbers"), func(x float64) bool { return x-x != 0 })
		if len(x) == 0 {
			return
		}
		c := &build(t, Options{}, tableOf(numbers("x", x...))).Columns[0]
		mean, std := exactMoments(x)
		scale := max(std, math.Abs(mean))
		require.InDelta(t, 0, c.Numbers.Mean/2-mean/2, 1e-12*scale+5e-324, "mean %v, want %v", c.Numbers.Mean, mean)
		require.InDelta(t, 0, c.Numbers.Std/2-std/2, 1e-12*std+5e-324, "standard deviation %v, want %v", c.Numbers.Std, std)
	})
}

func TestMergeRefusesWhatDoesNotBelongTogether(t *testing.T) {
	one := func(o Options, columns ...dataset.Column) *Profile { return build(t, o, tableOf(columns...)) }
	x := one(Options{}, numbers("x", 1))
	old := *x
	old.Version = 1
	for name, c := range map[string]struct {
		profiles []*Profile
		want     string
	}{
		"nothing":           {nil, "merge profiles: none given"},
		"another version":   {[]*Profile{x, &old}, "profile: version 1, want 2: its numbers mean something else; profile the data again"},
		"another column":    {[]*Profile{x, one(Options{}, numbers("y", 1))}, `merge profiles: column 1 of profile 2: "y", want "x"`},
		"another kind":      {[]*Profile{x, one(Options{}, names("x", "1"))}, `merge profiles: column 1 of profile 2: "x" is category, want number`},
		"more columns":      {[]*Profile{x, one(Options{}, numbers("x", 1), numbers("y", 1))}, "merge profiles: profile 2 has 2 columns, the first 1"},
		"another list":      {[]*Profile{x, one(Options{Top: 3}, numbers("x", 1))}, "merge profiles: profile 2 lists 3 values, the first 50"},
		"one reference":     {[]*Profile{x, one(Options{Against: x}, numbers("x", 1))}, `merge profiles: column 1 of profile 2: "x": counted against a reference in one profile and not in the other`},
		"another reference": {[]*Profile{one(Options{Against: one(Options{}, numbers("x", 1, 2, 3))}, numbers("x", 1)), one(Options{Against: x}, numbers("x", 1))}, `merge profiles: column 1 of profile 2: "x": counted against different references`},
	} {
		_, err := Merge(c.profiles...)
		require.EqualError(t, err, c.want, name)
	}
}

func TestShardsOfIntegersAndWithoutValuesMerge(t *testing.T) {
	whole := dataset.Column{Name: "x", Kind: dataset.Integer, Floats: []float64{1, 2}}
	empty := dataset.Column{Name: "x", Kind: dataset.Text, Codes: []int32{-1}}
	merged, err := Merge(columnsOf(t, empty), columnsOf(t, whole), columnsOf(t, numbers("x", 2.5)))
	require.NoError(t, err)
	c := &merged.Columns[0]
	assert.Equal(t, "number", c.Kind)
	assert.Equal(t, []Bucket{{1, 1, 1}, {2, 2, 1}, {2.5, 2.5, 1}}, c.Buckets())
	assert.Equal(t, int64(1), c.Nulls)
}

func columnsOf(t require.TestingT, c dataset.Column) *Profile { return build(t, Options{}, tableOf(c)) }
