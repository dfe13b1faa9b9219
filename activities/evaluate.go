package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Evaluation settings that no spec names.
const (
	bootstrapResamples = 500
	latencySamples     = 2000 // single rows scored for the latency metrics
	latencyWarmup      = 200
)

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
	rows, err := e.Lake.rowsOf(ctx, m, in.Snapshot, in.Spec, in.AsOf, beat(ctx))
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
	duel := evaluated{spec: m, table: rows.Prepared.Table, challenger: challenger, champion: champion}
	// Both are scored on rows that neither was trained on. Where too few are left for a comparison, the challenger's own
	// test rows still tell whether its absolute gates hold.
	judged := dataset.JudgeRows(rows.Prepared, rows.Parts.Test, trained, championTrained)
	s.JudgedRows, s.LeftOut = len(judged), len(rows.Parts.Test)-len(judged)
	duel.common = s.JudgedRows >= m.Split.Test.MinRows && s.JudgedRows > 0
	if !duel.common {
		judged = dataset.JudgeRows(rows.Prepared, rows.Parts.Test, trained)
	}
	if err := duel.score(judged, &s); err != nil {
		return EvaluateOutput{}, permanent(ErrorData, err)
	}
	if err := duel.judge(&s); err != nil {
		return EvaluateOutput{}, permanent(ErrorData, err)
	}
	out := EvaluateOutput{Summary: s, Prefix: runPrefix(in.Model, in.Number) + "evaluations/", Files: map[string]FileDigest{}}
	_, digest, err := putJSON(ctx, e.Lake.Store, out.Prefix, s)
	out.Files[fileMetrics] = digest
	return out, err
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

// champion loads the champion, if there is one. One that can't be loaded is said in the summary: a person decides.
func (e *Evaluator) champion(ctx context.Context, model string, state registry.State, s *EvaluateSummary) (*inference.Model, dataset.KeySet, error) {
	v, ok := state.Version(state.Champion)
	if !ok {
		return nil, dataset.KeySet{}, nil
	}
	files := map[string][]byte{}
	for _, name := range []string{fileModel, fileSignature, fileTrained} {
		raw, err := registry.ReadArtifactFile(ctx, e.Lake.Store, model, v.Artifact, name, maxModel)
		if errors.Is(err, objectstore.ErrNotFound) && name == fileTrained {
			continue // imported from elsewhere: nobody knows what it was trained on
		}
		if err != nil {
			return nil, dataset.KeySet{}, err
		}
		files[name] = raw
	}
	if files[fileTrained] == nil {
		s.Unscorable = fmt.Sprintf("version %d has no %s: which rows it was trained on isn't known", v.Number, fileTrained)
		return nil, dataset.KeySet{}, nil
	}
	champion, trained, err := loadModel(files)
	if err != nil {
		s.Unscorable = fmt.Sprintf("version %d: %v", v.Number, err)
		return nil, dataset.KeySet{}, nil
	}
	return champion, trained, nil
}

// evaluated is one evaluation in the making.
type evaluated struct {
	spec                 *spec.Model
	table                *dataset.Table
	challenger, champion *inference.Model
	common               bool // the judged rows are ones that neither was trained on, and enough

	rows       *dataset.Table
	y          []float64
	classes    int
	p, old     []float64 // predictions of the challenger and of the champion; old is nil where there are none
	problem    string    // why there is no comparison
	comparison *evaluation.Comparison
}

// score predicts the judged rows with both models and computes the metrics.
func (d *evaluated) score(judged []int, s *EvaluateSummary) error {
	d.rows = d.table.Select(judged)
	d.classes = len(d.challenger.Signature.Classes)
	s.Metrics = evaluation.Values{}
	if len(judged) == 0 {
		d.problem = "no test row is left"
		return nil
	}
	var err error
	if d.y, err = d.challenger.Signature.Targets(d.rows); err != nil {
		return err
	}
	if d.p, err = d.challenger.PredictTable(d.rows); err != nil {
		return err
	}
	sig := d.challenger.Signature
	s.Metrics = evaluation.Metrics(d.spec.Task, d.classes, d.y, d.p, sig.Threshold)
	for name, v := range d.latency() {
		s.Metrics[name] = v
	}
	if d.champion == nil || !d.common {
		return nil
	}
	if !slices.Equal(d.champion.Signature.Classes, sig.Classes) {
		s.Unscorable = fmt.Sprintf("version %d predicts classes %v, the challenger %v", s.Champion, d.champion.Signature.Classes, sig.Classes)
		return nil
	}
	if d.old, err = d.champion.PredictTable(d.rows); err != nil {
		d.old, s.Unscorable = nil, fmt.Sprintf("version %d can't score these rows: %v", s.Champion, err)
		return nil
	}
	s.Previous = evaluation.Metrics(d.spec.Task, d.classes, d.y, d.old, d.champion.Signature.Threshold)
	return nil
}

// latency measures single rows, one after the other, as the gateway scores them.
func (d *evaluated) latency() evaluation.Values {
	x, err := d.challenger.EncodeTable(d.rows)
	if err != nil {
		return nil
	}
	width, out := len(d.challenger.Signature.Inputs), make([]float64, d.challenger.Scorer.Outputs())
	samples := make([]time.Duration, 0, latencySamples)
	for i := range latencyWarmup + latencySamples {
		row := x[(i%d.rows.Rows)*width:][:width]
		began := time.Now()
		if err := d.challenger.Scorer.Score(row, 1, out); err != nil {
			return nil
		}
		if i >= latencyWarmup {
			samples = append(samples, time.Since(began))
		}
	}
	return evaluation.LatencySummary(samples)
}

// judge compares with the champion and applies the gates.
func (d *evaluated) judge(s *EvaluateSummary) error {
	gates := d.spec.Gates
	in := evaluation.Input{
		Metrics: s.Metrics, HasChampion: s.Champion > 0, ChampionUnscorable: s.Unscorable, ComparisonProblem: d.problem,
		JudgedRows: s.JudgedRows, MinRows: d.spec.Split.Test.MinRows,
	}
	if d.old != nil {
		c, err := evaluation.Duel{
			Task: d.spec.Task, Classes: d.classes, Y: d.y, Champion: d.old, Challenger: d.p,
			ChampionThreshold: d.champion.Signature.Threshold, ChallengerThreshold: d.challenger.Signature.Threshold,
		}.Bootstrap(gates.Champion.Metric, gates.Champion.Confidence, bootstrapResamples, d.spec.Split.Seed)
		switch {
		case errors.Is(err, evaluation.ErrUndefined):
			in.ComparisonProblem = err.Error()
		case err != nil:
			return err
		default:
			in.Comparison, s.Comparison = &c, &c
		}
	}
	if gates.Disparity != nil && d.rows.Rows > 0 {
		groups, names, err := groupsOf(d.rows, gates.Disparity.By)
		if err != nil {
			return err
		}
		r, err := evaluation.DisparityOf(d.spec.Task, d.classes, d.y, d.p, d.challenger.Signature.Threshold, groups, names, gates.Disparity.Metric, gates.Disparity.MinRows)
		if err != nil {
			return err
		}
		in.Disparity, s.Disparity = &r, &r
	}
	s.Verdict = evaluation.Judge(gates, in)
	return nil
}

// groupsOf is the group of each row as an index of names; -1 where the column is null.
func groupsOf(t *dataset.Table, column string) (groups []int32, names []string, err error) {
	c, ok := t.Column(column)
	if !ok {
		return nil, nil, fmt.Errorf("gates.disparity.by: no column %q; the data has %v", column, t.Names())
	}
	label := inference.Labeller(c)
	index := map[string]int32{}
	groups = make([]int32, t.Rows)
	for i := range groups {
		if c.Null(i) {
			groups[i] = -1
			continue
		}
		name := label(i)
		g, known := index[name]
		if !known {
			g = int32(len(names))
			index[name] = g
			names = append(names, name)
		}
		groups[i] = g
	}
	return groups, names, nil
}

// finite drops what JSON can't carry.
func finite(m map[string]float64) map[string]float64 {
	return evaluation.Values(m).Finite()
}
