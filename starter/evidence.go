package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/workflows"
)

// evidenceTable draws what a person decides by: the version, what it was judged on, every gate with its numbers, and the
// comparison with the champion on the same rows.
func evidenceTable(p *page, lifecycle string, a workflows.ApprovalState) {
	e, s := a.Evidence, a.Summary
	p.heading("%s version %d waits for a decision (%s)", e.Of.Model, e.Version, lifecycle)
	p.line("evidence   %s", short(e.Digest))
	p.line("snapshot   %s, spec %s", short(e.Of.Snapshot), short(e.Of.Spec))
	p.line("judged on  %d rows that neither was trained on; %d left out", s.JudgedRows, s.LeftOut)
	champion := "none: this would be the first"
	if e.Of.Champion > 0 {
		champion = fmt.Sprintf("version %d", e.Of.Champion)
	}
	p.line("champion   %s", champion)
	if s.Unscorable != "" {
		p.line("%s the champion can't score these rows: %s", p.style.paint(toneWarn, "attention:"), clip(s.Unscorable, 200))
	}
	p.line("requested  %s", first(a.Request.RequestedBy, "by the model itself"))
	p.line("approvals  %d of %d, from %s; until %s (%s)", len(a.Status.Approvals), max(1, a.Request.Policy.Quorum),
		strings.Join(a.Request.Policy.Approvers, ", "), a.Request.EndsAt().UTC().Format("2006-01-02 15:04 MST"), p.ago(a.Request.EndsAt()))
	p.line("verdict    %s", p.style.paint(toneOf(s.Verdict.Outcome), s.Verdict.Outcome))
	gatesTable(p, s.Verdict.Reasons)
	metricsTable(p, a)
}

func metricsTable(p *page, a workflows.ApprovalState) {
	s := a.Summary
	if len(s.Metrics) > 0 {
		p.line("")
		t := newTable("METRIC", "CHAMPION", "CHALLENGER").alignRight(1, 2)
		for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
			before := "-"
			if x, ok := s.Previous[name]; ok {
				before = number(x)
			}
			t.add(name, before, number(s.Metrics[name]))
		}
		p.table(t)
	}
	if c := s.Comparison; c != nil {
		p.line("\n%s: better by %s on %d rows; at least %s with %s confidence", c.Metric, number(c.Difference), c.Rows, number(c.Lower), percent(c.Confidence))
	}
}
