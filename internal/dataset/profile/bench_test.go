package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// chunkRows is how many rows a scan hands over at once, about.
const chunkRows = 1 << 13

// BenchmarkNumbers is the time of one number: ns/number.
func BenchmarkNumbers(b *testing.B) {
	const columns = 20
	for _, bench := range []struct {
		name string
		draw func(r *rand.Rand) float64
	}{
		{"normal", (*rand.Rand).NormFloat64},
		{"price", func(r *rand.Rand) float64 { return math.Round(r.ExpFloat64()*1e5) / 100 }},
		{"integer", func(r *rand.Rand) float64 { return float64(r.IntN(2000)) }},
		{"flag", func(r *rand.Rand) float64 { return float64(r.IntN(2)) }},
		{"nulls", func(r *rand.Rand) float64 {
			if r.IntN(20) == 0 {
				return math.NaN()
			}
			return r.NormFloat64()
		}},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		chunks := make([]*dataset.Table, 8)
		for i := range chunks {
			t := &dataset.Table{Rows: chunkRows, Columns: make([]dataset.Column, columns)}
			for j := range t.Columns {
				values := make([]float64, chunkRows)
				for k := range values {
					values[k] = bench.draw(r)
				}
				t.Columns[j] = numbers(string(rune('a'+j)), values...)
			}
			chunks[i] = t
		}
		for _, against := range []bool{false, true} {
			o := Options{Workers: 1}
			name := bench.name
			if against {
				name += "-against"
				o.Against = build(b, Options{}, chunks...)
			}
			b.Run(name, func(b *testing.B) {
				builder := NewBuilder(o)
				require.NoError(b, builder.Begin(rulesOf(chunks[0])))
				for _, c := range chunks {
					require.NoError(b, builder.Rows(dataset.Chunk{Table: c}))
				}
				b.ResetTimer()
				for i := range b.N {
					_ = builder.Rows(dataset.Chunk{Table: chunks[i%len(chunks)]})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*columns*chunkRows), "ns/number")
			})
		}
	}
}

// BenchmarkWarmUp is the first 200,000 rows of a column of different numbers: all its changes of shift.
func BenchmarkWarmUp(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 200_000)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	table := tableOf(numbers("x", values...))
	b.ReportAllocs()
	for b.Loop() {
		build(b, Options{Workers: 1}, table)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(values)), "ns/number")
}

func BenchmarkOf(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 1_000_000)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	table := tableOf(numbers("x", values...))
	for b.Loop() {
		_, err := Of(table, Options{Workers: 1})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(values)), "ns/number")
}

func rulesOf(t *dataset.Table) []spec.ColumnRule {
	rules := make([]spec.ColumnRule, len(t.Columns))
	for i := range t.Columns {
		rules[i] = spec.ColumnRule{Name: t.Columns[i].Name, Type: t.Columns[i].Kind.String()}
	}
	return rules
}

// nothing is a visitor that looks at no row.
type nothing struct{}

func (nothing) Begin([]spec.ColumnRule) error { return nil }
func (nothing) Rows(dataset.Chunk) error      { return nil }

// BenchmarkScan is a whole pass over CSV of 20 columns, on one thread, without and with a profile.
func BenchmarkScan(b *testing.B) {
	const rows, columns = 200_000, 20
	r := rand.New(rand.NewPCG(1, 2))
	var csv []byte
	for j := range columns {
		csv = fmt.Appendf(csv, "c%d,", j)
	}
	csv[len(csv)-1] = '\n'
	for range rows {
		for range columns {
			csv = append(strconv.AppendFloat(csv, r.NormFloat64(), 'f', 7, 64), ',')
		}
		csv[len(csv)-1] = '\n'
	}
	for name, visitor := range map[string]func() dataset.Visitor{
		"alone":   func() dataset.Visitor { return nothing{} },
		"profile": func() dataset.Visitor { return NewBuilder(Options{Workers: 1}) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _, err := dataset.Scan(b.Context(), dataset.Bytes(csv), dataset.ReadOptions{Name: "x.csv", Workers: 1}, visitor())
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows*columns), "ns/number")
		})
	}
}
