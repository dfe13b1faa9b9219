package workflows

import (
	"strings"
	"testing"
	"time"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/drift"
)

func wantDetails(t *testing.T, got string, says ...string) {
	t.Helper()
	for _, s := range says {
		if !strings.Contains(got, s) {
			t.Errorf("no %q in:\n%s", s, got)
		}
	}
}

func TestDriftsDetailsSayWhatMovedWhereTheReportIsAndWhatToDo(t *testing.T) {
	o := activities.DriftOutput{
		Model: "flights", Champion: 3, From: time.Date(2013, 6, 1, 12, 0, 0, 0, time.UTC), Rows: 5000, Drifted: []string{"delay"}, MaxPSI: 0.4, Alert: true,
		Reason: "psi of delay|x: observed 0.4 > 0.2", Page: "s3://lake/monitor/flights/drift/x.html", Notes: []string{"target not compared: 3 of 5000"},
		Top: []drift.ColumnResult{
			{Name: "delay", Method: drift.MethodJS, Statistic: 0.2, PSI: 0.4, Drifted: true},
			{Name: "carrier", Problem: "no current values", MissingReference: 0.01, MissingCurrent: 1, Missing: drift.MissingTest{Drifted: true}},
		},
		Extra: []drift.ColumnResult{{Name: "prediction", Method: drift.MethodWasserstein, Statistic: 0.15, Drifted: true, StatisticByChance: true}},
	}
	wantDetails(t, renderDrift(o), "### 1 feature(s) drifted, largest PSI 0.400", "5000 rows since 2013-06-01 12:00:00 against version 3", `delay\|x`,
		"Report: `s3://lake/monitor/flights/drift/x.html`", "What to do now: see whether the world changed", "starter submit flights",
		"| delay | js | 0.2000 | 0.4000 | drifted |", "missing 100.0 %, was 1.0 %, no current values", "| prediction | wasserstein | 0.1500 | 0.0000 | by chance, not counted |",
		"- target not compared: 3 of 5000")
	o.Alert = false
	if strings.Contains(renderDrift(o), "What to do now") {
		t.Error("nothing is to be done where nobody is alerted")
	}
	wantDetails(t, renderDrift(activities.DriftOutput{Inconclusive: "12 rows"}), "### inconclusive", "12 rows")
}

func TestQualitysDetailsTellAnEstimateFromWhatWasObserved(t *testing.T) {
	o := activities.QualityOutput{
		Model: "flights", Champion: 3, Metric: "f1", Observed: 0.61, Lower: 0.58, Upper: 0.64, Limit: 0.665, Baseline: 0.7, Labelled: 900, Predictions: 1000,
		Alert: true, Reason: "f1: observed 0.6100", Estimated: &activities.QualityEstimate{Value: 0.69, Lower: 0.66, Upper: 0.72, Rows: 1400},
	}
	wantDetails(t, renderQuality(o), "### f1 0.6100, limit 0.6650", "95 % interval 0.5800 to 0.6400. 900 of 1000 predictions labelled; version 3 had 0.7000",
		"Estimated without labels: f1 0.6900 (95 % interval 0.6600 to 0.7200) from 1400 predictions", "a change in what the inputs mean it can't see", "What to do now: starter status flights")
	o.Alert, o.Note, o.Logged = false, "that may be chance", 3_000_000
	wantDetails(t, renderQuality(o), "a sample of the window's 3000000 predictions")
	wantDetails(t, renderQuality(o), "that may be chance")
	wantDetails(t, renderQuality(activities.QualityOutput{Inconclusive: "3 labelled", NoEstimate: "version 1 has no calibration.json"}),
		"### inconclusive", "3 labelled", "Not estimated: version 1 has no calibration.json.")
}
