package workflows_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/workflows"
)

// theRun is a landed file that is to be trained on.
func theRun() activities.LifecycleInput {
	return activities.LifecycleInput{
		Model: theModel, Number: 7, Spec: theSpec, Team: "ops", Train: true, Why: "landed",
		Triggers: []activities.Trigger{landed("march.csv")}, Objects: []activities.Object{*object("march.csv")},
	}
}

// lifecycle runs one and gives what it returned and what it told the model.
func (s *stage) lifecycle(in activities.LifecycleInput) (activities.LifecycleResult, error) {
	s.t.Helper()
	s.hearModel()
	s.ExecuteWorkflow(workflows.Lifecycle, in)
	if !s.IsWorkflowCompleted() {
		s.t.Fatal("the lifecycle didn't end")
	}
	if err := s.GetWorkflowError(); err != nil {
		if len(s.told) != 1 {
			s.t.Fatalf("the model was told %d times, want once", len(s.told))
		}
		return s.told[0].Result, err
	}
	var r activities.LifecycleResult
	if err := s.GetWorkflowResult(&r); err != nil {
		s.t.Fatal(err)
	}
	return r, nil
}

func newLifecycle(t *testing.T) *stage {
	s := newStage(t, workflows.LifecycleID(theModel, 7))
	workflows.Register(s)
	return s
}

// line writes stages as one line: "ingest done, train failed".
func line(stages []activities.StageResult) string {
	var parts []string
	for _, s := range stages {
		parts = append(parts, s.Name+" "+s.Status)
	}
	return strings.Join(parts, ", ")
}

const untilApprove = "ingest done, validate done, snapshot done, train done, evaluate done, register done, "

const untilAdopted = "ingest skipped, validate skipped, snapshot done, "

// imported makes a run one of a model that ben imported.
func imported(in *activities.LifecycleInput) {
	given := activities.NewImport(map[string][]byte{"model.json": nil}, time.Time{})
	in.Objects, in.RequestedBy, in.Import = nil, ben, &given
	in.Triggers = []activities.Trigger{{Kind: activities.TriggerPerson, Key: "k", Actor: ben, Import: &given}}
}

// outcomes is the table of how a run may end.
var outcomes = []struct {
	name       string
	input      func(*activities.LifecycleInput)
	given      func(*stage)
	outcome    string
	reason     string
	stages     string
	rolledBack bool // the lifecycle takes traffic back
	fault      bool // the workflow fails
}{
	{
		name:    "the first version is promoted without a canary",
		given:   func(s *stage) { s.world.champion = 0; s.decides(time.Hour, approval.Approve, ana, 1) },
		outcome: activities.Promoted, reason: "version 2 is the champion",
		stages: untilApprove + "approve done, canary skipped, promote done",
	},
	{
		name:    "a challenger is promoted after its canary",
		given:   func(s *stage) { s.decides(time.Hour, approval.Approve, ana, 1) },
		outcome: activities.Promoted, reason: "version 2 is the champion",
		stages: untilApprove + "approve done, canary done, promote done",
	},
	{
		name: "where nothing serves, a challenger is promoted without a canary",
		given: func(s *stage) {
			none := usual()
			none.Canary.Steps = nil
			s.world.settings.answers(none)
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.Promoted, reason: "version 2 is the champion",
		stages: untilApprove + "approve done, canary skipped, promote done",
	},
	{
		name: "a person asks for a run without a file",
		input: func(in *activities.LifecycleInput) {
			in.Objects, in.RequestedBy = nil, ben
			in.Triggers = []activities.Trigger{{Kind: activities.TriggerPerson, Key: "k", Actor: ben}}
		},
		given:   func(s *stage) { s.decides(time.Hour, approval.Approve, ana, 1) },
		outcome: activities.Promoted,
		stages: strings.NewReplacer("ingest done", "ingest skipped", "validate done", "validate skipped").Replace(untilApprove) +
			"approve done, canary done, promote done",
	},
	{
		name:  "an imported model takes the place of training",
		input: imported,
		given: func(s *stage) {
			s.world.train.refuses(activities.ErrorScript, "it isn't trained")
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.Promoted, reason: "version 2 is the champion",
		stages: untilAdopted + "adopt done, evaluate done, register done, approve done, canary done, promote done",
	},
	{
		name:  "an imported model isn't approved by who imported it alone",
		input: imported,
		given: func(s *stage) {
			s.decides(time.Hour, approval.Approve, ben, 1)
			s.decides(2*time.Hour, approval.Reject, ana, 1)
		},
		outcome: activities.Rejected, stages: untilAdopted + "adopt done, evaluate done, register done, approve failed",
	},
	{
		name:  "an imported model that can't be used ends the run",
		input: imported,
		given: func(s *stage) {
			s.world.adopt.refuses(activities.ErrorTrainInput, `input "speed" is none of the features`)
		},
		outcome: activities.Failed, reason: `import: input "speed" is none of the features`, stages: untilAdopted + "adopt failed", fault: true,
	},
	{
		name:  "an imported model has nothing to be judged on before data was landed",
		input: imported,
		given: func(s *stage) {
			s.world.snapshot.answers(activities.SnapshotOutput{Problem: "the data set has no accepted file"})
		},
		outcome: activities.ValidationFailed, reason: "data has to be landed first (starter submit --data)", stages: "ingest skipped, validate skipped, snapshot failed",
	},
	{
		name: "a refused file ends a run that only it asked for",
		given: func(s *stage) {
			s.world.validate.answers(activities.ValidateOutput{Reason: "march.csv: row 17: delay \"x\" isn't a number"})
		},
		outcome: activities.ValidationFailed, reason: "row 17", stages: "ingest done, validate failed",
	},
	{
		name: "a refused file doesn't end a run that a person asked for",
		input: func(in *activities.LifecycleInput) {
			in.Triggers = append(in.Triggers, activities.Trigger{Kind: activities.TriggerPerson, Key: "k", Actor: ben})
		},
		given: func(s *stage) {
			s.world.validate.answers(activities.ValidateOutput{Reason: "no"})
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.Promoted, stages: untilApprove + "approve done, canary done, promote done",
	},
	{
		name:    "a run that isn't to train takes its file in and ends",
		input:   func(in *activities.LifecycleInput) { in.Train, in.Why = false, "retrain.cooldown 24h" },
		outcome: activities.Unchanged, reason: "1 file(s) accepted; no training: retrain.cooldown 24h",
		stages: "ingest done, validate done, snapshot done",
	},
	{
		name:    "the same snapshot and spec make no second version",
		given:   func(s *stage) { s.world.snapshot.answers(activities.SnapshotOutput{Digest: "d", Unchanged: 1}) },
		outcome: activities.Unchanged, reason: "version 1 was made from the same snapshot and spec",
		stages: "ingest done, validate done, snapshot done",
	},
	{
		name: "a snapshot that nothing can be trained from ends the run",
		given: func(s *stage) {
			s.world.snapshot.answers(activities.SnapshotOutput{Problem: "12 rows < data.window.min_rows 5000"})
		},
		outcome: activities.ValidationFailed, reason: "12 rows < data.window.min_rows 5000",
		stages: "ingest done, validate done, snapshot failed",
	},
	{
		name: "a failed gate ends the run and asks nobody",
		given: func(s *stage) {
			s.world.evaluate.answers(activities.EvaluateOutput{Summary: activities.EvaluateSummary{Verdict: failed()}})
		},
		outcome: activities.GateFailed, reason: "observed 0.6100 < 0.7",
		stages: "ingest done, validate done, snapshot done, train done, evaluate failed",
	},
	{
		name: "an inconclusive verdict asks people",
		given: func(s *stage) {
			s.world.evaluate.answers(activities.EvaluateOutput{Summary: activities.EvaluateSummary{
				Verdict: evaluation.Verdict{Outcome: evaluation.Inconclusive}, Champion: 1}})
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.Promoted, stages: untilApprove + "approve done, canary done, promote done",
	},
	{
		name:    "one rejection ends the run",
		given:   func(s *stage) { s.decides(time.Hour, approval.Reject, ben, 1) },
		outcome: activities.Rejected, reason: "rejected by cli:ben: looks right", stages: untilApprove + "approve failed",
	},
	{
		name:    "silence until the deadline rejects",
		outcome: activities.TimedOut, reason: "no decision within 72h", stages: untilApprove + "approve failed",
	},
	{
		name: "a canary that fails rolls back",
		given: func(s *stage) {
			s.world.served = failing
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.RolledBack, reason: "error rate", stages: untilApprove + "approve done, canary failed", rolledBack: true,
	},
	{
		name: "a canary that can't set traffic rolls back",
		given: func(s *stage) {
			s.world.set.refuses(activities.ErrorConflict, "epoch 4, expected 3")
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.RolledBack, reason: "canary: epoch 4, expected 3",
		stages: untilApprove + "approve done, canary failed", rolledBack: true,
	},
	{
		name: "a canary that was terminated rolls back",
		given: func(s *stage) {
			s.OnWorkflow(workflows.TypeCanary, anything, anything).Return(activities.CanaryResult{}, &temporal.TerminatedError{})
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.RolledBack, reason: "canary: ", stages: untilApprove + "approve done, canary failed", rolledBack: true,
	},
	{
		name: "a canary that somebody else cancelled rolls back",
		given: func(s *stage) {
			s.decides(time.Hour, approval.Approve, ana, 1)
			s.after(90*time.Minute, func() { s.CancelWorkflowByID(workflows.CanaryID(theModel), "") })
		},
		outcome: activities.RolledBack, reason: "canary: cancelled", stages: untilApprove + "approve done, canary failed", rolledBack: true,
	},
	{
		name: "a promotion that the ledger refuses leaves the champion",
		given: func(s *stage) {
			s.world.promote.refuses(activities.ErrorConflict, "champion is version 3, expected version 1")
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.RolledBack, reason: "promotion refused: champion is version 3",
		stages: untilApprove + "approve done, canary done, promote failed", rolledBack: true,
	},
	{
		name: "a first version that can't be promoted had no traffic to take back",
		given: func(s *stage) {
			s.world.champion = 0
			s.world.promote.refuses(activities.ErrorConflict, "champion is version 3, expected none")
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.RolledBack, reason: "promotion refused", stages: untilApprove + "approve done, canary skipped, promote failed",
	},
	{
		name: "gateways that don't follow leave the promotion standing",
		given: func(s *stage) {
			s.world.confirm.answers(activities.ConfirmOutput{Gateways: 2, Missing: []string{"b"}})
			s.decides(time.Hour, approval.Approve, ana, 1)
		},
		outcome: activities.Promoted, stages: untilApprove + "approve done, canary done, promote done",
	},
	{
		name:    "a script that keeps failing fails the run",
		given:   func(s *stage) { s.world.train.refuses(activities.ErrorScript, "train.py: exit 1") },
		outcome: activities.Failed, reason: "train: train.py: exit 1 (attempt 2; no script retries left)",
		stages: "ingest done, validate done, snapshot done, train failed", fault: true,
	},
	{
		name:    "rows that can't be trained on fail the run at once",
		given:   func(s *stage) { s.world.train.refuses(activities.ErrorTrainInput, "one class only") },
		outcome: activities.Failed, reason: "train: one class only", stages: "ingest done, validate done, snapshot done, train failed", fault: true,
	},
	{
		name:    "what breaks in a stage fails the run",
		given:   func(s *stage) { s.world.register.refuses(activities.ErrorCorrupt, "sha256 of model.json differs") },
		outcome: activities.Failed, reason: "sha256 of model.json differs",
		stages: strings.Replace(untilApprove, "register done, ", "register failed", 1), fault: true,
	},
	{
		name:    "a spec that can't be read fails the run",
		given:   func(s *stage) { s.world.settings.refuses(activities.ErrorSpec, "spec 5bec isn't there") },
		outcome: activities.Failed, reason: "spec 5bec isn't there", stages: "", fault: true,
	},
	{
		name:    "cancelled while people think",
		given:   func(s *stage) { s.after(time.Hour, s.CancelWorkflow) },
		outcome: activities.Cancelled, reason: "the workflow was cancelled", stages: untilApprove + "approve failed", fault: true,
	},
	{
		name: "cancelled while it trains",
		given: func(s *stage) {
			s.world.train.do = func(activities.TrainInput) (activities.TrainOutput, error) {
				s.CancelWorkflow()
				return activities.TrainOutput{}, errors.New("killed")
			}
		},
		outcome: activities.Cancelled, stages: "ingest done, validate done, snapshot done, train failed", fault: true,
	},
	{
		name: "cancelled in its canary",
		given: func(s *stage) {
			s.decides(time.Hour, approval.Approve, ana, 1)
			s.after(90*time.Minute, s.CancelWorkflow)
		},
		outcome: activities.Cancelled, stages: untilApprove + "approve done, canary failed", rolledBack: true, fault: true,
	},
	{
		name: "superseded by a stop while people think",
		given: func(s *stage) {
			s.update(time.Hour, workflows.UpdateStop, "stop", workflows.Stop{Outcome: activities.Superseded, Actor: ana, Reason: "april is here"})
		},
		outcome: activities.Superseded, reason: "superseded by cli:ana: april is here", stages: untilApprove + "approve failed",
	},
	{
		name: "stopped in its canary",
		given: func(s *stage) {
			s.decides(time.Hour, approval.Approve, ana, 1)
			s.update(90*time.Minute, workflows.UpdateStop, "stop", workflows.Stop{Outcome: activities.Cancelled, Actor: ben, Reason: "enough"})
		},
		outcome: activities.Cancelled, reason: "cancelled by cli:ben: enough", stages: untilApprove + "approve done, canary failed", rolledBack: true,
	},
}

const anything = "mock.Anything" // what testify's mock.Anything is

func TestLifecycleEnds(t *testing.T) {
	for _, c := range outcomes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newLifecycle(t)
			in := theRun()
			if c.input != nil {
				c.input(&in)
			}
			if c.given != nil {
				c.given(s)
			}
			r, err := s.lifecycle(in)
			want(t, "workflow failed", err != nil, c.fault)
			want(t, "outcome", r.Outcome, c.outcome)
			wantText(t, "reason", r.Reason, c.reason)
			want(t, "stages", line(r.Stages), c.stages)
			s.wantClosed(r)
			want(t, "rolled back by the lifecycle", s.rolledBackBy("lifecycle") > 0, c.rolledBack)
			want(t, "promotions", len(s.world.promote.calls()) > 0 && c.outcome == activities.Promoted, c.outcome == activities.Promoted)
		})
	}
}

// wantClosed checks what holds however a run ends: one record, the model and people told of the same end, the state in
// agreement.
func (s *stage) wantClosed(r activities.LifecycleResult) {
	s.t.Helper()
	closed := s.world.closing.calls()
	want(s.t, "records", len(closed), 1)
	want(s.t, "recorded outcome", closed[0].Outcome, r.Outcome)
	want(s.t, "told to the model", len(s.told), 1)
	want(s.t, "outcome told", s.told[0].Result.Outcome, r.Outcome)
	want(s.t, "number told", s.told[0].Number, r.Number)
	want(s.t, "outcome in the last message", s.message(activities.MessageClosed).Result.Outcome, r.Outcome)
	state := query[workflows.LifecycleState](s)
	want(s.t, "outcome in the state", state.Outcome, r.Outcome)
	want(s.t, "stage in the state", state.Stage, "done")
}

func (s *stage) rolledBackBy(via string) int {
	n := 0
	for _, r := range s.world.rollback.calls() {
		if r.Via == via {
			n++
		}
	}
	return n
}

func TestFilesAreDecidedOverInTheOrderTheyLanded(t *testing.T) {
	s := newLifecycle(t)
	in := theRun()
	in.Objects = nil
	for i := range 5 {
		in.Objects = append(in.Objects, *object(fmt.Sprintf("%d.csv", i)))
	}
	s.world.ingest.do = func(in activities.IngestInput) (activities.IngestOutput, error) {
		return activities.IngestOutput{Object: in.Object, SHA256: in.Object.Key, Rows: 10}, nil
	}
	s.world.validate.do = func(in activities.ValidateInput) (activities.ValidateOutput, error) {
		if in.File.SHA256 == "2.csv" {
			return activities.ValidateOutput{Reason: "2.csv: no column delay"}, nil
		}
		return activities.ValidateOutput{Accepted: true}, nil
	}
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(in)
	wantAll(t, "accepted", r.Files, "0.csv", "1.csv", "3.csv", "4.csv")
	wantAll(t, "refused", r.Refused, "2.csv")
	wantText(t, "message", s.message(activities.MessageRefused).Text, "2.csv: no column delay")
}

func TestARecordThatIsThereKeepsItsFirstEnd(t *testing.T) {
	s := newLifecycle(t)
	s.world.closing.answers(activities.LifecycleResult{Number: 7, Outcome: activities.Failed, Reason: "looked after"})
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, err := s.lifecycle(theRun())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Failed)
	want(t, "outcome told", s.told[0].Result.Outcome, activities.Failed)
	want(t, "outcome in the state", query[workflows.LifecycleState](s).Outcome, activities.Failed)
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	s := newLifecycle(t)
	s.world.closing.fails(8, errors.New("connection refused"))
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, err := s.lifecycle(theRun())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "outcome", r.Outcome, activities.Rejected)
	want(t, "attempts to write the record", len(s.world.closing.calls()), 9)
}
