package predictions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

const model = "flights"

var noon = time.Date(2013, 6, 30, 12, 0, 0, 0, time.UTC)

// logged is a bucket with a prediction log.
type logged struct {
	*objectstore.Memory
	t     *testing.T
	parts int
}

func newLog(t *testing.T) *logged { return &logged{Memory: objectstore.NewMemory(), t: t} }

// csvKey is where a gateway of before put its part.
func csvKey(at time.Time, version int, name string) string {
	return strings.TrimSuffix(predictions.Key(model, at, version, "gw", name), ".parquet") + ".csv.gz"
}

// write stores a part, as gateways of before did, whose rows were answered at the given times; cells are its features, as CSV.
func (l *logged) write(version int, features, cells string, at ...time.Time) {
	l.t.Helper()
	l.parts++
	var csv strings.Builder
	for _, c := range predictions.Columns() {
		csv.WriteString(c.Name + ",")
	}
	csv.WriteString(features + "\n")
	for i, when := range at {
		fmt.Fprintf(&csv, "p%d-%d,%s,%d,champion,row %d,0.5,1,90,%s\n", l.parts, i, when.UTC().Format("2006-01-02T15:04:05.000Z"), version, i, cells)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.WriteString(z, csv.String())
	require.NoError(l.t, err)
	require.NoError(l.t, z.Close())
	key := csvKey(at[0], version, fmt.Sprint(l.parts))
	_, err = l.Create(l.t.Context(), key, bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	require.NoError(l.t, err)
}

func query(from, to time.Time, features ...string) predictions.Query {
	q := predictions.Query{Model: model, Version: 1, From: from, To: to}
	for _, name := range features {
		q.Features = append(q.Features, spec.ColumnRule{Name: name, Type: "number", Nullable: true})
	}
	return q
}

func read(t *testing.T, l objectstore.Store, q predictions.Query) predictions.Window {
	t.Helper()
	w, err := predictions.Read(t.Context(), l, q)
	require.NoError(t, err)
	require.GreaterOrEqual(t, w.Answered, w.Rows)
	if w.Rows > 0 {
		require.Equal(t, w.Rows, w.Log.Rows)
		require.Equal(t, w.Rows, w.Features.Rows)
	}
	return w
}

func TestAWindowIsFromToAcrossHours(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "1", noon.Add(-time.Millisecond))
	l.write(1, "delay", "2", noon, noon.Add(30*time.Minute), noon.Add(time.Hour-time.Millisecond))
	l.write(1, "delay", "3", noon.Add(time.Hour), noon.Add(90*time.Minute))
	for _, c := range []struct {
		name     string
		from, to time.Time
		want     int
	}{
		{"an hour has its start and not its end", noon, noon.Add(time.Hour), 3},
		{"a window may begin and end within hours", noon.Add(time.Minute), noon.Add(90 * time.Minute), 3},
		{"a millisecond before is before", noon.Add(-time.Millisecond), noon, 1},
		{"all", noon.Add(-time.Hour), noon.Add(2 * time.Hour), 6},
		{"an empty window has no rows", noon, noon, 0},
		{"a window that ends before it begins has none", noon, noon.Add(-time.Hour), 0},
		{"hours without a part have none", noon.Add(5 * time.Hour), noon.Add(6 * time.Hour), 0},
		{"times of another zone are the same times", noon.In(time.FixedZone("west", -5*3600)), noon.Add(time.Hour), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := read(t, l, query(c.from, c.to, "delay"))
			require.Equal(t, c.want, w.Rows)
			require.Equal(t, c.want, w.Answered)
			if c.want == 0 {
				require.Nil(t, w.Log)
				require.Nil(t, w.Features)
			}
		})
	}
}

func TestTheOlderPartOfAWindow(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "1", noon, noon.Add(10*time.Minute), noon.Add(20*time.Minute))
	w := read(t, l, query(noon, noon.Add(time.Hour), "delay"))
	for _, c := range []struct {
		before time.Duration
		want   int
	}{{0, 0}, {time.Millisecond, 1}, {20 * time.Minute, 2}, {time.Hour, 3}} {
		old := w.Before(noon.Add(c.before))
		require.Equal(t, c.want, old.Rows, c.before)
		if c.want > 0 {
			require.Equal(t, c.want, old.Features.Rows)
			require.Equal(t, c.want, old.Log.Rows)
		}
	}
	require.Equal(t, predictions.Window{}, predictions.Window{}.Before(noon))
}

func TestOtherVersionsAndModelsAreNotRead(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "1", noon)
	l.write(2, "distance", "2", noon) // other features: reading it would fail
	l.write(11, "delay", "3", noon)
	require.Equal(t, 1, read(t, l, query(noon, noon.Add(time.Hour), "delay")).Rows)
	q := query(noon, noon.Add(time.Hour), "delay")
	q.Model = "flight"
	require.Zero(t, read(t, l, q).Rows, "a model's name may begin another's")
}

func TestFeaturesHaveTheirOwnNamesWhateverTheyAreCalled(t *testing.T) {
	names := []string{"score", "time", "row_id", "feature.score", "log.score", "delay"}
	var columns []string
	for _, name := range names {
		columns = append(columns, predictions.FeatureColumn(name))
	}
	l := newLog(t)
	l.write(1, strings.Join(columns, ","), "10,11,12,13,14,15", noon)
	w := read(t, l, query(noon, noon.Add(time.Hour), names...))
	require.Equal(t, names, w.Features.Names())
	for i, name := range names {
		c, ok := w.Features.Column(name)
		require.True(t, ok)
		require.InDelta(t, float64(10+i), c.Floats[0], 0, name)
	}
	row, ok := w.Log.Column(predictions.ColumnRow)
	require.True(t, ok)
	require.Equal(t, "row 0", row.Dict[row.Codes[0]])
	score, _ := w.Log.Column(predictions.ColumnScore)
	require.InDelta(t, 0.5, score.Floats[0], 0)
}

func TestALargeWindowIsSampledTheSameEachTime(t *testing.T) {
	l := newLog(t)
	const parts, rows = 20, 500
	for range parts {
		at := make([]time.Time, rows)
		for i := range at {
			at[i] = noon
		}
		l.write(1, "delay", "1", at...)
	}
	q := query(noon, noon.Add(time.Hour), "delay")
	q.MaxRows = 1000
	var progress []int
	q.Progress = func(rows int) { progress = append(progress, rows) }
	w := read(t, l, q)
	require.Equal(t, parts*rows, w.Answered)
	require.LessOrEqual(t, w.Rows, 1000)
	require.Greater(t, w.Rows, 400, "half of the limit at least, more or less")
	require.Len(t, progress, parts)
	require.Equal(t, parts*rows, progress[parts-1])
	ids, _ := w.Log.Column(predictions.ColumnID)
	require.Len(t, ids.Dict, w.Rows, "the ids of rows that were left out are forgotten")
	require.Equal(t, w, read(t, l, q))

	perPart := map[string]int{}
	for _, id := range ids.Dict {
		part, _, _ := strings.Cut(id, "-")
		perPart[part]++
	}
	require.Len(t, perPart, parts, "of every part")

	q.MaxRows = parts * rows
	require.Equal(t, parts*rows, read(t, l, q).Rows)
}

func TestAPartThatCantBeReadIsAnError(t *testing.T) {
	for _, c := range []struct {
		name, features, cells string
		is                    func(error) bool
	}{
		{"a feature that isn't there", "distance", "1", isA[*dataset.ContractError]},
		{"text in a number", "delay", "soon", isA[*dataset.ContractError]},
		{"a row that is too long", "delay", "1,2", isA[*dataset.FormatError]},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLog(t)
			l.write(1, c.features, c.cells, noon)
			_, err := predictions.Read(t.Context(), l, query(noon, noon.Add(time.Hour), "delay"))
			require.True(t, c.is(err), "%v", err)
			require.Contains(t, err.Error(), "1-gw-1.csv.gz")
		})
	}
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestAStoreThatIsAwayIsAnErrorAndAPartThatIsGoneIsNone(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "1", noon)
	l.write(1, "delay", "2", noon)
	for _, op := range []string{"list", "get"} {
		store := objectstore.NewFaulty(l.Memory, func(o, _ string) objectstore.Fault {
			if o == op {
				return objectstore.FailBefore
			}
			return objectstore.NoFault
		})
		_, err := predictions.Read(t.Context(), store, query(noon, noon.Add(time.Hour), "delay"))
		require.ErrorIs(t, err, objectstore.ErrInjected)
	}
	w := read(t, removing{l}, query(noon, noon.Add(time.Hour), "delay"))
	require.Equal(t, 1, w.Rows, "retention may remove a part between listing and reading")
}

// removing is a store whose first part goes after it was listed.
type removing struct{ *logged }

func (r removing) List(ctx context.Context, prefix string, each func(objectstore.Info) error) error {
	err := r.logged.List(ctx, prefix, each)
	r.Remove(csvKey(noon, 1, "1"))
	return err
}

func TestAReadEndsWithItsContext(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "1", noon)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := predictions.Read(ctx, l, query(noon, noon.Add(time.Hour), "delay"))
	require.ErrorIs(t, err, context.Canceled)
}
