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
// rolled_back, at its deadline at the latest. Promoted leaves the last weight in place under its lease: the lifecycle
// sets the final state. Whatever else ends it takes the traffic away on a disconnected context, and where even that
// can't run, the lease does.
func Canary(ctx workflow.Context, in activities.CanaryInput) (activities.CanaryResult, error) {
	c := &canaryRun{in: in, tick: in.Tick}
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
	if err != nil || result.Outcome != activities.Promoted {
		c.takeBack(ctx, result, err)
	}
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
		workflow.UpdateHandlerOptions{Description: "promote, abort, pause or resume this canary", Validator: c.validateSteer})
	if err != nil {
		return err
	}
	signals := workflow.GetSignalChannelWithOptions(ctx, SignalCanary, workflow.SignalChannelOptions{Description: "promote, abort, pause or resume this canary"})
	listen(ctx, signals, c.steerBySignal)
	return nil
}

func (c *canaryRun) steerBySignal(ctx workflow.Context, s Steer) {
	if err := c.steer(ctx, s); err != nil {
		workflow.GetLogger(ctx).Warn("steer refused", "action", s.Action, "actor", s.Actor, "error", err)
	}
}

func (c *canaryRun) view() CanaryState {
	return CanaryState{Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Weight: c.weight, Lease: c.lease, State: c.state}
}

func (c *canaryRun) validateSteer(ctx workflow.Context, s Steer) error {
	_, err := c.steered(s, workflow.Now(ctx))
	return err
}

// steering is what a person's action came to, as it is recorded in history.
type steering struct {
	State   canary.State `json:"state"`
	Refused string       `json:"refused,omitempty"`
}

// steer applies a person's action; what it does to traffic is the loop's.
func (c *canaryRun) steer(ctx workflow.Context, s Steer) error {
	now := workflow.Now(ctx)
	var v steering
	recorded := workflow.SideEffect(ctx, func(workflow.Context) any {
		state, err := c.steered(s, now)
		if err != nil {
			return steering{Refused: reason(err)}
		}
		return steering{State: state}
	})
	if err := recorded.Get(&v); err != nil {
		return err
	}
	if v.Refused != "" {
		return temporal.NewApplicationError(v.Refused, ErrorRefused)
	}
	c.state, c.nudged = v.State, true
	if c.state.Over() {
		c.by = s
	}
	c.describe(ctx)
	return nil
}

// steered is the state after a person's action, or why there is none.
func (c *canaryRun) steered(s Steer, now time.Time) (state canary.State, err error) {
	switch {
	case s.Actor == "" || s.Reason == "":
		return state, temporal.NewApplicationError("steering a canary needs an actor and a reason", ErrorInvalid)
	case !c.ready:
		return state, temporal.NewApplicationError("the canary hasn't started", ErrorRefused)
	}
	switch s.Action {
	case "promote":
		state, _, err = canary.PromoteNow(c.state, s.Actor, s.Reason, now)
	case "abort":
		state, _, err = canary.Abort(c.state, s.Actor, s.Reason, now)
	case "pause":
		state, err = canary.Pause(c.state, s.Actor, s.Reason)
	case "resume":
		state, err = canary.Resume(c.state, s.Actor, s.Reason)
	default:
		return state, temporal.NewApplicationError(fmt.Sprintf("steer %q: want promote, abort, pause or resume", s.Action), ErrorInvalid)
	}
	if err != nil {
		return state, temporal.NewApplicationError(err.Error(), ErrorRefused)
	}
	return state, nil
}

// setup reads the spec's canary and starts, or goes on from, the state.
func (c *canaryRun) setup(ctx workflow.Context) error {
	settings, err := call(ctx, quick(), runs.Settings, activities.SettingsInput{Model: c.in.Model, Spec: c.in.Spec})
	if err != nil {
		return err
	}
	c.interval = settings.Canary.Interval.D()
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
			next.State, next.Tick = &c.state, c.tick
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
		Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Spec: c.in.Spec, State: c.state, Now: workflow.Now(ctx),
	})
	switch {
	case c.nudged || lost(ctx, err) && workflow.Now(ctx).Before(c.state.Deadline):
		return ctx.Err()
	case err != nil:
		return err
	}
	c.state = out.State
	c.describe(ctx)
	return nil
}

// lost says that an activity found no worker or no answer in time, which says nothing about the canary.
func lost(ctx workflow.Context, err error) bool {
	_, timeout := errors.AsType[*temporal.TimeoutError](err)
	return timeout && ctx.Err() == nil
}

// drained takes every signal that is buffered and says whether nothing a person sent is left to be looked at.
func (c *canaryRun) drained(ctx workflow.Context) bool {
	drain(ctx, workflow.GetSignalChannel(ctx, SignalCanary), c.steerBySignal)
	return !c.nudged && workflow.AllHandlersFinished(ctx)
}

// expose sets the challenger's weight and renews its lease: two intervals and some slack, so that one lost look
// doesn't end the canary and a dead workflow does. A store that is away beyond the lease has ended the traffic already;
// the weight is set again when it is back, until the deadline.
func (c *canaryRun) expose(ctx workflow.Context) error {
	lease := 2*c.interval + leaseSlack
	for !c.state.Over() {
		weight, until := c.state.Weight(), workflow.Now(ctx).Add(lease)
		// The same key until it is known to be written: whether an attempt that timed out wrote it can't be known.
		_, err := call(ctx, leased(lease), traffic.Set, activities.TrafficInput{
			Model: c.in.Model, Version: c.in.Version, Weight: weight, Lease: until, Run: c.in.Lifecycle, Epoch: c.in.Epoch,
			Key: fmt.Sprintf("%s/canary/%d", c.in.Lifecycle, c.tick+1), Start: c.tick == 0,
		})
		if err == nil {
			c.tick++
			c.weight, c.lease = weight, until
			c.describe(ctx)
			return nil
		}
		if !lost(ctx, err) || !workflow.Now(ctx).Before(c.state.Deadline) {
			return err
		}
	}
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
		Actor: "leanloop:" + CanaryID(c.in.Model), Via: "canary", Reason: result.Reason,
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
	c.weight = 0
	c.describe(ctx)
	if _, err := call(ctx, confirming(confirmWithin), traffic.Confirm, activities.ConfirmInput{Model: c.in.Model, Seq: out.Seq, Within: confirmWithin}); err != nil {
		workflow.GetLogger(ctx).Warn("gateways not confirmed; the lease ends the traffic", "error", err)
	}
}

func (c *canaryRun) describe(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, renderCanary(c.view()))
}
