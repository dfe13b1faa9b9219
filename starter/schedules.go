package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/schedules"
)

// newSchedules is starter schedules.
func newSchedules(a *app) *cobra.Command {
	cmd := group("schedules", "Converge, compare, list, pause and resume the checks that run by schedule")
	cmd.AddCommand(
		newScheduleChange(a, "apply", "Make a model's schedules what its spec asks for, and show the difference", runSchedulesApply),
		newScheduleChange(a, "diff", "Show what apply would do; exit code 0 either way", runSchedulesDiff),
		newScheduleList(a, runSchedulesList),
		newSchedulePause(a, "pause", "Pause a schedule, or all of a model's; apply keeps the pause", runSchedulesPause),
		newSchedulePause(a, "resume", "Resume a schedule, or all of a model's", runSchedulesPause),
	)
	return cmd
}

// scheduleChangeOptions are those of schedules apply and diff.
type scheduleChangeOptions struct {
	*app
	file  string
	model string
}

func newScheduleChange(a *app, use, short string, run func(context.Context, *scheduleChangeOptions) error) *cobra.Command {
	o := &scheduleChangeOptions{app: a}
	cmd := &cobra.Command{
		Use: use + " (MODEL | -f model.yaml)", Short: short, Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.file != "") {
				return usagef("which model? MODEL, or -f model.yaml, and not both")
			}
			if len(args) == 1 {
				o.model = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "the spec (default: the one that is applied)")
	return cmd
}

// spec is the file's, or the one that is applied.
func (o *scheduleChangeOptions) spec(ctx context.Context) (*spec.Model, error) {
	if o.file != "" {
		return spec.Load(o.file)
	}
	head, err := o.head(ctx, o.model)
	if err != nil {
		return nil, err
	}
	return o.appliedSpec(ctx, o.model, head.State.Spec.Digest)
}

func runSchedulesApply(ctx context.Context, o *scheduleChangeOptions) error {
	return o.change(ctx, schedules.Apply)
}

func runSchedulesDiff(ctx context.Context, o *scheduleChangeOptions) error {
	return o.change(ctx, schedules.Plan)
}

func (o *scheduleChangeOptions) change(ctx context.Context, do func(context.Context, client.ScheduleClient, string, []schedules.Schedule) ([]schedules.Change, error)) error {
	m, err := o.spec(ctx)
	if err != nil {
		return err
	}
	c, err := o.scheduler(ctx)
	if err != nil {
		return err
	}
	all, err := do(ctx, c, m.Metadata.Name, schedules.Desired(m))
	if err != nil {
		return err
	}
	return o.print(all, func(p *page) { schedulesDiffTable(p, all) })
}

func schedulesDiffTable(p *page, all []schedules.Change) {
	if len(all) == 0 {
		p.line("the spec asks for no schedule, and there is none")
		return
	}
	t := newTable("SCHEDULE", "ACTION", "FIELD", "FROM", "TO")
	for _, c := range all {
		action := c.Action
		if c.Paused {
			action += ", stays paused"
		}
		if len(c.Fields) == 0 {
			t.add(c.ID, cell{text: action, tone: toneOf(c.Action)})
		}
		for i, f := range c.Fields {
			id, act := c.ID, cell{text: action, tone: toneOf(c.Action)}
			if i > 0 {
				id, act = "", cell{}
			}
			t.add(id, act, f.Name, first(f.From, "-"), first(f.To, "-"))
		}
	}
	p.table(t)
}

// scheduleListOptions are those of schedules list.
type scheduleListOptions struct {
	*app
	model string
}

func newScheduleList(a *app, run func(context.Context, *scheduleListOptions) error) *cobra.Command {
	o := &scheduleListOptions{app: a}
	return &cobra.Command{
		Use: "list [MODEL]", Short: "List schedules with their last and next run", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.model = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
}

// scheduleView is one schedule as it is.
type scheduleView struct {
	ID       string    `json:"id"`
	Model    string    `json:"model"`
	Workflow string    `json:"workflow"`
	When     string    `json:"when"`
	Paused   bool      `json:"paused"`
	Note     string    `json:"note,omitempty"`
	Actions  int       `json:"actions"`
	Missed   int       `json:"missed"`  // for the catch-up window
	Skipped  int       `json:"skipped"` // since the one before still ran
	Last     time.Time `json:"last,omitzero"`
	Next     time.Time `json:"next,omitzero"`
}

func runSchedulesList(ctx context.Context, o *scheduleListOptions) error {
	names := []string{o.model}
	if o.model == "" {
		var err error
		if names, err = o.models(ctx); err != nil {
			return err
		}
	}
	c, err := o.scheduler(ctx)
	if err != nil {
		return err
	}
	rows := []scheduleView{}
	for _, name := range names {
		found, err := schedules.Read(ctx, c, name)
		if err != nil {
			return err
		}
		for _, s := range found {
			v, err := viewSchedule(ctx, c, s)
			if err != nil {
				return err
			}
			rows = append(rows, v)
		}
	}
	return o.print(rows, func(p *page) { scheduleListTable(p, rows) })
}

func viewSchedule(ctx context.Context, c client.ScheduleClient, s schedules.Current) (scheduleView, error) {
	v := scheduleView{ID: s.ID, Model: s.Model, Workflow: s.Workflow, Paused: s.Paused, Note: s.Note, When: "cron " + s.Cron}
	if s.Every > 0 {
		v.When = "every " + s.Every.String()
	}
	d, err := c.GetHandle(ctx, s.ID).Describe(ctx)
	if err != nil {
		return v, explain(err, "schedule "+s.ID, queryWithin)
	}
	v.Actions, v.Missed, v.Skipped = d.Info.NumActions, d.Info.NumActionsMissedCatchupWindow, d.Info.NumActionsSkippedOverlap
	if n := len(d.Info.RecentActions); n > 0 {
		v.Last = d.Info.RecentActions[n-1].ActualTime
	}
	if len(d.Info.NextActionTimes) > 0 && !s.Paused {
		v.Next = d.Info.NextActionTimes[0]
	}
	return v, nil
}

func scheduleListTable(p *page, rows []scheduleView) {
	if len(rows) == 0 {
		p.line("no schedules: starter schedules apply MODEL")
		return
	}
	t := newTable("SCHEDULE", "WHEN", "STATE", "RUNS", "MISSED", "SKIPPED", "LAST", "NEXT", "NOTE").alignRight(3, 4, 5)
	for _, s := range rows {
		state := cell{text: "on", tone: toneGood}
		if s.Paused {
			state = mark("paused")
		}
		t.add(s.ID, s.When, state, fmt.Sprint(s.Actions), fmt.Sprint(s.Missed), fmt.Sprint(s.Skipped), p.ago(s.Last), p.ago(s.Next), clip(s.Note, 80))
	}
	p.table(t)
}

// schedulePauseOptions are those of schedules pause and resume.
type schedulePauseOptions struct {
	*app
	action string
	arg    string
	reason string
}

func newSchedulePause(a *app, action, short string, run func(context.Context, *schedulePauseOptions) error) *cobra.Command {
	o := &schedulePauseOptions{app: a, action: action}
	cmd := &cobra.Command{
		Use: action + " SCHEDULE|MODEL", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.arg = args[0]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is the schedule's note")
	return cmd
}

func runSchedulesPause(ctx context.Context, o *schedulePauseOptions) error {
	actor, err := o.actor()
	if err != nil {
		return err
	}
	c, err := o.scheduler(ctx)
	if err != nil {
		return err
	}
	ids, one := schedules.IDs(o.arg), false
	if _, model, ok := strings.Cut(o.arg, "/"); ok {
		ids, one = []string{o.arg}, true
		if known := schedules.IDs(model); !slices.Contains(known, o.arg) {
			return usagef("schedule %q: want one of %s", o.arg, strings.Join(known, ", "))
		}
	}
	note := withReason(fmt.Sprintf("%sd by %s", o.action, actor), o.reason)
	done := []string{}
	for _, id := range ids {
		err := o.set(ctx, c.GetHandle(ctx, id), note)
		if isA[*serviceerror.NotFound](err) && !one {
			continue
		}
		if err != nil {
			return explain(err, "schedule "+id, queryWithin)
		}
		done = append(done, id)
	}
	if len(done) == 0 {
		return notFound("a schedule of "+o.arg, "`starter schedules list` names those there are")
	}
	return o.print(done, func(p *page) { p.line("%s: %s", note, strings.Join(done, ", ")) })
}

func (o *schedulePauseOptions) set(ctx context.Context, h client.ScheduleHandle, note string) error {
	if o.action == "pause" {
		return h.Pause(ctx, client.SchedulePauseOptions{Note: note})
	}
	return h.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
}
