package workflows

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// call runs an activity and waits for it. In and Out are tied to the activity's own types by the compiler, which
// workflow.ExecuteActivity doesn't do. The activity is a method expression on a nil pointer: only its name is used.
func call[In, Out any](ctx workflow.Context, o workflow.ActivityOptions, activity func(context.Context, In) (Out, error), in In) (Out, error) {
	return begin(ctx, o, activity, in).wait(ctx)
}

// begun is an activity that runs.
type begun[Out any] struct{ workflow.Future }

// begin is call without the wait.
func begin[In, Out any](ctx workflow.Context, o workflow.ActivityOptions, activity func(context.Context, In) (Out, error), in In) begun[Out] {
	return begun[Out]{workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), activity, in)}
}

// wait waits for the activity's end.
func (b begun[Out]) wait(ctx workflow.Context) (Out, error) {
	var out Out
	err := b.Get(ctx, &out)
	return out, err
}

// listen hands every signal of a channel to take, in a coroutine of its own. Until take has one it stays in the channel,
// where drain finds it: a coroutine that blocks in Receive is given a signal before it runs, and a workflow that
// continues as new in that very task would lose it.
func listen[T any](ctx workflow.Context, signals workflow.ReceiveChannel, take func(workflow.Context, T)) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, func() bool { return signals.Len() > 0 }) == nil {
			drain(ctx, signals, take)
		}
	})
}

// drain hands over what a channel holds now.
func drain[T any](ctx workflow.Context, signals workflow.ReceiveChannel, take func(workflow.Context, T)) {
	for {
		var signal T
		if !signals.ReceiveAsync(&signal) {
			return
		}
		take(ctx, signal)
	}
}

// reason is what an error says to a person: the application error's message, without the wrapping of the activity and
// the workflow that it came through.
func reason(err error) string {
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return "timed out: " + timeout.TimeoutType().String()
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Message()
	}
	if _, ok := errors.AsType[*temporal.TerminatedError](err); ok {
		return "terminated"
	}
	if temporal.IsCanceledError(err) {
		return "cancelled"
	}
	if activity, ok := errors.AsType[*temporal.ActivityError](err); ok {
		return activity.Unwrap().Error()
	}
	return err.Error()
}

// errorType is the name of the application error that an activity returned, "" where there is none.
func errorType(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}

// waitAtMost waits until a condition holds, or the time is over: then met is false. what names the wait in the UI's
// timeline.
func waitAtMost(ctx workflow.Context, limit time.Duration, what string, holds func() bool) (met bool, err error) {
	return workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: limit, TimerOptions: workflow.TimerOptions{Summary: "waits for " + what},
	}, holds)
}
