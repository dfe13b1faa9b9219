package evaluation

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

func at(x float64) *float64 { return &x }

// gates are a minimum of F1, a maximum of the latency and a comparison by ROC AUC.
func gates() spec.Gates {
	return spec.Gates{
		Metrics:  map[string]spec.Bound{F1: {Min: at(0.7)}, LatencyP99: {Max: at(50)}},
		Champion: spec.ChampionGate{Metric: ROCAUC, MaxLoss: 0.005, Confidence: 0.95},
	}
}

// evidence passes gates().
func evidence() Input {
	return Input{
		Metrics: Values{F1: 0.81, LatencyP99: 1.5}, HasChampion: true, JudgedRows: 5000, MinRows: 1000,
		Comparison: &Comparison{Metric: ROCAUC, Champion: 0.80, Challenger: 0.82, Difference: 0.02, Lower: 0.011, Rows: 5000, Confidence: 0.95},
	}
}

func TestTheWorstGateIsTheVerdict(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*spec.Gates, *Input)
		outcome string
		message string // of that outcome
	}{
		{"everything within its bounds passes", func(*spec.Gates, *Input) {}, Pass, "gate f1.min: observed 0.81 >= 0.7"},
		{"a bound is inclusive", func(_ *spec.Gates, in *Input) { in.Metrics[F1] = 0.7 }, Pass, "gate f1.min: observed 0.7 >= 0.7"},
		{"below the minimum fails", func(_ *spec.Gates, in *Input) { in.Metrics[F1] = 0.65121 }, Fail, "gate f1.min: observed 0.6512 < 0.7"},
		{"above the maximum fails", func(_ *spec.Gates, in *Input) { in.Metrics[LatencyP99] = 123.456 }, Fail, "gate latency_p99_ms.max: observed 123.5 > 50"},
		{"a near miss shows the digits that matter", func(_ *spec.Gates, in *Input) { in.Metrics[F1] = 0.699996 }, Fail, "gate f1.min: observed 0.699996 < 0.7"},
		{"a metric that is NaN fails", func(_ *spec.Gates, in *Input) { in.Metrics[F1] = math.NaN() }, Fail,
			"gate f1.min: observed NaN (undefined: no row is positive or was predicted so), must be >= 0.7"},
		{"a metric that is missing fails", func(_ *spec.Gates, in *Input) { delete(in.Metrics, F1) }, Fail,
			"gate f1.min: observed NaN (missing: the evaluation has latency_p99_ms), must be >= 0.7"},
		{"no metrics at all fail", func(_ *spec.Gates, in *Input) { in.Metrics = nil }, Fail,
			"gate f1.min: observed NaN (missing: the evaluation has no metrics), must be >= 0.7"},
		{"a NaN maximum fails too", func(_ *spec.Gates, in *Input) { in.Metrics[LatencyP99] = math.NaN() }, Fail,
			"gate latency_p99_ms.max: observed NaN (undefined: no rows, or a prediction is not a number), must be <= 50"},
		{"infinity is over every maximum", func(_ *spec.Gates, in *Input) { in.Metrics[LatencyP99] = math.Inf(1) }, Fail,
			"gate latency_p99_ms.max: observed +Inf > 50"},
		{"a gate without bounds needs its metric", func(g *spec.Gates, in *Input) { g.Metrics[Recall] = spec.Bound{} }, Fail,
			"gate recall: observed NaN (missing: the evaluation has f1, latency_p99_ms)"},
		{"no better than the allowed loss passes", func(_ *spec.Gates, in *Input) { in.Comparison.Lower = -0.005 }, Pass,
			"gate champion.roc_auc: observed -0.005 >= -0.005 (lower 95 % bound of the gain on 5000 rows; champion 0.8, challenger 0.82)"},
		{"a lower bound under the allowed loss fails", func(_ *spec.Gates, in *Input) { in.Comparison.Lower = -0.01234 }, Fail,
			"gate champion.roc_auc: observed -0.01234 < -0.005 (lower 95 % bound of the gain on 5000 rows; champion 0.8, challenger 0.82)"},
		{"a lower bound that is NaN fails", func(_ *spec.Gates, in *Input) { in.Comparison.Lower = math.NaN() }, Fail,
			"gate champion.roc_auc: observed NaN (undefined), must be >= -0.005 (lower 95 % bound of the gain on 5000 rows; champion 0.8, challenger 0.82)"},
		{"no comparison is inconclusive", func(_ *spec.Gates, in *Input) { in.Comparison, in.ComparisonProblem = nil, "one class only" }, Inconclusive,
			"gate champion.roc_auc: not compared with the champion, a person is asked (one class only)"},
		{"too few rows are inconclusive", func(_ *spec.Gates, in *Input) { in.JudgedRows = 999 }, Inconclusive,
			"gate judged_rows.min: observed 999 < 1000: too few rows that neither model was trained on, a person is asked"},
		{"too few rows don't condemn by the champion", func(_ *spec.Gates, in *Input) { in.JudgedRows, in.Comparison.Lower = 999, -1 }, Inconclusive,
			"gate champion.roc_auc: not compared on so few rows, a person is asked"},
		{"fail is worse than inconclusive", func(_ *spec.Gates, in *Input) { in.JudgedRows, in.Metrics[F1] = 3, 0.1 }, Fail, "gate f1.min: observed 0.1 < 0.7"},
		{"no champion leaves the absolute gates", func(_ *spec.Gates, in *Input) { in.HasChampion, in.Comparison = false, nil }, Pass,
			"gate champion.roc_auc: no champion to compare with, absolute gates only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, in := gates(), evidence()
			c.change(&g, &in)
			v := Judge(g, in)
			assert.Equal(t, c.outcome, v.Outcome)
			assert.Contains(t, v.Messages(c.outcome), c.message)
			assert.False(t, v.NeedsAttention)
		})
	}
}

func TestAChampionThatCannotScoreNeedsAttention(t *testing.T) {
	in := evidence()
	in.Comparison, in.ChampionUnscorable = nil, "its signature has no column humid"
	v := Judge(gates(), in)
	assert.Equal(t, Pass, v.Outcome, "the absolute gates decide")
	assert.True(t, v.NeedsAttention)
	assert.Contains(t, v.Messages(Pass), "gate champion.roc_auc: the champion can't score these rows (its signature has no column humid), "+
		"absolute gates only: whoever approves must know that nothing was compared")
	in.Metrics[F1] = 0
	assert.Equal(t, Fail, Judge(gates(), in).Outcome)
}

func TestReasonsComeInAFixedOrderAndSurviveJSON(t *testing.T) {
	g, in := gates(), evidence()
	g.Metrics[Accuracy] = spec.Bound{Min: at(0.5), Max: at(0.9)}
	v := Judge(g, in)
	var order []string
	for _, r := range v.Reasons {
		order = append(order, r.Gate)
	}
	assert.Equal(t, []string{"accuracy.min", "accuracy.max", "f1.min", "latency_p99_ms.max", "judged_rows.min", "champion.roc_auc"}, order)
	b, err := json.Marshal(v)
	require.NoError(t, err)
	assert.Contains(t, string(b), `{"gate":"accuracy.min","outcome":"fail","observed":"NaN","limit":0.5,`)
	var back Verdict
	require.NoError(t, json.Unmarshal(b, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	assert.JSONEq(t, string(b), string(again))
	assert.Equal(t, "fail: "+v.Reasons[0].Message+"; "+v.Reasons[1].Message, v.Summary())
}

// TestNoVerdictPassesWithoutEveryMetric draws evidence in which metrics may be missing, NaN or bad: a pass means that
// all of them were there and good.
func TestNoVerdictPassesWithoutEveryMetric(t *testing.T) {
	names := MetricNames(spec.Binary)
	rapid.Check(t, func(t *rapid.T) {
		g, in := spec.Gates{Metrics: map[string]spec.Bound{}}, Input{Metrics: Values{}}
		good := true
		for _, name := range names {
			if !rapid.Bool().Draw(t, "gate") {
				continue
			}
			g.Metrics[name] = spec.Bound{Min: at(0.5)}
			value := rapid.SampledFrom([]float64{0.4, 0.6, math.NaN(), math.Inf(-1)}).Draw(t, "value")
			present := rapid.Bool().Draw(t, "present")
			if present {
				in.Metrics[name] = value
			}
			good = good && present && value >= 0.5
		}
		require.Equal(t, good, Judge(g, in).Outcome == Pass)
	})
}

func TestDisparityIsTheDifferenceBetweenBestAndWorstGroup(t *testing.T) {
	names := []string{"AA", "UA", "tiny", "flat", "none"}
	var y, p []float64
	var groups []int32
	add := func(group int32, rows int, label, score float64) {
		for range rows {
			y, p, groups = append(y, label), append(p, score), append(groups, group)
		}
	}
	add(0, 45, 1, 0.9) // AA: recall 0.9
	add(0, 5, 1, 0.1)
	add(1, 30, 1, 0.9) // UA: recall 0.6
	add(1, 20, 1, 0.1)
	add(2, 49, 1, 0.1)
	add(3, 60, 0, 0.1) // no positive row: recall undefined
	add(-1, 7, 1, 0.9)
	d, err := DisparityOf(spec.Binary, 2, y, p, 0.5, groups, names, Recall, 0)
	require.NoError(t, err)
	assert.InDelta(t, 0.3, d.Value, 1e-12)
	assert.Equal(t, Group{"UA", 50, 0.6}, d.Worst)
	assert.Equal(t, Group{"AA", 50, 0.9}, d.Best)
	assert.Equal(t, []int{2, 1, 1, 7}, []int{d.Judged, d.Small, d.Undefined, d.Ungrouped})

	d, err = DisparityOf(spec.Binary, 2, y, p, 0.5, groups, names, LogLoss, 0)
	require.NoError(t, err)
	assert.Equal(t, "UA", d.Worst.Name, "the worst group has the greatest loss")

	g, in := gates(), evidence()
	g.Disparity = &spec.Disparity{By: "carrier", Metric: Recall, Max: 0.15}
	v := Judge(g, in)
	assert.Contains(t, v.Messages(Fail), "gate disparity.recall.max: observed NaN (missing: nothing was compared by carrier), must be <= 0.15")
	d, err = DisparityOf(spec.Binary, 2, y, p, 0.5, groups, names, Recall, 50)
	require.NoError(t, err)
	in.Disparity = &d
	v = Judge(g, in)
	assert.Contains(t, v.Messages(Fail), "gate disparity.recall.max: observed 0.3 > 0.15 (carrier: UA 0.6, AA 0.9; 2 groups judged, 1 too small, 1 without a value)")
}

func TestDisparityOfFewerThanTwoGroupsIsUndefinedAndFails(t *testing.T) {
	d, err := DisparityOf(spec.Binary, 2, []float64{1, 0}, []float64{0.9, 0.2}, 0.5, []int32{0, 0}, []string{"AA"}, Recall, 1)
	require.NoError(t, err)
	assert.True(t, math.IsNaN(d.Value))
	b, err := json.Marshal(d)
	require.NoError(t, err)
	var back DisparityResult
	require.NoError(t, json.Unmarshal(b, &back))
	assert.True(t, math.IsNaN(back.Value))
	g, in := gates(), evidence()
	g.Disparity, in.Disparity = &spec.Disparity{By: "carrier", Metric: Recall, Max: 0.15}, &back
	assert.Contains(t, Judge(g, in).Messages(Fail),
		"gate disparity.recall.max: observed NaN (undefined: 1 of 1 groups of carrier could be judged, two are needed; 0 too small, 0 without a value), must be <= 0.15")
}

func TestBadArgumentsOfADisparityAreNamed(t *testing.T) {
	y, p := []float64{1, 0}, []float64{0.9, 0.2}
	_, err := DisparityOf(spec.Binary, 2, y, p, 0.5, []int32{0}, []string{"AA"}, Recall, 1)
	require.ErrorContains(t, err, "groups: observed 1, expected one for each of 2 rows")
	_, err = DisparityOf(spec.Binary, 2, y, p, 0.5, []int32{0, 4}, []string{"AA"}, Recall, 1)
	require.ErrorContains(t, err, "row 2: group: observed 4, there are 1 names")
	_, err = DisparityOf(spec.Binary, 2, y, p, 0.5, []int32{0, 0}, []string{"AA"}, RMSE, 1)
	require.ErrorContains(t, err, `metric "rmse" is unknown for a binary task`)
	d, err := DisparityOf(spec.Binary, 2, nil, nil, 0.5, nil, nil, Recall, 1)
	require.NoError(t, err)
	assert.True(t, math.IsNaN(d.Value))
}
