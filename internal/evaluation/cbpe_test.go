package evaluation

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

// estimated is a case of testdata/cbpe.json: NannyML's numbers.
type estimated struct {
	Name       string
	Task       spec.Task
	Classes    int
	Threshold  float64
	Y, P       []float64
	Unlabelled []float64
	Curves     []Curve
	Estimates  map[string]float64
}

func estimatedCases(t *testing.T) []estimated {
	t.Helper()
	var golden struct{ Cases []estimated }
	b, err := os.ReadFile("testdata/cbpe.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &golden))
	require.Len(t, golden.Cases, 6)
	return golden.Cases
}

func TestEstimatesHaveTheNumbersOfNannyML(t *testing.T) {
	for _, c := range estimatedCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			k := Calibration{Version: CalibrationVersion, Task: c.Task, Curves: make([]Curve, len(c.Curves))}
			for i, want := range c.Curves {
				if len(want.X) == 0 {
					continue
				}
				k.Curves[i] = isotonicOf(c, i)
				for x := 0.0; x <= 1; x += 1.0 / 512 {
					require.InDelta(t, want.At(x), k.Curves[i].At(x), 1e-12, "class %d at %g", i, x)
				}
			}
			require.NoError(t, k.Check(c.Task, len(c.Curves)))
			got := Estimate(k, c.Unlabelled, c.Threshold)
			require.Len(t, got, len(c.Estimates))
			for name, want := range c.Estimates {
				tolerance := 1e-6
				if name == ROCAUC && c.Name == "credit cards" {
					tolerance = 1e-5 // tied scores: NannyML takes them in the order in which an unstable sort leaves them
				}
				assert.InEpsilon(t, want, got[name], tolerance, name)
			}
		})
	}
}

// isotonicOf is the curve of a class.
func isotonicOf(c estimated, class int) Curve {
	outputs := len(c.Curves)
	scores, is := make([]float64, len(c.Y)), make([]float64, len(c.Y))
	for i, y := range c.Y {
		scores[i] = c.P[i*outputs+class]
		if (outputs == 1 && y == 1) || (outputs > 1 && int(y) == class) {
			is[i] = 1
		}
	}
	return Isotonic(scores, is)
}

func TestScoresAreCalibratedWhereNannyMLCalibratesThem(t *testing.T) {
	for _, c := range estimatedCases(t) {
		for seed := range uint64(5) {
			k, err := Calibrate(c.Task, c.Classes, c.Y, c.P, 42+seed)
			require.NoError(t, err)
			require.NoError(t, k.Check(c.Task, len(c.Curves)))
			require.Equal(t, len(c.Y), k.Rows)
			for i, want := range c.Curves {
				// "employment" is all but even: there the trials' draws decide.
				if seed == 0 && c.Name != "employment" {
					require.Equal(t, len(want.X) > 0, len(k.Curves[i].X) > 0, "%s, class %d", c.Name, i)
				}
			}
			for name, want := range c.Estimates {
				require.InDelta(t, want, Estimate(k, c.Unlabelled, c.Threshold)[name], 0.03, "%s, %s: where the draws decide it hardly matters", c.Name, name)
			}
		}
	}
}

// drawWorld draws rows of which the probability of each label is known.
func drawWorld(source *rand.Rand, rows, classes int, sharpen float64) (y, p []float64) {
	for range rows {
		if classes == 2 {
			v := source.Float64()
			truth := 1 / (1 + math.Pow(1/v-1, sharpen))
			label := 0.0
			if source.Float64() < truth {
				label = 1
			}
			y, p = append(y, label), append(p, v)
			continue
		}
		q, sum := make([]float64, classes), 0.0
		for k := range q {
			q[k] = math.Pow(source.Float64(), 3)
			sum += q[k]
		}
		for k := range q {
			q[k] /= sum
		}
		y, p = append(y, float64(drawn(q, source.Float64()))), append(p, q...)
	}
	return y, p
}

func TestAnEstimateIsWhatLabelsShowWhereScoresAreProbabilities(t *testing.T) {
	for _, classes := range []int{2, 4} {
		task := spec.Binary
		if classes > 2 {
			task = spec.Multiclass
		}
		source := rand.New(rand.NewPCG(7, 7))
		y, p := drawWorld(source, 4000, classes, 1)
		k, err := Calibrate(task, classes, y, p, 1)
		require.NoError(t, err)
		within, all := 0, 0
		for range 40 {
			y, p := drawWorld(source, 500, classes, 1)
			observed := Metrics(task, classes, y, p, 0.5)
			for _, metric := range EstimatedMetrics() {
				e, err := EstimateInterval(k, metric, p, 0.5, 3)
				require.NoError(t, err)
				require.Equal(t, Estimate(k, p, 0.5)[metric], e.Value)
				require.Less(t, e.Upper-e.Lower, 0.2, metric)
				if all++; observed[metric] >= e.Lower && observed[metric] <= e.Upper {
					within++
				}
			}
		}
		require.Greater(t, float64(within)/float64(all), 0.88, "%d classes: %d of %d intervals of 95 %% hold the truth", classes, within, all)
	}
}

func TestScoresThatAreProbabilitiesAreOftenLeftAsTheyAre(t *testing.T) {
	curves := 0
	const tries = 20
	for seed := range uint64(tries) {
		r := rand.New(rand.NewPCG(seed, 9))
		y, p := make([]float64, 2000), make([]float64, 2000)
		for i := range p {
			p[i] = r.Float64()
			if r.Float64() < p[i] {
				y[i] = 1
			}
		}
		c, err := Calibrate(spec.Binary, 0, y, p, seed)
		require.NoError(t, err)
		if len(c.Curves[0].X) > 0 {
			curves++
		}
	}
	require.Less(t, curves, tries*3/4, "a curve learned from noise seldom makes them better")
}

// Four times the rows make half the interval, whether all of them or a sample tell the spread.
func TestAnEstimateOfMoreRowsIsSurer(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	some, four := make([]float64, 0, intervalRows), make([]float64, 0, 4*intervalRows)
	for range intervalRows {
		p := r.Float64()
		some, four = append(some, p), append(four, p, p, p, p)
	}
	c := Calibration{Version: CalibrationVersion, Task: spec.Binary, Curves: make([]Curve, 1)}
	a, err := EstimateInterval(c, F1, some, 0.5, 1)
	require.NoError(t, err)
	b, err := EstimateInterval(c, F1, four, 0.5, 1)
	require.NoError(t, err)
	require.Equal(t, 4*a.Rows, b.Rows)
	require.InEpsilon(t, (a.Upper-a.Lower)/2, b.Upper-b.Lower, 1e-9)
}

func TestScoresThatArentProbabilitiesAreCalibrated(t *testing.T) {
	source := rand.New(rand.NewPCG(9, 9))
	y, p := drawWorld(source, 5000, 2, 0.3) // the model is far surer than it should be
	k, err := Calibrate(spec.Binary, 2, y, p, 1)
	require.NoError(t, err)
	require.NotEmpty(t, k.Curves[0].X)
	y, p = drawWorld(source, 5000, 2, 0.3)
	observed := Metrics(spec.Binary, 2, y, p, 0.5)[Accuracy]
	e, err := EstimateInterval(k, Accuracy, p, 0.5, 1)
	require.NoError(t, err)
	require.InDelta(t, observed, e.Value, 0.03)
	naive := Estimate(Calibration{Task: spec.Binary, Curves: []Curve{{}}}, p, 0.5)[Accuracy]
	require.Greater(t, naive, observed+0.08, "believed as they are they promise too much")
}

func TestWhatCantBeEstimatedIsSaid(t *testing.T) {
	_, err := Calibrate(spec.Regression, 0, []float64{1, 2}, []float64{1, 2}, 1)
	require.ErrorIs(t, err, ErrNoEstimate)
	require.ErrorContains(t, err, "a regression model gives values, not probabilities")
	for name, c := range map[string]struct{ y, p []float64 }{
		"no rows": {nil, nil}, "more scores than labels": {[]float64{1}, []float64{1, 1}}, "a score that is no number": {[]float64{1}, []float64{math.NaN()}},
		"a label of no class": {[]float64{2}, []float64{0.5}},
	} {
		_, err := Calibrate(spec.Binary, 2, c.y, c.p, 1)
		require.ErrorIs(t, err, ErrNoEstimate, name)
	}
	k := Calibration{Version: CalibrationVersion, Task: spec.Binary, Curves: []Curve{{}}}
	for name, c := range map[string]struct {
		metric string
		p      []float64
	}{
		"log loss":                        {LogLoss, []float64{0.2, 0.8}},
		"no rows":                         {F1, nil},
		"precision without a call":        {Precision, []float64{0.1, 0.2}},
		"a score that is no number":       {F1, []float64{0.1, math.NaN()}},
		"an area that hardly ever exists": {ROCAUC, []float64{1e-9, 0.999999999, 1e-9}[:1]},
	} {
		_, err := EstimateInterval(k, c.metric, c.p, 0.5, 1)
		require.ErrorIs(t, err, ErrNoEstimate, name)
		require.True(t, NoValue(err), name)
	}
	require.False(t, CanEstimate(spec.Regression, R2))
	require.False(t, CanEstimate(spec.Binary, LogLoss))
	require.True(t, CanEstimate(spec.Multiclass, F1))
}

func TestClassesThatCantBeTriedAreLeftAsTheyAre(t *testing.T) {
	for name, c := range map[string]struct{ y, p []float64 }{
		"one class only":    {[]float64{1, 1, 1}, []float64{0.2, 0.5, 0.9}},
		"a single positive": {[]float64{0, 0, 0, 1}, []float64{0.2, 0.5, 0.9, 0.3}},
		"separated classes": {[]float64{0, 0, 1, 1}, []float64{0.2, 0.3, 0.8, 0.9}},
	} {
		k, err := Calibrate(spec.Binary, 2, c.y, c.p, 1)
		require.NoError(t, err, name)
		require.Empty(t, k.Curves[0].X, name)
		require.Equal(t, c.p, k.Probabilities(c.p), name)
	}
}

func TestACalibrationThatWasDamagedIsRefused(t *testing.T) {
	whole := func() Calibration {
		return Calibration{Version: CalibrationVersion, Task: spec.Binary, Rows: 9, Curves: []Curve{{X: []float64{0.1, 0.9}, Y: []float64{0, 1}}}}
	}
	require.NoError(t, whole().Check(spec.Binary, 1))
	for name, change := range map[string]func(c *Calibration){
		"another version":     func(c *Calibration) { c.Version++ },
		"another task":        func(c *Calibration) { c.Task = spec.Multiclass },
		"a curve too many":    func(c *Calibration) { c.Curves = append(c.Curves, Curve{}) },
		"knots out of order":  func(c *Calibration) { slices.Reverse(c.Curves[0].X) },
		"a curve that falls":  func(c *Calibration) { slices.Reverse(c.Curves[0].Y) },
		"no probability":      func(c *Calibration) { c.Curves[0].Y[1] = 1.2 },
		"a knot without end":  func(c *Calibration) { c.Curves[0].X[1] = math.Inf(1) },
		"a knot without half": func(c *Calibration) { c.Curves[0].Y = c.Curves[0].Y[:1] },
	} {
		c := whole()
		change(&c)
		require.Error(t, c.Check(spec.Binary, 1), name)
	}
}

func TestIsotonicCurvesNeverFallAndKeepTheMean(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		score := rapid.Map(rapid.IntRange(0, 50), func(k int) float64 { return float64(k) / 50 }) // ties, and none closer than a float64 resolves
		n := rapid.IntRange(1, 60).Draw(r, "rows")
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = score.Draw(r, "score"), float64(rapid.IntRange(0, 1).Draw(r, "label"))
		}
		c := Isotonic(x, y)
		if err := (Calibration{Version: CalibrationVersion, Task: spec.Binary, Curves: []Curve{c}}).Check(spec.Binary, 1); err != nil {
			r.Fatalf("%v: %+v", err, c)
		}
		var want, got float64
		for i := range x {
			want, got = want+y[i], got+c.At(x[i])
		}
		if math.Abs(want-got) > 1e-6 {
			r.Fatalf("sum of labels %v, of the curve at their scores %v", want, got)
		}
		if c.At(-1) != c.Y[0] || c.At(2) != c.Y[len(c.Y)-1] {
			r.Fatalf("not constant beyond the outer knots: %+v", c)
		}
	})
}

func TestObservedQualityHasItsInterval(t *testing.T) {
	source := rand.New(rand.NewPCG(3, 3))
	truth, within := 0.75, 0
	for i := range 100 {
		y, p := make([]float64, 400), make([]float64, 400)
		for k := range y {
			if source.Float64() < truth {
				y[k] = 1
			}
			p[k] = 1
		}
		o, err := Observed(spec.Binary, 2, y, p, 0.5, Accuracy, 0, uint64(i))
		require.NoError(t, err)
		require.Equal(t, 400, o.Rows)
		require.InDelta(t, 0.0849, o.Upper-o.Lower, 0.02, "2 x 1.96 x sqrt(0.75 x 0.25 / 400)")
		if o.Lower <= truth && truth <= o.Upper {
			within++
		}
	}
	require.GreaterOrEqual(t, within, 88)
}

func TestQualityThatHardlyHasAValueHasNoInterval(t *testing.T) {
	y, p := make([]float64, 50), make([]float64, 50)
	y[0] = 1 // recall has no value where it isn't drawn
	_, err := Observed(spec.Binary, 2, y, p, 0.5, Recall, 0, 1)
	require.ErrorIs(t, err, ErrUndefined)
	require.ErrorContains(t, err, "resamples have no value (no row is positive)")
	_, err = Observed(spec.Binary, 2, nil, nil, 0.5, Recall, 0, 1)
	require.ErrorIs(t, err, ErrUndefined)
	_, err = Observed(spec.Binary, 2, y, p, 0.5, R2, 0, 1)
	require.Error(t, err)
	require.False(t, NoValue(err), "a metric that the task doesn't have is a mistake")
}

// Whatever the scores are, an estimate is a share or has no value, and its interval is around it.
func TestEstimatesOfAnyScoresAreShares(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		classes := rapid.SampledFrom([]int{2, 2, 3, 5}).Draw(r, "classes")
		task, outputs := spec.Binary, 1
		if classes > 2 {
			task, outputs = spec.Multiclass, classes
		}
		score := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 0.5, 1}))
		draw := func(name string, rows int) (y, p []float64) {
			for range rows {
				y = append(y, float64(rapid.IntRange(0, classes-1).Draw(r, name+" label")))
				for range outputs {
					p = append(p, score.Draw(r, name+" score"))
				}
			}
			return y, p
		}
		y, p := draw("labelled", rapid.IntRange(1, 40).Draw(r, "labelled rows"))
		k, err := Calibrate(task, classes, y, p, 1)
		if err != nil {
			r.Fatalf("%v", err)
		}
		if err := k.Check(task, outputs); err != nil {
			r.Fatalf("%v", err)
		}
		_, p = draw("window", rapid.IntRange(1, 40).Draw(r, "rows"))
		for name, v := range Estimate(k, p, 0.5) {
			if v < -1e-12 || v > 1+1e-12 {
				r.Fatalf("%s: %v", name, v)
			}
			e, err := EstimateInterval(k, name, p, 0.5, 1)
			if err == nil && !(e.Lower <= e.Value+1e-12 && e.Value <= e.Upper+1e-12) {
				r.Fatalf("%s: %+v", name, e)
			}
			if err != nil && !NoValue(err) {
				r.Fatalf("%s: %v", name, err)
			}
		}
	})
}
