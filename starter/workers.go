package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/training/fleet"
)

// workersOptions are starter workers'.
type workersOptions struct {
	*app
	all bool
}

func newWorkers(a *app, run func(context.Context, *workersOptions) error) *cobra.Command {
	o := &workersOptions{app: a}
	cmd := &cobra.Command{
		Use: "workers", Short: "List the live workers: what they do, what they train on, and what of it is in use", Args: cobra.NoArgs,
		Example: "  starter workers\n  starter workers -o json | jq '.[].queues'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "those that are gone, too")
	return cmd
}

// workerView is one worker.
type workerView struct {
	fleet.Beat
	Live bool `json:"live"`
}

func runWorkers(ctx context.Context, o *workersOptions) error {
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	beats, broken, err := fleet.Beats(ctx, store)
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		o.say("not readable, and left out: %s", strings.Join(broken, ", "))
	}
	views := []workerView{}
	for _, b := range beats {
		if live := b.Live(o.now()); live || o.all {
			views = append(views, workerView{Beat: b, Live: live})
		}
	}
	return o.print(views, func(p *page) { workersTable(p, views) })
}

func workersTable(p *page, views []workerView) {
	if len(views) == 0 {
		p.line("no worker is live: start one by `worker`, or everything by `starter dev`")
		return
	}
	t := newTable("WORKER", "ROLES", "SEEN", "GPUS", "OTHER SLOTS", "TRAINS ON").alignRight(3, 4)
	for _, v := range views {
		seen := cell{text: p.ago(v.Time)}
		if !v.Live {
			seen.tone = toneBad
		}
		roles := slices.Clone(v.Roles)
		slices.Sort(roles)
		gpus, cpus, offer := "-", "-", "-"
		if slices.Contains(v.Roles, "train") {
			gpus, cpus, offer = used(v.GPUsUsed, len(v.Offer.GPUs)), used(v.CPUsUsed, v.Offer.CPUs), v.Offer.String()
		}
		t.add(v.ID, strings.Join(roles, ","), seen, gpus, cpus, offer)
	}
	p.table(t)
}

// used says how many of how many are in use.
func used(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", n, of)
}
