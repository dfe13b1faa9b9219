package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// newCanary is starter canary, with status and one command for each way to steer. A model alone is asked about.
func newCanary(a *app) *cobra.Command {
	cmd := group("canary", "Look at a running canary, and steer it")
	cmd.Use = "canary [MODEL]"
	cmd.Long = `Look at a running canary, and steer it. Whatever a person does is an entry in the ledger, with who did it and why
(starter history MODEL). docs/canary.md says what is judged, and what a failure leads to.`
	cmd.Example = `  starter canary status flight-delay --watch
  starter canary extend flight-delay --deadline 1d --hold 12h --reason "a slow weekend"
  starter canary abort flight-delay --reason "wrong feed"`
	asked := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 1 || len(c.SuggestionsFor(args[0])) > 0 {
			return asked(c, args)
		}
		return runCanaryStatus(c.Context(), &canaryStatusOptions{app: a, model: args[0]})
	}
	cmd.AddCommand(
		newCanaryStatus(a, runCanaryStatus),
		newSteer(a, "promote", "Make the challenger the champion before its steps are done", runSteer),
		newSteer(a, "abort", "Give all traffic back to the champion", runSteer),
		newSteer(a, "pause", "Keep the weight where it is; failures still do what on_failure says, and the deadline still runs", runSteer),
		newSteer(a, "resume", "Go on with the steps; after a failure, with the step from its beginning", runSteer),
		newExtend(a, runSteer),
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
	watch bool
}

func newCanaryStatus(a *app, run func(context.Context, *canaryStatusOptions) error) *cobra.Command {
	o := &canaryStatusOptions{app: a}
	cmd := &cobra.Command{
		Use: "status MODEL", Short: "Show both arms, every check and the last looks", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		Long: `Show both arms side by side, every check with its numbers and its limit, and the last looks. With --watch until the canary
ends: on a terminal as one view that is drawn anew, else a page at each look; its outcome is the exit code (0 promoted,
5 rolled back).`,
		Example: `  starter canary status flight-delay --watch
  starter canary status flight-delay -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "follow it to its end")
	return cmd
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
	if !o.watch {
		return o.print(c, func(p *page) { canaryTable(p, c) })
	}
	if c, err = followCanary(ctx, o.app, engine, c); err != nil {
		return err
	}
	if err := o.print(c, func(p *page) { canaryTable(p, c) }); err != nil {
		return err
	}
	return outcomeOf(workflows.CanaryID(o.model), string(c.State.Outcome), c.State.Reason)
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
	// Of extend, as they are written.
	deadline, hold string
}

func newSteer(a *app, action, short string, run func(context.Context, *steerOptions) error) *cobra.Command {
	return steerCommand(&steerOptions{app: a, action: action}, short, run)
}

func steerCommand(o *steerOptions, short string, run func(context.Context, *steerOptions) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: o.action + " MODEL", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: o.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is kept in the ledger")
	return cmd
}

func newExtend(a *app, run func(context.Context, *steerOptions) error) *cobra.Command {
	o := &steerOptions{app: a, action: "extend"}
	cmd := steerCommand(o, "Give it more time: a later deadline, a longer hold of this step", run)
	cmd.Long = `Give a canary more time: a deadline that is later by so much, a hold of the step it is at that is longer by so much, or both.
The deadline is at most 30 days after the start, and leaves time for the holds to come.`
	cmd.Example = `  starter canary extend flight-delay --deadline 1d --hold 12h --reason "a slow weekend"`
	cmd.Flags().StringVar(&o.deadline, "deadline", "", "by how much the deadline is later: 6h, 1d")
	cmd.Flags().StringVar(&o.hold, "hold", "", "by how much this step is held longer: 6h, 1d")
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
	// Deadline is the canary's, as it is now.
	Deadline time.Time `json:"deadline,omitzero"`
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
		how := first(out.Outcome, "weight "+percent(out.Weight))
		if o.action == "extend" {
			how += ", deadline " + p.ago(out.Deadline)
		}
		p.line("canary of %s: %s by %s%s", out.Model, o.action, actor, after(how))
	})
}

// steer sends the order. The workflow wants a reason; one who gives none is named at least.
func (o *steerOptions) steer(ctx context.Context, engine decider, actor string) (steered, error) {
	reason := strings.TrimSpace(o.reason)
	if reason == "" {
		reason = "no reason given"
	}
	order := workflows.Steer{Action: o.action, Actor: actor, Via: "cli", Reason: reason}
	if err := o.extension(&order); err != nil {
		return steered{}, err
	}
	s, err := engine.Steer(ctx, o.model, order)
	if isA[*notFoundError](err) {
		return steered{}, noCanary(o.model)
	}
	if r, ok := asRefused(err); ok {
		o.recordRefusal(ctx, o.model, registry.RefusedDecision{Actor: actor, Via: "cli", Decision: "canary " + o.action, Given: reason, Reason: r.why})
	}
	if err != nil {
		return steered{}, err
	}
	return steered{Model: o.model, Action: o.action, Actor: actor, Outcome: string(s.Outcome), Reason: reason, Weight: s.Weight(), Deadline: s.Deadline}, nil
}

// extension reads how much more time is asked for.
func (o *steerOptions) extension(order *workflows.Steer) error {
	if o.action != "extend" {
		return nil
	}
	if o.deadline == "" && o.hold == "" {
		return usagef("extend by what? --deadline 1d, --hold 12h, or both")
	}
	for _, given := range []struct {
		flag, text string
		to         *time.Duration
	}{{"--deadline", o.deadline, &order.Deadline}, {"--hold", o.hold, &order.Hold}} {
		if given.text == "" {
			continue
		}
		d, err := spec.ParseDuration(given.text)
		if err != nil {
			return usagef("%s: %w", given.flag, err)
		}
		*given.to = d.D()
	}
	return nil
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
