package intake_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/intake"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

var t0 = time.Date(2013, 6, 1, 12, 0, 0, 0, time.UTC)

// world is a bucket, landing buckets, and what models were told of.
type world struct {
	t       *testing.T
	store   *objectstore.Memory
	faulty  *objectstore.Faulty
	landing *objectstore.MemoryBuckets
	fail    func(op, key string) bool

	mu      sync.Mutex
	told    []string // model: key
	refuses error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: objectstore.NewMemory(), landing: objectstore.NewMemoryBuckets(), fail: func(string, string) bool { return false }}
	w.faulty = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if w.fail(op, key) {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	return w
}

func (w *world) send(_ context.Context, l intake.Landed) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses != nil {
		return w.refuses
	}
	w.told = append(w.told, l.Model+": "+l.Bucket+"/"+l.Object.Key)
	return nil
}

// tellings are those since the last call.
func (w *world) tellings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

func (w *world) sweeper(c intake.Config) *intake.Sweeper {
	return intake.New(w.faulty, w.landing, w.send, c, slog.New(slog.DiscardHandler))
}

// apply makes a model whose files land below a prefix.
func (w *world) apply(model, prefix string) {
	w.t.Helper()
	yaml := fmt.Sprintf("apiVersion: leanloop/v1\nkind: Model\nmetadata: {name: %s}\ndata: {prefix: %s, target: late}\n", model, prefix)
	digest, err := registry.PutSpec(w.t.Context(), w.store, model, []byte(yaml))
	require.NoError(w.t, err)
	_, err = registry.NewLedger(w.store, model).Do(w.t.Context(), registry.Command{
		Key: "apply/" + digest, Kind: registry.KindSpecApplied, Actor: "cli:ana", Via: "cli", Time: t0,
		Spec: &registry.SpecApplied{Digest: digest, AppliedBy: "cli:ana"},
	})
	require.NoError(w.t, err)
}

func (w *world) land(bucket, key, content string) objectstore.Info {
	w.t.Helper()
	info, err := w.landing.Bucket(bucket).Put(w.t.Context(), key, strings.NewReader(content), int64(len(content)))
	require.NoError(w.t, err)
	return info
}

// refuse decides on an object.
func (w *world) refuse(model, bucket string, i objectstore.Info) {
	w.t.Helper()
	_, err := registry.NewIndex(w.store, model).Refuse(w.t.Context(), "refuse/"+i.Key+i.ETag, registry.Refusal{
		Source: objectstore.URL(bucket, i.Key), ETag: i.ETag, Reason: "bad", At: t0,
	})
	require.NoError(w.t, err)
}

func (w *world) sweep(s *intake.Sweeper, at time.Time) []string {
	w.t.Helper()
	require.NoError(w.t, s.Sweep(w.t.Context(), at, true))
	return w.tellings()
}

func TestANewObjectIsToldOfOnce(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	s := w.sweeper(intake.Config{})
	require.Empty(t, w.sweep(s, t0))
	w.land("lake", "flights/2013-01.csv", "a")
	w.land("lake", "flights/nested/2013-02.csv", "b")
	w.land("lake", "other/2013-01.csv", "c")
	w.land("lake", "flights/folder", "")
	require.Equal(t, []string{"flights: lake/flights/2013-01.csv", "flights: lake/flights/folder", "flights: lake/flights/nested/2013-02.csv"}, w.sweep(s, t0),
		"an empty file is a file: its refusal says so")
	require.Empty(t, w.sweep(s, t0.Add(30*time.Second)))
	w.land("lake", "flights/2013-01.csv", "changed")
	require.Equal(t, []string{"flights: lake/flights/2013-01.csv"}, w.sweep(s, t0.Add(time.Minute)), "other bytes are another object")
}

func TestFoldersMarkersAreNoFiles(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	s := intake.New(w.faulty, marked{w.landing}, w.send, intake.Config{}, slog.New(slog.DiscardHandler))
	require.Empty(t, w.sweep(s, t0))
}

// marked are buckets in which consoles made folders.
type marked struct{ *objectstore.MemoryBuckets }

func (m marked) Bucket(name string) objectstore.Store {
	return markedStore{m.MemoryBuckets.Bucket(name)}
}

type markedStore struct{ objectstore.Store }

func (markedStore) List(_ context.Context, prefix string, each func(objectstore.Info) error) error {
	return errors.Join(each(objectstore.Info{Key: prefix}), each(objectstore.Info{Key: prefix + "2013/"}))
}

func TestWhatWasDecidedIsNotToldOf(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	info := w.land("lake", "flights/2013-01.csv", "a")
	w.refuse("flights", "lake", info)
	s := w.sweeper(intake.Config{})
	require.Empty(t, w.sweep(s, t0))
	require.Empty(t, w.sweep(s, t0.Add(24*time.Hour)))
}

func TestAnUndecidedObjectIsToldOfAgainLessAndLessOften(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	info := w.land("lake", "flights/2013-01.csv", "a")
	s := w.sweeper(intake.Config{Resend: 10 * time.Minute})
	var at []time.Duration
	for now := time.Duration(0); now <= 72*time.Hour; now += 10 * time.Minute {
		if len(w.sweep(s, t0.Add(now))) > 0 {
			at = append(at, now)
		}
	}
	require.Equal(t, []time.Duration{0, 10 * time.Minute, 30 * time.Minute, 70 * time.Minute}, at[:4])
	require.LessOrEqual(t, len(at), 14, "three days of waiting for an approval")
	require.Greater(t, len(at), 10)

	w.refuse("flights", "lake", info)
	require.Empty(t, w.sweep(s, t0.Add(100*time.Hour)))
}

func TestFewObjectsWaitAtOnce(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	var infos []objectstore.Info
	for i := range 25 {
		infos = append(infos, w.land("lake", fmt.Sprintf("flights/%02d.csv", i), fmt.Sprint(i)))
	}
	s := w.sweeper(intake.Config{Told: 10})
	require.Len(t, w.sweep(s, t0), 10)
	require.Empty(t, w.sweep(s, t0.Add(time.Minute)))
	for _, i := range infos[:4] {
		w.refuse("flights", "lake", i)
	}
	require.Equal(t, []string{"flights: lake/flights/10.csv", "flights: lake/flights/11.csv", "flights: lake/flights/12.csv", "flights: lake/flights/13.csv"},
		w.sweep(s, t0.Add(2*time.Minute)), "each decision makes room")
}

func TestAnObjectThatGoesAndComesBackIsNew(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	w.land("lake", "flights/a.csv", "a")
	s := w.sweeper(intake.Config{})
	require.Len(t, w.sweep(s, t0), 1)
	memory, ok := w.landing.Bucket("lake").(*objectstore.Memory)
	require.True(t, ok)
	memory.Remove("flights/a.csv")
	require.Empty(t, w.sweep(s, t0))
	w.land("lake", "flights/a.csv", "a")
	require.Len(t, w.sweep(s, t0), 1)
}

func TestASenderThatFailsIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	w.land("lake", "flights/a.csv", "a")
	s := w.sweeper(intake.Config{})
	w.refuses = errors.New("temporal is away")
	require.ErrorContains(t, s.Sweep(t.Context(), t0, true), "model flights: tell of flights/a.csv: temporal is away")
	w.refuses = nil
	require.Len(t, w.sweep(s, t0), 1, "what wasn't told isn't noted as told")
}

func TestANewSpecMovesThePrefix(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	w.land("lake", "flights/a.csv", "a")
	w.land("other", "moved/b.csv", "b")
	s := w.sweeper(intake.Config{})
	require.Equal(t, []string{"flights: lake/flights/a.csv"}, w.sweep(s, t0))
	w.apply("flights", "s3://other/moved/")
	require.Equal(t, []string{"flights: other/moved/b.csv"}, w.sweep(s, t0))
}

func TestAModelWithoutASpecHasNoPrefix(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	s := w.sweeper(intake.Config{})
	require.Empty(t, w.sweep(s, t0))
	w.apply("newer", "s3://lake/newer/")
	w.land("lake", "newer/a.csv", "a")
	require.NoError(t, s.Sweep(t.Context(), t0.Add(time.Second), false))
	require.Empty(t, w.tellings(), "models are looked for twice a minute")
	require.NoError(t, s.Sweep(t.Context(), t0.Add(30*time.Second), false))
	require.Equal(t, []string{"newer: lake/newer/a.csv"}, w.tellings())
}

func TestTroubleWithOneModelLeavesTheOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails func(op, key string) bool
		says  string
	}{
		{"its ledger can't be read", func(op, key string) bool { return op == "get" && strings.HasPrefix(key, "models/broken/ledger/") }, "model broken"},
		{"its index can't be read", func(_, key string) bool { return strings.HasPrefix(key, "datasets/broken/") }, "model broken"},
		{"its spec can't be read", func(_, key string) bool { return strings.HasPrefix(key, "models/broken/specs/") }, "model broken"},
		{"models can't be listed", func(op, _ string) bool { return op == "folders" }, "list models"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.apply("broken", "s3://lake/broken/")
			w.apply("flights", "s3://lake/flights/")
			s := w.sweeper(intake.Config{})
			if c.says == "list models" {
				require.Empty(t, w.sweep(s, t0)) // they are known by now
			}
			w.land("lake", "flights/a.csv", "a")
			w.fail = c.fails
			require.ErrorContains(t, s.Sweep(t.Context(), t0.Add(time.Minute), true), c.says)
			require.Equal(t, []string{"flights: lake/flights/a.csv"}, w.tellings())
			w.fail = func(string, string) bool { return false }
			require.NoError(t, s.Sweep(t.Context(), t0.Add(2*time.Minute), true))
		})
	}
}

func TestHintsThatComeTogetherAreOneSweep(t *testing.T) {
	w := newWorld(t)
	w.apply("flights", "s3://lake/flights/")
	sweeps := make(chan struct{}, 1000)
	w.fail = func(op, _ string) bool {
		if op == "folders" {
			sweeps <- struct{}{}
		}
		return false
	}
	s := w.sweeper(intake.Config{Every: time.Hour})
	for range 100 {
		s.Hint() // never blocks, whether or not anybody sweeps
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	<-sweeps // at once
	<-sweeps // for the hints
	w.land("lake", "flights/a.csv", "a")
	s.Hint()
	<-sweeps
	require.Eventually(t, func() bool { return len(w.tellings()) == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	<-done
	require.Empty(t, sweeps, "and no more")
}
