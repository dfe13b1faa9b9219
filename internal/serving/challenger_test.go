package serving_test

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// stubborn is a scorer that does as the test says.
type stubborn struct {
	asked atomic.Int64
	does  func() error
}

func (*stubborn) Outputs() int { return 1 }

func (s *stubborn) Score(_ []float64, rows int, out []float64) error {
	s.asked.Add(1)
	if err := s.does(); err != nil {
		return err
	}
	for i := range rows {
		out[i] = 0.5
	}
	return nil
}

// withStubbornChallenger gives the challenger all requests, and a scorer of the test's.
func withStubbornChallenger(t *testing.T, within time.Duration, does func() error) (*world, *stubborn) {
	w := newWorld(t, func(c *serving.Config) { c.ChallengerTimeout = within })
	w.promote(w.register(flights(0)))
	w.canary(w.register(flights(1)), 1, time.Hour)
	w.sync()
	s := &stubborn{does: does}
	w.server.SetChallengerScorer(modelName, s)
	return w, s
}

func TestAChallengerThatHangsFallsBackWithinTheRequest(t *testing.T) {
	release := make(chan struct{})
	w, s := withStubbornChallenger(t, time.Millisecond, func() error { <-release; return nil })
	defer close(release)
	for range 9 {
		a := w.predict(goodRow)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		require.Equal(t, "champion", a.body["arm"])
		require.Equal(t, true, a.body["fallback"])
	}
	require.EqualValues(t, 5, s.asked.Load(), "after five in a row nobody waits for it any more")
	w.sync()
	require.Equal(t, map[string]float64{"challenger/2": 9}, w.sums(timeseries.FieldErrors), "each of them is its failure")
}

func TestAChallengerThatFailsIsTriedAgainByAndBy(t *testing.T) {
	broken := true
	w, s := withStubbornChallenger(t, time.Minute, func() error {
		if broken {
			return errors.New("no")
		}
		return nil
	})
	ask := func(n int, arm string) {
		t.Helper()
		for range n {
			require.Equal(t, arm, w.predict(goodRow).body["arm"])
		}
	}
	ask(20, "champion")
	require.EqualValues(t, 5, s.asked.Load())
	w.clock.advance(time.Second)
	ask(20, "champion")
	require.EqualValues(t, 6, s.asked.Load(), "one trial")
	w.clock.advance(time.Second)
	ask(20, "champion")
	require.EqualValues(t, 6, s.asked.Load(), "the second rest is longer")
	w.clock.advance(time.Second)
	broken = false
	ask(20, "challenger")
	require.EqualValues(t, 26, s.asked.Load())
	broken = true
	ask(5, "champion")
	ask(5, "champion")
	require.EqualValues(t, 31, s.asked.Load(), "it rests again, for the first time's while")
}

func TestAnErrorOfTheChallengersOwnRowsDoesntOpenItsBreaker(t *testing.T) {
	w := withNeedyChallenger(t)
	for range 20 {
		require.Equal(t, true, w.predict(goodRow).body["fallback"])
	}
	require.Equal(t, "challenger", w.predict(`{"dep_delay": 20, "carrier": "UA", "wind": 3}`).body["arm"])
}

// Twenty requests under way find out at once what five would have: that is one rest, not fifteen.
func TestRequestsThatFailTogetherAreOneReasonToRest(t *testing.T) {
	const together = 20
	var in, out sync.WaitGroup
	in.Add(together)
	broken := true
	w, s := withStubbornChallenger(t, time.Minute, func() error {
		if !broken {
			return nil
		}
		in.Done()
		in.Wait()
		return errors.New("no")
	})
	for range together {
		out.Go(func() { w.predict(goodRow) })
	}
	out.Wait()
	require.EqualValues(t, together, s.asked.Load())
	broken = false
	require.Equal(t, "champion", w.predict(goodRow).body["arm"], "it rests")
	w.clock.advance(time.Second)
	require.Equal(t, "challenger", w.predict(goodRow).body["arm"])
}
