package activities

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// maxTop bounds the columns that a drift result carries through history; the stored report has them all.
const maxTop = 12

// Monitors compares what production sees with what the champion was made from.
type Monitors struct {
	Lake    *Lake
	Metrics timeseries.Writer // nil: none is configured
}

// watched is a champion and what is needed to read its predictions.
type watched struct {
	spec      *spec.Model
	state     registry.State
	version   registry.Version
	signature inference.Signature
}

// champion loads them; why says that there is nothing to watch yet.
func (m *Monitors) champion(ctx context.Context, model string) (w watched, why string, err error) {
	head, err := m.Lake.Ledger(model).Head(ctx)
	if err != nil {
		return w, "", ledgerError(err)
	}
	w.state = head.State
	v, ok := head.State.Version(head.State.Champion)
	if !ok {
		return w, "no version is the champion yet", nil
	}
	w.version = v
	if w.spec, err = m.Lake.Spec(ctx, model, head.State.Spec.Digest); err != nil {
		return w, "", err
	}
	raw, err := registry.ReadArtifactFile(ctx, m.Lake.Store, model, v.Artifact, fileSignature, maxJSON)
	if err != nil {
		return w, "", err
	}
	if w.signature, err = inference.ParseSignature(raw); err != nil {
		return w, "", permanent(ErrorCorrupt, err)
	}
	return w, "", nil
}

// since is where a window starts: no window spans a promotion.
func (w watched) since(end time.Time, window time.Duration) time.Time {
	from := end.Add(-window)
	if from.Before(w.state.ChampionSince) {
		from = w.state.ChampionSince
	}
	return from.UTC()
}

func (w watched) features() (rules predictions.Features, names []string) {
	for _, f := range w.signature.Inputs {
		rules = append(rules, spec.ColumnRule{Name: f.Name, Type: f.Kind, Nullable: true})
		names = append(names, f.Name)
	}
	return rules, names
}

// Drift compares the window with the champion's training rows, feature by feature.
func (m *Monitors) Drift(ctx context.Context, in DriftInput) (DriftOutput, error) {
	out := DriftOutput{Model: in.Model, End: in.End, Recent: in.Recent}
	w, why, err := m.champion(ctx, in.Model)
	if err != nil || why != "" {
		out.Inconclusive = why
		return out, err
	}
	if out.Champion = w.version.Number; out.Champion != in.Champion {
		out.Recent = nil // verdicts over another champion don't count
	}
	monitor := w.spec.Monitor.Drift
	out.From = w.since(in.End, monitor.Window.D())
	rules, names := w.features()
	current, err := predictions.Read(ctx, m.Lake.Store, in.Model, out.Champion, rules, out.From, in.End, func(n int) { beat(ctx)(n) })
	if err != nil {
		return out, err
	}
	if current == nil || current.Rows < monitor.MinRows {
		if current != nil {
			out.Rows = current.Rows
		}
		out.Inconclusive = fmt.Sprintf("%d predictions of version %d since %s < monitor.drift.min_rows %d",
			out.Rows, out.Champion, out.From.Format(time.RFC3339), monitor.MinRows)
		return out, nil
	}
	out.Rows = current.Rows
	reference, err := m.reference(ctx, in.Model, w, rules)
	if err != nil {
		return out, err
	}
	result, err := drift.Compare(reference, current, names, monitor)
	if err != nil {
		return out, permanent(ErrorData, err)
	}
	if result.Inconclusive {
		out.Inconclusive = result.Reason
		return out, nil
	}
	out.judge(result, monitor)
	if out.Report, _, err = putJSON(ctx, m.Lake.Store, fmt.Sprintf("monitor/%s/drift/%s-", in.Model, in.End.UTC().Format("20060102T150405Z")), result); err != nil {
		return out, err
	}
	return out, m.write(ctx, driftPoints(out, result))
}

// judge takes over a window's result and its own place among the last n.
func (o *DriftOutput) judge(r drift.Result, monitor spec.DriftMonitor) {
	o.Drifted, o.MaxPSI, o.Window, o.Reason = r.DriftedNames(), r.MaxPSI, r.Alert, r.Reason
	o.Recent = append(o.Recent, r.Alert)
	o.Recent = o.Recent[max(0, len(o.Recent)-monitor.AlertAfter.N):]
	o.Alert = drift.AlertAfter(o.Recent, monitor.AlertAfter.K, monitor.AlertAfter.N)
	o.Top = drift.WorstFirst(r.Columns)
	o.Top = o.Top[:min(len(o.Top), maxTop)]
}

// reference reads the sample of the rows that the champion was trained on.
func (m *Monitors) reference(ctx context.Context, model string, w watched, rules predictions.Features) (*dataset.Table, error) {
	raw, err := registry.ReadArtifactFile(ctx, m.Lake.Store, model, w.version.Artifact, fileReference, maxModel)
	if err != nil {
		return nil, err
	}
	t, _, report, err := dataset.Read(ctx, bytes.NewReader(raw), dataset.ReadOptions{
		Name: fileReference, Format: "csv.gz", Contract: &spec.Contract{Columns: rules},
	})
	if err == nil {
		err = report.Error()
	}
	if err != nil {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("version %d: %w", w.version.Number, err))
	}
	return t, nil
}

func driftPoints(o DriftOutput, r drift.Result) []timeseries.Point {
	tags := func(feature string) map[string]string {
		return map[string]string{"model": o.Model, "version": strconv.Itoa(o.Champion), "feature": feature}
	}
	points := []timeseries.Point{{
		Measurement: "leanloop_drift", Tags: tags("_all"), Time: o.End,
		Fields: map[string]float64{"drifted_features": float64(r.Drifted), "max_psi": r.MaxPSI, "rows": float64(o.Rows), "alert": number(o.Alert)},
	}}
	for _, c := range r.Columns {
		fields := finite(map[string]float64{"psi": c.PSI, "statistic": c.Statistic, "drifted": number(c.Drifted)})
		points = append(points, timeseries.Point{Measurement: "leanloop_drift", Tags: tags(c.Name), Time: o.End, Fields: fields})
	}
	return points
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// write stores points where a store is configured. What it refuses for good is no reason to compare again.
func (m *Monitors) write(ctx context.Context, points []timeseries.Point) error {
	if m.Metrics == nil {
		return nil
	}
	err := m.Metrics.Write(ctx, points)
	if timeseries.IsFinal(err) {
		return permanent(ErrorMessage, err)
	}
	return err
}

// Quality compares predictions that labels have reached with what the champion had on its test rows. Unlabelled rows
// are no negatives: too few labels are Inconclusive.
func (m *Monitors) Quality(ctx context.Context, in QualityInput) (QualityOutput, error) {
	out := QualityOutput{Model: in.Model, End: in.End}
	w, why, err := m.champion(ctx, in.Model)
	if err != nil || why != "" {
		out.Inconclusive = why
		return out, err
	}
	monitor, labels := w.spec.Monitor.Quality, w.spec.Data.Labels
	out.Champion, out.Metric = w.version.Number, monitor.Metric
	out.From = w.since(in.End, monitor.Window.D())
	baseline, known := w.version.Metrics[monitor.Metric]
	if !known {
		out.Inconclusive = fmt.Sprintf("version %d has no %s on its test rows", out.Champion, monitor.Metric)
		return out, nil
	}
	out.Baseline = baseline
	end := in.End.Add(-labels.Delay.D()) // younger rows can't have their labels yet
	rules, _ := w.features()
	logged, err := predictions.Read(ctx, m.Lake.Store, in.Model, out.Champion, rules, out.From, end, func(n int) { beat(ctx)(n) })
	if err != nil {
		return out, err
	}
	if logged != nil {
		out.Predictions = logged.Rows
	}
	y, p, err := m.join(ctx, in.Model, w, logged)
	if err != nil {
		return out, err
	}
	out.Labelled = len(y)
	coverage := float64(out.Labelled) / float64(max(1, out.Predictions))
	switch {
	case out.Labelled < monitor.MinRows:
		out.Inconclusive = fmt.Sprintf("%d labelled predictions since %s < monitor.quality.min_rows %d", out.Labelled, out.From.Format(time.RFC3339), monitor.MinRows)
	case coverage < float64(labels.MinCoverage):
		out.Inconclusive = fmt.Sprintf("%.1f %% of %d predictions are labelled < data.labels.min_coverage %.1f %%", 100*coverage, out.Predictions, 100*float64(labels.MinCoverage))
	}
	if out.Inconclusive != "" {
		return out, nil
	}
	values := evaluation.Metrics(w.spec.Task, len(w.signature.Classes), y, p, w.signature.Threshold)
	out.judge(values[monitor.Metric], monitor)
	fields := finite(map[string]float64{"observed": out.Observed, "baseline": out.Baseline, "limit": out.Limit, "labelled": float64(out.Labelled), "predictions": float64(out.Predictions)})
	return out, m.write(ctx, []timeseries.Point{{
		Measurement: "leanloop_quality", Time: in.End, Fields: fields,
		Tags: map[string]string{"model": in.Model, "version": strconv.Itoa(out.Champion), "metric": out.Metric},
	}})
}

// judge compares with the limit, on the metric's worse side.
func (o *QualityOutput) judge(observed float64, monitor spec.QualityMonitor) {
	o.Observed = observed
	worse := func() bool { return !(o.Observed >= o.Limit) } // NaN is worse
	o.Limit = o.Baseline * monitor.BelowBaseline
	word := "<"
	if evaluation.SmallerIsBetter(o.Metric) {
		o.Limit, word = o.Baseline/monitor.BelowBaseline, ">"
		worse = func() bool { return !(o.Observed <= o.Limit) }
	}
	if o.Alert = worse(); o.Alert {
		o.Reason = fmt.Sprintf("%s: observed %.4f %s %.4f (%.4g x the %.4f that version %d had on its test rows) on %d labelled predictions",
			o.Metric, o.Observed, word, o.Limit, monitor.BelowBaseline, o.Baseline, o.Champion, o.Labelled)
	}
}

// join finds the label of each logged prediction among the accepted files, by row id.
func (m *Monitors) join(ctx context.Context, model string, w watched, logged *dataset.Table) (y, p []float64, err error) {
	if logged == nil {
		return nil, nil, nil
	}
	truth, err := m.truth(ctx, model, w)
	if err != nil {
		return nil, nil, err
	}
	match := predictions.ColumnRow
	if w.spec.Data.Labels.Match == "prediction_id" {
		match = predictions.ColumnID
	}
	ids, ok := logged.Column(match)
	if !ok {
		return nil, nil, permanent(ErrorData, fmt.Errorf("prediction log of %s: no column %s", model, match))
	}
	id := inference.Labeller(ids)
	// The prediction is scored again from its logged features: the log keeps one score, a metric may need one a class.
	scorer, err := m.scorer(ctx, model, w)
	if err != nil {
		return nil, nil, err
	}
	var rows []int
	for i := range logged.Rows {
		if ids.Null(i) {
			continue
		}
		if label, known := truth[id(i)]; known {
			rows, y = append(rows, i), append(y, label)
		}
	}
	if len(rows) == 0 {
		return nil, nil, nil
	}
	p, err = scorer.PredictTable(logged.Select(rows))
	return y, p, err
}

func (m *Monitors) scorer(ctx context.Context, model string, w watched) (*inference.Model, error) {
	files := map[string][]byte{}
	for _, name := range []string{fileModel, fileSignature} {
		raw, err := registry.ReadArtifactFile(ctx, m.Lake.Store, model, w.version.Artifact, name, maxModel)
		if err != nil {
			return nil, err
		}
		files[name] = raw
	}
	loaded, err := inference.Load(files, inference.DefaultLimits())
	if err != nil {
		return nil, permanent(ErrorCorrupt, err)
	}
	return loaded, nil
}

// truth is the label of every row of the files accepted since the champion was made.
func (m *Monitors) truth(ctx context.Context, model string, w watched) (map[string]float64, error) {
	head, err := m.Lake.Index(model).Head(ctx)
	if err != nil {
		return nil, ledgerError(err)
	}
	contract, err := m.Lake.contract(ctx, w.spec)
	if err != nil {
		return nil, err
	}
	column := w.spec.Data.ID
	if w.spec.Data.Labels.Match == "prediction_id" {
		column = predictions.ColumnID
	}
	out := map[string]float64{}
	for _, f := range head.State.Files {
		if !f.AcceptedAt.After(w.version.RegisteredAt) {
			continue
		}
		t, err := m.Lake.readFile(ctx, w.spec, contract, dataset.SnapshotFile{SHA256: f.SHA256, Source: f.Source}, beat(ctx))
		if err != nil {
			return nil, err
		}
		if err := labelsOf(t, column, w, out); err != nil {
			return nil, permanent(ErrorData, fmt.Errorf("%s: %w", f.Source, err))
		}
	}
	return out, nil
}

func labelsOf(t *dataset.Table, column string, w watched, into map[string]float64) error {
	ids, ok := t.Column(column)
	if !ok {
		return fmt.Errorf("labels match by %s, and the file has no such column", column)
	}
	target, ok := t.Column(w.spec.Data.Target)
	if !ok {
		return fmt.Errorf("no target column %s", w.spec.Data.Target)
	}
	var labelled []int
	for i := range t.Rows {
		if !ids.Null(i) && !target.Null(i) {
			labelled = append(labelled, i)
		}
	}
	chosen := t.Select(labelled)
	y, err := w.signature.Targets(chosen)
	if err != nil {
		return err
	}
	ids, _ = chosen.Column(column)
	id := inference.Labeller(ids)
	for i, v := range y {
		into[id(i)] = v
	}
	return nil
}
