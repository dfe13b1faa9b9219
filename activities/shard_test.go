package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

var tenHours = DriftInput{Model: theModel, End: t0.Add(10 * time.Hour), Champion: 1}

// cut is a monitor whose shards have one part each.
func (w *world) cut() *Monitors {
	m := w.monitors()
	m.ShardBytes, m.Bucket = 1, "lake"
	return m
}

// profiled plans a window and profiles all of it.
func (w *world) profiled(m *Monitors, in DriftInput) DriftJudgement {
	w.t.Helper()
	plan := must(w.t, m.DriftPlan, in)
	require.Empty(w.t, plan.Inconclusive)
	j := DriftJudgement{Plan: plan, Recent: in.Recent, Champion: in.Champion}
	for i := range plan.Shards {
		j.Shards = append(j.Shards, must(w.t, m.DriftShard, DriftShard{Plan: plan, Shard: i}))
	}
	j.Target = must(w.t, m.DriftTarget, plan)
	return j
}

// result is what a window's verdict is kept as.
func (w *world) result(out DriftOutput) drift.Result {
	w.t.Helper()
	var r drift.Result
	require.NoError(w.t, json.Unmarshal(w.read(out.Report), &r))
	return r
}

func TestShardsAreJudgedAsTheWhole(t *testing.T) {
	w := champion(newWorld(t))
	for i := range 6 {
		w.log(1, fmt.Sprint("part", i), answers(flightRows(january, 70+i, uint64(20+i), float64(i)), t0.Add(time.Duration(i)*time.Hour)))
	}
	m := w.cut()
	j := w.profiled(m, tenHours)
	require.Equal(t, 6, j.Plan.Shards)
	require.Equal(t, 6, j.Plan.Parts)
	cut := must(t, m.DriftJudge, j)
	whole := must(t, w.monitors().Drift, tenHours)
	require.Equal(t, 6*70+15, cut.Rows)
	require.Equal(t, "s3://lake/"+strings.TrimSuffix(cut.Report, ".json")+".html", cut.Page)
	require.Equal(t, strings.TrimSuffix(cut.Report, ".json")+".html", whole.Page)
	cut.Page, whole.Page = "", ""
	require.Equal(t, whole, cut)
	require.Equal(t, must(t, m.DriftJudge, j).Report, cut.Report, "a retry finds its own")
}

// without is a store whose retention removed an object after it was listed.
type without struct {
	objectstore.Store
	part string
}

func (s without) Get(ctx context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	if strings.Contains(key, s.part) {
		return nil, objectstore.Info{}, fmt.Errorf("%s: %w", key, objectstore.ErrNotFound)
	}
	return s.Store.Get(ctx, key)
}

func TestAWindowHasAPageForPeople(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "shifted", answers(flightRows(january, 400, 12, 30), t0.Add(2*time.Hour)))
	out := must(t, w.monitors().Drift, tenHours)
	page := string(w.read(out.Page))
	for _, says := range []string{"<!doctype html>", "400 predictions of version 1, 2013-06-01 12:00:00 to 2013-06-01 22:00:00", "delay", "Prediction drift"} {
		require.Contains(t, strings.ToLower(page), strings.ToLower(says))
	}
	require.Regexp(t, `^monitor/flights/drift/20130601T220000Z-[0-9a-f]{64}\.html$`, out.Page)
}

func TestAPartThatIsGoneIsMissedAndSaid(t *testing.T) {
	w := champion(newWorld(t))
	for i := range 3 {
		w.log(1, fmt.Sprint("part", i), answers(flightRows(january, 100, uint64(20+i), 0), t0.Add(time.Duration(i)*time.Hour)))
	}
	m := w.cut()
	plan := must(t, m.DriftPlan, tenHours)
	require.Equal(t, 3, plan.Shards)
	w.lake.Store = without{w.store, "part1"}
	out := must(t, m.DriftJudge, w.profiled(m, tenHours))
	require.Empty(t, out.Inconclusive)
	require.Equal(t, 200, out.Rows)
	require.Contains(t, out.Notes, "1 of 3 parts of the log were removed while it was read")

	w.apply("min_rows: 50, max_drifted", "min_rows: 201, max_drifted")
	out = must(t, m.DriftJudge, w.profiled(m, tenHours))
	require.Contains(t, out.Inconclusive, "200 predictions of version 1 since 2013-06-01T12:00:00Z < monitor.drift.min_rows 201")
}

func TestAPromotionMeanwhileMakesNoVerdict(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "shifted", answers(flightRows(january, 400, 12, 30), t0.Add(time.Hour)))
	in := tenHours
	in.Recent = []bool{true}
	m := w.cut()
	j := w.profiled(m, in)
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	require.Equal(t, 2, w.promote())

	require.Equal(t, j.Shards[0], must(t, m.DriftShard, DriftShard{Plan: j.Plan}), "a late shard is of the version that was planned for")
	points := len(w.metrics.Points())
	out := must(t, m.DriftJudge, j)
	require.Equal(t, "version 2 became the champion while the predictions of version 1 were read", out.Inconclusive)
	require.False(t, out.Alert)
	require.Equal(t, 1, out.Champion)
	require.Equal(t, []bool{true}, out.Recent, "neither drift nor no drift")
	require.Len(t, w.metrics.Points(), points)

	// Back again: what was read is of its first time.
	w.now = w.now.Add(time.Hour)
	w.do(registry.Command{Kind: registry.KindRolledBack, Reason: "worse", RolledBack: &registry.RolledBack{To: 1}})
	require.Equal(t, 1, w.head().State.Champion)
	require.NotEmpty(t, must(t, m.DriftJudge, j).Inconclusive)
}

func TestAPlanKeepsItsSpec(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "few", answers(flightRows(january, 60, 12, 0), t0.Add(time.Hour)))
	m := w.cut()
	j := w.profiled(m, tenHours)
	w.apply("min_rows: 50, max_drifted", "min_rows: 5000, max_drifted")
	require.Empty(t, must(t, m.DriftJudge, j).Inconclusive)
}

func TestThePredictionIsAColumnOfItsOwn(t *testing.T) {
	w := champion(newWorld(t, "max_drifted: 0", "max_drifted: 9"))
	rows := answers(flightRows(january, 300, 11, 0), t0.Add(time.Hour))
	w.log(1, "same", rows)
	out := must(t, w.monitors().Drift, tenHours)
	require.False(t, out.Window, out.Reason)
	require.Len(t, out.Extra, 1)
	require.Equal(t, "prediction", out.Extra[0].Name)
	require.Equal(t, drift.Numeric, out.Extra[0].Type)
	require.NotEmpty(t, out.Notes, "that no label has come")

	// The same flights, of which the model now says the same each time: a broken scorer, say.
	w = champion(newWorld(t, "max_drifted: 0", "max_drifted: 9"))
	w.logScored(1, "stuck", rows, 0.5)
	out = must(t, w.monitors().Drift, tenHours)
	require.Empty(t, out.Drifted, "no feature")
	require.True(t, out.Window)
	require.Contains(t, out.Reason, "psi of the prediction: observed")
	r := w.result(out)
	require.True(t, r.Alert)
	require.Zero(t, r.Drifted)
}

func TestLabelsThatHaveComeAreAColumnOfTheirOwn(t *testing.T) {
	labels := "  window: {min_rows: 50}\n  labels: {min_coverage: 0.5}"
	w := champion(newWorld(t, "max_drifted: 0", "max_drifted: 9", "  window: {min_rows: 50}", labels))
	rows := flightRows(t0, 200, 21, 0)
	w.log(1, "part", answers(rows, t0.Add(time.Hour)))
	out := must(t, w.monitors().Drift, tenHours)
	require.Len(t, out.Extra, 1)
	require.Contains(t, out.Notes[0], "target not compared: no file was accepted since version 1 was registered")

	w.accept("2013-06.csv", outcomes(rows, truly))
	out = must(t, w.monitors().Drift, tenHours)
	require.Empty(t, out.Notes)
	require.Len(t, out.Extra, 2)
	require.Equal(t, "target", out.Extra[1].Name)
	require.False(t, out.Window, out.Reason)

	w = champion(newWorld(t, "max_drifted: 0", "max_drifted: 9", "  window: {min_rows: 50}", labels))
	w.log(1, "part", answers(rows, t0.Add(time.Hour)))
	w.accept("2013-06.csv", outcomes(rows, func(i int, f flight) string { return fmt.Sprint(number(i%20 > 0)) }))
	out = must(t, w.monitors().Drift, tenHours)
	require.Empty(t, out.Drifted)
	require.True(t, out.Window)
	require.Contains(t, out.Reason, "psi of the target: observed")

	// Half of them is what min_coverage asks for: those that come first may be of another kind.
	w = champion(newWorld(t, "  window: {min_rows: 50}", labels))
	w.log(1, "part", answers(rows, t0.Add(time.Hour)))
	w.accept("2013-06.csv", outcomes(rows, func(i int, f flight) string {
		if i%2 == 0 || i < 10 {
			return ""
		}
		return truly(i, f)
	}))
	out = must(t, w.monitors().Drift, tenHours)
	require.Len(t, out.Extra, 1)
	require.Contains(t, out.Notes[0], "target not compared: 95 labels for 95 of 200 predictions, fewer than monitor.drift.min_rows 50 or data.labels.min_coverage 50 %")
	// Those that can't have a label yet are none that lack it.
	w.apply("max_drifted: 0", "max_drifted: 0", "  window: {min_rows: 50}", strings.Replace(labels, "min_coverage", "delay: 4h, min_coverage", 1))
	w.log(1, "young", answers(flightRows(t0.Add(1000*time.Hour), 300, 22, 0), tenHours.End.Add(-4*time.Hour)))
	require.Contains(t, must(t, w.monitors().Drift, tenHours).Notes[0], "95 labels for 95 of 200 predictions")
	w.apply("  window: {min_rows: 50}", labels)
	require.Contains(t, must(t, w.monitors().Drift, tenHours).Notes[0], "95 labels for 95 of 500 predictions")
	// The same flights asked for again have the same labels.
	w.log(1, "again", answers(rows[10:60], t0.Add(2*time.Hour)))
	target := must(t, w.monitors().DriftTarget, must(t, w.monitors().DriftPlan, tenHours))
	require.Contains(t, target.Note, "95 labels for 120 of 550 predictions")
}

func TestWhatIsExcludedIsReportedAndAlertsNobody(t *testing.T) {
	w := champion(newWorld(t, "max_drifted: 0", "max_drifted: 0, exclude: [delay, prediction, next_feature], methods: {delay: ks, next_feature: js}"))
	w.logScored(1, "stuck", answers(flightRows(january, 400, 12, 30), t0.Add(2*time.Hour)), 0.5)
	out := must(t, w.monitors().Drift, tenHours)
	require.False(t, out.Window, out.Reason)
	require.Empty(t, out.Drifted)
	require.Zero(t, out.MaxPSI)
	require.Len(t, out.Top, 1)
	require.Len(t, out.Extra, 2)
	for i, name := range []string{"prediction", "delay"} {
		require.Equal(t, name, out.Extra[i].Name)
		require.Greater(t, out.Extra[i].PSI, 0.2)
	}
	require.Equal(t, drift.MethodKS, out.Extra[1].Method)
	require.Contains(t, out.Notes, "monitor.drift.methods names next_feature, which version 1 doesn't take")
	require.Contains(t, out.Notes, "monitor.drift.exclude names next_feature, which version 1 doesn't take")
	features := map[string]bool{}
	for _, p := range w.metrics.Points() {
		features[p.Tags["feature"]] = true
		if p.Tags["feature"] == "_all" {
			require.Equal(t, 1.0, p.Fields["features"])
		}
	}
	require.Equal(t, map[string]bool{"_all": true, "delay": true, "carrier": true, "_prediction": true}, features)
	require.Contains(t, string(w.read(out.Page)), "not counted among the columns")
}

// A contract that older files don't meet is no reason to stop watching the features.
func TestLabelsThatCantBeReadAreANote(t *testing.T) {
	w := champion(newWorld(t))
	rows := flightRows(t0, 200, 21, 0)
	w.log(1, "part", answers(rows, t0.Add(time.Hour)))
	w.accept("2013-06.csv", outcomes(rows, truly))
	w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50}\n  contract: {columns: [{name: id, type: text}, {name: at, type: timestamp}, {name: delay, type: integer}, {name: late, type: integer}]}")
	plan := must(t, w.monitors().DriftPlan, tenHours)
	target := must(t, w.monitors().DriftTarget, plan)
	require.Contains(t, target.Note, "target not compared: ")
	require.Contains(t, target.Note, "was accepted under another contract")
	require.Empty(t, target.Key)
	w.lake.Store = without{w.store, "/data"}
	require.Contains(t, must(t, w.monitors().DriftTarget, plan).Note, "target not compared: ")
}

func TestAVersionWithoutTestRowsHasNoPredictionToCompare(t *testing.T) {
	var r reference
	x := dataset.Column{Name: "x", Kind: dataset.Number, Floats: []float64{1, 2}}
	y := dataset.Column{Name: "y", Kind: dataset.Number, Floats: []float64{0, 1}}
	raw, err := trainingProfile(training.Input{Train: &dataset.Table{Rows: 2, Columns: []dataset.Column{x, y}}, Features: []string{"x"}, Target: "y"})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	require.Nil(t, r.Prediction)
	require.Equal(t, r.Training, r.whole())
	_, err = withAnswers([]byte("{"), nil)
	require.Error(t, err)
	_, err = withAnswers(raw, []byte("{"))
	require.Error(t, err)
}

func TestAnAnswerIsComparedAsItsTaskHasIt(t *testing.T) {
	many := inference.Signature{Task: spec.Multiclass, Classes: []string{"a", "b", "c"}}
	p, err := answerProfile(many, []float64{0.1, 0.8, 0.1, 0.4, 0.2, 0.4, 0.2, 0.3, 0.5})
	require.NoError(t, err)
	c, _ := p.Column(columnPrediction)
	values, exact := c.Values()
	require.True(t, exact)
	require.Equal(t, map[string]int64{"a": 1, "b": 1, "c": 1}, values, "the first of equals")
	require.Equal(t, predictions.Answer{Name: "prediction", Type: "category"}, answerOf(spec.Multiclass))
	for _, task := range []spec.Task{spec.Binary, spec.Regression} {
		p, err := answerProfile(inference.Signature{Task: task}, []float64{0.25, 0.5})
		require.NoError(t, err)
		c, _ := p.Column(columnPrediction)
		require.Equal(t, 0.375, c.Numbers.Mean)
		require.Equal(t, predictions.Answer{Name: "prediction", Type: "number"}, answerOf(task))
	}
}

func TestARegressionHasNoCalibration(t *testing.T) {
	d := evaluated{
		spec: &spec.Model{Task: spec.Regression}, y: []float64{1, 2}, p: []float64{1, 3},
		challenger: &inference.Model{Signature: inference.Signature{Task: spec.Regression}},
	}
	files, err := d.files()
	require.NoError(t, err)
	require.Contains(t, files, fileProfile)
	require.NotContains(t, files, fileCalibration)
	d.y, d.p = nil, nil
	files, err = d.files()
	require.NoError(t, err)
	require.Empty(t, files, "no row is left")
}

func TestFeaturesMayHaveAnyName(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"prediction", "target", "feature.prediction", "feature.target", "feature.feature.target", "delay", "feature.", ""} {
		column := profileColumn(name)
		require.NotEqual(t, columnPrediction, column)
		require.NotEqual(t, columnTarget, column)
		require.Empty(t, seen[column], "%q and %q", name, seen[column])
		seen[column] = name
	}
}

func TestAMissingShardIsCorruptAndAStoreThatIsAwayIsAskedAgain(t *testing.T) {
	w := champion(newWorld(t))
	w.log(1, "part", answers(flightRows(january, 100, 20, 0), t0.Add(time.Hour)))
	m := w.cut()
	j := w.profiled(m, tenHours)
	_, err := try(t, m.DriftShard, DriftShard{Plan: j.Plan, Shard: 1})
	requireType(t, ErrorCorrupt, err)
	require.Contains(t, err.Error(), "no shard 1 among 1")
	bad := j
	bad.Shards = []DriftProfiled{j.Shards[0]}
	bad.Shards[0].Key += "x"
	_, err = try(t, m.DriftJudge, bad)
	requireType(t, ErrorCorrupt, err)
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if strings.HasPrefix(key, "predictions/") {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	_, err = try(t, m.DriftShard, DriftShard{Plan: j.Plan})
	requireType(t, "", err)
	_, err = try(t, m.DriftPlan, tenHours)
	requireType(t, "", err)
}

func TestNothingLoggedIsPlannedAsNothing(t *testing.T) {
	w := champion(newWorld(t))
	plan := must(t, w.monitors().DriftPlan, tenHours)
	require.Zero(t, plan.Shards)
	require.Empty(t, plan.Key)
	require.Equal(t, 1, plan.Champion)
	requireSmall(t, plan, 1<<10)
	out := must(t, w.monitors().DriftJudge, DriftJudgement{Plan: plan})
	require.Contains(t, out.Inconclusive, "0 predictions of version 1")
}
