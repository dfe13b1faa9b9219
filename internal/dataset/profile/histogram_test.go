package profile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
)

func columnOf(t require.TestingT, c dataset.Column) *Column {
	return &build(t, Options{}, tableOf(c)).Columns[0]
}

func TestHistogramsGiveFewValuesABarEach(t *testing.T) {
	edges, a, b := Histograms(columnOf(t, numbers("x", 0, 0, 1, 10)), columnOf(t, numbers("x", 1, 3)), 10)
	assert.Equal(t, []float64{-0.5, 0.5, 2, 6.5, 13.5}, edges)
	assert.Equal(t, []int64{2, 1, 0, 1}, a)
	assert.Equal(t, []int64{0, 1, 1, 0}, b)
}

func TestHistogramsOfIntegersGiveEachBarAsManyOfThem(t *testing.T) {
	c := dataset.Column{Name: "x", Kind: dataset.Integer}
	for i := range 100 {
		c.Floats = append(c.Floats, float64(i))
	}
	edges, a, b := Histograms(columnOf(t, c), nil, 30)
	assert.Equal(t, slices.Repeat([]int64{4}, 25), a)
	assert.Equal(t, make([]int64, 25), b)
	assert.Equal(t, -0.5, edges[0])
}

func TestHistogramsLeaveNoRoomToOutliersButCountThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := numbers("x", 1e12, -1e12)
	for range 20_000 {
		c.Floats = append(c.Floats, r.NormFloat64())
	}
	edges, a, _ := Histograms(columnOf(t, c), nil, 40)
	assert.Len(t, a, 40)
	assert.InDelta(t, -2.6, edges[0], 0.2)
	assert.InDelta(t, 2.6, edges[40], 0.2)
	assert.InDelta(t, 20_002*0.398*0.129, float64(a[20]), 150)
	assert.Equal(t, int64(20_002), sumOf(a))
}

func sumOf(counts []int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestHistogramsCountEverythingBetweenAscendingEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := wildNumbers().Draw(t, "ref")
		y := wildNumbers().Draw(t, "cur")
		ref, cur := columnOf(t, numbers("x", x...)), columnOf(t, numbers("x", y...))
		edges, a, b := Histograms(ref, cur, rapid.IntRange(1, 60).Draw(t, "bars"))
		if ref.Count+cur.Count == 0 {
			assert.Empty(t, edges)
			return
		}
		require.Len(t, edges, len(a)+1)
		assert.Equal(t, ref.Count, sumOf(a))
		assert.Equal(t, cur.Count, sumOf(b))
		for i := range edges {
			require.False(t, math.IsInf(edges[i], 0) || math.IsNaN(edges[i]))
			if i > 0 {
				require.LessOrEqual(t, edges[i-1], edges[i])
			}
		}
	})
}
