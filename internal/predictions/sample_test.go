package predictions

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func manyParts(n int) []Part {
	out := make([]Part, n)
	for i := range out {
		out[i] = Part{Key: fmt.Sprintf("predictions/m/dt=2013-06-01/hh=12/1-gw-%d.csv.gz", i), Bytes: 1000}
	}
	return out
}

func TestAReadingTakesInNoMoreThanItMay(t *testing.T) {
	parts := manyParts(1000)
	require.Equal(t, parts, within(parts, 0), "0: all")
	require.Equal(t, parts, within(parts, 1_000_000))
	some := within(parts, 300_000)
	require.Less(t, len(some), 300)
	require.Greater(t, len(some), 100)
	require.Empty(t, within(manyParts(1), 10), "a part that is larger than may be read isn't")
}

// A longer log takes nothing in that a shorter one left out, so what was judged stays a part of what is judged.
func TestSamplesOfALogThatGrowsAreNested(t *testing.T) {
	before := within(manyParts(500), 300_000)
	after := within(manyParts(1000), 300_000)
	old := map[string]bool{}
	for _, p := range before {
		old[p.Key] = true
	}
	known := map[string]bool{}
	for _, p := range manyParts(500) {
		known[p.Key] = true
	}
	for _, p := range after {
		require.True(t, old[p.Key] || !known[p.Key], "%s came back", p.Key)
	}
}
