package workflows

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// call runs an activity and waits for it. In and Out are tied to the activity's own types by the compiler, which
// workflow.ExecuteActivity doesn't do. The activity is a method expression on a nil pointer: only its name is used.
func call[In, Out any](ctx workflow.Context, o workflow.ActivityOptions, activity func(context.Context, In) (Out, error), in In) (Out, error) {
	var out Out
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), activity, in).Get(ctx, &out)
	return out, err
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
	return err.Error()
}

// errorType is the name of the application error that an activity returned, "" where there is none.
func errorType(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}
