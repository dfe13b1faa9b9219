package workflows

import (
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// recover rebuilds what the store knows better than an entity that is new or was ended by force: the next number, and
// a run that is still open, which is adopted. One that was carried over is adopted even where it has ended by now, so
// that its end is booked.
func (m *model) recover(ctx workflow.Context) error {
	for {
		out, err := call(ctx, patient(), runs.Recover, activities.RecoverInput{Model: m.in.Model})
		if err == nil {
			m.state.NextRun = max(m.state.NextRun, out.Last+1)
			m.state.LastTrain = latest(m.state.LastTrain, out.LastTrain)
			if _, booked := m.state.Spent[out.Month]; !booked && m.state.Open == nil && out.Spent > 0 {
				m.state.Spent = map[string]float64{out.Month: out.Spent} // an entity that lost its state still holds the budget
			}
			switch {
			case m.state.Open != nil:
				m.adopt(ctx, m.state.Open.Number)
			case out.Open > 0:
				m.adopt(ctx, out.Open)
			}
			m.describe(ctx)
			return nil
		}
		m.state.Note = "what the store knows can't be read, it is tried again: " + reason(err)
		m.describe(ctx)
		if err := workflow.Sleep(ctx, planAgain); err != nil {
			return err
		}
	}
}

// start claims the next number and starts the lifecycle under its own id. It outlives this entity: it is abandoned when
// the entity closes, and cancelling the entity doesn't reach it.
func (m *model) start(ctx workflow.Context, run activities.LifecycleInput) (string, error) {
	run.Model, run.Number = m.in.Model, m.state.NextRun
	claimed, err := call(ctx, patient(), runs.Claim, run)
	if err != nil {
		return "", fmt.Errorf("claim run %d: %w", run.Number, err)
	}
	run.Number = claimed.Number
	m.state.NextRun = run.Number + 1
	m.runs++
	m.open(ctx, run.Number)
	id := m.state.Open.ID
	ctx, _ = workflow.NewDisconnectedContext(ctx)
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
		// The id is taken, or nothing was started. Either way the store tells how the run ends.
		workflow.GetLogger(ctx).Warn("run not started", "lifecycle", id, "error", err)
		m.adopt(ctx, run.Number)
		return id, nil
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		var r activities.LifecycleResult
		if err := child.Get(ctx, &r); err != nil {
			m.watch(ctx, run.Number)
			return
		}
		m.end(Finished{Number: run.Number, Result: r})
	})
	return id, nil
}

// open makes run n the open one.
func (m *model) open(ctx workflow.Context, n int) {
	m.finished = nil
	m.state.Open = &OpenRun{Number: n, ID: LifecycleID(m.in.Model, n), Since: workflow.Now(ctx).UTC()}
}

// adopt makes a run that this execution didn't start the open one, and looks after it.
func (m *model) adopt(ctx workflow.Context, n int) {
	m.open(ctx, n)
	m.state.Open.Adopted = true
	workflow.Go(ctx, func(ctx workflow.Context) { m.watch(ctx, n) })
}

// watch looks after a run that may end without telling, until it isn't the open one any more.
func (m *model) watch(ctx workflow.Context, n int) {
	over := func() bool { return m.finished != nil || m.state.Open == nil || m.state.Open.Number != n }
	for !over() {
		m.state.Open.Adopted = true
		m.look(ctx, n)
		if _, err := workflow.AwaitWithTimeout(ctx, adoptionPoll, over); err != nil {
			return
		}
	}
}

// look asks the store how a run ended. A run whose workflow is gone without a record is closed as failed, and the
// traffic that its challenger may have is taken back.
func (m *model) look(ctx workflow.Context, n int) {
	out, err := call(ctx, patient(), runs.Status, activities.StatusInput{Model: m.in.Model, Number: n})
	if err != nil {
		workflow.GetLogger(ctx).Error("run not looked after", "run", n, "error", err)
		return
	}
	if out.Closed {
		m.end(Finished{Number: n, Result: out.Result})
	}
}

// end notes how the open run ended; the first to tell is believed.
func (m *model) end(f Finished) {
	if m.state.Open != nil && m.state.Open.Number == f.Number && m.finished == nil {
		m.finished = &f
	}
}

// close books what the open run came to. What waited behind it is due now.
func (m *model) close(ctx workflow.Context) {
	r := m.finished.Result
	m.state.Open, m.finished, m.state.LastResult = nil, nil, &r
	if brokeOff(r) {
		// Its files may be undecided: whoever tells of them again is heard, and the planner knows what was decided.
		m.state.Taken = slices.DeleteFunc(m.state.Taken, func(t Taken) bool { return t.Lifecycle == r.ID })
	}
	if len(r.Files) > 0 {
		m.state.Muted = nil
	}
	if r.Trained {
		m.state.LastTrain = r.Ended
		m.spend(r)
	}
	if noGain(r) && !slices.Contains(m.state.Muted, r.Trigger) {
		m.state.Muted = append(m.state.Muted, r.Trigger)
	}
	m.fresh = len(m.state.Pending) > 0
	m.state.DeferUntil = time.Time{}
	m.describe(ctx)
}

// brokeOff says that a run may have ended before it decided on its files.
func brokeOff(r activities.LifecycleResult) bool {
	return r.Outcome == activities.Failed || r.Outcome == activities.Cancelled || r.Outcome == activities.Superseded
}

// noGain says that a monitor asked for a run that brought nothing. It would ask for the same again at its next look,
// unchanged snapshots and failures included, so it is muted until another file is accepted.
func noGain(r activities.LifecycleResult) bool {
	switch r.Outcome {
	case activities.Promoted, activities.Cancelled, activities.Superseded:
		return false
	}
	return r.Trigger == activities.TriggerDrift || r.Trigger == activities.TriggerQuality
}

// spend books a run's cost on the month it started in, and forgets all but the last months.
func (m *model) spend(r activities.LifecycleResult) {
	year, month, _ := r.Started.UTC().Date()
	this := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	kept := map[string]float64{}
	for back := range recentMonths {
		name := this.AddDate(0, -back, 0).Format(monthName)
		if spent, ok := m.state.Spent[name]; ok {
			kept[name] = spent
		}
	}
	kept[this.Format(monthName)] += r.Cost
	m.state.Spent = kept
}
