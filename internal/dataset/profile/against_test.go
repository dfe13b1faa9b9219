package profile

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
)

func TestAWindowIsCountedIntoTheReferencesBinsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := wildNumbers().Draw(t, "reference"), wildNumbers().Draw(t, "window")
		reference, err := Of(tableOf(numbers("x", x...)), Options{})
		require.NoError(t, err)
		window := build(t, Options{Against: reference}, tableOf(numbers("x", append(y, x[:len(x)/2]...)...)))
		ref, cur := &reference.Columns[0], &window.Columns[0]
		if ref.Count == 0 {
			require.False(t, cur.Bins != nil && cur.Bins.Borrowed)
			return
		}
		require.True(t, cur.Bins.Borrowed)
		require.Equal(t, ref.Bins.Edges, cur.Bins.Edges)
		want := make([]int64, len(ref.Bins.Edges)+1)
		for _, v := range append(y, x[:len(x)/2]...) {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				want[sort.SearchFloat64s(ref.Bins.Edges, v)]++ // the first edge that isn't below
			}
		}
		require.Equal(t, want, cur.Bins.Counts)
	})
}

func TestAWindowIsCountedIntoTheReferencesCategories(t *testing.T) {
	reference := build(t, Options{}, tableOf(names("c", "b", "a", "a"), numbers("n", 1, 2, 3), names("other", "x", "x", "x")))
	window := build(t, Options{Against: reference},
		tableOf(names("c", "a", "new", "", "a", "newer"), names("n", "1", "2", "3", "4", "5"), numbers("more", 1, 2, 3, 4, 5)))
	assert.Equal(t, &Bins{Values: []string{"a", "b"}, Counts: []int64{2, 0, 2}, Exact: true, Borrowed: true}, window.Columns[0].Bins)
	assert.Nil(t, window.Columns[1].Bins, "a number there, a category here")
	assert.False(t, window.Columns[2].Bins.Borrowed, "not in the reference")
}

func TestAWindowBeyondTheLimitStillHasTheReferencesCategories(t *testing.T) {
	p := storedProfile(t, Options{})
	reference := build(t, Options{}, tableOf(names("text", "text 7", "text 5999", "none")))
	c, _ := storedProfile(t, Options{Against: reference}).Column("text")
	_, ok := c.Values()
	assert.False(t, ok)
	assert.Equal(t, []int64{0, 1, 1, 5998}, c.Bins.Counts)
	plain, _ := p.Column("text")
	assert.Nil(t, plain.Bins)
}

func TestInstantsAreComparedInSeconds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	at := dataset.Column{Name: "t", Kind: dataset.Timestamp}
	for range 9000 {
		at.Times = append(at.Times, 1.37e18+r.Int64N(1e16))
	}
	reference, err := Of(tableOf(at), Options{})
	require.NoError(t, err)
	window := build(t, Options{Against: reference}, tableOf(at))
	assert.Equal(t, reference.Columns[0].Bins.Counts, window.Columns[0].Bins.Counts)
	assert.Equal(t, []int64{900, 900, 900, 900, 900, 900, 900, 900, 900, 900}, window.Columns[0].Bins.Counts)
}
