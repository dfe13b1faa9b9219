package workflows

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/search"
)

// shownTrials are the best of those that ended, in the current details.
const shownTrials = 5

// searchModel looks for the best parameters by a child workflow, and takes the best trial's model or trains anew.
func (l *lifecycle) searchModel(ctx workflow.Context) error {
	asked := *l.settings.Search
	l.state.Search = SearchID(l.in.Model, l.in.Number)
	l.detail("searches %d parameters in %d trials, %d at once", len(asked.Space), asked.Trials, asked.Parallel)
	l.describe(ctx)
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          l.state.Search,
		TaskQueue:           QueueLifecycle,
		WaitForCancellation: true,
		StaticSummary:       fmt.Sprintf("%d trials for %s", asked.Trials, asked.Metric.Name),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeModel.ValueSet(l.in.Model), AttributeTeam.ValueSet(l.in.Team), AttributeStage.ValueSet("train")),
	})
	var out activities.SearchResult
	err := workflow.ExecuteChildWorkflow(child, Search, activities.SearchInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Number: l.in.Number, Team: l.in.Team,
		Snapshot: l.snapshot.Digest, AsOf: l.asOf, Search: asked, Retries: l.settings.Retries, Limit: l.settings.TrainTimeout, Placement: l.settings.Placement,
	}).Get(ctx, &out)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return end(activities.Failed, "search: %s", reason(err))
	}
	l.result.Cost += out.Cost
	if out.Stopped != "" {
		l.note("search: %s", out.Stopped)
	}
	if out.Best == nil {
		return end(activities.Failed, "search: %s", out.Failure)
	}
	found := fmt.Sprintf("trial %d of %d, %s %s", out.Best.Number, out.Trials, asked.Metric.Name, shortNumber(out.Best.Value))
	if out.Model == nil {
		l.detail("trains with the parameters of %s", found)
		l.describe(ctx)
		if err := l.trainWith(ctx, out.Best.Number, out.Best.Params); err != nil {
			return err
		}
		l.detail("%s; %s", l.current().Detail, found)
		return nil
	}
	l.train, l.result.Trained = *out.Model, true
	l.detail("%d rows, %s", out.Model.TrainRows, found)
	return nil
}

func (s *searchRun) view() SearchState {
	v := SearchState{
		Model: s.in.Model, Number: s.in.Number, Metric: s.in.Search.Metric.Name, Goal: s.goal, Trials: s.in.Search.Trials,
		Ended: len(s.done), Pruned: s.count(search.Pruned), Failed: s.count(search.Failed), Running: slices.Clone(s.running),
		Cost: s.cost, Stopped: s.stopped, Waits: s.waits, Notes: slices.Clone(s.notes),
	}
	if best, ok := s.goal.Best(s.done); ok {
		v.Best = &best
	}
	return v
}

func (s *searchRun) note(format string, args ...any) {
	n := append(s.notes, fmt.Sprintf(format, args...))
	s.notes = n[max(0, len(n)-recentRefusals):]
}

func (s *searchRun) lastNotes() string {
	return strings.Join(s.notes[max(0, len(s.notes)-3):], "; ")
}

// describe writes the search's current details.
func (s *searchRun) describe(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, renderSearch(s.view(), s.done))
}

// SearchLine is where a search stands, in a line: trial 12 of 50, best log_loss 0.412.
func (s SearchState) SearchLine() string {
	line := fmt.Sprintf("trial %d of %d", min(s.Ended+len(s.Running), s.Trials), s.Trials)
	if len(s.Running) == 0 {
		line = fmt.Sprintf("%d of %d trials", s.Ended, s.Trials)
	}
	if s.Best != nil {
		line += fmt.Sprintf(", best %s %s", s.Metric, shortNumber(s.Best.Value))
	}
	if s.Pruned > 0 {
		line += fmt.Sprintf(", %d pruned", s.Pruned)
	}
	if s.Failed > 0 {
		line += fmt.Sprintf(", %d failed", s.Failed)
	}
	if s.Waits != "" {
		line += "; waits: " + s.Waits
	}
	return line
}

func renderSearch(s SearchState, done []search.Trial) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s.\n", SearchID(s.Model, s.Number), escape(s.SearchLine()))
	if s.Stopped != "" {
		fmt.Fprintf(&b, "\n**Stopped**: %s\n", escape(s.Stopped))
	}
	best := slices.DeleteFunc(slices.Clone(done), func(t search.Trial) bool { return t.State != search.Complete })
	slices.SortStableFunc(best, func(a, b search.Trial) int {
		if s.Goal == search.Maximize {
			a, b = b, a
		}
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	if len(best) > 0 {
		fmt.Fprintf(&b, "\n| trial | %s | parameters |\n| ---: | ---: | --- |\n", escape(s.Metric))
	}
	for _, t := range best[:min(shownTrials, len(best))] {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", t.Number, shortNumber(t.Value), escape(ParamsLine(t.Params)))
	}
	for _, n := range s.Notes[max(0, len(s.Notes)-shownTrials):] {
		fmt.Fprintf(&b, "- %s\n", escape(n))
	}
	return b.String()
}

// ParamsLine is a trial's parameters in a line, by name.
func ParamsLine(params map[string]any) string {
	var parts []string
	for _, name := range workflow.DeterministicKeys(params) {
		v := params[name]
		if f, ok := v.(float64); ok {
			v = shortNumber(f)
		}
		parts = append(parts, fmt.Sprintf("%s=%v", name, v))
	}
	return strings.Join(parts, " ")
}

func shortNumber(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
