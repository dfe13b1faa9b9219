package activities

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// QualityInput compares labelled predictions of the window that ends at End with the champion's test metrics.
type QualityInput struct {
	Model string    `json:"model"`
	End   time.Time `json:"end"`
}

// QualityOutput is one window's result.
type QualityOutput struct {
	Model        string    `json:"model"`
	Champion     int       `json:"champion"`
	From         time.Time `json:"from"`
	End          time.Time `json:"end"`
	Metric       string    `json:"metric"`
	Predictions  int       `json:"predictions"` // that are old enough for a label
	Labelled     int       `json:"labelled"`
	Observed     float64   `json:"observed"` // 0 where it has no value, as Inconclusive then says
	Baseline     float64   `json:"baseline"`
	Limit        float64   `json:"limit"`
	Inconclusive string    `json:"inconclusive,omitempty"`
	Alert        bool      `json:"alert"`
	Reason       string    `json:"reason,omitempty"`
}

// Quality compares predictions that labels have reached with what the champion had on its test rows. Unlabelled rows
// are no negatives: too few labels are Inconclusive, and so is a metric that has no value on them.
func (m *Monitors) Quality(ctx context.Context, in QualityInput) (QualityOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
	out := QualityOutput{Model: in.Model, End: in.End}
	w, why, err := m.champion(ctx, in.Model)
	if err != nil || why != "" {
		out.Inconclusive = why
		return out, err
	}
	monitor := w.spec.Monitor.Quality
	out.Champion, out.Metric = w.version.Number, monitor.Metric
	out.From = w.since(in.End, monitor.Window.D())
	baseline, known := w.version.Metrics[monitor.Metric]
	if !known {
		out.Inconclusive = fmt.Sprintf("version %d has no %s on its test rows", out.Champion, monitor.Metric)
		return out, nil
	}
	out.Baseline = baseline
	end := in.End.Add(-w.spec.Data.Labels.Delay.D()) // younger rows can't have their labels yet
	logged, err := m.predictions(ctx, w, out.From, end, h.note)
	if err != nil {
		return out, err
	}
	y, p, err := m.join(ctx, w, logged, h.note)
	if unknown, ok := errors.AsType[*inference.UnknownClass](err); ok {
		out.Inconclusive = clip(fmt.Sprintf("labels that version %d can't predict: %v", out.Champion, unknown), maxText)
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Predictions, out.Labelled = logged.Rows, len(y)
	if out.Inconclusive = out.tooFew(monitor, w.spec.Data.Labels); out.Inconclusive != "" {
		return out, nil
	}
	out.judge(evaluation.Metrics(w.spec.Task, len(w.signature.Classes), y, p, w.signature.Threshold)[monitor.Metric], monitor)
	if out.Inconclusive == "" {
		m.write(ctx, []timeseries.Point{out.point()})
	}
	return out, nil
}

// tooFew says that the labels can't carry a judgement; "" : they can.
func (o *QualityOutput) tooFew(monitor spec.QualityMonitor, labels spec.Labels) string {
	coverage := float64(o.Labelled) / float64(max(1, o.Predictions))
	switch {
	case o.Labelled < max(1, monitor.MinRows):
		return fmt.Sprintf("%d labelled predictions since %s < monitor.quality.min_rows %d", o.Labelled, o.From.Format(time.RFC3339), monitor.MinRows)
	case coverage < float64(labels.MinCoverage):
		return fmt.Sprintf("%.1f %% of %d predictions are labelled < data.labels.min_coverage %.1f %%", 100*coverage, o.Predictions, 100*float64(labels.MinCoverage))
	}
	return ""
}

// judge compares with the limit: as far under the baseline as below_baseline says, of the baseline's size, since an R2
// may be negative. Larger is better: a spec can't name another metric here.
func (o *QualityOutput) judge(observed float64, monitor spec.QualityMonitor) {
	if math.IsNaN(observed) || math.IsInf(observed, 0) {
		o.Inconclusive = fmt.Sprintf("%s has no value on %d labelled predictions", o.Metric, o.Labelled)
		return
	}
	o.Observed = observed
	o.Limit = o.Baseline - (1-monitor.BelowBaseline)*math.Abs(o.Baseline)
	if o.Alert = o.Observed < o.Limit; o.Alert {
		o.Reason = fmt.Sprintf("%s: observed %.4f < %.4f (%.4g x the %.4f that version %d had on its test rows) on %d labelled predictions",
			o.Metric, o.Observed, o.Limit, monitor.BelowBaseline, o.Baseline, o.Champion, o.Labelled)
	}
}

func (o *QualityOutput) point() timeseries.Point {
	return timeseries.Point{
		Measurement: "leanloop_quality", Time: o.End,
		Tags: map[string]string{"model": o.Model, "version": strconv.Itoa(o.Champion), "metric": o.Metric},
		Fields: finite(map[string]float64{
			"observed": o.Observed, "baseline": o.Baseline, "limit": o.Limit, "labelled": float64(o.Labelled), "predictions": float64(o.Predictions),
		}),
	}
}

// join finds the label of each logged prediction among the accepted files.
func (m *Monitors) join(ctx context.Context, w watched, logged predictions.Window, note func(any)) (y, p []float64, err error) {
	if logged.Rows == 0 {
		return nil, nil, nil
	}
	contract, err := m.Lake.contract(ctx, w.spec)
	if err != nil {
		return nil, nil, err
	}
	match := predictions.ColumnRow
	if w.matchesPredictions() {
		match = predictions.ColumnID
	}
	ids, _ := logged.Log.Column(match)
	spell, wanted := w.spelling(contract), map[string]bool{}
	names := make([]string, len(ids.Dict))
	for code, id := range ids.Dict {
		names[code] = spell(id)
		wanted[names[code]] = true
	}
	truth, err := m.truth(ctx, w, contract, wanted, note)
	if err != nil {
		return nil, nil, err
	}
	var rows []int
	for i, code := range ids.Codes {
		if code < 0 {
			continue
		}
		if label, known := truth[names[code]]; known {
			rows, y = append(rows, i), append(y, label)
		}
	}
	if len(rows) == 0 {
		return nil, nil, nil
	}
	// The prediction is scored again from its logged features: the log keeps one score, a metric may need one a class.
	scorer, err := m.scorer(ctx, w)
	if err != nil {
		return nil, nil, err
	}
	p, err = scorer.PredictTable(logged.Features.Select(rows))
	if err != nil {
		return nil, nil, permanent(ErrorData, err)
	}
	return y, p, nil
}

func (w watched) matchesPredictions() bool { return w.spec.Data.Labels.Match == "prediction_id" }

// labelColumn is the files' column that names a prediction.
func (w watched) labelColumn() string {
	if w.matchesPredictions() {
		return predictions.ColumnID
	}
	return w.spec.Data.ID
}

// spelling makes ids comparable. Text is its own; a number that a file has as 20130101 may come in a request as
// 20130101.0 or 2.0130101e7.
func (w watched) spelling(contract *spec.Contract) func(id string) string {
	same := func(id string) string { return id }
	if contract == nil {
		return same
	}
	for _, rule := range contract.Columns {
		if rule.Name == w.labelColumn() && (rule.Type == dataset.Number.String() || rule.Type == dataset.Integer.String()) {
			return func(id string) string {
				v, err := strconv.ParseFloat(id, 64)
				if err != nil {
					return id
				}
				return strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
	}
	return same
}

func (m *Monitors) scorer(ctx context.Context, w watched) (*inference.Model, error) {
	files := map[string][]byte{}
	for _, name := range []string{fileModel, fileSignature} {
		raw, err := m.artifact(ctx, w, name)
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

// truth is the label of each wanted row that the files accepted since the champion was made have one for. As everywhere,
// of two rows of one id the first that has a label stays.
func (m *Monitors) truth(ctx context.Context, w watched, contract *spec.Contract, wanted map[string]bool, note func(any)) (map[string]float64, error) {
	head, err := m.Lake.Index(w.model).Head(ctx)
	if err != nil {
		return nil, ledgerError(err)
	}
	out := map[string]float64{}
	for _, f := range head.State.Files {
		if !f.AcceptedAt.After(w.version.RegisteredAt) {
			continue
		}
		t, err := m.Lake.readFile(ctx, w.spec, contract, dataset.SnapshotFile{SHA256: f.SHA256, Source: f.Source}, note)
		if err != nil {
			return nil, err
		}
		if err := w.labels(t, w.spelling(contract), wanted, out); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Source, err)
		}
	}
	return out, nil
}

// labels adds the labels of the wanted rows of one file.
func (w watched) labels(t *dataset.Table, spell func(string) string, wanted map[string]bool, into map[string]float64) error {
	ids, ok := t.Column(w.labelColumn())
	if !ok {
		return nil // rows that name no prediction label none: without an id that is every file of a data set
	}
	target, ok := t.Column(w.spec.Data.Target)
	if !ok {
		return permanent(ErrorData, fmt.Errorf("no target column %s: the file has %v", w.spec.Data.Target, t.Names()))
	}
	text := inference.Labeller(ids)
	var rows []int
	var names []string
	for i := range t.Rows {
		if ids.Null(i) || target.Null(i) {
			continue
		}
		if name := spell(text(i)); wanted[name] {
			rows, names = append(rows, i), append(names, name)
		}
	}
	y, err := w.signature.Targets(t.Select(rows))
	if err != nil {
		return err
	}
	for i, name := range names {
		if _, taken := into[name]; !taken {
			into[name] = y[i]
		}
	}
	return nil
}
