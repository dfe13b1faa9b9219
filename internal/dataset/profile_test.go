package dataset

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestProfileCountsEachKind(t *testing.T) {
	table := mustRead(t, "n,c,b,t,none\n1,x,true,2013-01-02,\n2,y,false,2013-01-01,\n3,x,true,,\n4,x,,2013-01-02,\n,,true,2013-01-02,\n")
	p := NewProfile(table, ProfileOptions{Top: 1})
	require.Equal(t, ProfileVersion, p.Version)
	require.Equal(t, 5, p.Rows)

	n := p.Columns[0]
	require.Equal(t, []int{4, 1, 4}, []int{n.Count, n.Nulls, n.Distinct})
	require.Equal(t, []float64{1, 4, 2.5, math.Sqrt(1.25)}, []float64{n.Numbers.Min, n.Numbers.Max, n.Numbers.Mean, n.Numbers.Std})
	require.InDeltaSlice(t, []float64{1.03, 1.15, 1.3, 1.75, 2.5, 3.25, 3.7, 3.85, 3.97}, n.Numbers.Quantiles, 1e-12, "numpy.quantile([1,2,3,4], shares)")

	c := p.Columns[1]
	require.Equal(t, []ValueCount{{"x", 3}}, c.Top)
	require.Equal(t, []int{1, 2}, []int{c.Other, c.Distinct})
	b := p.Columns[2]
	require.Equal(t, []ValueCount{{"true", 3}}, b.Top)
	require.Equal(t, 1, b.Other)
	require.Equal(t, "2013-01-01T00:00:00Z", p.Columns[3].Oldest.Format("2006-01-02T15:04:05Z"))
	require.Equal(t, 2, p.Columns[3].Distinct)
	require.Equal(t, ColumnProfile{Name: "none", Kind: "text", Nulls: 5}, p.Columns[4])
}

func TestProfileIsJSONWhateverTheNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewProfile(genTable(t), ProfileOptions{})
		b, err := json.Marshal(p)
		require.NoError(t, err)
		var again Profile
		require.NoError(t, json.Unmarshal(b, &again))
		require.Equal(t, p.Rows, again.Rows)
	})
	huge := &Table{Rows: 2, Columns: []Column{{Name: "a", Floats: []float64{-math.MaxFloat64, math.MaxFloat64}}}}
	_, err := json.Marshal(NewProfile(huge, ProfileOptions{}))
	require.NoError(t, err)
}
