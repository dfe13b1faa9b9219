package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

// cancelOptions are starter cancel's.
type cancelOptions struct {
	*app
	arg    string
	reason string
}

func newCancel(a *app, run func(context.Context, *cancelOptions) error) *cobra.Command {
	o := &cancelOptions{app: a}
	cmd := &cobra.Command{
		Use: "cancel MODEL|LIFECYCLE --reason TEXT", Short: "End an open run; the champion stays", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.arg = args[0]
			if strings.TrimSpace(o.reason) == "" {
				return usagef("why? --reason TEXT")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is the run's outcome")
	return cmd
}

func runCancel(ctx context.Context, o *cancelOptions) error {
	actor, err := o.actor()
	if err != nil {
		return err
	}
	ref, open, err := o.findRun(ctx, o.arg)
	if err != nil {
		return err
	}
	if !open {
		return notFound("an open run of "+o.arg, "the last one was "+ref.id())
	}
	engine, err := o.engine(ctx)
	if err != nil {
		return err
	}
	stop := workflows.Stop{Outcome: activities.Cancelled, Actor: actor, Via: "cli", Reason: o.reason}
	if err := engine.Stop(ctx, ref.id(), stop); err != nil {
		return err
	}
	out := struct {
		Lifecycle string `json:"lifecycle"`
		Actor     string `json:"actor"`
		Reason    string `json:"reason"`
	}{ref.id(), actor, o.reason}
	return o.print(out, func(p *page) { p.line("%s ends: cancelled by %s", out.Lifecycle, actor) })
}
