// Package schedules says which Temporal Schedules a model's spec asks for, how they differ from those that are there,
// and makes them so.
//
// Desired and Diff are pure. Apply is create-or-update: it never deletes a schedule that is still asked for, since the
// result of its last workflow (the last windows' drift verdicts) would go with it, and it keeps a person's pause.
package schedules

import (
	"hash/fnv"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// Schedule is one Temporal Schedule as a spec asks for it. Every or Cron is set, not both.
type Schedule struct {
	ID         string        `json:"id"` // also the prefix of its workflows' ids
	Model      string        `json:"model"`
	Team       string        `json:"team,omitempty"`
	Workflow   string        `json:"workflow"` // type
	TaskQueue  string        `json:"task_queue"`
	Every      spec.Duration `json:"every,omitempty"`
	Offset     spec.Duration `json:"offset,omitempty"` // of Every, from the epoch
	Cron       string        `json:"cron,omitempty"`   // five fields, UTC
	Jitter     spec.Duration `json:"jitter,omitempty"` // of Cron
	Overlap    string        `json:"overlap"`
	CatchUp    spec.Duration `json:"catch_up"`
	PauseOnErr bool          `json:"pause_on_failure"`
}

// Overlap policies, as this package names them. Skip is the only one it asks for: a check that still runs when the
// next is due makes the next one pointless.
const overlapSkip = "skip"

const (
	// cronJitter spreads the models whose cron lines name the same minute. The server derives the delay from the
	// schedule's id and the time, so that it is the same each time it is asked.
	cronJitter = 30 * time.Second
	// cronCatchUp is how late a cron line still counts after an outage. Several missed ones are one run: the model's
	// entity coalesces triggers.
	cronCatchUp = 24 * time.Hour
	// targetEvery is how often a target is compared with its ledger.
	targetEvery = time.Minute
	// leastCatchUp is the least that the server takes.
	leastCatchUp = 10 * time.Second
)

// IDs are the schedules that a model may have, whether its spec asks for them or not.
func IDs(model string) []string {
	return []string{driftID(model), qualityID(model), retrainID(model), targetID(model)}
}

func driftID(model string) string   { return "drift/" + model }
func qualityID(model string) string { return "quality/" + model }
func retrainID(model string) string { return "retrain/" + model }
func targetID(model string) string  { return "target/" + model }

// Desired is what the spec asks for, in the order of IDs: a drift check and a quality check where they have an
// interval, a retrain check where retrain.on names cron, and a check of what a program drives where gateways don't serve.
func Desired(m *spec.Model) []Schedule {
	var out []Schedule
	if every := m.Monitor.Drift.Every; every > 0 {
		out = append(out, interval(m, driftID(m.Metadata.Name), workflows.TypeDrift, every))
	}
	if every := m.Monitor.Quality.Every; every > 0 {
		out = append(out, interval(m, qualityID(m.Metadata.Name), workflows.TypeQuality, every))
	}
	if m.Retrain.Cron != "" && slices.Contains(m.Retrain.On, "cron") {
		s := base(m, retrainID(m.Metadata.Name), workflows.TypeRetrainCheck)
		s.Cron, s.Jitter, s.CatchUp = m.Retrain.Cron, spec.Duration(cronJitter), spec.Duration(cronCatchUp)
		out = append(out, s)
	}
	if m.Serving.Driven() {
		s := interval(m, targetID(m.Metadata.Name), workflows.TypeTargetCheck, spec.Duration(targetEvery))
		s.PauseOnErr = false // nothing else ends a challenger's traffic there
		out = append(out, s)
	}
	return out
}

func base(m *spec.Model, id, workflow string) Schedule {
	return Schedule{
		ID: id, Model: m.Metadata.Name, Team: m.Metadata.Team, Workflow: workflow, TaskQueue: workflows.QueueLifecycle,
		Overlap: overlapSkip, PauseOnErr: true,
	}
}

// interval makes a schedule that fires every so often, at an offset of its own, so that a hundred models' hourly checks
// don't all start at the full hour. After an outage the newest missed check alone is made up for.
func interval(m *spec.Model, id, workflow string, every spec.Duration) Schedule {
	s := base(m, id, workflow)
	s.Every, s.Offset = every, offset(id, every)
	s.CatchUp = max(every, spec.Duration(leastCatchUp))
	return s
}

// offset is a whole number of seconds below every that depends on the id alone.
func offset(id string, every spec.Duration) spec.Duration {
	seconds := uint64(every.D() / time.Second)
	if seconds == 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return spec.Duration(time.Duration(h.Sum64()%seconds) * time.Second)
}
