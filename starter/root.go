package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot is the whole command line. A new command is one line here.
func newRoot(a *app) *cobra.Command {
	root := group("starter", "Run the lifecycle of machine-learning models: apply, submit, watch, decide, verify")
	root.Long = root.Short + `.

Connects to Temporal by --temporal, TEMPORAL_ADDRESS or a profile, and to S3 by the AWS_* variables. With none of them,
the development stack that "starter dev" started last is used, and named on stderr.

Exit codes: 0 ok, 1 error, 2 usage or invalid spec, 3 gate or validation failed, or drift found, 4 rejected,
5 rolled back, 6 timed out, 7 not found or conflict (a decision that was refused, too).`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	a.flags.register(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.flags.check(cmd.Annotations[moreFormats]) }
	root.AddCommand(
		newInit(a, runInit),
		newSchema(a, runSchema),
		newValidate(a, runValidate),
		newProfile(a, runProfile),
		newDrift(a, runDrift),
		newScore(a, runScore),
		newPredict(a, runPredict),
		newApply(a, runApply),
		newSubmit(a, runSubmit),
		newImport(a, runImport),
		newResume(a, runResume),
		newList(a, runList),
		newStatus(a, runStatus),
		newWorkers(a, runWorkers),
		newWatch(a, runWatch),
		newLogs(a, runLogs),
		newTrials(a, runTrials),
		newApprove(a, runDecide),
		newReject(a, runDecide),
		newCancel(a, runCancel),
		newPromote(a, runSteer),
		newRollback(a, runRollback),
		newCanary(a),
		newServingTarget(a),
		newHistory(a, runHistory),
		newVerify(a, runVerify),
		newSchedules(a),
		newVersion(a, runVersion),
		newDevCommand(a),
		newDemoCommand(a),
		newSupervise(),
	)
	usageErrors(root)
	return root
}

// execute runs one command line and returns its exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) {
		a.say("starter: interrupted")
	} else if err != nil {
		a.say("%s %s", a.styleOf(a.errOut).paint(toneBad, "starter:"), plainLines(err.Error()))
	}
	return exitCode(err)
}

// group is a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usagef("%s: did you mean %s?", message, strings.Join(near, " or "))
			}
			return usagef("%s: %s --help lists them", message, cmd.CommandPath())
		},
	}
}

// usageErrors makes what cobra says about flags and arguments usage errors, for a command and all below it.
func usageErrors(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w (%s --help)", err, c.CommandPath())
	})
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usagef("%w: %s", err, c.UseLine())
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		usageErrors(c)
	}
}

// models completes the first argument with the names of models, where the store answers.
func (a *app) completeModels(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := a.models(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
