package activities

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// champion is a world in which version 1 has served since t0.
func champion(w *world) *world {
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.now = t0.Add(24 * time.Hour)
	return w
}

func TestDriftComparesTheWindowWithTheTrainingRows(t *testing.T) {
	w := champion(newWorld(t))
	in := DriftInput{Model: theModel, End: t0.Add(10 * time.Hour), Champion: 1}
	w.log(1, "same", answers(flightRows(january, 200, 11, 0), t0.Add(time.Hour)))
	out := must(t, w.monitors().Drift, in)
	require.Empty(t, out.Inconclusive)
	require.Equal(t, 200, out.Rows)
	require.Empty(t, out.Drifted)
	require.False(t, out.Window)
	require.Equal(t, []bool{false}, out.Recent)
	require.Len(t, out.Top, 2)
	require.NotEmpty(t, w.read(out.Report))

	w.log(1, "shifted", answers(flightRows(january, 400, 12, 30), t0.Add(2*time.Hour)))
	out = must(t, w.monitors().Drift, in)
	require.Equal(t, []string{"delay"}, out.Drifted)
	require.Greater(t, out.MaxPSI, 0.2)
	require.True(t, out.Window)
	require.Contains(t, out.Reason, "delay")
	require.Equal(t, "delay", out.Top[0].Name, "worst first")
	points := map[string]bool{}
	for _, p := range w.metrics.Points() {
		require.Equal(t, "leanloop_drift", p.Measurement)
		require.Equal(t, in.End, p.Time, "the window's end, so that a retry writes the same point")
		points[p.Tags["feature"]] = true
	}
	require.Equal(t, map[string]bool{"_all": true, "delay": true, "carrier": true, "_prediction": true}, points)
}

func TestAnAlertTakesKOfNWindowsOfOneChampion(t *testing.T) {
	w := champion(newWorld(t)) // 2 of 3
	w.log(1, "shifted", answers(flightRows(january, 200, 12, 30), t0.Add(time.Hour)))
	drift := func(recent []bool, of int) DriftOutput {
		return must(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0.Add(10 * time.Hour), Champion: of, Recent: recent})
	}
	require.False(t, drift(nil, 1).Alert, "1 of 1")
	require.True(t, drift([]bool{true}, 1).Alert)
	require.True(t, drift([]bool{true, false}, 1).Alert)
	require.False(t, drift([]bool{true, false, false}, 1).Alert, "the first is out of the last three")
	require.Equal(t, []bool{true, true, true}, drift([]bool{false, true, true}, 1).Recent, "no more than n are carried")
	out := drift([]bool{true, true, true}, 7)
	require.False(t, out.Alert, "verdicts over another champion don't count")
	require.Equal(t, []bool{true}, out.Recent)

	w = champion(newWorld(t))
	w.log(1, "same", answers(flightRows(january, 200, 11, 0), t0.Add(time.Hour)))
	out = drift([]bool{true, true}, 1)
	require.False(t, out.Window)
	require.True(t, out.Alert)
	require.Contains(t, out.Reason, "2 of the last 3 windows were over a limit; this one is not: drifted features: observed 0 <= 0")
}

func TestTooFewPredictionsAreInconclusiveAndLeaveTheVerdicts(t *testing.T) {
	w := champion(newWorld(t))
	in := DriftInput{Model: theModel, End: t0.Add(10 * time.Hour), Champion: 1, Recent: []bool{true}}
	out := must(t, w.monitors().Drift, in)
	require.Contains(t, out.Inconclusive, "0 predictions of version 1 since 2013-06-01T12:00:00Z < monitor.drift.min_rows 50")
	require.Equal(t, []bool{true}, out.Recent, "neither drift nor no drift")
	w.log(1, "few", answers(flightRows(january, 49, 12, 30), t0.Add(time.Hour)))
	w.log(2, "another version", answers(flightRows(january, 400, 12, 30), t0.Add(time.Hour)))
	out = must(t, w.monitors().Drift, in)
	require.Contains(t, out.Inconclusive, "49 predictions of version 1")
	require.Equal(t, 49, out.Rows)
	require.Empty(t, w.metrics.Points())
}

func TestNoWindowSpansAPromotion(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "before", answers(flightRows(january, 400, 12, 30), t0.Add(-time.Minute)))
	out := must(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0.Add(10 * time.Hour)})
	require.Equal(t, t0, out.From, "the champion's since then")
	require.NotEmpty(t, out.Inconclusive)
	out = must(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0.Add(48 * time.Hour)})
	require.Equal(t, t0.Add(24*time.Hour), out.From, "the window's own length")
}

func TestWithoutAChampionThereIsNothingToWatch(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, "no version is the champion yet", must(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0}).Inconclusive)
	require.Equal(t, "no version is the champion yet", must(t, w.monitors().Quality, QualityInput{Model: theModel, End: t0}).Inconclusive)
}

func TestAMetricsStoreThatIsAwayHoldsUpNoAlert(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "shifted", answers(flightRows(january, 200, 12, 30), t0.Add(time.Hour)))
	w.metrics.Fail(errors.New("connection refused"))
	out := must(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0.Add(10 * time.Hour), Champion: 1, Recent: []bool{true}})
	require.True(t, out.Alert)
	m := w.monitors()
	m.Metrics = nil
	require.True(t, must(t, m.Drift, DriftInput{Model: theModel, End: t0.Add(10 * time.Hour), Champion: 1, Recent: []bool{true}}).Alert)
}

func TestADamagedLogIsNotReadForEver(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "shifted", answers(flightRows(january, 200, 12, 30), t0.Add(time.Hour)))
	key := predictions.Key(theModel, t0.Add(time.Hour), 1, "gw", "damaged")
	_, err := w.store.Create(t.Context(), key, strings.NewReader("PAR1 and no more"), 16)
	require.NoError(t, err)
	_, err = try(t, w.monitors().Drift, DriftInput{Model: theModel, End: t0.Add(10 * time.Hour)})
	requireType(t, ErrorCorrupt, err)
	require.Contains(t, err.Error(), "1-gw-damaged.parquet")
}

// Whatever the columns hold, a drift result is one that history can carry.
func TestDriftOfAnyColumnsTravels(t *testing.T) {
	number := rapid.OneOf(rapid.Just(math.NaN()), rapid.Just(0.0), rapid.Just(math.MaxFloat64), rapid.Just(-math.MaxFloat64), rapid.Float64Range(-1, 1))
	kinds := []dataset.Kind{dataset.Number, dataset.Boolean, dataset.Category}
	rapid.Check(t, func(r *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(r, "kind")
		table := func(name string) *dataset.Table {
			c := dataset.Column{Name: "x", Kind: kind}
			rows := rapid.IntRange(1, 30).Draw(r, name+" rows")
			if rapid.Bool().Draw(r, name+" many") {
				rows *= 60
			}
			few := rapid.SliceOfN(number, 1, 8).Draw(r, name)
			for i := range rows {
				v := few[i%len(few)]
				switch kind {
				case dataset.Category:
					c.Dict = []string{"a", "b"}
					code := int32(i%3) - 1
					if math.IsNaN(v) {
						code = -1
					}
					c.Codes = append(c.Codes, code)
				case dataset.Boolean:
					if !math.IsNaN(v) {
						v = float64(i % 2)
					}
					c.Floats = append(c.Floats, v)
				default:
					c.Floats = append(c.Floats, v)
				}
			}
			return &dataset.Table{Rows: rows, Columns: []dataset.Column{c}}
		}
		monitor := spec.DriftMonitor{MinRows: 1, PSI: 0.2, AlertAfter: spec.KOfN{K: 1, N: 1}}
		ref, err := profile.Of(table("reference"), profile.Options{})
		if err != nil {
			r.Fatalf("%v", err)
		}
		cur, err := profile.Of(table("current"), profile.Options{Against: ref})
		if err != nil {
			r.Fatalf("%v", err)
		}
		result, err := drift.CompareProfiles(ref, cur, drift.OptionsOf(monitor))
		if err != nil {
			r.Fatalf("%v", err)
		}
		var out DriftOutput
		out.judge(result, monitor)
		if _, err := json.Marshal(result); err != nil {
			r.Fatalf("the report: %v", err)
		}
		if _, err := json.Marshal(out); err != nil {
			r.Fatalf("the result: %v", err)
		}
		for _, p := range driftPoints(DriftOutput{Model: theModel, End: t0}, result) {
			if err := p.Validate(); err != nil {
				r.Fatalf("%v", err)
			}
		}
	})
}

func TestADriftResultIsSmallHoweverManyFeaturesThereAre(t *testing.T) {
	monitor := spec.DriftMonitor{PSI: 0.2, AlertAfter: spec.KOfN{K: 1, N: 1}}
	result := drift.Result{Alert: true, Drifted: 5000}
	for i := range 5000 {
		name := "feature with a rather long name " + string(rune('a'+i%26))
		result.Columns = append(result.Columns, drift.ColumnResult{Name: name, Drifted: true})
		result.Reason += name
	}
	var out DriftOutput
	out.judge(result, monitor)
	requireSmall(t, out, 32<<10)
}
