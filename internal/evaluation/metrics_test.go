package evaluation

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

func TestMetricsHaveTheNumbersOfScikitLearn(t *testing.T) {
	var golden struct {
		Cases []struct {
			Name            string
			Task            spec.Task
			Classes         int
			Threshold       float64
			Y, P            []float64
			Weights         []int32
			Plain, Weighted map[string]float64
		}
	}
	b, err := os.ReadFile("testdata/metrics.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &golden))
	require.Len(t, golden.Cases, 9)
	for _, c := range golden.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got := Metrics(c.Task, c.Classes, c.Y, c.P, c.Threshold)
			require.Len(t, got, len(MetricNames(c.Task)))
			for _, name := range MetricNames(c.Task) {
				requireClose(t, c.Plain[name], got[name], name)
				value, err := sample{c.Task, c.Classes, c.Y, c.P, c.Threshold}.statistic(name)
				require.NoError(t, err)
				requireClose(t, c.Weighted[name], value(c.Weights), "weighted "+name)
			}
		})
	}
}

func requireClose(t require.TestingT, want, got float64, what string) {
	if !(math.Abs(got-want) <= 1e-9*math.Abs(want)) {
		require.Failf(t, "not close", "%s: observed %v, expected %v", what, got, want)
	}
}

func TestAMetricWithoutAValueIsNaN(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name      string
		task      spec.Task
		classes   int
		y, p      []float64
		undefined []string
	}{
		{"nothing predicted positive", spec.Binary, 2, []float64{0, 1}, []float64{0.1, 0.2}, []string{Precision}},
		{"no positive row", spec.Binary, 2, []float64{0, 0}, []float64{0.1, 0.7}, []string{Recall, ROCAUC}},
		{"neither", spec.Binary, 2, []float64{0, 0}, []float64{0.1, 0.2}, []string{Precision, Recall, F1, ROCAUC}},
		{"one class only", spec.Binary, 2, []float64{1, 1}, []float64{0.1, 0.7}, []string{ROCAUC}},
		{"one of three classes", spec.Multiclass, 3, []float64{1}, []float64{0.1, 0.7, 0.2}, []string{ROCAUC}},
		{"a prediction that is no number", spec.Binary, 2, []float64{0, 1}, []float64{nan, 0.7}, MetricNames(spec.Binary)},
		{"a class out of range", spec.Multiclass, 2, []float64{2}, []float64{0.5, 0.5}, MetricNames(spec.Multiclass)},
		{"a label between the classes", spec.Binary, 2, []float64{0.5, 1}, []float64{0.5, 0.5}, MetricNames(spec.Binary)},
		{"lengths that don't match", spec.Multiclass, 3, []float64{0, 1}, []float64{1, 0, 0}, MetricNames(spec.Multiclass)},
		{"no rows", spec.Regression, 0, nil, nil, MetricNames(spec.Regression)},
		{"constant target", spec.Regression, 0, []float64{0.1, 0.1, 0.1}, []float64{0.1, 0.2, 0}, []string{R2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var undefined []string
			got := Metrics(c.task, c.classes, c.y, c.p, 0.5)
			for _, name := range MetricNames(c.task) {
				if math.IsNaN(got[name]) {
					undefined = append(undefined, name)
				}
			}
			assert.Equal(t, c.undefined, undefined)
		})
	}
}

// scored draws labels of both classes with scores, ties among them.
func scored(t *rapid.T) (y, p []float64) {
	n := rapid.IntRange(2, 60).Draw(t, "n")
	y, p = make([]float64, n), make([]float64, n)
	for i := range n {
		y[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
		p[i] = float64(rapid.IntRange(0, 20).Draw(t, "p")) / 20
	}
	y[0], y[1] = 0, 1
	return y, p
}

func TestROCAUCIsTheShareOfPairsWon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, p := scored(t)
		won, pairs := 0.0, 0.0
		for i := range y {
			for j := range y {
				if y[i] == 1 && y[j] == 0 {
					pairs++
					switch {
					case p[i] > p[j]:
						won++
					case p[i] == p[j]:
						won += 0.5
					}
				}
			}
		}
		requireClose(t, won/pairs, Metrics(spec.Binary, 2, y, p, 0.5)[ROCAUC], "roc_auc")
	})
}

func TestROCAUCOfTheOppositeScoreIsItsComplement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, p := scored(t)
		opposite := make([]float64, len(p))
		for i := range p {
			opposite[i] = 1 - p[i]
		}
		a, b := Metrics(spec.Binary, 2, y, p, 0.5)[ROCAUC], Metrics(spec.Binary, 2, y, opposite, 0.5)[ROCAUC]
		require.InDelta(t, 1, a+b, 1e-12)
	})
}

func TestAWeightIsAsManyCopiesOfTheRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		task := rapid.SampledFrom([]spec.Task{spec.Binary, spec.Multiclass, spec.Regression}).Draw(t, "task")
		n, outputs := rapid.IntRange(1, 30).Draw(t, "n"), 1
		if task == spec.Multiclass {
			outputs = 3
		}
		s := sample{task: task, classes: 3, threshold: 0.5}
		copies := sample{task: task, classes: 3, threshold: 0.5}
		w := make([]int32, n)
		for i := range n {
			w[i] = rapid.Int32Range(0, 3).Draw(t, "w")
			y := float64(rapid.IntRange(0, 2).Draw(t, "y"))
			if task == spec.Binary {
				y = math.Min(y, 1)
			}
			row := rapid.SliceOfN(rapid.Float64Range(0, 1), outputs, outputs).Draw(t, "p")
			s.y, s.p = append(s.y, y), append(s.p, row...)
			for range w[i] {
				copies.y, copies.p = append(copies.y, y), append(copies.p, row...)
			}
		}
		for _, name := range MetricNames(task) {
			weighted, err := s.statistic(name)
			require.NoError(t, err)
			plain, err := copies.statistic(name)
			require.NoError(t, err)
			a, b := weighted(w), plain(ones(len(copies.y)))
			if math.IsNaN(a) && math.IsNaN(b) {
				continue
			}
			require.InDelta(t, b, a, 1e-9*(1+math.Abs(b)), name)
		}
	})
}

func TestValuesSurviveJSON(t *testing.T) {
	in := Values{"f1": math.NaN(), "rmse": math.Inf(1), "r2": math.Inf(-1), "accuracy": 0.25}
	b, err := json.Marshal(in)
	require.NoError(t, err)
	assert.JSONEq(t, `{"f1":"NaN","rmse":"+Inf","r2":"-Inf","accuracy":0.25}`, string(b))
	var out Values
	require.NoError(t, json.Unmarshal(b, &out))
	assert.True(t, math.IsNaN(out["f1"]))
	assert.Equal(t, in["rmse"], out["rmse"])
	assert.Equal(t, map[string]float64{"accuracy": 0.25}, out.Finite())
	require.NoError(t, json.Unmarshal([]byte(`{"f1":null}`), &out))
	assert.True(t, math.IsNaN(out["f1"]), "null is no value either")
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"f1":"high"}`), &out), `observed "high"`)
}
