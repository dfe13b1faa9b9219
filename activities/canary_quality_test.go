package activities

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// contested is a world in the middle of a canary: version 1 and version 2 each answered flights of their own in the step's
// first hour. right is the share of the challenger's answers that come true.
func contested(t *testing.T, right float64) (w *world, in CanaryQualityInput, rows []flight) {
	w, v := challenger(t)
	from := t0.Add(2 * time.Hour)
	w.now = from
	w.challenge(v)
	rows = flightRows(t0, 400, 21, 0)
	at := from.Add(30 * time.Minute)
	w.logScored(1, "old", answers(rows[:300], at), truth(rows[:300], 1)...)
	w.logScored(2, "new", answers(rows[300:], at), truth(rows[300:], right)...)
	w.logScored(2, "before", answers(rows[:300], from.Add(-time.Minute)), 0.5)
	w.now = from.Add(50 * time.Minute)
	in = CanaryQualityInput{Model: theModel, Version: 2, Champion: 1, Spec: w.spec, From: from, To: from.Add(time.Hour),
		Quality: spec.CanaryQuality{Metric: "accuracy", MaxLoss: 0.02, MinRows: 50}}
	return w, in, rows
}

// truth are scores of which a share says what came true.
func truth(rows []flight, right float64) []float64 {
	out := make([]float64, len(rows))
	for i, f := range rows {
		out[i] = 0.1 + 0.8*float64(f.late)
		if float64(i) >= right*float64(len(rows)) {
			out[i] = 1 - out[i]
		}
	}
	return out
}

func (w *world) labels(in CanaryQualityInput) canary.Quality {
	w.t.Helper()
	return must(w.t, w.monitors().CanaryQuality, in)
}

func TestLabelsFindTheAnswersOfBothArms(t *testing.T) {
	w, in, rows := contested(t, 0.8)
	require.Zero(t, w.labels(in).Challenger.Rows, "no label has come")

	w.accept("2013-06.csv", outcomes(rows, truly))
	out := w.labels(in)
	require.Empty(t, out.Problem)
	require.Equal(t, in.From, out.From)
	require.Equal(t, in.To, out.At)
	require.Equal(t, canary.Labelled{Rows: 300}, out.Champion)
	require.Equal(t, canary.Labelled{Rows: 100, Sum: 20, Squares: 20}, out.Challenger)

	in.Quality.Metric = "log_loss"
	out = w.labels(in)
	require.InDelta(t, -math.Log(0.9), out.Champion.Value("log_loss"), 1e-9)
	require.InDelta(t, -(0.8*math.Log(0.9) + 0.2*math.Log(0.1)), out.Challenger.Value("log_loss"), 1e-9)
}

// Rows of one request, and answers about one thing, count once.
func TestAnswersThatResembleEachOtherCountOnce(t *testing.T) {
	w, in, rows := contested(t, 1)
	at := in.From.Add(40 * time.Minute)
	w.logScored(2, "again", answers(rows[300:], at), truth(rows[300:], 0)...)
	w.logScored(2, "0199f3c2a1b4-7f3a9c21", answers(rows[:60], at), truth(rows[:60], 1)...) // one batch of sixty
	w.accept("2013-06.csv", outcomes(rows, truly))
	out := w.labels(in)
	require.EqualValues(t, 101, out.Challenger.Rows)
}

// A run accepts files before its canary, and the next one after it: what lands meanwhile is read where it lies, once.
func TestLabelsAreFoundInFilesThatOnlyLanded(t *testing.T) {
	w, in, rows := contested(t, 0.8)
	w.lake.Landing = stamped{w.buckets, func() time.Time { return w.now }}
	w.land("2013-06.csv", outcomes(rows[:350], truly))
	w.land("broken.csv", "id,at\nf1,never\n")
	w.land("notes.csv.gz", "this is no gzip")
	out := w.labels(in)
	require.Equal(t, canary.Labelled{Rows: 300}, out.Champion)
	require.Equal(t, canary.Labelled{Rows: 50}, out.Challenger)

	w.accept("2013-06b.csv", outcomes(rows, truly)) // landed and accepted: still one label each
	require.EqualValues(t, 100, w.labels(in).Challenger.Rows)

	in.From = w.now.Add(time.Minute) // of a step that began after it landed
	in.To = in.From.Add(time.Hour)
	w.logScored(2, "late", answers(rows[:60], in.From.Add(time.Minute)), 0.5)
	require.Zero(t, w.labels(in).Challenger.Rows)
}

// stamped are buckets whose objects were written now: memory's own clock counts writes.
type stamped struct {
	objectstore.Buckets
	now func() time.Time
}

func (s stamped) Bucket(name string) objectstore.Store {
	return stampedStore{s.Buckets.Bucket(name), s.now}
}

type stampedStore struct {
	objectstore.Store
	now func() time.Time
}

func (s stampedStore) List(ctx context.Context, prefix string, visit func(objectstore.Info) error) error {
	return s.Store.List(ctx, prefix, func(i objectstore.Info) error {
		i.Modified = s.now()
		return visit(i)
	})
}

// What was accepted before the step began labels nothing in it, and isn't read.
func TestOnlyFilesOfTheStepAreLookedThroughForLabels(t *testing.T) {
	w, in, rows := contested(t, 1)
	w.accept("2013-06.csv", outcomes(rows, truly))
	in.From = w.now.Add(time.Second)
	in.To = in.From.Add(time.Hour)
	w.logScored(2, "late", answers(rows[:60], in.From.Add(time.Minute)), 0.5)
	require.Zero(t, w.labels(in).Challenger.Rows)
}

func TestARegressionsLossIsItsError(t *testing.T) {
	log := &dataset.Table{Rows: 1, Columns: []dataset.Column{
		{Name: predictions.ColumnScore, Kind: dataset.Number, Floats: []float64{0.1}}, {Name: predictions.ColumnLabel, Kind: dataset.Text, Codes: []int32{-1}}}}
	w := watched{signature: inference.Signature{Task: spec.Regression}}
	for metric, want := range map[string]float64{"mae": 2, "rmse": 4} {
		loss, err := w.lossOf(log, metric)
		require.NoError(t, err)
		require.InDelta(t, want, loss(0, 2.1), 1e-9)
	}
}

func TestAMetricThatTheTaskDoesntHaveIsRefused(t *testing.T) {
	w, in, rows := contested(t, 1)
	w.accept("2013-06.csv", outcomes(rows, truly))
	in.Quality.Metric = "f1"
	_, err := try(t, w.monitors().CanaryQuality, in)
	requireType(t, ErrorSpec, err)
}

func TestAFailedCanaryTellsPeopleWhatToDo(t *testing.T) {
	m := &Messenger{RunURL: func(id string) string { return "https://temporal/" + id }}
	failed := &canary.Failure{At: t0, Reason: "error rate 50 % (500 of 1000)", Withdrawn: true}
	look := &canary.Look{Judgement: canary.Judgement{Checks: []canary.Check{{Verdict: canary.Pass, Message: "latency p99 1 ms"}}}}
	in := MessageInput{Kind: MessageCanary, Model: theModel, Lifecycle: "lifecycle/flights/7", Round: 3, Workflow: "canary/flights",
		Canary: &CanaryMessage{Version: 7, Champion: 6, Deadline: t0.Add(time.Hour), Failed: failed, Last: look}}
	msg := m.word(in)
	require.Equal(t, "flights: the canary of version 7 failed; version 6 answers everything", msg.Title)
	for _, says := range []string{"error rate 50 %", "it has no traffic until somebody says how to go on", "2013-06-01 13:00 UTC: then it is rolled back",
		"• pass: latency p99 1 ms", "starter canary abort flights", "starter canary resume flights", "starter canary promote flights"} {
		require.Contains(t, msg.Text, says)
	}

	failed.Withdrawn, failed.Until, in.Canary.Weight = false, t0.Add(30*time.Minute), 0.1
	msg = m.word(in)
	require.Equal(t, "flights: the canary of version 7 failed and keeps 10 %: go on?", msg.Title)
	require.Contains(t, msg.Text, "without an answer by 2013-06-01 12:30 UTC it is rolled back")

	in.Kind, in.Canary.Answer = MessageAnswered, "resume by cli:ana: a flaky host"
	msg = m.word(in)
	require.True(t, strings.HasSuffix(msg.Title, "version 7 was answered"), msg.Title)
	require.Equal(t, in.Canary.Answer, msg.Text)
}
