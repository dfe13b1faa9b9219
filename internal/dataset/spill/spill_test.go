package spill_test

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset/spill"
)

// simple counts as anybody would.
func simple(values []uint64, keep int) (r spill.Repeats, groups map[uint64]int64) {
	groups, total := map[uint64]int64{}, map[uint64]int64{}
	for _, v := range values {
		total[v]++
	}
	for row, v := range values {
		r.Rows++
		at := spill.Row{Number: int64(row), Key: spill.Key{v, 0}, Text: string(rune('a' + v%26))}
		if groups[v]++; groups[v] > 1 {
			r.Again++
			if len(r.FirstOf) < keep {
				r.FirstOf = append(r.FirstOf, at)
			}
		}
		if total[v] > 1 {
			r.Members++
			if len(r.AnyFirst) < keep {
				r.AnyFirst = append(r.AnyFirst, at)
			}
		}
	}
	return r, groups
}

func TestGroupsAreTheSameInMemoryAndBeyondIt(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Uint64Range(0, rapid.Uint64Range(1, 2000).Draw(t, "different")), 0, 1500).Draw(t, "values")
		keep := rapid.IntRange(1, 5).Draw(t, "keep")
		g := spill.NewGroups(spill.Options{Limit: rapid.IntRange(1, 400).Draw(t, "limit"), Keep: keep, Texts: true, Dir: dir})
		defer func() { _ = g.Close() }()
		for row, v := range values {
			if err := g.Add(spill.Key{v, 0}, int64(row), string(rune('a'+v%26))); err != nil {
				t.Fatal(err)
			}
		}
		got := map[uint64]int64{}
		found, err := g.Finish(func(e spill.Group) {
			got[e.Key[0]] = e.Count
			if e.Text != string(rune('a'+e.Key[0]%26)) || values[e.First] != e.Key[0] {
				t.Fatalf("%+v", e)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		want, groups := simple(values, keep)
		require.Equal(t, want, found)
		require.Equal(t, groups, got)
	})
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "no file stays")
}

func TestAPartitionThatIsTooLargeIsPartitionedAgain(t *testing.T) {
	g := spill.NewGroups(spill.Options{Limit: 2, Dir: t.TempDir()})
	defer func() { require.NoError(t, g.Close()) }()
	const n = 5000
	for row := range int64(2 * n) {
		require.NoError(t, g.Add(spill.Key{uint64(row % n), 7}, row, ""))
	}
	groups := 0
	found, err := g.Finish(func(e spill.Group) {
		groups++
		require.EqualValues(t, 2, e.Count)
	})
	require.NoError(t, err)
	require.Equal(t, n, groups)
	require.EqualValues(t, n, found.Again)
	require.EqualValues(t, n, found.FirstOf[0].Number)
}

func TestNumbersComeInOrder(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64(), 0, 300).Draw(t, "values")
		n := spill.NewNumbers(rapid.IntRange(1, 100).Draw(t, "limit"), dir)
		defer func() { _ = n.Close() }()
		for _, v := range values {
			if err := n.Add(v); err != nil {
				t.Fatal(err)
			}
		}
		got := []float64{}
		if err := n.Each(func(v float64) { got = append(got, v) }); err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(values)
		slices.Sort(want)
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
	})
}

func TestAFolderThatIsntThereIsSaid(t *testing.T) {
	g := spill.NewGroups(spill.Options{Limit: 1, Dir: "/nowhere/at/all"})
	require.NoError(t, g.Add(spill.Key{1}, 0, ""))
	require.ErrorContains(t, g.Add(spill.Key{2}, 1, ""), "spill values")
}
