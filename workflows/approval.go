package workflows

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
)

// approvalDesk takes decisions while a version waits for them. Updates and signals are judged by the same function,
// approval.Decide; the first decision that settles it wins.
type approvalDesk struct {
	// state is the round that is open, or the last one that was decided, so that who comes late is told who was first;
	// nil: there is nothing to decide.
	state *ApprovalState
}

// open starts a round of deciding over evidence.
func (d *approvalDesk) open(r approval.Request, e activities.Evidence, s activities.EvaluateSummary) {
	d.state = &ApprovalState{Request: r, Status: approval.Status{Outcome: approval.Open}, Evidence: e, Summary: s}
}

// validate refuses what can be refused without recording it: the caller learns why at once.
func (d *approvalDesk) validate(ctx workflow.Context, in approval.Decision) error {
	if in.Kind != approval.Approve && in.Kind != approval.Reject {
		return temporal.NewApplicationError(fmt.Sprintf("decision %q: want %s or %s", in.Kind, approval.Approve, approval.Reject), ErrorInvalid)
	}
	if in.ID == "" || in.Actor == "" {
		return temporal.NewApplicationError("a decision needs an id and an actor", ErrorInvalid)
	}
	if d.state == nil {
		return temporal.NewApplicationError("no version waits for a decision in this run", ErrorRefused)
	}
	in.At = workflow.Now(ctx)
	if _, err := approval.Decide(d.state.Request, d.state.Status, in); err != nil {
		return temporal.NewApplicationError(err.Error(), ErrorRefused)
	}
	return nil
}

// verdict is what a decision came to, as it is recorded in history.
type verdict struct {
	Status  approval.Status `json:"status"`
	Refused string          `json:"refused,omitempty"`
}

// decide records the judgement first, without yielding, so that of two decisions in one task exactly one stands and a
// later version of approval.Decide can't change what was decided.
func (d *approvalDesk) decide(ctx workflow.Context, in approval.Decision) (approval.Status, error) {
	if d.state == nil {
		return approval.Status{}, temporal.NewApplicationError("no version waits for a decision in this run", ErrorRefused)
	}
	in.At = workflow.Now(ctx)
	var v verdict
	recorded := workflow.SideEffect(ctx, func(workflow.Context) any {
		s, err := approval.Decide(d.state.Request, d.state.Status, in)
		if err != nil {
			return verdict{Status: s, Refused: err.Error()}
		}
		return verdict{Status: s}
	})
	if err := recorded.Get(&v); err != nil {
		return approval.Status{}, err
	}
	d.state.Status = v.Status
	if v.Refused != "" {
		return v.Status, temporal.NewApplicationError(v.Refused, ErrorRefused)
	}
	return v.Status, nil
}

// settled says that the round is decided.
func (d *approvalDesk) settled() bool {
	return d.state != nil && !d.state.Status.IsOpen()
}

// handle registers the run's messages: decisions by update and by signal, stop, and the query.
func (l *lifecycle) handle(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (LifecycleState, error) { return l.state, nil }); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateDecide,
		func(ctx workflow.Context, d approval.Decision) (approval.Status, error) {
			s, err := l.approval.decide(ctx, d)
			l.describe(ctx)
			return s, err
		},
		workflow.UpdateHandlerOptions{Validator: l.approval.validate, Description: "approve or reject the version that waits"},
	); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateStop, l.stopRun,
		workflow.UpdateHandlerOptions{Validator: l.validateStop, Description: "end the run: cancelled or superseded"},
	); err != nil {
		return err
	}
	signals := workflow.GetSignalChannelWithOptions(ctx, SignalDecision, workflow.SignalChannelOptions{Description: "approve or reject the version that waits"})
	listen(ctx, signals, func(ctx workflow.Context, d approval.Decision) {
		if _, err := l.approval.decide(ctx, d); err != nil {
			l.note("decision refused: %s", reason(err))
		}
		l.describe(ctx)
	})
	stops := workflow.GetSignalChannelWithOptions(ctx, SignalStop, workflow.SignalChannelOptions{Description: "end the run: cancelled or superseded"})
	listen(ctx, stops, func(ctx workflow.Context, s Stop) {
		err := l.validateStop(ctx, s)
		if err == nil {
			_, err = l.stopRun(ctx, s)
		}
		if err != nil {
			l.note("stop refused: %s", reason(err))
			l.describe(ctx)
		}
	})
	return nil
}

func (l *lifecycle) validateStop(_ workflow.Context, s Stop) error {
	switch {
	case s.Outcome != activities.Cancelled && s.Outcome != activities.Superseded:
		return temporal.NewApplicationError(fmt.Sprintf("stop with outcome %q: want %s or %s", s.Outcome, activities.Cancelled, activities.Superseded), ErrorInvalid)
	case s.Actor == "":
		return temporal.NewApplicationError("a stop needs an actor", ErrorInvalid)
	case l.result.Outcome != "":
		return temporal.NewApplicationError("the run has ended: "+l.result.Outcome, ErrorRefused)
	case l.promoting:
		return temporal.NewApplicationError("the version is being promoted; `starter rollback` returns to another one", ErrorRefused)
	}
	return nil
}

// stopRun ends the stages; the first stop names the outcome.
func (l *lifecycle) stopRun(_ workflow.Context, s Stop) (bool, error) {
	if l.stop == nil {
		l.stop = &s
		l.cancel()
	}
	return true, nil
}

// approve asks people and waits for them. An approval whose evidence moved meanwhile (a person rolled the champion
// back, say) is void: the version is evaluated again and asked about again.
func (l *lifecycle) approve(ctx workflow.Context) error {
	for {
		s, err := l.ask(ctx)
		if err != nil {
			return err
		}
		why := l.settlement(s)
		in := activities.DecisionInput{
			Model: l.in.Model, Lifecycle: l.result.ID, Round: l.round, Evidence: l.version.Evidence, RequestedBy: l.in.RequestedBy,
		}
		switch s.Outcome {
		case approval.Approved:
			last := s.Approvals[len(s.Approvals)-1]
			in.Approved, in.Approvers, in.Via, in.Reason = true, s.Approvers(), last.Via, last.Reason
		case approval.Rejected:
			in.Approvers, in.Via, in.Reason = []string{s.Rejection.Actor}, s.Rejection.Via, s.Rejection.Reason
		default:
			in.Via, in.Reason = "timer", why
		}
		out, err := call(ctx, quick(), registrar.Decide, in)
		if err != nil {
			return err
		}
		switch {
		case s.Outcome == approval.Rejected:
			return end(activities.Rejected, "%s", why)
		case s.Outcome != approval.Approved:
			return end(activities.TimedOut, "%s", why)
		case out.Void == "":
			l.detail("%s", why)
			return nil
		}
		l.approval.state = nil
		l.note("approval void: %s; evaluating again", out.Void)
		if err := l.judge(ctx); err != nil {
			return err
		}
		if err := l.register(ctx); err != nil {
			return err
		}
	}
}

// ask opens one round and waits until it is settled or its deadline has passed.
func (l *lifecycle) ask(ctx workflow.Context) (approval.Status, error) {
	now := workflow.Now(ctx)
	request := approval.Request{
		Evidence: l.version.Evidence.Digest, RequestedBy: l.in.RequestedBy, Policy: l.settings.Approval,
		OpenedAt: now, Deadline: now.Add(l.settings.Approval.Timeout.D()),
	}
	l.approval.open(request, l.version.Evidence, l.judged.Summary)
	l.state.Approval = l.approval.state
	l.status(ctx, "waiting", "for %d of %v until %s", max(1, request.Policy.Quorum), request.Policy.Approvers, request.Deadline.Format(time.RFC3339))
	asked := l.tell(ctx, activities.MessageApproval, "", nil)
	decided, err := waitAtMost(ctx, request.Deadline.Sub(workflow.Now(ctx)), "a decision on version "+strconv.Itoa(l.version.Version), l.approval.settled)
	if err != nil {
		l.approval.state = nil
		l.tell(ctx, activities.MessageDecided, "nobody decided: the run was ended before", asked)
		return approval.Status{}, err
	}
	if !decided {
		l.approval.state.Status.Outcome = approval.Expired
	}
	s := l.approval.state.Status
	l.tell(ctx, activities.MessageDecided, l.settlement(s), asked)
	return s, nil
}

// settlement says in one line how a round of deciding ended.
func (l *lifecycle) settlement(s approval.Status) string {
	switch s.Outcome {
	case approval.Approved:
		return "approved by " + strings.Join(s.Approvers(), ", ")
	case approval.Rejected:
		return fmt.Sprintf("rejected by %s: %s", s.Rejection.Actor, s.Rejection.Reason)
	default:
		return fmt.Sprintf("no decision within %s", l.settings.Approval.Timeout.D())
	}
}
