package activities

import (
	"context"
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
}

// EvaluateSummary is what people decide by.
type EvaluateSummary struct {
	Verdict    evaluation.Verdict          `json:"verdict"`
	Metrics    evaluation.Values           `json:"metrics"`
	Comparison *evaluation.Comparison      `json:"comparison,omitempty"`
	Disparity  *evaluation.DisparityResult `json:"disparity,omitempty"`
	JudgedRows int                         `json:"judged_rows"` // test rows that neither was trained on
	ScoredRows int                         `json:"scored_rows"` // that Metrics are of: JudgedRows, or where those are too few all test rows that the challenger wasn't trained on
	LeftOut    int                         `json:"left_out"`    // test rows that the champion or the challenger was trained on
	Champion   int                         `json:"champion"`
	Epoch      int64                       `json:"epoch"`
	Unscorable string                      `json:"unscorable,omitempty"` // why the champion couldn't score the rows
	Previous   evaluation.Values           `json:"previous,omitempty"`   // the champion's metrics on the same rows
}

// EvaluateOutput is the summary and where its files are: each below Prefix by its digest, with the name that it has in the
// artifact. fileProfile is of the predictions alone.
type EvaluateOutput struct {
	Summary EvaluateSummary       `json:"summary"`
	Prefix  string                `json:"prefix"`
	Files   map[string]FileDigest `json:"files"`
}

// Evaluator judges a trained model on the snapshot's test rows.
type Evaluator struct {
	Lake *Lake
}

// Evaluate scores the test rows that neither the champion nor the challenger was trained on with both, in this run, and
// judges the gates. A stored metric of the champion never decides.
func (e *Evaluator) Evaluate(ctx context.Context, in EvaluateInput) (EvaluateOutput, error) {
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
	head, err := e.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return EvaluateOutput{}, ledgerError(err)
	}
	s := EvaluateSummary{Champion: head.State.Champion, Epoch: head.State.Epoch}
	champion, championTrained, err := e.champion(ctx, in.Model, head.State, &s)
	if err != nil {
		return EvaluateOutput{}, err
	}
	duel := evaluated{spec: m, table: rows.Prepared.Table, challenger: challenger, champion: champion, now: e.Lake.Now}
	// Both are scored on rows that neither was trained on. Where too few are left for a comparison, the challenger's own
	// test rows still tell whether its absolute gates hold.
	judged := dataset.JudgeRows(rows.Prepared, rows.Parts.Test, trained, championTrained)
	s.JudgedRows, s.LeftOut = len(judged), len(rows.Parts.Test)-len(judged)
	duel.common = s.JudgedRows >= m.Split.Test.MinRows && s.JudgedRows > 0
	if !duel.common {
		judged = dataset.JudgeRows(rows.Prepared, rows.Parts.Test, trained)
	}
	s.ScoredRows = len(judged)
	if err := duel.score(judged, &s); err != nil {
		return EvaluateOutput{}, permanent(ErrorData, err)
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
	return out, nil
}

// challenger loads what the attempt committed.
func (e *Evaluator) challenger(ctx context.Context, t TrainOutput) (*inference.Model, dataset.KeySet, error) {
	files := map[string][]byte{}
	for _, name := range []string{fileModel, fileSignature, fileTrained} {
		raw, err := getVerified(ctx, e.Lake.Store, t.Prefix+name, t.Files[name])
		if err != nil {
			return nil, dataset.KeySet{}, err
		}
		files[name] = raw
	}
	return loadModel(files)
}

func loadModel(files map[string][]byte) (*inference.Model, dataset.KeySet, error) {
	model, err := inference.Load(files, inference.DefaultLimits())
	if err != nil {
		return nil, dataset.KeySet{}, permanent(ErrorCorrupt, err)
	}
	trained, err := dataset.UnmarshalKeySet(files[fileTrained])
	if err != nil {
		return nil, dataset.KeySet{}, permanent(ErrorCorrupt, fmt.Errorf("%s: %w", fileTrained, err))
	}
	return model, trained, nil
}

// champion loads the champion, if there is one. One that can't be loaded, or of which nobody knows what it was trained
// on, is said in the summary: a person decides.
func (e *Evaluator) champion(ctx context.Context, model string, state registry.State, s *EvaluateSummary) (*inference.Model, dataset.KeySet, error) {
	v, ok := state.Version(state.Champion)
	if !ok {
		return nil, dataset.KeySet{}, nil
	}
	files := map[string][]byte{}
	for _, name := range []string{fileModel, fileSignature, fileTrained} {
		raw, err := registry.ReadArtifactFile(ctx, e.Lake.Store, model, v.Artifact, name, maxModel)
		if err = ledgerError(lost(err)); isPermanent(err) {
			s.Unscorable = clip(fmt.Sprintf("version %d: %s can't be read: %v", v.Number, name, err), maxText)
			return nil, dataset.KeySet{}, nil
		}
		if err != nil {
			return nil, dataset.KeySet{}, err
		}
		files[name] = raw
	}
	champion, trained, err := loadModel(files)
	if err != nil {
		s.Unscorable = clip(fmt.Sprintf("version %d: %v", v.Number, err), maxText)
		return nil, dataset.KeySet{}, nil
	}
	return champion, trained, nil
}

// finite drops what JSON can't carry.
func finite(m map[string]float64) map[string]float64 {
	return evaluation.Values(m).Finite()
}
