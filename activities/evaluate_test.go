package activities

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

func TestWithoutAChampionTheAbsoluteGatesDecide(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s, _, judged := w.evaluate()
	sum := judged.Summary
	require.Equal(t, evaluation.Pass, sum.Verdict.Outcome, sum.Verdict.Summary())
	require.Zero(t, sum.Champion)
	require.Nil(t, sum.Comparison)
	require.Equal(t, s.Test, sum.JudgedRows)
	require.Equal(t, s.Test, sum.ScoredRows)
	require.Contains(t, sum.Metrics, "latency_p99_ms")
	require.Equal(t, judged.Files[fileMetrics], digestOf(w.read(judged.Prefix+judged.Files[fileMetrics].SHA256+".json")))
}

func TestAGateThatFailsFailsTheVerdict(t *testing.T) {
	w := newWorld(t, "{accuracy: {min: 0.6}}", "{accuracy: {min: 0.999}}")
	w.accept("2013-01.csv", flights(january, 400, 1))
	_, _, judged := w.evaluate()
	require.Equal(t, evaluation.Fail, judged.Summary.Verdict.Outcome)
	require.Contains(t, judged.Summary.Verdict.Summary(), "gate accuracy.min: observed")
}

func TestChampionAndChallengerAreJudgedOnTheSameRowsThatNeitherLearnedFrom(t *testing.T) {
	// Split by hash, so that the champion's snapshot lies within the challenger's test rows.
	w := newWorld(t, "split: {test: {min_rows: 20}}", "split: {by: hash, test: {min_rows: 20}}")
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	champion, _ := w.head().State.Version(1)
	w.apply("split: {test: {min_rows: 20}}", "split: {by: hash, seed: 7, test: {min_rows: 20}}") // other rows test
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	s, trained, judged := w.evaluate()
	sum := judged.Summary
	require.Equal(t, 1, sum.Champion)
	require.Equal(t, s.Test, sum.JudgedRows+sum.LeftOut)
	require.Positive(t, sum.LeftOut, "rows that the champion was trained on")
	require.NotNil(t, sum.Comparison)
	require.Equal(t, sum.JudgedRows, sum.Comparison.Rows)
	require.Contains(t, sum.Previous, "roc_auc")

	rows, err := w.rows(t.Context(), s.Digest, t0)
	require.NoError(t, err)
	mine, err := dataset.UnmarshalKeySet(w.read(trained.Prefix + fileTrained))
	require.NoError(t, err)
	theirs, err := dataset.UnmarshalKeySet(w.read("models/flights/artifacts/" + champion.Artifact + "/" + fileTrained))
	require.NoError(t, err)
	fresh := 0
	for _, r := range rows.Parts.Test {
		if key := rows.Prepared.Keys[r]; !mine.Contains(key) && !theirs.Contains(key) {
			fresh++
		}
	}
	require.Equal(t, fresh, sum.JudgedRows)
}

func TestTooFewRowsThatNeitherLearnedFromIsInconclusive(t *testing.T) {
	w := newWorld(t, "split: {test: {min_rows: 20}}", "split: {by: hash, test: {min_rows: 20}}")
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.apply("split: {test: {min_rows: 20}}", "split: {by: hash, seed: 7, test: {min_rows: 60}}")
	s, _, judged := w.evaluate() // the same rows, split otherwise: most test rows trained the champion
	sum := judged.Summary
	require.Less(t, sum.JudgedRows, 60)
	require.Equal(t, s.Test, sum.ScoredRows, "the challenger's own test rows still tell whether its absolute gates hold")
	require.Equal(t, evaluation.Inconclusive, sum.Verdict.Outcome, sum.Verdict.Summary())
	require.Nil(t, sum.Comparison)
	require.Contains(t, sum.Verdict.Summary(), "judged_rows.min")
}

func TestAChampionThatCantScoreIsSaid(t *testing.T) {
	champion := func(t *testing.T) *world {
		w := newWorld(t)
		w.accept("2013-01.csv", flights(january, 400, 1))
		w.promote()
		w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
		return w
	}
	judge := func(t *testing.T, w *world, says string) {
		t.Helper()
		_, _, judged := w.evaluate()
		sum := judged.Summary
		require.Contains(t, sum.Unscorable, says)
		require.Nil(t, sum.Comparison)
		require.Equal(t, evaluation.Pass, sum.Verdict.Outcome, sum.Verdict.Summary())
		require.True(t, sum.Verdict.NeedsAttention, "whoever approves must know that nothing was compared")
		require.LessOrEqual(t, len(sum.Unscorable), maxText)
	}
	t.Run("its features are gone", func(t *testing.T) {
		w := champion(t)
		w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50}\n  contract: {columns: [{name: id, type: text}, {name: at, type: timestamp}, {name: late, type: number}, {name: delay, type: number}]}")
		judge(t, w, "version 1 can't score these rows")
	})
	for name, file := range map[string]string{"its model is gone": fileModel, "nobody knows what it was trained on": fileTrained} {
		t.Run(name, func(t *testing.T) {
			w := champion(t)
			v, _ := w.head().State.Version(1)
			w.store.Remove("models/flights/artifacts/" + v.Artifact + "/" + file)
			judge(t, w, file+" can't be read")
		})
	}
}

func TestAStoreThatIsAwayIsNotAChampionThatCantScore(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	s := w.snapshot()
	trained := must(t, w.trainer().Train, w.trainInput(s))
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if strings.Contains(key, "/artifacts/") {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	_, err := try(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, trained))
	requireType(t, "", err)
}

func TestAnAttemptsFilesAreCheckedBeforeTheyAreJudged(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s := w.snapshot()
	trained := must(t, w.trainer().Train, w.trainInput(s))
	_, err := w.store.Put(t.Context(), trained.Prefix+fileModel, strings.NewReader("{}"), 2)
	require.NoError(t, err)
	_, err = try(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, trained))
	requireType(t, ErrorCorrupt, err)
	w.store.Remove(trained.Prefix + fileModel)
	_, err = try(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, trained))
	requireType(t, ErrorCorrupt, err)
}

func TestDisparityIsMeasuredAcrossAColumnThatIsNoFeature(t *testing.T) {
	w := newWorld(t, "{accuracy: {min: 0.6}}", "{accuracy: {min: 0.6}, disparity: {by: carrier, metric: recall, max: 0.0001, min_rows: 5}}",
		"  window: {min_rows: 50}", "  window: {min_rows: 50}\n  features: {exclude: [carrier]}")
	w.accept("2013-01.csv", flights(january, 600, 1))
	_, _, judged := w.evaluate()
	require.NotNil(t, judged.Summary.Disparity)
	require.Equal(t, 3, judged.Summary.Disparity.Judged)
	require.Equal(t, evaluation.Fail, judged.Summary.Verdict.Outcome)
	require.Contains(t, judged.Summary.Verdict.Summary(), "disparity.recall.max")
}

func TestAMetricWithoutAValueFailsItsGateAndTravels(t *testing.T) {
	w := newWorld(t, "{accuracy: {min: 0.6}}", "{accuracy: {min: 0.6}, roc_auc: {min: 0.5}}")
	early := flights(january, 300, 1)
	var b strings.Builder
	for i, line := range strings.SplitAfter(early, "\n") {
		if i > 200 {
			line = strings.Replace(line, ",1\n", ",0\n", 1) // nobody is late in the test rows
		}
		b.WriteString(line)
	}
	w.accept("2013-01.csv", b.String())
	_, _, judged := w.evaluate()
	require.True(t, math.IsNaN(judged.Summary.Metrics["roc_auc"]), "NaN came through the converter")
	require.Equal(t, evaluation.Fail, judged.Summary.Verdict.Outcome)
	require.Contains(t, judged.Summary.Verdict.Summary(), "gate roc_auc.min: observed NaN")
}

// constant scores every row alike, which is what a comparison can't rank.
type constant float64

func (constant) Outputs() int { return 1 }

func (c constant) Score(_ []float64, rows int, out []float64) error {
	for i := range rows {
		out[i] = float64(c)
	}
	return nil
}

func TestSummariesOfAnyPredictionTravel(t *testing.T) {
	signature := inference.Signature{
		Version: 1, Format: inference.FormatLinear, Task: spec.Regression, Output: "y", Inputs: []inference.Feature{{Name: "x", Kind: inference.KindNumber}},
	}
	values := make([]float64, 50)
	for i := range values {
		values[i] = float64(i % 7)
	}
	table := &dataset.Table{Rows: len(values), Columns: []dataset.Column{
		{Name: "x", Kind: dataset.Number, Floats: values}, {Name: "y", Kind: dataset.Number, Floats: values},
	}}
	judged := make([]int, len(values))
	for i := range judged {
		judged[i] = i
	}
	scores := []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64}
	for _, challenger := range scores {
		for _, champion := range scores {
			d := evaluated{
				spec: &spec.Model{Task: spec.Regression, Gates: spec.Gates{Champion: spec.ChampionGate{Metric: "rmse", Confidence: 0.95}}}, now: time.Now,
				table: table, common: true, challenger: modelOf(t, signature, constant(challenger)), champion: modelOf(t, signature, constant(champion)),
			}
			s := EvaluateSummary{Champion: 1, JudgedRows: len(judged)}
			require.NoError(t, d.score(t.Context(), judged, &s))
			require.NoError(t, d.judge(&s))
			raw, err := json.Marshal(s)
			require.NoError(t, err, "challenger %v, champion %v", challenger, champion)
			var back EvaluateSummary
			require.NoError(t, json.Unmarshal(raw, &back))
		}
	}
}

// modelOf ties a scorer to a signature through a linear model of the same shape.
func modelOf(t *testing.T, s inference.Signature, scorer inference.Scorer) *inference.Model {
	t.Helper()
	raw, err := json.Marshal(inference.LinearFile{
		Format: inference.FormatLinear, Version: inference.LinearVersion, Link: inference.LinkIdentity, Intercept: []float64{0},
		Features: []inference.LinearFeature{{Name: "x", Kind: inference.KindNumber, Weights: []float64{1}}},
	})
	require.NoError(t, err)
	signature, err := s.Marshal()
	require.NoError(t, err)
	m, err := inference.Load(map[string][]byte{inference.SignatureFile: signature, inference.ModelFile: raw}, inference.DefaultLimits())
	require.NoError(t, err)
	m.Scorer = scorer
	return m
}
