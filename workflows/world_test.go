package workflows_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
	"github.com/leanloop/leanloop/internal/spec"
)

const (
	theModel = "flight-delay"
	theSpec  = "5bec0000"
	ana      = "cli:ana"
	ben      = "cli:ben"
)

// The activities, for their method expressions: a fake takes its name and its types from the real one.
var (
	planner   *activities.Planner
	runs      *activities.Runs
	ingester  *activities.Ingester
	snapshots *activities.Snapshots
	trainer   *activities.Trainer
	searches  *activities.Searches
	evaluator *activities.Evaluator
	registrar *activities.Registrar
	traffic   *activities.Traffic
	measurer  *activities.Measurer
	monitors  *activities.Monitors
	messenger *activities.Messenger
	fleet     *activities.Fleet
)

// fake stands for one activity: what it does may be replaced, and what it was given is kept.
type fake[In, Out any] struct {
	do    func(In) (Out, error)
	takes func(context.Context) error // before do; nil: no time
	mu    sync.Mutex
	got   []In
}

func (f *fake[In, Out]) call(ctx context.Context, in In) (Out, error) {
	f.mu.Lock()
	f.got = append(f.got, in)
	f.mu.Unlock()
	if f.takes != nil {
		if err := f.takes(ctx); err != nil {
			var none Out
			return none, err
		}
	}
	return f.do(in)
}

// calls are the inputs so far, in order.
func (f *fake[In, Out]) calls() []In {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]In(nil), f.got...)
}

// fails makes the first n calls fail.
func (f *fake[In, Out]) fails(n int, err error) {
	do := f.do
	f.do = func(in In) (Out, error) {
		if len(f.calls()) <= n {
			var none Out
			return none, err
		}
		return do(in)
	}
}

// answers replaces what the activity does by one answer.
func (f *fake[In, Out]) answers(out Out) { f.do = func(In) (Out, error) { return out, nil } }

// refuses makes every call fail in a way that no retry helps.
func (f *fake[In, Out]) refuses(kind, why string) {
	f.do = func(In) (Out, error) {
		var none Out
		return none, temporal.NewNonRetryableApplicationError(why, kind, nil)
	}
}

// wire registers a fake under the real activity's name; the compiler ties their types.
func wire[In, Out any](r worker.ActivityRegistry, real func(context.Context, In) (Out, error), f *fake[In, Out], do func(In) (Out, error)) {
	if f.do == nil {
		f.do = do
	}
	name := runtime.FuncForPC(reflect.ValueOf(real).Pointer()).Name()
	name = strings.TrimSuffix(name[strings.LastIndex(name, ".")+1:], "-fm")
	r.RegisterActivityWithOptions(f.call, activity.RegisterOptions{Name: name})
}

// world is everything outside of workflows: every activity as a fake whose default is a day on which all goes well. A
// champion, version 1, serves; the next version is 2.
type world struct {
	champion int
	epoch    int64
	rounds   int
	served   func(in activities.MeasureInput) canary.Measurement
	healed   atomic.Pointer[func(in activities.MeasureInput) canary.Measurement] // takes the place of served, at any time

	plan     fake[activities.PlanInput, activities.PlanOutput]
	settings fake[activities.SettingsInput, activities.RunSettings]
	claim    fake[activities.LifecycleInput, activities.Claimed]
	closing  fake[activities.LifecycleResult, activities.LifecycleResult]
	status   fake[activities.StatusInput, activities.StatusOutput]
	recovers fake[activities.RecoverInput, activities.Recovered]
	ingest   fake[activities.IngestInput, activities.IngestOutput]
	validate fake[activities.ValidateInput, activities.ValidateOutput]
	snapshot fake[activities.SnapshotInput, activities.SnapshotOutput]
	restore  fake[activities.RestoreInput, activities.Kept]
	train    fake[activities.TrainInput, activities.TrainOutput]
	trial    fake[activities.TrainInput, activities.TrialOutput]
	fail     fake[activities.TrialFailure, activities.TrialOutput]
	take     fake[activities.TrainInput, activities.TrainOutput]
	adopt    fake[activities.AdoptInput, activities.TrainOutput]
	evaluate fake[activities.EvaluateInput, activities.EvaluateOutput]
	register fake[activities.RegisterInput, activities.RegisterOutput]
	decide   fake[activities.DecisionInput, activities.LedgerOutput]
	set      fake[activities.TrafficInput, activities.LedgerOutput]
	promote  fake[activities.PromoteInput, activities.LedgerOutput]
	rollback fake[activities.RollbackInput, activities.LedgerOutput]
	confirm  fake[activities.ConfirmInput, activities.ConfirmOutput]
	measure  fake[activities.MeasureInput, activities.MeasureOutput]
	labels   fake[activities.CanaryQualityInput, canary.Quality]
	drift    fake[activities.DriftInput, activities.DriftOutput]
	cut      fake[activities.DriftInput, activities.DriftPlan]
	shard    fake[activities.DriftShard, activities.DriftProfiled]
	target   fake[activities.DriftPlan, activities.DriftProfiled]
	judged   fake[activities.DriftJudgement, activities.DriftOutput]
	quality  fake[activities.QualityInput, activities.QualityOutput]
	send     fake[activities.MessageInput, activities.MessageOutput]
	look     fake[activities.LookInput, activities.LookOutput]
	deploy   fake[activities.DeployInput, activities.TargetView]
	check    fake[activities.TargetInput, activities.TargetView]
}

func newWorld() *world {
	w := &world{champion: 1, epoch: 3, served: healthy}
	w.wire(nowhere{})
	return w
}

// heals changes what is served while workers run.
func (w *world) heals(served func(activities.MeasureInput) canary.Measurement) {
	w.healed.Store(&served)
}

// nowhere takes registrations and forgets them: a world that is wired to it has its defaults.
type nowhere struct{}

func (nowhere) RegisterActivity(any)                                         {}
func (nowhere) RegisterActivityWithOptions(any, activity.RegisterOptions)    {}
func (nowhere) RegisterDynamicActivity(any, activity.DynamicRegisterOptions) {}

// wire registers every fake, and gives those that do nothing yet their default.
func (w *world) wire(r worker.ActivityRegistry) {
	wire(r, planner.Plan, &w.plan, w.planAll)
	wire(r, runs.Settings, &w.settings, func(activities.SettingsInput) (activities.RunSettings, error) { return usual(), nil })
	wire(r, runs.Claim, &w.claim, func(in activities.LifecycleInput) (activities.Claimed, error) {
		return activities.Claimed{Number: in.Number}, nil
	})
	wire(r, runs.Close, &w.closing, func(in activities.LifecycleResult) (activities.LifecycleResult, error) { return in, nil })
	wire(r, runs.Status, &w.status, func(activities.StatusInput) (activities.StatusOutput, error) { return activities.StatusOutput{}, nil })
	wire(r, runs.Recover, &w.recovers, func(activities.RecoverInput) (activities.Recovered, error) { return activities.Recovered{}, nil })
	wire(r, ingester.Ingest, &w.ingest, func(in activities.IngestInput) (activities.IngestOutput, error) {
		return activities.IngestOutput{Object: in.Object, SHA256: "sha-" + in.Object.Key, Rows: 1000}, nil
	})
	wire(r, ingester.Validate, &w.validate, func(activities.ValidateInput) (activities.ValidateOutput, error) {
		return activities.ValidateOutput{Accepted: true}, nil
	})
	wire(r, snapshots.Take, &w.snapshot, func(activities.SnapshotInput) (activities.SnapshotOutput, error) {
		return activities.SnapshotOutput{Digest: "5a450000", Files: 2, Rows: 3000, Train: 2000, Validation: 400, Test: 600}, nil
	})
	wire(r, snapshots.Restore, &w.restore, func(activities.RestoreInput) (activities.Kept, error) { return activities.Kept{}, nil })
	wire(r, trainer.Train, &w.train, func(activities.TrainInput) (activities.TrainOutput, error) {
		return activities.TrainOutput{Prefix: "runs/attempt/", TrainRows: 2400, Seconds: 12, Cost: 1.5}, nil
	})
	wire(r, trainer.Trial, &w.trial, func(in activities.TrainInput) (activities.TrialOutput, error) { return tried(in), nil })
	wire(r, searches.FailTrial, &w.fail, func(in activities.TrialFailure) (activities.TrialOutput, error) {
		return activities.TrialOutput{State: search.Failed, Reason: in.Reason}, nil
	})
	wire(r, searches.TakeBest, &w.take, func(in activities.TrainInput) (activities.TrainOutput, error) {
		return activities.TrainOutput{Prefix: "runs/trial/", TrainRows: 2400, Trial: in.Trial, Params: in.Params}, nil
	})
	wire(r, evaluator.Adopt, &w.adopt, func(activities.AdoptInput) (activities.TrainOutput, error) {
		return activities.TrainOutput{Prefix: "runs/import/"}, nil
	})
	wire(r, evaluator.Evaluate, &w.evaluate, w.judge)
	wire(r, registrar.Register, &w.register, w.enter)
	wire(r, registrar.Decide, &w.decide, func(activities.DecisionInput) (activities.LedgerOutput, error) {
		return activities.LedgerOutput{Seq: 5}, nil
	})
	wire(r, traffic.Set, &w.set, func(activities.TrafficInput) (activities.LedgerOutput, error) {
		return activities.LedgerOutput{Seq: 6}, nil
	})
	wire(r, traffic.Promote, &w.promote, func(activities.PromoteInput) (activities.LedgerOutput, error) {
		return activities.LedgerOutput{Seq: 9, Hash: "cafe"}, nil
	})
	wire(r, traffic.Rollback, &w.rollback, func(activities.RollbackInput) (activities.LedgerOutput, error) {
		return activities.LedgerOutput{Seq: 8, Hash: "beef"}, nil
	})
	wire(r, traffic.Confirm, &w.confirm, func(activities.ConfirmInput) (activities.ConfirmOutput, error) {
		return activities.ConfirmOutput{Confirmed: true, Gateways: 2}, nil
	})
	wire(r, traffic.Deploy, &w.deploy, func(activities.DeployInput) (activities.TargetView, error) {
		return activities.TargetView{Driven: true}, nil
	})
	wire(r, traffic.Check, &w.check, func(in activities.TargetInput) (activities.TargetView, error) {
		return activities.TargetView{Model: in.Model, Driven: true}, nil
	})
	wire(r, measurer.Measure, &w.measure, func(in activities.MeasureInput) (activities.MeasureOutput, error) {
		served := w.served
		if healed := w.healed.Load(); healed != nil {
			served = *healed
		}
		m := served(in)
		s, a, j := canary.Decide(in.State, m, in.Now)
		return activities.MeasureOutput{State: s, Action: a, Judgement: j, Arms: m.Arms()}, nil
	})
	wire(r, monitors.CanaryQuality, &w.labels, func(in activities.CanaryQualityInput) (canary.Quality, error) {
		return canary.Quality{From: in.From, At: in.To, Metric: in.Quality.Metric}, nil
	})
	wire(r, monitors.Drift, &w.drift, func(in activities.DriftInput) (activities.DriftOutput, error) {
		return activities.DriftOutput{Model: in.Model, Champion: 1, End: in.End, Rows: 5000, Recent: append(in.Recent, false)}, nil
	})
	wire(r, monitors.DriftPlan, &w.cut, func(in activities.DriftInput) (activities.DriftPlan, error) {
		return activities.DriftPlan{Model: in.Model, Champion: 1, End: in.End, Key: "work/plan.json", Shards: 2, Parts: 5}, nil
	})
	wire(r, monitors.DriftShard, &w.shard, func(in activities.DriftShard) (activities.DriftProfiled, error) {
		return activities.DriftProfiled{Key: fmt.Sprintf("work/shard-%d.json", in.Shard), Rows: 2500}, nil
	})
	wire(r, monitors.DriftTarget, &w.target, func(activities.DriftPlan) (activities.DriftProfiled, error) {
		return activities.DriftProfiled{Note: "target not compared"}, nil
	})
	wire(r, monitors.DriftJudge, &w.judged, func(in activities.DriftJudgement) (activities.DriftOutput, error) {
		return activities.DriftOutput{Model: in.Plan.Model, Champion: in.Plan.Champion, End: in.Plan.End, Rows: 5000, Recent: append(in.Recent, false)}, nil
	})
	wire(r, monitors.Quality, &w.quality, func(in activities.QualityInput) (activities.QualityOutput, error) {
		return activities.QualityOutput{Model: in.Model, Champion: 1, End: in.End, Metric: "f1", Observed: 0.8, Baseline: 0.8, Limit: 0.76}, nil
	})
	wire(r, fleet.Look, &w.look, func(activities.LookInput) (activities.LookOutput, error) {
		return activities.LookOutput{Taken: true}, nil
	})
	wire(r, messenger.Send, &w.send, func(in activities.MessageInput) (activities.MessageOutput, error) {
		if in.Replace != nil {
			return activities.MessageOutput{Ref: *in.Replace}, nil
		}
		return activities.MessageOutput{Ref: notify.Ref{Provider: "chat", ID: fmt.Sprintf("%s-%d", in.Kind, in.Round)}}, nil
	})
}

// usual is what a spec with two approvers and a canary of two steps says.
func usual() activities.RunSettings {
	return activities.RunSettings{
		Retries:      spec.Retries{Script: 1, Infrastructure: 2, Preemption: 3},
		TrainTimeout: time.Hour,
		Placement:    &activities.Placement{Priority: spec.DefaultPriority},
		Approval:     spec.Approval{Approvers: []string{ana, ben}, Quorum: 1, FourEyes: true, Timeout: hours(72), OnTimeout: "reject"},
		Canary: spec.Canary{
			Steps:    []spec.Step{{Weight: 0.1, Hold: hours(1), MinRequests: 100}, {Weight: 0.5, Hold: hours(1), MinRequests: 100}},
			Interval: spec.Duration(10 * time.Minute), Deadline: hours(6), OnFailure: "rollback", MaxErrorRate: 0.01, MaxSlowdown: 2,
		},
	}
}

// searching is usual with a search of twelve trials, three at once.
func searching() activities.RunSettings {
	s := usual()
	s.Search = &spec.Search{
		Space:   space.Space{"eta": {Log: []float64{0.001, 1}}, "booster": {Choice: []any{"tree", "dart"}}},
		Sampler: search.TPE, Trials: 12, Parallel: 3, Metric: spec.SearchMetric{Name: "log_loss", Goal: "minimize"},
		Timeout: hours(6), Seed: 42, Best: spec.BestReuse,
	}
	return s
}

// tried is what comes of a trial: a loss that is least at eta 0.1.
func tried(in activities.TrainInput) activities.TrialOutput {
	return activities.TrialOutput{State: search.Complete, Value: math.Abs(math.Log10(in.Params["eta"].(float64)) + 1), Step: 10, Cost: 0.5}
}

func hours(n int) spec.Duration { return spec.Duration(time.Duration(n) * time.Hour) }

// planAll takes every trigger into one run that trains.
func (w *world) planAll(in activities.PlanInput) (activities.PlanOutput, error) {
	run := activities.LifecycleInput{Model: in.Model, Spec: theSpec, Team: "ops", Train: true, Triggers: in.Triggers, Why: "asked for"}
	for _, t := range in.Triggers {
		if t.Object != nil {
			run.Objects = append(run.Objects, *t.Object)
		}
		if t.Kind == activities.TriggerPerson {
			run.RequestedBy = t.Actor
		}
	}
	return activities.PlanOutput{Run: &run, Month: "2026-01"}, nil
}

// judge lets the challenger pass, beside the champion of now.
func (w *world) judge(activities.EvaluateInput) (activities.EvaluateOutput, error) {
	return activities.EvaluateOutput{Summary: activities.EvaluateSummary{
		Verdict:    evaluation.Verdict{Outcome: evaluation.Pass},
		Metrics:    evaluation.Values{"roc_auc": 0.71},
		JudgedRows: 600, Champion: w.champion, Epoch: w.epoch,
	}}, nil
}

// failed is a gate's verdict that fails.
func failed() evaluation.Verdict {
	return evaluation.Verdict{Outcome: evaluation.Fail, Reasons: []evaluation.Reason{
		{Gate: "f1.min", Outcome: evaluation.Fail, Observed: 0.61, Limit: 0.7, Message: "gate f1.min: observed 0.6100 < 0.7"},
	}}
}

// enter grants version 2, with evidence that each evaluation changes.
func (w *world) enter(in activities.RegisterInput) (activities.RegisterOutput, error) {
	w.rounds++
	s := in.Evaluate.Summary
	e := approval.Evidence{Model: in.Model, Snapshot: in.Snapshot.Digest, Champion: s.Champion, Epoch: s.Epoch}
	return activities.RegisterOutput{Version: 2, Seq: 4, Evidence: activities.Evidence{Version: 2, Of: e, Digest: evidence(w.rounds)}}, nil
}

// evidence is the digest of a run's n-th evaluation.
func evidence(n int) string { return fmt.Sprintf("evidence-%d", n) }

// healthy is traffic in which both arms do equally well: a thousand requests a second each.
func healthy(in activities.MeasureInput) canary.Measurement {
	seconds := int64(in.Now.Sub(in.State.StepSince) / time.Second)
	arm := canary.Arm{Requests: 1000 * seconds, LatencyP50: 0.001, LatencyP95: 0.002, LatencyP99: 0.003}
	return canary.Measurement{From: in.State.StepSince, To: in.Now, Champion: arm, Challenger: arm}
}

// failing is healthy with a challenger of which every second answer is an error.
func failing(in activities.MeasureInput) canary.Measurement {
	m := healthy(in)
	m.Challenger.Errors = m.Challenger.Requests / 2
	return m
}

// silent is a metrics store that says nothing.
func silent(in activities.MeasureInput) canary.Measurement {
	return canary.Measurement{From: in.State.StepSince, To: in.Now, Stale: true, Problem: "the metrics store is away"}
}

// object is a landed file.
func object(key string) *activities.Object {
	return &activities.Object{Bucket: "lake", Key: key, ETag: "etag-" + key, Size: 100}
}

// landed is the trigger of a landed file.
func landed(key string) activities.Trigger {
	return activities.Trigger{Kind: activities.TriggerData, Object: object(key), Via: "intake"}
}

// decision is a person's, over a run's n-th evaluation.
func decision(kind, actor string, n int) approval.Decision {
	return approval.Decision{ID: fmt.Sprintf("%s-%s-%d", kind, actor, n), Kind: kind, Actor: actor, Via: "cli", Evidence: evidence(n), Reason: "looks right"}
}
