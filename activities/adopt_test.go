package activities

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
)

// elsewhere is a model of the flights that was made by hand: late where the delay is over 5.
func elsewhere() map[string][]byte {
	return map[string][]byte{
		inference.SignatureFile: []byte(`{"version":1,"format":"leanloop-linear","task":"binary","output":"late","classes":["0","1"],"inputs":[{"name":"delay","kind":"number"}]}`),
		inference.ModelFile:     []byte(`{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[-2.5],"features":[{"name":"delay","kind":"number","weights":[0.5]}]}`),
	}
}

// imports stages a model and takes it in.
func (w *world) imports(files map[string][]byte, until time.Time) (AdoptInput, SnapshotOutput) {
	w.t.Helper()
	given := NewImport(files, until)
	for name, raw := range files {
		_, err := w.store.Create(w.t.Context(), ImportPrefix(theModel, given.Digest)+name, bytes.NewReader(raw), int64(len(raw)))
		require.NoError(w.t, err)
	}
	s := w.snapshot()
	return AdoptInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s.Digest, AsOf: t0, Import: given, By: "cli:ana"}, s
}

func (w *world) adopt(in AdoptInput) TrainOutput {
	w.t.Helper()
	return must(w.t, (&Evaluator{Lake: w.lake}).Adopt, in)
}

func TestAnImportedModelIsJudgedOnAllTestRowsAndAPersonIsAsked(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	in, s := w.imports(elsewhere(), time.Time{})
	out := w.adopt(in)
	require.Equal(t, out, w.adopt(in), "done twice is done once")
	require.Contains(t, out.Metrics, "log_loss")
	require.Zero(t, out.TrainRows)
	require.Equal(t, in.Import.Digest, out.Imported.Digest)

	judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, out)).Summary
	require.Equal(t, s.Test, judged.ScoredRows)
	require.Zero(t, judged.JudgedRows)
	require.Greater(t, judged.Metrics["accuracy"], 0.6)
	require.Equal(t, evaluation.Inconclusive, judged.Verdict.Outcome)
	require.Contains(t, judged.Verdict.Summary(), "the version was imported, and nobody said what it was trained on: it may have seen any of the rows")
}

func TestAnImportedModelThatFailsAGateFails(t *testing.T) {
	w := newWorld(t, "{accuracy: {min: 0.6}}", "{accuracy: {min: 0.999}}")
	w.accept("2013-01.csv", flights(january, 400, 1))
	in, s := w.imports(elsewhere(), time.Time{})
	judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, w.adopt(in))).Summary
	require.Equal(t, evaluation.Fail, judged.Verdict.Outcome)
}

func TestTestRowsAfterWhatAnImportedModelSawJudgeItAndCompareIt(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	rows, err := w.rows(t.Context(), w.snapshot().Digest, t0)
	require.NoError(t, err)
	at, _ := rows.Prepared.Table.Column("at")
	test := rows.Parts.Test
	until := time.Unix(0, at.Times[test[len(test)/4]])
	in, s := w.imports(elsewhere(), until)
	out := w.adopt(in)
	require.Equal(t, until.UTC(), out.NewestEvent)
	judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, out)).Summary
	require.Equal(t, s.Test-len(test)/4-1, judged.JudgedRows)
	require.Equal(t, judged.JudgedRows, judged.Comparison.Rows)
	require.Empty(t, judged.Unknown)
	require.NotContains(t, judged.Verdict.Summary(), "imported")
}

// A version that is trained here can't be compared with a champion that may have seen the test rows, nor on those that it saw.
func TestAnImportedChampionIsNotComparedOnRowsThatItMayHaveSeen(t *testing.T) {
	for _, c := range []struct {
		name  string
		until time.Duration // after January's first event
		rule  string
	}{{"of unknown rows", 0, "the champion, version 1, was imported"}, {"that saw most of them", 384 * time.Hour, "judged_rows.min: observed 15 < 20"}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.accept("2013-01.csv", flights(january, 400, 1))
			until := time.Time{}
			if c.until > 0 {
				until = january.Add(c.until)
			}
			in, s := w.imports(elsewhere(), until)
			out := w.adopt(in)
			judged := must(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, out))
			v := must(t, (&Registrar{Lake: w.lake}).Register, RegisterInput{
				Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: out, Evaluate: judged,
			})
			require.Empty(t, must(t, (&Registrar{Lake: w.lake}).Decide, w.decision(v)).Void)
			must(t, (&Traffic{Lake: w.lake}).Promote, w.promotion(v))
			w.run++
			registered, _ := w.head().State.Version(1)
			require.Equal(t, "cli:ana", registered.Imported.By)
			require.Equal(t, in.Import.Digest, registered.Imported.Digest)
			card := string(w.read("models/flights/artifacts/" + registered.Artifact + "/" + fileCard))
			require.Contains(t, card, "Imported by cli:ana from files with digest `"+in.Import.Digest[:12]+"`")

			require.Zero(t, must(t, (&Snapshots{Lake: w.lake}).Take, w.snapshotInput()).Unchanged, "nothing was trained from these rows yet")
			_, _, next := w.evaluate()
			require.Equal(t, evaluation.Inconclusive, next.Summary.Verdict.Outcome)
			require.Contains(t, next.Summary.Verdict.Summary(), c.rule)
			require.Nil(t, next.Summary.Comparison)
			require.Positive(t, next.Summary.ScoredRows, "its own test rows still tell whether its absolute gates hold")
		})
	}
}

// An object over the limit stays so: reading it again for a day would keep the run open for nothing.
func TestAFileThatIsTooLargeIsRefusedForGood(t *testing.T) {
	w := newWorld(t)
	raw := []byte("too long")
	_, err := w.store.Create(t.Context(), "runs/flights/large", bytes.NewReader(raw), int64(len(raw)))
	require.NoError(t, err)
	_, _, err = objectstore.ReadAll(t.Context(), w.store, "runs/flights/large", 3)
	requireType(t, ErrorCorrupt, lost(err))
}

func TestWhatCantBeAdoptedIsRefusedForGood(t *testing.T) {
	change := func(file, from, to string) map[string][]byte {
		files := elsewhere()
		files[file] = []byte(strings.Replace(string(files[file]), from, to, 1))
		return files
	}
	for _, c := range []struct {
		name, says string
		files      map[string][]byte
		until      time.Time
		spoil      func(*AdoptInput)
	}{
		{name: "another target", files: change(inference.SignatureFile, `"late"`, `"early"`), says: `observed task binary of "early", want binary of "late"`},
		{name: "a feature that the data hasn't", files: func() map[string][]byte {
			files := change(inference.SignatureFile, `"name":"delay"`, `"name":"speed"`)
			files[inference.ModelFile] = bytes.Replace(files[inference.ModelFile], []byte(`"delay"`), []byte(`"speed"`), 1)
			return files
		}(), says: `input "speed" is none of the features`},
		{name: "a model that isn't its signature's", files: change(inference.ModelFile, `"delay"`, `"distance"`), says: "model.json"},
		{name: "a model without a file", files: map[string][]byte{inference.SignatureFile: elsewhere()[inference.SignatureFile]}, says: "has no model.json"},
		{name: "files of another digest", files: elsewhere(), spoil: func(in *AdoptInput) { in.Import.Digest = strings.Repeat("0", 64) }, says: "its files have digest"},
		{name: "a time that was changed on the way", files: elsewhere(), spoil: func(in *AdoptInput) { in.Import.TrainedUntil = t0 }, says: "its files have digest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.accept("2013-01.csv", flights(january, 400, 1))
			in, _ := w.imports(c.files, c.until)
			if c.spoil != nil {
				c.spoil(&in)
			}
			_, err := try(t, (&Evaluator{Lake: w.lake}).Adopt, in)
			requireType(t, ErrorTrainInput, err)
			require.Contains(t, err.Error(), c.says)
		})
	}
	t.Run("files that were changed in the bucket", func(t *testing.T) {
		w := newWorld(t)
		w.accept("2013-01.csv", flights(january, 400, 1))
		in, _ := w.imports(elsewhere(), time.Time{})
		_, err := w.store.Put(t.Context(), ImportPrefix(theModel, in.Import.Digest)+inference.ModelFile, strings.NewReader("{}"), 2)
		require.NoError(t, err)
		_, err = try(t, (&Evaluator{Lake: w.lake}).Adopt, in)
		requireType(t, ErrorCorrupt, err)
	})
}

func TestAnImportHasARunOfItsOwn(t *testing.T) {
	w := newWorld(t)
	given := NewImport(elsewhere(), time.Time{})
	wanted := asked("cli:ben")
	wanted.Import = &given
	out := w.plan(PlanInput{Triggers: []Trigger{landed("a.csv"), wanted, asked("cli:ana")}, LastTrain: t0})
	require.Equal(t, &given, out.Run.Import)
	require.Equal(t, []Trigger{wanted}, out.Run.Triggers)
	require.Empty(t, out.Run.Objects)
	require.Equal(t, []any{true, true, "cli:ben"}, []any{out.Run.Train, out.Run.Force, out.Run.RequestedBy})
	require.Contains(t, out.Run.Why, "cli:ben imported model "+given.Digest[:12])
	require.Equal(t, []Trigger{landed("a.csv"), asked("cli:ana")}, out.Later)
	require.Nil(t, w.plan(PlanInput{Triggers: out.Later}).Run.Import)
}

func TestNoRowMayJudgeAVersionOfUnknownRows(t *testing.T) {
	raw, err := dataset.UnknownKeys().MarshalBinary()
	require.NoError(t, err)
	back, err := dataset.UnmarshalKeySet(raw)
	require.NoError(t, err)
	require.True(t, back.Unknown())
	require.False(t, dataset.NewKeySet("id", []uint64{0}).Unknown())
	require.Empty(t, dataset.JudgeRows(&dataset.Prepared{Scheme: "id", Keys: []uint64{1, 2}}, []int{0, 1}, back))
}

// An ONNX model is judged, by ONNX Runtime, as the same model is that Go scores.
func TestAnONNXModelIsJudgedAsTheSameModelOfAnotherFormat(t *testing.T) {
	model, err := os.ReadFile(filepath.Join("..", "internal", "inference", "testdata", "onnx", "sigmoid.onnx"))
	require.NoError(t, err)
	signature := func(format string) []byte {
		return []byte(`{"version":1,"format":"` + format + `","task":"binary","output":"late","classes":["0","1"],` +
			`"inputs":[{"name":"delay","kind":"number"},{"name":"carrier","kind":"category","categories":["AA","DL","UA"]}]}`)
	}
	runtime := &held{Runtime: hosts.New(onnxtest.Config(t))}
	judge := func(files map[string][]byte) EvaluateSummary {
		w := newWorld(t)
		w.lake.Loader = &inference.Loader{ONNX: runtime}
		w.accept("2013-01.csv", flights(january, 400, 1))
		in, s := w.imports(files, time.Time{})
		out := must(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, w.adopt(in))).Summary
		require.Equal(t, s.Test, out.ScoredRows)
		return out
	}
	got := judge(map[string][]byte{inference.SignatureFile: signature("onnx"), inference.ONNXFile: model})
	want := judge(map[string][]byte{
		inference.SignatureFile: signature("leanloop-linear"),
		inference.ModelFile: []byte(`{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[0.5],"features":[{"name":"delay","kind":"number","weights":[1]},` +
			`{"name":"carrier","kind":"category","categories":["AA","DL","UA"],"category_weights":[[0],[2],[4]]}]}`),
	})
	for _, metric := range []string{"accuracy", "f1", "roc_auc", "log_loss"} {
		require.Contains(t, want.Metrics, metric)
		require.InDelta(t, want.Metrics[metric], got.Metrics[metric], 1e-5, metric)
	}
	require.Positive(t, runtime.opened)
	require.Equal(t, runtime.opened, runtime.closed, "no host is left when an activity has ended")
}

// held counts the models that are open.
type held struct {
	onnx.Runtime
	opened, closed int
}

func (h *held) Open(ctx context.Context, call onnx.Call, model []byte) (onnx.Session, error) {
	s, err := h.Runtime.Open(ctx, call, model)
	if err != nil {
		return nil, err
	}
	h.opened++
	return heldSession{s, h}, nil
}

type heldSession struct {
	onnx.Session
	by *held
}

func (s heldSession) Close() error {
	s.by.closed++
	return s.Session.Close()
}
