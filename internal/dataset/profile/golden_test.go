package profile

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
)

// goldenColumn is a column and what testdata/make_quantiles.py found in it.
type goldenColumn struct {
	Name      string    `json:"name"`
	Values    []float64 `json:"values"`
	Quantiles []float64 `json:"quantiles"`
	Edges     []float64 `json:"edges"`
	Counts    []int64   `json:"counts"`
	Mean      float64   `json:"mean"`
	Std       float64   `json:"std"`
	Distinct  int64     `json:"distinct"`
}

func TestQuantilesAndBinsAreNumPysToTheBit(t *testing.T) {
	data, err := os.ReadFile("testdata/quantiles.json")
	require.NoError(t, err)
	var columns []goldenColumn
	require.NoError(t, json.Unmarshal(data, &columns))
	for _, want := range columns {
		p, err := Of(tableOf(numbers("x", want.Values...)), Options{})
		require.NoError(t, err)
		c := &p.Columns[0]
		assert.Equal(t, want.Quantiles, c.Numbers.Quantiles, want.Name)
		assert.ElementsMatch(t, want.Edges, c.Bins.Edges, want.Name)
		assert.Equal(t, want.Counts, c.Bins.Counts, want.Name)
		assert.True(t, c.Bins.Exact)
		assert.InDelta(t, want.Mean, c.Numbers.Mean, 1e-14*math.Abs(want.Mean)+1e-14*want.Std, want.Name)
		assert.InDelta(t, want.Std, c.Numbers.Std, 1e-12*want.Std+1e-15*math.Abs(want.Mean), want.Name)
		if !c.Estimated {
			assert.Equal(t, want.Distinct, c.Distinct, want.Name)
		}
	}
}

// flights are the tables of the example's months.
func flights(t *testing.T, months int) []*dataset.Table {
	var tables []*dataset.Table
	for month := 1; month <= months; month++ {
		f, err := os.Open(filepath.Join("..", "..", "..", "examples", "flight-delay", "data", fmt.Sprintf("flights-2013-%02d.csv.gz", month)))
		require.NoError(t, err)
		table, _, _, err := dataset.Read(t.Context(), f, dataset.ReadOptions{Name: f.Name()})
		require.NoError(t, f.Close())
		require.NoError(t, err)
		tables = append(tables, table)
	}
	return tables
}

func TestShardsOfTheFlightsMergeToTheWhole(t *testing.T) {
	months := 12
	if testing.Short() {
		months = 2
	}
	table, err := dataset.Concat(flights(t, months)...)
	require.NoError(t, err)
	const shards = 4
	parts := make([]*Profile, shards)
	for shard := range parts {
		var rows []int
		for row := shard; row < table.Rows; row += shards {
			rows = append(rows, row)
		}
		parts[shard] = build(t, Options{}, table.Select(rows))
	}
	merged, err := Merge(parts[2], parts[0], parts[3], parts[1])
	require.NoError(t, err)
	whole := build(t, Options{}, table)
	sameButMoments(t, whole, merged)

	exact, err := Of(table, Options{})
	require.NoError(t, err)
	for i := range whole.Columns {
		c := &whole.Columns[i]
		data, err := json.Marshal(c)
		require.NoError(t, err)
		t.Logf("%-24s %-9s %6d values, %6d distinct, shift %2d, resolution %.4f, %5d bytes", c.Name, c.Kind, c.Count, c.Distinct, c.sketch.shift, c.Resolution(), len(data))
		assert.Less(t, len(data), 64<<10, c.Name)
		if c.Numbers == nil {
			continue
		}
		for j, q := range c.Numbers.Quantiles {
			want := exact.Columns[i].Numbers.Quantiles[j]
			assert.InDelta(t, want, q, math.Abs(want)/1000+1e-9, "%s at %v", c.Name, QuantileShares()[j])
		}
	}
}

func TestAScanIsProfiledLikeItsTable(t *testing.T) {
	const path = "../../../examples/flight-delay/data/flights-2013-02.csv.gz"
	b := NewBuilder(Options{})
	_, _, err := dataset.Scan(t.Context(), dataset.File(path), dataset.ReadOptions{Name: path}, b)
	require.NoError(t, err)
	scanned, err := b.Profile()
	require.NoError(t, err)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	table, _, _, err := dataset.Read(t.Context(), f, dataset.ReadOptions{Name: path})
	require.NoError(t, err)
	sameButMoments(t, build(t, Options{}, table), scanned)
}
