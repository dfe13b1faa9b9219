package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// Model is a model's entity workflow: one per model, for ever. It takes triggers, drops those it has seen, coalesces
// the rest, holds cooldown and budget, numbers runs, and runs one lifecycle at a time. Nothing but its own cancellation
// ends it: what can't be done now is noted and done later.
func Model(ctx workflow.Context, in ModelInput) error {
	m := newModel(in)
	if err := m.handle(ctx); err != nil {
		return err
	}
	if err := m.recover(ctx); err != nil {
		return err
	}
	for {
		if err := m.wait(ctx); err != nil {
			return err
		}
		switch {
		case m.finished != nil:
			m.close(ctx)
		case m.due(ctx):
			if err := m.next(ctx); err != nil {
				return err
			}
		case m.full(ctx):
			return m.continueAsNew(ctx)
		}
		m.describe(ctx)
	}
}

// model is the entity's state: what is carried over, and what belongs to this execution.
type model struct {
	in       ModelInput
	state    ModelState
	fresh    bool      // triggers arrived that no plan has seen
	planning bool      // a plan is being made and carried out
	runs     int       // started by this execution
	finished *Finished // of the open run, once it has ended
}

func newModel(in ModelInput) *model {
	m := &model{in: in, state: ModelState{Model: in.Model, NextRun: 1}}
	if in.State != nil {
		m.state = *in.State
	}
	if m.in.RunsPerExecution <= 0 {
		m.in.RunsPerExecution = runsPerModel
	}
	m.fresh = len(m.state.Pending) > 0 && m.state.DeferUntil.IsZero()
	return m
}

func (m *model) handle(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (ModelState, error) { return m.state, nil }); err != nil {
		return err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateSubmit, m.submit, workflow.UpdateHandlerOptions{
		Description: "start a run, or queue it behind the open one",
		Validator:   func(_ workflow.Context, t activities.Trigger) error { return m.check(t) },
	})
	if err != nil {
		return err
	}
	triggers := workflow.GetSignalChannelWithOptions(ctx, SignalTrigger, workflow.SignalChannelOptions{Description: "a reason for a run"})
	listen(ctx, triggers, m.takeSignal)
	ended := workflow.GetSignalChannelWithOptions(ctx, SignalFinished, workflow.SignalChannelOptions{Description: "a run has ended"})
	listen(ctx, ended, func(_ workflow.Context, f Finished) { m.end(f) })
	return nil
}

// check refuses a trigger that says nothing sensible, or that finds no room.
func (m *model) check(t activities.Trigger) error {
	switch {
	case t.Kind == "" || (t.Key == "" && t.Object == nil):
		return temporal.NewApplicationError("a trigger needs a kind and a key or an object", ErrorInvalid)
	case t.Kind == activities.TriggerPerson && t.Actor == "":
		return temporal.NewApplicationError("a person's trigger needs an actor", ErrorInvalid)
	case t.Resume != nil && (t.Kind != activities.TriggerPerson || t.Object != nil || t.Import != nil):
		return temporal.NewApplicationError("a run is resumed by a person, apart from data", ErrorInvalid)
	case t.Import != nil && (t.Kind != activities.TriggerPerson || t.Object != nil):
		return temporal.NewApplicationError("a model is imported by a person, apart from data", ErrorInvalid)
	case len(m.state.Pending) >= maxPending:
		return temporal.NewApplicationError(fmt.Sprintf("%d triggers wait, the limit is %d", len(m.state.Pending), maxPending), ErrorRefused)
	}
	return nil
}

func (m *model) takeSignal(ctx workflow.Context, t activities.Trigger) {
	if err := m.check(t); err != nil {
		workflow.GetLogger(ctx).Warn("trigger dropped", "model", m.in.Model, "kind", t.Kind, "key", t.Key, "error", err)
		return
	}
	m.take(t)
	m.describe(ctx)
}

// take queues a trigger unless one with its key was taken before; it returns the key. A person who submits a file that
// an event told of already takes the event's place, so that the run knows who asked. What a person forces is taken
// again.
func (m *model) take(t activities.Trigger) (key string, duplicate bool) {
	if t.Object != nil {
		t.Key = t.Object.Identity()
	}
	if i := indexOf(m.state.Pending, t.Key); i >= 0 {
		waits := &m.state.Pending[i]
		if waits.Kind != activities.TriggerPerson && t.Kind == activities.TriggerPerson {
			*waits = t
		}
		waits.Force, waits.NoCache = waits.Force || t.Force, waits.NoCache || t.NoCache
		return t.Key, true
	}
	if _, taken := m.answered(t.Key); taken && !t.Force {
		return t.Key, true
	}
	if t.Champion != 0 {
		// A monitor that goes on alerting while its trigger waits says nothing new: its newest word stands.
		m.state.Pending = slices.DeleteFunc(m.state.Pending, func(p activities.Trigger) bool { return p.Kind == t.Kind && p.Object == nil })
	}
	m.state.Pending = append(m.state.Pending, t)
	m.fresh = true
	return t.Key, false
}

func indexOf(triggers []activities.Trigger, key string) int {
	return slices.IndexFunc(triggers, func(t activities.Trigger) bool { return t.Key == key })
}

// answered is the last answer to triggers of this key; a trigger that waits isn't answered.
func (m *model) answered(key string) (Taken, bool) {
	if indexOf(m.state.Pending, key) >= 0 {
		return Taken{}, false
	}
	for _, t := range slices.Backward(m.state.Taken) {
		if t.Key == key {
			return t, true
		}
	}
	return Taken{}, false
}

// submit answers with the run that takes the trigger, as soon as it is known; behind an open run it says so at once.
func (m *model) submit(ctx workflow.Context, t activities.Trigger) (Submitted, error) {
	key, duplicate := m.take(t)
	m.describe(ctx)
	_, err := workflow.AwaitWithTimeout(ctx, submitWithin, func() bool {
		_, known := m.answered(key)
		return known || (!m.planning && (m.state.Open != nil || !m.fresh))
	})
	if err != nil {
		return Submitted{}, err
	}
	s := Submitted{Queued: len(m.state.Pending), Duplicate: duplicate}
	answer, known := m.answered(key)
	s.Lifecycle = answer.Lifecycle
	if s.Lifecycle == "" && (known || m.state.Open == nil) {
		s.Note = m.state.Note
	}
	return s, nil
}

// wait blocks until the open run has ended, a run is due, or this execution has lasted long enough.
func (m *model) wait(ctx workflow.Context) error {
	ready := func() bool { return m.finished != nil || m.due(ctx) || m.full(ctx) }
	if m.state.Open == nil && !m.state.DeferUntil.IsZero() && len(m.state.Pending) > 0 {
		_, err := waitAtMost(ctx, m.state.DeferUntil.Sub(workflow.Now(ctx)), "the end of a cooldown", ready)
		return err
	}
	return workflow.Await(ctx, ready)
}

func (m *model) due(ctx workflow.Context) bool {
	if m.state.Open != nil || len(m.state.Pending) == 0 {
		return false
	}
	return m.fresh || (!m.state.DeferUntil.IsZero() && !workflow.Now(ctx).Before(m.state.DeferUntil))
}

// full says that it is time to continue as new. A run that this execution started holds it up, since its end would be
// told to an execution that is gone; one that is only looked after doesn't: the next execution looks after it.
func (m *model) full(ctx workflow.Context) bool {
	long := m.runs >= m.in.RunsPerExecution || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
	idle := m.state.Open == nil && !m.fresh
	watched := m.state.Open != nil && m.state.Open.Adopted
	return long && (idle || watched) && m.finished == nil && workflow.AllHandlersFinished(ctx)
}

// next asks the planner about everything that waits and starts the run it answers with, if any.
func (m *model) next(ctx workflow.Context) error {
	m.planning = true
	defer func() { m.planning = false }()
	person := slices.ContainsFunc(m.state.Pending, func(t activities.Trigger) bool { return t.Kind == activities.TriggerPerson })
	if !person {
		if err := workflow.Sleep(ctx, gather); err != nil {
			return err
		}
	}
	asked := slices.Clone(m.state.Pending[:min(len(m.state.Pending), triggersPerRun)])
	m.fresh, m.state.DeferUntil = false, time.Time{}
	month := workflow.Now(ctx).UTC().Format(monthName)
	plan, err := call(ctx, patient(), planner.Plan, activities.PlanInput{
		Model: m.in.Model, Triggers: asked, Muted: m.state.Muted, LastTrain: m.state.LastTrain, Spent: m.state.Spent[month],
	})
	run := ""
	if err == nil && plan.Run != nil {
		run, err = m.start(ctx, *plan.Run)
	}
	if err != nil {
		m.state.Note = "no run could be planned, it is tried again: " + reason(err)
		m.state.DeferUntil = workflow.Now(ctx).Add(planAgain)
		return ctx.Err()
	}
	m.state.Note = plan.Dropped
	m.answer(ctx, asked, plan, run)
	return nil
}

// answer moves the triggers that were asked about from pending to taken, but those the planner keeps for later.
func (m *model) answer(ctx workflow.Context, asked []activities.Trigger, plan activities.PlanOutput, run string) {
	for _, t := range asked {
		if indexOf(plan.Later, t.Key) < 0 {
			m.state.Taken = append(m.state.Taken, Taken{Key: t.Key, Lifecycle: run})
		}
	}
	m.state.Taken = m.state.Taken[max(0, len(m.state.Taken)-recentTriggers):]
	// What came meanwhile: new triggers, and a person in the place of an event that was asked about.
	arrived := slices.DeleteFunc(slices.Clone(m.state.Pending), func(t activities.Trigger) bool {
		i := indexOf(asked, t.Key)
		return i >= 0 && asked[i].Kind == t.Kind && asked[i].Force == t.Force
	})
	m.state.Pending = append(slices.Clone(plan.Later), arrived...)
	m.fresh = len(arrived) > 0
	if len(plan.Later) > 0 {
		// Planners' clocks may be ahead of this one; a moment at least, so that they are never asked in a circle.
		m.state.DeferUntil = latest(plan.Until, workflow.Now(ctx).Add(time.Second))
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// continueAsNew carries the state over, after every signal that is buffered has been taken.
func (m *model) continueAsNew(ctx workflow.Context) error {
	drain(ctx, workflow.GetSignalChannel(ctx, SignalTrigger), m.takeSignal)
	if m.fresh {
		m.state.DeferUntil = time.Time{} // what has just come doesn't wait with what was deferred
	}
	return workflow.NewContinueAsNewError(ctx, Model, ModelInput{Model: m.in.Model, State: &m.state, RunsPerExecution: m.in.RunsPerExecution})
}

func (m *model) describe(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, renderModel(m.state))
}
