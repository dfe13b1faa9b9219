package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/canary"
)

const steerDescription = "promote, abort, pause, resume or extend this canary"

// versionSteers is when what people do to a canary began to have entries of its own in the ledger.
const versionSteers = "canary-steers-in-the-ledger"

func (c *canaryRun) steerBySignal(ctx workflow.Context, s Steer) {
	if err := c.steer(ctx, s); err != nil {
		workflow.GetLogger(ctx).Warn("steer refused", "action", s.Action, "actor", s.Actor, "error", err)
	}
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
	} else {
		c.steers = append(c.steers, steeredBy(s, c.state))
	}
	if c.state.Failed == nil {
		c.answered(ctx, fmt.Sprintf("%s by %s: %s", s.Action, s.Actor, s.Reason))
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
		state, err = canary.Resume(c.state, s.Actor, s.Reason, now)
	case "extend":
		state, err = canary.Extend(c.state, s.Actor, s.Reason, s.Deadline, s.Hold, now)
	default:
		return state, temporal.NewApplicationError(fmt.Sprintf("steer %q: want promote, abort, pause, resume or extend", s.Action), ErrorInvalid)
	}
	if err != nil {
		return state, temporal.NewApplicationError(err.Error(), ErrorRefused)
	}
	return state, nil
}

// steered is what a person, or a failed look, did to a canary that goes on, as the ledger keeps it.
type steered struct {
	Action, Actor, Via, Reason string
	Deadline                   time.Time // of an extend
}

func steeredBy(s Steer, after canary.State) steered {
	out := steered{Action: s.Action, Actor: s.Actor, Via: s.Via, Reason: s.Reason}
	if s.Action == "extend" {
		out.Deadline = after.Deadline
	}
	return out
}

// nextSteer is the first that the ledger doesn't have, or nil. The canary's start comes before all of them.
func (c *canaryRun) nextSteer(ctx workflow.Context) *steered {
	if len(c.steers) == 0 || c.tick == 0 {
		return nil
	}
	if workflow.GetVersion(ctx, versionSteers, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		c.steers = nil
		return nil
	}
	return &c.steers[0]
}

// recordSteers writes what people did in the moments before the end, so that the ledger has the whole story: with the
// weight as it is where the challenger is promoted, else without any. What ends the canary has its own entry.
func (c *canaryRun) recordSteers(ctx workflow.Context, result activities.CanaryResult) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	weight := 0.0
	if result.Outcome == activities.Promoted {
		weight = c.weight
	}
	for by := c.nextSteer(ctx); by != nil; by = c.nextSteer(ctx) {
		if err := c.set(ctx, weight, by); err != nil {
			workflow.GetLogger(ctx).Warn("not in the ledger", "steers", len(c.steers), "error", err)
			return
		}
	}
}

// itself is who the ledger names for what the canary does by its spec.
func (c *canaryRun) itself() string { return "leanloop:" + CanaryID(c.in.Model) }

// failed tells people of a failure that the spec leaves to them, and keeps it for the ledger.
func (c *canaryRun) failed(ctx workflow.Context, a canary.Action) {
	if a.Kind != canary.Withdraw && a.Kind != canary.Ask {
		if c.state.Over() {
			c.answered(ctx, c.state.Reason)
		}
		return
	}
	c.steers = append(c.steers, steered{Action: string(a.Kind), Actor: c.itself(), Via: "canary", Reason: a.Reason})
	c.tell(ctx, activities.MessageInput{Kind: activities.MessageCanary, Canary: c.message()})
}

// answered puts the answer in the place of the message that asked.
func (c *canaryRun) answered(ctx workflow.Context, how string) {
	if c.asked == nil && c.telling == 0 {
		return
	}
	m := c.message()
	m.Answer = how
	c.tell(ctx, activities.MessageInput{Kind: activities.MessageAnswered, Canary: m})
}

// message is what people are told about the canary.
func (c *canaryRun) message() *activities.CanaryMessage {
	return &activities.CanaryMessage{Version: c.in.Version, Champion: c.in.Champion, Weight: c.state.Weight(),
		Deadline: c.state.Deadline, Failed: c.state.Failed, Last: c.last}
}

// tell sends a message, beside everything else: a chat that is away holds nothing up. Messages go out one after another.
func (c *canaryRun) tell(ctx workflow.Context, in activities.MessageInput) {
	in.Model, in.Spec, in.Lifecycle, in.Round, in.Workflow = c.in.Model, c.in.Spec, c.in.Lifecycle, c.tick, CanaryID(c.in.Model)
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	before := c.told
	done, settle := workflow.NewFuture(ctx)
	c.told = done
	c.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { c.telling--; settle.Set(nil, nil) }()
		if before != nil {
			_ = before.Get(ctx, nil)
		}
		if in.Kind == activities.MessageAnswered {
			if c.asked == nil { // what asked was never sent
				return
			}
			in.Replace, c.asked = &c.asked.Ref, nil
		}
		out, err := call(ctx, notify(), messenger.Send, in)
		if err != nil {
			workflow.GetLogger(ctx).Warn("message not sent", "kind", in.Kind, "error", err)
			return
		}
		if in.Kind == activities.MessageCanary && (out.Ref.ID != "" || len(out.Ref.Parts) > 0) {
			c.asked = &out
		}
	})
}

// lastWords waits for messages: one whose activity runs when the workflow completes may be lost.
func (c *canaryRun) lastWords(ctx workflow.Context, result activities.CanaryResult, err error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err != nil {
		c.answered(ctx, reason(err))
	}
	if c.telling > 0 {
		if sent, err := waitAtMost(ctx, lastWords, "messages to be sent", func() bool { return c.telling == 0 }); err != nil || !sent {
			workflow.GetLogger(ctx).Warn("messages not sent", "messages", c.telling, "after", lastWords)
		}
	}
}
