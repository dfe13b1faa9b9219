package dataset

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// nobody takes rows and does nothing with them.
type nobody struct{}

func (nobody) Begin([]spec.ColumnRule) error { return nil }
func (nobody) Rows(Chunk) error              { return nil }

// normals is a CSV of normal numbers, as numpy.savetxt(fmt='%.6f') writes it (precision 6), or as pandas does (-1).
func normals(rows, columns, precision int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b []byte
	for i := range columns {
		b = fmt.Appendf(b, "f%d,", i)
	}
	b[len(b)-1] = '\n'
	for range rows {
		for i := range columns {
			b = strconv.AppendFloat(b, r.NormFloat64()*[]float64{1, 10, 100, 5}[i%4], 'f', precision, 64)
			b = append(b, ',')
		}
		b[len(b)-1] = '\n'
	}
	return b
}

// numbers is a contract of n columns f0, f1, ... of one type.
func allOf(n int, kind string) *spec.Contract {
	c := &spec.Contract{}
	for i := range n {
		c.Columns = append(c.Columns, spec.ColumnRule{Name: fmt.Sprintf("f%d", i), Type: kind, Nullable: true})
	}
	return c
}

// BenchmarkScan is the reading part of the promise in docs/benchmarks.md: parse and hash.
func BenchmarkScan(b *testing.B) {
	texts := map[string][]byte{"six_digits": normals(100_000, 20, 6), "all_digits": normals(50_000, 20, -1)}
	for _, name := range []string{"six_digits", "all_digits"} {
		for _, workers := range []int{1, 2} {
			for kind, contract := range map[string]*spec.Contract{"declared": allOf(20, "number"), "inferred": nil} {
				b.Run(fmt.Sprintf("%s/%s/workers=%d", name, kind, workers), func(b *testing.B) {
					b.SetBytes(int64(len(texts[name])))
					b.ReportAllocs()
					for b.Loop() {
						_, _, err := Scan(b.Context(), Bytes(texts[name]), ReadOptions{Name: "f.csv", Contract: contract, Workers: workers}, nobody{})
						require.NoError(b, err)
					}
				})
			}
		}
	}
}
