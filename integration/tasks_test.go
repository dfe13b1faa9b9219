package integration

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
)

// parcel is one row of the tasks that aren't binary: by which way it went, or how many hours it took. Some weights and
// routes aren't known.
type parcel struct {
	id     string
	at     time.Time
	weight *float64
	route  string // "": not known
	way    string // multiclass target
	hours  float64
}

// parcels are the rows of the n-th file, from 1, as flights are.
func parcels(n, rows int) []parcel {
	random := rand.New(rand.NewPCG(11, uint64(n)))
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*(n-1))
	ways, routes := []string{"air", "post", "rail", "road"}, []string{"east", "north", "west"}
	out := make([]parcel, rows)
	for i := range out {
		weight, route := math.Round(1000*random.Float64())/100, random.IntN(len(routes))
		p := parcel{
			id: fmt.Sprintf("p%d-%d", n, i), at: start.Add(time.Duration(i) * time.Minute), weight: &weight, route: routes[route],
			way: ways[min(int(weight/2.5+0.3*random.NormFloat64()+0.3), 3)], hours: 5 + 2*weight + 10*float64(route) + random.NormFloat64(),
		}
		if random.IntN(20) == 0 {
			p.weight = nil
		}
		if random.IntN(20) == 0 {
			p.route = ""
		}
		out[i] = p
	}
	return out
}

// parcelFile is parcels as a data file has them, with one of the targets.
func parcelFile(task spec.Task, rows []parcel) []byte {
	var b bytes.Buffer
	b.WriteString("id,at,weight,route,y\n")
	for _, p := range rows {
		weight, y := "", p.way
		if p.weight != nil {
			weight = fmt.Sprintf("%.2f", *p.weight)
		}
		if task == spec.Regression {
			y = fmt.Sprintf("%.3f", p.hours)
		}
		fmt.Fprintf(&b, "%s,%s,%s,%s,%s\n", p.id, p.at.Format(time.RFC3339), weight, p.route, y)
	}
	return b.Bytes()
}

// parcelRequests are parcels as an application sends them; what isn't known is null.
func parcelRequests(rows []parcel) []map[string]any {
	out := make([]map[string]any, len(rows))
	for i, p := range rows {
		out[i] = map[string]any{"id": p.id, "weight": nil, "route": nil}
		if p.weight != nil {
			out[i]["weight"] = *p.weight
		}
		if p.route != "" {
			out[i]["route"] = p.route
		}
	}
	return out
}

// ofParcels makes the tests' spec one of parcels, judged by one metric and compared by another.
func ofParcels(task spec.Task, target spec.ColumnRule, trainer, gate string, bound spec.Bound, compared string) func(*spec.Model) {
	return func(m *spec.Model) {
		m.Task, m.Data.Target, m.Train.Builtin = task, target.Name, trainer
		m.Data.Contract = &spec.Contract{Columns: []spec.ColumnRule{
			{Name: "id", Type: "text", Unique: true}, {Name: "at", Type: "timestamp"}, {Name: "weight", Type: "number", Nullable: true},
			{Name: "route", Type: "category", Nullable: true, Values: []string{"east", "north", "west"}}, target,
		}}
		m.Gates.Metrics = map[string]spec.Bound{gate: bound}
		m.Gates.Champion.Metric, m.Gates.Champion.MaxLoss = compared, 0.2
		m.Monitor.Quality.Metric = task.DefaultQuality()
	}
}

func TestTheWholeLoopIsTheSameForEveryTask(t *testing.T) {
	s := shared(t)
	way := spec.ColumnRule{Name: "y", Type: "category", Values: []string{"air", "post", "rail", "road"}}
	hours := spec.ColumnRule{Name: "y", Type: "number"}
	for _, c := range []struct {
		name, trainer, gate, compared string
		task                          spec.Task
		target                        spec.ColumnRule
		bound                         spec.Bound
	}{
		{"multiclass-trees", "trees", "accuracy", "log_loss", spec.Multiclass, way, spec.Bound{Min: new(0.6)}},
		{"multiclass-linear", "linear", "f1", "log_loss", spec.Multiclass, way, spec.Bound{Min: new(0.5)}},
		{"regression-trees", "trees", "rmse", "rmse", spec.Regression, hours, spec.Bound{Max: new(6.0)}},
		{"regression-linear", "linear", "r2", "mae", spec.Regression, hours, spec.Bound{Min: new(0.6)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, s, c.name, ofParcels(c.task, c.target, c.trainer, c.gate, c.bound, c.compared))
			requests := parcelRequests(parcels(9, 100))
			m.apply(t)
			m.submit(t, "01.csv", parcelFile(c.task, parcels(1, fileRows)))
			m.approved(t, 1)
			m.ends(t, 1, activities.Promoted)
			m.serves(t, 1)
			servesWhatIsRegistered(t, m, 1, requests)

			asked := m.asksFrom(t, requests)
			m.submit(t, "02.csv", parcelFile(c.task, parcels(2, fileRows)))
			comparedWithTheChampion(t, m, c.compared, c.gate)
			m.approved(t, 2)
			m.exposed(t)
			m.ends(t, 2, activities.Promoted)
			m.serves(t, 2)
			asked.stop()
			require.NoError(t, asked.trouble())
			servesWhatIsRegistered(t, m, 2, requests)
			m.verified(t)
		})
	}
}

// comparedWithTheChampion waits until run 2 asks, and holds what it shows to a comparison on the champion's metric.
func comparedWithTheChampion(t *testing.T, m *model, metric, gate string) {
	t.Helper()
	asks := m.stage(t, m.lifecycle(2), "approve").Approval.Summary
	require.NotNil(t, asks.Comparison)
	require.Equal(t, metric, asks.Comparison.Metric)
	require.Equal(t, 1, asks.Champion)
	require.Contains(t, asks.Metrics, gate)
}
