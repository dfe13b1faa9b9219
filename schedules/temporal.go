package schedules

import (
	"fmt"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// toOptions is the schedule as it is created.
func toOptions(s Schedule) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: s.ID, Spec: toSpec(s), Action: toAction(s), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: s.CatchUp.D(), PauseOnFailure: s.PauseOnErr,
	}
}

// toSchedule is the schedule as it is updated, with the state it has.
func toSchedule(s Schedule, state *client.ScheduleState) *client.Schedule {
	timing := toSpec(s)
	return &client.Schedule{
		Spec: &timing, Action: toAction(s), State: state,
		Policy: &client.SchedulePolicies{
			Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: s.CatchUp.D(), PauseOnFailure: s.PauseOnErr,
		},
	}
}

// toSpec is when it fires. The server turns a cron line into a calendar and keeps only the line's comment, so the
// comment repeats the line: that is how fromTemporal knows it.
func toSpec(s Schedule) client.ScheduleSpec {
	if s.Cron != "" {
		return client.ScheduleSpec{CronExpressions: []string{s.Cron + " # " + s.Cron}, Jitter: s.Jitter.D()}
	}
	return client.ScheduleSpec{
		Intervals: []client.ScheduleIntervalSpec{{Every: s.Every.D(), Offset: s.Offset.D()}}, Jitter: s.Jitter.D(),
	}
}

func toAction(s Schedule) *client.ScheduleWorkflowAction {
	attributes := []temporal.SearchAttributeUpdate{workflows.AttributeModel.ValueSet(s.Model)}
	if s.Team != "" {
		attributes = append(attributes, workflows.AttributeTeam.ValueSet(s.Team))
	}
	return &client.ScheduleWorkflowAction{
		ID: s.ID, Workflow: s.Workflow, TaskQueue: s.TaskQueue, Args: []any{activities.MonitorInput{Model: s.Model}},
		TypedSearchAttributes: temporal.NewSearchAttributes(attributes...),
	}
}

// fromTemporal reads back what is there. What this package never sets, such as a second interval that somebody added in
// the UI, shows as a difference, so that the next apply removes it.
func fromTemporal(id string, d *client.ScheduleDescription) (Current, error) {
	out := Current{Schedule: Schedule{ID: id}}
	if state := d.Schedule.State; state != nil {
		out.Paused, out.Note = state.Paused, state.Note
	}
	if p := d.Schedule.Policy; p != nil {
		out.Overlap, out.CatchUp, out.PauseOnErr = overlapName(p.Overlap), spec.Duration(p.CatchupWindow), p.PauseOnFailure
	}
	if d.Schedule.Spec != nil {
		readSpec(&out.Schedule, *d.Schedule.Spec)
	}
	action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return out, nil
	}
	out.TaskQueue, out.Workflow = action.TaskQueue, fmt.Sprint(action.Workflow)
	out.Team, _ = action.TypedSearchAttributes.GetKeyword(workflows.AttributeTeam)
	var in activities.MonitorInput
	if err := argument(action.Args, &in); err != nil {
		return out, err
	}
	out.Model = in.Model
	return out, nil
}

func readSpec(s *Schedule, timing client.ScheduleSpec) {
	s.Jitter = spec.Duration(timing.Jitter)
	lines := make([]string, 0, len(timing.Calendars))
	for _, c := range timing.Calendars {
		line := c.Comment
		if line == "" {
			line = "a calendar that isn't of leanloop"
		}
		lines = append(lines, line)
	}
	s.Cron = strings.Join(lines, "; ")
	if len(timing.Intervals) == 1 {
		s.Every, s.Offset = spec.Duration(timing.Intervals[0].Every), spec.Duration(timing.Intervals[0].Offset)
		return
	}
	if len(timing.Intervals) > 1 {
		s.Cron = strings.Join(append(lines, fmt.Sprintf("%d intervals", len(timing.Intervals))), "; ")
	}
}

// argument decodes the only argument; the server returns it encoded. Anything else leaves into empty, which shows as a
// difference.
func argument(args []any, into any) error {
	if len(args) != 1 {
		return nil
	}
	payload, ok := args[0].(*commonpb.Payload)
	if !ok {
		return nil
	}
	if err := converter.GetDefaultDataConverter().FromPayload(payload, into); err != nil {
		return fmt.Errorf("its argument: %w", err)
	}
	return nil
}

func overlapName(p enumspb.ScheduleOverlapPolicy) string {
	if p == enumspb.SCHEDULE_OVERLAP_POLICY_SKIP || p == enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED {
		return overlapSkip
	}
	return strings.ToLower(p.String())
}
