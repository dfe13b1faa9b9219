package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/workflows"
)

// newCanary is starter canary, with status and one command for each way to steer.
func newCanary(a *app) *cobra.Command {
	cmd := group("canary", "Look at a running canary, and steer it")
	cmd.AddCommand(
		newCanaryStatus(a, runCanaryStatus),
		newSteer(a, "promote", "Make the challenger the champion before its steps are done", runSteer),
		newSteer(a, "abort", "Give all traffic back to the champion", runSteer),
		newSteer(a, "pause", "Keep the weight where it is; failures still roll back, and the deadline still runs", runSteer),
		newSteer(a, "resume", "Go on with the steps", runSteer),
	)
	return cmd
}

// newPromote is starter promote: the same as starter canary promote.
func newPromote(a *app, run func(context.Context, *steerOptions) error) *cobra.Command {
	return newSteer(a, "promote", "Promote the challenger of a running canary now", run)
}

// canaryStatusOptions are starter canary status's.
type canaryStatusOptions struct {
	*app
	model string
}

func newCanaryStatus(a *app, run func(context.Context, *canaryStatusOptions) error) *cobra.Command {
	o := &canaryStatusOptions{app: a}
	return &cobra.Command{
		Use: "status MODEL", Short: "Show both arms and the last looks", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return run(cmd.Context(), o)
		},
	}
}

func runCanaryStatus(ctx context.Context, o *canaryStatusOptions) error {
	engine, err := o.engine(ctx)
	if err != nil {
		return err
	}
	c, err := engine.Canary(ctx, o.model)
	if isA[*notFoundError](err) {
		return noCanary(o.model)
	}
	if err != nil {
		return err
	}
	return o.print(c, func(p *page) { canaryTable(p, c) })
}

func noCanary(model string) error {
	return notFound("a canary of "+model, fmt.Sprintf("`starter status %s` shows where it is", model))
}

// steerOptions are those of the commands that steer.
type steerOptions struct {
	*app
	action string
	model  string
	reason string
}

func newSteer(a *app, action, short string, run func(context.Context, *steerOptions) error) *cobra.Command {
	o := &steerOptions{app: a, action: action}
	cmd := &cobra.Command{
		Use: action + " MODEL", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is kept with the canary's result")
	return cmd
}

// steered is the result.
type steered struct {
	Model   string  `json:"model"`
	Action  string  `json:"action"`
	Actor   string  `json:"actor"`
	Outcome string  `json:"outcome,omitempty"` // of the canary; empty while it runs
	Reason  string  `json:"reason"`
	Weight  float64 `json:"weight"`
}

func runSteer(ctx context.Context, o *steerOptions) error {
	actor, err := o.actor()
	if err != nil {
		return err
	}
	engine, err := o.engine(ctx)
	if err != nil {
		return err
	}
	out, err := o.steer(ctx, engine, actor)
	if err != nil {
		return err
	}
	return o.print(out, func(p *page) {
		p.line("canary of %s: %s by %s%s", out.Model, o.action, actor, after(first(out.Outcome, "weight "+percent(out.Weight))))
	})
}

// steer sends the order. The workflow wants a reason; one who gives none is named at least.
func (o *steerOptions) steer(ctx context.Context, engine decider, actor string) (steered, error) {
	reason := strings.TrimSpace(o.reason)
	if reason == "" {
		reason = "no reason given"
	}
	s, err := engine.Steer(ctx, o.model, workflows.Steer{Action: o.action, Actor: actor, Via: "cli", Reason: reason})
	if isA[*notFoundError](err) {
		return steered{}, noCanary(o.model)
	}
	if r, ok := asRefused(err); ok {
		o.recordRefusal(ctx, o.model, registry.RefusedDecision{Actor: actor, Via: "cli", Decision: "canary " + o.action, Given: reason, Reason: r.why})
	}
	if err != nil {
		return steered{}, err
	}
	return steered{Model: o.model, Action: o.action, Actor: actor, Outcome: string(s.Outcome), Reason: reason, Weight: s.Weight()}, nil
}

// recordRefusal keeps a refused order in the audit folder, as well as it can.
func (a *app) recordRefusal(ctx context.Context, model string, r registry.RefusedDecision) {
	r.Time = a.now().UTC()
	store, err := a.store(ctx)
	if err == nil {
		err = registry.RecordRefusal(ctx, store, model, r)
	}
	if err != nil {
		a.say("the refusal isn't recorded: %v", err)
	}
}
