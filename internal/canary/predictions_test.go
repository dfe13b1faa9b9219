package canary

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answers draws n buckets around a middle.
func answers(r *rand.Rand, n int, middle, width float64) []int64 {
	counts := make([]int64, 40)
	for range n {
		counts[int(max(0, min(39, math.Floor(20+middle+width*r.NormFloat64()))))]++
	}
	return counts
}

func TestPredictionsAreComparedWithTheChampions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := config()
	c.MaxPSI = 0.25
	s := New(c, t0)
	now := t0.Add(2 * time.Hour)
	same, far, near := answers(r, 9000, 0, 4), answers(r, 1000, 8, 4), answers(r, 1000, 2.2, 4)
	for _, x := range []struct {
		name                 string
		champion, challenger []int64
		verdict              Verdict
		says                 string
	}{
		{"equal predictions pass", same, answers(r, 1000, 0, 4), Pass, "<= 0.25"},
		{"predictions far off fail", same, far, Fail, "at least"},
		{"predictions a little over the limit are not certain", same, near, Inconclusive, "not certain yet"},
		{"few of the challenger", same, answers(r, 49, 0, 4), Inconclusive, "49 of the challenger < 50"},
		{"few of the champion", answers(r, 49, 0, 4), far, Inconclusive, "49 of the champion < 50"},
		{"none at all", nil, nil, Inconclusive, "0 of the challenger < 50"},
		{"one class only, on both sides", []int64{0, 900}, []int64{0, 100}, Pass, "<= 0.25"},
		{"one class only, another one", []int64{900}, []int64{0, 900}, Fail, "at least"},
	} {
		t.Run(x.name, func(t *testing.T) {
			a, b := arm(9000, 0, .01), arm(1000, 0, .01)
			a.Predictions, b.Predictions = x.champion, x.challenger
			_, action, j := Decide(s, look(s, now, a, b), now)
			require.Equal(t, x.verdict, j.Verdict, "%+v", j.Checks)
			if x.verdict == Fail {
				require.Equal(t, Rollback, action.Kind)
			}
			check := decisive(j)
			if x.verdict == Pass {
				check = named(j, "predictions")
			}
			require.Equal(t, "predictions", check.Name)
			require.Contains(t, check.Message, x.says)
		})
	}
	c.MaxPSI = 0
	s = New(c, t0)
	a, b := arm(9000, 0, .01), arm(1000, 0, .01)
	a.Predictions, b.Predictions = same, far
	_, action, _ := Decide(s, look(s, now, a, b), now)
	require.Equal(t, Promote, action.Kind, "0 compares nothing")
}

// However often one looks, and whatever the distribution, predictions of one distribution hardly ever fail, even where
// no shift at all is allowed.
func TestEqualPredictionsHardlyEverFailAtAnyLook(t *testing.T) {
	const runs, looks, alpha = 300, 60, 0.05
	r := rand.New(rand.NewPCG(3, 4))
	for _, width := range []float64{0.3, 2, 9} {
		failed := 0
		for range runs {
			a, b := make([]int64, 40), make([]int64, 40)
			for range looks {
				add(a, answers(r, 90, 0, width))
				add(b, answers(r, 10, 0, width))
				if total(b) < minPredictions {
					continue
				}
				if _, least := shift(a, b, alpha); least > 0 {
					failed++
					break
				}
			}
		}
		require.LessOrEqual(t, float64(failed)/runs, alpha, "width %v", width)
	}
}

// A shift that is exactly at the limit isn't beyond it.
func TestTheBoundOfAShiftIsBelowTheTruth(t *testing.T) {
	const runs, alpha = 300, 0.05
	r := rand.New(rand.NewPCG(5, 6))
	const off = 2.0 // buckets of width 1 around normal answers of width 4: the index is about (2/4)^2
	truth, _ := shift(answers(r, 4_000_000, 0, 4), answers(r, 4_000_000, off, 4), alpha)
	missed := 0
	for range runs {
		a, b := make([]int64, 40), make([]int64, 40)
		for range 40 {
			add(a, answers(r, 180, 0, 4))
			add(b, answers(r, 20, off, 4))
			if _, least := shift(a, b, alpha); total(b) >= minPredictions && least > truth {
				missed++
				break
			}
		}
	}
	require.InDelta(t, 0.25, truth, 0.03)
	require.LessOrEqual(t, float64(missed)/runs, alpha)
}

func add(to, counts []int64) {
	for i, n := range counts {
		to[i] += n
	}
}
