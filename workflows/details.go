package workflows

import (
	"fmt"
	"strings"

	"github.com/leanloop/leanloop/internal/canary"
)

// The current details are Markdown. A cell or a note may hold a file's name or an error's text, so both are escaped.

var statusMark = map[string]string{"running": "▶", "done": "✓", "failed": "✗", "skipped": "–", "waiting": "⏳"}

func renderLifecycle(s LifecycleState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", s.ID)
	if s.Outcome != "" {
		fmt.Fprintf(&b, "**%s**: %s\n\n", s.Outcome, escape(s.Reason))
	}
	b.WriteString("| stage | | seconds | |\n| --- | --- | ---: | --- |\n")
	for _, st := range s.Stages {
		fmt.Fprintf(&b, "| %s | %s %s | %.1f | %s |\n", st.Name, statusMark[st.Status], st.Status, st.Seconds, escape(st.Detail))
	}
	if a := s.Approval; a != nil && a.Status.IsOpen() && s.Outcome == "" {
		fmt.Fprintf(&b, "\n**Waiting for approval** of version %d (champion %d), evidence `%.12s`, until %s.\n\n%s\n",
			a.Evidence.Version, a.Evidence.Of.Champion, a.Evidence.Digest, a.Request.EndsAt().UTC().Format("2006-01-02 15:04 MST"),
			escape(a.Summary.Verdict.Summary()))
		for _, r := range a.Status.Refused {
			fmt.Fprintf(&b, "- refused: %s\n", escape(r.Error()))
		}
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "- %s\n", escape(n))
	}
	return b.String()
}

func renderModel(s ModelState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", s.Model)
	if s.Open != nil {
		fmt.Fprintf(&b, "Running `%s` since %s.\n", s.Open.ID, s.Open.Since.UTC().Format("2006-01-02 15:04:05"))
	} else {
		b.WriteString("No run is open.\n")
	}
	if len(s.Pending) > 0 {
		fmt.Fprintf(&b, "\n%d trigger(s) wait", len(s.Pending))
		if !s.DeferUntil.IsZero() {
			fmt.Fprintf(&b, " until %s", s.DeferUntil.UTC().Format("2006-01-02 15:04:05"))
		}
		b.WriteString(":\n")
		for i, t := range s.Pending {
			if i == 20 {
				fmt.Fprintf(&b, "- and %d more\n", len(s.Pending)-i)
				break
			}
			fmt.Fprintf(&b, "- %s %s\n", t.Kind, escape(t.Key))
		}
	}
	if r := s.LastResult; r != nil {
		fmt.Fprintf(&b, "\nLast: `%s` **%s**: %s\n", r.ID, r.Outcome, escape(r.Reason))
	}
	if s.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", escape(s.Note))
	}
	return b.String()
}

func renderCanary(s CanaryState) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### version %d at %.4g %% against %d\n\n", s.Version, 100*s.Weight, s.Champion)
	fmt.Fprintf(&b, "Step %d of %d, deadline %s, lease until %s.\n\n", s.State.Step+1, len(s.State.Config.Steps),
		s.State.Deadline.UTC().Format("2006-01-02 15:04:05"), s.Lease.UTC().Format("15:04:05"))
	switch f := s.State.Failed; {
	case s.State.Over():
		fmt.Fprintf(&b, "**%s**: %s\n\n", s.State.Outcome, escape(s.State.Reason))
	case f != nil:
		fmt.Fprintf(&b, "**Failed, waits for a person** until %s: resume, promote or abort. %s\n\n",
			s.State.EndsBy().UTC().Format("2006-01-02 15:04:05"), escape(f.Reason))
	case s.State.Paused:
		fmt.Fprintf(&b, "**Paused** by %s: %s\n\n", escape(s.State.By), escape(s.State.Reason))
	}
	if s.Target != "" {
		fmt.Fprintf(&b, "**Not confirmed**: %s\n\n", escape(s.Target))
	}
	last := s.State.Verdicts[max(0, len(s.State.Verdicts)-10):]
	if len(last) > 0 {
		b.WriteString("| time | verdict | requests (champion / challenger) | errors | |\n| --- | --- | --- | --- | --- |\n")
	}
	for _, j := range last {
		fmt.Fprintf(&b, "| %s | %s | %d / %d | %d / %d | %s |\n", j.At.UTC().Format("15:04:05"), j.Verdict,
			j.Requests.Champion, j.Requests.Challenger, j.Errors.Champion, j.Errors.Challenger, escape(judgementLine(j)))
	}
	return b.String()
}

func judgementLine(j canary.Judgement) string { return j.Reason() }

// escape keeps text from outside from being Markdown: table cells, links, markup, line breaks.
func escape(s string) string {
	const limit = 400
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return strings.NewReplacer("\n", " ", "\r", " ", "|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_", "[", "\\[", "`", "'", "#", "\\#").Replace(s)
}
