package report_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/spec"
)

// full is a card with every part of one.
func full() report.CardInput {
	return report.CardInput{
		Spec: &spec.Model{
			Metadata: spec.Metadata{Name: "flight-delay", Team: "ops", Owner: "@ana"}, Task: spec.Binary,
			Data: spec.Data{Target: "late_15"}, Train: spec.Train{Builtin: "trees"},
		},
		SpecDigest: strings.Repeat("5bec", 16), Lifecycle: "lifecycle/flight-delay/7", Snapshot: strings.Repeat("5a45", 16),
		Files: 3, Rows: 81_000, From: time.Date(2013, 1, 1, 5, 15, 0, 0, time.UTC), To: time.Date(2013, 3, 31, 23, 59, 0, 0, time.UTC),
		Train: 57_000, Validation: 8_000, Test: 16_000, Dropped: "left out 12 without a target",
		JudgedRows: 15_988, Champion: 3,
		Metrics:  evaluation.Values{"roc_auc": 0.9123, "f1": 0.7412, "precision": math.NaN(), "latency_p99_ms": 0.021},
		Previous: evaluation.Values{"roc_auc": 0.9001, "f1": 0.7301},
		Comparison: &evaluation.Comparison{
			Metric: "roc_auc", Champion: 0.9001, Challenger: 0.9123, Difference: 0.0122, Lower: 0.0081, Rows: 15_988, Confidence: 0.95,
		},
		Disparity: &evaluation.DisparityResult{
			Metric: "recall", Value: 0.11, Worst: evaluation.Group{Name: "LGA", Value: 0.7}, Best: evaluation.Group{Name: "JFK", Value: 0.81}, Judged: 3, Small: 1,
		},
		Verdict: evaluation.Verdict{Outcome: evaluation.Fail, Reasons: []evaluation.Reason{
			{Gate: "f1.min", Outcome: evaluation.Pass, Message: "gate f1.min: observed 0.7412 >= 0.7"},
			{Gate: "precision.min", Outcome: evaluation.Fail, Message: "gate precision.min: observed NaN (undefined: no row was predicted positive), must be >= 0.5"},
		}},
	}
}

// first is a card of a version that has neither a champion nor events, trained by a command.
func first() report.CardInput {
	in := full()
	in.Spec.Metadata.Team, in.Spec.Metadata.Owner = "", ""
	in.Spec.Train = spec.Train{Command: []string{"python3", "train.py"}}
	in.From, in.To, in.Champion, in.Previous, in.Comparison, in.Disparity = time.Time{}, time.Time{}, 0, nil, nil, nil
	in.Verdict = evaluation.Verdict{Outcome: evaluation.Pass}
	return in
}

func TestCardsAreTheGoldenOnes(t *testing.T) {
	for name, in := range map[string]report.CardInput{"full": full(), "first": first()} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".md")
			got := report.Card(in)
			if os.Getenv("LEANLOOP_UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(path, got, 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		})
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	want := report.Card(full())
	for range 50 { // maps are walked in another order each time
		require.Equal(t, want, report.Card(full()))
	}
}

func TestWhatPeopleWroteStaysInItsPlace(t *testing.T) {
	in := full()
	in.Spec.Metadata.Owner = "ana\n\n## Gates\n\npass"
	in.Spec.Metadata.Team = "a|b"
	in.Spec.Train = spec.Train{Command: []string{"sh", "-c", "echo `date`\n# Quality"}}
	in.Disparity.Worst.Name = "x\n# y"
	card := string(report.Card(in))
	require.Equal(t, 1, strings.Count(card, "\n## Gates\n"))
	require.NotContains(t, card, "\n# y")
	require.NotContains(t, card, "\n# Quality")
}
