package drift

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// someNumbers draws samples with ties, constants and wild magnitudes among them.
func someNumbers() *rapid.Generator[[]float64] {
	return rapid.OneOf(
		rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 120),
		rapid.Map(rapid.SliceOfN(rapid.IntRange(-8, 8), 1, 120), func(ints []int) []float64 {
			out := make([]float64, len(ints))
			for i, n := range ints {
				out[i] = float64(n)
			}
			return out
		}),
		rapid.SliceOfN(rapid.Float64Range(-1e300, 1e300), 1, 30),
	)
}

func someCounts() *rapid.Generator[Counts] {
	return rapid.Map(
		rapid.MapOfN(rapid.StringMatching(`[a-f]`), rapid.Int64Range(0, 5000), 1, 6),
		func(m map[string]int64) Counts { m["a"]++; return m },
	)
}

func TestASampleAgainstItselfHasNoDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := someNumbers().Draw(t, "x")
		d, p := KS(x, x)
		require.Equal(t, []float64{0, 1, 0, 0, 0}, []float64{d, p, PSI(x, x), JS(x, x), Wasserstein(x, x)})
		c := someCounts().Draw(t, "c")
		chi2, p, _ := ChiSquare(c, c)
		require.InDelta(t, 0, chi2, 1e-9)
		require.InDelta(t, 1, p, 1e-9)
		require.Equal(t, []float64{0, 0}, []float64{PSICategories(c, c), JSCategories(c, c)})
	})
}

func TestSwappingTheSamplesChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := someNumbers().Draw(t, "x"), someNumbers().Draw(t, "y")
		d1, p1 := KS(x, y)
		d2, p2 := KS(y, x)
		require.Equal(t, d1, d2)
		require.InEpsilon(t, p1, p2, 1e-9)
		a, b := someCounts().Draw(t, "a"), someCounts().Draw(t, "b")
		require.InDelta(t, PSICategories(a, b), PSICategories(b, a), 1e-12)
		require.InDelta(t, JSCategories(a, b), JSCategories(b, a), 1e-12)
		chiAB, _, _ := ChiSquare(a, b)
		chiBA, _, _ := ChiSquare(b, a)
		require.InDelta(t, chiAB, chiBA, 1e-9*(1+chiAB))
		zAB, pAB := ZTest(a["a"], a.Total(), b["a"], b.Total())
		zBA, pBA := ZTest(b["a"], b.Total(), a["a"], a.Total())
		require.InDelta(t, zAB, -zBA, 1e-9)
		require.InDelta(t, pAB, pBA, 1e-9)
	})
}

func TestTheOrderOfValuesChangesNoBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := someNumbers().Draw(t, "x"), someNumbers().Draw(t, "y")
		shuffled := rapid.Permutation(x).Draw(t, "shuffled")
		kept := slices.Clone(x)
		d1, p1 := KS(x, y)
		d2, p2 := KS(shuffled, y)
		require.Equal(t, []float64{d1, p1, PSI(x, y), JS(x, y), Wasserstein(x, y)},
			[]float64{d2, p2, PSI(shuffled, y), JS(shuffled, y), Wasserstein(shuffled, y)})
		require.Equal(t, kept, x, "the caller's slice keeps its order")
	})
}

func TestKSDoesNotChangeUnderAMonotoneTransform(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		integers := rapid.SliceOfN(rapid.IntRange(-500, 500), 1, 100)
		x, y := integers.Draw(t, "x"), integers.Draw(t, "y")
		plain, bent := func(n int) float64 { return float64(n) }, func(n int) float64 { return math.Exp(float64(n) / 100) }
		d1, p1 := KS(apply(x, plain), apply(y, plain))
		d2, p2 := KS(apply(x, bent), apply(y, bent))
		require.Equal(t, []float64{d1, p1}, []float64{d2, p2})
	})
}

func TestWassersteinFollowsShiftAndScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		integers := rapid.SliceOfN(rapid.IntRange(-500, 500), 2, 100)
		x, y := integers.Draw(t, "x"), integers.Draw(t, "y")
		if slices.Max(x) == slices.Min(x) {
			t.Skip("the floor of the deviation has a unit")
		}
		plain, moved := func(n int) float64 { return float64(n) }, func(n int) float64 { return 3*float64(n) + 1000 }
		require.InDelta(t, Wasserstein(apply(x, plain), apply(y, plain)), Wasserstein(apply(x, moved), apply(y, moved)), 1e-9)
	})
}

func TestStatisticsStayInTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := someNumbers().Draw(t, "x"), someNumbers().Draw(t, "y")
		d, p := KS(x, y)
		between(t, 0, d, 1)
		between(t, 0, p, 1)
		between(t, 0, PSI(x, y), math.Inf(1))
		between(t, 0, JS(x, y), math.Sqrt(math.Ln2)+1e-12)
		between(t, 0, Wasserstein(x, y), math.MaxFloat64)
		a, b := someCounts().Draw(t, "a"), someCounts().Draw(t, "b")
		between(t, 0, PSICategories(a, b), math.Inf(1))
		_, p, _ = ChiSquare(a, b)
		between(t, 0, p, 1)
	})
}

func between(t require.TestingT, low, x, high float64) {
	if !(x >= low && x <= high) {
		require.Failf(t, "out of range", "observed %v, expected %v to %v", x, low, high)
	}
}

func apply(ints []int, f func(int) float64) []float64 {
	out := make([]float64, len(ints))
	for i, n := range ints {
		out[i] = f(n)
	}
	return out
}

// TestKSExactPValueCountsEveryPath compares the recursion with the definition on samples so small that all orders of
// their values can be listed.
func TestKSExactPValueCountsEveryPath(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for m := 1; m <= 6; m++ {
			divisor := gcd(n, m)
			stepN, stepM := m/divisor, n/divisor
			for h := 1; h <= n*stepN; h++ {
				all, out := countPaths(n, m, stepN, stepM, h, 0, 0, false)
				want := float64(out) / float64(all)
				assert.InDelta(t, want, outsideLines(n, m, int64(h)), 1e-12, "n=%d m=%d h=%d", n, m, h)
				if n == m {
					assert.InDelta(t, want, outsideSquare(n, h), 1e-12, "n=m=%d h=%d", n, h)
				}
			}
		}
	}
}

func countPaths(n, m, stepN, stepM, h, i, j int, left bool) (all, out int) {
	if difference := i*stepN - j*stepM; difference >= h || -difference >= h {
		left = true
	}
	if i == n && j == m {
		if left {
			return 1, 1
		}
		return 1, 0
	}
	for _, next := range [][2]int{{i + 1, j}, {i, j + 1}} {
		if next[0] <= n && next[1] <= m {
			a, o := countPaths(n, m, stepN, stepM, h, next[0], next[1], left)
			all, out = all+a, out+o
		}
	}
	return all, out
}

func TestEmptySamplesHaveNoStatistic(t *testing.T) {
	some, counts := []float64{1, 2}, Counts{"a": 3}
	for _, pair := range [][2][]float64{{nil, some}, {some, nil}, {nil, nil}} {
		d, p := KS(pair[0], pair[1])
		for _, x := range []float64{d, p, PSI(pair[0], pair[1]), JS(pair[0], pair[1]), Wasserstein(pair[0], pair[1])} {
			assert.True(t, math.IsNaN(x))
		}
	}
	for _, pair := range [][2]Counts{{nil, counts}, {counts, nil}, {{"a": 0}, counts}} {
		d, p, _ := ChiSquare(pair[0], pair[1])
		for _, x := range []float64{d, p, PSICategories(pair[0], pair[1]), JSCategories(pair[0], pair[1])} {
			assert.True(t, math.IsNaN(x))
		}
	}
	z, p := ZTest(0, 0, 1, 2)
	assert.True(t, math.IsNaN(z) && math.IsNaN(p))
}

func TestOneCategoryOrOneShareCannotDiffer(t *testing.T) {
	statistic, p, freedom := ChiSquare(Counts{"a": 10}, Counts{"a": 90})
	assert.Equal(t, []float64{0, 1, 0}, []float64{statistic, p, float64(freedom)})
	z, p := ZTest(10, 10, 30, 30)
	assert.Equal(t, []float64{0, 1}, []float64{z, p})
}

func TestAValueOnAnEdgeBelongsToTheLowerBin(t *testing.T) {
	ref := make([]float64, 0, 101)
	for i := range 101 {
		ref = append(ref, float64(i)) // deciles at 0, 10, ... 100
	}
	assert.InDeltaSlice(t, []float64{10, 20, 30, 40, 50, 60, 70, 80, 90}, deciles(ref), 1e-12)
	assert.Equal(t, []float64{0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0}, binned([]float64{10, 10.5}, deciles(ref)))
	assert.Equal(t, []float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 1}, binnedTwice(-1e9, 1e9, deciles(ref)), "the outer bins are open")
}

func binnedTwice(low, high float64, edges []float64) []float64 {
	out := binned([]float64{low, high}, edges)
	for i := range out {
		out[i] *= 2
	}
	return out
}
