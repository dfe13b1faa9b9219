package predictions_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
)

// packed is a part as a gateway writes it.
func packed(t require.TestingT, version int, features predictions.Features, rows []predictions.Row) []byte {
	var out bytes.Buffer
	w, err := predictions.NewWriter(&out, model, version, features)
	require.NoError(t, err)
	for i := range rows {
		require.NoError(t, w.Add(&rows[i]))
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func store(t require.TestingT, to *objectstore.Memory, data []byte, at time.Time, version int, name string) {
	_, err := to.Create(context.Background(), predictions.Key(model, at, version, "gw", name), bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
}

func kinds() []string { return []string{"number", "integer", "boolean", "timestamp", "category"} }

func nullable(names ...string) predictions.Features {
	var out predictions.Features
	for i, name := range names {
		out = append(out, spec.ColumnRule{Name: name, Type: kinds()[i%len(kinds())], Nullable: true})
	}
	return out
}

func drawCell(r *rapid.T, kind string) predictions.Cell {
	c := predictions.Cell{Set: rapid.Bool().Draw(r, "set")}
	switch kind {
	case "number":
		c.Number = rapid.Float64().Draw(r, "number")
	case "integer":
		c.Number = float64(rapid.Int64Range(-1<<53, 1<<53).Draw(r, "integer"))
	case "boolean":
		c.Number = float64(rapid.IntRange(0, 1).Draw(r, "boolean"))
	case "timestamp":
		c.Nanos = rapid.Int64Range(-1<<62, 1<<62).Draw(r, "nanos")
	default:
		c.Text = []byte(rapid.StringMatching(`[a-zé ,"]{1,20}`).Draw(r, "text"))
	}
	return c
}

// Whatever the features are called and hold, a window gives what was written.
func TestAPartIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"delay", "Delay", "score", "model", "feature.model", "time", "1 ä,b", "x.y", "_"}), 1, 6, rapid.ID).Draw(r, "names")
		features := nullable(names...)
		count := rapid.SampledFrom([]int{1, 2, 1023, 1024, 1500}).Draw(r, "rows")
		kept := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) predictions.Row {
			row := predictions.Row{Time: noon.Add(time.Duration(rapid.IntRange(0, 3_599_999).Draw(r, "ms")) * time.Millisecond), Arm: []byte("champion"),
				Score: rapid.Float64().Draw(r, "score"), Label: []byte("late"), Latency: time.Duration(rapid.IntRange(0, 1e9).Draw(r, "µs")) * time.Microsecond}
			for _, f := range features {
				row.Features = append(row.Features, drawCell(r, f.Type))
			}
			return row
		}), 1, 5).Draw(r, "kept")
		rows := make([]predictions.Row, count)
		for i := range rows {
			rows[i] = kept[i%len(kept)]
			rows[i].ID = fmt.Append(nil, "p", i)
			if i%3 > 0 {
				rows[i].RowID = fmt.Append(nil, "row ", i)
			}
		}
		data := packed(r, 3, features, rows)
		require.Equal(r, data, packed(r, 3, features, rows), "the same rows are the same bytes")
		bucket := objectstore.NewMemory()
		store(r, bucket, data, noon, 3, "1")
		w, err := predictions.Read(t.Context(), bucket, predictions.Query{Model: model, Version: 3, Features: features, From: noon, To: noon.Add(time.Hour)})
		require.NoError(r, err)
		require.Equal(r, count, w.Rows)
		require.Equal(r, names, w.Features.Names())
		at, _ := w.Log.Column(predictions.ColumnTime)
		score, _ := w.Log.Column(predictions.ColumnScore)
		latency, _ := w.Log.Column(predictions.ColumnLatency)
		ids, _ := w.Log.Column(predictions.ColumnRow)
		for i, row := range rows {
			require.Equal(r, row.Time.UnixNano(), at.Times[i])
			require.Equal(r, math.Float64bits(row.Score+0), math.Float64bits(score.Floats[i]+0))
			require.InDelta(r, float64(row.Latency.Microseconds()), latency.Floats[i], 0)
			require.Equal(r, row.RowID == nil, ids.Codes[i] < 0)
			for k, f := range features {
				wantCell(r, row.Features[k], f, w.Features.Columns[k], i)
			}
		}
	})
}

func wantCell(t require.TestingT, c predictions.Cell, f spec.ColumnRule, got dataset.Column, i int) {
	switch f.Type {
	case "timestamp":
		if c.Set {
			require.Equal(t, c.Nanos, got.Times[i])
		}
	case "category":
		require.Equal(t, c.Set, got.Codes[i] >= 0)
		if c.Set {
			require.Equal(t, string(c.Text), got.Dict[got.Codes[i]])
		}
	default:
		require.Equal(t, c.Set, !math.IsNaN(got.Floats[i]))
		if c.Set {
			require.InDelta(t, c.Number, got.Floats[i], 0)
		}
	}
}

func TestAWindowSpansPartsOfBothFormats(t *testing.T) {
	l := newLog(t)
	l.write(1, "model,feature.score", "7,8", noon, noon.Add(2*time.Minute)) // the CSV has no column model of its own
	features := predictions.Features{{Name: "model", Type: "number", Nullable: true}, {Name: "score", Type: "number", Nullable: true}}
	row := predictions.Row{ID: []byte("p9"), Time: noon.Add(time.Minute), Arm: []byte("champion"), Score: 0.25, Label: []byte("1"),
		Features: []predictions.Cell{{Set: true, Number: 9}, {}}}
	store(t, l.Memory, packed(t, 1, features, []predictions.Row{row, {ID: []byte("late"), Time: noon.Add(time.Hour), Arm: []byte("champion"), Features: make([]predictions.Cell, 2)}}), noon, 1, "x")
	q := query(noon, noon.Add(time.Hour), "model", "score")
	w := read(t, l, q)
	require.Equal(t, 3, w.Rows)
	q.Answer = predictions.Answer{Name: "prediction", Type: "number"}
	got, rows := scan(t, l, q)
	require.EqualValues(t, 3, rows)
	all, err := dataset.Concat(got.tables...)
	require.NoError(t, err)
	for name, want := range map[string][]float64{"model": {7, 7, 9}, "score": {8, 8, math.NaN()}, "prediction": {0.5, 0.5, 0.25}} {
		column, ok := all.Column(name)
		require.True(t, ok, name)
		require.Equal(t, fmt.Sprint(want), fmt.Sprint(column.Floats), name)
		if name != "prediction" {
			column, _ = w.Features.Column(name)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(column.Floats), name)
		}
	}
}

func TestADamagedPartIsAnErrorThatNamesIt(t *testing.T) {
	data := packed(t, 1, nullable("delay"), []predictions.Row{{ID: []byte("p"), Time: noon, Arm: []byte("champion"), Features: make([]predictions.Cell, 1)}})
	for _, n := range []int{0, 3, len(data) / 2, len(data) - 1} {
		bucket := objectstore.NewMemory()
		store(t, bucket, data[:n], noon, 1, "damaged")
		_, err := predictions.Read(t.Context(), bucket, query(noon, noon.Add(time.Hour), "delay"))
		require.True(t, isA[*dataset.FormatError](err), "%d bytes: %v", n, err)
		require.ErrorContains(t, err, "1-gw-damaged.parquet")
	}
}

func TestARowOfOtherFeaturesIsRefused(t *testing.T) {
	w, err := predictions.NewWriter(&bytes.Buffer{}, model, 1, nullable("delay"))
	require.NoError(t, err)
	require.EqualError(t, w.Add(&predictions.Row{}), "prediction log: row with 0 features, want 1")
	_, err = predictions.NewWriter(&bytes.Buffer{}, model, 1, predictions.Features{{Name: "delay", Type: "complex"}})
	require.ErrorContains(t, err, `feature "delay"`)
}

// pandas, by way of pyarrow, sees the types that the documentation promises.
func TestPandasReadsAPart(t *testing.T) {
	python := pythontest.Interpreter(t, "pandas and pyarrow", "-c", "import pandas, pyarrow")
	features := nullable("delay", "stops", "holiday", "departure", "carrier")
	rows := []predictions.Row{
		{ID: []byte("p1"), Time: noon, Arm: []byte("champion"), RowID: []byte("UA-1"), Score: 0.75, Label: []byte("late"), Latency: 90 * time.Microsecond,
			Features: []predictions.Cell{{Set: true, Number: 20.5}, {Set: true, Number: 2}, {Set: true, Number: 1}, {Set: true, Nanos: noon.UnixNano() + 1}, {Set: true, Text: []byte("UA é")}}},
		{ID: []byte("p2"), Time: noon.Add(time.Millisecond), Arm: []byte("challenger"), Score: 0.25, Label: []byte("on time"), Features: make([]predictions.Cell, 5)},
	}
	path := filepath.Join(t.TempDir(), "part.parquet")
	require.NoError(t, os.WriteFile(path, packed(t, 7, features, rows), 0o600))
	out, err := exec.CommandContext(t.Context(), python, "-c", `
import sys, pandas
d = pandas.read_parquet(sys.argv[1])
for name in d.columns:
    print(name, d[name].dtype, *["null" if pandas.isna(v) else v for v in d[name]], sep="|")
`, path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, strings.Join([]string{
		"prediction_id|str|p1|p2",
		"time|datetime64[ms, UTC]|2013-06-30 12:00:00+00:00|2013-06-30 12:00:00.001000+00:00",
		"version|int32|7|7", "arm|str|champion|challenger", "row_id|str|UA-1|null", "score|float64|0.75|0.25", "label|str|late|on time",
		"latency_us|int64|90|0", "model|str|flights|flights",
		"delay|float64|20.5|null", "stops|float64|2.0|null", "holiday|object|True|null",
		"departure|datetime64[ns, UTC]|2013-06-30 12:00:00.000000001+00:00|null", "carrier|str|UA é|null", "",
	}, "\n"), string(out))
}
