package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
)

// listOptions are starter list's.
type listOptions struct {
	*app
	model string
	limit int
}

func newList(a *app, run func(context.Context, *listOptions) error) *cobra.Command {
	o := &listOptions{app: a}
	cmd := &cobra.Command{
		Use: "list [MODEL]", Aliases: []string{"ls"}, Short: "List models, or the runs of one", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.model = args[0]
			}
			if o.limit < 1 {
				return usagef("--limit %d: want at least 1", o.limit)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.limit, "limit", 20, "how many runs, newest first")
	return cmd
}

func runList(ctx context.Context, o *listOptions) error {
	if o.model != "" {
		return o.listRuns(ctx)
	}
	names, err := o.models(ctx)
	if err != nil {
		return err
	}
	rows := make([]modelView, 0, len(names))
	engine, down := o.engine(ctx)
	if down != nil {
		o.say("open runs aren't shown: %v", down)
	}
	for _, name := range names {
		v, err := o.modelView(ctx, name, engine)
		if err != nil {
			return err
		}
		rows = append(rows, v)
	}
	return o.print(rows, func(p *page) { modelsTable(p, rows) })
}

// listRuns lists the newest runs of a model.
func (o *listOptions) listRuns(ctx context.Context) error {
	if _, err := o.head(ctx, o.model); err != nil {
		return err
	}
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	last, err := activities.LastRun(ctx, store, o.model)
	if err != nil {
		return fmt.Errorf("runs of %s: %w", o.model, err)
	}
	runs := []runView{}
	for n := last; n > max(0, last-o.limit); n-- {
		v, err := o.view(ctx, runRef{model: o.model, number: n})
		if err != nil {
			return err
		}
		runs = append(runs, v)
	}
	return o.print(runs, func(p *page) { runsTable(p, o.model, runs) })
}

func runsTable(p *page, model string, runs []runView) {
	if len(runs) == 0 {
		p.line("%s has had no run: starter submit %s", model, model)
		return
	}
	t := newTable("RUN", "OUTCOME", "STAGE", "VERSION", "ROWS", "TOOK", "STARTED", "WHY").alignRight(3, 4, 5)
	for _, r := range runs {
		took := p.now.Sub(r.Started)
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Started)
		}
		started, length := "-", "-"
		if !r.Started.IsZero() {
			started, length = p.ago(r.Started), span(took)
		}
		t.add(fmt.Sprintf("%s/%d", r.Model, r.Number), mark(first(r.Outcome, "running")), first(r.Stage, "-"), version(r.Version),
			fmt.Sprint(r.Rows), length, started, clip(first(r.Reason, r.Why), 80))
	}
	p.table(t)
}

// modelView is one model: what serves, what is tried, what runs.
type modelView struct {
	Model         string                      `json:"model"`
	Champion      int                         `json:"champion"`
	ChampionSince time.Time                   `json:"champion_since,omitzero"`
	Challenger    int                         `json:"challenger"`
	Weight        float64                     `json:"weight"`
	LeaseUntil    time.Time                   `json:"lease_until,omitzero"`
	Versions      int                         `json:"versions"`
	Epoch         int64                       `json:"epoch"`
	Spec          string                      `json:"spec"`
	SpecBy        string                      `json:"spec_applied_by,omitempty"`
	SpecAt        time.Time                   `json:"spec_applied_at,omitzero"`
	Seq           int64                       `json:"seq"`
	Changed       time.Time                   `json:"changed"` // time of the ledger's newest entry
	Open          string                      `json:"open_run,omitempty"`
	Stage         string                      `json:"stage,omitempty"`
	Waiting       int                         `json:"triggers_waiting,omitempty"`
	DeferUntil    time.Time                   `json:"triggers_wait_until,omitzero"`
	Muted         []string                    `json:"muted,omitempty"`
	Note          string                      `json:"note,omitempty"`
	Last          *activities.LifecycleResult `json:"last,omitempty"`
	URL           string                      `json:"url,omitempty"`
	Problem       string                      `json:"problem,omitempty"`
}

// modelView gathers what the ledger and the model's workflow know. Without an engine, or an answer of its, the ledger's
// part stands alone.
func (a *app) modelView(ctx context.Context, name string, engine observer) (modelView, error) {
	head, err := a.head(ctx, name)
	if err != nil {
		return modelView{}, err
	}
	s := head.State
	v := modelView{
		Model: name, Champion: s.Champion, ChampionSince: s.ChampionSince, Challenger: s.Challenger, Weight: s.Weight,
		Versions: len(s.Versions), Epoch: s.Epoch, Spec: s.Spec.Digest, SpecBy: s.Spec.AppliedBy, SpecAt: s.Spec.At,
		Seq: head.Seq, Changed: head.Time,
	}
	if s.Lease != nil {
		v.LeaseUntil = s.Lease.Until
	}
	if engine == nil {
		return v, nil
	}
	state, err := engine.Model(ctx, name)
	if err != nil {
		v.Problem = err.Error()
		return v, ctx.Err()
	}
	v.Waiting, v.DeferUntil, v.Muted, v.Note, v.Last = len(state.Pending), state.DeferUntil, state.Muted, state.Note, state.LastResult
	if state.Open == nil {
		return v, nil
	}
	v.Open = state.Open.ID
	if run, err := engine.Lifecycle(ctx, v.Open); err == nil {
		v.Stage = run.Stage
	}
	return v, ctx.Err()
}

func modelsTable(p *page, models []modelView) {
	if len(models) == 0 {
		p.line("no models: starter apply -f model.yaml, or starter init FILE > model.yaml first")
		return
	}
	t := newTable("MODEL", "CHAMPION", "SINCE", "CHALLENGER", "RUN", "STAGE", "LAST", "SPEC", "CHANGED").alignRight(1)
	for _, m := range models {
		challenger, last := version(m.Challenger), cell{text: "-"}
		if m.Challenger > 0 {
			challenger = fmt.Sprintf("%d at %s", m.Challenger, percent(m.Weight))
		}
		if m.Last != nil {
			last = mark(m.Last.Outcome)
		}
		t.add(m.Model, version(m.Champion), p.ago(m.ChampionSince), challenger, first(runName(m.Open), "-"), first(m.Stage, "-"), last, short(m.Spec), p.ago(m.Changed))
	}
	p.table(t)
	for _, m := range models {
		if m.Problem != "" {
			p.line("%s: %s", m.Model, clip(m.Problem, 200))
		}
	}
}

// runName is a run without the word that all runs' ids begin with.
func runName(id string) string {
	if r, ok := parseRun(id); ok {
		return fmt.Sprintf("%s/%d", r.model, r.number)
	}
	return id
}
