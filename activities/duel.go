package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// Settings of an evaluation that no spec names.
const (
	bootstrapResamples = 500
	latencySamples     = 2000 // single rows scored for the latency metrics
	latencyWarmup      = 200
	latencyTime        = time.Minute // after which latencyFewest will do
	latencyFewest      = 200
)

// evaluated is one evaluation in the making.
type evaluated struct {
	spec                 *spec.Model
	now                  func() time.Time
	table                *dataset.Table
	challenger, champion *inference.Model
	common               bool // the judged rows are ones that neither was trained on, and enough

	rows    *dataset.Table
	y       []float64
	classes int
	p, old  []float64 // predictions of the challenger and of the champion; old is nil where there are none
	problem string    // why there is no comparison
}

// score predicts the judged rows with both models and computes the metrics.
func (d *evaluated) score(ctx context.Context, judged []int, s *EvaluateSummary) error {
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
	if d.p, err = d.challenger.PredictTable(ctx, d.rows); err != nil {
		return err
	}
	sig := d.challenger.Signature
	s.Metrics = evaluation.Metrics(d.spec.Task, d.classes, d.y, d.p, sig.Threshold)
	latency, err := d.latency(ctx)
	if err != nil {
		return err
	}
	maps.Copy(s.Metrics, latency)
	if d.champion == nil || !d.common {
		return nil
	}
	if !slices.Equal(d.champion.Signature.Classes, sig.Classes) {
		s.Unscorable = clip(fmt.Sprintf("version %d predicts classes %q, the challenger %q", s.Champion, d.champion.Signature.Classes, sig.Classes), maxText)
		return nil
	}
	d.old, err = d.champion.PredictTable(ctx, d.rows)
	if isType[*inference.PassingError](err) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		d.old, s.Unscorable = nil, clip(fmt.Sprintf("version %d can't score these rows: %v", s.Champion, err), maxText)
		return nil
	}
	s.Previous = evaluation.Metrics(d.spec.Task, d.classes, d.y, d.old, d.champion.Signature.Threshold)
	return nil
}

// files are what monitors need of the judged rows: the challenger's predictions, as a profile, and its calibration. Where
// no row is left there is neither.
func (d *evaluated) files() (map[string]any, error) {
	out := map[string]any{}
	if len(d.p) == 0 {
		return out, nil
	}
	answers, err := answerProfile(d.challenger.Signature, d.p)
	if err != nil {
		return nil, err
	}
	out[fileProfile] = answers
	c, err := d.calibrate()
	if c != nil {
		out[fileCalibration] = c
	}
	return out, err
}

// latency measures single rows, one after the other, as the gateway scores them. A program that predicts files has none.
// A connection that breaks is an error: what it measured until then isn't the model's.
func (d *evaluated) latency(ctx context.Context) (evaluation.Values, error) {
	if d.challenger.ByFile() {
		return nil, nil
	}
	x, err := d.challenger.EncodeTable(d.rows)
	if err != nil {
		return nil, nil
	}
	width, out := len(d.challenger.Signature.Inputs), make([]float64, d.challenger.Scorer.Outputs())
	samples := make([]time.Duration, 0, latencySamples)
	spent := time.Duration(0)
	for i := range latencyWarmup + latencySamples {
		row := x[(i%d.rows.Rows)*width:][:width]
		began := d.now()
		err := d.challenger.Score(ctx, row, 1, out)
		if isType[*inference.PassingError](err) || ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			return nil, nil
		}
		took := d.now().Sub(began)
		if i >= latencyWarmup {
			samples = append(samples, took)
		}
		if spent += took; spent > latencyTime && len(samples) >= latencyFewest {
			break // it isn't scored here, and is slow
		}
	}
	return evaluation.LatencySummary(samples), nil
}

// judge compares with the champion and applies the gates.
func (d *evaluated) judge(s *EvaluateSummary) error {
	gates := d.spec.Gates
	in := evaluation.Input{
		Metrics: s.Metrics, HasChampion: s.Champion > 0, ChampionUnscorable: s.Unscorable, ComparisonProblem: d.problem,
		JudgedRows: s.JudgedRows, MinRows: d.spec.Split.Test.MinRows, UnknownTraining: s.Unknown,
	}
	if d.challenger.ByFile() {
		in.NoLatency = "predict.command scores files: what a single request takes isn't measured"
	}
	if d.old != nil {
		var groups []int32 // rows of a group resemble each other, so the bootstrap draws them together
		if d.spec.Data.Group != "" {
			var err error
			if groups, _, err = groupsOf(d.rows, "data.group", d.spec.Data.Group); err != nil {
				return err
			}
		}
		c, err := evaluation.Duel{
			Task: d.spec.Task, Classes: d.classes, Y: d.y, Champion: d.old, Challenger: d.p,
			ChampionThreshold: d.champion.Signature.Threshold, ChallengerThreshold: d.challenger.Signature.Threshold, Groups: groups,
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
		groups, names, err := groupsOf(d.rows, "gates.disparity.by", gates.Disparity.By)
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
func groupsOf(t *dataset.Table, field, column string) (groups []int32, names []string, err error) {
	c, ok := t.Column(column)
	if !ok {
		return nil, nil, fmt.Errorf("%s: no column %q; the data has %v", field, column, t.Names())
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
			names = append(names, clip(name, maxCell))
		}
		groups[i] = g
	}
	return groups, names, nil
}
