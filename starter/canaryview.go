package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/workflows"
)

// canaryTable draws a canary: where it stands, both arms side by side, every check of the last look, and the last looks.
func canaryTable(p *page, c workflows.CanaryState) {
	steps := c.State.Config.Steps
	p.heading("canary of %s: version %d against %s, step %d of %d at %s", c.Model, c.Version, version(c.Champion),
		min(c.State.Step+1, len(steps)), len(steps), percent(c.Weight))
	canaryStands(p, c)
	if c.Last != nil {
		p.line("")
		armsTable(p, c)
		p.line("")
		checksTable(p, *c.Last)
	}
	if len(c.State.Verdicts) > 0 {
		p.line("")
		looksTable(p, c.State.Verdicts)
	}
}

// canaryStands says in words what it does now, and what ends it.
func canaryStands(p *page, c workflows.CanaryState) {
	s := c.State
	switch f := s.Failed; {
	case s.Over():
		p.line("%s: %s", p.style.paint(toneOf(string(s.Outcome)), string(s.Outcome)), clip(s.Reason, 200))
		if c.Driven && s.Outcome != canary.Promoted { // that one the run brings about
			p.line("%s", targetStands(p, c))
		}
		return
	case f != nil && f.Withdrawn:
		p.line("%s %s, without traffic: %s", p.style.paint(toneBad, "failed"), p.ago(f.At), clip(f.Reason, 200))
		p.line("say how to go on, or it is rolled back %s: starter canary resume|promote|abort %s --reason ...", p.ago(s.EndsBy()), c.Model)
	case f != nil:
		p.line("%s %s, and keeps its traffic: %s", p.style.paint(toneBad, "failed"), p.ago(f.At), clip(f.Reason, 200))
		p.line("answer, or it is rolled back %s: starter canary resume|promote|abort %s --reason ...", p.ago(s.EndsBy()), c.Model)
	case s.Paused:
		p.line("%s by %s: %s; failures still do what on_failure says (%s)", p.style.paint(toneWarn, "paused"), s.By, clip(s.Reason, 200), first(s.Config.OnFailure, "rollback"))
	}
	held, hold := s.Held(p.now)
	if c.Driven {
		p.line("%s", targetStands(p, c))
	}
	line := fmt.Sprintf("held %s of %s", span(held), span(hold))
	if s.Failed != nil { // a resume begins the step anew
		line = "step " + fmt.Sprint(s.Step+1) + " is to be held " + span(hold)
	}
	if !c.Lease.IsZero() {
		line += ", lease " + p.ago(c.Lease)
	}
	p.line("%s, deadline %s", line, p.ago(s.Deadline))
}

// targetStands says whether what serves is known to serve by the weight that was set.
func targetStands(p *page, c workflows.CanaryState) string {
	if c.Target == "" {
		return "target " + p.style.paint(toneGood, "confirmed") + ": it reads back " + percent(c.Weight)
	}
	return "target " + p.style.paint(toneWarn, "not confirmed") + ": " + clip(c.Target, 200)
}

// armsTable is what both arms served since the step's weight was set.
func armsTable(p *page, c workflows.CanaryState) {
	a, b := c.Last.Arms.Champion, c.Last.Arms.Challenger
	t := newTable("SINCE "+strings.ToUpper(p.ago(c.Last.Arms.From)), "CHAMPION "+version(c.Champion), "CHALLENGER "+version(c.Version)).alignRight(1, 2)
	row := func(name string, of func(canary.Arm) string) { t.add(name, of(a), of(b)) }
	row("requests", func(a canary.Arm) string { return fmt.Sprint(a.Requests) })
	row("errors", func(a canary.Arm) string { return shareOf(a.Errors, a.Requests) })
	row("latency p50", func(a canary.Arm) string { return millis(a.LatencyP50) })
	row("latency p95", func(a canary.Arm) string { return millis(a.LatencyP95) })
	row("latency p99", func(a canary.Arm) string { return millis(a.LatencyP99) })
	for _, check := range c.Last.Checks {
		if check.Name == "predictions" && c.State.Config.MaxPSI > 0 {
			t.add("predictions, PSI", "", number(check.Observed))
		}
	}
	if q := c.State.Quality; q != nil {
		t.add("labelled", fmt.Sprint(q.Champion.Rows), fmt.Sprint(q.Challenger.Rows))
		t.add(q.Metric, quality(q.Metric, q.Champion), quality(q.Metric, q.Challenger))
	}
	p.table(t)
}

func shareOf(n, of int64) string {
	if of <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d (%s)", n, percent(float64(n)/float64(of)))
}

// millis is a latency in milliseconds; "-" where none was measured.
func millis(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.4g ms", 1000*seconds)
}

func quality(metric string, l canary.Labelled) string {
	if l.Rows == 0 {
		return "-"
	}
	return fmt.Sprintf("%.4f", l.Value(metric))
}

// checksTable is every check of a look; what passed needs no words.
func checksTable(p *page, look canary.Look) {
	t := newTable("CHECK", "VERDICT", "OBSERVED", "LIMIT", "").alignRight(2, 3)
	for _, c := range look.Checks {
		words := c.Message
		if c.Verdict == canary.Pass && c.Limit > 0 {
			words = ""
		}
		if c.Verdict == canary.Inconclusive && c.Optional {
			words += " (holds nothing up)"
		}
		observed, limit := checkNumbers(c)
		t.add(checkName(c.Name), mark(string(c.Verdict)), observed, limit, clip(words, 110))
	}
	p.table(t)
}

// checkName is a check as people call it.
func checkName(name string) string {
	switch name {
	case "error_rate":
		return "errors over champion's"
	case "data":
		return "new requests"
	case "error_rate_limit":
		return "error rate, absolute"
	}
	short, absolute := strings.CutSuffix(name, "_limit")
	short = strings.ReplaceAll(short, "_", " ")
	if absolute {
		short += ", absolute"
	}
	return short
}

// checkNumbers are what was observed and its limit, in the check's unit; "" where there is no limit.
func checkNumbers(c canary.Check) (observed, limit string) {
	if c.Limit <= 0 && c.Name != "error_rate" || c.Message == "" {
		return "", ""
	}
	unit := number
	switch {
	case strings.HasPrefix(c.Name, "error_rate"):
		unit = percent
	case strings.HasPrefix(c.Name, "latency"):
		unit = millis
	}
	if c.Verdict == canary.Inconclusive && c.Observed == 0 { // too little to observe anything
		return "-", unit(c.Limit)
	}
	return unit(c.Observed), unit(c.Limit)
}

func looksTable(p *page, looks []canary.Judgement) {
	t := newTable("LOOK", "VERDICT", "CHAMPION", "ERRORS", "CHALLENGER", "ERRORS", "").alignRight(2, 3, 4, 5)
	for _, j := range looks[max(0, len(looks)-3):] {
		t.add(p.ago(j.At), mark(string(j.Verdict)), fmt.Sprint(j.Requests.Champion), fmt.Sprint(j.Errors.Champion),
			fmt.Sprint(j.Requests.Challenger), fmt.Sprint(j.Errors.Challenger), clip(strings.TrimPrefix(j.Reason(), string(canary.Pass)), 80))
	}
	p.table(t)
}

// followCanary shows a canary until it has ended, on stderr where stdout is for a document, and returns its last state.
func followCanary(ctx context.Context, a *app, engine observer, c workflows.CanaryState) (workflows.CanaryState, error) {
	to := a.errOut
	if a.flags.format == formatTable && a.terminal(a.out) {
		to = a.out
	}
	draw := func(p *page) string { canaryTable(p, c); return p.String() }
	show, live := func() {}, a.terminal(to)
	if live {
		screen := &screen{to: to}
		screen.width, screen.height = sizeOf(to)
		defer screen.clear()
		show = func() { screen.draw(draw(&page{style: a.styleOf(to), now: a.now()})) }
	} else {
		var shown string
		show = func() {
			if now := lookOf(c); now != shown && !c.State.Over() { // its end is the command's result
				shown = now
				fmt.Fprintf(to, "%s\n%s\n", a.now().UTC().Format(time.RFC3339), draw(&page{now: a.now()}))
			}
		}
	}
	err := poll(ctx, "the end of "+workflows.CanaryID(c.Model), a.pollEvery, 0, func(ctx context.Context) (bool, error) {
		now, err := engine.Canary(ctx, c.Model)
		switch {
		case err == nil:
			c = now
		case ctx.Err() != nil || isA[*notFoundError](err):
			return false, err
		}
		show() // what can't be asked just now stays as it was seen
		return c.State.Over(), nil
	})
	return c, err
}

// lookOf tells two views apart that a reader of a log wants to see both of.
func lookOf(c workflows.CanaryState) string {
	s := c.State
	last := time.Time{}
	if c.Last != nil {
		last = c.Last.At
	}
	return fmt.Sprintf("%s %d %g %t %t %s %s", last, s.Step, c.Weight, s.Paused, s.Failed != nil, s.Deadline, c.Target)
}
