package temporalx

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/leanloop/leanloop/internal/training/fleet"
)

// Queues tells who asks for tasks, and whether anybody has taken one, by Temporal.
type Queues struct {
	Client client.Client
}

// Pollers are those who asked for activities of a queue in the last minutes.
func (q Queues) Pollers(ctx context.Context, queue string) ([]fleet.Poller, error) {
	d, err := q.Client.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return nil, fmt.Errorf("task queue %s: %w", queue, err)
	}
	var out []fleet.Poller
	for _, p := range d.GetPollers() {
		out = append(out, fleet.Poller{ID: p.GetIdentity(), Last: p.GetLastAccessTime().AsTime()})
	}
	return out, nil
}

// Waits says whether an activity of this type waits for a worker in an open workflow.
func (q Queues) Waits(ctx context.Context, workflowID, activity string) (bool, error) {
	d, err := q.Client.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return false, fmt.Errorf("workflow %s: %w", workflowID, err)
	}
	for _, p := range d.GetPendingActivities() {
		if p.GetActivityType().GetName() == activity && p.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED {
			return true, nil
		}
	}
	return false, nil
}
