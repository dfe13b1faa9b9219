package activities

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/evaluation"
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
	require.Contains(t, out.Reason, "(5 % under the")
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
	w.apply("quality: {window: 72h, min_rows: 20}", "quality: {window: 72h, min_rows: 20, metric: roc_auc, estimate: off}")
	out := w.quality() // one class only
	require.Contains(t, out.Inconclusive, "100 labelled predictions can't tell: roc_auc on 100 rows has no value (the rows have one class only)")
	require.False(t, out.Alert)
	require.Zero(t, out.Observed)
	require.Empty(t, w.metrics.Points())
}

func TestAMetricThatHardlyHasAValueIsInconclusive(t *testing.T) {
	w := observed(t, func(i int, _ flight) string { return fmt.Sprint(number(i == 7)) })
	w.apply("quality: {window: 72h, min_rows: 20}", "quality: {window: 72h, min_rows: 20, metric: recall}")
	out := w.quality()
	require.Contains(t, out.Inconclusive, "resamples have no value (no row is positive)", "one positive row tells nothing")
	require.False(t, out.Alert)
}

func TestQualityAlertsUnderItsLimitAndBeyondChance(t *testing.T) {
	for _, c := range []struct {
		name                             string
		baseline, observed, lower, upper float64
		below                            float64
		alert, noted                     bool
	}{
		{"at the limit", 0.8, 0.76, 0.74, 0.78, 0.95, false, false},
		{"under it, and the interval leaves the baseline out", 0.8, 0.7599, 0.74, 0.7999, 0.95, true, false},
		{"under it, and the interval has the baseline in it", 0.8, 0.7599, 0.7, 0.8, 0.95, false, true},
		{"over it, though surely worse than it was", 0.8, 0.77, 0.765, 0.775, 0.95, false, false},
		{"better than it was", 0.8, 0.9, 0.88, 0.92, 0.95, false, false},
		{"a limit that is the baseline", 0.8, 0.79, 0.785, 0.795, 1, true, false},
		{"a baseline of 0", 0, 0, 0, 0, 0.95, false, false},
		{"an R2 that was negative and is the same", -0.5, -0.5, -0.6, -0.4, 0.95, false, false},
		{"an R2 that was negative and is within its share", -0.5, -0.52, -0.53, -0.51, 0.95, false, false},
		{"an R2 that was negative and is worse", -0.5, -0.53, -0.54, -0.52, 0.95, true, false},
		{"an R2 that was negative and isn't", -0.5, 0.1, 0, 0.2, 0.95, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := QualityOutput{Metric: "f1", Baseline: c.baseline, Limit: c.baseline - (1-c.below)*math.Abs(c.baseline), Labelled: 5}
			o.judge(evaluation.Interval{Value: c.observed, Lower: c.lower, Upper: c.upper}, spec.QualityMonitor{BelowBaseline: c.below})
			require.Equal(t, c.alert, o.Alert, "limit %v", o.Limit)
			require.Equal(t, c.noted, o.Reason == "", "the number and its limit, whichever it is")
			require.Equal(t, c.noted, o.Note != "")
			require.Equal(t, []float64{c.observed, c.lower, c.upper}, []float64{o.Observed, o.Lower, o.Upper})
		})
	}
}

func TestQualityHasItsInterval(t *testing.T) {
	w := observed(t, truly)
	out := w.quality()
	require.Less(t, out.Lower, out.Observed)
	require.Less(t, out.Observed, out.Upper)
	require.Equal(t, out, w.quality(), "the same each time")
	fields := w.metrics.Points()[0].Fields
	for name, want := range map[string]float64{
		"observed": out.Observed, "lower": out.Lower, "upper": out.Upper, "baseline": out.Baseline, "limit": out.Limit,
		"labelled": 100, "predictions": 100, "alert": 0, "estimated": out.Estimated.Value, "estimated_rows": 100,
	} {
		require.Equal(t, want, fields[name], name)
	}
}

func TestQualityOfASampleSaysSo(t *testing.T) {
	w := observed(t, truly)
	require.Zero(t, w.quality().Logged)
	m := w.monitors()
	m.WindowRows = 60
	out := must(t, m.Quality, QualityInput{Model: theModel, End: t0.Add(24 * time.Hour)})
	require.Equal(t, 100, out.Logged)
	require.LessOrEqual(t, out.Predictions, 60)
	require.Equal(t, out.Predictions, out.Labelled)
	require.Equal(t, out.Predictions, out.Estimated.Rows)
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
