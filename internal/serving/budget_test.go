package serving_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
)

// paced is a champion that takes a time for each row, by the world's clock.
type paced struct {
	inference.Scorer
	w   *world
	row time.Duration
}

func (p paced) Score(x []float64, rows int, out []float64) error {
	p.w.clock.advance(time.Duration(rows) * p.row)
	return p.Scorer.Score(x, rows, out)
}

// batchOf is a request of so many rows.
func batchOf(rows int) string {
	return `{"instances": [` + strings.TrimSuffix(strings.Repeat(goodRow+",", rows), ",") + `]}`
}

func TestAChallengersTimeForManyRowsIsAFewTimesTheChampions(t *testing.T) {
	for _, c := range []struct {
		name         string
		row          time.Duration // that the champion takes
		rows         int
		least, limit time.Duration
	}{
		{"of one row, what it was", 2 * time.Microsecond, 1, 100 * time.Millisecond, 102 * time.Millisecond},
		{"of many, with a quick champion", 2 * time.Microsecond, 10_000, 180 * time.Millisecond, 180 * time.Millisecond},
		{"of many, with a slow champion", 50 * time.Microsecond, 10_000, 2100 * time.Millisecond, 2100 * time.Millisecond},
		{"with a very slow champion, a millisecond a row", time.Second, 100, 200 * time.Millisecond, 200 * time.Millisecond},
		{"before the champion's pace is known, a second more", 0, 10_000, 1100 * time.Millisecond, 1100 * time.Millisecond},
		{"and a millisecond a row until then", 0, 300, 400 * time.Millisecond, 400 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := withCanary(t, 0)
			own := w.server.SetChampionScorer(modelName, nil)
			w.server.SetChampionScorer(modelName, paced{own, w, c.row})
			require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/"+modelName, batchOf(1000)).status)
			require.GreaterOrEqual(t, w.server.ChallengerBudget(modelName, c.rows), c.least)
			require.LessOrEqual(t, w.server.ChallengerBudget(modelName, c.rows), c.limit)
		})
	}
}

func TestSingleRowsHardlyMoveWhatIsKnownOfLargeRequests(t *testing.T) {
	w := withCanary(t, 0)
	own := w.server.SetChampionScorer(modelName, nil)
	w.server.SetChampionScorer(modelName, paced{own, w, 20 * time.Microsecond})
	w.predict(goodRow)
	require.Equal(t, 900*time.Millisecond, w.server.ChallengerBudget(modelName, 10_000))
	w.server.SetChampionScorer(modelName, paced{own, w, 2 * time.Microsecond})
	require.Equal(t, http.StatusOK, w.request(http.MethodPost, "/predict/"+modelName, batchOf(10_000)).status)
	require.Less(t, w.server.ChallengerBudget(modelName, 10_000), 200*time.Millisecond)
	w.server.SetChampionScorer(modelName, paced{own, w, 20 * time.Microsecond})
	w.predict(goodRow)
	require.Less(t, w.server.ChallengerBudget(modelName, 10_000), 200*time.Millisecond)
}

func TestALargeRequestDoesntWaitLongForAChallengerThatHangs(t *testing.T) {
	release := make(chan struct{})
	w, _ := withStubbornChallenger(t, 100*time.Millisecond, func() error { <-release; return nil })
	defer close(release)
	began := time.Now()
	a := w.request(http.MethodPost, "/predict/"+modelName, batchOf(10_000))
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.raw, `"fallback":true`)
	require.Less(t, time.Since(began), 5*time.Second, "a millisecond a row would be ten")
}
