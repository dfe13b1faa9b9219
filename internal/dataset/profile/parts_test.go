package profile

import (
	"math/rand/v2"
	"testing"
)

func BenchmarkParts(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 64*block)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	s := &scratch{}
	keys := make([]uint64, len(values))
	fillKeys(keys, values)
	regs := make([]byte, 4096)
	c := newCounter(limitsFor(20))
	for i := 0; i < len(keys); i += block {
		c.add(keys[i : i+block])
	}
	run := func(name string, do func(v []float64, k []uint64)) {
		b.Run(name, func(b *testing.B) {
			for n := range b.N {
				i := n % 64 * block
				do(values[i:i+block], keys[i:i+block])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*block), "ns/number")
		})
	}
	run("keys", func(v []float64, k []uint64) { fillKeys(s.keys[:], v) })
	run("fill", func(v []float64, k []uint64) { c.fill(k) })
	run("hll", func(v []float64, k []uint64) { enterKeys(regs, k) })
	run("moments", func(v []float64, k []uint64) { momentsOf(v, -5, 5, s) })
	run("sum", func(v []float64, k []uint64) { sum(v) })
	run("dev", func(v []float64, k []uint64) { deviations(v, 0.1) })
	b.Log(len(c.slots), c.used, c.shift)
}
