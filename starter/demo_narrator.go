package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/workflows"
)

// narrator tells the story as it happens. It is used by one goroutine.
type narrator struct {
	out  io.Writer
	told map[string]string // stage of a run -> the status told last
}

func newNarrator(out io.Writer) *narrator { return &narrator{out: out, told: map[string]string{}} }

func (n *narrator) line(format string, args ...any) {
	_, _ = fmt.Fprintf(n.out, format+"\n", args...)
}

func (n *narrator) chapter(number int, title, what string) {
	n.line("\n%d. %s\n   %s", number, title, what)
}

func (n *narrator) note(format string, args ...any) { n.line("   "+format, args...) }

// stages tells what ended since the last look, one line a stage.
func (n *narrator) stages(s workflows.LifecycleState) {
	for _, stage := range s.Stages {
		key := s.ID + "/" + stage.Name
		if n.told[key] == stage.Status || stage.Status == "running" || stage.Status == "skipped" {
			continue
		}
		n.told[key] = stage.Status
		mark := map[string]string{"done": "✓", "failed": "✗", "waiting": "…"}[stage.Status]
		if stage.Status == "waiting" {
			continue // the question follows
		}
		// What a file fails by is a list: one line each.
		details := strings.Split(stage.Detail, "; column ")
		n.note("%s %-9s %5.1f s  %s", mark, stage.Name, stage.Seconds, details[0])
		for _, more := range details[1:] {
			n.note("                     column %s", more)
		}
	}
	for i, note := range s.Notes {
		key := fmt.Sprintf("%s/note/%d", s.ID, i)
		if n.told[key] == "" && !strings.HasPrefix(note, "refused: ") { // the stage has said so
			n.told[key] = "told"
			n.note("· %s", note)
		}
	}
}

// outcome closes a chapter. A reason that a stage has given already isn't told again.
func (n *narrator) outcome(r activities.LifecycleResult) {
	for _, stage := range r.Stages {
		if strings.Contains(stage.Detail, r.Reason) {
			n.note("→ run %d: %s", r.Number, r.Outcome)
			return
		}
	}
	n.note("→ run %d: %s, %s", r.Number, r.Outcome, r.Reason)
}

// question shows what a person is asked to decide over.
func (n *narrator) question(s workflows.LifecycleState) {
	a := s.Approval
	n.note("? approve version %d of %s", a.Evidence.Version, s.Model)
	for _, r := range a.Summary.Verdict.Reasons {
		n.note("    %-12s %s", r.Outcome, r.Message)
	}
	if c := a.Summary.Comparison; c != nil {
		n.note("    against the champion, version %d, on the same %d flights: %s %.4f, was %.4f (lower bound of the change %+.4f)",
			a.Summary.Champion, c.Rows, c.Metric, c.Challenger, c.Champion, c.Lower)
	}
	n.note("    %s", metricsLine(a.Summary.Metrics))
}

func metricsLine(m evaluation.Values) string {
	var parts []string
	for _, name := range []string{"accuracy", "precision", "recall", "f1", "roc_auc", "latency_p99_ms"} {
		if v, ok := m[name]; ok {
			parts = append(parts, fmt.Sprintf("%s %.4f", name, v))
		}
	}
	return strings.Join(parts, "  ")
}
