package drift

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
)

// movable are distributions of a column, moved by so many standard deviations.
var movable = map[string]func(r *rand.Rand, moved float64) float64{
	"normal":    func(r *rand.Rand, moved float64) float64 { return r.NormFloat64() + moved },
	"lognormal": func(r *rand.Rand, moved float64) float64 { return math.Exp(r.NormFloat64()) + 2.16*moved },
	"uniform":   func(r *rand.Rand, moved float64) float64 { return r.Float64() + 0.289*moved },
	"counts":    func(r *rand.Rand, moved float64) float64 { return math.Floor(12*r.ExpFloat64() + 12*moved) },
}

func valueColumn(name string, values []float64) dataset.Column {
	return numberColumn(name, len(values), func(i int) float64 { return values[i] })
}

// compared is one window against a reference, by the rows themselves or by their profiles.
func compared(t *testing.T, ref, cur []float64, profiles bool) ColumnResult {
	t.Helper()
	a, b := table(valueColumn("x", ref)), table(valueColumn("x", cur))
	o := Options{Columns: []string{"x"}, MaxDrifted: 0}
	var got Result
	var err error
	if profiles {
		p, e := profile.Of(a, profile.Options{})
		require.NoError(t, e)
		q, e := profile.Of(b, profile.Options{Against: p})
		require.NoError(t, e)
		got, err = CompareProfiles(p, q, o)
	} else {
		got, err = CompareTables(a, b, o)
	}
	require.NoError(t, err)
	require.Equal(t, MethodWasserstein, got.Columns[0].Method)
	return got.Columns[0]
}

func TestSmallWindowsDoNotDriftByLuck(t *testing.T) {
	references, repeats := []int{20_000, largeSamples + 1}, 40
	if testing.Short() {
		references, repeats = references[:1], 15
	}
	for name, draw := range movable {
		for _, size := range references {
			for _, profiles := range []bool{false, true} {
				r := rand.New(rand.NewPCG(7, uint64(size)))
				ref := sampled(r, size, func(r *rand.Rand) float64 { return draw(r, 0) })
				windows, far, counted := 0, 0, 0
				for _, rows := range []int{30, 100, 300} {
					for range repeats {
						c := compared(t, ref, sampled(r, rows, func(r *rand.Rand) float64 { return draw(r, 0) }), profiles)
						windows++
						if c.Statistic >= DistanceLimit {
							far++
						}
						if c.counts() {
							counted++
						}
					}
				}
				t.Logf("%s, %d reference rows, profiles %v: %d of %d windows are over the limit, %d count", name, size, profiles, far, windows, counted)
				assert.LessOrEqual(t, counted, 1, "%s, %d, %v: 0.1 %% of windows are to count", name, size, profiles)
				assert.Greater(t, far, windows/4, "%s, %d, %v: the distance itself is as it was", name, size, profiles)
			}
		}
	}
}

func TestARealShiftInASmallWindowCounts(t *testing.T) {
	for name, draw := range movable {
		for _, profiles := range []bool{false, true} {
			r := rand.New(rand.NewPCG(8, 9))
			ref := sampled(r, 20_000, func(r *rand.Rand) float64 { return draw(r, 0) })
			for _, c := range []struct {
				rows  int
				moved float64
			}{{100, 0.8}, {300, 0.5}, {2000, 0.2}} {
				missed := 0
				for range 10 {
					cur := sampled(r, c.rows, func(r *rand.Rand) float64 { return draw(r, c.moved) })
					if !compared(t, ref, cur, profiles).counts() {
						missed++
					}
				}
				assert.LessOrEqual(t, missed, 1, "%s, %d rows, moved by %g standard deviations, profiles %v", name, c.rows, c.moved, profiles)
			}
		}
	}
}

// The integral of sqrt(F (1-F)) of a uniform distribution is pi/8 of its range.
func TestTheSpreadOfAUniformDistribution(t *testing.T) {
	spans := spansOf(1000, func(rank int) float64 { return float64(rank) })
	assert.InEpsilon(t, 1000*math.Pi/8, deviations(spans, 1000), 0.01)
}

func TestSpansHoldEveryValueOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	for _, n := range []int{1, 2, 9, 100, 50_000} {
		values := sorted(sampled(r, n, func(r *rand.Rand) float64 { return math.Exp(2 * r.NormFloat64()) }))
		spans := spansOf(n, func(rank int) float64 { return values[rank] })
		total := 0.0
		for i, s := range spans {
			total += s.count
			assert.LessOrEqual(t, s.low, s.high)
			if i > 0 {
				assert.Equal(t, spans[i-1].high, s.low)
			}
		}
		assert.Equal(t, float64(n), total)
		assert.Equal(t, values[0], spans[0].low)
		assert.Equal(t, values[n-1], spans[len(spans)-1].high)
		assert.Less(t, len(spans), 300)
	}
}
