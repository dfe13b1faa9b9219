package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
)

// resumeOptions are starter resume's.
type resumeOptions struct {
	submitOptions
	run  string
	from string
}

func newResume(a *app, run func(context.Context, *resumeOptions) error) *cobra.Command {
	o := &resumeOptions{submitOptions: submitOptions{app: a}}
	stages := strings.Join(activities.ResumeStages(), ", ")
	cmd := &cobra.Command{
		Use: "resume RUN --from STAGE", Short: "Go on with a run that failed or was cancelled, from one of its stages", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeModels,
		Long: `Ask for a run that takes over what an ended run's stages came to, each file compared with its digest, and runs the rest:
from ` + stages + `. It has a number of its own and names the old run; from train it has the same rows, and
goes on from the old run's newest checkpoint. An approval is asked for again where the champion has changed meanwhile.

Only a run that failed, was cancelled or superseded, or timed out can go on, and only by the spec that it was started
with: after another apply, "starter submit" starts a run that takes from the cache what didn't change.`,
		Example: `  starter resume sales/3 --from evaluate --wait
  starter resume sales/3 --from train --reason "the machines are back"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.run = args[0]; o.from == "" {
				return usagef("from which stage? --from %s", stages)
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "the first stage that runs: "+stages)
	f.BoolVar(&o.wait, "wait", false, "follow the run to its end")
	f.StringVar(&o.reason, "reason", "", "why, for those who decide")
	f.DurationVar(&o.timeout, "timeout", 0, "with --wait: how long (0: until the run ends)")
	return cmd
}

func runResume(ctx context.Context, o *resumeOptions) error {
	ref, _, err := o.findRun(ctx, o.run)
	if err != nil {
		return err
	}
	head, err := o.head(ctx, ref.model)
	if err != nil {
		return err
	}
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	record, err := activities.ReadRecord(ctx, store, ref.model, ref.number)
	if errors.Is(err, objectstore.ErrNotFound) {
		return notFound("run "+ref.id(), fmt.Sprintf("`starter list %s` names those there are", ref.model))
	}
	if err != nil {
		return err
	}
	if err := activities.CheckResume(record, o.from, head.State.Spec.Digest); err != nil {
		return &refusedError{what: "resume " + ref.id(), why: err.Error()}
	}
	out := submitted{Model: ref.model}
	trigger, err := o.trigger(ctx, nil, &out)
	if err != nil {
		return err
	}
	trigger.Resume = &activities.Resume{Number: ref.number, From: o.from}
	return o.ask(ctx, trigger, &out)
}
