package predictions_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// seen is a visitor that keeps what it is shown.
type seen struct {
	columns []spec.ColumnRule
	tables  []*dataset.Table
	next    int64
}

func (s *seen) Begin(columns []spec.ColumnRule) error {
	s.columns, s.tables, s.next = columns, nil, 0
	return nil
}

func (s *seen) Rows(c dataset.Chunk) error {
	if c.First != s.next {
		return fmt.Errorf("chunk begins at row %d after %d rows", c.First, s.next)
	}
	all := make([]int, c.Table.Rows)
	for i := range all {
		all[i] = i
	}
	s.next += int64(c.Table.Rows)
	s.tables = append(s.tables, c.Select(all))
	return nil
}

func scan(t *testing.T, l *logged, q predictions.Query) (*seen, int64) {
	t.Helper()
	parts, err := predictions.Parts(t.Context(), l, q)
	require.NoError(t, err)
	all, total := &seen{}, int64(0)
	for _, p := range parts {
		v := &seen{}
		rows, err := predictions.Scan(t.Context(), l, p.Key, q, dataset.ReadOptions{Workers: 1}, v)
		require.NoError(t, err)
		require.Equal(t, rows, v.next)
		require.Equal(t, q.Visible(), v.columns)
		all.tables, all.columns, total = append(all.tables, v.tables...), v.columns, total+rows
	}
	return all, total
}

func TestAScanShowsTheWindowsFeaturesAndTheAnswer(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay,feature.score", "7,8", noon, noon.Add(time.Minute), noon.Add(2*time.Minute))
	l.write(1, "delay,feature.score", "7,8", noon.Add(time.Hour))
	l.write(2, "other", "1", noon)
	q := query(noon.Add(time.Minute), noon.Add(time.Hour), "score")
	q.Features[0].Name = "score" // the log's own name too
	q.Answer = predictions.Answer{Name: "prediction", Type: "number"}
	got, rows := scan(t, l, q)
	require.EqualValues(t, 2, rows)
	require.Equal(t, []spec.ColumnRule{{Name: "score", Type: "number"}, {Name: "prediction", Type: "number"}}, got.columns)
	require.Len(t, got.tables, 1, "nothing is shown of a part that has no row in the window")
	feature, _ := got.tables[0].Column("score")
	require.Equal(t, []float64{8, 8}, feature.Floats)
	answer, _ := got.tables[0].Column("prediction")
	require.Equal(t, []float64{0.5, 0.5}, answer.Floats)

	q.Answer.Type = "category"
	got, _ = scan(t, l, q)
	answer, _ = got.tables[0].Column("prediction")
	require.Equal(t, dataset.Category, answer.Kind)
	require.Equal(t, []string{"1"}, answer.Dict)
	q.Answer = predictions.Answer{}
	got, _ = scan(t, l, q)
	require.Equal(t, []string{"score"}, got.tables[0].Names())
}

func TestAScanShowsWhatReadGathers(t *testing.T) {
	l := newLog(t)
	for i := range 6 {
		at := noon.Add(time.Duration(i) * 25 * time.Minute)
		l.write(1, "delay", fmt.Sprint(i), at, at.Add(10*time.Minute))
	}
	q := query(noon.Add(5*time.Minute), noon.Add(100*time.Minute), "delay")
	w := read(t, l, q)
	got, rows := scan(t, l, q)
	require.EqualValues(t, w.Rows, rows)
	all, err := dataset.Concat(got.tables...)
	require.NoError(t, err)
	delay, _ := all.Column("delay")
	want, _ := w.Features.Column("delay")
	require.ElementsMatch(t, want.Floats, delay.Floats)
}

func TestAPartThatRetentionRemovedIsGone(t *testing.T) {
	l := newLog(t)
	_, err := predictions.Scan(t.Context(), l, "predictions/flights/dt=2013-06-30/hh=12/1-gw-1.csv.gz", query(noon, noon.Add(time.Hour), "delay"), dataset.ReadOptions{}, &seen{})
	require.ErrorIs(t, err, predictions.ErrGone)
}

func TestAScanSaysWhichPartIsDamaged(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "soon", noon)
	parts, err := predictions.Parts(t.Context(), l, query(noon, noon.Add(time.Hour), "delay"))
	require.NoError(t, err)
	_, err = predictions.Scan(t.Context(), l, parts[0].Key, query(noon, noon.Add(time.Hour), "delay"), dataset.ReadOptions{}, &seen{})
	require.ErrorContains(t, err, parts[0].Key)
	var contract *dataset.ContractError
	require.ErrorAs(t, err, &contract)
}

func TestAStoreThatIsAwayIsNoGonePart(t *testing.T) {
	l := newLog(t)
	l.write(1, "delay", "1", noon)
	q := query(noon, noon.Add(time.Hour), "delay")
	parts, err := predictions.Parts(t.Context(), l, q)
	require.NoError(t, err)
	away := objectstore.NewFaulty(l.Memory, func(string, string) objectstore.Fault { return objectstore.FailBefore })
	_, err = predictions.Scan(t.Context(), away, parts[0].Key, q, dataset.ReadOptions{}, &seen{})
	require.Error(t, err)
	require.NotErrorIs(t, err, predictions.ErrGone)
	_, err = predictions.Parts(t.Context(), away, q)
	require.Error(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = predictions.Scan(ended, l, parts[0].Key, q, dataset.ReadOptions{}, &seen{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestALargeWindowHasLargerShardsOfAboutOneSize(t *testing.T) {
	parts := make([]predictions.Part, 1000)
	for i := range parts {
		parts[i].Bytes = 10
	}
	shards := predictions.Shards(parts, 10, 8)
	require.Len(t, shards, 8)
	for _, s := range shards {
		require.Len(t, s, 125)
	}
}

func TestShardsHoldEveryPartOnceAndAreBounded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 1000), 0, 50).Draw(r, "sizes")
		size, limit := rapid.Int64Range(1, 500).Draw(r, "size"), rapid.IntRange(1, 8).Draw(r, "limit")
		parts := make([]predictions.Part, len(sizes))
		for i, n := range sizes {
			parts[i] = predictions.Part{Key: fmt.Sprint(i), Bytes: n}
		}
		shards := predictions.Shards(parts, size, limit)
		if !slices.Equal(slices.Concat(shards...), parts) {
			r.Fatalf("not the parts in their order: %v", shards)
		}
		if len(shards) > limit {
			r.Fatalf("%d shards > %d", len(shards), limit)
		}
		for i, s := range shards {
			if len(s) == 0 {
				r.Fatalf("shard %d is empty", i)
			}
		}
	})
	one := func(n int64) predictions.Part { return predictions.Part{Bytes: n} }
	require.Len(t, predictions.Shards([]predictions.Part{one(100), one(100), one(100)}, 100, 8), 3)
	require.Len(t, predictions.Shards([]predictions.Part{one(10), one(10), one(10)}, 100, 8), 1)
	require.Len(t, predictions.Shards([]predictions.Part{one(100), one(100), one(100), one(100)}, 1, 2), 2)
}
