package spec

import (
	"fmt"
	"slices"
	"strings"
)

// fewJudged is the number of test rows under which a bootstrap's bound is too narrow to be relied on: its quantiles are
// those of the few rows that there are.
const fewJudged = 50

// open is the approver that stands for a whole edge, cli:* or slack:*; "": none does.
func (a Approval) open() string {
	i := slices.IndexFunc(a.Approvers, func(who string) bool { return strings.HasSuffix(who, ":*") })
	if i < 0 {
		return ""
	}
	return a.Approvers[i]
}

// Warnings says what is allowed but may not be meant. Each is one sentence for a person.
func (m *Model) Warnings() []string {
	var out []string
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	a := m.Approval
	switch {
	case len(a.Approvers) == 0:
		warn("approval.approvers is empty: nobody may approve, so no version can go live")
	case a.open() != "":
		warn("approval.approvers has %s: everyone who reaches the servers that way may approve", a.open())
	case a.FourEyes && len(a.Approvers) == 1:
		warn("approval.four_eyes with %s as the only approver: nobody may approve a run that %s asked for", a.Approvers[0], a.Approvers[0])
	}
	if len(m.Gates.Metrics) == 0 {
		warn("gates has no metric: only the comparison with the champion judges, and the first version has none")
	}
	if len(m.Predict.Command) > 0 && m.Gates.boundsLatency() {
		warn("gates bounds a latency: predict.command scores files, so the latency of one request isn't measured and the gate is inconclusive")
	}
	if m.Task == Regression && m.Gates.Champion.MaxLoss == Defaults().Gates.Champion.MaxLoss {
		warn("gates.champion.max_loss %g is in units of %s: set it to what is small for this target", m.Gates.Champion.MaxLoss, m.Gates.Champion.Metric)
	}
	if m.Data.ID == "" {
		warn("data.id isn't set: a row is known by its content, and two equal rows are one")
	}
	if l := m.Data.Labels; l.Match == "prediction_id" && m.Monitor.Quality.Every > 0 && m.lacks(l.Match) {
		warn("data.labels.match is prediction_id and the contract has no column of that name: no outcome finds its prediction, so quality is never judged")
	}
	if m.Data.Labels.MinCoverage == 0 {
		warn("data.labels.min_coverage is 0: quality is judged even where hardly any outcome is known")
	}
	if len(m.Canary.Steps) > 0 && m.Canary.Steps[0].Weight >= 1 {
		warn("canary.steps[0].weight is 100%%: the champion gets no traffic to compare with")
	}
	if m.Serving.Driven() && m.Serving.Metrics == nil {
		warn("serving.metrics isn't set: nothing measures what the target serves, so a canary ends at its deadline by rolling back")
	}
	if m.Canary.MaxErrorRate == 1 {
		warn("canary.max_error_rate is 100%%: a challenger that fails every request passes")
	}
	if b := m.Budget; b.PerHour == 0 && !(b.PerRun.IsZero() && b.PerMonth.IsZero()) {
		warn("budget.cost_per_hour isn't set: runs cost nothing, so the budget never ends")
	}
	for _, w := range []struct {
		trigger string
		every   Duration
	}{{"drift", m.Monitor.Drift.Every}, {"quality", m.Monitor.Quality.Every}} {
		if w.every == 0 && slices.Contains(m.Retrain.On, w.trigger) {
			warn("monitor.%s.every is 0s: retrain.on names %s, which nothing watches", w.trigger, w.trigger)
		}
	}
	if n := m.Split.Test.MinRows; n < fewJudged {
		warn("split.test.min_rows is %d: a comparison on fewer than %d rows says little about either version", n, fewJudged)
	}
	if len(m.Retrain.On) == 0 {
		warn("retrain.on is empty: only people start runs")
	}
	return out
}

// lacks reports whether there is a contract, and no such column in it.
func (m *Model) lacks(column string) bool {
	c := m.Data.Contract
	return c != nil && len(c.Columns) > 0 && !slices.ContainsFunc(c.Columns, func(r ColumnRule) bool { return r.Name == column })
}
