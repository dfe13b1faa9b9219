package drift

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAtItsLimitAPValueIsNoDriftAndADistanceIs(t *testing.T) {
	var c ColumnResult
	c.byPValue(MethodKS, 0.3, PValueLimit)
	assert.False(t, c.Drifted)
	c.byPValue(MethodKS, 0.3, math.Nextafter(PValueLimit, 0))
	assert.True(t, c.Drifted)
	c.byDistance(MethodJS, DistanceLimit, DistanceLimit)
	assert.True(t, c.Drifted)
	c.byDistance(MethodJS, math.Nextafter(DistanceLimit, 0), DistanceLimit)
	assert.False(t, c.Drifted)
}

func TestAPSIAtTheLimitDoesntAlert(t *testing.T) {
	r := Result{Columns: []ColumnResult{{Name: "x", PSI: 0.2}}}
	r.conclude(Options{MaxDrifted: 1, PSI: 0.2})
	assert.False(t, r.Alert, r.Reason)
	r.conclude(Options{MaxDrifted: 1, PSI: math.Nextafter(0.2, 0)})
	assert.True(t, r.Alert)
}

func TestTheReferenceDecidesHowMissingValuesAreCompared(t *testing.T) {
	for _, c := range []struct {
		reference, current int64
		want               string
	}{
		{SmallReference, 100, MethodZTest}, {SmallReference + 1, 100, MethodJS}, {10, 5 * SmallReference, MethodZTest}, {5 * SmallReference, 10, MethodJS},
	} {
		e := evidence{refSize: c.reference - 5, refMissing: 5, curSize: c.current - 5, curMissing: 5}
		assert.Equal(t, c.want, e.compareMissing().Method, "%d against %d rows", c.reference, c.current)
	}
}

// All tables of two small margins, each as often as it is drawn, have the mean and variance that chance says.
func TestChanceHasTheMomentsOfAllTablesOfItsMargins(t *testing.T) {
	for _, margins := range [][]int{{3, 4}, {1, 1, 5}, {2, 3, 4, 1}, {1, 1, 1, 1, 1, 4}} {
		total := 0
		for _, n := range margins {
			total += n
		}
		for rows := 1; rows < total; rows++ {
			a, b := float64(rows), float64(total-rows)
			var weight, sum, squares, mean, variance float64
			row := make([]int, len(margins))
			var fill func(bin, left int, ways float64)
			fill = func(bin, left int, ways float64) {
				if bin == len(margins) {
					if left > 0 {
						return
					}
					p, q := make([]float64, len(row)), make([]float64, len(row))
					for i, n := range row {
						p[i], q[i] = float64(n)/a, float64(margins[i]-n)/b
					}
					var statistic float64
					statistic, mean, variance = chance(p, q, a, b, float64(len(margins)))
					weight, sum, squares = weight+ways, sum+ways*statistic, squares+ways*statistic*statistic
					return
				}
				for n := 0; n <= min(left, margins[bin]); n++ {
					row[bin] = n
					fill(bin+1, left-n, ways*choose(margins[bin], n))
				}
			}
			fill(0, rows, 1)
			require.InDelta(t, sum/weight, mean, 1e-9, "%v, %d", margins, rows)
			require.InDelta(t, squares/weight-sum/weight*sum/weight, variance, 1e-9, "%v, %d", margins, rows)
		}
	}
}

// choose is the number of ways to take k of n.
func choose(n, k int) float64 {
	out := 1.0
	for i := range k {
		out = out * float64(n-i) / float64(i+1)
	}
	return out
}
