package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/schedules"
)

func TestDriftInProductionIsFoundInItsFeatureAndRetrains(t *testing.T) {
	began := time.Now()
	m := newModel(t, shared(t), "drifting", func(m *spec.Model) {
		m.Monitor.Drift.Every, m.Monitor.Drift.Window, m.Monitor.Drift.MinRows = spec.Duration(2*time.Second), spec.Duration(time.Minute), 1000 // enough for effect sizes: p-values err now and then
		m.Monitor.Drift.AlertAfter = spec.KOfN{K: 2, N: 3}
		m.Retrain.On, m.Retrain.MinNewRows = []string{activities.TriggerDrift}, 500
	})
	m.champion(t)
	m.land(t, "02.csv", csv(flights(2, fileRows)))
	m.ends(t, 2, activities.Unchanged) // taken in: the spec retrains on drift alone

	shifted := flights(1, 1200) // the flights that were trained on, but for one thing
	for i := range shifted {
		shifted[i].delay += 60
	}
	asked := m.asks(t, shifted)
	m.stage(t, m.lifecycle(3), "approve")
	asked.stop()
	require.NoError(t, asked.trouble())
	m.Starter(t, "ben", "reject", m.name, "--reason", "seen what was to be seen").Want(t, 0)
	r := m.ends(t, 3, activities.Rejected)
	require.Equal(t, activities.TriggerDrift, r.Trigger)

	require.Equal(t, []string{"delay"}, driftedFeatures(t, m))
	testkit.Until(t, "points of drift in InfluxDB", stageLimit, func() (bool, any) {
		rows, err := m.Series.Sum(t.Context(), timeseries.Query{
			Measurement: "leanloop_drift", Tags: map[string]string{"model": m.name}, GroupBy: []string{"feature"}, Start: began, Stop: time.Now().Add(time.Second),
		})
		psi := map[string]float64{}
		for _, r := range rows {
			psi[r.Tags["feature"]] = r.Fields["drifted"]
		}
		return err == nil && psi["delay"] >= 2 && psi["noise"] == 0, psi
	})
}

// driftedFeatures are those that any window over a limit named.
func driftedFeatures(t *testing.T, m *model) []string {
	t.Helper()
	found := map[string]bool{}
	err := m.Store.List(t.Context(), "monitor/"+m.name+"/drift/", func(i objectstore.Info) error {
		result, isPage := strings.CutSuffix(i.Key, ".html")
		if isPage {
			_, err := m.Store.Stat(t.Context(), result+".json")
			return err // the page of a window lies beside its result
		}
		raw, _, err := objectstore.ReadAll(t.Context(), m.Store, i.Key, 1<<20)
		if err != nil {
			return err
		}
		var r drift.Result
		decode(t, raw, &r)
		for _, name := range r.DriftedNames() {
			found[name] = r.Alert || found[name]
		}
		return nil
	})
	require.NoError(t, err)
	var names []string
	for name, alerted := range found {
		if alerted {
			names = append(names, name)
		}
	}
	return names
}

func TestPredictionsThatComeTrueLessOftenRetrain(t *testing.T) {
	began := time.Now()
	m := newModel(t, shared(t), "fading", func(m *spec.Model) {
		q := &m.Monitor.Quality
		q.Every, q.Window, q.Metric, q.MinRows = spec.Duration(2*time.Second), spec.Duration(5*time.Minute), "accuracy", 200
		m.Retrain.On, m.Retrain.MinNewRows = []string{activities.TriggerQuality}, 200
	})
	m.champion(t)
	rows := flights(2, 300)
	for _, f := range rows {
		_, err := m.predict(t.Context(), f)
		require.NoError(t, err)
	}
	for i := range rows { // the world has changed: what made flights late doesn't any more
		rows[i].late = !rows[i].late
	}
	m.land(t, "02.csv", csv(rows))
	m.ends(t, 2, activities.Unchanged)
	r := m.result(t, 3)
	require.Equal(t, activities.TriggerQuality, r.Trigger)
	require.Equal(t, 1, m.head(t).Champion)
	// The inputs are what they were, so the estimate is too: only labels tell that they mean something else.
	testkit.Until(t, "points of quality in InfluxDB", stageLimit, func() (bool, any) {
		rows, err := m.Series.Sum(t.Context(), timeseries.Query{
			Measurement: "leanloop_quality", Tags: map[string]string{"model": m.name, "metric": "accuracy"}, Start: began, Stop: time.Now().Add(time.Second),
		})
		if err != nil || len(rows) != 1 || rows[0].Fields["alert"] < 1 {
			return false, rows
		}
		f := rows[0].Fields
		checks := f["estimated_rows"] / 300 // each of all predictions
		return f["observed"] < 0.5*checks && f["estimated"] > 0.6*checks, f
	})
}

func TestSchedulesBecomeWhatTheSpecAsksFor(t *testing.T) {
	m := newModel(t, shared(t), "scheduled", nil)
	diff := func(args ...string) map[string]string {
		t.Helper()
		var changes []schedules.Change
		m.Starter(t, "ana", append([]string{"-o", "json", "schedules"}, args...)...).Want(t, 0).Decode(t, &changes)
		actions := map[string]string{}
		for _, c := range changes {
			actions[c.ID] = c.Action
		}
		return actions
	}
	drift, quality := "drift/"+m.name, "quality/"+m.name
	m.change(t, func(m *spec.Model) {
		m.Monitor.Drift.Every, m.Monitor.Quality.Every = spec.Duration(time.Hour), spec.Duration(24*time.Hour)
	})
	m.apply(t)
	require.Equal(t, map[string]string{drift: "keep", quality: "keep"}, diff("apply", m.name), "apply has made them")
	m.change(t, func(m *spec.Model) { m.Monitor.Drift.Every, m.Monitor.Quality.Every = spec.Duration(2*time.Hour), 0 })
	changed := map[string]string{drift: "update", quality: "delete"}
	require.Equal(t, changed, diff("diff", "-f", m.file()))
	require.Equal(t, changed, diff("apply", "-f", m.file()))
	require.Equal(t, map[string]string{drift: "keep"}, diff("diff", "-f", m.file()))
}
