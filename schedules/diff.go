package schedules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// Actions of a Change.
const (
	ActionCreate = "create"
	ActionUpdate = "update"
	ActionDelete = "delete"
	ActionKeep   = "keep"
)

// Change is what is to be done about one schedule.
type Change struct {
	ID     string  `json:"id"`
	Action string  `json:"action"`
	Fields []Field `json:"fields,omitempty"` // of an update: what differs; of a creation: what it will be
	Paused bool    `json:"paused,omitempty"` // it is paused, and stays so
	Note   string  `json:"note,omitempty"`   // why it is paused
}

// Field is one difference.
type Field struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// String is the change on one line.
func (c Change) String() string {
	parts := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		parts[i] = f.String()
	}
	line := c.Action + " " + c.ID
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	if c.Paused {
		line += " (stays paused)"
	}
	return line
}

// String is the field with both its values, or the new one alone where there was none.
func (f Field) String() string {
	if f.From == "" {
		return f.Name + " " + f.To
	}
	if f.To == "" {
		return fmt.Sprintf("%s %s -> none", f.Name, f.From)
	}
	return fmt.Sprintf("%s %s -> %s", f.Name, f.From, f.To)
}

// Current is a schedule that is there.
type Current struct {
	Schedule
	Paused bool
	Note   string
}

// Diff says what makes current into desired, by id.
func Diff(current []Current, desired []Schedule) []Change {
	var out []Change
	for _, d := range desired {
		i := slices.IndexFunc(current, func(c Current) bool { return c.ID == d.ID })
		if i < 0 {
			out = append(out, Change{ID: d.ID, Action: ActionCreate, Fields: differences(Schedule{}, d)})
			continue
		}
		c := Change{ID: d.ID, Action: ActionKeep, Paused: current[i].Paused, Note: current[i].Note}
		if c.Fields = differences(current[i].Schedule, d); len(c.Fields) > 0 {
			c.Action = ActionUpdate
		}
		out = append(out, c)
	}
	for _, c := range current {
		if !slices.ContainsFunc(desired, func(d Schedule) bool { return d.ID == c.ID }) {
			out = append(out, Change{ID: c.ID, Action: ActionDelete})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Changes are those of the changes that aren't keep.
func Changes(all []Change) []Change {
	return slices.DeleteFunc(slices.Clone(all), func(c Change) bool { return c.Action == ActionKeep })
}

// differences lists the fields that differ; those of the id are none.
func differences(from, to Schedule) []Field {
	var out []Field
	a, b := fields(from), fields(to)
	for i := range a {
		if a[i].To != b[i].To {
			out = append(out, Field{Name: a[i].Name, From: a[i].To, To: b[i].To})
		}
	}
	return out
}

// fields are a schedule's settings as people read them; one that isn't set is empty.
func fields(s Schedule) []Field {
	pause := ""
	if s.ID != "" {
		pause = fmt.Sprint(s.PauseOnErr)
	}
	return []Field{
		{Name: "workflow", To: s.Workflow},
		{Name: "model", To: s.Model},
		{Name: "team", To: s.Team},
		{Name: "task_queue", To: s.TaskQueue},
		{Name: "every", To: duration(s.Every)},
		{Name: "offset", To: duration(s.Offset)},
		{Name: "cron", To: s.Cron},
		{Name: "jitter", To: duration(s.Jitter)},
		{Name: "overlap", To: s.Overlap},
		{Name: "catch_up", To: duration(s.CatchUp)},
		{Name: "pause_on_failure", To: pause},
	}
}

// duration is one as people write it: whole units where it has them, as 7d, else 46m49s.
func duration(d spec.Duration) string {
	switch {
	case d == 0:
		return ""
	case d.D()%time.Hour == 0 || d.D() < time.Minute:
		return d.String()
	}
	return d.D().String()
}
