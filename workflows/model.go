package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// gather is how long files that land together are waited for before a run takes them all.
const gather = 2 * time.Second

// Model is a model's entity workflow: one per model, for ever. It takes triggers, drops those it has seen, coalesces
// the rest, holds cooldown and budget, numbers runs, and runs one lifecycle at a time.
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
		case m.state.Open != nil: // ended by now
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
	fresh    bool // triggers arrived that no plan has seen
	runs     int
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
	m.fresh = len(m.state.Pending) > 0
	return m
}

func (m *model) handle(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (ModelState, error) { return m.state, nil }); err != nil {
		return err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateSubmit, m.submit, workflow.UpdateHandlerOptions{
		Description: "start a run, or queue it behind the open one",
		Validator: func(_ workflow.Context, t activities.Trigger) error {
			if t.Kind == "" || (t.Key == "" && t.Object == nil) {
				return temporal.NewApplicationError("a trigger needs a kind and a key or an object", ErrorInvalid)
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	triggers := workflow.GetSignalChannel(ctx, SignalTrigger)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var t activities.Trigger
			if !triggers.Receive(ctx, &t) {
				return
			}
			m.take(t)
			m.describe(ctx)
		}
	})
	ended := workflow.GetSignalChannel(ctx, SignalFinished)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var f Finished
			if !ended.Receive(ctx, &f) {
				return
			}
			m.end(f)
		}
	})
	return nil
}

// take queues a trigger unless one with its key was taken before; it returns the key. A person who submits a file that
// an event told of already takes the event's place, so that the run knows who asked.
func (m *model) take(t activities.Trigger) (key string, duplicate bool) {
	if t.Object != nil {
		t.Key = t.Object.Identity()
	}
	if i := slices.IndexFunc(m.state.Pending, func(p activities.Trigger) bool { return p.Key == t.Key }); i >= 0 {
		if t.Kind == activities.TriggerPerson {
			m.state.Pending[i] = t
		}
		return t.Key, true
	}
	if slices.ContainsFunc(m.state.Taken, func(k Taken) bool { return k.Key == t.Key }) {
		return t.Key, true
	}
	m.state.Pending = append(m.state.Pending, t)
	m.fresh = true
	return t.Key, false
}

// submit answers with the run that takes the trigger, as soon as it is known; behind an open run it says so at once.
func (m *model) submit(ctx workflow.Context, t activities.Trigger) (Submitted, error) {
	key, duplicate := m.take(t)
	m.describe(ctx)
	answered := func() (Taken, bool) {
		i := slices.IndexFunc(m.state.Taken, func(k Taken) bool { return k.Key == key })
		if i < 0 {
			return Taken{}, false
		}
		return m.state.Taken[i], true
	}
	_, err := workflow.AwaitWithTimeout(ctx, time.Minute, func() bool {
		_, ok := answered()
		return ok || m.state.Open != nil || !m.state.DeferUntil.IsZero()
	})
	if err != nil {
		return Submitted{}, err
	}
	s := Submitted{Queued: len(m.state.Pending), Duplicate: duplicate}
	if k, ok := answered(); ok {
		s.Lifecycle = k.Lifecycle
	}
	return s, nil
}

// recover rebuilds what the store knows better than an entity that is new or was ended by force: the next number, and
// a run that is still open, which is adopted.
func (m *model) recover(ctx workflow.Context) error {
	out, err := call(ctx, quick(), runs.Recover, activities.RecoverInput{Model: m.in.Model})
	if err != nil {
		return fmt.Errorf("recover model %s: %w", m.in.Model, err)
	}
	m.state.NextRun = max(m.state.NextRun, out.Last+1)
	if m.state.LastTrain.Before(out.LastTrain) {
		m.state.LastTrain = out.LastTrain
	}
	if out.Open > 0 && m.state.Open == nil {
		m.adopt(ctx, out.Open)
	}
	m.describe(ctx)
	return nil
}

// wait blocks until the open run has ended, a run is due, or this execution has lasted long enough.
func (m *model) wait(ctx workflow.Context) error {
	ready := func() bool {
		if m.state.Open != nil {
			return m.finished != nil
		}
		return m.due(ctx) || m.full(ctx)
	}
	if m.state.Open == nil && !m.state.DeferUntil.IsZero() && len(m.state.Pending) > 0 {
		_, err := workflow.AwaitWithTimeout(ctx, m.state.DeferUntil.Sub(workflow.Now(ctx)), ready)
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

func (m *model) full(ctx workflow.Context) bool {
	long := m.runs >= m.in.RunsPerExecution || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
	return long && m.state.Open == nil && !m.fresh && workflow.AllHandlersFinished(ctx)
}

// next asks the planner about everything that waits and starts the run it answers with, if any.
func (m *model) next(ctx workflow.Context) error {
	person := slices.ContainsFunc(m.state.Pending, func(t activities.Trigger) bool { return t.Kind == activities.TriggerPerson })
	if !person {
		if err := workflow.Sleep(ctx, gather); err != nil {
			return err
		}
	}
	asked := slices.Clone(m.state.Pending)
	m.fresh, m.state.DeferUntil = false, time.Time{}
	month := workflow.Now(ctx).UTC().Format("2006-01")
	plan, err := call(ctx, quick(), planner.Plan, activities.PlanInput{
		Model: m.in.Model, Triggers: asked, Muted: m.state.Muted, LastTrain: m.state.LastTrain, Spent: m.state.Spent[month],
	})
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	m.state.Note = plan.Dropped
	run := ""
	if plan.Run != nil {
		if run, err = m.start(ctx, *plan.Run); err != nil {
			return err
		}
	}
	m.answer(asked, plan, run)
	return nil
}

// answer moves the triggers that were asked about from pending to taken, but those the planner keeps for later.
func (m *model) answer(asked []activities.Trigger, plan activities.PlanOutput, run string) {
	later := func(key string) bool {
		return slices.ContainsFunc(plan.Later, func(t activities.Trigger) bool { return t.Key == key })
	}
	for _, t := range asked {
		if !later(t.Key) {
			m.state.Taken = append(m.state.Taken, Taken{Key: t.Key, Lifecycle: run})
		}
	}
	m.state.Taken = m.state.Taken[max(0, len(m.state.Taken)-recentTriggers):]
	arrived := slices.DeleteFunc(slices.Clone(m.state.Pending), func(t activities.Trigger) bool {
		return slices.ContainsFunc(asked, func(a activities.Trigger) bool { return a.Key == t.Key })
	})
	m.state.Pending = append(slices.Clone(plan.Later), arrived...)
	if len(plan.Later) > 0 {
		m.state.DeferUntil = plan.Until
	}
	m.fresh = len(arrived) > 0
}

// start claims the next number and starts the lifecycle under its own id, abandoned on close: it outlives this entity.
func (m *model) start(ctx workflow.Context, run activities.LifecycleInput) (string, error) {
	run.Model, run.Number = m.in.Model, m.state.NextRun
	claimed, err := call(ctx, quick(), runs.Claim, run)
	if err != nil {
		return "", fmt.Errorf("claim run %d: %w", run.Number, err)
	}
	run.Number = claimed.Number
	m.state.NextRun = run.Number + 1
	m.runs++
	m.finished = nil
	id := LifecycleID(m.in.Model, run.Number)
	m.state.Open = &OpenRun{Number: run.Number, ID: id, Since: workflow.Now(ctx).UTC()}
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            id,
		TaskQueue:             QueueLifecycle,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		StaticSummary:         run.Why,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeModel.ValueSet(m.in.Model), AttributeTeam.ValueSet(run.Team), AttributeStage.ValueSet("ingest")),
	}), Lifecycle, run)
	if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		var taken *temporal.ChildWorkflowExecutionAlreadyStartedError
		if !errors.As(err, &taken) {
			return "", fmt.Errorf("start %s: %w", id, err)
		}
		m.adopt(ctx, run.Number)
		return id, nil
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		var r activities.LifecycleResult
		err := child.Get(ctx, &r)
		if err == nil {
			m.end(Finished{Number: run.Number, Result: r})
			return
		}
		m.look(ctx, run.Number)
	})
	return id, nil
}

// adopt makes a run that this execution didn't start the open one, and looks after it until it has ended.
func (m *model) adopt(ctx workflow.Context, n int) {
	m.finished = nil
	m.state.Open = &OpenRun{Number: n, ID: LifecycleID(m.in.Model, n), Since: workflow.Now(ctx).UTC(), Adopted: true}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for m.finished == nil {
			if _, err := workflow.AwaitWithTimeout(ctx, adoptionPoll, func() bool { return m.finished != nil }); err != nil {
				return
			}
			if m.finished == nil {
				m.look(ctx, n)
			}
		}
	})
}

// look asks the store how a run ended. A run whose workflow is gone without a record is closed as failed, and the
// traffic that its challenger may have is taken back.
func (m *model) look(ctx workflow.Context, n int) {
	out, err := call(ctx, quick(), runs.Status, activities.StatusInput{Model: m.in.Model, Number: n})
	if err != nil {
		workflow.GetLogger(ctx).Error("run not looked after", "run", n, "error", err)
		return
	}
	if out.Closed {
		m.end(Finished{Number: n, Result: out.Result})
	}
}

func (m *model) end(f Finished) {
	if m.state.Open != nil && m.state.Open.Number == f.Number && m.finished == nil {
		m.finished = &f
	}
}

// close books what the open run came to.
func (m *model) close(ctx workflow.Context) {
	r := m.finished.Result
	m.state.Open, m.finished, m.state.LastResult = nil, nil, &r
	if len(r.Files) > 0 {
		m.state.Muted = nil
	}
	if r.Trained {
		m.state.LastTrain = r.Ended
		if m.state.Spent == nil {
			m.state.Spent = map[string]float64{}
		}
		m.state.Spent[r.Started.UTC().Format("2006-01")] += r.Cost
	}
	noGain := r.Trained && r.Outcome != activities.Promoted && r.Outcome != activities.Cancelled && r.Outcome != activities.Superseded
	if noGain && (r.Trigger == activities.TriggerDrift || r.Trigger == activities.TriggerQuality) && !slices.Contains(m.state.Muted, r.Trigger) {
		m.state.Muted = append(m.state.Muted, r.Trigger)
	}
	// What waited behind the run is due now.
	m.fresh = m.fresh || len(m.state.Pending) > 0
	m.state.DeferUntil = time.Time{}
	m.describe(ctx)
}

// continueAsNew carries the state over, after every signal that is buffered has been taken.
func (m *model) continueAsNew(ctx workflow.Context) error {
	for triggers := workflow.GetSignalChannel(ctx, SignalTrigger); ; {
		var t activities.Trigger
		if !triggers.ReceiveAsync(&t) {
			break
		}
		m.take(t)
	}
	months := workflow.DeterministicKeys(m.state.Spent)
	for _, k := range months[:max(0, len(months)-12)] {
		delete(m.state.Spent, k)
	}
	return workflow.NewContinueAsNewError(ctx, Model, ModelInput{Model: m.in.Model, State: &m.state, RunsPerExecution: m.in.RunsPerExecution})
}

func (m *model) describe(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, renderModel(m.state))
}
