package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// trialsOptions are starter trials'.
type trialsOptions struct {
	*app
	run  string
	html string
}

func newTrials(a *app, run func(context.Context, *trialsOptions) error) *cobra.Command {
	o := &trialsOptions{app: a}
	cmd := &cobra.Command{
		Use: "trials RUN", Short: "Show a run's hyperparameter search, the best trial first", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		Long: `Show what the trials of a search (train.search) tried and what came of them: those that ended, from the bucket, for
as long as it lasts; and those that run, from the search's workflow, where Temporal answers.

RUN is a run (sales/3), or a model: its open run, or else its last one. -o json has the reports of each trial as well.`,
		Example: `  starter trials sales
  starter trials sales/3 --html trials.html
  starter trials sales/3 -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.run = args[0]
			if err := checkPage(o.html); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.html, "html", "", pageFlag)
	return cmd
}

// trialsView is the result.
type trialsView struct {
	Run        string                   `json:"run"`
	Metric     string                   `json:"metric"`
	Goal       search.Goal              `json:"goal"`
	Planned    int                      `json:"planned"` // trials, at most
	Best       int                      `json:"best,omitempty"`
	Running    []search.Trial           `json:"running,omitempty"`
	Trials     []activities.TrialRecord `json:"trials"` // that ended, by number
	Importance []search.Importance      `json:"importance,omitempty"`
	Stopped    string                   `json:"stopped,omitempty"`
	Problem    string                   `json:"problem,omitempty"` // why it isn't known what runs
}

func runTrials(ctx context.Context, o *trialsOptions) error {
	r, _, err := o.findRun(ctx, o.run)
	if err != nil {
		return err
	}
	v, shown, err := o.trials(ctx, r)
	if err != nil {
		return err
	}
	if err := writePage(o.html, func(w io.Writer) error { return report.Search(w, shown) }); err != nil {
		return err
	}
	return o.print(v, func(p *page) { trialsTable(p, v, shown.Trials) })
}

// trials gathers what is known of a run's search.
func (o *trialsOptions) trials(ctx context.Context, r runRef) (trialsView, report.SearchPage, error) {
	v := trialsView{Run: r.id()}
	m, err := o.specOf(ctx, r)
	if err != nil {
		return v, report.SearchPage{}, err
	}
	s := m.Train.Search
	if s == nil {
		return v, report.SearchPage{}, notFound("a search in run "+r.id(), "its spec has no train.search")
	}
	space, err := s.Space.Compile()
	if err != nil {
		return v, report.SearchPage{}, err
	}
	store, err := o.store(ctx)
	if err != nil {
		return v, report.SearchPage{}, err
	}
	v.Metric, v.Goal, v.Planned = s.Metric.Name, search.Goal(s.Metric.Goal), s.Trials
	if v.Trials, err = activities.ReadTrials(ctx, store, r.model, r.number); err != nil {
		return v, report.SearchPage{}, fmt.Errorf("trials of %s: %w", r.id(), err)
	}
	o.askSearch(ctx, r, &v)
	page := report.SearchPage{
		Title: r.model, Subject: fmt.Sprintf("run %d", r.number), At: o.now(), Metric: v.Metric, Goal: v.Goal, Planned: v.Planned,
		Space: space, Stopped: v.Stopped,
	}
	var ended []search.Trial
	for _, t := range v.Trials {
		ended = append(ended, t.Trial)
		page.Trials = append(page.Trials, report.SearchTrial{Trial: t.Trial, Reason: t.Reason, Seconds: t.Seconds, Cost: t.Cost})
	}
	for _, t := range v.Running {
		page.Trials = append(page.Trials, report.SearchTrial{Trial: t})
	}
	if best, ok := v.Goal.Best(ended); ok {
		v.Best = best.Number
	}
	v.Importance = search.Importances(space, ended)
	return v, page, nil
}

// askSearch asks the search's workflow what runs. One that has ended, or isn't known any more, has nothing to say that
// the bucket doesn't.
func (o *trialsOptions) askSearch(ctx context.Context, r runRef, v *trialsView) {
	engine, err := o.engine(ctx)
	if err != nil {
		v.Problem = err.Error()
		return
	}
	state, err := engine.Search(ctx, workflows.SearchID(r.model, r.number))
	if isA[*notFoundError](err) {
		return
	}
	if err != nil {
		v.Problem = err.Error()
		return
	}
	v.Stopped = state.Stopped
	for _, t := range state.Running {
		if !slices.ContainsFunc(v.Trials, func(done activities.TrialRecord) bool { return done.Number == t.Number }) {
			v.Running = append(v.Running, t)
		}
	}
}

// specOf reads the spec that a run is pinned to.
func (a *app) specOf(ctx context.Context, r runRef) (*spec.Model, error) {
	store, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	record, err := activities.ReadRecord(ctx, store, r.model, r.number)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, notFound("run "+r.id(), fmt.Sprintf("`starter list %s` names those there are", r.model))
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.id(), err)
	}
	raw, err := registry.ReadSpec(ctx, store, r.model, record.Input.Spec)
	if err != nil {
		return nil, fmt.Errorf("spec of run %s: %w", r.id(), err)
	}
	return spec.Parse("spec "+record.Input.Spec, raw)
}

// trialsTable draws trials, the best first.
func trialsTable(p *page, v trialsView, trials []report.SearchTrial) {
	counts := map[search.State]int{}
	for _, t := range trials {
		counts[t.State]++
	}
	p.heading("%s: %d of %d trials, %s %s", v.Run, len(v.Trials), v.Planned, v.Goal, v.Metric)
	p.line("%d complete, %d pruned, %d failed, %d running", counts[search.Complete], counts[search.Pruned], counts[search.Failed], counts[search.Running])
	if v.Stopped != "" {
		p.line("ended early: %s", clip(v.Stopped, 200))
	}
	if len(trials) > 0 {
		p.line("")
		t := newTable("TRIAL", "STATE", strings.ToUpper(oneLine(v.Metric)), "SECONDS", "COST", "PARAMETERS").alignRight(0, 2, 3, 4)
		for _, row := range report.SortTrials(trials, v.Goal) {
			trialLine(t, row, row.Number == v.Best)
		}
		p.table(t)
	}
	if len(v.Importance) > 0 {
		p.line("")
		var parts []string
		for _, i := range v.Importance[:min(5, len(v.Importance))] {
			parts = append(parts, fmt.Sprintf("%s %.0f%%", i.Param, 100*i.Share))
		}
		p.line("explained by one parameter alone: %s", strings.Join(parts, ", "))
	}
	if v.Problem != "" {
		p.line("%s %s", p.style.paint(toneWarn, "not known just now what runs:"), clip(v.Problem, 300))
	}
}

func trialLine(t *table, row report.SearchTrial, best bool) {
	state := cell{text: string(row.State), tone: toneOf(string(row.State))}
	value, seconds, cost := "-", "-", "-"
	switch row.State {
	case search.Complete:
		value, state.tone = number(row.Value), tonePlain
		if best {
			state = cell{text: "best", tone: toneGood}
		}
	case search.Pruned:
		value, state.text = number(row.Value), fmt.Sprintf("pruned at %d", row.Step)
		state.tone = toneDim
	}
	if row.Seconds > 0 {
		seconds = fmt.Sprintf("%.1f", row.Seconds)
	}
	if row.Cost > 0 {
		cost = fmt.Sprintf("%.2f", row.Cost)
	}
	what := workflows.ParamsLine(row.Params)
	if row.State == search.Failed && row.Reason != "" {
		what += ": " + row.Reason
	}
	t.add(fmt.Sprint(row.Number), state, value, seconds, cost, clip(what, 120))
}
