package activities

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

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
	Model       string    `json:"model"`
	Champion    int       `json:"champion"`
	From        time.Time `json:"from"`
	End         time.Time `json:"end"`
	Metric      string    `json:"metric"`
	Predictions int       `json:"predictions"` // that are old enough for a label
	Labelled    int       `json:"labelled"`
	// Logged is how many predictions the window has, where all the numbers here are of a sample of them; 0: of all.
	Logged   int     `json:"logged,omitempty"`
	Observed float64 `json:"observed"` // 0 where it has no value, as Inconclusive then says
	// Lower and Upper bound the 95 % interval of Observed.
	Lower        float64 `json:"lower,omitempty"`
	Upper        float64 `json:"upper,omitempty"`
	Baseline     float64 `json:"baseline"`
	Limit        float64 `json:"limit"`
	Inconclusive string  `json:"inconclusive,omitempty"`
	Alert        bool    `json:"alert"`
	Told         bool    `json:"told,omitempty"` // people know of an alert of this champion that hasn't ended; the workflow sets it
	Reason       string  `json:"reason,omitempty"`
	Note         string  `json:"note,omitempty"` // why a value under the limit is no alert
	// Estimated is the quality of all predictions of the window, without labels; nil: NoEstimate says why.
	Estimated  *QualityEstimate `json:"estimated,omitempty"`
	NoEstimate string           `json:"no_estimate,omitempty"`
}

// QualityEstimate is what labels would show if the champion's calibrated probabilities still hold: of a change in what
// its inputs mean it knows nothing.
type QualityEstimate struct {
	Value float64 `json:"value"`
	Lower float64 `json:"lower"` // of the 95 % interval
	Upper float64 `json:"upper"`
	Rows  int     `json:"rows"` // predictions that it is made from
}

// Quality compares predictions that labels have reached with what the champion had on its test rows. Unlabelled rows
// are no negatives: too few labels are Inconclusive, and so is a metric that has no value on them. Beside it the quality
// of all predictions is estimated; the spec says whether an estimate may alert where labels are too few.
func (m *Monitors) Quality(ctx context.Context, in QualityInput) (_ QualityOutput, err error) {
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
	// As far under the baseline as below_baseline says, of the baseline's size, since an R2 may be negative. Larger is
	// better: a spec can't name another metric here.
	out.Baseline, out.Limit = baseline, baseline-(1-monitor.BelowBaseline)*math.Abs(baseline)
	logged, err := m.predictions(ctx, w, out.From, in.End, h.note)
	if err != nil {
		return out, err
	}
	if logged.Answered > logged.Rows {
		out.Logged = logged.Answered
	}
	var scorer *inference.Model
	if logged.Rows > 0 {
		if scorer, err = m.scorer(ctx, w); err != nil {
			return out, err
		}
		defer closeModel(&err, scorer)
	}
	if err := m.observe(ctx, w, logged.Before(in.End.Add(-w.spec.Data.Labels.Delay.D())), scorer, &out, h.note); err != nil {
		return out, err
	}
	if err := m.estimate(ctx, w, logged, scorer, &out); err != nil {
		return out, err
	}
	out.judgeEstimate(monitor)
	if p := out.point(); len(p.Fields) > 0 {
		m.write(ctx, []timeseries.Point{p})
	}
	return out, nil
}

// observe measures the predictions that are old enough and have a label.
func (m *Monitors) observe(ctx context.Context, w watched, old predictions.Window, scorer *inference.Model, out *QualityOutput, note func(any)) error {
	rows, y, err := m.join(ctx, w, old, note)
	if unknown, ok := errors.AsType[*inference.UnknownClass](err); ok {
		out.Inconclusive = clip(fmt.Sprintf("labels that version %d can't predict: %v", out.Champion, unknown), maxText)
		return nil
	}
	if err != nil {
		return err
	}
	out.Predictions, out.Labelled = old.Rows, len(y)
	if out.Inconclusive = out.tooFew(w.spec.Monitor.Quality, w.spec.Data.Labels); out.Inconclusive != "" {
		return nil
	}
	// The prediction is scored again from its logged features: the log keeps one score, a metric may need one a class.
	p, err := scorer.PredictTable(ctx, old.Features.Select(rows))
	if err != nil {
		return permanent(ErrorData, err)
	}
	observed, err := evaluation.Observed(w.spec.Task, len(w.signature.Classes), y, p, w.signature.Threshold, out.Metric, 0, w.spec.Split.Seed)
	switch {
	case evaluation.NoValue(err):
		out.Inconclusive = clip(fmt.Sprintf("%d labelled predictions can't tell: %v", out.Labelled, err), maxText)
	case err != nil:
		return permanent(ErrorData, err)
	default:
		out.judge(observed, w.spec.Monitor.Quality)
	}
	return nil
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

// judge alerts on a value that is under the limit and whose interval leaves the baseline out: worse than is allowed by
// the best guess, and worse than it was beyond what chance does on so many rows.
func (o *QualityOutput) judge(observed evaluation.Interval, monitor spec.QualityMonitor) {
	o.Observed, o.Lower, o.Upper = observed.Value, observed.Lower, observed.Upper
	if o.Observed >= o.Limit {
		o.Reason = fmt.Sprintf("%s: observed %.4f >= %.4f on %d labelled predictions", o.Metric, o.Observed, o.Limit, o.Labelled)
		return
	}
	if o.Upper >= o.Baseline {
		o.Note = fmt.Sprintf("%s: observed %.4f is under the limit %.4f, but its 95 %% interval reaches up to %.4f, over the baseline %.4f: on %d labelled predictions that may be chance",
			o.Metric, o.Observed, o.Limit, o.Upper, o.Baseline, o.Labelled)
		return
	}
	o.Alert = true
	o.Reason = fmt.Sprintf("%s: observed %.4f (95 %% interval %.4f to %.4f) < %.4f (%.4g %% under the %.4f that version %d had on its test rows) on %d labelled predictions",
		o.Metric, o.Observed, o.Lower, o.Upper, o.Limit, allowed(monitor), o.Baseline, o.Champion, o.Labelled)
}

// allowed is how far under the baseline the limit is, in percent of the baseline's size.
func allowed(monitor spec.QualityMonitor) float64 { return 100 - 100*monitor.BelowBaseline }

// point has what there is to draw: an estimate where nothing was observed; no field where there is neither.
func (o *QualityOutput) point() timeseries.Point {
	fields := map[string]float64{}
	if o.Inconclusive == "" {
		fields["observed"], fields["lower"], fields["upper"] = o.Observed, o.Lower, o.Upper
	}
	if e := o.Estimated; e != nil {
		fields["estimated"], fields["estimated_lower"], fields["estimated_upper"], fields["estimated_rows"] = e.Value, e.Lower, e.Upper, float64(e.Rows)
	}
	if len(fields) > 0 {
		fields["baseline"], fields["limit"], fields["alert"] = o.Baseline, o.Limit, number(o.Alert)
		fields["labelled"], fields["predictions"] = float64(o.Labelled), float64(o.Predictions)
	}
	return timeseries.Point{
		Measurement: "leanloop_quality", Time: o.End, Fields: finite(fields),
		Tags: map[string]string{"model": o.Model, "version": strconv.Itoa(o.Champion), "metric": o.Metric},
	}
}

func (m *Monitors) scorer(ctx context.Context, w watched) (*inference.Model, error) {
	files, err := inference.ReadFiles(func(name string) ([]byte, error) { return m.artifact(ctx, w, name) })
	if err != nil {
		return nil, err
	}
	loaded, err := m.Lake.Loader.Load(ctx, files)
	if err != nil {
		return nil, loadError(err)
	}
	return loaded, nil
}
