package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

// BenchmarkLifecycle runs, in turn, a whole lifecycle whose activities do nothing (one file, approved at once, no
// champion, so no canary), a workflow that does nothing but call as many activities on the same queues one after the
// other, and the same with all of them on the workflow's own queue, where the server hands them out with the workflow's
// task. One operation is one of each.
func BenchmarkLifecycle(b *testing.B) {
	w := newWorld(b)
	queues := w.queuesOf(b, w.lifecycle(b, 1))
	own := slices.Repeat([]string{workflows.QueueLifecycle}, len(queues))
	variants := []struct {
		name string
		run  func(n int) string
		took []time.Duration
	}{
		{name: "lifecycle", run: func(n int) string { return w.lifecycle(b, n) }},
		{name: "bare", run: func(n int) string { return w.run(b, fmt.Sprintf("bare/%d", n), bareWorkflow, queues) }},
		{name: "bare-own-queue", run: func(n int) string { return w.run(b, fmt.Sprintf("own/%d", n), bareWorkflow, own) }},
	}
	for _, v := range variants {
		require.Len(b, w.queuesOf(b, v.run(2)), len(queues), "%s calls another number of activities", v.name)
	}
	for n := 3; b.Loop(); n++ {
		for i := range variants {
			began := time.Now()
			variants[i].run(n)
			variants[i].took = append(variants[i].took, time.Since(began))
		}
	}
	p50 := map[string]float64{}
	for _, v := range variants {
		slices.Sort(v.took)
		p50[v.name] = quantile(v.took, 0.5) / 1000
		b.ReportMetric(p50[v.name], v.name+"-ms")
	}
	b.ReportMetric(p50["lifecycle"]/p50["bare"], "lifecycle/bare")
	b.ReportMetric(p50["lifecycle"]/p50["bare-own-queue"], "lifecycle/own-queue")
	b.ReportMetric(float64(len(queues)), "activities")
	b.ReportMetric(0, "ns/op")
}

// bareWorkflow calls a no-op activity on each of the queues, one after the other.
func bareWorkflow(ctx workflow.Context, queues []string) error {
	for _, q := range queues {
		ctx := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: q, StartToCloseTimeout: 30 * time.Second})
		if err := workflow.ExecuteActivity(ctx, "noop").Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// modelEntity stands where a lifecycle tells its model that it has ended.
func modelEntity(ctx workflow.Context) error {
	ended := workflow.GetSignalChannel(ctx, workflows.SignalFinished)
	for {
		ended.Receive(ctx, nil)
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, modelEntity)
		}
	}
}

// world is a real Temporal server with a worker for every queue.
type world struct {
	client client.Client
}

func (w *world) run(b *testing.B, id string, workflow any, args ...any) string {
	b.Helper()
	run, err := w.client.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.QueueLifecycle}, workflow, args...)
	require.NoError(b, err)
	require.NoError(b, run.Get(b.Context(), nil))
	return id
}

func (w *world) lifecycle(b *testing.B, n int) string {
	b.Helper()
	id := workflows.LifecycleID(modelName, n)
	run, err := w.client.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.QueueLifecycle},
		workflows.TypeLifecycle, activities.LifecycleInput{
			Model: modelName, Number: n, Train: true, Spec: "spec", Triggers: []activities.Trigger{{Kind: activities.TriggerData, Key: id}},
			Objects: []activities.Object{{Bucket: "lake", Key: fmt.Sprintf("flights/%d.csv", n), ETag: "etag"}},
		})
	require.NoError(b, err)
	var r activities.LifecycleResult
	require.NoError(b, run.Get(b.Context(), &r))
	require.Equal(b, activities.Promoted, r.Outcome, r.Reason)
	return id
}

// queuesOf are the task queues of a workflow's activities, from its history, in the order they were called.
func (w *world) queuesOf(b *testing.B, id string) []string {
	b.Helper()
	var queues []string
	for events := w.client.GetWorkflowHistory(b.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		require.NoError(b, err)
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			queues = append(queues, a.GetTaskQueue().GetName())
		}
	}
	return queues
}

func startWorkers(b *testing.B, c client.Client) {
	b.Helper()
	stages := noStages(c)
	for _, queue := range []string{workflows.QueueLifecycle, workflows.QueueData, workflows.QueueTrain} {
		w := worker.New(c, queue, worker.Options{DisableWorkflowWorker: queue != workflows.QueueLifecycle})
		if queue == workflows.QueueLifecycle {
			workflows.Register(w)
			w.RegisterWorkflow(bareWorkflow)
			w.RegisterWorkflow(modelEntity)
		}
		for name, do := range stages {
			w.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
		}
		require.NoError(b, w.Start())
		b.Cleanup(w.Stop)
	}
	_, err := c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{ID: workflows.ModelID(modelName), TaskQueue: workflows.QueueLifecycle}, modelEntity)
	require.NoError(b, err)
}
