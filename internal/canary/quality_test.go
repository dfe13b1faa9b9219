package canary

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// judged is a canary that compares labels.
func judged(metric string, maxLoss float64, required bool) State {
	c := config()
	c.Quality = &spec.CanaryQuality{Metric: metric, MaxLoss: maxLoss, MinRows: 200, Required: required}
	return New(c, t0)
}

// answered is n labelled answers of which so many are wrong.
func answered(n, wrong int) Labelled {
	return Labelled{Rows: int64(n), Sum: float64(wrong), Squares: float64(wrong)}
}

func TestQualityIsComparedWhereLabelsCome(t *testing.T) {
	now := t0.Add(2 * time.Hour)
	read := func(champion, challenger Labelled) *Quality {
		return &Quality{From: t0, At: now.Add(-time.Minute), Metric: "accuracy", Champion: champion, Challenger: challenger}
	}
	for _, c := range []struct {
		name     string
		required bool
		quality  *Quality
		verdict  Verdict // of the look
		check    Verdict
		says     string
	}{
		{"as good", false, read(answered(9000, 900), answered(1000, 100)), Pass, Pass, "accuracy 0.9 on 1000 labelled answers against the champion's 0.9 on 9000: no worse"},
		{"worse within the limit", false, read(answered(9000, 900), answered(1000, 115)), Pass, Pass, "worse by 0.015 <= 0.02"},
		{"worse beyond it, which may be chance", false, read(answered(9000, 900), answered(1000, 130)), Inconclusive, Inconclusive, "worse by 0.03 > 0.02, not certain yet"},
		{"worse beyond it for certain", false, read(answered(90000, 9000), answered(10000, 1500)), Fail, Fail, "worse by at least 0.02818 > 0.02"},
		{"few labels hold nothing up", false, read(answered(9000, 900), answered(199, 199)), Pass, Inconclusive, "199 labelled answers of the challenger < canary.quality.min_rows 200"},
		{"few of the champion neither", false, read(answered(150, 9), answered(1000, 900)), Pass, Inconclusive, "150 labelled answers of the champion"},
		{"unless they are required", true, read(answered(9000, 900), answered(199, 199)), Inconclusive, Inconclusive, "199 labelled answers"},
		{"not read yet", false, nil, Inconclusive, Inconclusive, "weren't read yet"},
		{"of another step", false, &Quality{From: t0.Add(-time.Hour), At: now}, Inconclusive, Inconclusive, "weren't read yet"},
		{"read long ago", false, &Quality{From: t0, At: now.Add(-time.Hour)}, Inconclusive, Inconclusive, "read 1h0m0s ago"},
		{"not readable", false, &Quality{From: t0, At: now, Problem: "S3 is away"}, Inconclusive, Inconclusive, "S3 is away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := judged("accuracy", .02, c.required)
			if c.quality != nil {
				s = WithQuality(s, *c.quality)
			}
			_, _, j := Decide(s, look(s, now, arm(9000, 0, .01), arm(1000, 0, .01)), now)
			require.Equal(t, c.verdict, j.Verdict, "%+v", j.Checks)
			check := named(j, "quality")
			require.Equal(t, c.check, check.Verdict)
			require.Contains(t, check.Message, c.says)
		})
	}
}

func TestAnOlderReadingDoesntReplaceANewerOne(t *testing.T) {
	s := WithQuality(judged("mae", 1, false), Quality{From: t0, At: t0.Add(time.Hour), Champion: answered(9, 1)})
	s = WithQuality(s, Quality{From: t0, At: t0.Add(time.Minute)})
	require.EqualValues(t, 9, s.Quality.Champion.Rows)
}

// A step that leaves the champion no traffic is held to what the champion did before.
func TestQualityOfAnEarlierStepIsKept(t *testing.T) {
	s := judged("accuracy", .02, true)
	s.Config.Steps = []spec.Step{{Weight: .1, MinRequests: 10}, {Weight: 1, MinRequests: 10}}
	now := t0.Add(time.Hour)
	s = WithQuality(s, Quality{From: t0, At: now, Champion: answered(9000, 900), Challenger: answered(1000, 100)})
	s, action, _ := Decide(s, look(s, now, arm(9000, 0, .01), arm(1000, 0, .01)), now)
	require.Equal(t, Advance, action.Kind)
	require.Nil(t, s.Quality)
	later := now.Add(time.Hour)
	s = WithQuality(s, Quality{From: now, At: later, Champion: Labelled{}, Challenger: answered(1000, 100)})
	_, action, j := Decide(s, look(s, later, arm(0, 0, 0), arm(1000, 0, .01)), later)
	require.Equal(t, Promote, action.Kind, "%+v", j.Checks)
	require.Contains(t, named(j, "quality").Message, "0.9 on 9000")
}

// losses draws a row's loss: what is asked for is how heavy its tail is.
var losses = map[string]func(*rand.Rand) float64{
	"accuracy": func(r *rand.Rand) float64 { return float64(r.IntN(10) / 9) },
	"mae":      func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64()) },
	"rmse":     func(r *rand.Rand) float64 { x := r.NormFloat64(); return x * x },
	"log_loss": func(r *rand.Rand) float64 { return -math.Log(max(leastDrawn, r.Float64())) },
}

const leastDrawn = 1e-6

// However often one looks, equal models hardly ever fail, even where no loss at all is allowed: whichever arm has most of
// the traffic, and where a few rows in a thousand make most of the loss.
func TestEqualModelsHardlyEverFailOnLabels(t *testing.T) {
	const runs, looks, alpha = 300, 60, .05
	rarely := func(r *rand.Rand) float64 { // wrong, and certain of it
		if r.IntN(200) == 0 {
			return -math.Log(leastDrawn)
		}
		return .05 * r.Float64()
	}
	for metric, draw := range losses {
		draws := map[string]func(*rand.Rand) float64{"usual": draw}
		if metric != "accuracy" {
			draws["rare"] = rarely
		}
		for kind, draw := range draws {
			for _, champions := range []int{90, 10, 2} { // of 100 rows a look
				t.Run(fmt.Sprintf("%s, %s losses, champion %d %%", metric, kind, champions), func(t *testing.T) {
					r := rand.New(rand.NewPCG(31, 37))
					failed := 0
					for range runs {
						var a, b Labelled
						for range looks {
							for range champions {
								a.Add(draw(r))
							}
							for range 100 - champions {
								b.Add(draw(r))
							}
							if min(a.Rows, b.Rows) < minLabelled {
								continue
							}
							if _, least := lossBound(metric, a, b, alpha); least > 0 {
								failed++
								break
							}
						}
					}
					require.LessOrEqual(t, float64(failed)/runs, alpha)
				})
			}
		}
	}
}

func TestAWorseModelIsFoundByAnyMetric(t *testing.T) {
	for metric, draw := range losses {
		r := rand.New(rand.NewPCG(41, 43))
		var a, b Labelled
		for range 20000 {
			a.Add(draw(r))
		}
		for range 5000 {
			x := draw(r)
			if metric == "accuracy" && r.Float64() < .1 {
				x = 1
			} else if metric != "accuracy" {
				x *= 1.5
			}
			b.Add(x)
		}
		loss, least := lossBound(metric, a, b, .001)
		require.Positive(t, least, metric)
		require.Greater(t, loss, least, metric)
	}
}

func TestQualityWithoutAValueProvesNothing(t *testing.T) {
	for metric := range losses {
		for _, odd := range []Labelled{{}, {Rows: 500, Sum: math.MaxFloat64, Squares: math.MaxFloat64}} {
			_, least := lossBound(metric, Labelled{}, odd, .001)
			require.LessOrEqual(t, least, 0.0, "%s %v", metric, odd)
		}
	}
}

func TestQualityTravels(t *testing.T) {
	s := WithQuality(judged("accuracy", .02, true), Quality{From: t0, At: t0.Add(time.Hour), Metric: "accuracy", Champion: answered(90, 9)})
	b, err := json.Marshal(s)
	require.NoError(t, err)
	var back State
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, s, back)
}
