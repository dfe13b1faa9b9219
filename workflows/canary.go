package workflows

import (
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
	c := &canaryRun{in: in}
	if err := c.handle(ctx); err != nil {
		return activities.CanaryResult{}, err
	}
	if err := c.setup(ctx); err != nil {
		return activities.CanaryResult{}, err
	}
	result, err := c.run(ctx)
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
	ready    bool
	weight   float64
	lease    time.Time
	tick     int
	nudged   bool // a person steered: look at the state now
	by       Steer
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
	signals := workflow.GetSignalChannel(ctx, SignalCanary)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var s Steer
			if !signals.Receive(ctx, &s) {
				return
			}
			if err := c.steer(ctx, s); err != nil {
				workflow.GetLogger(ctx).Warn("steer refused", "action", s.Action, "actor", s.Actor, "error", err)
			}
		}
	})
	return nil
}

func (c *canaryRun) view() CanaryState {
	return CanaryState{Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Weight: c.weight, Lease: c.lease, State: c.state}
}

func (c *canaryRun) validateSteer(ctx workflow.Context, s Steer) error {
	if s.Actor == "" || s.Reason == "" {
		return temporal.NewApplicationError("steering a canary needs an actor and a reason", ErrorInvalid)
	}
	_, err := steered(c.state, s, workflow.Now(ctx))
	return err
}

// steer applies a person's action; what it does to traffic is the loop's.
func (c *canaryRun) steer(ctx workflow.Context, s Steer) error {
	if !c.ready {
		return temporal.NewApplicationError("the canary hasn't started", ErrorRefused)
	}
	now := workflow.Now(ctx)
	var v struct {
		State   canary.State
		Refused string
	}
	recorded := workflow.SideEffect(ctx, func(workflow.Context) any {
		state, err := steered(c.state, s, now)
		if err != nil {
			return struct{ Refused string }{reason(err)}
		}
		return struct{ State canary.State }{state}
	})
	if err := recorded.Get(&v); err != nil {
		return err
	}
	if v.Refused != "" {
		return temporal.NewApplicationError(v.Refused, ErrorRefused)
	}
	c.state, c.by, c.nudged = v.State, s, true
	c.describe(ctx)
	return nil
}

func steered(state canary.State, s Steer, now time.Time) (canary.State, error) {
	var err error
	switch s.Action {
	case "promote":
		state, _, err = canary.PromoteNow(state, s.Actor, s.Reason, now)
	case "abort":
		state, _, err = canary.Abort(state, s.Actor, s.Reason, now)
	case "pause":
		state, err = canary.Pause(state, s.Actor, s.Reason)
	case "resume":
		state, err = canary.Resume(state, s.Actor, s.Reason)
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
	c.interval, c.tick = settings.Canary.Interval.D(), c.in.Tick
	if c.in.State != nil {
		c.state = *c.in.State
	} else {
		c.state = canary.New(settings.Canary, workflow.Now(ctx))
	}
	c.ready = true
	return nil
}

// run sets the weight, waits an interval, measures, and does what the measurement's judgement says.
func (c *canaryRun) run(ctx workflow.Context) (activities.CanaryResult, error) {
	action := canary.Action{Kind: canary.Hold, Weight: c.state.Weight()}
	for {
		switch action.Kind {
		case canary.Promote, canary.Rollback:
			return c.ended(), nil
		}
		if err := c.expose(ctx, action.Weight); err != nil {
			return activities.CanaryResult{}, err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx) && !c.nudged {
			next := c.in
			next.State, next.Tick = &c.state, c.tick
			return activities.CanaryResult{}, workflow.NewContinueAsNewError(ctx, Canary, next)
		}
		now := workflow.Now(ctx)
		if _, err := workflow.AwaitWithTimeout(ctx, c.state.NextLook(now).Sub(now), func() bool { return c.nudged }); err != nil {
			return activities.CanaryResult{}, err
		}
		if c.nudged && c.state.Over() {
			return c.ended(), nil
		}
		c.nudged = false
		out, err := call(ctx, measuring(), measurer.Measure, activities.MeasureInput{
			Model: c.in.Model, Version: c.in.Version, Champion: c.in.Champion, Spec: c.in.Spec, State: c.state, Now: workflow.Now(ctx),
		})
		if err != nil {
			return activities.CanaryResult{}, err
		}
		if c.nudged { // a person steered while it was measured: their state stands, measure again
			continue
		}
		c.state, action = out.State, out.Action
		c.describe(ctx)
	}
}

// expose sets the challenger's weight and renews its lease: two intervals and some slack, so that one lost look
// doesn't end the canary and a dead workflow does.
func (c *canaryRun) expose(ctx workflow.Context, weight float64) error {
	c.tick++
	c.lease = workflow.Now(ctx).Add(2*c.interval + leaseSlack)
	_, err := call(ctx, quick(), traffic.Set, activities.TrafficInput{
		Model: c.in.Model, Version: c.in.Version, Weight: weight, Lease: c.lease, Run: c.in.Lifecycle, Epoch: c.in.Epoch,
		Key: fmt.Sprintf("%s/canary/%d", c.in.Lifecycle, c.tick), Start: c.tick == 1,
	})
	if err != nil {
		return err
	}
	c.weight = weight
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
