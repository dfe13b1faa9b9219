package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leanloop/leanloop/internal/evaluation"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// estimate adds the quality that the window's predictions are expected to have, or why there is no such number.
func (m *Monitors) estimate(ctx context.Context, w watched, logged predictions.Window, scorer *inference.Model, out *QualityOutput) error {
	monitor := w.spec.Monitor.Quality
	switch {
	case monitor.Estimate == spec.EstimateOff:
		return nil
	case !evaluation.CanEstimate(w.spec.Task, monitor.Metric):
		out.NoEstimate = fmt.Sprintf("the %s of a %s model can't be estimated without labels", monitor.Metric, w.spec.Task)
		return nil
	case logged.Rows < max(1, monitor.MinRows):
		out.NoEstimate = fmt.Sprintf("%d predictions since %s < monitor.quality.min_rows %d", logged.Rows, out.From.Format("2006-01-02T15:04:05Z07:00"), monitor.MinRows)
		return nil
	}
	calibration, why, err := m.calibration(ctx, w)
	if err != nil || why != "" {
		out.NoEstimate = why
		return err
	}
	p, err := scorer.PredictTable(ctx, logged.Features)
	if err != nil {
		return permanent(ErrorData, err)
	}
	e, err := evaluation.EstimateInterval(calibration, monitor.Metric, p, w.signature.Threshold, w.spec.Split.Seed)
	if err != nil {
		out.NoEstimate = clip(err.Error(), maxText)
		return nil
	}
	out.Estimated = &QualityEstimate{Value: e.Value, Lower: e.Lower, Upper: e.Upper, Rows: e.Rows}
	return nil
}

// calibration reads the champion's; why says that it has none.
func (m *Monitors) calibration(ctx context.Context, w watched) (c evaluation.Calibration, why string, err error) {
	manifest, err := registry.OpenArtifact(ctx, m.Lake.Store, w.model, w.version.Artifact)
	if err != nil {
		return c, "", ledgerError(lost(err))
	}
	if _, ok := manifest.Files[fileCalibration]; !ok {
		return c, fmt.Sprintf("version %d has no %s: retrain to have its quality estimated", w.version.Number, fileCalibration), nil
	}
	raw, err := m.artifact(ctx, w, fileCalibration)
	if err != nil {
		return c, "", err
	}
	if err = json.Unmarshal(raw, &c); err == nil {
		err = c.Check(w.spec.Task, w.signature.Outputs())
	}
	if err != nil {
		return c, "", permanent(ErrorCorrupt, fmt.Errorf("version %d: %s: %w", w.version.Number, fileCalibration, err))
	}
	return c, "", nil
}

// judgeEstimate lets an estimate alert, where labels are too few and the spec says so: by the rule of judge.
func (o *QualityOutput) judgeEstimate(monitor spec.QualityMonitor) {
	e := o.Estimated
	if e == nil || o.Inconclusive == "" || monitor.Estimate != spec.EstimateAlert || e.Value >= o.Limit || e.Upper >= o.Baseline {
		return
	}
	o.Alert = true
	o.Reason = fmt.Sprintf("estimated %s: %.4f (95 %% interval %.4f to %.4f) < %.4f (%.4g %% under the %.4f that version %d had on its test rows) from %d predictions without labels, if its probabilities still hold; %s",
		o.Metric, e.Value, e.Lower, e.Upper, o.Limit, allowed(monitor), o.Baseline, o.Champion, e.Rows, o.Inconclusive)
}

// calibrate learns the challenger's calibration from the judged rows; nil where there can be none.
func (d *evaluated) calibrate() (*evaluation.Calibration, error) {
	c, err := evaluation.Calibrate(d.spec.Task, d.classes, d.y, d.p, d.spec.Split.Seed)
	if errors.Is(err, evaluation.ErrNoEstimate) {
		return nil, nil
	}
	return &c, err
}
