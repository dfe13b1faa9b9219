package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/workflows"
)

func TestAnswersOfTemporalBecomeExitCodes(t *testing.T) {
	cases := []struct {
		name string
		err  error
		code int
		says string
	}{
		{"nothing runs under the id", serviceerror.NewNotFound("workflow not found"), exitConflict, "not found"},
		{"a validator refuses", temporal.NewApplicationError(`approve by "cli:eve" refused: not an approver`, workflows.ErrorRefused), exitConflict, "approve of churn refused: not an approver"},
		{"a payload says nothing", temporal.NewApplicationError("no actor", workflows.ErrorInvalid), exitUsage, "no actor"},
		{"no worker takes the update", client.NewWorkflowUpdateServiceTimeoutOrCanceledError(context.DeadlineExceeded), exitFailure, "is a worker running"},
		{"no worker takes the query", serviceerror.NewDeadlineExceeded("slow"), exitFailure, "is a worker running"},
		{"the person interrupts", client.NewWorkflowUpdateServiceTimeoutOrCanceledError(context.Canceled), exitFailure, "context canceled"},
		{"anything else", serviceerror.NewUnavailable("down"), exitFailure, "down"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := explain(c.err, "approve of churn", time.Second)
			require.Equal(t, c.code, exitCode(err))
			require.ErrorContains(t, err, c.says)
		})
	}
	require.NoError(t, explain(nil, "x", 0))
	require.ErrorIs(t, explain(client.NewWorkflowUpdateServiceTimeoutOrCanceledError(context.Canceled), "x", 0), context.Canceled)
}

func TestADecisionIsAnUpdateUnderItsOwnID(t *testing.T) {
	c, handle := &mocks.Client{}, &mocks.WorkflowUpdateHandle{}
	d := approval.Decision{ID: "cli-1", Kind: approval.Approve, Actor: "cli:ben"}
	c.On("UpdateWorkflow", mock.Anything, client.UpdateWorkflowOptions{
		WorkflowID: "lifecycle/churn/2", UpdateName: workflows.UpdateDecide, UpdateID: "cli-1", Args: []any{d},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	}).Return(handle, nil)
	handle.On("Get", mock.Anything, mock.Anything).Run(func(args mock.Arguments) {
		args.Get(1).(*approval.Status).Outcome = approval.Approved
	}).Return(nil)
	s, err := (&temporalEngine{client: c}).Decide(t.Context(), "lifecycle/churn/2", d)
	require.NoError(t, err)
	require.Equal(t, approval.Approved, s.Outcome)
	c.AssertExpectations(t)
}

func TestTheSameDecisionHasTheSameID(t *testing.T) {
	o := &decideOptions{app: newSession(t).app, kind: approval.Approve}
	a := o.decision("cli:ana", runRef{"churn", 2}, hex64(1))
	require.Equal(t, a.ID, o.decision("cli:ana", runRef{"churn", 2}, hex64(1)).ID)
	for _, b := range []approval.Decision{
		o.decision("cli:ben", runRef{"churn", 2}, hex64(1)), o.decision("cli:ana", runRef{"churn", 3}, hex64(1)), o.decision("cli:ana", runRef{"churn", 2}, hex64(2)),
	} {
		require.NotEqual(t, a.ID, b.ID)
	}
}

func payload(t *testing.T, v any) *commonpb.Payloads {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayloads(v)
	require.NoError(t, err)
	return p
}

func TestExecutionShowsWhatRunningActivitiesSay(t *testing.T) {
	c := &mocks.Client{}
	c.On("DescribeWorkflowExecution", mock.Anything, "lifecycle/churn/2", "").Return(&workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, StartTime: timestamppb.New(t0)},
		PendingActivities: []*workflowpb.PendingActivityInfo{
			{ActivityType: &commonpb.ActivityType{Name: "Train"}, Attempt: 1, HeartbeatDetails: payload(t, activities.TrainProgress{Step: 34, Total: 60, Metrics: map[string]float64{"auc": 0.91}})},
			{ActivityType: &commonpb.ActivityType{Name: "Ingest"}, Attempt: 3, HeartbeatDetails: payload(t, map[string]any{"rows": 16384, "bytes": 1 << 20}), LastFailure: &failurepb.Failure{Message: "store is away"}},
			{ActivityType: &commonpb.ActivityType{Name: "Other"}, Attempt: 1, HeartbeatDetails: payload(t, "words")},
		},
	}, nil)
	e, err := (&temporalEngine{client: c}).Execution(t.Context(), "lifecycle/churn/2")
	require.NoError(t, err)
	require.True(t, e.Open)
	require.Equal(t, "[###########---------] 34 of 60, auc 0.91", progressOf(e.Pending))
	require.Equal(t, "16384 rows; attempt 3 of Ingest: store is away", progressOf(e.Pending[1:]))
	require.Empty(t, progressOf(e.Pending[2:]))
}

func TestRollbackNeedsNoTemporal(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.approved("churn", 2)
	w.canary("churn", 2)
	w.engine = func(context.Context) (engine, error) {
		return nil, errors.New("temporal at 127.0.0.1:7233 doesn't answer")
	}
	require.Equal(t, exitOK, w.starter("rollback", "churn", "--reason", "errors"), w.stderr.String())
	require.Contains(t, w.stderr.String(), "the ledger is written directly")
	require.Contains(t, w.stdout.String(), "version 2 has no traffic any more")
	head, err := w.head(t.Context(), "churn")
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{head.State.Champion, head.State.Challenger})
	require.Equal(t, "errors", head.Command.Reason)
}
