package registry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// month is a file of a month's events in 2013.
func month(n int, variant string) registry.FileRef {
	from := time.Date(2013, time.Month(n), 1, 5, 0, 0, 0, time.UTC)
	return registry.FileRef{
		SHA256: digest("file", n, variant), Source: fmt.Sprintf("s3://lake/flights/2013-%02d%s.csv.gz", n, variant), ETag: digest("etag", n, variant)[:32],
		Rows: 1000 * n, Bytes: 5000, From: from, To: from.AddDate(0, 1, -1), AcceptedAt: clock(n),
	}
}

// undated is a file without event times.
func undated(source, variant string) registry.FileRef {
	return registry.FileRef{SHA256: digest("file", source, variant), Source: "s3://lake/" + source, ETag: digest("etag", variant)[:32], Rows: 10, AcceptedAt: clock(1)}
}

func sources(s registry.IndexState) []string {
	var names []string
	for _, f := range s.Files {
		names = append(names, f.Source)
	}
	return names
}

func accept(t *testing.T, x *registry.Index, f registry.FileRef, onRedelivery string) registry.IndexEntry {
	t.Helper()
	e, err := x.Accept(t.Context(), "ingest/"+f.Source+"/"+f.ETag, f, onRedelivery, nil)
	require.NoError(t, err)
	return e
}

func TestAcceptedFilesStandInOrder(t *testing.T) {
	store := objectstore.NewMemory()
	x := registry.NewIndex(store, "flights")
	head, err := x.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, registry.IndexEntry{State: registry.IndexState{Dataset: "flights"}}, head)
	for n := 1; n <= 3; n++ {
		e := accept(t, x, month(n, ""), registry.RedeliveryRefuse)
		require.EqualValues(t, n, e.Seq)
		require.Equal(t, registry.DecisionAccepted, e.Decision.Kind)
		require.False(t, e.Replayed)
	}
	head, err = registry.NewIndex(store, "flights").Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, []registry.FileRef{month(1, ""), month(2, ""), month(3, "")}, head.State.Files)
	require.Equal(t, 6000, head.State.Rows())
	v, err := x.Verify(t.Context(), registry.VerifyOptions{Head: 3, HeadHash: head.Hash})
	require.NoError(t, err)
	require.True(t, v.Verified, "%q", v.Problems)
	require.Equal(t, "datasets/flights/index/000000000001.json", keysOf(t, store)[0])
}

func TestASecondFileForACoveredPeriod(t *testing.T) {
	shifted := func(hours int) registry.FileRef {
		f := month(2, "-shifted")
		f.From, f.To = f.From.Add(time.Duration(hours)*time.Hour), f.From.Add(time.Duration(hours+1)*time.Hour)
		return f
	}
	point := month(2, "-point")
	point.From = point.To
	touching := month(3, "-touching")
	touching.From = month(2, "").To
	tests := []struct {
		rule    string
		first   registry.FileRef
		second  registry.FileRef
		covered bool
	}{
		{"the same period", month(2, ""), month(2, "-again"), true},
		{"a part of it", month(2, ""), shifted(48), true},
		{"the next period", month(2, ""), month(3, ""), false},
		{"the period before", month(2, ""), month(1, ""), false},
		{"a period that begins where the other ends", month(2, ""), touching, false},
		{"a single instant at its end", month(2, ""), point, true},
		{"the same object without event times", undated("a.csv", "1"), undated("a.csv", "2"), true},
		{"another object without event times", undated("a.csv", "1"), undated("b.csv", "2"), false},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			x := registry.NewIndex(objectstore.NewMemory(), "flights")
			accept(t, x, test.first, registry.RedeliveryRefuse)
			_, err := x.Accept(t.Context(), "second", test.second, registry.RedeliveryRefuse, nil)
			if !test.covered {
				require.NoError(t, err)
				return
			}
			var refused *registry.Refused
			require.ErrorAs(t, err, &refused)
			require.Contains(t, refused.Reason, test.first.Source)
			require.Contains(t, refused.Reason, test.second.Source)

			e, err := x.Accept(t.Context(), "second", test.second, registry.RedeliverySupersede, nil)
			require.NoError(t, err)
			require.Equal(t, []string{test.second.Source}, sources(e.State))
			require.True(t, e.State.Seen(test.first.Source, test.first.ETag, ""),
				"a superseded file that still lies in the landing prefix must not come back")
		})
	}
}

func TestARefusalNamesBothPeriods(t *testing.T) {
	x := registry.NewIndex(objectstore.NewMemory(), "flights")
	accept(t, x, month(2, ""), registry.RedeliveryRefuse)
	_, err := x.Accept(t.Context(), "again", month(2, "-v2"), registry.RedeliveryRefuse, nil)
	require.EqualError(t, err, `index of flights: flights: refused again: s3://lake/flights/2013-02-v2.csv.gz covers `+
		`2013-02-01T05:00:00Z to 2013-02-28T05:00:00Z, which s3://lake/flights/2013-02.csv.gz covers already `+
		`(2013-02-01T05:00:00Z to 2013-02-28T05:00:00Z): data.on_redelivery is "refuse"`)
}

func TestTwiceDeliveredIsOnceAccepted(t *testing.T) {
	store := objectstore.NewMemory()
	x := registry.NewIndex(store, "flights")
	accept(t, x, month(1, ""), registry.RedeliveryRefuse)

	e, err := x.Accept(t.Context(), "another run", month(1, ""), registry.RedeliveryRefuse, nil)
	require.NoError(t, err)
	require.True(t, e.Replayed)
	require.EqualValues(t, 1, e.Seq, "the same object again needs no entry")

	copied := month(1, "")
	copied.Source += ".copy"
	e, err = x.Accept(t.Context(), "a copy", copied, registry.RedeliverySupersede, nil)
	require.NoError(t, err)
	require.Equal(t, registry.DecisionDuplicate, e.Decision.Kind)
	require.Equal(t, []string{month(1, "").Source}, sources(e.State))
	require.True(t, e.State.Seen(copied.Source, copied.ETag, ""), "a copy is looked at once")

	e, err = x.Accept(t.Context(), "a copy", copied, registry.RedeliveryRefuse, nil)
	require.NoError(t, err)
	require.True(t, e.Replayed)
	require.EqualValues(t, 2, e.Seq)
}

func TestARefusedFileIsSeenForEver(t *testing.T) {
	x := registry.NewIndex(objectstore.NewMemory(), "flights")
	var last registry.IndexEntry
	for n := range 260 {
		var err error
		last, err = x.Refuse(t.Context(), fmt.Sprint("refuse/", n), registry.Refusal{
			Source: fmt.Sprint("s3://lake/bad/", n), ETag: "e", Reason: "column dep_delay: text in a number, row 7", At: clock(n),
		})
		require.NoError(t, err)
	}
	require.Len(t, last.State.Refused, 256)
	require.Equal(t, "s3://lake/bad/4", last.State.Refused[0].Source)
	require.True(t, last.State.Seen("s3://lake/bad/0", "e", ""), "also when it is no longer shown")
	require.False(t, last.State.Seen("s3://lake/bad/0", "f", ""), "other content is another delivery")
	require.False(t, last.State.Seen("s3://lake/bad/999", "e", ""))
	require.Empty(t, last.State.Files)
}

func TestTheFirstAcceptedFilePinsItsContract(t *testing.T) {
	x := registry.NewIndex(objectstore.NewMemory(), "flights")
	one := &spec.Contract{Columns: []spec.ColumnRule{{Name: "dep_delay", Type: "number"}}}
	two := &spec.Contract{Columns: []spec.ColumnRule{{Name: "dep_delay", Type: "text"}}}
	e, err := x.Accept(t.Context(), "1", month(1, ""), "refuse", one)
	require.NoError(t, err)
	require.Equal(t, one, e.State.Contract)

	_, err = x.Accept(t.Context(), "2", month(2, ""), "refuse", two)
	var conflict *registry.Conflict
	require.ErrorAs(t, err, &conflict, "it was checked against its own contract, not against the pinned one")
	require.Equal(t, "contract", conflict.What)

	e, err = x.Accept(t.Context(), "2", month(2, ""), "refuse", one)
	require.NoError(t, err)
	require.Equal(t, one, e.State.Contract)
	e, err = x.Accept(t.Context(), "3", month(3, ""), "refuse", nil)
	require.NoError(t, err)
	require.Equal(t, one, e.State.Contract, "nil leaves it")
}

func TestOfRacingFilesForOnePeriodOneIsAccepted(t *testing.T) {
	store := objectstore.NewMemory()
	errs := make([]error, 6)
	var racers sync.WaitGroup
	for n := range errs {
		racers.Go(func() {
			x := registry.NewIndex(store, "flights")
			_, errs[n] = x.Accept(t.Context(), fmt.Sprint("race/", n), month(1, fmt.Sprint("-", n)), "refuse", nil)
		})
	}
	racers.Wait()
	head, err := registry.NewIndex(store, "flights").Head(t.Context())
	require.NoError(t, err)
	require.Len(t, head.State.Files, 1)
	won := 0
	for _, err := range errs {
		var refused *registry.Refused
		if err == nil {
			won++
		} else {
			require.ErrorAs(t, err, &refused)
		}
	}
	require.Equal(t, 1, won)
}

func TestIndexRefusesWhatIsMalformed(t *testing.T) {
	x := registry.NewIndex(objectstore.NewMemory(), "flights")
	for want, change := range map[string]func(*registry.FileRef){
		"SHA-256":            func(f *registry.FileRef) { f.SHA256 = "x" },
		"source of 0 bytes":  func(f *registry.FileRef) { f.Source = "" },
		"-1 rows":            func(f *registry.FileRef) { f.Rows = -1 },
		"no time":            func(f *registry.FileRef) { f.AcceptedAt = time.Time{} },
		"events from":        func(f *registry.FileRef) { f.From, f.To = f.To, f.From },
		"events from 0001-0": func(f *registry.FileRef) { f.From = time.Time{} },
	} {
		f := month(1, "")
		change(&f)
		_, err := x.Accept(t.Context(), "k", f, "refuse", nil)
		require.ErrorContains(t, err, want)
	}
	_, err := x.Refuse(t.Context(), "k", registry.Refusal{Source: "s3://lake/a", At: clock(1)})
	require.ErrorContains(t, err, "each is needed")
	_, err = x.Accept(t.Context(), "", month(1, ""), "refuse", nil)
	require.ErrorContains(t, err, "key of 0 bytes")
}

// TestNoPeriodIsCoveredTwice: over any deliveries, accepted files never overlap, and what was accepted stays unless
// it was superseded.
func TestNoPeriodIsCoveredTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := registry.NewIndex(objectstore.NewMemory(), "flights")
		for n := range rapid.IntRange(1, 20).Draw(rt, "files") {
			from := rapid.IntRange(0, 40).Draw(rt, "from")
			f := registry.FileRef{
				SHA256: digest("file", n), Source: fmt.Sprint("s3://lake/", n), ETag: "e", Rows: 1, AcceptedAt: clock(n),
				From: clock(from), To: clock(from + rapid.IntRange(0, 6).Draw(rt, "length")),
			}
			supersede := rapid.SampledFrom([]string{"refuse", "refuse", "supersede"}).Draw(rt, "on_redelivery")
			before, err := x.Head(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			e, err := x.Accept(t.Context(), fmt.Sprint(n), f, supersede, nil)
			if err != nil {
				continue
			}
			if supersede == "refuse" && len(e.State.Files) != len(before.State.Files)+1 {
				rt.Fatalf("an accepted file displaced another: %v -> %v", sources(before.State), sources(e.State))
			}
			for i, a := range e.State.Files {
				for _, b := range e.State.Files[i+1:] {
					if a.From.Before(b.To) && b.From.Before(a.To) || a.From.Equal(b.From) && a.To.Equal(b.To) {
						rt.Fatalf("%v and %v overlap", a, b)
					}
				}
			}
		}
		v, err := x.Verify(t.Context(), registry.VerifyOptions{})
		if err != nil || !v.Verified {
			rt.Fatalf("%+v %v", v, err)
		}
	})
}
