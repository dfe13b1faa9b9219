package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/canary"
)

// Canary gives a challenger a leased share of real traffic, looks at both arms each interval and ends with promoted or
// rolled_back, at its deadline at the latest. A failed look ends it, or takes the traffic away and waits for a person, or
// asks one: as the spec's on_failure says. Promoted leaves the last weight in place under its lease: the lifecycle
// sets the final state. Whatever else ends it takes the traffic away on a disconnected context, and where even that
// can't run, the lease does.
func Canary(ctx workflow.Context, in activities.CanaryInput) (activities.CanaryResult, error) {
	c := &canaryRun{in: in, tick: in.Tick, last: in.Last, asked: in.Asked}
	err := c.handle(ctx)
	if err == nil {
		err = c.setup(ctx)
	}
	var result activities.CanaryResult
	if err == nil {
		result, err = c.run(ctx)
	}
	if workflow.IsContinueAsNewError(err) {
		return result, err
	}
	c.recordSteers(ctx, result)
	if err != nil || result.Outcome != activities.Promoted {
		c.takeBack(ctx, result, err)
	}
	c.lastWords(ctx, result, err)
	return result, err
}

type canaryRun struct {
	in       activities.CanaryInput
	interval time.Duration
	state    canary.State
	ready    bool // there is a state to steer
	weight   float64
	lease    time.Time
	tick     int   // weights set
	nudged   bool  // a person steered: look at the state now
	by       Steer // the person who ended it
	last     *canary.Look
	steers   []steered // that the ledger doesn't have yet
	labels   labelReader
	asked    *activities.MessageOutput // the message that asks people, once it is sent
	told     workflow.Future           // the last message's end
	telling  int                       // messages on their way
	target   drivenTarget
}

func (c *canaryRun) handle(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (CanaryState, error) { return c.view(), nil }); err != nil {
		return err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateSteer,
		func(ctx workflow.Context, s Steer) (canary.State, error) {
			err := c.steer(ctx, s)
			return c.state, err
		},
		workflow.UpdateHandlerOptions{Description: steerDescription, Validator: c.validateSteer})
	if err != nil {
		return err
	}
	signals := workflow.GetSignalChannelWithOptions(ctx, SignalCanary, workflow.SignalChannelOptions{Description: steerDescription})
	listen(ctx, signals, c.steerBySignal)
	return nil
}

func (c *canaryRun) view() CanaryState {
	return CanaryState{
		Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Weight: c.weight, Lease: c.lease, State: c.state, Last: c.last,
		Driven: c.target.driven(), Target: c.target.unsettled(),
	}
}

// setup reads the spec's canary and starts, or goes on from, the state.
func (c *canaryRun) setup(ctx workflow.Context) error {
	settings, err := call(ctx, quick(), runs.Settings, activities.SettingsInput{Model: c.in.Model, Spec: c.in.Spec})
	if err != nil {
		return err
	}
	c.interval = settings.Canary.Interval.D()
	c.target.verb = settings.VerbTimeout
	if c.in.State != nil {
		c.state = *c.in.State
	} else {
		c.state = canary.New(settings.Canary, workflow.Now(ctx))
	}
	c.ready = true
	return nil
}

// run sets the weight, waits an interval and measures, until a measurement or a person has ended it.
func (c *canaryRun) run(ctx workflow.Context) (activities.CanaryResult, error) {
	for {
		if err := c.expose(ctx); err != nil {
			return activities.CanaryResult{}, err
		}
		if err := c.follow(ctx); err != nil {
			return activities.CanaryResult{}, err
		}
		c.readLabels(ctx)
		now := workflow.Now(ctx)
		if _, err := waitAtMost(ctx, c.state.NextLook(now).Sub(now), fmt.Sprintf("the next look, at %.4g %%", 100*c.weight), func() bool { return c.nudged }); err != nil {
			return activities.CanaryResult{}, err
		}
		if err := c.look(ctx); err != nil {
			return activities.CanaryResult{}, err
		}
		if c.state.Over() {
			return c.ended(), nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && c.drained(ctx) {
			next := c.in
			next.State, next.Tick, next.Last, next.Asked = &c.state, c.tick, c.last, c.asked
			return activities.CanaryResult{}, workflow.NewContinueAsNewError(ctx, Canary, next)
		}
	}
}

// look measures the step so far and takes the judgement over. A person who steers meanwhile goes before it.
func (c *canaryRun) look(ctx workflow.Context) error {
	c.nudged = false
	if c.state.Over() {
		return nil
	}
	out, err := call(ctx, measuring(), measurer.Measure, activities.MeasureInput{
		Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Spec: c.in.Spec, State: c.labels.into(c.state), Now: workflow.Now(ctx),
		IDs: c.target.ids, Unconfirmed: c.target.problem,
	})
	switch {
	case c.nudged || lost(ctx, err) && workflow.Now(ctx).Before(c.state.EndsBy()):
		return ctx.Err()
	case err != nil:
		return err
	}
	if failed := c.state.Failed; failed != nil && !out.State.Over() {
		out.State.Failed = failed // people end it, and no worker of an earlier release that doesn't know of it
	}
	c.state, c.last = out.State, &canary.Look{Judgement: out.Judgement, Arms: out.Arms}
	c.failed(ctx, out.Action)
	c.describe(ctx)
	return nil
}

// outlivesRetries marks the code that goes on after retries whose time is over. Canaries of before ended by it.
const outlivesRetries = "canary-outlives-retries"

// lost says that an activity found no worker or no answer in time, which says nothing about the canary. Retries that
// meet the end of their time give the last attempt's error: a time-out, or what the store said. An error that may be
// retried comes for no other reason.
func lost(ctx workflow.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if _, timeout := errors.AsType[*temporal.TimeoutError](err); timeout {
		return true
	}
	said, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && !said.NonRetryable() && workflow.GetVersion(ctx, outlivesRetries, workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// drained takes every signal that is buffered and says whether nothing a person sent is left to be looked at, or to be
// written to the ledger.
func (c *canaryRun) drained(ctx workflow.Context) bool {
	drain(ctx, workflow.GetSignalChannel(ctx, SignalCanary), c.steerBySignal)
	return !c.nudged && len(c.steers) == 0 && c.telling == 0 && workflow.AllHandlersFinished(ctx)
}

// expose sets the challenger's weight and renews its lease: two intervals and some slack, so that one lost look
// doesn't end the canary and a dead workflow does. What people did has an entry of its own. A store that is away beyond
// the lease has ended the traffic already; the weight is set again when it is back, until the deadline.
func (c *canaryRun) expose(ctx workflow.Context) error {
	for !c.state.Over() {
		by := c.nextSteer(ctx)
		err := c.set(ctx, c.state.Weight(), by)
		switch {
		case err == nil && by != nil && len(c.steers) > 0:
			continue
		case err == nil:
			return nil
		case !lost(ctx, err) || !workflow.Now(ctx).Before(c.state.EndsBy()):
			return err
		}
	}
	return nil
}

// set writes one weight; by is the steer that caused it, or nil.
func (c *canaryRun) set(ctx workflow.Context, weight float64, by *steered) error {
	lease := 2*c.interval + leaseSlack + c.target.within(c.interval)
	if by != nil && by.Action == string(canary.Withdraw) {
		weight = 0 // also where a person has resumed since: that is the next entry
	}
	in := activities.TrafficInput{
		Model: c.in.Model, Version: c.in.Version, Weight: weight, Lease: workflow.Now(ctx).Add(lease), Run: c.in.Lifecycle, Epoch: c.in.Epoch,
		// The same key until it is known to be written: whether an attempt that timed out wrote it can't be known.
		Key: fmt.Sprintf("%s/canary/%d", c.in.Lifecycle, c.tick+1), Start: c.tick == 0,
	}
	if by != nil {
		in.Action, in.Deadline, in.Actor, in.Via, in.Reason = by.Action, by.Deadline, by.Actor, by.Via, by.Reason
	}
	if _, err := call(ctx, leased(lease), traffic.Set, in); err != nil {
		return err
	}
	c.tick++
	c.target.settled = c.target.settled && weight == c.weight
	c.weight, c.lease = weight, in.Lease
	if by != nil {
		c.steers = c.steers[1:]
	}
	c.describe(ctx)
	return nil
}

func (c *canaryRun) ended() activities.CanaryResult {
	r := activities.CanaryResult{Outcome: string(c.state.Outcome), Reason: c.state.Reason, Actor: c.by.Actor, Via: c.by.Via}
	r.Last = c.state.Verdicts[max(0, len(c.state.Verdicts)-3):]
	return r
}

// takeBack returns all traffic to the champion.
func (c *canaryRun) takeBack(ctx workflow.Context, result activities.CanaryResult, cause error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	in := activities.RollbackInput{
		Model: c.in.Model, Version: c.in.Version, Lifecycle: c.in.Lifecycle,
		Actor: c.itself(), Via: "canary", Reason: result.Reason,
	}
	if c.by.Actor != "" {
		in.Actor, in.Via = c.by.Actor, c.by.Via
	}
	if cause != nil {
		in.Reason = reason(cause)
	}
	out, err := call(ctx, quick(), traffic.Rollback, in)
	if err != nil {
		workflow.GetLogger(ctx).Error("rollback not recorded; the lease ends the traffic", "error", err, "lease", c.lease)
		return
	}
	c.weight, c.target.problem, c.target.settled = 0, "", false
	c.describe(ctx)
	seen, err := c.target.confirm(ctx, c.in.Model, c.in.Spec, out.Seq)
	switch {
	case err != nil:
		workflow.GetLogger(ctx).Warn("not confirmed; the lease ends the traffic", "error", err)
	case c.target.driven():
		if c.target.settled = seen.Confirmed; !seen.Confirmed {
			c.target.problem = behind(seen)
		}
		c.describe(ctx)
	}
}

func (c *canaryRun) describe(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, renderCanary(c.view()))
}
