package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

func TestLimitsDependOnTheNumberOfColumnsAlone(t *testing.T) {
	assert.Equal(t, limits{buckets: 4096, categories: 4096, text: 256 << 10, precision: 12}, limitsFor(1))
	assert.Equal(t, limitsFor(1), limitsFor(64))
	assert.Equal(t, limits{buckets: 64, categories: 64, text: 4 << 10, precision: 8}, limitsFor(10_000))
	assert.InDelta(t, 0.01625, distinctError(20), 1e-12)
}

// distinctError is the relative standard error of an estimated Distinct, in a profile of that many columns.
func distinctError(columns int) float64 {
	return 1.04 / math.Sqrt(float64(int(1)<<limitsFor(columns).precision))
}

// heldBy is how much memory the columns of a kind hold after more distinct values than any limit.
func heldBy(t *testing.T, kind dataset.Kind, columns int) uint64 {
	const rows = 6000
	r := rand.New(rand.NewPCG(1, 2))
	c := dataset.Column{Kind: kind}
	for i := range rows {
		switch kind {
		case dataset.Number:
			c.Floats = append(c.Floats, r.NormFloat64())
		case dataset.Category: // as many and as long as are counted
			if i < maxCategories {
				c.Dict = append(c.Dict, fmt.Sprintf("%0*d", maxText/maxCategories-1, i))
			}
			c.Codes = append(c.Codes, int32(i%maxCategories))
		default:
			c.Codes, c.Dict = append(c.Codes, int32(i)), append(c.Dict, fmt.Sprintf("the text %d of the column", r.Uint64()))
		}
	}
	table := &dataset.Table{Rows: rows, Columns: make([]dataset.Column, columns)}
	rules := make([]spec.ColumnRule, columns)
	for i := range columns {
		table.Columns[i] = c
		table.Columns[i].Name = fmt.Sprint(i)
		rules[i] = spec.ColumnRule{Name: fmt.Sprint(i), Type: kind.String()}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := NewBuilder(Options{})
	require.NoError(t, b.Begin(rules))
	require.NoError(t, b.Rows(dataset.Chunk{Table: table}))
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	runtime.KeepAlive(b)
	return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
}

func TestMemoryIsBounded(t *testing.T) {
	assert.Less(t, heldBy(t, dataset.Number, 20), uint64(8<<20))
	assert.Less(t, heldBy(t, dataset.Text, 20), uint64(8<<20))
	assert.Less(t, heldBy(t, dataset.Category, 20), uint64(11<<20))
	if !testing.Short() {
		assert.Less(t, heldBy(t, dataset.Number, 2000), uint64(100<<20))
		assert.Less(t, heldBy(t, dataset.Number, 10_000), uint64(100<<20))
	}
}
