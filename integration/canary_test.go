package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/workflows"
)

// slowCanary is one that never ends within a test by itself.
func slowCanary(m *spec.Model) {
	m.Canary.Steps[0].Hold, m.Canary.Deadline = spec.Duration(time.Hour), spec.Duration(2*time.Hour)
}

func TestATerminatedCanaryLeavesTheChampionAloneWithinTheLease(t *testing.T) {
	s := shared(t)
	for _, c := range []struct {
		rule      string
		name      string
		terminate func(model string) []string
		orphaned  bool // nobody is left who could write the end
	}{
		{"the canary", "cut-canary", func(m string) []string { return []string{workflows.CanaryID(m)} }, false},
		{"the lifecycle", "cut-lifecycle", func(m string) []string { return []string{workflows.LifecycleID(m, 2)} }, false},
		{"everything of the model", "cut-all", func(m string) []string {
			return []string{workflows.ModelID(m), workflows.LifecycleID(m, 2), workflows.CanaryID(m)}
		}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, s, c.name, slowCanary)
			m.champion(t)
			m.challenger(t)
			for _, id := range c.terminate(m.name) {
				// Of those that a parent takes along, some are gone already.
				_ = m.Temporal.TerminateWorkflow(t.Context(), id, "", "the test's")
			}
			aloneWithinTheLease(t, m, c.orphaned)
			for _, f := range flights(3, 50) {
				p, err := m.predict(t.Context(), f)
				require.NoError(t, err)
				require.Equal(t, 1, p.Version)
			}
			if c.orphaned {
				m.apply(t) // starts the model again, which looks after the run that it finds open
			}
			m.ends(t, 2, activities.RolledBack)
			m.closed(t, m.lifecycle(2))
			m.closed(t, workflows.CanaryID(m.name))
			require.Equal(t, 1, m.head(t).Champion)
			require.Zero(t, m.head(t).Challenger)
			m.verified(t)
		})
	}
}

// aloneWithinTheLease waits until the gateway serves the champion alone, not longer than the lease that it was told
// of, and a moment to look. byLease says that the ledger must still name the challenger: it was the lease that ended
// its traffic.
func aloneWithinTheLease(t *testing.T, m *model, byLease bool) {
	t.Helper()
	r, err := m.route(t)
	require.NoError(t, err)
	if r.LeaseUntil == nil {
		require.Zero(t, r.EffectiveWeight)
		return // it is over already
	}
	// A renewal that was on its way when the workflow was terminated may still arrive.
	lease := time.Until(*r.LeaseUntil) + m.spec.Canary.Interval.D()
	testkit.Until(t, "the champion alone, within the lease", lease+2*time.Second, func() (bool, any) {
		r, err = m.route(t)
		return err == nil && r.EffectiveWeight == 0, r
	})
	if byLease {
		require.Equal(t, 2, m.head(t).Challenger)
		require.NotZero(t, m.head(t).Weight)
	}
}

func TestACanaryWithoutTrafficIsNoSuccess(t *testing.T) {
	m := newModel(t, shared(t), "silent", func(m *spec.Model) { m.Canary.Deadline = spec.Duration(6 * time.Second) })
	m.champion(t)
	m.challenger(t)
	r := m.ends(t, 2, activities.RolledBack)
	require.Contains(t, r.Reason, "deadline")
	m.serves(t, 1)
}

// The whole way of on_failure pause: labels land while the canary runs, say that the challenger is worse, its traffic is
// taken away at once, it waits, and a person ends it.
func TestACanaryThatLabelsContradictWaitsForAPerson(t *testing.T) {
	m := newModel(t, shared(t), "contradicted", func(m *spec.Model) {
		m.Canary.Steps[0].Hold, m.Canary.Deadline = spec.Duration(16*time.Second), spec.Duration(time.Hour) // labels are read every other second
		least := 0.2
		m.Gates.Metrics = map[string]spec.Bound{"roc_auc": {Min: &least}}
		m.Gates.Champion.MaxLoss = 1
		m.Canary.OnFailure = spec.OnFailurePause
		m.Canary.Quality = &spec.CanaryQuality{Metric: "accuracy", MaxLoss: 0.05, MinRows: 50, Required: true}
	})
	m.champion(t)
	m.change(t, func(m *spec.Model) { m.Data.Features.Exclude = []string{"delay"} }) // what is left says nothing
	m.apply(t)
	m.challenger(t)
	asked := flights(3, fileRows)
	m.asks(t, asked)
	m.land(t, "03.csv", csv(asked))
	var state workflows.CanaryState
	testkit.Until(t, "the labels' verdict", runLimit, func() (bool, any) {
		a := m.Starter(t, "ana", "-o", "json", "canary", "status", m.name)
		if a.Code != 0 {
			return false, a
		}
		a.Decode(t, &state)
		return state.State.Failed != nil, state.State.Quality
	})
	require.Contains(t, state.State.Failed.Reason, "quality: accuracy")
	require.True(t, state.State.Failed.Withdrawn)
	m.serves(t, 1)
	require.Equal(t, 2, m.head(t).Challenger, "it waits")
	require.Zero(t, m.head(t).Weight)
	require.Contains(t, m.Starter(t, "ana", "canary", m.name).Want(t, 0).Out, "say how to go on")

	m.Starter(t, "ana", "canary", "extend", m.name, "--deadline", "1h", "--reason", "lunch").Want(t, 0)
	m.Starter(t, "ben", "canary", "abort", m.name, "--reason", "the labels are right").Want(t, 0)
	r := m.ends(t, 2, activities.RolledBack)
	require.Contains(t, r.Reason, "the labels are right")
	history := m.Starter(t, "ana", "history", m.name, "--limit", "0").Want(t, 0).Out
	for _, says := range []string{"withdraw: version 2 at 0%", "quality: accuracy", "extend: deadline", "cli:ana", "lunch", "cli:ben"} {
		require.Contains(t, history, says)
	}
	m.verified(t)
}
