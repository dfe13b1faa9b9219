package drift

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// shape draws n numbers.
type shape struct {
	name string
	draw func(r *rand.Rand, i int) float64
}

func shapes() []shape {
	return []shape{
		{"normal", func(r *rand.Rand, _ int) float64 { return r.NormFloat64() }},
		{"normal, two decimals", func(r *rand.Rand, _ int) float64 { return math.Round(r.NormFloat64()*100) / 100 }},
		{"uniform", func(r *rand.Rand, _ int) float64 { return r.Float64() }},
		{"whole numbers", func(r *rand.Rand, _ int) float64 { return float64(r.IntN(10_000)) }},
		{"minutes, of both signs", func(r *rand.Rand, _ int) float64 { return math.Trunc(r.ExpFloat64()*40) - 15 }},
		{"Cauchy", func(r *rand.Rand, _ int) float64 { return math.Tan(math.Pi * (r.Float64() - 0.5)) }},
		{"lognormal, heavy", func(r *rand.Rand, _ int) float64 { return math.Exp(5 * r.NormFloat64()) }},
		{"instants", func(r *rand.Rand, _ int) float64 { return 1.7e9 + r.Float64()*1e6 }},
		{"far from zero, close together", func(r *rand.Rand, _ int) float64 { return 1e12 + r.NormFloat64()*1e-3 }},
		{"two lumps", func(r *rand.Rand, _ int) float64 { return float64(r.IntN(2))*1e6 + r.NormFloat64() }},
		{"half of them zero", func(r *rand.Rand, _ int) float64 { return math.Copysign(max(r.NormFloat64(), 0), r.NormFloat64()) }},
		{"one value", func(*rand.Rand, int) float64 { return 7.25 }},
		{"three values", func(r *rand.Rand, _ int) float64 { return float64(r.IntN(3)) - 1 }},
		{"twenty values", func(r *rand.Rand, _ int) float64 { return float64(r.IntN(20)) / 8 }},
		{"twenty-one values", func(r *rand.Rand, _ int) float64 { return float64(r.IntN(21)) / 8 }},
		{"some missing", func(r *rand.Rand, _ int) float64 {
			if r.IntN(5) == 0 {
				return math.NaN()
			}
			return r.NormFloat64()
		}},
		{"infinities among them", func(r *rand.Rand, _ int) float64 {
			if r.IntN(50) == 0 {
				return math.Inf(r.IntN(2)*2 - 1)
			}
			return r.NormFloat64()
		}},
		{"denormals", func(r *rand.Rand, _ int) float64 { return float64(r.IntN(1000)-500) * 5e-324 }},
		{"every magnitude", func(r *rand.Rand, _ int) float64 {
			return math.Copysign(math.Exp(r.Float64()*600-300), r.NormFloat64())
		}},
		{"ascending", func(_ *rand.Rand, i int) float64 { return float64(i) }},
		{"a sample that says nothing", func(r *rand.Rand, i int) float64 {
			if i%3 == 0 {
				return 5
			}
			return r.NormFloat64()
		}},
	}
}

func drawn(s shape, r *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = s.draw(r, i)
	}
	return out
}

func finite(x []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(x), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// sameAsSorted holds a digest to what sorting finds.
func sameAsSorted(t require.TestingT, g *digester, ref, cur []float64, what string) {
	d, ok := g.digest(ref, cur)
	x, y := finite(ref), finite(cur)
	if len(x) == 0 || len(y) == 0 {
		require.False(t, ok, what)
		return
	}
	if !ok {
		extreme := !moderate(slices.Min(x)) || !moderate(slices.Max(x)) || max(slices.Max(y), -slices.Min(y)) > 1e290
		require.True(t, extreme, what)
		return
	}
	want := merge(sorted(x), sorted(y))
	require.Equal(t, []int{len(x), len(y), want.distinct}, []int{d.n, d.m, d.distinct}, what)
	require.Equal(t, []int64{want.gap, want.lcm}, []int64{d.gap, d.lcm}, what)
	p, q := want.shares()
	require.Equal(t, p, d.p, what)
	require.Equal(t, q, d.q, what)
	within := func(want, got float64, name string) {
		require.LessOrEqual(t, math.Abs(got-want), 1e-11*math.Abs(want), "%s, %s: observed %v, expected %v", what, name, got, want)
	}
	within(want.area, d.area, "area")
	if unit := deviation(want.ref); unit > 0 && unit > 1e-14*math.Abs(want.ref[0]) {
		within(unit, d.unit, "deviation")
	}
	if d.distinct <= maxValueBins {
		a, b := want.counts()
		c, e := d.counts()
		require.Equal(t, []Counts{a, b}, []Counts{c, e}, what)
	}
}

func TestADigestFindsWhatSortingFinds(t *testing.T) {
	n := 40_000
	if testing.Short() {
		n = 10_000
	}
	g := &digester{}
	r := rand.New(rand.NewPCG(7, 7))
	for _, s := range shapes() {
		for _, c := range []struct {
			name  string
			m     int
			shift func(float64) float64
		}{
			{"same distribution", n, func(x float64) float64 { return x }},
			{"other size", n - 1237, func(x float64) float64 { return x }},
			{"shifted", n, func(x float64) float64 { return x*1.01 + 0.01 }},
			{"far away", n, func(x float64) float64 { return x + 1e5 }},
			{"few", 3, func(x float64) float64 { return x }},
		} {
			ref, cur := drawn(s, r, n), drawn(s, r, c.m)
			for i := range cur {
				cur[i] = c.shift(cur[i])
			}
			sameAsSorted(t, g, ref, cur, s.name+", "+c.name)
		}
		ref := drawn(s, r, n)
		sameAsSorted(t, g, ref, ref, s.name+", itself")
	}
}

func TestADigestOfAnyNumbersFindsWhatSortingFinds(t *testing.T) {
	g := &digester{}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.OneOf(someNumbers(), rapid.SliceOfN(rapid.Float64(), 1, 50), rapid.SliceOfN(rapid.Float64Range(-1e120, 1e120), 1, 200))
		sameAsSorted(t, g, values.Draw(t, "ref"), values.Draw(t, "cur"), "any")
	})
}

func TestTheOrderOfRowsChangesNoBitOfADigest(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, s := range shapes() {
		g := &digester{}
		ref, cur := drawn(s, r, 20_000), drawn(s, r, 15_000)
		first, ok := g.digest(ref, cur)
		r.Shuffle(len(ref), func(i, j int) { ref[i], ref[j] = ref[j], ref[i] })
		slices.Reverse(cur)
		second, again := g.digest(ref, cur)
		assert.Equal(t, ok, again, s.name)
		assert.Equal(t, first, second, s.name)
	}
}

// FuzzDigest takes the input's bytes for two samples of floats of any bits.
func FuzzDigest(f *testing.F) {
	bytesOf := func(x ...float64) (out []byte) {
		for _, v := range x {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		}
		return out
	}
	f.Add(bytesOf(1, 2, 3, 4, 5, 6), uint16(3))
	f.Add(bytesOf(0, math.Copysign(0, -1), math.Inf(1), math.NaN(), 5e-324, -5e-324, 1e308, -1e308), uint16(4))
	f.Add(bytesOf(slices.Repeat([]float64{7, 7, 7.5}, 30)...), uint16(45))
	g := &digester{}
	f.Fuzz(func(t *testing.T, raw []byte, cut uint16) {
		var x []float64
		for ; len(raw) >= 8; raw = raw[8:] {
			x = append(x, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		}
		at := min(int(cut), len(x))
		sameAsSorted(t, g, x[:at], x[at:], "any bits")
	})
}

func BenchmarkDigest(b *testing.B) {
	const n = 1_000_000
	r := rand.New(rand.NewPCG(9, 9))
	for _, s := range shapes() {
		ref, cur := drawn(s, r, n), drawn(s, r, n)
		b.Run(s.name, func(b *testing.B) {
			g, best := &digester{}, time.Duration(math.MaxInt64)
			for b.Loop() {
				began := time.Now()
				g.digest(ref, cur)
				best = min(best, time.Since(began))
			}
			b.ReportMetric(float64(best.Nanoseconds())/(2*n), "ns/value") // the best: others may use the machine
		})
	}
}
