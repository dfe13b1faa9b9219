package activities

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// rows reads a snapshot's rows as an activity does.
func (w *world) rows(ctx context.Context, digest string, asOf time.Time) (*snapshotRows, error) {
	m, err := w.lake.Spec(ctx, theModel, w.spec)
	if err != nil {
		return nil, err
	}
	return w.lake.rowsOf(ctx, m, digest, w.spec, asOf, func(any) {})
}

func TestManyReadersOfASnapshotReadItOnce(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 300, 1))
	s := w.snapshot()
	var reads atomic.Int64
	w.lake.rows = nil
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "get" && strings.HasSuffix(key, "/data") {
			reads.Add(1)
		}
		return objectstore.NoFault
	})
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			rows, err := w.rows(t.Context(), s.Digest, t0)
			if err != nil || rows.Prepared.Table.Rows != 300 {
				t.Error("rows", err)
			}
		})
	}
	wait.Wait()
	require.Equal(t, int64(1), reads.Load())
}

func TestAReaderThatIsCancelledDoesntFailTheOthers(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 300, 1))
	s := w.snapshot()
	w.lake.rows = nil
	first, cancel := context.WithCancel(t.Context())
	entered, held := make(chan struct{}), atomic.Bool{}
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "get" && strings.HasSuffix(key, "/data") && held.CompareAndSwap(false, true) {
			close(entered)
			<-first.Done()
		}
		return objectstore.NoFault
	})
	var wait sync.WaitGroup
	wait.Go(func() {
		if _, err := w.rows(first, s.Digest, t0); !errors.Is(err, context.Canceled) {
			t.Error("cancelled reader:", err)
		}
	})
	<-entered
	for range 4 {
		wait.Go(func() {
			if _, err := w.rows(t.Context(), s.Digest, t0); err != nil {
				t.Error("other reader:", err)
			}
		})
	}
	cancel()
	wait.Wait()
}

func TestOneSnapshotIsKept(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 300, 1))
	s := w.snapshot()
	first, err := w.rows(t.Context(), s.Digest, t0)
	require.NoError(t, err)
	again, err := w.rows(t.Context(), s.Digest, t0)
	require.NoError(t, err)
	require.Same(t, first, again)
	other, err := w.rows(t.Context(), s.Digest, t0.Add(time.Hour))
	require.NoError(t, err)
	require.NotSame(t, first, other, "ages are relative to another time")
	require.Same(t, other, w.lake.rows.rows)
}

func TestAFailedReadIsntKept(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 300, 1))
	s := w.snapshot()
	w.lake.rows = nil
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault { return objectstore.FailBefore })
	_, err := w.rows(t.Context(), s.Digest, t0)
	requireType(t, "", err)
	w.lake.Store = w.store
	_, err = w.rows(t.Context(), s.Digest, t0)
	require.NoError(t, err)
}

func TestAReaderThatPanicsLeavesNobodyWaiting(t *testing.T) {
	l := &Lake{}
	c := &rowCache{key: "k", ready: make(chan struct{})}
	l.rows = c
	require.Panics(t, func() { l.fill(c, func() (*snapshotRows, error) { panic("broken") }) })
	<-c.ready
	require.Error(t, c.err)
	require.Nil(t, l.rows)
}

func TestStoredBytesThatChangedAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(w *world, s SnapshotOutput, file string)
	}{
		{"another file of the same form", func(w *world, s SnapshotOutput, file string) {
			other := flights(january, 300, 9)
			_, err := w.store.Put(w.t.Context(), file, strings.NewReader(other), int64(len(other)))
			require.NoError(w.t, err)
		}},
		{"bytes cut off", func(w *world, s SnapshotOutput, file string) {
			_, err := w.store.Put(w.t.Context(), file, strings.NewReader("id"), 2)
			require.NoError(w.t, err)
		}},
		{"a file that is gone", func(w *world, s SnapshotOutput, file string) { w.store.Remove(file) }},
		{"a snapshot that is gone", func(w *world, s SnapshotOutput, file string) { w.store.Remove(snapshotKey(theModel, s.Digest)) }},
		{"a snapshot with other files", func(w *world, s SnapshotOutput, file string) {
			raw := `{"dataset": "flights", "files": [], "rows": 0}`
			_, err := w.store.Put(w.t.Context(), snapshotKey(theModel, s.Digest), strings.NewReader(raw), int64(len(raw)))
			require.NoError(w.t, err)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			file := w.accept("2013-01.csv", flights(january, 300, 1))
			s := w.snapshot()
			w.lake.rows = nil
			c.damage(w, s, datasetPrefix(theModel, file.SHA256)+"data")
			_, err := try(t, (&Evaluator{Lake: w.lake}).Evaluate, w.evaluateInput(s, TrainOutput{}))
			require.Error(t, err)
			_, err = w.rows(t.Context(), s.Digest, t0)
			require.True(t, isPermanent(err), "%v", err)
		})
	}
}

func TestAFileAcceptedUnderAnotherContractIsNotReadAsNulls(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 300, 1))
	w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50}\n  contract: {columns: [{name: id, type: text}, {name: at, type: timestamp}, {name: late, type: integer}, {name: carrier, type: number}]}")
	out := must(t, (&Snapshots{Lake: w.lake}).Take, w.snapshotInput())
	require.Contains(t, out.Problem, "was accepted under another contract")
	require.Contains(t, out.Problem, "column carrier")
}
