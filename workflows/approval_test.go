package workflows_test

import (
	"testing"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/workflows"
)

func TestOfTwoDecisionsAtOnceOneStands(t *testing.T) {
	for _, c := range []struct {
		name    string
		first   string
		second  string
		outcome string
		told    string // to the second
	}{
		{"an approval before a rejection", approval.Approve, approval.Reject, activities.Promoted, "already approved by cli:ana"},
		{"a rejection before an approval", approval.Reject, approval.Approve, activities.Rejected, "already rejected by cli:ana: looks right"},
		{"two approvals", approval.Approve, approval.Approve, activities.Promoted, "already approved by cli:ana"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLifecycle(t)
			first, second := &answer{}, &answer{}
			s.after(time.Hour, func() {
				s.UpdateWorkflow(workflows.UpdateDecide, "1", first.callbacks(), decision(c.first, ana, 1))
				s.UpdateWorkflow(workflows.UpdateDecide, "2", second.callbacks(), decision(c.second, ben, 1))
			})
			r, err := s.lifecycle(theRun())
			if err != nil {
				t.Fatal(err)
			}
			want(t, "outcome", r.Outcome, c.outcome)
			want(t, "the first one's error", first.refusal(), nil)
			wantError(t, second.refusal(), workflows.ErrorRefused, c.told)
			decided := s.world.decide.calls()
			want(t, "decisions recorded", len(decided), 1)
			wantAll(t, "approvers", decided[0].Approvers, ana)
		})
	}
}

// Who comes after the decision, while the run goes on, is told who was first.
func TestALateDecisionIsToldWhoWasFirst(t *testing.T) {
	s := newLifecycle(t)
	s.decides(time.Hour, approval.Approve, ana, 1)
	late := s.decides(90*time.Minute, approval.Reject, ben, 1) // in the canary
	r, err := s.lifecycle(theRun())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Promoted)
	wantError(t, late.rejected, workflows.ErrorRefused, "already approved by cli:ana")
}

func TestADecisionIsRefused(t *testing.T) {
	other := decision(approval.Approve, ana, 1)
	other.Evidence = "evidence-9"
	nameless := decision(approval.Approve, "", 1)
	for _, c := range []struct {
		name  string
		at    time.Duration
		given approval.Decision
		kind  string
		says  string
	}{
		{"by somebody who may not decide", time.Hour, decision(approval.Approve, "cli:eve", 1), workflows.ErrorRefused, `"cli:eve" isn't an approver`},
		{"by the one who asked for the run", time.Hour, decision(approval.Approve, ben, 1), workflows.ErrorRefused, "four_eyes"},
		{"about other evidence", time.Hour, other, workflows.ErrorRefused, "evidence-9"},
		{"of a kind that isn't known", time.Hour, decision("maybe", ana, 1), workflows.ErrorInvalid, `decision "maybe"`},
		{"by nobody", time.Hour, nameless, workflows.ErrorInvalid, "an actor"},
		{"before there is a version", 0, decision(approval.Approve, ana, 1), workflows.ErrorRefused, "no version waits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLifecycle(t)
			in := theRun()
			in.RequestedBy = ben
			a := s.update(c.at, workflows.UpdateDecide, "1", c.given)
			s.decides(2*time.Hour, approval.Reject, ana, 1)
			r, err := s.lifecycle(in)
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, a.rejected, c.kind, c.says)
			want(t, "outcome", r.Outcome, activities.Rejected)
		})
	}
}

func TestASignalIsJudgedLikeAnUpdate(t *testing.T) {
	t.Run("it decides", func(t *testing.T) {
		s := newLifecycle(t)
		s.signalDecision(time.Hour, decision(approval.Reject, ben, 1))
		r, _ := s.lifecycle(theRun())
		want(t, "outcome", r.Outcome, activities.Rejected)
		wantAll(t, "rejected by", s.world.decide.calls()[0].Approvers, ben)
	})
	t.Run("its refusal is shown, and the run goes on waiting", func(t *testing.T) {
		s := newLifecycle(t)
		s.signalDecision(0, decision(approval.Approve, ana, 1)) // before there is a version
		s.signalDecision(time.Hour, decision(approval.Approve, "cli:eve", 1))
		s.after(2*time.Hour, func() {
			state := query[workflows.LifecycleState](s)
			want(t, "stage", state.Stage, "approve")
			want(t, "notes", len(state.Notes), 2)
			wantText(t, "first note", state.Notes[0], "no version waits")
			wantText(t, "second note", state.Notes[1], `"cli:eve" isn't an approver`)
			want(t, "open", state.Approval.Status.IsOpen(), true)
		})
		r, _ := s.lifecycle(theRun())
		want(t, "outcome", r.Outcome, activities.TimedOut)
	})
	t.Run("of a signal and an update at once one stands", func(t *testing.T) {
		s := newLifecycle(t)
		a := &answer{}
		s.after(time.Hour, func() {
			s.SignalWorkflow(workflows.SignalDecision, decision(approval.Reject, ana, 1))
			s.UpdateWorkflow(workflows.UpdateDecide, "1", a.callbacks(), decision(approval.Approve, ben, 1))
		})
		r, _ := s.lifecycle(theRun())
		want(t, "decisions recorded", len(s.world.decide.calls()), 1)
		if a.refusal() == nil {
			want(t, "outcome", r.Outcome, activities.Promoted)
		} else {
			wantError(t, a.refusal(), workflows.ErrorRefused, "already rejected by cli:ana")
			want(t, "outcome", r.Outcome, activities.Rejected)
		}
	})
}

func TestADecisionAtTheDeadlineIsLate(t *testing.T) {
	s := newLifecycle(t)
	a := s.decides(72*time.Hour+time.Minute, approval.Approve, ana, 1)
	s.after(72*time.Hour+time.Minute, func() {
		want(t, "status shown", query[workflows.LifecycleState](s).Approval.Status.Outcome, approval.Expired)
	})
	// The record of the silence takes a while: the run still waits when the decision comes.
	s.world.decide.fails(8, errAway)
	r, err := s.lifecycle(theRun())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.TimedOut)
	wantError(t, a.rejected, workflows.ErrorRefused, "the deadline was")
}

func TestAQuorumNeedsDistinctPeople(t *testing.T) {
	s := newLifecycle(t)
	settings := usual()
	settings.Approval.Quorum = 2
	s.world.settings.answers(settings)
	s.decides(time.Hour, approval.Approve, ana, 1)
	again := decision(approval.Approve, ana, 1)
	again.ID = "another click"
	twice := s.update(2*time.Hour, workflows.UpdateDecide, "2", again)
	s.after(3*time.Hour, func() { want(t, "stage", query[workflows.LifecycleState](s).Stage, "approve") })
	s.decides(4*time.Hour, approval.Approve, ben, 1)
	r, _ := s.lifecycle(theRun())
	want(t, "outcome", r.Outcome, activities.Promoted)
	wantError(t, twice.rejected, workflows.ErrorRefused, "1 of 2 approvals")
	wantAll(t, "approvers", s.world.decide.calls()[0].Approvers, ana, ben)
}

// A person rolled the champion back while others thought: what was approved isn't what would be promoted now.
func TestAVoidApprovalIsEvaluatedAndAskedAgain(t *testing.T) {
	s := newLifecycle(t)
	s.world.decide.do = func(in activities.DecisionInput) (activities.LedgerOutput, error) {
		if in.Round == 1 {
			s.world.epoch++
			return activities.LedgerOutput{Void: "epoch is 4, expected 3"}, nil
		}
		return activities.LedgerOutput{Seq: 7}, nil
	}
	s.decides(time.Hour, approval.Approve, ana, 1)
	stale := s.update(2*time.Hour, workflows.UpdateDecide, "stale", decision(approval.Approve, ben, 1))
	s.decides(3*time.Hour, approval.Approve, ana, 2)
	r, err := s.lifecycle(theRun())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Promoted)
	want(t, "trained", len(s.world.train.calls()), 1)
	evaluations := s.world.evaluate.calls()
	want(t, "evaluations", len(evaluations), 2)
	want(t, "round", evaluations[1].Round, 2)
	wantError(t, stale.rejected, workflows.ErrorRefused, "evidence")
	decided := s.world.decide.calls()
	want(t, "second evidence", decided[1].Evidence.Digest, evidence(2))
	want(t, "epoch of the canary", s.world.set.calls()[0].Epoch, s.world.epoch)
	wantAll(t, "messages", s.kinds(),
		activities.MessageApproval, activities.MessageApproval, activities.MessageClosed, activities.MessageDecided, activities.MessageDecided)
}

func TestAVoidApprovalMayFailItsGatesTheSecondTime(t *testing.T) {
	s := newLifecycle(t)
	s.world.decide.answers(activities.LedgerOutput{Void: "epoch is 4, expected 3"})
	s.world.evaluate.do = func(in activities.EvaluateInput) (activities.EvaluateOutput, error) {
		out, err := s.world.judge(in)
		if in.Round == 2 {
			out.Summary.Verdict = failed()
		}
		return out, err
	}
	s.decides(time.Hour, approval.Approve, ana, 1)
	r, err := s.lifecycle(theRun())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.GateFailed)
}

// The question is replaced by its answer, so that nobody decides over what is decided.
func TestTheQuestionIsReplacedByItsAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		given func(*stage)
		says  string
	}{
		{"approved", func(s *stage) { s.decides(time.Hour, approval.Approve, ana, 1) }, "approved by cli:ana"},
		{"rejected", func(s *stage) { s.decides(time.Hour, approval.Reject, ben, 1) }, "rejected by cli:ben: looks right"},
		{"timed out", func(*stage) {}, "no decision within 72h"},
		{"cancelled", func(s *stage) { s.after(time.Hour, s.CancelWorkflow) }, "the run was ended before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLifecycle(t)
			c.given(s)
			_, _ = s.lifecycle(theRun())
			wantAll(t, "messages", s.kinds(), activities.MessageApproval, activities.MessageClosed, activities.MessageDecided)
			asked, answered := s.message(activities.MessageApproval), s.message(activities.MessageDecided)
			want(t, "evidence asked about", asked.Evidence.Digest, evidence(1))
			if answered.Replace == nil || answered.Replace.ID != "approval-1" {
				t.Errorf("the answer replaces %+v, want the question", answered.Replace)
			}
			wantText(t, "answer", answered.Text, c.says)
		})
	}
	t.Run("a question that was never sent isn't replaced", func(t *testing.T) {
		s := newLifecycle(t)
		s.world.send.answers(activities.MessageOutput{})
		s.decides(time.Hour, approval.Reject, ben, 1)
		_, _ = s.lifecycle(theRun())
		wantAll(t, "messages", s.kinds(), activities.MessageApproval, activities.MessageClosed)
	})
}
