package spec

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/search/space"
)

// drawSearch is a valid search of every kind of parameter.
func drawSearch(t *rapid.T) *Search {
	s := defaultSearch()
	whole := float64(rapid.IntRange(-1000, 1000).Draw(t, "whole"))
	s.Space = space.Space{
		"searched.rate":  {Log: []float64{rapid.Float64Range(1e-9, 1).Draw(t, "rate"), 2}},
		"searched.depth": {Int: []float64{whole, whole + 9}, Step: 3},
		"searched.kind":  {Choice: []any{"first", true, rapid.Float64Range(2, 3).Draw(t, "number")}},
		"searched.drop":  {Float: []float64{0, 0.5}, Points: 4, When: map[string]any{"searched.kind": true}},
		"searched.trees": {LogInt: []float64{1, 100}, When: map[string]any{"searched.depth": []any{whole, whole + 3}}},
	}
	s.Space["searched.kind"].Choice[0] = rapid.StringMatching(`[ -~]{1,20}`).Draw(t, "text")
	s.Sampler = rapid.SampledFrom([]string{"tpe", "random"}).Draw(t, "sampler")
	s.Trials, s.Parallel = rapid.IntRange(1, 1000).Draw(t, "trials"), rapid.IntRange(1, 100).Draw(t, "parallel")
	s.Metric = SearchMetric{Name: "log_loss", Goal: "minimize"}
	s.Seed = rapid.Uint64().Draw(t, "search seed")
	s.Best = rapid.SampledFrom([]string{BestReuse, BestRetrain}).Draw(t, "best")
	return &s
}

func searching(section string) []byte { return withField("train: {search: " + section + "}\n") }

func TestASearchHasDefaults(t *testing.T) {
	m, err := Parse("x", searching("{space: {eta: {log: [0.001, 0.3]}, booster: {choice: [gbtree, dart]}}}"))
	require.NoError(t, err)
	s := m.Train.Search
	require.Equal(t, "tpe", s.Sampler)
	require.Equal(t, 50, s.Trials)
	require.Equal(t, SearchMetric{Name: "log_loss", Goal: "minimize"}, s.Metric)
	require.Equal(t, "none", s.Pruner.Kind)
	require.Equal(t, BestReuse, s.Best)
	require.Equal(t, "1d", s.Timeout.String())
	require.Equal(t, []any{"gbtree", "dart"}, s.Space["booster"].Choice)

	m, err = Parse("x", searching("{space: {eta: {log: [0.001, 0.3]}}, metric: {name: accuracy}}"))
	require.NoError(t, err)
	require.Equal(t, "maximize", m.Train.Search.Metric.Goal)
	m, err = Parse("x", append(searching("{space: {eta: {log: [0.001, 0.3]}}}"), "task: regression\n"...))
	require.NoError(t, err)
	require.Equal(t, SearchMetric{Name: "rmse", Goal: "minimize"}, m.Train.Search.Metric)
}

func TestASearchThatCantBeMeantSaysWhereItIsWrong(t *testing.T) {
	const eta = "space: {eta: {log: [0.001, 0.3]}}"
	for _, c := range []struct{ section, says string }{
		{"{space: {}}", "train.search.space: it is empty"},
		{"{space: {eta: {lgo: [0.1, 1]}}}", "train.search.space.eta.lgo: unknown field \"lgo\" (did you mean \"log\"?"},
		{"{space: {eta: {log: [0, 1]}}}", "line 3: train.search.space.eta.log: 0 has no logarithm"},
		{"{space: {eta: {log: [0.3, 0.001]}}}", "the range is empty: 0.3 > 0.001 ([0.001, 0.3])"},
		{"{space: {eta: {log: [0.1, 1], when: {boost: dart}}, booster: {choice: [dart, gbtree]}}}", "no parameter \"boost\" in the space (did you mean \"booster\"?"},
		{"{space: {eta: {log: [0.1, 1], when: {booster: drat}}, booster: {choice: [dart, gbtree]}}}", "booster never has the value \"drat\""},
		{"{" + eta + ", sampler: grid}", "train.search.space.eta: as a grid: it has endlessly many values"},
		{"{" + eta + ", sampler: tpr}", "did you mean \"tpe\"?"},
		{"{" + eta + ", trials: 0}", "train.search.trials: 0 isn't within 1 and 1000"},
		{"{" + eta + ", metric: {name: loss}}", "train.search.metric.goal: is required for \"loss\""},
		{"{" + eta + ", metric: {name: roc_auc}}", "train.search.metric.name: \"roc_auc\" is unknown"},
		{"{" + eta + ", pruner: {kind: hyperband, min_steps: 9, max_steps: 9}}", "9 isn't over min_steps 9"},
	} {
		_, err := Parse("x", searching(c.section))
		require.ErrorContains(t, err, c.says, c.section)
	}
	_, err := Parse("x", withField("train: {params: {eta: 0.1}, search: {"+eta+"}}\n"))
	require.ErrorContains(t, err, "train.search.space.eta: train.params gives it a value already (remove one of them)")
	_, err = Parse("x", withField("train: {command: [run], search: {"+eta+", metric: {name: auc, goal: maximize}}}\n"))
	require.NoError(t, err, "a program's metrics are its own")
	_, err = Parse("x", append(searching("{"+eta+"}"), "split: {validation: 0}\n"...))
	require.ErrorContains(t, err, "split.validation is 0: there are no rows to compare trials on")
}
