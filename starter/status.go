package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/registry"
)

// statusOptions are starter status's.
type statusOptions struct {
	*app
	arg string
}

func newStatus(a *app, run func(context.Context, *statusOptions) error) *cobra.Command {
	o := &statusOptions{app: a}
	return &cobra.Command{
		Use: "status [MODEL|LIFECYCLE]", Short: "Show a model and its open or last run, or one run", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.arg = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
}

// modelStatus is a model with its open or last run.
type modelStatus struct {
	modelView
	// Unserved are the live gateways that don't serve what the ledger asks for, with their reasons.
	Unserved map[string]string `json:"gateway_problems,omitempty"`
	Run      *runView          `json:"run,omitempty"`
}

func runStatus(ctx context.Context, o *statusOptions) error {
	if ref, ok := parseRun(o.arg); ok {
		v, err := o.view(ctx, ref)
		if err != nil {
			return err
		}
		return o.print(v, func(p *page) { runTable(p, v) })
	}
	if o.arg == "" {
		names, err := o.models(ctx)
		if err != nil {
			return err
		}
		if len(names) != 1 {
			return runList(ctx, &listOptions{app: o.app, limit: 1})
		}
		o.arg = names[0]
	}
	s, err := o.modelStatus(ctx, o.arg)
	if err != nil {
		return err
	}
	return o.print(s, func(p *page) { modelStatusTable(p, s) })
}

func (a *app) modelStatus(ctx context.Context, model string) (modelStatus, error) {
	if _, err := a.head(ctx, model); err != nil {
		return modelStatus{}, err
	}
	engine, down := a.engine(ctx)
	view, err := a.modelView(ctx, model, engine)
	if err != nil {
		return modelStatus{}, err
	}
	s := modelStatus{modelView: view}
	if down != nil {
		s.Problem = down.Error()
	}
	if s.Unserved, err = a.unserved(ctx, model); err != nil {
		return s, err
	}
	ref, ok := parseRun(s.Open)
	if !ok {
		if ref, err = a.lastRun(ctx, model); err != nil || ref.number == 0 {
			return s, err
		}
	}
	run, err := a.view(ctx, ref)
	if err != nil && !isA[*notFoundError](err) {
		return s, err
	}
	s.Run = &run
	return s, nil
}

// unserved reads from heartbeats which gateways can't serve a model as the ledger asks, and why.
func (a *app) unserved(ctx context.Context, model string) (map[string]string, error) {
	store, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	beats, err := registry.Heartbeats(ctx, store)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, h := range registry.Live(beats, a.now()) {
		if problem := h.Models[model].Problem; problem != "" {
			out[h.ID] = problem
		}
	}
	return out, nil
}

func modelStatusTable(p *page, s modelStatus) {
	p.heading("%s", s.Model)
	champion := "none yet"
	if s.Champion > 0 {
		champion = fmt.Sprintf("version %d, for %s", s.Champion, span(p.now.Sub(s.ChampionSince)))
	}
	p.line("champion   %s", champion)
	if s.Challenger > 0 {
		p.line("challenger version %d at %s, lease ends %s", s.Challenger, percent(s.Weight), p.ago(s.LeaseUntil))
	}
	p.line("spec       %s, applied by %s %s", short(s.Spec), s.SpecBy, p.ago(s.SpecAt))
	p.line("ledger     entry %d, %s", s.Seq, p.ago(s.Changed))
	if s.Waiting > 0 {
		until := ""
		if !s.DeferUntil.IsZero() {
			until = ", until " + p.ago(s.DeferUntil)
		}
		p.line("waiting    %d trigger(s)%s", s.Waiting, until)
	}
	if len(s.Muted) > 0 {
		p.line("muted      %s, until another file is accepted", strings.Join(s.Muted, ", "))
	}
	if s.Note != "" {
		p.line("note       %s", clip(s.Note, 200))
	}
	for _, id := range slices.Sorted(maps.Keys(s.Unserved)) {
		p.line("%s %s: %s", p.style.paint(toneWarn, "gateway"), id, clip(s.Unserved[id], 500))
	}
	if s.Problem != "" {
		p.line("%s %s", p.style.paint(toneWarn, "not known just now:"), clip(s.Problem, 300))
	}
	if s.Run == nil {
		p.line("\nno run yet: starter submit %s", s.Model)
		return
	}
	p.line("")
	runTable(p, *s.Run)
}
