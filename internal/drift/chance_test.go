package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
)

// draws are n categories of k, the later ones rarer.
func draws(name string, r *rand.Rand, n, k int, shift float64) dataset.Column {
	dict := make([]string, k)
	for i := range dict {
		dict[i] = fmt.Sprint(i)
	}
	return categoryColumn(name, n, dict, func(int) int32 {
		u := r.Float64()
		return int32(math.Min(float64(k)*(u*u+shift*r.Float64()), float64(k-1)))
	})
}

func TestManyCategoriesInFewRowsAreNoAlert(t *testing.T) {
	const windows = 60
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []struct{ categories, reference, current int }{{500, 20_000, 1000}, {900, 3000, 1200}, {30, 2000, 100}, {3, 1500, 50}} {
		alerts, over := 0, 0
		for range windows {
			ref, cur := table(draws("c", r, size.reference, size.categories, 0)), table(draws("c", r, size.current, size.categories, 0))
			got, err := compareFeatures(ref, cur, []string{"c"}, monitor())
			require.NoError(t, err)
			if got.Alert || got.Drifted > 0 {
				alerts++
			}
			if got.Columns[0].PSI > monitor().PSI {
				over++
			}
		}
		t.Logf("%d categories, %d rows: %d of %d windows over the PSI limit, %d alerts", size.categories, size.current, over, windows, alerts)
		assert.LessOrEqual(t, alerts, 1, "%+v", size)
	}
}

func TestDriftAmongManyCategoriesIsAnAlert(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	ref := table(draws("c", r, 20_000, 500, 0))
	for name, cur := range map[string]*dataset.Table{
		"values moved":  table(draws("c", r, 1000, 500, 0.3)),
		"values unseen": table(draws("c", r, 1000, 1000, 0.5)),
	} {
		got, err := compareFeatures(ref, cur, []string{"c"}, monitor())
		require.NoError(t, err)
		assert.True(t, got.Alert, "%s: %+v", name, got.Columns[0])
		assert.Equal(t, []string{"c"}, got.DriftedNames(), name)
	}
}

// The moments are exact: shuffling the values of both samples gives them.
func TestTheNullMomentsAreThoseOfAShuffle(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, m, k, shuffles = 60, 25, 20, 20_000
	values := make([]int, n+m)
	for i := range values {
		values[i] = int(k * r.Float64() * r.Float64())
	}
	chance := 0
	for range shuffles {
		r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		p, q := make([]float64, k), make([]float64, k)
		for i, v := range values {
			if i < n {
				p[v] += 1.0 / n
			} else {
				q[v] += 1.0 / m
			}
		}
		if byChance(p, q, n, m) {
			chance++
		}
	}
	assert.InDelta(t, 1-chanceLimit, float64(chance)/shuffles, 0.002)
	assert.True(t, byChance([]float64{1}, []float64{1}, 10, 10), "one bin can't differ")
	equal := slices.Repeat([]float64{0.25}, 4)
	assert.True(t, byChance(equal, equal, 1000, 1000))
	assert.False(t, byChance([]float64{1, 0}, []float64{0, 1}, 100, 100))
}
