package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// maxPoints bounds the features that a window's points tell of, worst first, and those that aren't counted.
const maxPoints = 1000

// DriftJudge merges the shards' profiles, compares them with the champion's, and keeps what was found: the result, a
// page for people, and points. Where another version has been promoted since the plan was made it is Inconclusive: a
// verdict is of one champion.
func (m *Monitors) DriftJudge(ctx context.Context, in DriftJudgement) (DriftOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
	plan := in.Plan
	out := DriftOutput{Model: plan.Model, Champion: plan.Champion, From: plan.From, End: plan.End, Recent: in.Recent}
	if out.Champion != in.Champion {
		out.Recent = nil // verdicts over another champion don't count
	}
	if out.Inconclusive = plan.Inconclusive; out.Inconclusive != "" {
		return out, nil
	}
	w, moved, err := m.pinned(ctx, plan)
	if err != nil || moved != "" {
		out.Inconclusive = moved
		return out, err
	}
	monitor := w.spec.Monitor.Drift
	gone := 0
	for _, s := range in.Shards {
		out.Rows += int(s.Rows)
		gone += s.Gone
	}
	if gone > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d of %d parts of the log were removed while it was read", gone, plan.Parts))
	}
	if out.Rows < max(1, monitor.MinRows) {
		out.Inconclusive = fmt.Sprintf("%d predictions of version %d since %s < monitor.drift.min_rows %d",
			out.Rows, out.Champion, out.From.Format(time.RFC3339), monitor.MinRows)
		return out, nil
	}
	sides, err := m.sides(ctx, w, in)
	if err != nil {
		return out, err
	}
	if out.Inconclusive = sides.why; out.Inconclusive != "" {
		return out, nil
	}
	result, err := sides.compare(w, monitor)
	if err != nil {
		return out, permanent(ErrorData, err)
	}
	out.Notes = append(out.Notes, sides.notes[:min(len(sides.notes), maxNotes)]...)
	if result.Inconclusive {
		out.Inconclusive = result.Reason
		return out, nil
	}
	out.judge(result, monitor)
	if err := m.keepDrift(ctx, &out, w, sides, result); err != nil {
		return out, err
	}
	m.write(ctx, driftPoints(out, result))
	return out, nil
}

// sides are what is compared.
type sides struct {
	reference, current *profile.Profile
	extra              []string // columns of both that aren't features
	notes              []string // why others aren't
	why                string   // nothing can be compared
}

// sides reads the reference and merges the window's profiles, one at a time.
func (m *Monitors) sides(ctx context.Context, w watched, in DriftJudgement) (s sides, err error) {
	ref, why, err := m.reference(ctx, w)
	if err != nil || why != "" {
		return sides{why: why}, err
	}
	s.reference = ref.whole()
	for _, shard := range in.Shards {
		p, err := m.profiled(ctx, shard)
		if err != nil {
			return s, err
		}
		switch {
		case p == nil:
		case s.current == nil:
			s.current = p
		default:
			if s.current, err = profile.Merge(s.current, p); err != nil {
				return s, permanent(ErrorCorrupt, err)
			}
		}
	}
	if s.current == nil {
		return s, permanent(ErrorCorrupt, fmt.Errorf("drift of %s until %s: rows without a profile", w.model, stamp(in.Plan.End)))
	}
	if ref.Prediction != nil {
		s.extra = append(s.extra, columnPrediction)
	} else {
		s.notes = append(s.notes, fmt.Sprintf("prediction not compared: version %d had no test row to answer", w.version.Number))
	}
	target, err := m.profiled(ctx, in.Target)
	if err != nil {
		return s, err
	}
	if target != nil {
		s.current, s.extra = beside(s.current, target), append(s.extra, columnTarget)
	} else if in.Target.Note != "" {
		s.notes = append(s.notes, in.Target.Note)
	}
	return s, nil
}

// profiled reads a profile that an activity stored; nil: it had no rows.
func (m *Monitors) profiled(ctx context.Context, p DriftProfiled) (*profile.Profile, error) {
	if p.Key == "" {
		return nil, nil
	}
	raw, err := getVerified(ctx, m.Lake.Store, p.Key, p.File)
	if err != nil {
		return nil, err
	}
	var out profile.Profile
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, permanent(ErrorCorrupt, fmt.Errorf("%s: %w", p.Key, err))
	}
	return &out, nil
}

// compare compares the champion's features, and the columns that are none of them: they don't count among the drifted,
// but a PSI over the limit alerts wherever it is, unless the spec excludes the column.
func (s *sides) compare(w watched, monitor spec.DriftMonitor) (drift.Result, error) {
	o := drift.OptionsOf(monitor)
	_, names := w.features()
	for _, name := range names {
		o.Columns = append(o.Columns, profileColumn(name))
	}
	o.Extra = s.extra
	s.known(&o, w.version.Number)
	r, err := drift.CompareProfiles(s.reference, s.current, o)
	if err != nil || r.Inconclusive {
		return r, err
	}
	for _, c := range r.Extra {
		if slices.Contains(o.Exclude, c.Name) || c.Beside || c.ByChance || c.PSI <= monitor.PSI {
			continue
		}
		reason := fmt.Sprintf("psi of the %s: observed %.4g > %g", c.Name, c.PSI, monitor.PSI)
		if r.Alert {
			reason = r.Reason + "; " + reason
		}
		r.Alert, r.Reason = true, reason
	}
	return r, nil
}

// known leaves out what the spec says of columns that aren't compared. The applied spec may name those of the next
// version: that is no reason not to watch this one.
func (s *sides) known(o *drift.Options, version int) {
	compared := slices.Concat(o.Columns, o.Extra)
	unknown := func(field, name string) bool {
		if slices.Contains(compared, name) {
			return false
		}
		if name != columnPrediction && name != columnTarget { // a note says already why it isn't there
			s.notes = append(s.notes, clip(fmt.Sprintf("monitor.drift.%s names %s, which version %d doesn't take", field, name, version), maxCell))
		}
		return true
	}
	methods := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(o.Methods)) {
		if !unknown("methods", name) {
			methods[name] = o.Methods[name]
		}
	}
	o.Methods = methods
	o.Exclude = slices.DeleteFunc(slices.Clone(o.Exclude), func(name string) bool { return unknown("exclude", name) })
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
	o.Extra = r.Extra[:min(len(r.Extra), maxTop)]
	if o.Alert && !r.Alert {
		o.Reason = clip(fmt.Sprintf("%d of the last %d windows were over a limit; this one is not: %s", over(o.Recent), len(o.Recent), r.Reason), maxText)
	}
}

// over counts the windows that are over a limit.
func over(recent []bool) (n int) {
	for _, r := range recent {
		if r {
			n++
		}
	}
	return n
}

// keepDrift stores the result and the page, both under the window's end and the result's digest: a retry finds its own.
func (m *Monitors) keepDrift(ctx context.Context, o *DriftOutput, w watched, s sides, r drift.Result) error {
	key, _, err := putJSON(ctx, m.Lake.Store, fmt.Sprintf("monitor/%s/drift/%s-", o.Model, stamp(o.End)), r)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	err = report.Drift(&page, report.DriftPage{
		Title: o.Model, At: o.End.UTC(),
		Subject:   fmt.Sprintf("%d predictions of version %d, %s to %s", o.Rows, o.Champion, o.From.UTC().Format(time.DateTime), o.End.UTC().Format(time.DateTime)),
		Result:    r,
		Reference: s.reference, Current: s.current, CurrentName: "Production",
		Prediction: columnPrediction, Target: columnTarget,
		History: o.Recent, After: w.spec.Monitor.Drift.AlertAfter,
	})
	if err != nil {
		return permanent(ErrorData, fmt.Errorf("page of %s: %w", key, err))
	}
	html := strings.TrimSuffix(key, ".json") + ".html"
	if err := create(ctx, m.Lake.Store, html, page.Bytes()); err != nil {
		return err
	}
	o.Report, o.Page = key, html
	if m.Bucket != "" {
		o.Page = "s3://" + m.Bucket + "/" + html
	}
	return nil
}

// driftPoints are the window's: one of all features, and one of each column. Field drifted is whether the column's values
// or its share of missing ones did; psi is 0 where it has none.
func driftPoints(o DriftOutput, r drift.Result) []timeseries.Point {
	point := func(feature string, fields map[string]float64) timeseries.Point {
		return timeseries.Point{
			Measurement: "leanloop_drift", Time: o.End, Fields: finite(fields),
			Tags: map[string]string{"model": o.Model, "version": strconv.Itoa(o.Champion), "feature": feature},
		}
	}
	points := []timeseries.Point{point("_all", map[string]float64{
		"drifted_features": float64(r.Drifted), "features": float64(r.Features), "share": r.Share, "max_psi": r.MaxPSI,
		"rows": float64(o.Rows), "window": number(r.Alert), "alert": number(o.Alert),
	})}
	columns := drift.WorstFirst(r.Columns)
	columns = append(columns[:min(len(columns), maxPoints)], r.Extra[:min(len(r.Extra), maxPoints)]...)
	for _, c := range columns {
		if c.Beside {
			continue
		}
		name := c.Name
		if name == columnPrediction || name == columnTarget {
			name = "_" + name // no feature, as _all isn't
		}
		points = append(points, point(name, map[string]float64{
			"psi": c.PSI, "statistic": c.Statistic, "threshold": c.Threshold, "drifted": number(c.Drifted || c.Missing.Drifted),
			"missing": c.MissingCurrent, "missing_reference": c.MissingReference,
		}))
	}
	return points
}
