package training

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysHaveTheOrderOfTheirValues(t *testing.T) {
	number := rapid.Float32().Filter(func(v float32) bool { return v == v })
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		if (keyOf(a) < keyOf(b)) != (a < b) {
			t.Errorf("%v and %v: observed the keys %d and %d", a, b, keyOf(a), keyOf(b))
		}
		if valueOf(keyOf(a)) != a {
			t.Errorf("observed %v, want %v", valueOf(keyOf(a)), a)
		}
	})
	if minus := float32(math.Copysign(0, -1)); keyOf(minus) != keyOf(0) {
		t.Error("the zeros differ")
	}
}

func TestKeysAreSortedHoweverManyTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.SliceOfN(rapid.Uint32(), 1, 50).Draw(t, "keys")
		keys := slices.Repeat(few, rapid.IntRange(1, 100).Draw(t, "times"))
		want := slices.Sorted(slices.Values(keys))
		sortKeys(keys, make([]uint32, len(keys)))
		if !slices.Equal(keys, want) {
			t.Errorf("%d keys aren't sorted", len(keys))
		}
	})
}

func TestAValuesBinIsHowManyCutsAreAtMostIt(t *testing.T) {
	number := rapid.Float32().Filter(func(v float32) bool { return v == v })
	rapid.Check(t, func(t *rapid.T) {
		cuts := rapid.SliceOfNDistinct(number, 0, maxValueBins-1, rapid.ID[float32]).Draw(t, "cuts")
		slices.Sort(cuts)
		table := newCutTable(cuts)
		values := append(slices.Clone(cuts), number.Draw(t, "value"), float32(math.Inf(1)), float32(math.Inf(-1)))
		for _, v := range values {
			want := 0
			for _, cut := range cuts {
				if cut <= v {
					want++
				}
			}
			if got := int(table.bin(v)); got != want {
				t.Errorf("%v among %v: observed bin %d, want %d", v, cuts, got, want)
			}
		}
	})
}
