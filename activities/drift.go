package activities

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// Bounds of what a drift result carries through history; the stored report has everything.
const (
	maxTop     = 12 // columns with their numbers
	maxDrifted = 50 // names of drifted columns
)

// DriftInput compares the window that ends at End with the champion's training rows.
type DriftInput struct {
	Model string    `json:"model"`
	End   time.Time `json:"end"`
	// Recent are the verdicts of earlier windows of the same champion, oldest first.
	Recent   []bool `json:"recent,omitempty"`
	Champion int    `json:"champion,omitempty"`
}

// DriftOutput is one window's result. Recent has the window's own verdict as its last.
type DriftOutput struct {
	Model        string               `json:"model"`
	Champion     int                  `json:"champion"`
	From         time.Time            `json:"from"`
	End          time.Time            `json:"end"`
	Rows         int                  `json:"rows"` // predictions in the window
	Inconclusive string               `json:"inconclusive,omitempty"`
	Drifted      []string             `json:"drifted,omitempty"` // the first 50; the report has them all
	MaxPSI       float64              `json:"max_psi"`
	Window       bool                 `json:"window"` // this window is over a limit
	Alert        bool                 `json:"alert"`  // k of n windows are
	Reason       string               `json:"reason,omitempty"`
	Recent       []bool               `json:"recent,omitempty"`
	Report       string               `json:"report,omitempty"` // key of the full result
	Top          []drift.ColumnResult `json:"top,omitempty"`    // worst first, bounded
}

// Drift compares the window with the champion's training rows, feature by feature.
func (m *Monitors) Drift(ctx context.Context, in DriftInput) (DriftOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
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
	current, err := m.predictions(ctx, w, out.From, in.End, h.note)
	if err != nil {
		return out, err
	}
	if out.Rows = current.Answered; out.Rows < max(1, monitor.MinRows) {
		out.Inconclusive = fmt.Sprintf("%d predictions of version %d since %s < monitor.drift.min_rows %d",
			out.Rows, out.Champion, out.From.Format(time.RFC3339), monitor.MinRows)
		return out, nil
	}
	rules, names := w.features()
	reference, err := m.reference(ctx, w, rules)
	if err != nil {
		return out, err
	}
	monitor.MinRows = min(monitor.MinRows, current.Rows) // judged above, on all that was answered
	result, err := drift.Compare(reference, current.Features, names, monitor)
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
	m.write(ctx, driftPoints(out, result))
	return out, nil
}

// judge takes over a window's result and its own place among the last n.
func (o *DriftOutput) judge(r drift.Result, monitor spec.DriftMonitor) {
	names := r.DriftedNames()
	o.Drifted = names[:min(len(names), maxDrifted)]
	o.MaxPSI, o.Window, o.Reason = r.MaxPSI, r.Alert, clip(r.Reason, maxText)
	o.Recent = append(o.Recent, r.Alert)
	o.Recent = o.Recent[max(0, len(o.Recent)-monitor.AlertAfter.N):]
	o.Alert = drift.AlertAfter(o.Recent, monitor.AlertAfter.K, monitor.AlertAfter.N)
	o.Top = drift.WorstFirst(r.Columns)
	o.Top = o.Top[:min(len(o.Top), maxTop)]
}

// reference reads the sample of the rows that the champion was trained on.
func (m *Monitors) reference(ctx context.Context, w watched, rules predictions.Features) (*dataset.Table, error) {
	raw, err := m.artifact(ctx, w, fileReference)
	if err != nil {
		return nil, err
	}
	t, _, report, err := dataset.Read(ctx, bytes.NewReader(raw), dataset.ReadOptions{
		Name: fileReference, Format: dataset.CSVGzip, Contract: &spec.Contract{Columns: rules},
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
	point := func(feature string, fields map[string]float64) timeseries.Point {
		return timeseries.Point{
			Measurement: "leanloop_drift", Time: o.End, Fields: finite(fields),
			Tags: map[string]string{"model": o.Model, "version": strconv.Itoa(o.Champion), "feature": feature},
		}
	}
	points := []timeseries.Point{point("_all", map[string]float64{
		"drifted_features": float64(r.Drifted), "max_psi": r.MaxPSI, "rows": float64(o.Rows), "alert": number(o.Alert),
	})}
	for _, c := range r.Columns {
		points = append(points, point(c.Name, map[string]float64{"psi": c.PSI, "statistic": c.Statistic, "drifted": number(c.Drifted)}))
	}
	return points
}
