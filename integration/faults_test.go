package integration

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/workflows"
)

// What fails, in which phase of a canary: under load, on real servers that are processes of their own. After each the
// same rules hold (faultrules_test.go), the canary has ended, and what the gateways serve is what the ledger says.
//
// FAULT_SEED repeats the moments of a run that failed; -run 'Faults/s3/holding' is one scenario alone.
func TestFaultsOfAnyPartInAnyPhaseOfACanaryUnderLoad(t *testing.T) {
	f := newFaults(t, shared(t))
	f.playAll(t, killings())
}

func TestFaultsOfOtherKindsUnderLoad(t *testing.T) {
	f := newFaults(t, shared(t))
	f.playAll(t, otherFaults())
	t.Run("swapping a version under full load", f.swap)
}

// playAll has one thing after the other happen to the same model.
func (f *faults) playAll(t *testing.T, table []fault) {
	for _, one := range table {
		t.Run(one.name, func(t *testing.T) {
			for _, p := range one.phases {
				t.Run(p.name, func(t *testing.T) { f.play(t, one, p) })
			}
		})
	}
	if f.sound {
		f.m.verified(t)
	}
}

// faults is one stack that many things happen to, and the model that lives through them.
type faults struct {
	*testkit.Parts
	t     *testing.T // of all scenarios: what they share goes with it
	seed  uint64
	m     *model
	runs  int  // of the model
	sound bool // the last scenario left the model as it should be
	right map[int][]float64
}

// faultRows is how many different rows the clients ask for.
const faultRows = 200

func newFaults(t *testing.T, s *testkit.Stack) *faults {
	t.Helper()
	f := &faults{Parts: testkit.StartParts(t, s), t: t, seed: uint64(time.Now().UnixNano())}
	if given := os.Getenv("FAULT_SEED"); given != "" {
		var err error
		f.seed, err = strconv.ParseUint(given, 10, 64)
		require.NoError(t, err, "FAULT_SEED")
	}
	return f
}

// scenario is one canary, and what happens to it.
type scenario struct {
	*faults
	*model
	number  int  // of the run, and of its version
	before  int  // the champion until then
	holding bool // its weight is everywhere, and nothing was said about its end
	random  *rand.Rand
	load    *load
	mark    time.Time // from which on no answer may be the challenger's, where a scenario says so
	seen    testimony
}

// twoSteps is a canary of some seconds with a step between, and a lease of 17 s.
func twoSteps(m *spec.Model) {
	m.Canary.Steps = []spec.Step{
		{Weight: 0.3, Hold: spec.Duration(3 * time.Second), MinRequests: 20}, {Weight: 0.6, Hold: spec.Duration(3 * time.Second), MinRequests: 20},
	}
	m.Canary.Deadline, m.Serving.Mirror = spec.Duration(90*time.Second), 0
	m.Canary.MaxErrorRate = 0.9 // of a challenger that a busy machine keeps from answering within its 100 ms
}

// oneStep is a canary that doesn't end by itself while a test looks.
func oneStep(m *spec.Model) {
	twoSteps(m)
	m.Canary.Steps = m.Canary.Steps[:1]
	m.Canary.Steps[0].Hold, m.Canary.Deadline = spec.Duration(time.Hour), spec.Duration(2*time.Hour)
}

// mirrored is twoSteps of which the first answers nobody: the challenger gets copies.
func mirrored(m *spec.Model) {
	twoSteps(m)
	m.Canary.Steps[0].Weight, m.Serving.Mirror = 0, 1
}

// begin brings the model to a version that waits for its approval, under load. A model that a scenario spoilt is
// succeeded by a new one.
func (f *faults) begin(t *testing.T, canary func(*spec.Model)) *scenario {
	t.Helper()
	if !f.sound {
		f.Recover(t)
		f.m, f.runs, f.right = newModel(f.t, f.Stack, "faults", nil), 1, map[int][]float64{}
		f.m.champion(t)
	}
	f.sound = false
	f.runs++
	s := &scenario{faults: f, model: f.m, number: f.runs, random: rand.New(rand.NewPCG(f.seed, hash(t.Name())))}
	s.change(t, canary)
	s.submit(t, fmt.Sprintf("%02d.csv", s.number), csv(flights(s.number, fileRows)))
	s.stage(t, s.lifecycle(s.number), "approve")
	s.before = s.head(t).Champion
	s.load = askAll(t, s.name, f.Gateways, s.rows(), clients, clientEvery)
	return s
}

// hash gives each scenario moments of its own, whichever others run.
func hash(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64()
}

// play takes one canary to its phase, has the fault happen, and holds what follows to the rules.
func (f *faults) play(t *testing.T, fault fault, p phase) {
	s := f.begin(t, p.canary)
	t.Cleanup(func() { s.explainFault(t) })
	p.reach(t, s)
	moment := time.Duration(s.random.Int64N(int64(p.within)))
	time.Sleep(moment) // any moment of the phase will do
	struck := s.head(t)
	began := time.Now()
	fault.strike(t, s)
	fault.lasts(t, s)
	if fault.heal != nil {
		fault.heal(t, s)
	}
	s.seen.outages = append(s.seen.outages, outage{from: began, to: time.Now(), blind: fault.blind, down: fault.down})
	r := s.result(t, s.number)
	if fault.after != nil {
		fault.after(t, s)
	}
	s.holds(t, r)
	require.Contains(t, p.outcomes, r.Outcome, r.Reason)
	t.Logf("struck %s after the phase began, at entry %d with weight %.2g; %d answers, %d by the challenger, %d requests failed at one gateway; %s after %s: %s",
		moment.Round(time.Millisecond), struck.Seq, struck.Weight, len(s.seen.answers), s.load.from(r.Version, time.Time{}), len(s.seen.failed),
		r.Outcome, r.Ended.Sub(began).Round(time.Millisecond), r.Reason)
	f.sound = true
}

// holds waits until the run is over everywhere, and holds what clients, ledger and gateways say to the rules.
func (s *scenario) holds(t *testing.T, r activities.LifecycleResult) {
	t.Helper()
	head := s.settled(t)
	s.load.stop()
	require.Zero(t, head.Challenger)
	require.Zero(t, head.Weight)
	require.Equal(t, r.Outcome == activities.Promoted, head.Champion == r.Version, "%s, and version %d is the champion", r.Outcome, head.Champion)
	last, err := activities.LastRun(t.Context(), s.Store, s.name)
	require.NoError(t, err)
	require.Equal(t, s.number, last, "each file was one run")
	require.Len(t, head.Versions, s.number, "each run made one version")
	require.NoError(t, s.ledger().History(t.Context(), 1, func(e registry.Entry) error {
		s.seen.ledger = append(s.seen.ledger, e)
		return nil
	}))
	s.seen.right = s.scores(t, head)
	s.load.tell(&s.seen)
	require.Empty(t, s.seen.violations())
	require.NotEmpty(t, s.seen.answers)
}

// settled waits until run and canary are closed and every gateway serves by the ledger's last entry, by its own word
// and by its heartbeat.
func (s *scenario) settled(t *testing.T) registry.State {
	t.Helper()
	s.closed(t, s.lifecycle(s.number))
	s.closed(t, workflows.CanaryID(s.name))
	head := s.head(t)
	testkit.Until(t, fmt.Sprintf("every gateway at entry %d", head.Seq), stageLimit, func() (bool, any) {
		for _, g := range s.Gateways {
			r, err := routeOf(t.Context(), g.Admin, s.name)
			if weight := metric(t, g.Admin, fmt.Sprintf("leanloop_canary_weight{model=%q}", s.name)); weight != 0 {
				return false, fmt.Sprintf("%s: leanloop_canary_weight %v", g.Part, weight)
			}
			if err != nil || r.Seq != head.Seq || r.Champion.Version != head.Champion || r.Challenger != nil || r.EffectiveWeight != 0 || r.Override != nil {
				return false, fmt.Sprintf("%s: %+v, %v", g.Part, r, err)
			}
		}
		beats, err := registry.Heartbeats(t.Context(), s.Store)
		if err != nil {
			return false, err
		}
		live := registry.Live(beats, time.Now())
		confirmed, missing := registry.Confirmed(beats, s.name, head.Seq, time.Now())
		return confirmed && len(live) == len(s.Gateways), fmt.Sprintf("%d gateways alive, behind: %v", len(live), missing)
	})
	return head
}

// rows are what clients ask for.
func (*faults) rows() []map[string]any { return featuresOf(flights(1000, faultRows)) }

// scores are what each version gives for the clients' rows, by the model itself.
func (s *scenario) scores(t *testing.T, head registry.State) map[int][]float64 {
	t.Helper()
	rows := s.rows()
	for _, v := range head.Versions {
		if s.right[v.Number] == nil {
			s.right[v.Number] = scoresOf(t, s.artifact(t, head, v.Number), rows)
		}
	}
	newest, before := s.right[len(head.Versions)], s.right[len(head.Versions)-1]
	differ := 0
	for i := range newest {
		if newest[i] != before[i] {
			differ++
		}
	}
	require.Greater(t, differ, faultRows*9/10, "versions that answer alike would hide a wrong answer")
	return s.right
}

func scoresOf(t *testing.T, m *inference.Model, rows []map[string]any) []float64 {
	t.Helper()
	x, scores, out := make([]float64, len(m.Signature.Inputs)), make([]float64, m.Signature.Outputs()), make([]float64, len(rows))
	for i, features := range rows {
		require.NoError(t, m.Encode(features, x))
		require.NoError(t, m.Scorer.Score(x, 1, scores))
		_, out[i] = m.Decision(scores)
	}
	return out
}

// routes are the gateways' that answer, by name.
func (s *scenario) routes(ctx context.Context) map[string]serving.RouteStatus {
	out := map[string]serving.RouteStatus{}
	for _, g := range s.Gateways {
		if r, err := routeOf(ctx, g.Admin, s.name); err == nil {
			out[g.Part] = r
		}
	}
	return out
}

// explainFault logs what a failed scenario needs to be understood, and repeated.
func (s *scenario) explainFault(t *testing.T) {
	if !t.Failed() {
		return
	}
	t.Logf("FAULT_SEED=%d repeats it", s.seed)
	for _, part := range []string{testkit.PartWorker, testkit.PartGateway, testkit.PartGateway2} {
		t.Logf("%s:\n%s", part, s.Log(part))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	head, err := s.ledger().Head(ctx)
	if err != nil {
		t.Logf("ledger: %v", err)
		return
	}
	_ = s.ledger().History(ctx, max(1, head.Seq-20), func(e registry.Entry) error {
		t.Logf("%d %s %s champion %d challenger %d weight %.2g", e.Seq, e.Time.Format("15:04:05.000"), e.Key, e.State.Champion, e.State.Challenger, e.State.Weight)
		return nil
	})
}
