package activities

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/notify"
)

// approvalActions are the buttons under a question. Each carries the run and the evidence that the message shows; who
// may decide is the run's to say.
func approvalActions(in MessageInput) []notify.Action {
	q := notify.Question{Lifecycle: in.Lifecycle, Evidence: in.Evidence.Digest, Version: in.Evidence.Version}
	if q.Validate() != nil {
		return nil // a button that can't be taken is worse than none: the commands are in the text
	}
	return []notify.Action{
		{Kind: notify.ActionApprove, Text: "Approve", Value: q.String()},
		{Kind: notify.ActionReject, Text: "Reject ...", Value: q.String()},
		{Kind: notify.ActionDetails, Text: "Details", Value: q.String()},
	}
}

// ApprovalDetails words everything that a decision is about: what was judged, by which numbers, and who has to say what
// until when.
func ApprovalDetails(model, lifecycle string, e Evidence, s EvaluateSummary, r approval.Request, status approval.Status) notify.Message {
	lines := []string{"gates: " + s.Verdict.Summary()}
	for _, reason := range s.Verdict.Reasons {
		lines = append(lines, "• "+reason.Message)
	}
	if c := s.Comparison; c != nil {
		lines = append(lines, fmt.Sprintf("%s %.4f, champion (version %d) %.4f on the same %d rows; difference %+.4f, lower bound %+.4f",
			c.Metric, c.Challenger, s.Champion, c.Champion, c.Rows, c.Difference, c.Lower))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
		line := fmt.Sprintf("%s %.4g", name, s.Metrics[name])
		if before, ok := s.Previous[name]; ok {
			line += fmt.Sprintf(" (champion %.4g)", before)
		}
		lines = append(lines, line)
	}
	approvers := "nobody"
	if len(r.Policy.Approvers) > 0 {
		approvers = strings.Join(r.Policy.Approvers, ", ")
	}
	until := "no deadline"
	if end := r.EndsAt(); !end.IsZero() {
		until = "until " + clock(end)
	}
	outcome := fmt.Sprintf("open: %d more needed", status.Missing(r.Policy))
	if !status.IsOpen() {
		outcome = status.Outcome
	}
	return notify.Message{
		Key: lifecycle + "/details", Model: model, Lifecycle: lifecycle, Title: fmt.Sprintf("%s version %d", model, e.Version), Text: strings.Join(lines, "\n"),
		Fields: []notify.Field{
			{Name: "judged on", Value: fmt.Sprintf("%d rows; %d left out", s.JudgedRows, s.LeftOut)},
			{Name: "approvers", Value: approvers + "; " + until},
			{Name: "decision", Value: outcome},
			{Name: "approved by", Value: strings.Join(status.Approvers(), ", ")},
			{Name: "requested by", Value: r.RequestedBy},
			{Name: "evidence", Value: e.Digest}, {Name: "snapshot", Value: e.Of.Snapshot}, {Name: "spec", Value: e.Of.Spec}, {Name: "artifact", Value: e.Of.Artifact},
		},
	}
}
