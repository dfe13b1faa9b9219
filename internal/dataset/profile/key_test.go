package profile

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestKeysAreInTheOrderOfTheirNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		if math.IsNaN(a) || math.IsNaN(b) {
			return
		}
		require.Equal(t, a < b, keyOf(a) < keyOf(b))
		require.Equal(t, a, numberOf(keyOf(a)))
	})
	assert.Equal(t, keyOf(0), keyOf(math.Copysign(0, -1)))
	for _, x := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(math.NaN(), -1), math.Float64frombits(math.MaxUint64)} {
		k := keyOf(x)
		assert.True(t, k < lowestKey() || k > highestKey(), "%x", math.Float64bits(x))
		assert.NotEqual(t, uint64(noBucket), k)
	}
}
