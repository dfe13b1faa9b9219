package spec

import "time"

// Defaults is a spec with every default that doesn't depend on another field. Only metadata.name, data.prefix and
// data.target have none.
func Defaults() *Model {
	hours := func(n int) Duration { return Duration(time.Duration(n) * time.Hour) }
	days := func(n int) Duration { return hours(24 * n) }
	return &Model{
		APIVersion: APIVersion, Kind: Kind, Task: Binary,
		Data: Data{
			Window:       Window{MinRows: 100},
			OnRedelivery: "refuse",
			Labels:       Labels{MinCoverage: 0.9},
		},
		Split:    Split{Validation: 0.1, Test: TestSplit{Newest: 0.2, Max: days(30), MinRows: 200}, Seed: 42},
		Train:    Train{Resources: Resources{CPUs: 1}, Timeout: hours(1), Retries: Retries{Infrastructure: 5, Preemption: 10}},
		Gates:    Gates{Champion: ChampionGate{MaxLoss: 0.005, Confidence: 0.95}},
		Approval: Approval{Approvers: []string{}, Quorum: 1, FourEyes: true, Timeout: hours(72), OnTimeout: "reject"},
		Serving:  Serving{Log: ServingLog{Sample: 1}},
		Canary: Canary{
			Steps:    []Step{{Weight: 0.1, Hold: hours(24), MinRequests: 2000}},
			Interval: Duration(5 * time.Minute), Deadline: hours(72), OnFailure: "rollback",
			MaxErrorRate: 0.01, MaxSlowdown: 1.5,
		},
		Monitor: Monitor{
			Drift: DriftMonitor{Every: hours(1), Window: days(7), MinRows: 1000, MaxDrifted: 2, PSI: 0.2,
				AlertAfter: KOfN{K: 2, N: 3}},
			Quality: QualityMonitor{Every: days(7), Window: days(30), BelowBaseline: 0.95, MinRows: 1000},
		},
		Retrain: Retrain{On: []string{"new_data", "quality", "drift"}, MinNewRows: 1000, Cooldown: days(1), MuteIfNoGain: true},
	}
}

// defaultStep is what a step that only gives its weight has; the weight itself has no default there.
func defaultStep() Step {
	return Step{Hold: Duration(24 * time.Hour), MinRequests: 2000}
}

// minGroup is the number of rows below which a group is left out of a disparity.
const minGroup = 50

// DefaultPredictTimeout is what predict.command may take for one file where the spec doesn't say.
const DefaultPredictTimeout = Duration(10 * time.Minute)

// DefaultSetupTimeout is what train.setup may take where the spec doesn't say.
const DefaultSetupTimeout = Duration(15 * time.Minute)

// complete fills the defaults that depend on other fields.
func (m *Model) complete() {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	if m.Data.Time != "" {
		fill(&m.Split.By, "time")
	}
	fill(&m.Split.By, "hash")
	if m.Data.ID != "" {
		fill(&m.Data.Labels.Match, "id")
	}
	fill(&m.Data.Labels.Match, "prediction_id")
	if len(m.Train.Command) == 0 {
		fill(&m.Train.Builtin, "trees")
	}
	if m.Train.Search != nil {
		m.Train.Search.complete(m.Task)
	}
	if len(m.Predict.Command) > 0 && m.Predict.Timeout == 0 {
		m.Predict.Timeout = DefaultPredictTimeout
	}
	if len(m.Train.Setup.Command) > 0 && m.Train.Setup.Timeout == 0 {
		m.Train.Setup.Timeout = DefaultSetupTimeout
	}
	fill(&m.Gates.Champion.Metric, m.Task.DefaultComparison())
	fill(&m.Monitor.Quality.Metric, m.Task.DefaultQuality())
	m.completeCanary()
	m.Serving.complete()
	if d := m.Gates.Disparity; d != nil && d.MinRows == 0 {
		d.MinRows = minGroup
	}
}
