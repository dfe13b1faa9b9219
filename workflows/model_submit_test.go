package workflows_test

import (
	"testing"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func TestSubmit(t *testing.T) {
	answered := func(t *testing.T, a *answer) workflows.Submitted {
		t.Helper()
		if !a.done || a.refusal() != nil {
			t.Fatalf("answered %t with %v", a.done, a.refusal())
		}
		out, ok := a.result.(workflows.Submitted)
		if !ok {
			t.Fatalf("answered with %T", a.result)
		}
		return out
	}
	t.Run("answers with the run that takes it", func(t *testing.T) {
		e := newEntity(t)
		a := e.submits(time.Minute, person("now"))
		e.after(2*time.Minute, func() { want(t, "answered while the run is open", a.done, true) })
		e.lives(10 * time.Hour)
		want(t, "run", answered(t, a).Lifecycle, workflows.LifecycleID(theModel, 1))
		want(t, "queued", answered(t, a).Queued, 0)
	})
	t.Run("answers at once behind an open run", func(t *testing.T) {
		e := newEntity(t)
		e.signals(time.Minute, landed("jan"))
		a := e.submits(10*time.Minute, person("now"))
		e.after(11*time.Minute, func() { want(t, "answered at once", a.done, true) })
		e.lives(10 * time.Hour)
		want(t, "run", answered(t, a).Lifecycle, "")
		want(t, "queued", answered(t, a).Queued, 1)
		want(t, "runs", len(e.inputs), 2)
	})
	t.Run("answers a repetition with the first one's run", func(t *testing.T) {
		e := newEntity(t)
		e.signals(time.Minute, landed("jan"))
		again := landed("jan")
		again.Kind, again.Actor = activities.TriggerPerson, ana
		a := e.submits(5*time.Hour, again)
		e.lives(10 * time.Hour)
		want(t, "run", answered(t, a).Lifecycle, workflows.LifecycleID(theModel, 1))
		want(t, "duplicate", answered(t, a).Duplicate, true)
		want(t, "runs", len(e.inputs), 1)
	})
	t.Run("what is forced runs again", func(t *testing.T) {
		e := newEntity(t)
		e.signals(time.Minute, landed("jan"))
		again := landed("jan")
		again.Kind, again.Actor, again.Force = activities.TriggerPerson, ana, true
		a := e.submits(5*time.Hour, again)
		e.lives(10 * time.Hour)
		want(t, "run", answered(t, a).Lifecycle, workflows.LifecycleID(theModel, 2))
		want(t, "duplicate", answered(t, a).Duplicate, false)
	})
	t.Run("answers why nothing runs", func(t *testing.T) {
		e := newEntity(t)
		e.world.plan.answers(activities.PlanOutput{Dropped: "no spec is applied"})
		a := e.submits(time.Minute, person("now"))
		e.lives(10 * time.Hour)
		want(t, "run", answered(t, a).Lifecycle, "")
		want(t, "note", answered(t, a).Note, "no spec is applied")
		want(t, "runs", len(e.inputs), 0)
	})
	t.Run("wakes what was deferred", func(t *testing.T) {
		e := newEntity(t)
		e.defers(start.Add(24 * time.Hour))
		e.signals(time.Minute, landed("jan"))
		a := e.submits(6*time.Hour, person("now"))
		e.lives(12 * time.Hour)
		want(t, "run", answered(t, a).Lifecycle, workflows.LifecycleID(theModel, 2))
	})
	t.Run("an event's place is taken by the person who submits its file", func(t *testing.T) {
		e := newEntity(t)
		own := landed("jan")
		own.Kind, own.Actor = activities.TriggerPerson, ben
		e.signals(time.Minute, landed("jan"))
		e.submits(time.Minute+time.Second, own)
		e.lives(10 * time.Hour)
		wantAll(t, "runs", e.files(), "1: jan ")
		want(t, "who asked", e.inputs[0].RequestedBy, ben)
	})
	t.Run("a person who comes while the plan is made isn't lost", func(t *testing.T) {
		e := newEntity(t)
		own := landed("jan")
		own.Kind, own.Actor = activities.TriggerPerson, ben
		e.world.plan.do = func(in activities.PlanInput) (activities.PlanOutput, error) {
			if len(e.world.plan.calls()) == 1 {
				e.SignalWorkflow(workflows.SignalTrigger, own)
				time.Sleep(20 * time.Millisecond) // the signal is there before the plan is
			}
			return e.world.planAll(in)
		}
		e.signals(time.Minute, landed("jan"))
		e.lives(10 * time.Hour)
		want(t, "runs", len(e.inputs), 2)
		want(t, "who asked for the second", e.inputs[1].RequestedBy, ben)
	})
	for name, bad := range map[string]activities.Trigger{
		"without a kind is refused":             {Key: "k"},
		"of nothing is refused":                 {Kind: activities.TriggerData},
		"of a person without a name is refused": {Kind: activities.TriggerPerson, Key: "k"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEntity(t)
			a := e.submits(time.Minute, bad)
			e.signals(2*time.Minute, bad)
			e.lives(time.Hour)
			wantError(t, a.rejected, workflows.ErrorInvalid, "")
			want(t, "runs", len(e.inputs), 0)
		})
	}
}
