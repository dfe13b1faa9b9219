package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/activities"
)

// runTable draws one run: its head, its stages, and what it waits for.
func runTable(p *page, v runView) {
	state := first(v.Outcome, "running")
	p.line("%s  %s  %s", p.style.paint(toneBold, v.ID), p.style.paint(toneOf(state), state), runTime(p.now, v))
	if v.Reason != "" {
		p.line("%s", clip(v.Reason, 400))
	}
	if v.Why != "" {
		p.line("why        %s", clip(v.Why, 200))
	}
	if v.Version > 0 {
		p.line("version    %d, champion %s", v.Version, version(v.Champion))
	}
	if v.Snapshot != "" {
		p.line("data       %d rows, snapshot %s", v.Rows, short(v.Snapshot))
	}
	if v.Resumed != "" {
		p.line("resumes    %s", v.Resumed)
	}
	if v.URL != "" {
		p.line("see        %s", v.URL)
	}
	if len(v.Stages) > 0 {
		p.line("")
		stagesTable(p, v)
	}
	if v.Canary != nil {
		p.line("")
		canaryTable(p, *v.Canary)
	}
	if v.Approval != nil {
		p.line("")
		p.line("%s version %d: starter approve %s, or starter reject %s --reason ...",
			p.style.paint(toneWarn, "waits for a decision on"), v.Approval.Evidence.Version, v.Model, v.Model)
	}
	for _, n := range v.Notes {
		p.line("note: %s", clip(n, 200))
	}
	if v.Problem != "" {
		p.line("%s %s", p.style.paint(toneWarn, "not known just now:"), clip(v.Problem, 300))
	}
}

// runTime is how long a run has taken.
func runTime(now time.Time, v runView) string {
	switch {
	case v.Started.IsZero():
		return ""
	case v.Ended.IsZero():
		return span(now.Sub(v.Started))
	}
	return fmt.Sprintf("%s, %s", span(v.Ended.Sub(v.Started)), ago(now, v.Ended))
}

func stagesTable(p *page, v runView) {
	t := newTable("STAGE", "STATUS", "TIME", "DETAIL").alignRight(2)
	for i, s := range v.Stages {
		took := time.Duration(s.Seconds * float64(time.Second))
		detail := s.Detail
		if i == len(v.Stages)-1 && v.Outcome == "" {
			took = running(p.now, v)
			detail = first(progressOf(v.Activities), detail)
			if v.Search != nil {
				detail = v.Search.SearchLine()
			}
		}
		t.add(s.Name, mark(s.Status), span(max(0, took)), clip(detail, 100))
	}
	p.table(t)
}

// running is how long the current stage has taken: what the earlier ones haven't.
func running(now time.Time, v runView) time.Duration {
	took := now.Sub(v.Started)
	for _, s := range v.Stages {
		took -= time.Duration(s.Seconds * float64(time.Second))
	}
	return took
}

// progressOf is what the running activity says of itself.
func progressOf(pending []activity) string {
	for _, a := range pending {
		var parts []string
		switch {
		case a.Train != nil:
			parts = append(parts, trainLine(*a.Train))
		case a.Rows > 0:
			parts = append(parts, fmt.Sprintf("%d rows", a.Rows))
		}
		if a.Attempt > 1 {
			parts = append(parts, fmt.Sprintf("attempt %d of %s: %s", a.Attempt, a.Name, clip(a.Failure, 80)))
		}
		if len(parts) > 0 {
			return strings.Join(parts, "; ")
		}
	}
	return ""
}

// trainLine is a training attempt's progress: [#####-----] 34 of 60, auc 0.91.
func trainLine(t activities.TrainProgress) string {
	line := fmt.Sprintf("step %d", t.Step)
	if t.Total > 0 {
		const width = 20
		done := min(width, width*t.Step/t.Total)
		line = fmt.Sprintf("[%s%s] %d of %d", strings.Repeat("#", done), strings.Repeat("-", width-done), t.Step, t.Total)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Metrics)) {
		line += fmt.Sprintf(", %s %s", name, number(t.Metrics[name]))
	}
	return line
}
