package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/testkit"
)

// breakGlass is ana's order to the gateways themselves, and what each answered. From its end on nobody meets the
// challenger.
func (s *scenario) breakGlass(t *testing.T, withStore bool) {
	t.Helper()
	args := []string{"-o", "json", "rollback", s.name, "--break-glass", "--reason", "the test's"}
	if !withStore {
		for _, g := range s.Gateways {
			args = append(args, "--gateway", g.Admin)
		}
	}
	var out struct {
		InLedger bool `json:"in_ledger"`
		Gateways []struct{ Answer serving.RollbackAnswer }
	}
	s.Starter(t, "ana", args...).Want(t, 0).Decode(t, &out)
	s.mark = time.Now()
	require.Equal(t, withStore, out.InLedger)
	require.Len(t, out.Gateways, len(s.Gateways))
	var outcomes []string
	for _, g := range out.Gateways {
		outcomes = append(outcomes, g.Answer.Outcome)
		require.True(t, g.Answer.Durable)
	}
	slices.Sort(outcomes)
	if withStore {
		require.Contains(t, outcomes, "appended")
	} else {
		require.Equal(t, []string{"stored", "stored"}, outcomes)
	}
	for gateway, r := range s.routes(t.Context()) {
		require.Zero(t, r.EffectiveWeight, gateway)
		require.Equal(t, !withStore, r.Override != nil && !r.Override.Appended, gateway)
	}
}

// nobodyMetTheChallenger since the scenario's mark.
func nobodyMetTheChallenger(t *testing.T, s *scenario) {
	t.Helper()
	require.False(t, s.mark.IsZero())
	require.Zero(t, s.load.from(s.number, s.mark), "answers by the challenger to requests after %s", s.mark.Format("15:04:05.000"))
}

// metric is one series of a gateway's metrics, by its whole name; 0 where there is none.
func metric(t *testing.T, admin, series string) float64 {
	t.Helper()
	res, err := http.Get(admin + "/metrics")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			return v
		}
	}
	return 0
}

// copies are how many rows each gateway had the challenger answer for nobody.
func (s *scenario) copies(t *testing.T) (out []float64) {
	t.Helper()
	for _, g := range s.Gateways {
		out = append(out, metric(t, g.Admin, fmt.Sprintf(`leanloop_mirrored_rows_total{model=%q,outcome="answered"}`, s.name)))
	}
	return out
}

// untilCopiesEnd waits until no gateway copies any more, which is when the lease ends that each knows of.
func untilCopiesEnd(t *testing.T, s *scenario) {
	t.Helper()
	last := time.Now()
	for gateway, r := range s.routes(t.Context()) {
		require.NotNil(t, r.LeaseUntil, gateway)
		if r.LeaseUntil.After(last) {
			last = *r.LeaseUntil
		}
	}
	testkit.Until(t, "the end of the lease", time.Until(last)+stageLimit, func() (bool, any) { return time.Now().After(last.Add(time.Second)), last })
	before, sent := s.copies(t), time.Now()
	testkit.Until(t, "more requests", stageLimit, func() (bool, any) {
		n := s.load.from(s.before, sent)
		return n > 50, n
	})
	require.Equal(t, before, s.copies(t), "copies past the lease")
}

// swaps is how often the champion changes under full load.
const swaps = 6

// Who exchanges a version while both gateways have all they can do loses no request. How long requests take meanwhile is
// printed: machines differ, and this one is busy with the clients too.
func (f *faults) swap(t *testing.T) {
	s := f.begin(t, oneStep)
	t.Cleanup(func() { s.explainFault(t) })
	s.approve(t)
	s.everywhere(t)
	old := s.head(t).Champion
	s.steer(t, "promote")
	r := s.ends(t, s.number, activities.Promoted)
	s.settled(t)
	s.load.stop()
	s.load.tell(&s.seen)
	s.load = askAll(t, s.name, s.Gateways, s.rows(), 2*clients, 0)
	time.Sleep(2 * time.Second) // of load without a swap, to compare with
	began := time.Now()
	for i := range swaps {
		to := []int{old, r.Version}[i%2]
		s.Starter(t, "ana", "rollback", s.name, "--to", strconv.Itoa(to), "--reason", "the test's").Want(t, 0)
		require.Equal(t, to, s.head(t).Champion)
	}
	spent := time.Since(began)
	s.holds(t, r)
	before, during := s.load.latency(time.Time{}, began), s.load.latency(began, time.Now())
	t.Logf("%d swaps in %s: p50 %s, p99 %s of %d requests; before, p50 %s, p99 %s of %d", swaps, spent.Round(time.Millisecond),
		during.p50, during.p99, during.n, before.p50, before.p99, before.n)
	versions := map[int]int{}
	for _, a := range s.seen.answers {
		versions[a.version]++
	}
	require.Len(t, versions, 2, "both versions answered, and no other")
	f.sound = true
}

// latencies of requests sent within a time.
type latencies struct {
	n        int
	p50, p99 time.Duration
}

func (l *load) latency(from, to time.Time) latencies {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for _, a := range l.answers {
		if a.sent.After(from) && a.sent.Before(to) {
			all = append(all, a.received.Sub(a.sent))
		}
	}
	slices.Sort(all)
	return latencies{len(all), all[len(all)/2].Round(10 * time.Microsecond), all[len(all)*99/100].Round(10 * time.Microsecond)}
}
