package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify/slack"
	"github.com/leanloop/leanloop/workflows"
)

func TestAClickIsAnUpdateOfItsRun(t *testing.T) {
	const run = "lifecycle/churn/2"
	d := approval.Decision{ID: "slack-1", Kind: approval.Approve, Actor: "slack:U1", Via: "slack", Evidence: "e"}
	approved := approval.Status{Outcome: approval.Approved, Approvals: []approval.Decision{d}}
	other := approval.Status{Outcome: approval.Approved, Approvals: []approval.Decision{{ID: "slack-2", Actor: "slack:U2"}}}
	rejected := approval.Status{Outcome: approval.Rejected, Rejection: &approval.Decision{ID: "slack-3", Actor: "slack:U3", Reason: "no"}}
	gone := serviceerror.NewNotFound("workflow execution already completed")
	for _, c := range []struct {
		name   string
		update error
		state  *workflows.LifecycleState // nil: the query fails by query
		query  error
		counts bool
		why    string // of a refusal
	}{
		{name: "the run takes it", counts: true},
		{name: "the run refuses it", update: temporal.NewApplicationError("not an approver", workflows.ErrorRefused), why: "not an approver"},
		{name: "the run can't read it", update: temporal.NewApplicationError("no id", workflows.ErrorInvalid), why: "no id"},
		{name: "nobody answers", update: errors.New("unavailable")},
		{name: "the run ended by this very click", update: gone, state: &workflows.LifecycleState{Approval: &workflows.ApprovalState{Status: approved}}, counts: true},
		{name: "the run ended by another's click", update: gone, state: &workflows.LifecycleState{Approval: &workflows.ApprovalState{Status: other}}, why: "already approved by slack:U2"},
		{name: "the run ended by a rejection", update: gone, state: &workflows.LifecycleState{Approval: &workflows.ApprovalState{Status: rejected}}, why: "already rejected by slack:U3: no"},
		{name: "the run was stopped", update: gone, state: &workflows.LifecycleState{Outcome: "cancelled", Reason: "by ana"}, why: "the run has ended cancelled: by ana"},
		{name: "there is no such run", update: gone, query: serviceerror.NewNotFound("no"), why: "there is no such run"},
		{name: "it ended, and no worker tells how", update: gone, query: errors.New("no poller")},
	} {
		t.Run(c.name, func(t *testing.T) {
			temporal, handle, value := &mocks.Client{}, &mocks.WorkflowUpdateHandle{}, &mocks.Value{}
			temporal.On("UpdateWorkflow", mock.Anything, client.UpdateWorkflowOptions{
				WorkflowID: run, UpdateName: workflows.UpdateDecide, UpdateID: "slack-1", Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted,
			}).Return(handle, nil)
			handle.On("Get", mock.Anything, mock.Anything).Return(c.update).Run(func(a mock.Arguments) { *a.Get(1).(*approval.Status) = approved })
			temporal.On("QueryWorkflow", mock.Anything, run, "", workflows.QueryState).Return(value, c.query)
			value.On("Get", mock.Anything).Return(nil).Run(func(a mock.Arguments) { *a.Get(0).(*workflows.LifecycleState) = *c.state })
			status, err := (&slackDesk{client: temporal}).Decide(t.Context(), run, d)
			refused, no := errors.AsType[*slack.Refused](err)
			require.Equal(t, c.why != "", no, "%v", err)
			require.Equal(t, c.counts, err == nil, "%v", err)
			if no {
				require.Equal(t, c.why, refused.Why)
			}
			if c.counts {
				require.Equal(t, approved, status)
			}
		})
	}
}
