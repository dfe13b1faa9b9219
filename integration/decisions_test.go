package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/workflows"
)

func TestOfTwoOperatorsAtOnceOneDecidesAndTheOtherIsToldWhy(t *testing.T) {
	s := shared(t)
	for round := range 3 {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) {
			t.Parallel()
			m := newModel(t, s, fmt.Sprintf("two-operators-%d", round+1), nil)
			m.submit(t, "01.csv", csv(flights(1, fileRows)))
			m.stage(t, m.lifecycle(1), "approve")

			approve := m.Begin(t, "ana", "approve", m.name)
			reject := m.Begin(t, "ben", "reject", m.name, "--reason", "I don't trust it")
			approved, rejected := approve(), reject()

			winner, loser, outcome, champion, said := "cli:ana", rejected, activities.Promoted, 1, "already approved by cli:ana"
			if rejected.Code == 0 {
				winner, loser, outcome, champion, said = "cli:ben", approved, activities.Rejected, 0, "I don't trust it"
			}
			require.Equal(t, 7, approved.Code+rejected.Code, "one decision stands\n%+v\n%+v", approved, rejected)
			require.Contains(t, loser.Err, said)
			m.ends(t, 1, outcome)
			require.Equal(t, champion, m.head(t).Champion)

			var refused []registry.RefusedDecision
			require.NoError(t, registry.RefusedDecisions(t.Context(), m.Store, m.name, func(r registry.RefusedDecision) error {
				refused = append(refused, r)
				return nil
			}))
			require.Len(t, refused, 1)
			require.NotEqual(t, winner, refused[0].Actor)
			require.Contains(t, refused[0].Reason, said)
			m.verified(t)
		})
	}
}

func TestWhoMayNotDecideIsRefused(t *testing.T) {
	m := newModel(t, shared(t), "four-eyes", func(m *spec.Model) { m.Approval.FourEyes = true })
	m.submit(t, "01.csv", csv(flights(1, fileRows)))
	m.stage(t, m.lifecycle(1), "approve")

	stranger := m.Starter(t, "eve", "approve", m.name).Want(t, 7)
	require.Contains(t, stranger.Err, "cli:eve")
	requester := m.Starter(t, "ana", "approve", m.name).Want(t, 7)
	require.Contains(t, requester.Err, "cli:ana")
	m.Starter(t, "ben", "approve", m.name, "--evidence", "0000").Want(t, 7)
	m.Starter(t, "ben", "approve", m.name).Want(t, 0)
	m.ends(t, 1, activities.Promoted)

	var refused []registry.RefusedDecision
	m.Starter(t, "ana", "-o", "json", "history", m.name, "--refused").Want(t, 0).Decode(t, &refused)
	require.Len(t, refused, 3)
}

// The Temporal UI and other tools can send signals only.
func TestADecisionBySignalIsJudgedAlike(t *testing.T) {
	m := newModel(t, shared(t), "by-signal", nil)
	id := m.submit(t, "01.csv", csv(flights(1, fileRows)))
	asked := m.stage(t, id, "approve")
	say := func(actor string) {
		d := approval.Decision{ID: "signal-of-" + actor, Kind: approval.Approve, Actor: actor, Via: "signal", Evidence: asked.Approval.Evidence.Digest, Reason: "fine"}
		require.NoError(t, m.Temporal.SignalWorkflow(t.Context(), id, "", workflows.SignalDecision, d))
	}
	say("cli:eve")
	testkit.Until(t, "the stranger's refusal", stageLimit, func() (bool, any) {
		s, _ := m.state(t, id)
		return strings.Contains(strings.Join(s.Notes, "\n"), "cli:eve"), s.Notes
	})
	say("cli:ben")
	m.ends(t, 1, activities.Promoted)
	require.Equal(t, []string{"cli:ben"}, m.head(t).Versions[0].Approval.Approvers)
}
