package registry_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/registry/registrytest"
)

var (
	digest = registrytest.Digest
	clock  = registrytest.Clock
)

// story builds a state by commands that all must be allowed.
type story struct {
	t    *testing.T
	s    registry.State
	n    int
	told []registry.Command
}

func newStory(t *testing.T) *story { return &story{t: t, s: registry.State{Model: "flight-delay"}} }

// command fills in what every command needs.
func (st *story) command(c registry.Command) registry.Command {
	st.n++
	if c.Key == "" {
		c.Key = fmt.Sprintf("lifecycle/flight-delay/1/%d", st.n)
	}
	if c.Actor == "" {
		c.Actor = "cli:ana"
	}
	if c.Time.IsZero() {
		c.Time = clock(st.n)
	}
	return c
}

func (st *story) try(c registry.Command) (registry.State, error) {
	return registry.Apply(st.s, st.command(c))
}

func (st *story) do(commands ...registry.Command) *story {
	st.t.Helper()
	for _, c := range commands {
		c = st.command(c)
		next, err := registry.Apply(st.s, c)
		require.NoError(st.t, err)
		require.NoError(st.t, registrytest.Invariants(next))
		st.s, st.told = next, append(st.told, c)
	}
	return st
}

func register(n int, verdict string) registry.Command {
	return registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
		Artifact: digest("artifact", n), Evidence: digest("evidence", n), Verdict: verdict, Lifecycle: "lifecycle/flight-delay/1",
		Metrics: map[string]float64{"f1": 0.8},
	}}
}

// approve is an approval as a careful approver gives it: of the evidence and the champion as they are.
func (st *story) approve(n int) registry.Command {
	v, _ := st.s.Version(n)
	return registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{
		Version: n, Evidence: v.Evidence, Approvers: []string{"cli:ana"}, RequestedBy: "cli:bo",
		Comparison: registry.Comparison{Champion: st.s.Champion, Epoch: st.s.Epoch},
	}}
}

func reject(n int) registry.Command {
	return registry.Command{Kind: registry.KindRejected, Rejected: &registry.Decided{Version: n, Evidence: digest("evidence", n), Reason: "no"}}
}

func canary(kind registry.Kind, n int, weight float64, run string) registry.Command {
	return registry.Command{Kind: kind, Canary: &registry.CanaryWeight{Version: n, Weight: weight, LeaseUntil: clock(1000), Run: run}}
}

func start(n int) registry.Command { return canary(registry.KindCanaryStarted, n, 0.1, "run-1") }

func promote(n int) registry.Command {
	return registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: n}}
}

func rollback(version, to int) registry.Command {
	return registry.Command{Kind: registry.KindRolledBack, RolledBack: &registry.RolledBack{Version: version, To: to}}
}

// champion1 is a model whose version 1 is the champion, and version 2 registered.
func champion1(t *testing.T) *story {
	st := newStory(t).do(register(1, "pass"))
	st.do(st.approve(1)).do(promote(1), register(2, "pass"))
	return st
}

// canary2 goes on to a canary of version 2.
func canary2(t *testing.T) *story {
	st := champion1(t)
	return st.do(st.approve(2)).do(start(2))
}

func TestAChallengerWhoseLeaseIsOverGivesWay(t *testing.T) {
	st := canary2(t)
	st.do(register(3, "pass"))
	st.do(st.approve(3))
	next := start(3)
	next.Canary.Run, next.Canary.LeaseUntil = "run-2", clock(2000)
	next.Time = clock(999)
	_, err := st.try(next)
	var conflict *registry.Conflict
	require.ErrorAs(t, err, &conflict, "its lease still runs")

	next.Time = clock(1000)
	st.do(next)
	require.Equal(t, 3, st.s.Challenger)
	require.Equal(t, registry.StatusRolledBack, st.s.Versions[1].Status)
	require.Equal(t, "run-2", st.s.Lease.Run)
	for _, late := range []registry.Command{promote(2), rollback(2, 0), canary(registry.KindCanaryWeight, 2, 0.5, "run-1")} {
		_, err := st.try(late)
		require.ErrorAs(t, err, &conflict, "%s", late)
	}
}

func TestFirstVersionIsPromotedWithoutACanary(t *testing.T) {
	st := champion1(t)
	require.Equal(t, 1, st.s.Champion)
	require.EqualValues(t, 1, st.s.Epoch)
	require.EqualValues(t, 3, st.s.ChampionSeq)
	v, _ := st.s.Version(1)
	require.Equal(t, registry.StatusChampion, v.Status)
	require.Equal(t, st.s.ChampionSince, v.PromotedAt)
}

// acted is a weight of version 2 that a person or a failure caused.
func acted(action string, weight float64, reason string) registry.Command {
	c := canary(registry.KindCanaryWeight, 2, weight, "run-1")
	c.Canary.Action, c.Reason = action, reason
	return c
}

func TestWhatPeopleDoToACanaryIsKeptAndMovesNothingElse(t *testing.T) {
	st := canary2(t)
	before := st.s
	extended := acted(registry.CanaryExtended, 0.1, "slow day")
	extended.Canary.Deadline = clock(500)
	st.do(acted(registry.CanaryPaused, 0.1, "storm"), acted(registry.CanaryResumed, 0.1, "over"), extended,
		acted(registry.CanaryAsks, 0.1, "error rate"), acted(registry.CanaryWithdrawn, 0, "error rate"))
	require.Zero(t, st.s.Weight)
	require.Equal(t, before.Challenger, st.s.Challenger)
	require.Equal(t, before.Champion, st.s.Champion)
	require.Equal(t, before.Epoch, st.s.Epoch, "an approval outlives what people do to its canary")
	st.do(promote(2))
}

func TestPromotionRetiresTheChampionAndEndsTheLease(t *testing.T) {
	st := canary2(t)
	require.Equal(t, 0.1, st.s.Weight)
	st.do(canary(registry.KindCanaryWeight, 2, 0.5, "run-1"), promote(2))
	require.Equal(t, 2, st.s.Champion)
	require.Zero(t, st.s.Challenger)
	require.Zero(t, st.s.Weight)
	require.Nil(t, st.s.Lease)
	require.EqualValues(t, 2, st.s.Epoch)
	v, _ := st.s.Version(1)
	require.Equal(t, registry.StatusRetired, v.Status)
}

func TestRollbackClearsChallengerAndLeaseAndRaisesTheEpoch(t *testing.T) {
	for name, command := range map[string]registry.Command{
		"of a named challenger":        rollback(2, 0),
		"of whichever challenger":      rollback(0, 0),
		"of a challenger to the same":  rollback(2, 1),
		"while something else is late": rollback(0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			st := canary2(t).do(command)
			require.Equal(t, 1, st.s.Champion)
			require.Zero(t, st.s.Challenger)
			require.Nil(t, st.s.Lease)
			require.EqualValues(t, 2, st.s.Epoch)
			v, _ := st.s.Version(2)
			require.Equal(t, registry.StatusRolledBack, v.Status)
		})
	}
}

func TestRollbackReturnsToAFormerChampion(t *testing.T) {
	st := canary2(t).do(promote(2), register(3, "pass"))
	st.do(st.approve(3)).do(start(3), rollback(2, 1))
	require.Equal(t, 1, st.s.Champion)
	require.Zero(t, st.s.Challenger, "a canary beside the champion that is rolled back ends too")
	require.EqualValues(t, 3, st.s.Epoch)
	for n, want := range map[int]string{1: registry.StatusChampion, 2: registry.StatusRolledBack, 3: registry.StatusRolledBack} {
		v, _ := st.s.Version(n)
		require.Equal(t, want, v.Status, "version %d", n)
	}
}

func TestSameArtifactKeepsItsNumber(t *testing.T) {
	st := champion1(t)
	st.do(st.approve(2))
	again := register(2, "pass")
	st.do(again)
	require.Len(t, st.s.Versions, 2)
	v, _ := st.s.Version(2)
	require.Equal(t, registry.StatusApproved, v.Status, "the same evidence leaves its approval standing")

	anew := register(2, "inconclusive")
	anew.Registered.Evidence = digest("evidence", "anew")
	st.do(anew)
	require.Len(t, st.s.Versions, 2)
	v, _ = st.s.Version(2)
	require.Equal(t, registry.StatusRegistered, v.Status, "new evidence voids it")
	require.Nil(t, v.Approval)
	require.Equal(t, "inconclusive", v.Verdict)

	champion := register(1, "fail")
	champion.Registered.Evidence = digest("evidence", "anew")
	st.do(champion)
	require.Equal(t, 1, st.s.Champion, "a champion that is registered again stays as it is")
}

func TestMetricsWithoutAFiniteValueAreLeftOut(t *testing.T) {
	c := register(1, "fail")
	c.Registered.Metrics = map[string]float64{"f1": math.NaN(), "auc": 0.7, "loss": math.Inf(1)}
	st := newStory(t).do(c)
	require.Equal(t, map[string]float64{"auc": 0.7}, st.s.Versions[0].Metrics)
	require.Len(t, c.Registered.Metrics, 3, "the caller's map is the caller's")
}

// TestRules is the rule book's other side: what must not happen, and whether the state (a *Conflict) or the command
// (a *Refused) is at fault.
func TestRules(t *testing.T) {
	with := func(c registry.Command, change func(*registry.Command)) registry.Command { change(&c); return c }
	tests := []struct {
		rule     string
		story    func(t *testing.T) *story
		command  func(st *story) registry.Command
		conflict string // what of a *Conflict; "": a *Refused
		reason   string
	}{
		{rule: "no promotion without an approval", story: champion1,
			command:  func(*story) registry.Command { return promote(2) },
			conflict: "challenger"},
		{rule: "no first promotion without an approval",
			story:   func(t *testing.T) *story { return newStory(t).do(register(1, "pass")) },
			command: func(*story) registry.Command { return promote(1) }, reason: "is registered, not approved"},
		{rule: "no promotion past the canary",
			story:    func(t *testing.T) *story { st := champion1(t); return st.do(st.approve(2)) },
			command:  func(*story) registry.Command { return promote(2) },
			conflict: "challenger"},
		{rule: "no promotion of another than the challenger",
			story:    func(t *testing.T) *story { st := canary2(t).do(register(3, "pass")); return st.do(st.approve(3)) },
			command:  func(*story) registry.Command { return promote(3) },
			conflict: "challenger"},
		{rule: "no promotion of an unknown version", story: newStory,
			command: func(*story) registry.Command { return promote(7) }, reason: "no version 7"},
		{rule: "no promotion after a rollback",
			story:    func(t *testing.T) *story { return canary2(t).do(rollback(2, 0)) },
			command:  func(*story) registry.Command { return promote(2) },
			conflict: "challenger"},
		{rule: "no second promotion of the champion", story: champion1,
			command:  func(*story) registry.Command { return promote(1) },
			conflict: "challenger"},
		{rule: "no approval of failed gates",
			story:   func(t *testing.T) *story { return newStory(t).do(register(1, "fail")) },
			command: func(st *story) registry.Command { return st.approve(1) }, reason: "failed its gates"},
		{rule: "no approval of other evidence", story: champion1,
			command: func(st *story) registry.Command {
				return with(st.approve(2), func(c *registry.Command) { c.Approved.Evidence = digest("else") })
			}, conflict: "evidence"},
		{rule: "no approval against another champion", story: champion1,
			command: func(st *story) registry.Command {
				return with(st.approve(2), func(c *registry.Command) { c.Approved.Comparison.Champion = 0 })
			}, conflict: "champion"},
		{rule: "no approval against another epoch", story: champion1,
			command: func(st *story) registry.Command {
				return with(st.approve(2), func(c *registry.Command) { c.Approved.Comparison.Epoch = 0 })
			}, conflict: "epoch"},
		{rule: "no approval by nobody", story: champion1,
			command: func(st *story) registry.Command {
				return with(st.approve(2), func(c *registry.Command) { c.Approved.Approvers = nil })
			}, reason: "approvers"},
		{rule: "no approval by somebody without a name", story: champion1,
			command: func(st *story) registry.Command {
				return with(st.approve(2), func(c *registry.Command) { c.Approved.Approvers = []string{"cli:ana", ""} })
			}, reason: "approvers"},
		{rule: "no second decision: approve after reject",
			story:   func(t *testing.T) *story { return champion1(t).do(reject(2)) },
			command: func(st *story) registry.Command { return st.approve(2) }, reason: "decided already: rejected"},
		{rule: "no second decision: reject after approve",
			story:   func(t *testing.T) *story { st := champion1(t); return st.do(st.approve(2)) },
			command: func(*story) registry.Command { return reject(2) }, reason: "decided already: approved"},
		{rule: "no canary without an approval", story: champion1,
			command: func(*story) registry.Command { return start(2) }, reason: "is registered, not approved"},
		{rule: "no canary beside another", story: func(t *testing.T) *story {
			st := canary2(t).do(register(3, "pass"))
			return st.do(st.approve(3))
		}, command: func(*story) registry.Command { return start(3) }, conflict: "challenger"},
		{rule: "no canary without a champion", story: func(t *testing.T) *story {
			st := newStory(t).do(register(1, "pass"))
			return st.do(st.approve(1))
		}, command: func(*story) registry.Command { return start(1) }, reason: "there is no champion"},
		{rule: "no canary on an approval of an older champion", story: func(t *testing.T) *story {
			st := champion1(t).do(register(3, "pass"))
			return st.do(st.approve(2), st.approve(3)).do(start(3), promote(3))
		}, command: func(*story) registry.Command { return start(2) }, conflict: "champion"},
		{rule: "no canary on an approval of an older epoch", story: func(t *testing.T) *story {
			st := champion1(t).do(register(3, "pass"))
			return st.do(st.approve(2), st.approve(3)).do(start(3), rollback(3, 0))
		}, command: func(*story) registry.Command { return start(2) }, conflict: "epoch"},
		{rule: "no weight after a rollback",
			story:    func(t *testing.T) *story { return canary2(t).do(rollback(2, 0)) },
			command:  func(*story) registry.Command { return canary(registry.KindCanaryWeight, 2, 0.5, "run-1") },
			conflict: "challenger"},
		{rule: "no weight by another run", story: canary2,
			command:  func(*story) registry.Command { return canary(registry.KindCanaryWeight, 2, 0.5, "run-0") },
			conflict: "run of the lease"},
		{rule: "no weight over one", story: canary2,
			command: func(*story) registry.Command { return canary(registry.KindCanaryWeight, 2, 1.5, "run-1") }, reason: "weight 1.5"},
		{rule: "no weight that is no number", story: canary2,
			command: func(*story) registry.Command { return canary(registry.KindCanaryWeight, 2, math.NaN(), "run-1") }, reason: "weight NaN"},
		{rule: "no action that nobody knows", story: canary2,
			command: func(*story) registry.Command { return acted("left", 0.1, "why not") }, reason: `action "left": want one of pause, resume`},
		{rule: "no action without a reason", story: canary2,
			command: func(*story) registry.Command { return acted(registry.CanaryPaused, 0.1, "") }, reason: "action pause without a reason"},
		{rule: "nothing withdrawn that keeps traffic", story: canary2,
			command: func(*story) registry.Command { return acted(registry.CanaryWithdrawn, 0.1, "error rate") }, reason: "action withdraw with weight 0.1: want 0"},
		{rule: "no extension without a deadline", story: canary2,
			command: func(*story) registry.Command { return acted(registry.CanaryExtended, 0.1, "slow day") }, reason: "extend has one, and no other"},
		{rule: "no new deadline without an extension", story: canary2,
			command: func(*story) registry.Command {
				return with(acted("", 0.1, ""), func(c *registry.Command) { c.Canary.Deadline = clock(99) })
			}, reason: "without the action extend"},
		{rule: "no action at the start", story: func(t *testing.T) *story { st := champion1(t); return st.do(st.approve(2)) },
			command: func(*story) registry.Command {
				return with(start(2), func(c *registry.Command) { c.Canary.Action, c.Reason = registry.CanaryAsks, "error rate" })
			}, reason: "action ask with canary_started"},
		{rule: "no lease that has ended", story: canary2,
			command: func(*story) registry.Command {
				return with(canary(registry.KindCanaryWeight, 2, 0.5, "run-1"), func(c *registry.Command) { c.Canary.LeaseUntil = clock(0) })
			}, reason: "isn't after"},
		{rule: "no new evaluation of a challenger", story: canary2,
			command: func(*story) registry.Command {
				return with(register(2, "pass"), func(c *registry.Command) { c.Registered.Evidence = digest("anew") })
			}, conflict: "challenger"},
		{rule: "no rollback of nothing", story: champion1,
			command: func(*story) registry.Command { return rollback(0, 0) }, conflict: "challenger"},
		{rule: "no late rollback of another challenger", story: canary2,
			command: func(*story) registry.Command { return rollback(3, 0) }, conflict: "challenger"},
		{rule: "no rollback to what was never the champion", story: canary2,
			command: func(*story) registry.Command { return rollback(0, 2) }, reason: "never the champion"},
		{rule: "no rollback to an unknown version", story: canary2,
			command: func(*story) registry.Command { return rollback(0, 9) }, reason: "never the champion"},
		{rule: "no key twice", story: champion1,
			command: func(*story) registry.Command {
				return with(register(3, "pass"), func(c *registry.Command) { c.Key = "lifecycle/flight-delay/1/1" })
			}, reason: "applied already, as entry 1"},
		{rule: "no artifact without a digest", story: newStory,
			command: func(*story) registry.Command {
				return with(register(1, "pass"), func(c *registry.Command) { c.Registered.Artifact = "../../x" })
			}, reason: "SHA-256"},
		{rule: "no registration without evidence", story: newStory,
			command: func(*story) registry.Command {
				return with(register(1, "pass"), func(c *registry.Command) { c.Registered.Evidence = "" })
			}, reason: "no evidence"},
		{rule: "no unknown verdict", story: newStory,
			command: func(*story) registry.Command { return register(1, "passed") }, reason: `verdict "passed"`},
		{rule: "no spec without a digest", story: newStory,
			command: func(*story) registry.Command {
				return registry.Command{Kind: registry.KindSpecApplied, Spec: &registry.SpecApplied{Digest: "abc"}}
			}, reason: "SHA-256"},
		{rule: "no kind without its arguments", story: champion1,
			command: func(*story) registry.Command { return registry.Command{Kind: registry.KindPromoted} }, reason: "with arguments of []"},
		{rule: "no kind with another's arguments", story: champion1,
			command: func(*story) registry.Command {
				return with(promote(1), func(c *registry.Command) { c.Kind = registry.KindRolledBack })
			}, reason: "with arguments of [promoted]"},
		{rule: "no kind with two arguments", story: champion1,
			command: func(*story) registry.Command {
				return with(promote(1), func(c *registry.Command) { c.RolledBack = &registry.RolledBack{} })
			}, reason: "with arguments of"},
		{rule: "no unknown kind", story: newStory,
			command: func(*story) registry.Command { return registry.Command{Kind: "deleted"} }, reason: `kind "deleted"`},
		{rule: "no endless reason", story: canary2,
			command: func(*story) registry.Command {
				return with(rollback(2, 0), func(c *registry.Command) { c.Reason = strings.Repeat("r", 2001) })
			}, reason: "reason of 2001 bytes"},
		{rule: "the guard holds the champion", story: champion1,
			command: func(*story) registry.Command {
				return with(reject(2), func(c *registry.Command) { c.Guard.Champion = new(0) })
			}, conflict: "champion"},
		{rule: "the guard holds the challenger", story: champion1,
			command: func(*story) registry.Command {
				return with(reject(2), func(c *registry.Command) { c.Guard.Challenger = new(2) })
			}, conflict: "challenger"},
		{rule: "the guard holds the epoch", story: champion1,
			command: func(*story) registry.Command {
				return with(reject(2), func(c *registry.Command) { c.Guard.Epoch = new(int64(0)) })
			}, conflict: "epoch"},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			st := test.story(t)
			before := asJSON(t, st.s)
			_, err := st.try(test.command(st))
			require.Error(t, err)
			require.Equal(t, before, asJSON(t, st.s), "a refused command leaves the state alone")
			if test.conflict != "" {
				var conflict *registry.Conflict
				require.ErrorAs(t, err, &conflict)
				require.Equal(t, test.conflict, conflict.What)
				require.NotEqual(t, conflict.Observed, conflict.Expected)
				return
			}
			var refused *registry.Refused
			require.ErrorAs(t, err, &refused)
			require.Contains(t, refused.Reason, test.reason)
		})
	}
}

func TestCommandsNeedKeyActorAndTime(t *testing.T) {
	whole := registry.Command{Key: "k", Actor: "cli:ana", Time: clock(1), Kind: registry.KindRegistered, Registered: register(1, "pass").Registered}
	_, err := registry.Apply(registry.State{}, whole)
	require.NoError(t, err)
	for want, change := range map[string]func(*registry.Command){
		"key of 0 bytes":   func(c *registry.Command) { c.Key = "" },
		"key of 513 bytes": func(c *registry.Command) { c.Key = strings.Repeat("k", 513) },
		"no actor":         func(c *registry.Command) { c.Actor = "" },
		"no time":          func(c *registry.Command) { c.Time = time.Time{} },
	} {
		c := whole
		change(&c)
		_, err := registry.Apply(registry.State{}, c)
		require.ErrorContains(t, err, want)
	}
}

func TestAStateRemembersTheLast256Keys(t *testing.T) {
	st := newStory(t)
	for n := range 300 {
		st.do(register(n, "pass"))
	}
	require.Len(t, st.s.Keys, 256)
	require.Equal(t, registry.KeySeq{Key: "lifecycle/flight-delay/1/45", Seq: 45}, st.s.Keys[0])
	seq, ok := st.s.KeySeq("lifecycle/flight-delay/1/300")
	require.True(t, ok)
	require.EqualValues(t, 300, seq)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
