package drift

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestKeysAreSortedHoweverManyAndHoweverSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var spare []uint64
	for _, n := range []int{0, 1, 2, 16, 17, 33, 200, 1000, 1024, 1025, 5000} {
		for _, width := range []uint8{0, 1, 4, 40, 52} {
			for _, among := range []uint64{1, 3, 1 << 20, math.MaxUint64} {
				start := r.Uint64() >> 12 << 52
				keys := make([]uint64, n)
				for i := range keys {
					keys[i] = start + r.Uint64N(among)%(1<<width)
					if width == 0 { // a bucket that keys have nothing in common in
						keys[i] = r.Uint64N(among)
					}
				}
				want := slices.Clone(keys)
				slices.Sort(want)
				spare = sortKeys(keys, spare, start, width)
				require.Equal(t, want, keys, "%d keys, width %d, among %d", n, width, among)
			}
		}
	}
}

func TestKeysHaveTheOrderOfTheirNumbers(t *testing.T) {
	finite := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)
	rapid.Check(t, func(t *rapid.T) {
		x, y := finite.Draw(t, "x"), finite.Draw(t, "y")
		require.Equal(t, x < y, keyOf(x) < keyOf(y))
		require.Equal(t, x == y, keyOf(x) == keyOf(y))
		require.Equal(t, x, valueOf(keyOf(x))+0)
		require.Equal(t, x < y, positionOf(keyOf(x)) < positionOf(keyOf(y)))
	})
	require.Equal(t, keyOf(0), keyOf(math.Copysign(0, -1)))
	require.Zero(t, positionOf(keyOf(0)))
}

func TestNumbersAreSortedAsTheStandardLibrarySortsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, s := range shapes() {
		for _, n := range []int{3, 1000, 5000} {
			x := slices.DeleteFunc(drawn(s, r, n), math.IsNaN)
			want := slices.Clone(x)
			slices.Sort(want)
			sortNumbers(x)
			require.True(t, slices.Equal(want, x), s.name) // minus zero equals zero
		}
	}
}

// TestAnIntegralIsExact compares with rational arithmetic.
func TestAnIntegralIsExact(t *testing.T) {
	finite := rapid.OneOf(rapid.Float64Range(-1e3, 1e3), rapid.Float64Range(-1e-300, 1e-300), rapid.Float64Range(-1e290, 1e290), rapid.Just(0.0))
	sum := &integral{least: binades, most: -1}
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(finite, 2, 12).Draw(t, "points")
		slices.Sort(points)
		sum.reset()
		want := new(big.Rat)
		for i, x := range points[1:] {
			height := rapid.Uint64Range(0, 1<<40).Draw(t, "height")
			sum.constant(height, positionOf(keyOf(points[i])), positionOf(keyOf(x)))
			width := new(big.Rat).Sub(new(big.Rat).SetFloat64(x), new(big.Rat).SetFloat64(points[i]))
			want.Add(want, width.Mul(width, new(big.Rat).SetFloat64(float64(height))))
		}
		expected, _ := want.Float64()
		require.InEpsilon(t, 1+expected, 1+sum.value(), 1e-14)
		if expected > 1e-290 {
			require.InEpsilon(t, expected, sum.value(), 1e-14)
		}
	})
}
