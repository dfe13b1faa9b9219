package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
)

// EvaluateInput judges a trained model on the snapshot's test rows, beside the champion.
type EvaluateInput struct {
	Model     string      `json:"model"`
	Spec      string      `json:"spec"`
	Lifecycle string      `json:"lifecycle"`
	Number    int         `json:"number"`
	Round     int         `json:"round"` // evaluation of this run, from 1: one that a moved champion made void is repeated
	Snapshot  string      `json:"snapshot"`
	AsOf      time.Time   `json:"as_of"`
	Train     TrainOutput `json:"train"`
	// TrainKey is what later runs find Train by; "": they don't. Cache lets an evaluation of an earlier run do.
	TrainKey string `json:"train_key,omitempty"`
	Cache    bool   `json:"cache,omitempty"`
}

// EvaluateSummary is what people decide by.
type EvaluateSummary struct {
	Verdict    evaluation.Verdict          `json:"verdict"`
	Metrics    evaluation.Values           `json:"metrics"`
	Comparison *evaluation.Comparison      `json:"comparison,omitempty"`
	Disparity  *evaluation.DisparityResult `json:"disparity,omitempty"`
	JudgedRows int                         `json:"judged_rows"` // test rows that neither was trained on
	ScoredRows int                         `json:"scored_rows"` // that Metrics are of: JudgedRows, or where those are too few all test rows that the challenger wasn't trained on; all, where nobody knows what it was trained on
	LeftOut    int                         `json:"left_out"`    // test rows that the champion or the challenger was trained on
	Champion   int                         `json:"champion"`
	Epoch      int64                       `json:"epoch"`
	Unscorable string                      `json:"unscorable,omitempty"` // why the champion couldn't score the rows
	Unknown    string                      `json:"unknown,omitempty"`    // why nobody knows what one of them was trained on
	Previous   evaluation.Values           `json:"previous,omitempty"`   // the champion's metrics on the same rows
}

// EvaluateOutput is the summary and where its files are: each below Prefix by its digest, with the name that it has in the
// artifact. fileProfile is of the predictions alone.
type EvaluateOutput struct {
	Summary EvaluateSummary       `json:"summary"`
	Prefix  string                `json:"prefix"`
	Files   map[string]FileDigest `json:"files"`
	Cached  string                `json:"cached,omitempty"` // the run that it is of; "": this one
}

// Evaluator judges a trained model on the snapshot's test rows.
type Evaluator struct {
	Lake     *Lake
	Programs Programs // run what predicts a version of format command
}

// Evaluate scores the test rows that neither the champion nor the challenger was trained on with both, in this run, and
// judges the gates. A stored metric of the champion never decides.
func (e *Evaluator) Evaluate(ctx context.Context, in EvaluateInput) (_ EvaluateOutput, err error) {
	m, err := e.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return EvaluateOutput{}, err
	}
	h := keepBeating(ctx)
	defer h.stop()
	rows, err := e.Lake.rowsOf(ctx, m, in.Snapshot, in.Spec, in.AsOf, h.note)
	if err != nil {
		return EvaluateOutput{}, err
	}
	challenger, trained, err := e.challenger(ctx, in.Train)
	if err != nil {
		return EvaluateOutput{}, err
	}
	defer closeModel(&err, challenger)
	e.Lake.keepTraining(ctx, in.Model, in.TrainKey, in.Lifecycle, in.Train)
	head, err := e.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return EvaluateOutput{}, ledgerError(err)
	}
	s := EvaluateSummary{Champion: head.State.Champion, Epoch: head.State.Epoch}
	champion, championTrained, err := e.champion(ctx, in.Model, head.State, &s)
	if err != nil {
		return EvaluateOutput{}, err
	}
	defer closeModel(&err, champion)
	key, err := e.Lake.evaluateKey(in, m, rows, championOf(head.State), head.State.Epoch, challenger, champion)
	if err != nil {
		return EvaluateOutput{}, err
	}
	if in.Cache && key != "" {
		if known, err := e.Lake.cachedEvaluation(ctx, in.Model, key); err != nil || known != nil {
			return orNothing(known), err
		}
	}
	duel := evaluated{spec: m, table: rows.Prepared.Table, challenger: challenger, champion: champion, now: e.Lake.Now}
	// Both are scored on rows that neither was trained on. Where too few are left for a comparison, the challenger's own
	// test rows still tell whether its absolute gates hold.
	s.Unknown = unknownTraining(trained, championTrained, s.Champion)
	test := younger(rows, m.Data.Time, rows.Parts.Test, importedUntil(in.Train.Imported))
	judged := dataset.JudgeRows(rows.Prepared, younger(rows, m.Data.Time, test, importedUntil(championOf(head.State).Imported)), trained, championTrained)
	s.JudgedRows, s.LeftOut = len(judged), len(rows.Parts.Test)-len(judged)
	duel.common = s.JudgedRows >= m.Split.Test.MinRows && s.JudgedRows > 0
	switch {
	case trained.Unknown():
		judged = rows.Parts.Test // it may have seen any of them, which is said
	case !duel.common:
		judged = dataset.JudgeRows(rows.Prepared, test, trained)
	}
	s.ScoredRows = len(judged)
	if err := duel.score(ctx, judged, &s); err != nil {
		return EvaluateOutput{}, scoreError(ctx, err)
	}
	if err := duel.judge(&s); err != nil {
		return EvaluateOutput{}, permanent(ErrorData, err)
	}
	out := EvaluateOutput{Summary: s, Prefix: runPrefix(in.Model, in.Number) + "evaluations/", Files: map[string]FileDigest{}}
	files, err := duel.files()
	if err != nil {
		return EvaluateOutput{}, permanent(ErrorData, err)
	}
	files[fileMetrics] = s
	for name, content := range files {
		_, digest, err := putJSON(ctx, e.Lake.Store, out.Prefix, content)
		if err != nil {
			return EvaluateOutput{}, err
		}
		out.Files[name] = digest
	}
	e.Lake.keepEvaluation(ctx, in, key, out)
	return out, nil
}

func orNothing[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// challenger loads what the attempt committed.
func (e *Evaluator) challenger(ctx context.Context, t TrainOutput) (*inference.Model, dataset.KeySet, error) {
	return e.load(ctx, func(name string) ([]byte, error) {
		return getVerified(ctx, e.Lake.Store, t.Prefix+name, t.Files[name])
	}, fromAttempt(e.Lake, t.Prefix))
}

// load reads a version and the keys of the rows that it was trained on. Whoever gets the model closes it. What its program
// predicts by is fetched when it predicts.
func (e *Evaluator) load(ctx context.Context, read func(name string) ([]byte, error), fetch fetcher) (*inference.Model, dataset.KeySet, error) {
	raw, err := read(fileTrained)
	if err != nil {
		return nil, dataset.KeySet{}, err
	}
	trained, err := dataset.UnmarshalKeySet(raw)
	if err != nil {
		return nil, dataset.KeySet{}, permanent(ErrorCorrupt, fmt.Errorf("%s: %w", fileTrained, err))
	}
	files, err := inference.ReadFiles(read)
	if err != nil {
		return nil, dataset.KeySet{}, err
	}
	var model *inference.Model
	if _, byFile := files[inference.CommandFile]; byFile {
		model, err = e.Programs.model(e.Lake, files, fetch)
	} else {
		model, err = e.Lake.Loader.Load(ctx, files)
	}
	if err != nil {
		return nil, dataset.KeySet{}, loadError(err)
	}
	return model, trained, nil
}

// loadError is permanent where the files are what's wrong.
func loadError(err error) error {
	if _, ok := errors.AsType[*inference.FormatError](err); ok {
		return permanent(ErrorCorrupt, err)
	}
	return err
}

// scoreError is permanent unless what failed is a machine or a connection, which another attempt may find mended.
func scoreError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isType[*inference.PassingError](err):
		return err
	}
	return permanent(ErrorData, err)
}

// closeModel ends what a model's scorer runs outside this process; its error counts where there is no other.
func closeModel(err *error, m *inference.Model) {
	if closing := m.Close(); *err == nil {
		*err = closing
	}
}

// champion loads the champion, if there is one. One that can't be loaded, or of which nobody knows what it was trained
// on, is said in the summary: a person decides.
func (e *Evaluator) champion(ctx context.Context, model string, state registry.State, s *EvaluateSummary) (*inference.Model, dataset.KeySet, error) {
	v, ok := state.Version(state.Champion)
	if !ok {
		return nil, dataset.KeySet{}, nil
	}
	champion, trained, err := e.load(ctx, func(name string) ([]byte, error) {
		raw, err := registry.ReadArtifactFile(ctx, e.Lake.Store, model, v.Artifact, name, maxModel)
		if err = ledgerError(lost(err)); err != nil {
			return nil, fmt.Errorf("%s can't be read: %w", name, err)
		}
		return raw, nil
	}, fromArtifact(e.Lake, model, v.Artifact))
	if isPermanent(err) {
		s.Unscorable = clip(fmt.Sprintf("version %d: %v", v.Number, err), maxText)
		return nil, dataset.KeySet{}, nil
	}
	return champion, trained, err
}

// finite drops what JSON can't carry.
func finite(m map[string]float64) map[string]float64 {
	return evaluation.Values(m).Finite()
}
