package target

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/registry"
)

var t0 = time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)

// fake is a target in memory.
type fake struct {
	weights map[int]float64
	showing map[int]float64 // what reads back: nil: weights at once
	lag     int             // reads until weights show
	did     []string
	fail    func(verb string) error // nil: never
	before  func(verb string)       // what happens meanwhile
}

func newFake() *fake { return &fake{weights: map[int]float64{}} }

func (f *fake) call(verb string) error {
	if f.before != nil {
		f.before(verb)
	}
	if f.fail != nil {
		return f.fail(verb)
	}
	return nil
}

func (f *fake) Deploy(_ context.Context, d Deployment, _ int64) error {
	if err := f.call(Deploy); err != nil {
		return err
	}
	f.did = append(f.did, fmt.Sprint("deploy ", d.Version, " ", d.Artifact))
	if _, ok := f.weights[d.Version]; !ok {
		f.weights[d.Version] = 0
	}
	return nil
}

func (f *fake) SetWeights(_ context.Context, w Weights, entry int64) error {
	if err := f.call(Weight); err != nil {
		return err
	}
	f.did = append(f.did, fmt.Sprintf("set %s by %d", w, entry))
	if f.lag == 0 || f.showing == nil {
		f.showing = maps.Clone(f.weights)
	}
	for v := range f.weights {
		f.weights[v] = w.of(v)
	}
	return nil
}

func (f *fake) Read(context.Context, int64) ([]Version, error) {
	if err := f.call(Read); err != nil {
		return nil, err
	}
	shown := f.weights
	if f.lag > 0 && f.showing != nil {
		f.lag--
		shown = f.showing
	}
	var out []Version
	for _, v := range slices.Sorted(maps.Keys(shown)) {
		out = append(out, Version{Version: v, Weight: shown[v]})
	}
	return out, nil
}

func (f *fake) Remove(_ context.Context, version int, _ int64) error {
	if err := f.call(Remove); err != nil {
		return err
	}
	f.did = append(f.did, fmt.Sprint("remove ", version))
	delete(f.weights, version)
	return nil
}

// state is a ledger's: statuses of versions 1, 2, ...
func state(seq int64, statuses ...registry.Status) registry.State {
	s := registry.State{Model: "flights", Seq: seq}
	for i, status := range statuses {
		v := registry.Version{Number: i + 1, Artifact: fmt.Sprintf("a%d", i+1), Status: status, PromotedAt: t0.Add(time.Duration(i) * time.Hour)}
		switch status {
		case registry.StatusChampion:
			s.Champion = i + 1
		case registry.StatusCanary:
			s.Challenger, s.Lease = i+1, &registry.Lease{Until: t0.Add(time.Minute), Run: "r"}
		}
		s.Versions = append(s.Versions, v)
	}
	return s
}

func challenged(seq int64, weight float64, statuses ...registry.Status) registry.State {
	s := state(seq, statuses...)
	s.Weight = weight
	return s
}

func syncer(f *fake, states ...registry.State) Syncer {
	i := -1
	return Syncer{Port: f, Now: func() time.Time { return t0 }, Pause: time.Microsecond, Head: func(context.Context) (registry.State, error) {
		i = min(i+1, len(states)-1)
		return states[i], nil
	}}
}

func TestSyncBringsATargetToWhatTheLedgerSays(t *testing.T) {
	const (
		champion, challenger = registry.StatusChampion, registry.StatusCanary
		retired, rolledBack  = registry.StatusRetired, registry.StatusRolledBack
		approved, registered = registry.StatusApproved, registry.StatusRegistered
	)
	for name, c := range map[string]struct {
		state registry.State
		have  map[int]float64
		did   []string
		now   map[int]float64
	}{
		"nothing was decided: nothing is asked":     {state: state(1, approved), have: map[int]float64{7: 1}, now: map[int]float64{7: 1}},
		"a first champion is deployed and gets all": {state: state(2, champion), did: []string{"deploy 1 a1", "set version 1 100 % by 2"}, now: map[int]float64{1: 1}},
		"as it should be: nothing is done":          {state: state(2, champion), have: map[int]float64{1: 1}, now: map[int]float64{1: 1}},
		"a challenger gets its share": {state: challenged(3, 0.1, champion, challenger), have: map[int]float64{1: 1, 2: 0},
			did: []string{"set version 1 90 %, version 2 10 % by 3"}, now: map[int]float64{1: 0.9, 2: 0.1}},
		"one that isn't there is deployed": {state: challenged(3, 0.1, champion, challenger), have: map[int]float64{1: 1},
			did: []string{"deploy 2 a2", "set version 1 90 %, version 2 10 % by 3"}, now: map[int]float64{1: 0.9, 2: 0.1}},
		"whole percents are good enough": {state: challenged(3, 0.125, champion, challenger), have: map[int]float64{1: 0.88, 2: 0.12}, now: map[int]float64{1: 0.88, 2: 0.12}},
		"another share isn't": {state: challenged(3, 0.1, champion, challenger), have: map[int]float64{1: 0.5, 2: 0.5},
			did: []string{"set version 1 90 %, version 2 10 % by 3"}, now: map[int]float64{1: 0.9, 2: 0.1}},
		"a challenger that was rolled back loses its share and goes": {state: state(4, champion, rolledBack), have: map[int]float64{1: 0.995, 2: 0.005},
			did: []string{"set version 1 100 % by 4", "remove 2"}, now: map[int]float64{1: 1}},
		"the champion before stays deployed, the one before that goes": {state: state(9, retired, retired, champion), have: map[int]float64{1: 0, 2: 1, 3: 0},
			did: []string{"set version 3 100 % by 9", "remove 1"}, now: map[int]float64{2: 0, 3: 1}},
		"versions that wait are left alone": {state: state(5, champion, approved, registered), have: map[int]float64{1: 1, 2: 0, 3: 0}, now: map[int]float64{1: 1, 2: 0, 3: 0}},
		"what the ledger doesn't know loses its share and stays": {state: state(5, champion), have: map[int]float64{1: 0.5, 8: 0.5},
			did: []string{"set version 1 100 % by 5"}, now: map[int]float64{1: 1, 8: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			maps.Copy(f.weights, c.have)
			out, err := syncer(f, c.state).Sync(t.Context())
			require.NoError(t, err)
			require.True(t, out.Agrees)
			require.Equal(t, c.did, f.did)
			require.Equal(t, c.now, f.weights)
		})
	}
}

func TestAChallengerWhoseLeaseIsOverLosesItsShareAndStaysDeployed(t *testing.T) {
	f := newFake()
	maps.Copy(f.weights, map[int]float64{1: 0.9, 2: 0.1})
	s := syncer(f, challenged(3, 0.1, registry.StatusChampion, registry.StatusCanary))
	s.Now = func() time.Time { return t0.Add(time.Minute) }
	out, err := s.Sync(t.Context())
	require.NoError(t, err)
	require.True(t, out.Moved)
	require.Equal(t, map[int]float64{1: 1, 2: 0}, f.weights)
}

func TestATargetThatTakesItsTimeIsWaitedFor(t *testing.T) {
	f := newFake()
	f.weights[1], f.lag = 0, 5
	_, err := syncer(f, state(2, registry.StatusChampion)).Sync(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"set version 1 100 % by 2"}, f.did)
}

// What is deployed and doesn't show yet isn't deployed again and again without a breath.
func TestADeploymentThatTakesItsTimeToShowIsWaitedFor(t *testing.T) {
	f := newFake()
	f.showing, f.lag = map[int]float64{}, 1<<30
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s := syncer(f, state(2, registry.StatusChampion))
	s.Pause = 10 * time.Millisecond
	_, err := s.Sync(ctx)
	require.ErrorContains(t, err, "reads back nothing, want version 1 100 %")
	require.Less(t, len(f.did), 6, "%v", f.did) // after 0, 10, 30, 70 ms
}

// A routing that was lost on its way, or that somebody has written over, is set again after a while.
func TestARoutingThatIsLostIsSetAgain(t *testing.T) {
	f := newFake()
	f.weights[1], f.weights[2] = 1, 0
	f.before = func(verb string) {
		if verb == Read && len(f.did) == 1 {
			f.weights[1], f.weights[2] = 1, 0
		}
	}
	_, err := syncer(f, challenged(3, 0.1, registry.StatusChampion, registry.StatusCanary)).Sync(t.Context())
	require.NoError(t, err)
	require.Len(t, f.did, 2)
	require.Equal(t, 0.1, f.weights[2])
}

// Some targets round a share: to none, or to all, is no share any more.
func TestASmallShareThatReadsBackAsNoneIsNotMet(t *testing.T) {
	for share, have := range map[float64]float64{0.005: 0, 0.995: 1} {
		w := Weights{Champion: 1, Challenger: 2, Weight: share}
		require.False(t, w.met([]Version{{Version: 1, Weight: 1 - have}, {Version: 2, Weight: have}}), "%g", share)
		require.True(t, w.met([]Version{{Version: 1, Weight: 1 - share}, {Version: 2, Weight: share}}), "%g", share)
	}
}

// A run that was cancelled between its deployment and its canary leaves a version that nobody serves: it goes with the
// next promotion or rollback, which voids its approval.
func TestAVersionWhoseApprovalIsVoidIsRemoved(t *testing.T) {
	s := state(5, registry.StatusChampion, registry.StatusApproved)
	s.Epoch = 3
	for epoch, left := range map[int64]int{3: 2, 2: 1} {
		s.Versions[1].Approval = &registry.Approval{Epoch: epoch}
		f := newFake()
		maps.Copy(f.weights, map[int]float64{1: 1, 2: 0})
		_, err := syncer(f, s).Sync(t.Context())
		require.NoError(t, err)
		require.Len(t, f.weights, left, "approved at epoch %d", epoch)
	}
}

// A process that was stopped with an old entry in its hand sets an old routing. It must not stay.
func TestALateWriterCorrectsItself(t *testing.T) {
	const champion, challenger, rolledBack = registry.StatusChampion, registry.StatusCanary, registry.StatusRolledBack
	now := challenged(3, 0.1, champion, challenger)
	f := newFake()
	maps.Copy(f.weights, map[int]float64{1: 1, 2: 0})
	f.before = func(verb string) {
		if verb == Weight {
			now = state(4, champion, rolledBack) // decided, and done by another, before this write arrives
		}
	}
	s := syncer(f)
	s.Head = func(context.Context) (registry.State, error) { return now, nil }
	out, err := s.Sync(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(4), out.Entry)
	require.Equal(t, map[int]float64{1: 1}, f.weights)
}

func TestALedgerThatMovesAtTheEndIsFollowed(t *testing.T) {
	const champion, challenger = registry.StatusChampion, registry.StatusCanary
	f := newFake()
	f.weights[1], f.weights[2] = 1, 0
	_, err := syncer(f, state(2, champion, registry.StatusApproved), challenged(3, 0.2, champion, challenger)).Sync(t.Context())
	require.NoError(t, err)
	require.Equal(t, 0.2, f.weights[2])
}

func TestATargetThatDoesntFollowIsUnconfirmed(t *testing.T) {
	f := newFake()
	f.weights[1], f.weights[2] = 1, 0
	f.lag, f.showing = 1<<30, maps.Clone(f.weights)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	out, err := syncer(f, challenged(3, 0.1, registry.StatusChampion, registry.StatusCanary)).Sync(ctx)
	unconfirmed, ok := errors.AsType[*Unconfirmed](err)
	require.True(t, ok, "%v", err)
	require.False(t, out.Agrees)
	require.Equal(t, Weights{Champion: 1, Challenger: 2, Weight: 0.1}, unconfirmed.Want)
	require.ErrorContains(t, err, "reads back version 1 100 %, version 2 0 %, want version 1 90 %, version 2 10 %")
}

func TestAVersionThatCantBeRemovedIsToldAndHoldsNothingUp(t *testing.T) {
	f := newFake()
	maps.Copy(f.weights, map[int]float64{1: 0, 2: 1})
	f.fail = func(verb string) error {
		if verb == Remove {
			return errors.New("in use")
		}
		return nil
	}
	out, err := syncer(f, state(4, registry.StatusRolledBack, registry.StatusChampion)).Sync(t.Context())
	require.NoError(t, err)
	require.True(t, out.Agrees)
	require.Equal(t, []string{"version 1: in use"}, out.Left)
}

func TestLookChangesNothing(t *testing.T) {
	f := newFake()
	f.weights[1] = 0.4
	out, err := syncer(f, state(4, registry.StatusChampion)).Look(t.Context())
	require.NoError(t, err)
	require.False(t, out.Agrees)
	require.Empty(t, f.did)
}

func TestDeployNeedsTheVersionToReadBack(t *testing.T) {
	f := newFake()
	_, err := syncer(f, state(4, registry.StatusApproved)).Deploy(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []string{"deploy 1 a1"}, f.did)
	_, err = syncer(f, state(4, registry.StatusApproved)).Deploy(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, f.did, 1, "it was there")
	_, err = syncer(f, state(4, registry.StatusApproved)).Deploy(t.Context(), 3)
	_, refused := errors.AsType[*Refused](err)
	require.True(t, refused, "%v", err)
	_, err = syncer(&fake{weights: map[int]float64{}, showing: map[int]float64{}, lag: 9}, state(4, registry.StatusApproved)).Deploy(t.Context(), 1)
	require.ErrorContains(t, err, "was deployed and doesn't read back")
}

// Whatever a target went through (verbs that failed, half of them after they were done; people's hands; leases that
// ended), the next Sync that gets through leaves it as the ledger says.
func TestSyncConvergesFromAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statuses := []registry.Status{registry.StatusRetired, registry.StatusRolledBack, registry.StatusApproved, registry.StatusRejected}
		n := rapid.IntRange(1, 5).Draw(t, "versions")
		f, now := newFake(), state(1)
		for round := range rapid.IntRange(1, 6).Draw(t, "rounds") {
			var versions []registry.Status
			for range n {
				versions = append(versions, rapid.SampledFrom(statuses).Draw(t, "status"))
			}
			champion := rapid.IntRange(0, n-1).Draw(t, "champion")
			versions[champion] = registry.StatusChampion
			if c := rapid.IntRange(-1, n-1).Draw(t, "challenger"); c >= 0 && c != champion {
				versions[c] = registry.StatusCanary
			}
			now = state(int64(round+2), versions...)
			if now.Challenger != 0 {
				now.Weight = rapid.SampledFrom([]float64{0, 0.001, 0.1, 0.5, 1}).Draw(t, "weight")
				now.Lease.Until = t0.Add(rapid.SampledFrom([]time.Duration{-time.Minute, time.Minute}).Draw(t, "lease"))
			}
			if rapid.Bool().Draw(t, "a person's hand") {
				f.weights[rapid.IntRange(1, 9).Draw(t, "touched")] = rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "to")
			}
			left := rapid.IntRange(0, 3).Draw(t, "calls until it fails")
			f.fail = func(string) error {
				if left--; left < 0 {
					return errors.New("away")
				}
				return nil
			}
			f.lag = rapid.IntRange(0, 20).Draw(t, "lag")
			_, _ = syncer(f, now).Sync(context.Background())
		}
		f.fail, f.lag = nil, 0 // what reads back is of now: an old answer may look right, until the next check
		out, err := syncer(f, now).Sync(context.Background())
		if err != nil || !out.Agrees {
			t.Fatalf("%+v: %v", out, err)
		}
		want := wantOf(now, t0).weights
		for v, share := range f.weights {
			if share != want.of(v) {
				t.Fatalf("version %d has %g, want %g of %s", v, share, want.of(v), want)
			}
		}
		if _, ok := f.weights[now.Champion]; !ok {
			t.Fatal("the champion isn't deployed")
		}
	})
}
