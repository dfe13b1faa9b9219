package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

// entity is Model with lifecycles that only take their time.
type entity struct {
	*stage
	takes     time.Duration
	ends      func(activities.LifecycleInput) (activities.LifecycleResult, error)
	inputs    []activities.LifecycleInput
	begun     []time.Duration // after start
	open      int
	most      int // runs open at once
	cancelled int
}

func newEntity(t *testing.T) *entity {
	e := &entity{stage: newStage(t, workflows.ModelID(theModel)), takes: time.Hour}
	e.ends = func(in activities.LifecycleInput) (activities.LifecycleResult, error) {
		return e.result(in, activities.Promoted), nil
	}
	e.RegisterWorkflowWithOptions(workflows.Model, workflow.RegisterOptions{Name: workflows.TypeModel})
	e.RegisterWorkflowWithOptions(e.run, workflow.RegisterOptions{Name: workflows.TypeLifecycle})
	return e
}

// run stands for Lifecycle.
func (e *entity) run(ctx workflow.Context, in activities.LifecycleInput) (activities.LifecycleResult, error) {
	e.inputs = append(e.inputs, in)
	e.begun = append(e.begun, workflow.Now(ctx).Sub(start).Round(time.Minute))
	e.open++
	e.most = max(e.most, e.open)
	defer func() { e.open-- }()
	if err := workflow.Sleep(ctx, e.takes); err != nil {
		e.cancelled++
		return activities.LifecycleResult{}, err
	}
	return e.ends(in)
}

func (e *entity) result(in activities.LifecycleInput, outcome string) activities.LifecycleResult {
	r := activities.LifecycleResult{
		ID: workflows.LifecycleID(theModel, in.Number), Number: in.Number, Outcome: outcome, Trained: true, Cost: 2,
		Trigger: activities.TriggerData, Started: e.Now(), Ended: e.Now(),
	}
	if len(in.Triggers) > 0 {
		r.Trigger = in.Triggers[0].Kind
	}
	for _, o := range in.Objects {
		r.Files = append(r.Files, o.Key)
	}
	return r
}

func (e *entity) signals(d time.Duration, t activities.Trigger) {
	e.after(d, func() { e.SignalWorkflow(workflows.SignalTrigger, t) })
}

func (e *entity) submits(d time.Duration, t activities.Trigger) *answer {
	return e.update(d, workflows.UpdateSubmit, fmt.Sprintf("%s at %s", t.Key, d), t)
}

// model lives until the moment, or until it continues as new, and gives its last state.
func (e *entity) model(in workflows.ModelInput, until time.Duration) (workflows.ModelState, error) {
	e.t.Helper()
	var state workflows.ModelState
	e.after(until-time.Second, func() { state = query[workflows.ModelState](e.stage) })
	e.after(until, e.CancelWorkflow)
	e.ExecuteWorkflow(workflows.Model, in)
	if !e.IsWorkflowCompleted() {
		e.t.Fatal("the entity didn't end")
	}
	return state, e.GetWorkflowError()
}

// lives is model that must live until then.
func (e *entity) lives(until time.Duration) workflows.ModelState {
	e.t.Helper()
	state, err := e.model(workflows.ModelInput{Model: theModel}, until)
	if !temporal.IsCanceledError(err) {
		e.t.Fatalf("the entity ended by %v", err)
	}
	return state
}

// files are the keys of the objects of each run.
func (e *entity) files() []string {
	var out []string
	for _, in := range e.inputs {
		var keys string
		for _, o := range in.Objects {
			keys += o.Key + " "
		}
		out = append(out, fmt.Sprintf("%d: %s", in.Number, keys))
	}
	return out
}

func person(key string) activities.Trigger {
	return activities.Trigger{Kind: activities.TriggerPerson, Key: key, Actor: ana, Via: "cli"}
}

func drifted(key string) activities.Trigger {
	return activities.Trigger{Kind: activities.TriggerDrift, Key: key, Via: "schedule", Reason: "2 features drifted"}
}

func TestTriggersOfTheSameThingAreOneRun(t *testing.T) {
	newer := landed("a")
	newer.Object.ETag = "other bytes"
	versioned := landed("a")
	versioned.Object.VersionID = "v2"
	for _, c := range []struct {
		name  string
		first activities.Trigger
		again activities.Trigger
		runs  int
	}{
		{"a file that is told of twice", landed("a"), landed("a"), 1},
		{"whatever key the events bear", landed("a"), activities.Trigger{Kind: activities.TriggerData, Key: "other", Object: object("a")}, 1},
		{"a click that comes twice", person("click"), person("click"), 1},
		{"other bytes at the same place are another file", landed("a"), newer, 2},
		{"another version at the same place is another file", landed("a"), versioned, 2},
		{"another click is another wish", person("click"), person("click 2"), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEntity(t)
			e.signals(time.Minute, c.first)
			e.signals(10*time.Minute, c.again) // while the run is open
			e.signals(5*time.Hour, c.again)    // and after it
			e.lives(10 * time.Hour)
			want(t, "runs", len(e.inputs), c.runs)
		})
	}
}

func TestAFileWhoseRunBrokeOffIsHeardOfAgain(t *testing.T) {
	for _, c := range []struct {
		outcome string
		runs    int
	}{{activities.Failed, 2}, {activities.Cancelled, 2}, {activities.Superseded, 2}, {activities.ValidationFailed, 1}, {activities.Rejected, 1}} {
		t.Run(c.outcome, func(t *testing.T) {
			t.Parallel()
			e := newEntity(t)
			e.ends = func(in activities.LifecycleInput) (activities.LifecycleResult, error) {
				return e.result(in, c.outcome), nil
			}
			e.signals(time.Minute, landed("a"))
			e.signals(10*time.Minute, landed("a")) // while the run is open: it is the run's
			e.signals(5*time.Hour, landed("a"))
			e.lives(10 * time.Hour)
			want(t, "runs", len(e.inputs), c.runs)
		})
	}
}

func TestAMonitorThatGoesOnAlertingIsOneTrigger(t *testing.T) {
	e := newEntity(t)
	e.takes = 5 * time.Hour
	e.signals(time.Minute, landed("jan"))
	for i := range 3 { // while the run is open
		alert := drifted(fmt.Sprint(i))
		alert.Champion = 1
		e.signals(time.Duration(i+1)*time.Hour, alert)
	}
	e.lives(20 * time.Hour)
	want(t, "runs", len(e.inputs), 2)
	want(t, "triggers of the second", len(e.inputs[1].Triggers), 1)
	want(t, "key of it", e.inputs[1].Triggers[0].Key, "2")
}

func TestFilesThatLandTogetherAreOneRun(t *testing.T) {
	e := newEntity(t)
	for i := range 3 {
		e.signals(time.Minute+time.Duration(i)*500*time.Millisecond, landed(fmt.Sprint("f", i)))
	}
	e.lives(10 * time.Hour)
	wantAll(t, "runs", e.files(), "1: f0 f1 f2 ")
}

func TestOneRunAtATime(t *testing.T) {
	e := newEntity(t)
	e.signals(time.Minute, landed("jan"))
	e.signals(10*time.Minute, landed("feb"))
	e.signals(20*time.Minute, landed("mar"))
	e.submits(30*time.Minute, person("now"))
	e.signals(3*time.Hour, landed("apr"))
	state := e.lives(10 * time.Hour)
	wantAll(t, "runs", e.files(), "1: jan ", "2: feb mar ", "3: apr ")
	want(t, "open at once", e.most, 1)
	wantAll(t, "begun", e.begun, time.Minute, 61*time.Minute, 3*time.Hour)
	want(t, "who asked for the second", e.inputs[1].RequestedBy, ana)
	want(t, "next number", state.NextRun, 4)
	want(t, "open", state.Open, nil)
	want(t, "triggers taken", len(state.Taken), 5)
	want(t, "last", state.LastResult.Number, 3)
}

func TestManyFilesMakeSeveralRuns(t *testing.T) {
	e := newEntity(t)
	for batch := range 3 {
		e.after(time.Minute+time.Duration(batch)*300*time.Millisecond, func() {
			for i := range 400 {
				e.SignalWorkflow(workflows.SignalTrigger, landed(fmt.Sprintf("f%d-%d", batch, i)))
			}
		})
	}
	e.lives(10 * time.Hour)
	want(t, "runs", len(e.inputs), 3)
	want(t, "files of the first", len(e.inputs[0].Objects), 500)
	want(t, "files of the last", len(e.inputs[2].Objects), 200)
}

// defers lets files in at once, but their training only after until, as in a cooldown.
func (e *entity) defers(until time.Time) {
	later := activities.Trigger{Kind: activities.TriggerData, Key: "deferred", Reason: "new data in a cooldown"}
	e.world.plan.do = func(in activities.PlanInput) (activities.PlanOutput, error) {
		out, err := e.world.planAll(in)
		forced := false
		for _, t := range in.Triggers {
			forced = forced || t.Kind == activities.TriggerPerson
		}
		if !e.Now().Before(until) || forced {
			return out, err
		}
		out.Run.Train, out.Later, out.Until = false, []activities.Trigger{later}, until
		if len(out.Run.Objects) == 0 {
			out.Run = nil
		}
		return out, err
	}
}

func TestWhatIsDeferredRunsLaterByItself(t *testing.T) {
	e := newEntity(t)
	e.defers(start.Add(24 * time.Hour))
	e.signals(time.Minute, landed("jan"))
	e.after(6*time.Hour, func() {
		state := query[workflows.ModelState](e.stage)
		want(t, "waiting", len(state.Pending), 1)
		want(t, "until", state.DeferUntil, start.Add(24*time.Hour))
	})
	e.lives(48 * time.Hour)
	want(t, "runs", len(e.inputs), 2)
	want(t, "the first trains", e.inputs[0].Train, false)
	want(t, "the second trains", e.inputs[1].Train, true)
	want(t, "the second begins", e.begun[1], 24*time.Hour)
	// Once when it lands, once when that run has ended, once when the time has come.
	want(t, "plans", len(e.world.plan.calls()), 3)
}

func TestADeferralThatIsOverAlreadyDoesntSpin(t *testing.T) {
	e := newEntity(t)
	calls, last := 0, time.Time{}
	e.world.plan.do = func(in activities.PlanInput) (activities.PlanOutput, error) {
		if e.Now().Sub(last) < time.Second {
			t.Errorf("asked again after %s", e.Now().Sub(last))
		}
		last = e.Now()
		if calls++; calls <= 3 { // a planner whose clock is behind
			return activities.PlanOutput{Later: in.Triggers, Until: e.Now().Add(-time.Minute)}, nil
		}
		return e.world.planAll(in)
	}
	e.signals(time.Minute, person("now"))
	e.lives(time.Hour)
	want(t, "runs", len(e.inputs), 1)
	want(t, "plans", calls, 4)
}

func TestAMonitorThatBroughtNothingIsMutedUntilAFile(t *testing.T) {
	for _, c := range []struct {
		outcome string
		muted   bool
	}{
		{activities.GateFailed, true}, {activities.Rejected, true}, {activities.RolledBack, true}, {activities.TimedOut, true},
		{activities.Unchanged, true}, {activities.Failed, true},
		{activities.Promoted, false}, {activities.Cancelled, false}, {activities.Superseded, false},
	} {
		t.Run(c.outcome, func(t *testing.T) {
			t.Parallel()
			e := newEntity(t)
			e.ends = func(in activities.LifecycleInput) (activities.LifecycleResult, error) {
				if in.Triggers[0].Kind == activities.TriggerDrift {
					return e.result(in, c.outcome), nil
				}
				return e.result(in, activities.Promoted), nil
			}
			e.signals(time.Minute, drifted("1"))
			e.signals(2*time.Hour, drifted("2"))
			e.signals(4*time.Hour, landed("jan"))
			e.signals(6*time.Hour, drifted("3"))
			e.lives(7 * time.Hour)
			plans := e.world.plan.calls()
			want(t, "muted at the second alert", len(plans[1].Muted) == 1 && plans[1].Muted[0] == activities.TriggerDrift, c.muted)
			want(t, "muted after the file", len(plans[3].Muted), 0)
		})
	}
	t.Run("a refused file unmutes nothing", func(t *testing.T) {
		e := newEntity(t)
		e.ends = func(in activities.LifecycleInput) (activities.LifecycleResult, error) {
			r := e.result(in, activities.GateFailed)
			r.Files = nil
			return r, nil
		}
		e.signals(time.Minute, drifted("1"))
		e.signals(2*time.Hour, landed("bad"))
		want(t, "muted", len(e.lives(4*time.Hour).Muted), 1)
	})
}

func TestThePlannerKnowsWhenAndForHowMuchWasTrained(t *testing.T) {
	e := newEntity(t)
	e.signals(time.Minute, landed("jan"))
	e.signals(2*time.Hour, landed("feb"))
	e.signals(4*time.Hour, landed("mar"))
	e.signals(17*24*time.Hour, landed("apr")) // in another month
	state := e.lives(18 * 24 * time.Hour)
	plans := e.world.plan.calls()
	want(t, "first: spent", plans[0].Spent, 0)
	want(t, "first: trained", plans[0].LastTrain.IsZero(), true)
	want(t, "third: spent", plans[2].Spent, 4)
	e.wantTime("third: trained", plans[2].LastTrain.Sub(start), 3*time.Hour, time.Minute)
	want(t, "fourth: spent", plans[3].Spent, 0)
	want(t, "spent in March", state.Spent["2026-03"], 6)
	want(t, "spent in April", state.Spent["2026-04"], 2)
}

func TestAPlanThatFailsIsMadeAgain(t *testing.T) {
	e := newEntity(t)
	e.world.plan.fails(2, temporal.NewNonRetryableApplicationError("retrain.cron: 6 fields", activities.ErrorSpec, nil))
	e.signals(time.Minute, landed("jan"))
	a := e.submits(2*time.Minute, person("now"))
	e.after(3*time.Minute, func() {
		wantText(t, "note", query[workflows.ModelState](e.stage).Note, "retrain.cron: 6 fields")
		want(t, "answered", a.done, true)
	})
	e.lives(10 * time.Hour)
	wantAll(t, "runs", e.files(), "1: jan ")
	want(t, "triggers of it", len(e.inputs[0].Triggers), 2)
	wantText(t, "note of the answer", a.result.(workflows.Submitted).Note, "retrain.cron: 6 fields")
}
