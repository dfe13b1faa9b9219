package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/timeseries"
)

const (
	dataMeasurement = "leanloop_data" // tags: model, column (_all: the file as a whole); time: when the file landed
	maxColumnPoints = 200             // columns of a file that have a point, in the file's order
)

// points are a file's data-quality numbers. The same file gives the same points whenever it is read.
func (f *ingested) points(model string) []timeseries.Point {
	if f.landed.IsZero() {
		return nil
	}
	point := func(column string, fields map[string]float64) timeseries.Point {
		return timeseries.Point{Measurement: dataMeasurement, Time: f.landed, Fields: finite(fields), Tags: map[string]string{"model": model, "column": column}}
	}
	whole := map[string]float64{
		"rows": float64(f.out.Rows), "bytes": float64(f.out.Bytes), "failures": float64(len(f.failures)), "warnings": float64(len(f.warnings)),
		"unreadable": number(f.out.Problem != ""),
	}
	if !f.out.To.IsZero() {
		whole["freshness_seconds"] = f.landed.Sub(f.out.To).Seconds()
	}
	points := []timeseries.Point{point("_all", whole)}
	if f.profile == nil {
		return points
	}
	for _, c := range f.profile.Columns[:min(len(f.profile.Columns), maxColumnPoints)] {
		fields := map[string]float64{"nulls": float64(c.Nulls), "distinct": float64(c.Distinct), "failures": 0, "warnings": 0}
		if rows := c.Count + c.Nulls; rows > 0 {
			fields["null_share"] = float64(c.Nulls) / float64(rows)
		}
		for _, failure := range f.failures {
			fields["failures"] += number(failure.Column == c.Name)
		}
		for _, warning := range f.warnings {
			fields["warnings"] += number(warning.Column == c.Name)
		}
		if c.Numbers != nil {
			fields["mean"] = c.Numbers.Mean
		}
		points = append(points, point(c.Name, fields))
	}
	return points
}

// writePoints stores points where a store is configured. The file is taken in without them: a store that is away holds
// up no data.
func writePoints(ctx context.Context, to timeseries.Writer, points []timeseries.Point) {
	if to == nil || len(points) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, metricsWithin)
	defer cancel()
	if err := to.Write(ctx, points); err != nil {
		activity.GetLogger(ctx).Warn("a file's points not stored", "points", len(points), "error", err)
	}
}
