package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/registry"
)

// historyOptions are starter history's.
type historyOptions struct {
	*app
	model   string
	limit   int
	refused bool
}

func newHistory(a *app, run func(context.Context, *historyOptions) error) *cobra.Command {
	o := &historyOptions{app: a}
	cmd := &cobra.Command{
		Use: "history MODEL", Aliases: []string{"log"}, Short: "Show what was decided about a model, by whom, and why", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			if o.limit < 0 {
				return usagef("--limit %d: want at least 0", o.limit)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.limit, "limit", 50, "how many of the newest entries (0: all)")
	cmd.Flags().BoolVar(&o.refused, "refused", false, "show the decisions that were refused instead")
	return cmd
}

// entryView is one entry of the ledger.
type entryView struct {
	Seq     int64            `json:"seq"`
	Time    time.Time        `json:"time"`
	Actor   string           `json:"actor"`
	Via     string           `json:"via,omitempty"`
	Kind    registry.Kind    `json:"kind"`
	What    string           `json:"what"`
	Reason  string           `json:"reason,omitempty"`
	Key     string           `json:"key"`
	Command registry.Command `json:"command"`
	Hash    string           `json:"hash"`
	After   ledgerState      `json:"after"`
}

// ledgerState is what serves after an entry.
type ledgerState struct {
	Champion   int     `json:"champion"`
	Challenger int     `json:"challenger"`
	Weight     float64 `json:"weight"`
	Epoch      int64   `json:"epoch"`
}

func runHistory(ctx context.Context, o *historyOptions) error {
	head, err := o.head(ctx, o.model)
	if err != nil {
		return err
	}
	if o.refused {
		return o.refusals(ctx)
	}
	ledger, err := o.ledger(ctx, o.model)
	if err != nil {
		return err
	}
	from := int64(1)
	if o.limit > 0 {
		from = max(1, head.Seq-int64(o.limit)+1)
	}
	entries := []entryView{}
	err = ledger.History(ctx, from, func(e registry.Entry) error {
		entries = append(entries, viewEntry(e))
		return nil
	})
	if err != nil {
		return err
	}
	return o.print(entries, func(p *page) { historyTable(p, entries, from) })
}

func (o *historyOptions) refusals(ctx context.Context) error {
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	all := []registry.RefusedDecision{}
	err = registry.RefusedDecisions(ctx, store, o.model, func(r registry.RefusedDecision) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		return err
	}
	if o.limit > 0 {
		all = all[max(0, len(all)-o.limit):]
	}
	return o.print(all, func(p *page) {
		t := newTable("TIME", "ACTOR", "WANTED", "VERSION", "WHY NOT")
		for _, r := range all {
			t.add(p.ago(r.Time), r.Actor, r.Decision, version(r.Version), clip(r.Reason, 120))
		}
		p.table(t)
	})
}

func viewEntry(e registry.Entry) entryView {
	return entryView{
		Seq: e.Seq, Time: e.Time, Actor: e.Actor, Via: e.Via, Kind: e.Command.Kind, What: describeCommand(e), Reason: reasonOf(e.Command),
		Key: e.Key, Command: e.Command, Hash: e.Hash,
		After: ledgerState{Champion: e.State.Champion, Challenger: e.State.Challenger, Weight: e.State.Weight, Epoch: e.State.Epoch},
	}
}

// describeCommand says in words what an entry did.
func describeCommand(e registry.Entry) string {
	switch c := e.Command; {
	case c.Spec != nil:
		return "spec " + short(c.Spec.Digest)
	case c.Registered != nil:
		v, _ := e.State.ByArtifact(c.Registered.Artifact)
		imported := ""
		if i := c.Registered.Imported; i != nil {
			imported = fmt.Sprintf(", imported by %s from %s", i.By, short(i.Digest))
		}
		if run := c.Registered.TrainedIn; run != "" {
			imported = ", trained in " + run
		}
		return fmt.Sprintf("version %d, %s, artifact %s%s", v.Number, c.Registered.Verdict, short(c.Registered.Artifact), imported)
	case c.Approved != nil:
		return fmt.Sprintf("version %d by %s, evidence %s", c.Approved.Version, strings.Join(c.Approved.Approvers, ", "), short(c.Approved.Evidence))
	case c.Rejected != nil:
		return fmt.Sprintf("version %d, evidence %s", c.Rejected.Version, short(c.Rejected.Evidence))
	case c.Canary != nil:
		return describeCanary(*c.Canary)
	case c.Promoted != nil:
		return fmt.Sprintf("version %d is the champion", c.Promoted.Version)
	case c.RolledBack != nil:
		return describeRollback(e)
	}
	return string(e.Command.Kind)
}

func describeCanary(w registry.CanaryWeight) string {
	what := fmt.Sprintf("version %d at %s until %s", w.Version, percent(w.Weight), w.LeaseUntil.UTC().Format("15:04:05"))
	if !w.Deadline.IsZero() {
		what = fmt.Sprintf("deadline %s, %s", w.Deadline.UTC().Format("2006-01-02 15:04"), what)
	}
	if w.Action != "" {
		what = w.Action + ": " + what
	}
	return what
}

func describeRollback(e registry.Entry) string {
	r := e.Command.RolledBack
	var parts []string
	if r.Version > 0 {
		parts = append(parts, fmt.Sprintf("version %d out of traffic", r.Version))
	}
	if r.To > 0 {
		parts = append(parts, fmt.Sprintf("version %d is the champion again", r.To))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("version %d stays the champion", e.State.Champion)
	}
	return strings.Join(parts, ", ")
}

// reasonOf is why, wherever the command says it.
func reasonOf(c registry.Command) string {
	switch {
	case c.Reason != "":
		return c.Reason
	case c.Approved != nil:
		return c.Approved.Reason
	case c.Rejected != nil:
		return c.Rejected.Reason
	case c.RolledBack != nil:
		return c.RolledBack.Reason
	}
	return ""
}

// historyTable draws entries. A canary renews its lease at each look; such renewals are one row.
func historyTable(p *page, entries []entryView, from int64) {
	if from > 1 {
		p.line("%s", p.style.paint(toneDim, fmt.Sprintf("%d earlier entries: --limit 0 shows all", from-1)))
	}
	t := newTable("SEQ", "TIME", "KIND", "WHAT", "BY", "VIA", "REASON").alignRight(0)
	for i := 0; i < len(entries); i++ {
		e, renewed := entries[i], false
		for i+1 < len(entries) && renews(entries[i], entries[i+1]) {
			i++
			renewed = true
		}
		what := e.What
		if renewed {
			what += fmt.Sprintf(", lease renewed up to entry %d", entries[i].Seq)
		}
		t.add(fmt.Sprint(e.Seq), p.ago(e.Time), cell{text: string(e.Kind), tone: toneOf(string(e.Kind))}, what, clip(e.Actor, 40), e.Via, clip(e.Reason, 80))
	}
	p.table(t)
}

// renews tells an entry that only renews the lease of the one before.
func renews(before, e entryView) bool {
	return e.Kind == registry.KindCanaryWeight && before.Command.Canary != nil && e.Command.Canary.Action == "" &&
		before.Command.Canary.Version == e.Command.Canary.Version && before.Command.Canary.Weight == e.Command.Canary.Weight
}
