package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/evaluation"
)

// The activities that this package calls, for their method expressions only.
var (
	planner   *activities.Planner
	runs      *activities.Runs
	ingester  *activities.Ingester
	snapshots *activities.Snapshots
	trainer   *activities.Trainer
	searches  *activities.Searches
	fleet     *activities.Fleet
	evaluator *activities.Evaluator
	registrar *activities.Registrar
	traffic   *activities.Traffic
	measurer  *activities.Measurer
	monitors  *activities.Monitors
	messenger *activities.Messenger
)

// Lifecycle takes landed files, or a reason to retrain, to a served model or to a reason why not:
// ingest, validate, snapshot, train, evaluate, register, approve, canary, promote.
//
// It completes with the outcome for everything that a team decides or a gate refuses; only what broke fails the
// workflow. The champion is untouched unless the outcome is promoted.
func Lifecycle(ctx workflow.Context, in activities.LifecycleInput) (activities.LifecycleResult, error) {
	l := newLifecycle(ctx, in)
	stages, cancel := workflow.WithCancel(ctx)
	l.cancel = cancel
	err := l.handle(ctx)
	if err == nil {
		err = l.run(stages)
	}
	return l.finish(ctx, err)
}

// lifecycle is one run's state.
type lifecycle struct {
	in     activities.LifecycleInput
	result activities.LifecycleResult
	state  LifecycleState
	began  time.Time // of the current stage

	settings activities.RunSettings
	files    []activities.IngestOutput
	snapshot activities.SnapshotOutput
	asOf     time.Time
	trainKey string                  // what a later run finds this one's training by
	cached   *activities.TrainOutput // a training of an earlier run that will do
	train    activities.TrainOutput
	judged   activities.EvaluateOutput
	version  activities.RegisterOutput
	passed   activities.CanaryResult
	round    int // evaluations so far

	approval  *approvalDesk
	stop      *Stop
	cancel    workflow.CancelFunc // of the stages
	exposed   bool                // the version may have traffic: cleanup takes it away
	promoting bool                // the promotion is being written: nothing stops it any more
	telling   int                 // messages on their way

	unconfirmed string // why a target that a program drives may not serve by the ledger

	attributes []temporal.SearchAttributeUpdate // that wait for the next change of a stage
}

// ended is how a stage says that the run is over for a reason that isn't a fault.
type ended struct{ outcome, reason string }

func (e *ended) Error() string { return e.outcome + ": " + e.reason }

func end(outcome, format string, args ...any) error {
	return &ended{outcome: outcome, reason: fmt.Sprintf(format, args...)}
}

func newLifecycle(ctx workflow.Context, in activities.LifecycleInput) *lifecycle {
	id := LifecycleID(in.Model, in.Number)
	return &lifecycle{
		in: in,
		result: activities.LifecycleResult{
			ID: id, Model: in.Model, Number: in.Number, Trigger: triggerOf(in), Started: workflow.Now(ctx).UTC(),
		},
		state:    LifecycleState{ID: id, Model: in.Model, Stage: "setup"},
		asOf:     workflow.Now(ctx).UTC(),
		approval: &approvalDesk{},
	}
}

// triggerOf names what started a run: the trigger that asked for training, a person first.
func triggerOf(in activities.LifecycleInput) string {
	best := activities.TriggerData
	rank := map[string]int{activities.TriggerData: 1, activities.TriggerCron: 2, activities.TriggerQuality: 3, activities.TriggerDrift: 4, activities.TriggerPerson: 5}
	for _, t := range in.Triggers {
		if rank[t.Kind] > rank[best] {
			best = t.Kind
		}
	}
	return best
}

// run is the lifecycle, stage by stage. A stage that returns an *ended error closes the run with that outcome.
func (l *lifecycle) run(ctx workflow.Context) error {
	if err := l.setup(ctx); err != nil {
		return err
	}
	made := stage{"train", l.trainModel}
	if l.in.Import != nil {
		made = stage{"adopt", l.adopt}
	}
	stages := []stage{
		{"ingest", l.ingest},
		{"validate", l.validate},
		{"snapshot", l.takeSnapshot},
		made,
		{"evaluate", l.judge},
		{"register", l.register},
		{"approve", l.approve},
		{"canary", l.canary},
		{"promote", l.promote},
	}
	if l.in.Resume != nil {
		stages = l.resumed(stages)
	}
	for _, s := range stages {
		if err := ctx.Err(); err != nil { // stopped in the moment that the stage before was done
			return err
		}
		l.enter(ctx, s.name)
		err := s.do(ctx)
		l.leave(ctx, err)
		if err != nil {
			return err
		}
	}
	return nil
}

// setup pins the run's settings from its spec.
func (l *lifecycle) setup(ctx workflow.Context) error {
	settings, err := call(ctx, quick(), runs.Settings, activities.SettingsInput{Model: l.in.Model, Spec: l.in.Spec})
	l.settings = settings
	if err != nil {
		return fmt.Errorf("read spec %s: %w", l.in.Spec, err)
	}
	return nil
}

// takeSnapshot fixes what is trained on, or ends the run: nothing new, nothing to train, or not asked to train.
func (l *lifecycle) takeSnapshot(ctx workflow.Context) error {
	if !l.in.Train {
		return end(activities.Unchanged, "%d file(s) accepted; no training: %s", len(l.result.Files), l.in.Why)
	}
	out, err := call(ctx, dataScan(), snapshots.Take, activities.SnapshotInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, AsOf: l.asOf, Force: l.in.Force,
		Cache: l.mayReuse() && l.in.Import == nil,
	})
	if err != nil {
		return err
	}
	l.trainKey, l.cached, out.TrainKey, out.Cached = out.TrainKey, out.Cached, "", nil
	l.snapshot, l.result.Snapshot, l.result.Rows = out, out.Digest, out.Rows
	l.state.Snapshot, l.state.Rows = out.Digest, out.Rows
	switch {
	case out.Problem != "" && l.in.Import != nil:
		return end(activities.ValidationFailed, "%s: an imported model is judged on the data set's test rows, so data has to be landed first (starter submit --data)", out.Problem)
	case out.Problem != "":
		return end(activities.ValidationFailed, "%s", out.Problem)
	case out.Unchanged > 0:
		return end(activities.Unchanged, "version %d was made from the same snapshot and spec", out.Unchanged)
	}
	l.detail("%d rows of %d file(s): %d train, %d validation, %d test", out.Rows, out.Files, out.Train, out.Validation, out.Test)
	l.attributes = append(l.attributes, AttributeSnapshot.ValueSet(out.Digest)) // told with the next stage
	return nil
}

// adopt takes an imported model for what training would have made.
func (l *lifecycle) adopt(ctx workflow.Context) error {
	out, err := call(ctx, dataScan(), evaluator.Adopt, activities.AdoptInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Number: l.in.Number, Snapshot: l.snapshot.Digest, AsOf: l.asOf,
		Import: *l.in.Import, By: l.in.RequestedBy,
	})
	if errorType(err) == activities.ErrorTrainInput {
		return end(activities.Failed, "import: %s", reason(err))
	}
	if err != nil {
		return err
	}
	l.train = out
	l.detail("imported by %s: model %.12s", l.in.RequestedBy, l.in.Import.Digest)
	return nil
}

// judge evaluates on the test rows, beside the champion, and ends the run where a gate fails.
func (l *lifecycle) judge(ctx workflow.Context) error {
	l.round++
	out, err := call(ctx, dataScan(), evaluator.Evaluate, activities.EvaluateInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Number: l.in.Number, Round: l.round,
		Snapshot: l.snapshot.Digest, AsOf: l.asOf, Train: l.train,
		TrainKey: l.trainKey, Cache: l.mayReuse(),
	})
	if err != nil {
		return err
	}
	l.judged, l.state.Champion = out, out.Summary.Champion
	v := out.Summary.Verdict
	l.detail("%s on %d rows%s", v.Outcome, out.Summary.JudgedRows, cachedFrom(out.Cached))
	if v.Outcome == evaluation.Fail {
		return end(activities.GateFailed, "%s", strings.Join(v.Messages(evaluation.Fail), "; "))
	}
	return nil
}

func (l *lifecycle) register(ctx workflow.Context) error {
	out, err := call(ctx, dataScan(), registrar.Register, activities.RegisterInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Number: l.in.Number,
		Snapshot: l.snapshot, Train: l.train, Evaluate: l.judged,
	})
	if err != nil {
		return err
	}
	l.version, l.result.Version, l.state.Version = out, out.Version, out.Version
	l.detail("version %d", out.Version)
	return nil
}

// canary gives the version a little real traffic. The first version has no champion to be compared with: it skips.
func (l *lifecycle) canary(ctx workflow.Context) error {
	if l.judged.Summary.Champion == 0 {
		l.skip("no champion yet")
		return nil
	}
	if len(l.settings.Canary.Steps) == 0 {
		return l.challenge(ctx)
	}
	l.tag(ctx, AttributeStage.ValueSet("canary"))
	if err := l.deploy(ctx); err != nil {
		return err
	}
	l.exposed = true
	out, err := l.runCanary(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return end(activities.RolledBack, "canary: %s", reason(err))
	}
	if out.Outcome != activities.Promoted {
		return end(activities.RolledBack, "%s", out.Reason)
	}
	l.detail("%s", out.Reason)
	l.passed = out
	return nil
}

// challenge makes the version the challenger of a model that nothing serves, without any traffic: only a challenger is
// promoted. No history from before a spec could have no steps comes here.
func (l *lifecycle) challenge(ctx workflow.Context) error {
	l.exposed = true
	_, err := call(ctx, quick(), traffic.Set, activities.TrafficInput{
		Model: l.in.Model, Version: l.version.Version, Lease: workflow.Now(ctx).Add(unservedLease), Run: l.result.ID,
		Epoch: l.judged.Summary.Epoch, Key: l.result.ID + "/canary/1", Start: true,
	})
	if err != nil && ctx.Err() == nil {
		return end(activities.RolledBack, "canary: %s", reason(err))
	}
	l.skip("nothing serves this model: canary.steps is empty")
	return err
}

// runCanary starts the model's canary. Its id is the model's: one left over by an earlier run is cancelled first and
// waited for, a minute at most.
func (l *lifecycle) runCanary(ctx workflow.Context) (activities.CanaryResult, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          CanaryID(l.in.Model),
		TaskQueue:           QueueLifecycle,
		WaitForCancellation: true,
		StaticSummary:       fmt.Sprintf("version %d against %d", l.version.Version, l.judged.Summary.Champion),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeModel.ValueSet(l.in.Model), AttributeTeam.ValueSet(l.in.Team), AttributeStage.ValueSet("canary")),
	})
	in := activities.CanaryInput{
		Model: l.in.Model, Version: l.version.Version, Champion: l.judged.Summary.Champion, Epoch: l.judged.Summary.Epoch,
		Lifecycle: l.result.ID, Spec: l.in.Spec, Team: l.in.Team,
	}
	var out activities.CanaryResult
	for try := 1; ; try++ {
		child := workflow.ExecuteChildWorkflow(ctx, Canary, in)
		err := child.GetChildWorkflowExecution().Get(ctx, nil)
		if temporal.IsWorkflowExecutionAlreadyStartedError(err) && try <= 10 {
			// An error says that it has just ended by itself, which the next try finds.
			_ = workflow.RequestCancelExternalWorkflow(ctx, CanaryID(l.in.Model), "").Get(ctx, nil)
			if err := workflow.Sleep(ctx, time.Duration(try)*time.Second); err != nil {
				return out, err
			}
			continue
		}
		if err != nil {
			return out, fmt.Errorf("start: %w", err)
		}
		return out, child.Get(ctx, &out)
	}
}

// promote makes the version the champion, in the name of the person who ended its canary where somebody did, and waits
// for gateways to follow. Nothing cancels the entry once it is being
// written: else the ledger might say promoted where the run says cancelled.
func (l *lifecycle) promote(ctx workflow.Context) error {
	if l.judged.Summary.Champion == 0 { // no canary has deployed it
		if err := l.deploy(ctx); err != nil {
			return err
		}
	}
	l.promoting = true
	committed, _ := workflow.NewDisconnectedContext(ctx)
	out, err := call(committed, quick(), traffic.Promote, activities.PromoteInput{
		Model: l.in.Model, Version: l.version.Version, Champion: l.judged.Summary.Champion, Epoch: l.judged.Summary.Epoch,
		Lifecycle: l.result.ID, Actor: cmp.Or(l.passed.Actor, l.actor()), Via: cmp.Or(l.passed.Via, "lifecycle"), Reason: l.passed.Reason,
	})
	if err != nil {
		return end(activities.RolledBack, "promotion refused: %s", reason(err))
	}
	l.exposed, l.result.Outcome, l.result.Champion = false, activities.Promoted, l.version.Version
	l.result.HeadSeq, l.result.HeadHash = out.Seq, out.Hash
	target := drivenTarget{verb: l.settings.VerbTimeout}
	seen, err := target.confirm(ctx, l.in.Model, l.in.Spec, out.Seq)
	switch {
	case target.driven() && (err != nil || !seen.Confirmed):
		l.noteTarget(seen, err, "promotion stands")
	case target.driven():
		l.detail("version %d serves: the target reads it back", l.version.Version)
	case err != nil:
		l.note("promotion stands; gateways not confirmed: %s", reason(err))
	case !seen.Confirmed:
		l.note("promotion stands; gateways behind: %v", seen.Missing)
	default:
		l.detail("version %d serves, confirmed by %d gateway(s)", l.version.Version, seen.Gateways)
	}
	return nil
}

// actor is who a ledger entry names for what the run does by itself.
func (l *lifecycle) actor() string { return "leanloop:" + l.result.ID }
