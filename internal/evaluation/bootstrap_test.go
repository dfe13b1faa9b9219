package evaluation

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// contest draws labels and two models' probabilities, each right by its skill.
func contest(rows int, champion, challenger float64, seed uint64) Duel {
	draw := rand.New(rand.NewPCG(seed, 1))
	d := Duel{Task: spec.Binary, Classes: 2, ChampionThreshold: 0.5, ChallengerThreshold: 0.5}
	for range rows {
		y, shared := float64(draw.IntN(2)), draw.NormFloat64()
		score := func(skill float64) float64 {
			return 1 / (1 + math.Exp(-(skill*(2*y-1) + shared + 0.3*draw.NormFloat64())))
		}
		d.Y = append(d.Y, y)
		d.Champion, d.Challenger = append(d.Champion, score(champion)), append(d.Challenger, score(challenger))
	}
	return d
}

func TestTheSameSeedGivesTheSameComparison(t *testing.T) {
	d := contest(500, 0.5, 0.6, 1)
	a, err := d.Bootstrap(ROCAUC, 0.95, 200, 7)
	require.NoError(t, err)
	b, err := d.Bootstrap(ROCAUC, 0.95, 200, 7)
	require.NoError(t, err)
	assert.Equal(t, a, b)
	c, err := d.Bootstrap(ROCAUC, 0.95, 200, 8)
	require.NoError(t, err)
	assert.NotEqual(t, a.Lower, c.Lower)
	assert.Equal(t, a.Difference, c.Difference)
}

func TestAModelAgainstItselfDiffersByNothing(t *testing.T) {
	d := contest(300, 0.5, 0.5, 2)
	d.Challenger = d.Champion
	for _, metric := range MetricNames(spec.Binary) {
		c, err := d.Bootstrap(metric, 0.95, 0, 1)
		require.NoError(t, err)
		assert.Zero(t, c.Difference, metric)
		assert.Zero(t, c.Lower, "the same rows are drawn for both: %s", metric)
		assert.Equal(t, DefaultResamples, c.Resamples)
	}
}

func TestPositiveIsBetterForEveryMetric(t *testing.T) {
	better := contest(2000, 0.3, 1.0, 3)
	for _, metric := range MetricNames(spec.Binary) {
		c, err := better.Bootstrap(metric, 0.95, 200, 1)
		require.NoError(t, err)
		assert.Positive(t, c.Lower, metric)
		assert.Less(t, c.Lower, c.Difference, metric)
	}
	draw := rand.New(rand.NewPCG(4, 4))
	regression := Duel{Task: spec.Regression}
	for range 1000 {
		y := draw.NormFloat64()
		regression.Y = append(regression.Y, y)
		regression.Champion = append(regression.Champion, y+draw.NormFloat64())
		regression.Challenger = append(regression.Challenger, y+0.5*draw.NormFloat64())
	}
	for _, metric := range MetricNames(spec.Regression) {
		c, err := regression.Bootstrap(metric, 0.95, 200, 1)
		require.NoError(t, err)
		assert.Positive(t, c.Lower, metric)
	}
}

// TestTheLowerBoundHoldsAsOftenAsItSays draws contests whose true difference of accuracies is known: a model that is
// right with probability 0.7 against one that is right with 0.75. The 95 % bound is under 0.05 in 95 % of them.
func TestTheLowerBoundHoldsAsOftenAsItSays(t *testing.T) {
	const contests, rows = 300, 400
	draw := rand.New(rand.NewPCG(6, 6))
	right := func(y, share float64) float64 {
		if draw.Float64() < share {
			return y
		}
		return 1 - y
	}
	held := 0
	for i := range contests {
		d := Duel{Task: spec.Binary, Classes: 2, ChampionThreshold: 0.5, ChallengerThreshold: 0.5}
		for range rows {
			y := float64(draw.IntN(2))
			d.Y = append(d.Y, y)
			d.Champion, d.Challenger = append(d.Champion, right(y, 0.70)), append(d.Challenger, right(y, 0.75))
		}
		c, err := d.Bootstrap(Accuracy, 0.95, 200, uint64(i))
		require.NoError(t, err)
		if c.Lower <= 0.05 {
			held++
		}
	}
	error4 := 4 * math.Sqrt(0.95*0.05*contests)
	assert.InDelta(t, 0.95*contests, held, error4)
}

// Forty customers of ten rows each, on which a model is right on all or on none: forty observations, not four hundred.
func TestTheLowerBoundHoldsWhereRowsOfAGroupAreAlike(t *testing.T) {
	const contests, groups, size = 200, 40, 10
	draw := rand.New(rand.NewPCG(8, 8))
	held, naive := 0, 0
	for i := range contests {
		d := Duel{Task: spec.Binary, Classes: 2, ChampionThreshold: 0.5, ChallengerThreshold: 0.5}
		for group := range groups {
			champion, challenger := draw.Float64() < 0.70, draw.Float64() < 0.75
			for range size {
				y := float64(draw.IntN(2))
				said := map[bool]float64{true: y, false: 1 - y}
				d.Y, d.Groups = append(d.Y, y), append(d.Groups, int32(group))
				d.Champion, d.Challenger = append(d.Champion, said[champion]), append(d.Challenger, said[challenger])
			}
		}
		c, err := d.Bootstrap(Accuracy, 0.95, 200, uint64(i))
		require.NoError(t, err)
		if c.Lower <= 0.05 {
			held++
		}
		d.Groups = nil
		if c, err = d.Bootstrap(Accuracy, 0.95, 200, uint64(i)); err == nil && c.Lower <= 0.05 {
			naive++
		}
	}
	assert.InDelta(t, 0.95*contests, held, 4*math.Sqrt(0.95*0.05*contests))
	assert.Less(t, naive, 160, "rows drawn one by one claim more than they know")
}

func TestGroupsOfOneAreRows(t *testing.T) {
	d := contest(200, 0.5, 0.6, 3)
	rows, err := d.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.NoError(t, err)
	d.Groups = make([]int32, 200)
	for i := range d.Groups {
		d.Groups[i] = -1
	}
	alone, err := d.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.NoError(t, err)
	assert.Equal(t, rows, alone)
	clear(d.Groups)
	_, err = d.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.ErrorIs(t, err, ErrUndefined)
	assert.ErrorContains(t, err, "1 groups < 10")
	d.Groups = d.Groups[1:]
	_, err = d.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.ErrorContains(t, err, "groups: observed 199, expected one for each of 200 rows")
}

func TestAHighConfidenceTakesMoreResamples(t *testing.T) {
	d := contest(300, 0.5, 0.6, 3)
	for confidence, want := range map[float64]int{0.5: 100, 0.95: 400, 0.99: 2000, 0.99999: maxResamples} {
		c, err := d.Bootstrap(Accuracy, confidence, 100, 1)
		require.NoError(t, err)
		assert.InDelta(t, want, c.Resamples, 1, "confidence %g", confidence)
	}
}

func TestAComparisonWithoutAValueSaysSo(t *testing.T) {
	oneClass := contest(100, 0.5, 0.5, 5)
	clear(oneClass.Y)
	_, err := oneClass.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.ErrorIs(t, err, ErrUndefined)
	assert.ErrorContains(t, err, "the rows have one class only")
	_, err = oneClass.Bootstrap(Accuracy, 0.95, 100, 1)
	require.NoError(t, err, "accuracy needs no second class")

	rare := contest(100, 0.5, 0.5, 5)
	clear(rare.Y)
	rare.Y[0] = 1
	_, err = rare.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.ErrorIs(t, err, ErrUndefined)
	assert.ErrorContains(t, err, "resamples have no value")

	_, err = Duel{Task: spec.Binary}.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.ErrorIs(t, err, ErrUndefined)
}

func TestBadArgumentsOfAComparisonAreNamed(t *testing.T) {
	d := contest(10, 0.5, 0.5, 5)
	_, err := d.Bootstrap("auc", 0.95, 100, 1)
	require.ErrorContains(t, err, `metric "auc" is unknown for a binary task: use one of accuracy, precision, recall, f1, log_loss, roc_auc`)
	_, err = d.Bootstrap(ROCAUC, 1, 100, 1)
	require.ErrorContains(t, err, "confidence: observed 1, must be between 0 and 1")
	d.Champion = d.Champion[1:]
	_, err = d.Bootstrap(ROCAUC, 0.95, 100, 1)
	require.ErrorContains(t, err, "champion: metric roc_auc: predictions: observed 9, expected 10 rows x 1")
}

func TestLatencyQuantilesAreInMilliseconds(t *testing.T) {
	var samples []time.Duration
	for i := 100; i >= 0; i-- {
		samples = append(samples, time.Duration(i)*time.Millisecond)
	}
	assert.Equal(t, Values{LatencyP50: 50, LatencyP99: 99}, LatencySummary(samples))
	assert.Equal(t, 100*time.Millisecond, samples[0], "the samples keep their order")
	assert.True(t, math.IsNaN(LatencySummary(nil)[LatencyP99]), "no samples, no latency")
}

func BenchmarkBootstrapROCAUC(b *testing.B) {
	d := contest(60_000, 0.5, 0.6, 1)
	for b.Loop() {
		if _, err := d.Bootstrap(ROCAUC, 0.95, DefaultResamples, 1); err != nil {
			b.Fatal(err)
		}
	}
}
