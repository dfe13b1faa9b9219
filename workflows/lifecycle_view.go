package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// enter, leave, detail, note, skip and status keep what people see: stages with their times, and notes.
func (l *lifecycle) enter(ctx workflow.Context, stage string) {
	l.began = workflow.Now(ctx)
	l.state.Stage = stage
	l.state.Stages = append(l.state.Stages, activities.StageResult{Name: stage, Status: "running"})
	if !brief(stage) {
		l.tag(ctx, AttributeStage.ValueSet(stage))
	}
	l.describe(ctx)
}

// brief says that a stage's name is no search attribute of its own: it is over at once, is what a run is started with
// (ingest), or says so itself (canary). The server indexes each change, which costs as much as a small activity.
func brief(stage string) bool {
	return stage == "ingest" || stage == "validate" || stage == "register" || stage == "canary"
}

// tag changes search attributes, together with those that waited for it.
func (l *lifecycle) tag(ctx workflow.Context, updates ...temporal.SearchAttributeUpdate) {
	_ = workflow.UpsertTypedSearchAttributes(ctx, append(l.attributes, updates...)...)
	l.attributes = nil
}

func (l *lifecycle) leave(ctx workflow.Context, err error) {
	s := l.current()
	s.Seconds = workflow.Now(ctx).Sub(l.began).Round(time.Millisecond).Seconds()
	var e *ended
	switch {
	case err == nil && s.Status != "skipped":
		s.Status = "done"
	case err != nil && errors.As(err, &e) && e.outcome == activities.Unchanged:
		s.Status, s.Detail = "done", e.reason
	case err != nil:
		s.Status, s.Detail = "failed", reason(err)
	}
	l.describe(ctx)
}

func (l *lifecycle) current() *activities.StageResult { return &l.state.Stages[len(l.state.Stages)-1] }

func (l *lifecycle) detail(format string, args ...any) {
	l.current().Detail = fmt.Sprintf(format, args...)
}

func (l *lifecycle) skip(why string) {
	l.current().Status, l.current().Detail = "skipped", why
}

func (l *lifecycle) status(ctx workflow.Context, status, format string, args ...any) {
	l.current().Status = status
	l.detail(format, args...)
	l.describe(ctx)
}

func (l *lifecycle) note(format string, args ...any) {
	n := append(l.state.Notes, fmt.Sprintf(format, args...))
	l.state.Notes = n[max(0, len(n)-recentRefusals):]
}

// describe writes the run's current details: what a person reads first in the Temporal UI.
func (l *lifecycle) describe(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, renderLifecycle(l.state))
}

// tell sends people a message. That it fails is logged and never holds the run up: a message is a courtesy. It is sent
// whatever is cancelled meanwhile, and finish waits for it a while. replaces is what tell returned for the message that
// this one takes the place of, nil for none; where that one wasn't sent, neither is this.
func (l *lifecycle) tell(ctx workflow.Context, kind, text string, replaces workflow.Future) workflow.Future {
	in := activities.MessageInput{Kind: kind, Text: text, Lifecycle: l.result.ID, Model: l.in.Model, Spec: l.in.Spec, Result: l.result, Round: l.round}
	if kind == activities.MessageApproval {
		in.Evidence, in.Summary = &l.version.Evidence, &l.judged.Summary
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	sent, settle := workflow.NewFuture(ctx)
	l.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { l.telling-- }()
		if replaces != nil {
			var old activities.MessageOutput
			if err := replaces.Get(ctx, &old); err != nil || (old.Ref.ID == "" && len(old.Ref.Parts) == 0) {
				settle.Set(old, err)
				return
			}
			in.Replace = &old.Ref
		}
		out, err := call(ctx, notify(), messenger.Send, in)
		if err != nil {
			workflow.GetLogger(ctx).Warn("message not sent", "kind", kind, "error", err)
		}
		settle.Set(out, err)
	})
	return sent
}
