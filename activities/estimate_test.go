package activities

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

func TestQualityIsEstimatedWhereNoLabelHasCome(t *testing.T) {
	w := observed(t, nil)
	out := w.quality()
	require.Contains(t, out.Inconclusive, "0 labelled predictions")
	require.NotNil(t, out.Estimated, out.NoEstimate)
	require.Equal(t, 100, out.Estimated.Rows)
	require.InDelta(t, out.Baseline, out.Estimated.Value, 0.15, "nothing has changed")
	require.Less(t, out.Estimated.Lower, out.Estimated.Value)
	require.Less(t, out.Estimated.Value, out.Estimated.Upper)
	require.False(t, out.Alert)
	points := w.metrics.Points()
	require.Len(t, points, 1)
	require.Equal(t, out.Estimated.Value, points[0].Fields["estimated"])
	require.NotContains(t, points[0].Fields, "observed", "an estimate is drawn as one, and never as what was observed")
}

func TestAnEstimateKnowsPredictionsThatAreTooYoungForALabel(t *testing.T) {
	w := observed(t, nil, "  window: {min_rows: 50}", "  window: {min_rows: 50}\n  labels: {delay: 12h}")
	w.log(1, "young", answers(flightRows(t0.AddDate(0, 0, 10), 30, 22, 0), t0.Add(13*time.Hour)))
	out := w.quality()
	require.Equal(t, 100, out.Predictions)
	require.Equal(t, 130, out.Estimated.Rows)
}

func TestAnEstimateIsSwitchedOffAndNeedsRows(t *testing.T) {
	w := observed(t, nil, "quality: {window: 72h, min_rows: 20}", "quality: {window: 72h, min_rows: 20, estimate: off}")
	out := w.quality()
	require.Nil(t, out.Estimated)
	require.Empty(t, out.NoEstimate, "nobody asked")
	require.Empty(t, w.metrics.Points())
	w.apply("quality: {window: 72h, min_rows: 20}", "quality: {window: 72h, min_rows: 101}")
	out = w.quality()
	require.Nil(t, out.Estimated)
	require.Contains(t, out.NoEstimate, "100 predictions since 2013-06-01T12:00:00Z < monitor.quality.min_rows 101")
}

func TestAnEstimateAlertsOnlyWhereTheSpecSaysSo(t *testing.T) {
	for _, c := range []struct {
		name         string
		how          string
		value, upper float64
		inconclusive string
		alert        bool
	}{
		{"reported", "", 0.5, 0.6, "too few", false},
		{"reported by name", spec.EstimateReport, 0.5, 0.6, "too few", false},
		{"asked for", spec.EstimateAlert, 0.5, 0.6, "too few", true},
		{"over the limit", spec.EstimateAlert, 0.77, 0.78, "too few", false},
		{"within chance", spec.EstimateAlert, 0.7, 0.81, "too few", false},
		{"labels have spoken", spec.EstimateAlert, 0.5, 0.6, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := QualityOutput{
				Metric: "f1", Baseline: 0.8, Limit: 0.76, Champion: 3, Inconclusive: c.inconclusive,
				Estimated: &QualityEstimate{Value: c.value, Lower: 0.4, Upper: c.upper, Rows: 900},
			}
			o.judgeEstimate(spec.QualityMonitor{BelowBaseline: 0.95, Estimate: c.how})
			require.Equal(t, c.alert, o.Alert)
			require.Equal(t, c.alert, o.Reason != "")
			if c.alert {
				require.Contains(t, o.Reason, "estimated f1: 0.5000 (95 % interval 0.4000 to 0.6000) < 0.7600")
				require.Contains(t, o.Reason, "from 900 predictions without labels, if its probabilities still hold; too few")
			}
		})
	}
}

// A version that was registered before calibrations were kept, or profiles of another kind, says what to do.
func TestAnOlderVersionSaysToRetrain(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s, trained, judged := w.evaluate()
	old := []byte(`{"version":1,"rows":400,"columns":[]}`)
	_, err := w.store.Put(t.Context(), trained.Prefix+fileProfile, bytes.NewReader(old), int64(len(old)))
	require.NoError(t, err)
	trained.Files[fileProfile] = digestOf(old)
	delete(judged.Files, fileProfile)
	delete(judged.Files, fileCalibration)
	r := &Registrar{Lake: w.lake}
	v := must(t, r.Register, RegisterInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged})
	must(t, r.Decide, w.decision(v))
	must(t, (&Traffic{Lake: w.lake}).Promote, w.promotion(v))
	w.log(1, "part", answers(flightRows(t0, 100, 21, 0), t0.Add(time.Hour)))

	q := w.quality()
	require.Nil(t, q.Estimated)
	require.Contains(t, q.NoEstimate, "version 1 has no calibration.json: retrain")
	d := must(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0.Add(10 * time.Hour)})
	require.Contains(t, d.Inconclusive, "version 1 was made with a profile of another kind: retrain to watch it for drift (starter submit flights)")
	require.False(t, d.Alert)
}

func TestAnArtifactHoldsWhatMonitorsCompareWith(t *testing.T) {
	w := champion(newWorld(t))
	v, _ := w.head().State.Version(1)
	read := func(name string) []byte {
		raw, err := registry.ReadArtifactFile(t.Context(), w.store, theModel, v.Artifact, name, maxModel)
		require.NoError(t, err)
		return raw
	}
	var r reference
	require.NoError(t, json.Unmarshal(read(fileProfile), &r))
	require.EqualValues(t, v.TrainedRows, r.Training.Rows)
	require.Len(t, r.Training.Columns, 3, "two features and the target")
	target, ok := r.Training.Column(columnTarget)
	require.True(t, ok)
	require.EqualValues(t, 2, target.Distinct)
	answers, ok := r.Prediction.Column(columnPrediction)
	require.True(t, ok)
	require.Positive(t, answers.Count)
	require.NotEqual(t, r.Training.Rows, r.Prediction.Rows, "of the test rows: of those it learned from it is too sure")
	var c evaluation.Calibration
	require.NoError(t, json.Unmarshal(read(fileCalibration), &c))
	require.NoError(t, c.Check(spec.Binary, 1))
	require.EqualValues(t, r.Prediction.Rows, c.Rows)
}

func TestAQualityResultTravels(t *testing.T) {
	o := QualityOutput{Metric: "f1", Champion: 1, Model: theModel, End: t0, Inconclusive: "x", Estimated: &QualityEstimate{Value: 0.5, Lower: 0, Upper: 1, Rows: math.MaxInt32}}
	p := o.point()
	require.NoError(t, p.Validate())
	_, err := json.Marshal(o)
	require.NoError(t, err)
	require.Empty(t, (&QualityOutput{Inconclusive: "x"}).point().Fields, "there is nothing to draw")
}
