package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// DriftShard profiles one shard's rows of the window, features and prediction, counted into the reference's bins. A part
// that is gone is counted; memory doesn't depend on the shard's size.
func (m *Monitors) DriftShard(ctx context.Context, in DriftShard) (DriftProfiled, error) {
	h := keepBeating(ctx)
	defer h.stop()
	w, _, err := m.pinned(ctx, in.Plan)
	if err != nil {
		return DriftProfiled{}, err
	}
	ref, why, err := m.reference(ctx, w)
	if err != nil || why != "" {
		return DriftProfiled{Note: why}, err
	}
	raw, err := getVerified(ctx, m.Lake.Store, in.Plan.Key, in.Plan.List)
	if err != nil {
		return DriftProfiled{}, err
	}
	var shards [][]predictions.Part
	if err := json.Unmarshal(raw, &shards); err != nil || in.Shard < 0 || in.Shard >= len(shards) {
		return DriftProfiled{}, permanent(ErrorCorrupt, fmt.Errorf("%s: no shard %d among %d: %w", in.Plan.Key, in.Shard, len(shards), errors.Join(err)))
	}
	out, all := DriftProfiled{}, &continued{to: profile.NewBuilder(profile.Options{Against: ref.whole()})}
	for _, part := range shards[in.Shard] {
		rows, err := predictions.Scan(ctx, m.Lake.Store, part.Key, w.query(in.Plan.From, in.Plan.End), dataset.ReadOptions{
			TempDir: m.Lake.Scratch, Progress: func(rows int, _ int64) { h.note(reading{File: part.Key, Rows: int(out.Rows) + rows}) },
		}, renamed{all})
		if errors.Is(err, predictions.ErrGone) {
			out.Gone++
			continue
		}
		if err != nil {
			return DriftProfiled{}, logError(err)
		}
		out.Rows += rows
	}
	if out.Rows == 0 {
		return out, nil
	}
	p, err := all.to.Profile()
	if err != nil {
		return out, permanent(ErrorData, err)
	}
	out.Key, out.File, err = putJSON(ctx, m.Lake.Store, fmt.Sprintf("%sshard-%d-", driftWork(in.Plan.Model, in.Plan.End), in.Shard), p)
	return out, err
}

// logError types what reading the prediction log answers: a part that can't be read won't be readable later either.
func logError(err error) error {
	_, format := errors.AsType[*dataset.FormatError](err)
	_, contract := errors.AsType[*dataset.ContractError](err)
	if format || contract {
		return permanent(ErrorCorrupt, err)
	}
	return err
}

// continued makes one table of several scans, all of the same columns: a builder forgets what it saw when it begins.
type continued struct {
	to    *profile.Builder
	begun bool
}

func (c *continued) Begin(columns []spec.ColumnRule) error {
	if c.begun {
		return nil
	}
	c.begun = true
	return c.to.Begin(columns)
}

func (c *continued) Rows(chunk dataset.Chunk) error { return c.to.Rows(chunk) }

// renamed gives features the names of the reference's columns.
type renamed struct{ to dataset.Visitor }

func (r renamed) Begin(columns []spec.ColumnRule) error {
	out := make([]spec.ColumnRule, len(columns))
	for i, c := range columns {
		out[i] = spec.ColumnRule{Name: inReference(i, len(columns), c.Name), Type: c.Type}
	}
	return r.to.Begin(out)
}

func (r renamed) Rows(c dataset.Chunk) error {
	t := &dataset.Table{Rows: c.Table.Rows, Columns: make([]dataset.Column, len(c.Columns))}
	for i, column := range c.Columns {
		column.Name = inReference(i, len(c.Columns), column.Name)
		t.Columns[i] = column
	}
	return r.to.Rows(dataset.Chunk{Table: t, First: c.First})
}

// inReference is the name of a scan's i-th column: the last is the prediction, the others are features.
func inReference(i, columns int, name string) string {
	if i == columns-1 {
		return columnPrediction
	}
	return profileColumn(name)
}

// DriftTarget profiles the labels that have reached the window's predictions, counted into the bins of the training
// rows' target. Too few of them are none: those that come first may be of another kind than those that come late. Files
// that can't be read (accepted under another contract, say) are a note: the features are watched all the same.
func (m *Monitors) DriftTarget(ctx context.Context, plan DriftPlan) (DriftProfiled, error) {
	out, err := m.driftTarget(ctx, plan)
	if isPermanent(err) {
		return DriftProfiled{Note: clip("target not compared: "+err.Error(), maxText)}, nil
	}
	return out, err
}

func (m *Monitors) driftTarget(ctx context.Context, plan DriftPlan) (DriftProfiled, error) {
	h := keepBeating(ctx)
	defer h.stop()
	w, _, err := m.pinned(ctx, plan)
	if err != nil {
		return DriftProfiled{}, err
	}
	ref, why, err := m.reference(ctx, w)
	if err != nil || why != "" {
		return DriftProfiled{Note: why}, err
	}
	if files, err := m.labelFiles(ctx, w); err != nil || len(files) == 0 {
		return DriftProfiled{Note: fmt.Sprintf("target not compared: no file was accepted since version %d was registered", plan.Champion)}, err
	}
	old := plan.End.Add(-w.spec.Data.Labels.Delay.D()) // younger rows can't have their labels yet
	q := w.query(plan.From, old)
	q.Features, q.Progress = nil, func(rows int) { h.note(reading{Rows: rows}) }
	logged, err := predictions.Read(ctx, m.Lake.Store, q)
	if err != nil {
		return DriftProfiled{}, logError(err)
	}
	all := &continued{to: profile.NewBuilder(profile.Options{Against: ref.Training})}
	out, known := DriftProfiled{}, map[string]bool{}
	names, err := m.labelled(ctx, w, logged, h.note, func(t *dataset.Table, ids []string) error {
		target, err := t.Project([]string{w.spec.Data.Target})
		if err != nil {
			return permanent(ErrorData, err)
		}
		target.Columns[0].Name = columnTarget
		if err := all.Begin([]spec.ColumnRule{{Name: columnTarget, Type: target.Columns[0].Kind.String()}}); err != nil {
			return permanent(ErrorData, err)
		}
		for _, id := range ids {
			known[id] = true
		}
		if err := all.to.Add(target); err != nil {
			return permanent(ErrorData, err)
		}
		out.Rows += int64(target.Rows)
		return nil
	})
	if err != nil {
		return DriftProfiled{}, err
	}
	covered := 0 // predictions: of one row there may be several
	for _, name := range names {
		if known[name] {
			covered++
		}
	}
	coverage := float64(covered) / float64(max(1, logged.Rows))
	if out.Rows < int64(max(1, w.spec.Monitor.Drift.MinRows)) || coverage < float64(w.spec.Data.Labels.MinCoverage) {
		out.Note = fmt.Sprintf("target not compared: %d labels for %d of %d predictions, fewer than monitor.drift.min_rows %d or data.labels.min_coverage %.4g %%",
			out.Rows, covered, logged.Rows, w.spec.Monitor.Drift.MinRows, 100*float64(w.spec.Data.Labels.MinCoverage))
		return out, nil
	}
	p, err := all.to.Profile()
	if err != nil {
		return out, permanent(ErrorData, err)
	}
	out.Key, out.File, err = putJSON(ctx, m.Lake.Store, driftWork(plan.Model, plan.End)+"target-", p)
	return out, err
}

// query is a window of the champion's predictions, with the answer as the reference has it.
func (w watched) query(from, to time.Time) predictions.Query {
	rules, _ := w.features()
	return predictions.Query{
		Model: w.model, Version: w.version.Number, Features: rules, Answer: answerOf(w.signature.Task), From: from, To: to,
		MaxRows: max(predictions.DefaultMaxRows, 4*w.minRows()),
	}
}
