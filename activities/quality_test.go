package activities

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// outcomes is a file of what became of flights; label says how each one was labelled.
func outcomes(rows []flight, label func(i int, f flight) string) string {
	var b strings.Builder
	b.WriteString("id,at,delay,carrier,late\n")
	for i, f := range rows {
		fmt.Fprintf(&b, "%s,%s,%.6f,%s,%s\n", f.id, f.at.Format(time.RFC3339), f.delay, f.carrier, label(i, f))
	}
	return b.String()
}

func truly(_ int, f flight) string   { return fmt.Sprint(f.late) }
func wrongly(_ int, f flight) string { return fmt.Sprint(1 - f.late) }

// observed is a world whose champion answered 100 flights in its first hour, and whose labels came as label says.
func observed(t *testing.T, label func(i int, f flight) string, changes ...string) *world {
	w := champion(newWorld(t, changes...))
	rows := flightRows(t0, 100, 21, 0)
	w.log(1, "part", answers(rows, t0.Add(time.Hour)))
	if label != nil {
		w.accept("2013-06.csv", outcomes(rows, label))
	}
	return w
}

func (w *world) quality() QualityOutput {
	w.t.Helper()
	return must(w.t, w.monitors().Quality, QualityInput{Model: theModel, End: t0.Add(24 * time.Hour)})
}

func TestQualityJoinsLabelsByID(t *testing.T) {
	out := observed(t, truly).quality()
	require.Empty(t, out.Inconclusive)
	require.Equal(t, 100, out.Predictions)
	require.Equal(t, 100, out.Labelled)
	require.Equal(t, "f1", out.Metric)
	require.Positive(t, out.Observed)
	require.InDelta(t, 0.95*out.Baseline, out.Limit, 1e-12)

	w := observed(t, wrongly)
	out = w.quality()
	require.True(t, out.Alert)
	require.Less(t, out.Observed, out.Limit)
	require.Contains(t, out.Reason, "f1: observed")
	points := w.metrics.Points()
	require.Len(t, points, 1)
	require.Equal(t, t0.Add(24*time.Hour), points[0].Time)
}

func TestAnUnlabelledRowIsNeverANegative(t *testing.T) {
	every := func(n int) func(int, flight) string {
		return func(i int, f flight) string {
			if i%n == 0 {
				return ""
			}
			return truly(i, f)
		}
	}
	out := observed(t, every(2)).quality()
	require.Equal(t, 50, out.Labelled)
	require.Contains(t, out.Inconclusive, "50.0 % of 100 predictions are labelled < data.labels.min_coverage 90.0 %")
	require.False(t, out.Alert)

	out = observed(t, every(2), "  window: {min_rows: 50}", "  window: {min_rows: 50}\n  labels: {min_coverage: 0.5}").quality()
	require.Empty(t, out.Inconclusive)
	require.Equal(t, 50, out.Labelled, "judged on those that have a label")
}

func TestTooFewLabelsAreInconclusive(t *testing.T) {
	out := observed(t, nil).quality()
	require.Equal(t, 100, out.Predictions)
	require.Zero(t, out.Labelled)
	require.Contains(t, out.Inconclusive, "0 labelled predictions since 2013-06-01T12:00:00Z < monitor.quality.min_rows 20")
}

func TestPredictionsYoungerThanTheDelayAreInNoWindow(t *testing.T) {
	w := observed(t, nil, "  window: {min_rows: 50}", "  window: {min_rows: 50}\n  labels: {delay: 12h}")
	rows := flightRows(t0.AddDate(0, 0, 10), 30, 22, 0)
	w.log(1, "young", answers(rows, t0.Add(13*time.Hour)))
	require.Equal(t, 100, w.quality().Predictions)
}

func TestAMetricWithoutAValueIsInconclusive(t *testing.T) {
	w := observed(t, func(int, flight) string { return "0" })
	v, _ := w.head().State.Version(1)
	require.Contains(t, v.Metrics, "f1")
	w.apply("quality: {window: 72h, min_rows: 20}", "quality: {window: 72h, min_rows: 20, metric: roc_auc}")
	out := w.quality() // one class only
	require.Contains(t, out.Inconclusive, "roc_auc has no value on 100 labelled predictions")
	require.False(t, out.Alert)
	require.Zero(t, out.Observed)
	require.Empty(t, w.metrics.Points())
}

func TestAMetricThatTheChampionNeverHadIsInconclusive(t *testing.T) {
	o := QualityOutput{Metric: "f1", Labelled: 5}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		o.judge(v, spec.QualityMonitor{BelowBaseline: 0.95})
		require.False(t, o.Alert)
		require.NotEmpty(t, o.Inconclusive)
		requireSmall(t, o, 1<<10)
	}
}

func TestQualityIsJudgedAgainstAShareOfTheBaseline(t *testing.T) {
	for _, c := range []struct {
		metric             string
		baseline, observed float64
		alert              bool
	}{
		{"f1", 0.8, 0.76, false}, {"f1", 0.8, 0.7599, true}, {"f1", 0.8, 0.9, false}, {"f1", 0, 0, false},
		{"r2", -0.5, -0.5, false}, {"r2", -0.5, -0.52, false}, {"r2", -0.5, -0.53, true}, {"r2", -0.5, 0.1, false},
	} {
		o := QualityOutput{Metric: c.metric, Baseline: c.baseline}
		o.judge(c.observed, spec.QualityMonitor{BelowBaseline: 0.95})
		require.Equal(t, c.alert, o.Alert, "%s: observed %v, baseline %v, limit %v", c.metric, c.observed, c.baseline, o.Limit)
		require.Equal(t, c.alert, o.Reason != "")
	}
}

func TestNumbersMatchHoweverTheyAreWritten(t *testing.T) {
	w := champion(newWorld(t))
	rows := flightRows(t0, 100, 21, 0)
	logged := answers(rows, t0.Add(time.Hour))
	for i := range rows {
		number := 20130601000 + i
		rows[i].id = fmt.Sprint(number)
		logged[i].id = []string{fmt.Sprint(number), fmt.Sprintf("%d.0", number), fmt.Sprintf("%e", float64(number))}[i%3]
	}
	w.log(1, "part", logged)
	w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50}\n  contract: {columns: [{name: id, type: integer}, {name: at, type: timestamp}, {name: delay, type: number}, {name: carrier, type: category}, {name: late, type: number}]}")
	w.accept("2013-06.csv", outcomes(rows, truly))
	require.GreaterOrEqual(t, w.quality().Labelled, 67)
}

func TestOfTwoLabelsTheFirstStands(t *testing.T) {
	w := observed(t, truly)
	rows := flightRows(t0, 100, 21, 0)
	for i := range rows {
		rows[i].at = rows[i].at.AddDate(0, 1, 0) // a later file that says otherwise of the same ids
	}
	w.accept("2013-07.csv", outcomes(rows, wrongly))
	out := w.quality()
	require.Equal(t, 100, out.Labelled)
	require.False(t, out.Alert)
}

func TestLabelsOfRowsThatTheChampionLearnedFromDontCount(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "part", answers(flightRows(january, 100, 1, 0), t0.Add(time.Hour))) // of the file that trained it
	out := w.quality()
	require.Equal(t, 100, out.Predictions)
	require.Zero(t, out.Labelled)
}
