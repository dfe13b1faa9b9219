package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/leanloop/leanloop/activities"
)

// changes says, line by line, what differs between two looks at a run, for logs and pipes.
func changes(before, after runView) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, oneLine(fmt.Sprintf(format, args...))) }
	if before.ID == "" {
		add("%s%s", after.ID, withReason("", after.Why))
	}
	for i, s := range after.Stages {
		if i < len(before.Stages) && sameStage(before.Stages[i], s) {
			continue
		}
		line := s.Name + " " + s.Status
		if s.Status == "done" || s.Status == "failed" {
			line += " in " + span(time.Duration(s.Seconds*float64(time.Second)))
		}
		add("%s", withReason(line, s.Detail))
	}
	if now := trainingTenth(after); now > trainingTenth(before) {
		add("train %s", progressOf(after.Activities))
	}
	if c := after.Canary; c != nil && (before.Canary == nil || before.Canary.Weight != c.Weight || before.Canary.State.Step != c.State.Step) {
		add("canary step %d of %d at %s", min(c.State.Step+1, len(c.State.Config.Steps)), len(c.State.Config.Steps), percent(c.Weight))
	}
	if c := after.Canary; c != nil && c.State.Failed != nil && (before.Canary == nil || before.Canary.State.Failed == nil) {
		add("canary waits for a person, until %s: %s", c.State.EndsBy().UTC().Format(time.RFC3339), c.State.Failed.Reason)
	}
	if line := lastLook(after); line != "" && line != lastLook(before) {
		add("canary %s", line)
	}
	for _, n := range after.Notes {
		if !slices.Contains(before.Notes, n) {
			add("note: %s", n)
		}
	}
	if after.Problem != "" && before.Problem != after.Problem {
		add("not known just now: %s", after.Problem)
	}
	if after.Outcome != "" && before.Outcome == "" {
		add("%s", withReason(after.Outcome, after.Reason))
	}
	return out
}

func sameStage(a, b activities.StageResult) bool {
	return a.Name == b.Name && a.Status == b.Status && a.Detail == b.Detail
}

// trainingTenth is how many tenths of training are done, so that a long one makes ten lines; without a total each look
// is one.
func trainingTenth(v runView) int {
	for _, a := range v.Activities {
		if a.Train != nil && a.Train.Total > 0 {
			return 10 * a.Train.Step / a.Train.Total
		}
		if a.Train != nil {
			return a.Train.Step
		}
	}
	return -1
}

func lastLook(v runView) string {
	if v.Canary == nil || len(v.Canary.State.Verdicts) == 0 {
		return ""
	}
	j := v.Canary.State.Verdicts[len(v.Canary.State.Verdicts)-1]
	return fmt.Sprintf("%s: champion %d requests, %d errors; challenger %d, %d: %s",
		j.Verdict, j.Requests.Champion, j.Errors.Champion, j.Requests.Challenger, j.Errors.Challenger, j.Reason())
}
