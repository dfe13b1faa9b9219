package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/workflows"
)

// targeter looks after what serves a model where gateways don't.
type targeter interface {
	// Target compares a model's target with its ledger, and unless readOnly brings it there.
	Target(ctx context.Context, model string, readOnly bool, within time.Duration) (activities.TargetCheck, error)
}

// Target implements targeter. Who asks while another's answer is on its way gets that one's.
func (e *temporalEngine) Target(ctx context.Context, model string, readOnly bool, within time.Duration) (activities.TargetCheck, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var out activities.TargetCheck
	what := "check of the target of " + model
	run, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.TargetID(model, readOnly), TaskQueue: workflows.QueueLifecycle,
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.AttributeModel.ValueSet(model)),
	}, workflows.TypeTargetCheck, activities.TargetCheckInput{Model: model, ReadOnly: readOnly, Asked: true})
	if err == nil {
		err = run.Get(ctx, &out)
	}
	return out, explain(err, what, within)
}

// targetOptions are those of starter target's commands.
type targetOptions struct {
	*app
	model    string
	readOnly bool
	wait     time.Duration
}

// newServingTarget is starter target.
func newServingTarget(a *app) *cobra.Command {
	cmd := group("target", "Look at what serves a model where gateways don't (serving.target: command)")
	cmd.AddCommand(
		newTargetCommand(a, true, "status", "Compare what the target reads back with the ledger", `A worker runs the program of serving.command with the verb read. Nothing is changed.
Exits with 1 where the target doesn't serve what the ledger says.`, runTarget),
		newTargetCommand(a, false, "sync", "Bring the target to what the ledger says", `A worker runs the program of serving.command until the target reads back what the ledger says. The same is done each
minute by schedule; this does it now, and says what came of it.
Exits with 1 where the target doesn't serve what the ledger says.`, runTarget),
	)
	return cmd
}

func newTargetCommand(a *app, readOnly bool, name, short, long string, run func(context.Context, *targetOptions) error) *cobra.Command {
	o := &targetOptions{app: a, readOnly: readOnly}
	cmd := &cobra.Command{
		Use: name + " MODEL", Short: short, Long: long, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		Example: "  starter target " + name + " flight-delay\n  starter target " + name + " flight-delay -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.wait, "wait", 5*time.Minute, "how long the target may take")
	return cmd
}

func runTarget(ctx context.Context, o *targetOptions) error {
	if _, err := o.head(ctx, o.model); err != nil {
		return err
	}
	engine, err := o.engine(ctx)
	if err != nil {
		return err
	}
	out, err := engine.Target(ctx, o.model, o.readOnly, o.wait)
	if err != nil {
		return err
	}
	if err := o.print(out, func(p *page) { targetTable(p, out) }); err != nil {
		return err
	}
	if out.Driven && !out.Agrees {
		return &targetError{out}
	}
	return nil
}

// targetError says that a target doesn't serve what was decided; what it serves was printed.
type targetError struct{ found activities.TargetCheck }

func (e *targetError) Error() string {
	return withHint(fmt.Sprintf("the target of %s doesn't serve what the ledger says: %s", e.found.Model, e.found.Problem),
		fmt.Sprintf("a check tries again each minute; `starter target sync %s` does so now", e.found.Model))
}

func targetTable(p *page, c activities.TargetCheck) {
	if !c.Driven {
		p.line("%s is served by gateways: they follow the ledger by themselves (starter status %s)", c.Model, c.Model)
		return
	}
	word := p.style.paint(toneGood, "as decided")
	if !c.Agrees {
		word = p.style.paint(toneBad, "not as decided")
	}
	p.line("%s: %s in entry %d", c.Model, word, c.Entry)
	shares := map[int][2]string{}
	for _, v := range c.Versions {
		shares[v.Version] = [2]string{percent(v.Weight), v.ID}
	}
	decided := map[int]string{}
	if c.Want.Champion != 0 {
		decided[c.Want.Champion] = percent(1 - c.Want.Weight)
	}
	if c.Want.Challenger != 0 {
		decided[c.Want.Challenger] = percent(c.Want.Weight)
	}
	all := map[int]bool{}
	for v := range shares {
		all[v] = true
	}
	for v := range decided {
		all[v] = true
	}
	t := newTable("VERSION", "DECIDED", "SERVED", "ID").alignRight(0, 1, 2)
	for _, v := range slices.Sorted(maps.Keys(all)) {
		t.add(fmt.Sprint(v), first(decided[v], "-"), first(shares[v][0], "-"), shares[v][1])
	}
	p.table(t)
	for _, did := range c.Did {
		p.line("did: %s", oneLine(did))
	}
	for _, left := range c.Left {
		p.line("%s: %s", p.style.paint(toneWarn, "not removed"), oneLine(left))
	}
}

// driven reports whether a program drives what serves a model, as far as the applied spec can be read.
func (a *app) driven(ctx context.Context, model string, s registry.State) bool {
	if s.Spec.Digest == "" {
		return false
	}
	m, err := a.appliedSpec(ctx, model, s.Spec.Digest)
	return err == nil && m.Serving.Driven()
}

// followTarget has a target brought to the entry that was written. Where that can't be asked for, the entry stands, and the
// check by schedule brings it about.
func (o *rollbackOptions) followTarget(ctx context.Context, out *rolledBack) error {
	engine, err := o.engine(ctx)
	if err == nil {
		var found activities.TargetCheck
		found, err = engine.Target(ctx, o.model, false, o.wait)
		if err == nil {
			out.Target, out.Confirmed = &found, found.Agrees && found.Entry >= out.Seq
			if !out.Confirmed {
				out.Missing = []string{"the target: " + first(found.Problem, "it was read before this entry")}
			}
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	out.Missing = []string{fmt.Sprintf("the target: %v; it follows within a minute of Temporal and a worker being there", err)}
	return nil
}

// refuseGlass refuses to break the glass of a model that no gateway serves, as far as the store can tell.
func (o *rollbackOptions) refuseGlass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatsWithin)
	defer cancel()
	head, err := o.head(ctx, o.model)
	if err != nil || !o.driven(ctx, o.model, head.State) {
		return nil // where S3 is away gateways are asked: that is what the glass is for
	}
	return &refusedError{
		what: "break-glass rollback of " + o.model, why: "no gateway serves it: its target is driven by serving.command",
		hint: fmt.Sprintf("`starter rollback %s` writes the ledger and has the target follow; without Temporal, set the weights by the target's own means", o.model),
	}
}
