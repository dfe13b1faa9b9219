package registry_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/registry/registrytest"
)

// drawCommand makes any command, sensible or not; small numbers make them meet.
func drawCommand(t *rapid.T, s registry.State, n int) registry.Command {
	number := rapid.SampledFrom(likelyVersions(s)).Draw(t, "version")
	v, _ := s.Version(number)
	evidence := rapid.SampledFrom([]string{v.Evidence, v.Evidence, v.Evidence, digest("evidence", 1), ""}).Draw(t, "evidence")
	c := registry.Command{
		Key: fmt.Sprintf("key/%d", rapid.SampledFrom([]int{n, n, n, n / 2}).Draw(t, "key")), Actor: "rapid", Time: clock(n),
		Kind: rapid.SampledFrom(likelyKinds(s, v)).Draw(t, "kind"),
	}
	if rapid.Bool().Draw(t, "guarded") {
		c.Guard = registry.Guard{
			Champion: new(rapid.SampledFrom([]int{s.Champion, s.Champion, number}).Draw(t, "guard champion")),
			Epoch:    new(s.Epoch - int64(rapid.IntRange(0, 9).Draw(t, "late"))/9),
		}
	}
	decided := &registry.Decided{
		Version: number, Evidence: evidence, Approvers: rapid.SampledFrom([][]string{{"cli:ana"}, {"cli:ana", "cli:bo"}, nil}).Draw(t, "approvers"),
		Comparison: registry.Comparison{Champion: rapid.SampledFrom([]int{s.Champion, s.Champion, number}).Draw(t, "compared"), Epoch: s.Epoch},
	}
	switch c.Kind {
	case registry.KindRegistered:
		c.Registered = &registry.Registered{
			Artifact: digest("artifact", rapid.IntRange(1, 6).Draw(t, "artifact")),
			Evidence: digest("evidence", rapid.IntRange(1, 3).Draw(t, "evidence number")),
			Verdict:  rapid.SampledFrom([]string{"pass", "pass", "inconclusive", "fail"}).Draw(t, "verdict"),
		}
	case registry.KindApproved:
		c.Approved = decided
	case registry.KindRejected:
		c.Rejected = decided
	case registry.KindCanaryStarted, registry.KindCanaryWeight:
		c.Canary = &registry.CanaryWeight{
			Version: number, Weight: rapid.SampledFrom([]float64{0, 0.1, 0.5, 1, 1.1, -0.1}).Draw(t, "weight"), LeaseUntil: clock(n + 5),
			Run: rapid.SampledFrom([]string{"run-1", "run-2"}).Draw(t, "run"),
		}
		if l := s.Lease; l != nil && c.Kind == registry.KindCanaryWeight && rapid.Bool().Draw(t, "of the canary") {
			c.Canary.Version, c.Canary.Run, c.Guard = s.Challenger, l.Run, registry.Guard{}
		}
		if c.Kind == registry.KindCanaryWeight || rapid.IntRange(0, 9).Draw(t, "odd start") == 9 {
			drawAction(t, &c, n)
		}
	case registry.KindPromoted:
		c.Promoted = &registry.Promoted{Version: number}
	case registry.KindRolledBack:
		c.RolledBack = &registry.RolledBack{Version: rapid.SampledFrom([]int{0, number}).Draw(t, "rolled back"), To: rapid.IntRange(0, 3).Draw(t, "to")}
	case registry.KindSpecApplied:
		c.Spec = &registry.SpecApplied{Digest: digest("spec", n), AppliedBy: "cli:ana"}
	}
	return c
}

// drawAction makes a weight, more often than not, one that a person or a failure caused, and mostly a sensible one.
func drawAction(t *rapid.T, c *registry.Command, n int) {
	w := c.Canary
	w.Action = rapid.SampledFrom([]string{"", "", "", "pause", "resume", "extend", "withdraw", "ask", "promote"}).Draw(t, "action")
	odd := rapid.IntRange(0, 9).Draw(t, "odd action")
	if w.Action != "" && odd != 1 {
		c.Reason = "seen enough"
	}
	if (w.Action == registry.CanaryExtended) != (odd == 2) {
		w.Deadline = clock(n + 100)
	}
	if w.Action == registry.CanaryWithdrawn && odd != 3 {
		w.Weight = 0
	}
}

// likelyVersions are numbers that mean something, and some that don't.
func likelyVersions(s registry.State) []int {
	numbers := []int{s.Champion, s.Challenger, s.Challenger, len(s.Versions) + 1}
	for _, v := range s.Versions {
		numbers = append(numbers, v.Number)
		if v.Status == registry.StatusApproved {
			numbers = append(numbers, v.Number, v.Number, v.Number)
		}
	}
	return numbers
}

// likelyKinds are all kinds, and the one that a version's story goes on with some more times.
func likelyKinds(s registry.State, v registry.Version) []registry.Kind {
	kinds := []registry.Kind{
		registry.KindRegistered, registry.KindApproved, registry.KindRejected, registry.KindCanaryStarted,
		registry.KindCanaryWeight, registry.KindPromoted, registry.KindRolledBack, registry.KindSpecApplied,
	}
	next := registry.KindRegistered
	switch v.Status {
	case registry.StatusRegistered:
		next = registry.KindApproved
	case registry.StatusApproved:
		if next = registry.KindCanaryStarted; s.Champion == 0 {
			next = registry.KindPromoted
		}
	case registry.StatusCanary:
		kinds = append(kinds, registry.KindCanaryWeight, registry.KindRolledBack)
		next = registry.KindPromoted
	}
	if s.Lease != nil {
		kinds = append(kinds, registry.KindCanaryWeight, registry.KindCanaryWeight, registry.KindCanaryWeight, registry.KindCanaryWeight)
	}
	return append(kinds, next, next, next, next)
}

// TestAnySequenceOfCommandsKeepsTheInvariants drives Apply with random commands and holds each step to what the
// package promises: see registrytest.Invariants for the states, and below for the steps between them.
func TestAnySequenceOfCommandsKeepsTheInvariants(t *testing.T) {
	reached := map[registry.Kind]int{}
	property := func(t *rapid.T) {
		s := registry.State{Model: "flight-delay"}
		if rapid.Bool().Draw(t, "in the middle") {
			s = inTheMiddle(t)
		}
		applied := map[string]bool{}
		for n := range rapid.IntRange(1, 150).Draw(t, "commands") {
			c := drawCommand(t, s, n)
			before := marshal(t, s)
			next, err := registry.Apply(s, c)
			if after := marshal(t, s); after != before {
				t.Fatalf("Apply changed the state it was given:\n%s\n%s", before, after)
			}
			if err != nil {
				requireTyped(t, err)
				continue
			}
			if err := registrytest.Invariants(next); err != nil {
				t.Fatalf("after %s: %v", c, err)
			}
			if applied[c.Key] {
				t.Fatalf("key %s was applied twice", c.Key)
			}
			applied[c.Key] = true
			reached[c.Kind]++
			checkStep(t, s, next, c)
			s = next
		}
	}
	rapid.Check(t, property)
	if testing.Short() {
		return // a fifth of the sequences: too few to reach everything each time
	}
	wanted := []registry.Kind{registry.KindCanaryStarted, registry.KindCanaryWeight, registry.KindPromoted, registry.KindRolledBack}
	for _, kind := range wanted {
		require.Positive(t, reached[kind], "no sequence reached %s: the property says nothing", kind)
	}
}

// inTheMiddle is a model with a champion and a challenger that may go into its canary: few random sequences get there by
// themselves.
func inTheMiddle(t *rapid.T) registry.State {
	s := registry.State{Model: "flight-delay"}
	do := func(c registry.Command) {
		c.Key, c.Actor, c.Time = fmt.Sprintf("before/%d", s.Seq), "rapid", clock(0)
		next, err := registry.Apply(s, c)
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		s = next
	}
	for version := 1; version <= 2; version++ {
		evidence := digest("evidence", version)
		do(registry.Command{Kind: registry.KindRegistered, Registered: &registry.Registered{
			Artifact: digest("artifact", version), Evidence: evidence, Verdict: registry.VerdictPass}})
		do(registry.Command{Kind: registry.KindApproved, Approved: &registry.Decided{Version: version, Evidence: evidence,
			Approvers: []string{"cli:ana"}, Comparison: registry.Comparison{Champion: s.Champion, Epoch: s.Epoch}}})
		if version == 1 {
			do(registry.Command{Kind: registry.KindPromoted, Promoted: &registry.Promoted{Version: version}})
		}
	}
	return s
}

// checkStep holds two states in a row to what may happen between them.
func checkStep(t *rapid.T, s, next registry.State, c registry.Command) {
	raised := c.Kind == registry.KindPromoted || c.Kind == registry.KindRolledBack
	if want := s.Epoch; next.Epoch != want && !raised || raised && next.Epoch != want+1 {
		t.Fatalf("%s took the epoch from %d to %d", c.Kind, s.Epoch, next.Epoch)
	}
	if next.Seq != s.Seq+1 || len(next.Versions) < len(s.Versions) {
		t.Fatalf("entry %d with %d versions after %d with %d", next.Seq, len(next.Versions), s.Seq, len(s.Versions))
	}
	for i, v := range s.Versions {
		if next.Versions[i].Artifact != v.Artifact {
			t.Fatalf("version %d changed its artifact", v.Number)
		}
	}
	if next.Champion != s.Champion {
		checkNewChampion(t, s, next, c)
	}
	if w := c.Canary; w != nil && w.Action != "" {
		switch {
		case c.Actor == "" || c.Reason == "":
			t.Fatalf("%s without an actor or a reason: %s", w.Action, c)
		case w.Action == registry.CanaryWithdrawn && next.Weight != 0:
			t.Fatalf("withdrawn, and it has %v of the traffic", next.Weight)
		case next.Challenger != s.Challenger || next.Champion != s.Champion:
			t.Fatalf("%s moved champion or challenger: %s", w.Action, c)
		}
	}
	if next.Weight > 0 && s.Weight == 0 && c.Kind != registry.KindCanaryStarted && c.Kind != registry.KindCanaryWeight {
		t.Fatalf("%s gave traffic to a challenger", c.Kind)
	}
}

// checkNewChampion: only a version that passed its gates and was approved for exactly this moment, or one that was
// the champion before and is returned to.
func checkNewChampion(t *rapid.T, s, next registry.State, c registry.Command) {
	was, _ := s.Version(next.Champion)
	switch c.Kind {
	case registry.KindPromoted:
		a := was.Approval
		if was.Verdict == registry.VerdictFail || a == nil || len(a.Approvers) == 0 ||
			a.Evidence != was.Evidence || a.Epoch != s.Epoch || a.Champion != s.Champion {
			t.Fatalf("version %d was promoted with verdict %q and approval %+v at epoch %d", was.Number, was.Verdict, a, s.Epoch)
		}
	case registry.KindRolledBack:
		if was.PromotedAt.IsZero() {
			t.Fatalf("version %d became the champion by a rollback, and never was it before", was.Number)
		}
	default:
		t.Fatalf("%s changed the champion", c.Kind)
	}
}

func requireTyped(t *rapid.T, err error) {
	switch err.(type) {
	case *registry.Conflict, *registry.Refused:
	default:
		t.Fatalf("%T: %v", err, err)
	}
}

func marshal(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}
