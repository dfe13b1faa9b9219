// Package timeseriestest holds every time series store to the same promises.
package timeseriestest

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/timeseries"
)

// Run is the contract suite. newStore gives a store whose measurements named "contract_..." are empty; it may be the
// same one each time. Points are written within the hour before base, which a server with retention must keep.
func Run(t *testing.T, base time.Time, newStore func(t *testing.T) timeseries.Store) {
	base = base.UTC().Truncate(time.Second).Add(-time.Hour)
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s fixture)
	}{
		{"sums are grouped by the tags that were asked for", sumsAreGrouped},
		{"the start is in the window and the stop is not", windowIsHalfOpen},
		{"the same point written again changes nothing", repeatedWriteChangesNothing},
		{"tags of the query filter", tagsFilter},
		{"a tag that no point carries groups as empty", absentTagGroupsAsEmpty},
		{"no points give no rows and no error", noPointsNoRows},
		{"awkward tag values come back as TagValue made them", awkwardTags},
		{"fields keep their precision", fieldsKeepPrecision},
		{"a value that is not finite refuses the whole call", notFiniteIsRefused},
		{"names that would need quoting are refused", namesAreRefused},
		{"an empty or reversed window is refused", reversedWindowIsRefused},
		{"a cancelled context is an error that a retry may cure", cancelledContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "contract_" + strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' {
					return r
				}
				return '_'
			}, c.name)
			c.run(t, fixture{Store: newStore(t), measurement: name, base: base})
		})
	}
}

type fixture struct {
	timeseries.Store
	measurement string
	base        time.Time
}

func (f fixture) point(after time.Duration, tags map[string]string, fields map[string]float64) timeseries.Point {
	return timeseries.Point{Measurement: f.measurement, Tags: tags, Fields: fields, Time: f.base.Add(after)}
}

func (f fixture) query(groupBy ...string) timeseries.Query {
	return timeseries.Query{Measurement: f.measurement, GroupBy: groupBy, Start: f.base, Stop: f.base.Add(time.Hour)}
}

type tags = map[string]string
type fields = map[string]float64

func sumsAreGrouped(t *testing.T, f fixture) {
	ctx := context.Background()
	require.NoError(t, f.Write(ctx, []timeseries.Point{
		f.point(time.Second, tags{"arm": "champion", "gateway": "a"}, fields{"requests": 10, "errors": 1}),
		f.point(2*time.Second, tags{"arm": "champion", "gateway": "a"}, fields{"requests": 20}),
		f.point(time.Second, tags{"arm": "champion", "gateway": "b"}, fields{"requests": 5}),
		f.point(time.Second, tags{"arm": "challenger", "gateway": "a"}, fields{"requests": 2, "errors": 2}),
	}))
	rows, err := f.Sum(ctx, f.query("arm"))
	require.NoError(t, err)
	require.Equal(t, []timeseries.Row{
		{Tags: tags{"arm": "challenger"}, Fields: fields{"requests": 2, "errors": 2}},
		{Tags: tags{"arm": "champion"}, Fields: fields{"requests": 35, "errors": 1}},
	}, rows)

	rows, err = f.Sum(ctx, f.query())
	require.NoError(t, err)
	require.Equal(t, []timeseries.Row{{Tags: tags{}, Fields: fields{"requests": 37, "errors": 3}}}, rows)
}

func windowIsHalfOpen(t *testing.T, f fixture) {
	ctx := context.Background()
	for i, after := range []time.Duration{0, time.Second - time.Nanosecond, time.Second} {
		require.NoError(t, f.Write(ctx, []timeseries.Point{
			f.point(after, tags{"a": "x"}, fields{"n": math.Pow10(i)})}))
	}
	q := f.query()
	q.Stop = f.base.Add(time.Second)
	rows, err := f.Sum(ctx, q)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, fields{"n": 11}, rows[0].Fields)

	q.Start, q.Stop = q.Stop, q.Stop.Add(time.Nanosecond)
	rows, err = f.Sum(ctx, q)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, fields{"n": 100}, rows[0].Fields)
}

func repeatedWriteChangesNothing(t *testing.T, f fixture) {
	ctx := context.Background()
	points := []timeseries.Point{f.point(time.Second, tags{"arm": "champion"}, fields{"requests": 7, "lat_03": 7})}
	for range 3 {
		require.NoError(t, f.Write(ctx, points))
	}
	rows, err := f.Sum(ctx, f.query("arm"))
	require.NoError(t, err)
	require.Equal(t, []timeseries.Row{{Tags: tags{"arm": "champion"}, Fields: fields{"requests": 7, "lat_03": 7}}}, rows)
}

func tagsFilter(t *testing.T, f fixture) {
	ctx := context.Background()
	require.NoError(t, f.Write(ctx, []timeseries.Point{
		f.point(time.Second, tags{"model": "a", "version": "1"}, fields{"n": 1}),
		f.point(time.Second, tags{"model": "a", "version": "2"}, fields{"n": 2}),
		f.point(time.Second, tags{"model": "b", "version": "1"}, fields{"n": 4}),
	}))
	q := f.query("version")
	q.Tags = tags{"model": "a"}
	rows, err := f.Sum(ctx, q)
	require.NoError(t, err)
	require.Equal(t, []timeseries.Row{
		{Tags: tags{"version": "1"}, Fields: fields{"n": 1}},
		{Tags: tags{"version": "2"}, Fields: fields{"n": 2}},
	}, rows)
}

func absentTagGroupsAsEmpty(t *testing.T, f fixture) {
	ctx := context.Background()
	require.NoError(t, f.Write(ctx, []timeseries.Point{f.point(time.Second, tags{"a": "x"}, fields{"n": 1})}))
	rows, err := f.Sum(ctx, f.query("a", "b"))
	require.NoError(t, err)
	require.Equal(t, []timeseries.Row{{Tags: tags{"a": "x", "b": ""}, Fields: fields{"n": 1}}}, rows)
}

func noPointsNoRows(t *testing.T, f fixture) {
	rows, err := f.Sum(context.Background(), f.query("arm"))
	require.NoError(t, err)
	require.Empty(t, rows)
	require.NoError(t, f.Write(context.Background(), nil))
}

func awkwardTags(t *testing.T, f fixture) {
	ctx := context.Background()
	values := []string{
		"plain", "with space", "a=b,c", "ünïcode", `quote"d`, `back\slash`, `trailing\`, "new\nline", "${model}",
		"", " padded ", "bad\xffbyte", strings.Repeat("long ", 100), `") |> drop(`,
	}
	var points []timeseries.Point
	for i, v := range values {
		points = append(points, f.point(time.Second, tags{"v": v}, fields{"n": float64(i + 1)}))
	}
	require.NoError(t, f.Write(ctx, points))
	rows, err := f.Sum(ctx, f.query("v"))
	require.NoError(t, err)
	require.Len(t, rows, len(values))
	for i, v := range values {
		q := f.query("v")
		q.Tags = tags{"v": v}
		rows, err := f.Sum(ctx, q)
		require.NoError(t, err, "%q", v)
		require.Equal(t, []timeseries.Row{
			{Tags: tags{"v": timeseries.TagValue(v)}, Fields: fields{"n": float64(i + 1)}}}, rows, "%q", v)
	}
}

func fieldsKeepPrecision(t *testing.T, f fixture) {
	ctx := context.Background()
	want := fields{"third": 1.0 / 3, "big": 1 << 53, "tiny": 5e-300, "negative": -0.1, "zero": 0}
	require.NoError(t, f.Write(ctx, []timeseries.Point{f.point(time.Second, tags{"a": "x"}, want)}))
	rows, err := f.Sum(ctx, f.query())
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, want, rows[0].Fields)
}

func notFiniteIsRefused(t *testing.T, f fixture) {
	ctx := context.Background()
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		err := f.Write(ctx, []timeseries.Point{
			f.point(time.Second, tags{"a": "x"}, fields{"n": 1}),
			f.point(2*time.Second, tags{"a": "x"}, fields{"n": v}),
		})
		var invalid *timeseries.InvalidPoint
		require.ErrorAs(t, err, &invalid)
		require.True(t, timeseries.IsFinal(err))
		require.ErrorContains(t, err, "field n")
	}
	rows, err := f.Sum(ctx, f.query())
	require.NoError(t, err)
	require.Empty(t, rows, "nothing of a refused call is stored")
}

func namesAreRefused(t *testing.T, f fixture) {
	ctx := context.Background()
	good := f.point(time.Second, tags{"a": "x"}, fields{"n": 1})
	for _, p := range []timeseries.Point{
		{Measurement: "", Tags: good.Tags, Fields: good.Fields, Time: good.Time},
		{Measurement: "a b", Tags: good.Tags, Fields: good.Fields, Time: good.Time},
		{Measurement: f.measurement, Tags: tags{`"`: "x"}, Fields: good.Fields, Time: good.Time},
		{Measurement: f.measurement, Tags: tags{"_field": "x"}, Fields: good.Fields, Time: good.Time},
		{Measurement: f.measurement, Tags: good.Tags, Fields: fields{"n=1": 1}, Time: good.Time},
		{Measurement: f.measurement, Tags: good.Tags, Fields: fields{"time": 1}, Time: good.Time},
		{Measurement: f.measurement, Tags: good.Tags, Time: good.Time},
		{Measurement: f.measurement, Tags: good.Tags, Fields: good.Fields},
	} {
		var invalid *timeseries.InvalidPoint
		require.ErrorAs(t, f.Write(ctx, []timeseries.Point{p}), &invalid, "%+v", p)
	}
	q := f.query(`v"]) |> drop(`)
	_, err := f.Sum(ctx, q)
	require.Error(t, err)
}

func reversedWindowIsRefused(t *testing.T, f fixture) {
	q := f.query()
	q.Stop = q.Start
	_, err := f.Sum(context.Background(), q)
	require.ErrorContains(t, err, "is not before stop")
	q.Start = time.Time{}
	_, err = f.Sum(context.Background(), q)
	require.Error(t, err)
}

func cancelledContext(t *testing.T, f fixture) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := f.Write(ctx, []timeseries.Point{f.point(time.Second, tags{"a": "x"}, fields{"n": 1})})
	require.Error(t, err)
	require.False(t, timeseries.IsFinal(err))
	require.True(t, errors.Is(err, context.Canceled), "%v", err)
	_, err = f.Sum(ctx, f.query())
	require.Error(t, err)
	require.False(t, timeseries.IsFinal(err))
}
