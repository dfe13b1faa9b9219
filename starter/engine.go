package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/workflows"
)

// engine is all that commands ask of running workflows. Its errors are this package's: *notFoundError where nothing
// runs under an id, *refusedError where a workflow refuses, *usageError where a payload is malformed.
type engine interface {
	runner
	decider
	observer
	targeter
}

// runner starts things.
type runner interface {
	// Start starts a model's entity workflow, or finds it running.
	Start(ctx context.Context, model string) error
	// Submit asks a model for a run, and starts the model where it doesn't run.
	Submit(ctx context.Context, model string, t activities.Trigger) (workflows.Submitted, error)
}

// decider carries people's words to workflows.
type decider interface {
	Decide(ctx context.Context, lifecycle string, d approval.Decision) (approval.Status, error)
	Steer(ctx context.Context, model string, s workflows.Steer) (canary.State, error)
	Stop(ctx context.Context, lifecycle string, s workflows.Stop) error
}

// observer looks at workflows.
type observer interface {
	Model(ctx context.Context, model string) (workflows.ModelState, error)
	Lifecycle(ctx context.Context, id string) (workflows.LifecycleState, error)
	Canary(ctx context.Context, model string) (workflows.CanaryState, error)
	// Search looks at a search by its workflow's id.
	Search(ctx context.Context, id string) (workflows.SearchState, error)
	Execution(ctx context.Context, id string) (execution, error)
}

// execution is what the server knows of a workflow without asking its worker.
type execution struct {
	Open    bool       `json:"open"`
	Status  string     `json:"status"` // running, completed, failed, terminated, ...
	Started time.Time  `json:"started"`
	Closed  time.Time  `json:"closed,omitzero"`
	Pending []activity `json:"pending,omitempty"`
}

// activity is one that runs, or waits to be tried again.
type activity struct {
	Name    string                    `json:"name"`
	Attempt int                       `json:"attempt"`
	Since   time.Time                 `json:"since,omitzero"`
	Failure string                    `json:"failure,omitempty"` // of the attempt before
	Train   *activities.TrainProgress `json:"train,omitempty"`
	Rows    int                       `json:"rows,omitempty"` // read so far, where it reads data
}

// How long workflows may take to answer. An update of Model waits for a plan, so it gets longer.
const (
	answerWithin = 15 * time.Second
	submitWithin = 90 * time.Second
	queryWithin  = 5 * time.Second
)

// temporalEngine is engine by a Temporal client.
type temporalEngine struct{ client client.Client }

// Start implements runner.
func (e *temporalEngine) Start(ctx context.Context, model string) error {
	_, err := e.client.ExecuteWorkflow(ctx, workflows.ModelOptions(model), workflows.TypeModel, workflows.ModelInput{Model: model})
	if err != nil {
		return fmt.Errorf("start %s: %w", workflows.ModelID(model), err)
	}
	return nil
}

// Submit implements runner. The trigger's key makes a repetition harmless.
func (e *temporalEngine) Submit(ctx context.Context, model string, t activities.Trigger) (workflows.Submitted, error) {
	ctx, cancel := context.WithTimeout(ctx, submitWithin)
	defer cancel()
	id := workflows.ModelID(model)
	start := e.client.NewWithStartWorkflowOperation(workflows.ModelOptions(model), workflows.TypeModel, workflows.ModelInput{Model: model})
	handle, err := e.client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateName: workflows.UpdateSubmit, Args: []any{t}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var out workflows.Submitted
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	return out, explain(err, "submit to "+id, submitWithin)
}

// Decide implements decider. The decision's id is the update's, so that a repetition gets the first one's answer.
func (e *temporalEngine) Decide(ctx context.Context, lifecycle string, d approval.Decision) (approval.Status, error) {
	var out approval.Status
	err := e.update(ctx, lifecycle, workflows.UpdateDecide, d.ID, d.Kind+" in "+lifecycle, d, &out)
	return out, err
}

// Steer implements decider.
func (e *temporalEngine) Steer(ctx context.Context, model string, s workflows.Steer) (canary.State, error) {
	var out canary.State
	err := e.update(ctx, workflows.CanaryID(model), workflows.UpdateSteer, "", s.Action+" of the canary of "+model, s, &out)
	return out, err
}

// Stop implements decider.
func (e *temporalEngine) Stop(ctx context.Context, lifecycle string, s workflows.Stop) error {
	var out bool
	return e.update(ctx, lifecycle, workflows.UpdateStop, "", "end of "+lifecycle, s, &out)
}

// update sends an update and waits for its answer.
func (e *temporalEngine) update(ctx context.Context, workflowID, name, updateID, what string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	handle, err := e.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: name, UpdateID: updateID, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, out)
	}
	return explain(err, what, answerWithin)
}

// Model implements observer.
func (e *temporalEngine) Model(ctx context.Context, model string) (workflows.ModelState, error) {
	var out workflows.ModelState
	return out, e.query(ctx, workflows.ModelID(model), &out)
}

// Lifecycle implements observer.
func (e *temporalEngine) Lifecycle(ctx context.Context, id string) (workflows.LifecycleState, error) {
	var out workflows.LifecycleState
	return out, e.query(ctx, id, &out)
}

// Canary implements observer.
func (e *temporalEngine) Canary(ctx context.Context, model string) (workflows.CanaryState, error) {
	var out workflows.CanaryState
	return out, e.query(ctx, workflows.CanaryID(model), &out)
}

// Search implements observer.
func (e *temporalEngine) Search(ctx context.Context, id string) (workflows.SearchState, error) {
	var out workflows.SearchState
	return out, e.query(ctx, id, &out)
}

func (e *temporalEngine) query(ctx context.Context, id string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, queryWithin)
	defer cancel()
	value, err := e.client.QueryWorkflow(ctx, id, "", workflows.QueryState)
	if err == nil {
		err = value.Get(out)
	}
	return explain(err, "look at "+id, queryWithin)
}

// Execution implements observer.
func (e *temporalEngine) Execution(ctx context.Context, id string) (execution, error) {
	ctx, cancel := context.WithTimeout(ctx, queryWithin)
	defer cancel()
	d, err := e.client.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return execution{}, explain(err, "look at "+id, queryWithin)
	}
	info := d.GetWorkflowExecutionInfo()
	out := execution{
		Open: info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, Status: statusName(info.GetStatus()),
		Started: info.GetStartTime().AsTime(),
	}
	if info.GetCloseTime() != nil {
		out.Closed = info.GetCloseTime().AsTime()
	}
	for _, p := range d.GetPendingActivities() {
		out.Pending = append(out.Pending, pendingActivity(p))
	}
	return out, nil
}

func pendingActivity(p *workflowpb.PendingActivityInfo) activity {
	a := activity{Name: p.GetActivityType().GetName(), Attempt: int(p.GetAttempt()), Failure: p.GetLastFailure().GetMessage()}
	if p.GetLastStartedTime() != nil {
		a.Since = p.GetLastStartedTime().AsTime()
	}
	beat := p.GetHeartbeatDetails().GetPayloads()
	if len(beat) != 1 {
		return a
	}
	// What doesn't decode is another activity's heartbeat: it isn't shown.
	decode := converter.GetDefaultDataConverter().FromPayload
	var train activities.TrainProgress
	var scan struct{ Rows int }
	if decode(beat[0], &train) == nil && train.Step > 0 {
		a.Train = &train
	} else if decode(beat[0], &scan) == nil {
		a.Rows = scan.Rows
	}
	return a
}

func statusName(s enumspb.WorkflowExecutionStatus) string {
	switch s {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return "running"
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return "completed"
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		return "failed"
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return "cancelled"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "terminated"
	case enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return "continued"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "timed out"
	}
	return "unknown"
}

// explain turns an answer of Temporal into this package's errors.
func explain(err error, what string, within time.Duration) error {
	if err == nil {
		return nil
	}
	if _, canceled := errors.AsType[*serviceerror.Canceled](err); canceled || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, context.Canceled)
	}
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return notFound(what, "no such workflow runs: `starter list` shows what does")
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		switch app.Type() {
		case workflows.ErrorRefused:
			return refused(what, app.Message())
		case workflows.ErrorInvalid:
			return usagef("%s: %s", what, app.Message())
		}
	}
	var slow *client.WorkflowUpdateServiceTimeoutOrCanceledError
	var deadline *serviceerror.DeadlineExceeded
	var unready *serviceerror.WorkflowNotReady
	var unpolled *serviceerror.FailedPrecondition // a query: "no poller seen for task queue recently"
	if errors.As(err, &slow) || errors.As(err, &deadline) || errors.As(err, &unready) || errors.As(err, &unpolled) || errors.Is(err, context.DeadlineExceeded) {
		return &silentWorkerError{what: what, within: within, err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// silentWorkerError says that Temporal answers and no worker does.
type silentWorkerError struct {
	what   string
	within time.Duration
	err    error
}

func (e *silentWorkerError) Error() string {
	return fmt.Sprintf("%s: no answer within %s: is a worker running on task queue %s?", e.what, e.within, workflows.QueueLifecycle)
}

func (e *silentWorkerError) Unwrap() error { return e.err }
