package drift

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/leanloop/leanloop/internal/dataset"
)

// chanceOfFailure is how seldom a right test fails here by chance, if its seed were drawn anew.
const chanceOfFailure = 1e-4

// within holds a number of alarms to the binomial distribution: so many of so many, each with the given chance. A test of
// discrete data alarms in no more cases than that, and may in fewer: low is then 0.
func within(t *testing.T, name string, alarms, pairs int, chance float64, discrete bool) {
	t.Helper()
	alarm := distuv.Binomial{N: float64(pairs), P: chance}
	t.Logf("%s: %d of %d pairs of one distribution alarm, %.1f %%", name, alarms, pairs, 100*float64(alarms)/float64(pairs))
	assert.Greater(t, 1-alarm.CDF(float64(alarms)-1), chanceOfFailure, "%s: more alarms than chance has", name)
	if !discrete {
		assert.Greater(t, alarm.CDF(float64(alarms)), chanceOfFailure, "%s: fewer alarms than chance has", name)
	}
}

// sampled are n numbers.
func sampled(r *rand.Rand, n int, draw func(*rand.Rand) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = draw(r)
	}
	return out
}

func normal(r *rand.Rand) float64 { return r.NormFloat64() }

// counted are n draws of k categories, the later ones rarer.
func counted(r *rand.Rand, n, k int) Counts {
	out := Counts{}
	for range n {
		out[fmt.Sprint(min(r.IntN(k), r.IntN(k)))]++
	}
	return out
}

// TestOneDistributionAlarmsInFivePercentOfPairs draws pairs from one distribution: a test at p < 0.05 alarms in 5 % of
// them, give or take sampling error.
func TestOneDistributionAlarmsInFivePercentOfPairs(t *testing.T) {
	pairs := 1000
	if testing.Short() {
		pairs = 200
	}
	size := func(r *rand.Rand) (n, m int) { return 300 + r.IntN(200), 300 + r.IntN(200) }
	for seed, c := range []struct {
		name string
		// discrete tests have only some p-values; where these are many, 5 % is nearly met all the same.
		discrete bool
		p        func(r *rand.Rand) float64
	}{
		{"ks, exact", false, func(r *rand.Rand) float64 {
			n, m := size(r)
			_, p := KS(sampled(r, n, normal), sampled(r, m, normal))
			return p
		}},
		{"ks, exact, equal sizes", true, func(r *rand.Rand) float64 {
			_, p := KS(sampled(r, 400, normal), sampled(r, 400, normal))
			return p
		}},
		{"ks, asymptotic", false, func(r *rand.Rand) float64 {
			_, p := KS(sampled(r, maxExact+1, normal), sampled(r, 3000+r.IntN(3000), normal))
			return p
		}},
		// The exact p-value is that of numbers without ties. Ties leave fewer places where the distribution functions can
		// part, so it is too large, and the test conservative.
		{"ks, of ties", true, func(r *rand.Rand) float64 {
			n, m := size(r)
			die := func(r *rand.Rand) float64 { return float64(r.IntN(6)) }
			_, p := KS(sampled(r, n, die), sampled(r, m, die))
			return p
		}},
		{"chi2", false, func(r *rand.Rand) float64 {
			n, m := size(r)
			_, p, _ := ChiSquare(counted(r, n, 6), counted(r, m, 6))
			return p
		}},
		{"ztest", false, func(r *rand.Rand) float64 {
			n, m := size(r)
			a, b := counted(r, n, 2), counted(r, m, 2)
			_, p := ZTest(a["0"], a.Total(), b["0"], b.Total())
			return p
		}},
		{"missing values", false, func(r *rand.Rand) float64 {
			n, m := size(r)
			a, b := counted(r, n, 3), counted(r, m, 3)
			e := evidence{refMissing: a["2"], refSize: int64(n) - a["2"], curMissing: b["2"], curSize: int64(m) - b["2"]}
			return *e.compareMissing().PValue
		}},
	} {
		r := rand.New(rand.NewPCG(2013, uint64(seed)))
		alarms := 0
		for range pairs {
			if c.p(r) < PValueLimit {
				alarms++
			}
		}
		within(t, c.name, alarms, pairs, PValueLimit, c.discrete)
	}
}

// TestBenjaminiHochbergHoldsTheShareOfFalseDiscoveries compares tables of 20 columns, 5 of which drifted: of the columns
// that it names, 5 % at most are expected to be false (it is 5 % times the share of columns that didn't drift), while
// nearly all that drifted are found. Uncorrected, every other table would have a false one.
func TestBenjaminiHochbergHoldsTheShareOfFalseDiscoveries(t *testing.T) {
	windows := 300
	if testing.Short() {
		windows = 60
	}
	const columns, drifted, rows = 20, 5, 250
	r := rand.New(rand.NewPCG(2013, 99))
	share, found, spoiled := map[string]float64{}, 0, map[string]int{}
	for range windows {
		ref, cur := &dataset.Table{Rows: rows}, &dataset.Table{Rows: rows}
		for i := range columns {
			by := 0.0
			if i < drifted {
				by = 0.5
			}
			moved := func(r *rand.Rand) float64 { return r.NormFloat64() + by }
			name := fmt.Sprintf("c%02d", i)
			ref.Columns = append(ref.Columns, dataset.Column{Name: name, Kind: dataset.Number, Floats: sampled(r, rows, normal)})
			cur.Columns = append(cur.Columns, dataset.Column{Name: name, Kind: dataset.Number, Floats: sampled(r, rows, moved)})
		}
		for _, correction := range []string{"", CorrectionBH} {
			got, err := CompareTables(ref, cur, Options{Correction: correction})
			require.NoError(t, err)
			wrong := 0
			for _, c := range got.Columns {
				switch {
				case !c.Drifted:
				case c.Name >= fmt.Sprintf("c%02d", drifted):
					wrong++
				case correction == CorrectionBH:
					found++
				}
			}
			share[correction] += float64(wrong) / float64(max(got.Drifted, 1)) / float64(windows)
			if wrong > 0 {
				spoiled[correction]++
			}
		}
	}
	t.Logf("false among the named: %.3f, uncorrected %.3f; found %d of %d; windows with a false one: %d, uncorrected %d of %d",
		share[CorrectionBH], share[""], found, drifted*windows, spoiled[CorrectionBH], spoiled[""], windows)
	assert.LessOrEqual(t, share[CorrectionBH], PValueLimit)
	assert.Greater(t, share[""], 0.08)
	assert.Greater(t, found, drifted*windows*9/10)
}

func TestBenjaminiHochbergAdjustsAsSciPy(t *testing.T) {
	// scipy.stats.false_discovery_control([0.01, 0.02, 0.03, 0.04, 0.05]) and two more.
	for _, c := range []struct{ p, want []float64 }{
		{[]float64{0.01, 0.02, 0.03, 0.04, 0.05}, []float64{0.05, 0.05, 0.05, 0.05, 0.05}},
		{[]float64{0.8, 0.001, 0.04, 0.04}, []float64{0.8, 0.004, 0.16 / 3, 0.16 / 3}},
		{[]float64{1, 0.9}, []float64{1, 1}},
		{[]float64{0.03}, []float64{0.03}},
		{nil, []float64{}},
	} {
		assert.InDeltaSlice(t, c.want, BenjaminiHochberg(c.p), 1e-15)
	}
}
