package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

const model = "flight-delay"

func entryKey(seq int64) string { return fmt.Sprintf("models/%s/ledger/%012d.json", model, seq) }

// numbered is a command that differs by n and is always allowed.
func numbered(n int) registry.Command {
	c := register(n, "pass")
	c.Key, c.Actor, c.Via, c.Time = fmt.Sprintf("lifecycle/%s/%d/register/1", model, n), "cli:ana", "cli", clock(n)
	return c
}

// filled is a store with a ledger of so many entries.
func filled(t testing.TB, entries int) *objectstore.Memory {
	t.Helper()
	store := objectstore.NewMemory()
	ledger := registry.NewLedger(store, model)
	for n := 1; n <= entries; n++ {
		_, err := ledger.Do(context.Background(), numbered(n))
		require.NoError(t, err)
	}
	return store
}

// counting counts requests by operation.
func counting(inner objectstore.Store, gets *atomic.Int64) objectstore.Store {
	return objectstore.NewFaulty(inner, func(op, _ string) objectstore.Fault {
		if op == "get" {
			gets.Add(1)
		}
		return objectstore.NoFault
	})
}

// failing fails the first n requests that match, in the given way.
func failing(inner objectstore.Store, fault objectstore.Fault, n int64, op, keyPart string) objectstore.Store {
	var left atomic.Int64
	left.Store(n)
	return objectstore.NewFaulty(inner, func(o, key string) objectstore.Fault {
		if o == op && strings.Contains(key, keyPart) && left.Add(-1) >= 0 {
			return fault
		}
		return objectstore.NoFault
	})
}

func overwrite(t testing.TB, store objectstore.Store, key, data string) {
	t.Helper()
	_, err := store.Put(context.Background(), key, strings.NewReader(data), int64(len(data)))
	require.NoError(t, err)
}

func content(t testing.TB, store objectstore.Store, key string) string {
	t.Helper()
	data, _, err := objectstore.ReadAll(context.Background(), store, key, 1<<24)
	require.NoError(t, err)
	return string(data)
}

func TestAnEmptyLedgerHasAnEmptyHead(t *testing.T) {
	head, err := registry.NewLedger(objectstore.NewMemory(), model).Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, registry.Entry{State: registry.State{Model: model}}, head)
}

func TestAnEntryHoldsCommandHashAndState(t *testing.T) {
	store := filled(t, 2)
	ledger := registry.NewLedger(store, model)
	first, err := ledger.Entry(t.Context(), 1)
	require.NoError(t, err)
	second, err := ledger.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, second.Seq)
	require.Equal(t, "", first.Previous)
	require.Equal(t, first.Hash, second.Previous)
	require.Equal(t, digestOf(content(t, store, entryKey(1))), first.Hash)
	require.Equal(t, numbered(2), second.Command, "a command is read back as it was given")
	require.Equal(t, "cli:ana", second.Actor)
	require.Equal(t, "cli", second.Via)
	require.Equal(t, clock(2), second.Time)
	require.Len(t, second.State.Versions, 2)
	require.False(t, second.Replayed)
}

func TestTheStoredFormIsStable(t *testing.T) {
	const want = `{"format":1,"seq":1,"time":"2013-01-01T00:00:01Z","actor":"cli:ana","via":"cli",` +
		`"key":"lifecycle/flight-delay/1/register/1","command":{"kind":"registered","registered":{` +
		`"artifact":"ARTIFACT","snapshot":"","spec":"","lifecycle":"lifecycle/flight-delay/1","verdict":"pass",` +
		`"evidence":"EVIDENCE","metrics":{"f1":0.8}}},"previous":"","state":{"model":"flight-delay","seq":1,` +
		`"champion":0,"challenger":0,"weight":0,"epoch":0,"versions":[{"number":1,"artifact":"ARTIFACT","snapshot":"",` +
		`"spec":"","lifecycle":"lifecycle/flight-delay/1","evidence":"EVIDENCE","verdict":"pass","status":"registered",` +
		`"metrics":{"f1":0.8},"registered_at":"2013-01-01T00:00:01Z"}],` +
		`"keys":[{"key":"lifecycle/flight-delay/1/register/1","seq":1}]}}`
	expanded := strings.NewReplacer("ARTIFACT", digest("artifact", 1), "EVIDENCE", digest("evidence", 1)).Replace(want)
	require.Equal(t, expanded, content(t, filled(t, 1), entryKey(1)),
		"stored entries are read for years: a change of this text needs a new Format")
}

func TestHeadIsFoundFromAnywhere(t *testing.T) {
	for _, entries := range []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 100} {
		store := filled(t, entries)
		var gets atomic.Int64
		head, err := registry.NewLedger(counting(store, &gets), model).Head(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, entries, head.Seq)
		require.LessOrEqual(t, gets.Load(), int64(16), "%d entries", entries)
	}
}

func TestAFollowerAsksTwice(t *testing.T) {
	store := filled(t, 40)
	var gets atomic.Int64
	ledger := registry.NewLedger(counting(store, &gets), model)
	_, err := ledger.Head(t.Context())
	require.NoError(t, err)
	gets.Store(0)
	_, err = ledger.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, gets.Load())
}

func TestOnlyNoSuchKeyIsTheEnd(t *testing.T) {
	store := filled(t, 5)
	ledger := registry.NewLedger(failing(store, objectstore.FailBefore, 1, "get", "000000000006"), model)
	ledger.Saw(5, "")
	_, err := ledger.Head(t.Context())
	require.ErrorIs(t, err, objectstore.ErrInjected)
	require.ErrorContains(t, err, "ledger of flight-delay: read entry 6: object store unreachable")
}

func TestDoFindsItsOwnEntry(t *testing.T) {
	tests := []struct {
		rule  string
		store func(objectstore.Store) objectstore.Store
	}{
		{"after a time-out that hid a success", func(s objectstore.Store) objectstore.Store {
			return failing(s, objectstore.FailAfter, 1, "create", "ledger")
		}},
		{"after a time-out before the request", func(s objectstore.Store) objectstore.Store {
			return failing(s, objectstore.FailBefore, 1, "create", "ledger")
		}},
		{"after a 409 that wrote nothing", func(s objectstore.Store) objectstore.Store {
			return failing(s, objectstore.Contend, 3, "create", "ledger")
		}},
		{"after time-outs while it reads forward", func(s objectstore.Store) objectstore.Store {
			return failing(failing(s, objectstore.FailAfter, 1, "create", "ledger"), objectstore.FailAfter, 2, "get", "ledger")
		}},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			store := filled(t, 3)
			e, err := registry.NewLedger(test.store(store), model).Do(t.Context(), numbered(4))
			require.NoError(t, err)
			require.EqualValues(t, 4, e.Seq)
			head, err := registry.NewLedger(store, model).Head(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 4, head.Seq)
			require.Equal(t, e.Hash, head.Hash)
		})
	}
}

func TestDoReadsForwardPastOthers(t *testing.T) {
	store := filled(t, 3)
	ledger := registry.NewLedger(store, model)
	_, err := ledger.Head(t.Context())
	require.NoError(t, err)
	other := registry.NewLedger(store, model)
	for n := 4; n <= 9; n++ {
		_, err := other.Do(t.Context(), numbered(n))
		require.NoError(t, err)
	}
	e, err := ledger.Do(t.Context(), numbered(10))
	require.NoError(t, err)
	require.EqualValues(t, 10, e.Seq)
}

func TestAKeyIsAppliedOnce(t *testing.T) {
	store := filled(t, 3)
	ledger := registry.NewLedger(store, model)
	later := numbered(2)
	later.Time, later.Reason = clock(99), "the worker was restarted"
	e, err := ledger.Do(t.Context(), later)
	require.NoError(t, err)
	require.True(t, e.Replayed)
	require.EqualValues(t, 2, e.Seq)
	require.Equal(t, clock(2), e.Time, "the entry that stands is returned, not what was asked")

	other := numbered(7)
	other.Key = numbered(2).Key
	_, err = ledger.Do(t.Context(), other)
	var refused *registry.Refused
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Reason, "has this key for another command")
}

func TestAKeyOfOneDecisionIsNotAnothers(t *testing.T) {
	store, _ := served(t)
	ledger := registry.NewLedger(store, model)
	again := func(change func(*registry.Command)) error {
		var approved registry.Command
		for _, c := range canary2(t).told {
			if c.Kind == registry.KindApproved {
				approved = c
			}
		}
		copied := *approved.Approved
		approved.Approved = &copied
		change(&approved)
		_, err := ledger.Do(t.Context(), approved)
		return err
	}
	require.NoError(t, again(func(c *registry.Command) { c.Reason = "asked again" }))
	err := again(func(c *registry.Command) { c.Approved.Evidence = digest("evidence", 9) })
	require.ErrorContains(t, err, "has this key for another command", "an approval of other evidence isn't this one")

	judged := numbered(9)
	_, err = ledger.Do(t.Context(), judged)
	require.NoError(t, err)
	anew := *judged.Registered
	anew.Evidence = digest("evidence", 99)
	judged.Registered = &anew
	_, err = ledger.Do(t.Context(), judged)
	require.ErrorContains(t, err, "has this key for another command", "judged anew, a version needs a new approval")

	back := rollback(2, 0)
	back.Key, back.Actor, back.Time = "ops/1", "cli:ana", clock(50)
	_, err = ledger.Do(t.Context(), back)
	require.NoError(t, err)
	back.RolledBack = &registry.RolledBack{Version: 2, To: 1}
	_, err = ledger.Do(t.Context(), back)
	require.ErrorContains(t, err, "has this key for another command", "another champion to return to is another rollback")
}

func TestAConflictIsFinal(t *testing.T) {
	store := filled(t, 3)
	var gets atomic.Int64
	c := numbered(4)
	c.Guard.Champion = new(7)
	_, err := registry.NewLedger(counting(store, &gets), model).Do(t.Context(), c)
	var conflict *registry.Conflict
	require.ErrorAs(t, err, &conflict)
	require.EqualError(t, err, "ledger of flight-delay: flight-delay: conflict on lifecycle/flight-delay/4/register/1: "+
		"champion is none, expected version 7")
	require.LessOrEqual(t, gets.Load(), int64(6), "looked once")
}

func TestDoGivesUpAfterAFewFailures(t *testing.T) {
	for op, most := range map[string]int64{"create": 5, "get": 5} {
		var tries atomic.Int64
		store := objectstore.NewFaulty(filled(t, 3), func(o, key string) objectstore.Fault {
			if o == op {
				tries.Add(1)
				return objectstore.FailBefore
			}
			return objectstore.NoFault
		})
		_, err := registry.NewLedger(store, model).Do(t.Context(), numbered(4))
		require.ErrorIs(t, err, objectstore.ErrInjected)
		require.ErrorContains(t, err, "gave up")
		require.Equal(t, most, tries.Load())
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := objectstore.NewFaulty(filled(t, 3), func(op, _ string) objectstore.Fault {
		if op == "create" {
			cancel()
			return objectstore.Contend
		}
		return objectstore.NoFault
	})
	_, err := registry.NewLedger(store, model).Do(ctx, numbered(4))
	require.ErrorIs(t, err, context.Canceled)
}

func TestTruncationIsNoticed(t *testing.T) {
	store := filled(t, 9)
	ledger := registry.NewLedger(store, model)
	head, err := ledger.Head(t.Context())
	require.NoError(t, err)
	store.Remove(entryKey(9))
	for what, try := range map[string]func() error{
		"by a reader":    func() error { _, err := ledger.Head(t.Context()); return err },
		"by a writer":    func() error { _, err := ledger.Do(t.Context(), numbered(10)); return err },
		"by a historian": func() error { return ledger.History(t.Context(), 1, func(registry.Entry) error { return nil }) },
		"by a new reader": func() error {
			l := registry.NewLedger(store, model)
			l.Saw(head.Seq, head.Hash)
			_, err := l.Head(t.Context())
			return err
		},
	} {
		var broken *registry.Broken
		require.ErrorAs(t, try(), &broken, what)
		require.Equal(t, entryKey(9), broken.Object, what)
	}
}

func TestRewritingIsNoticed(t *testing.T) {
	store := filled(t, 9)
	ledger := registry.NewLedger(store, model)
	_, err := ledger.Head(t.Context())
	require.NoError(t, err)
	overwrite(t, store, entryKey(9), content(t, store, entryKey(9))+" ")
	_, err = ledger.Head(t.Context())
	var broken *registry.Broken
	require.ErrorAs(t, err, &broken)
	require.Contains(t, broken.Problem, "rewritten")
}

func TestACorruptEntryIsRefused(t *testing.T) {
	good := content(t, filled(t, 3), entryKey(3))
	tests := map[string]struct{ data, want string }{
		"empty":                  {"", "not JSON"},
		"cut":                    {good[:len(good)/2], "not JSON"},
		"two objects":            {good + good, "not JSON"},
		"another sequence":       {strings.Replace(good, `"seq":3`, `"seq":2`, 1), "sequence 2"},
		"another entry":          {content(t, filled(t, 2), entryKey(2)), "holds entry 2"},
		"another model":          {strings.Replace(good, `"model":"flight-delay"`, `"model":"other"`, 1), `model "other"`},
		"an unknown field":       {strings.Replace(good, `"seq":3`, `"seq":3,"extra":1`, 1), "unknown field"},
		"a newer format":         {strings.Replace(good, `"format":1`, `"format":2`, 1), "another release"},
		"no format":              {strings.Replace(good, `"format":1,`, ``, 1), "format 0"},
		"two champions":          {strings.ReplaceAll(good, `"status":"registered"`, `"status":"champion"`), "impossible state"},
		"a champion that isn't":  {strings.Replace(good, `"champion":0`, `"champion":2`, 1), "impossible state"},
		"no previous hash":       {replaceField(good, "previous", ""), "previous hash"},
		"a repeated actor":       {strings.Replace(good, `"command":{`, `"command":{"actor":"x",`, 1), "repeats"},
		"a negative epoch":       {strings.Replace(good, `"epoch":0`, `"epoch":-1`, 1), "impossible state"},
		"a weight without lease": {strings.Replace(good, `"weight":0`, `"weight":0.5`, 1), "impossible state"},
		"an unknown status":      {strings.Replace(good, `"status":"registered"`, `"status":"great"`, 1), "impossible state"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, good, test.data)
			store := filled(t, 2)
			overwrite(t, store, entryKey(3), test.data)
			ledger := registry.NewLedger(store, model)
			_, err := ledger.Head(t.Context())
			var broken *registry.Broken
			require.ErrorAs(t, err, &broken)
			require.Contains(t, broken.Problem, test.want)
			_, err = ledger.Do(t.Context(), numbered(9))
			require.ErrorAs(t, err, &broken, "nothing is appended to what can't be read")
			require.NotContains(t, keysOf(t, store), entryKey(4))
		})
	}
}

func TestAnEntryOverTheLimitIsRefused(t *testing.T) {
	store := filled(t, 1)
	big := bytes.Repeat([]byte(" "), 16<<20+1)
	_, err := store.Put(t.Context(), entryKey(2), bytes.NewReader(big), int64(len(big)))
	require.NoError(t, err)
	_, err = registry.NewLedger(store, model).Head(t.Context())
	var large *objectstore.TooLarge
	require.ErrorAs(t, err, &large)
}

func TestNoNameEscapesItsFolder(t *testing.T) {
	for _, name := range []string{"", "a", "A", "../x", "a/b", "a b", "-a", "ä1", strings.Repeat("m", 64), "a.b", "a\x00"} {
		ledger := registry.NewLedger(objectstore.NewMemory(), name)
		_, err := ledger.Head(t.Context())
		require.ErrorContains(t, err, "model name", "%q", name)
		_, err = ledger.Do(t.Context(), numbered(1))
		require.ErrorContains(t, err, "model name", "%q", name)
		_, err = ledger.Verify(t.Context(), registry.VerifyOptions{})
		require.ErrorContains(t, err, "model name", "%q", name)
		_, err = registry.NewIndex(objectstore.NewMemory(), name).Head(t.Context())
		require.ErrorContains(t, err, "data set name", "%q", name)
	}
}

func TestModelsAreThoseWithALedger(t *testing.T) {
	store := filled(t, 2)
	_, err := registry.NewLedger(store, "churn").Do(t.Context(), numbered(1))
	require.NoError(t, err)
	_, err = registry.PutSpec(t.Context(), store, "only-a-spec", []byte("kind: Model\n"))
	require.NoError(t, err)
	overwrite(t, store, "models/Strange Name/ledger/000000000001.json", "x")
	models, err := registry.Models(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, []string{"churn", model}, models)
}

// TestLostAnswersNeverDoubleOrLoseACommand drives one ledger through random faults: each command ends up in it once,
// in order.
func TestLostAnswersNeverDoubleOrLoseACommand(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := rapid.SliceOfN(rapid.SampledFrom([]objectstore.Fault{
			objectstore.NoFault, objectstore.NoFault, objectstore.NoFault, objectstore.FailBefore, objectstore.FailAfter, objectstore.Contend,
		}), 1, 60).Draw(rt, "faults")
		inner := objectstore.NewMemory()
		at := 0
		store := objectstore.NewFaulty(inner, func(string, string) objectstore.Fault {
			if at++; at > len(faults) {
				return objectstore.NoFault
			}
			return faults[at-1]
		})
		ledger := registry.NewLedger(store, model)
		const commands = 6
		for n := 1; n <= commands; n++ {
			for { // as a retried activity would
				e, err := ledger.Do(context.Background(), numbered(n))
				if err == nil {
					if e.Seq != int64(n) {
						rt.Fatalf("command %d became entry %d", n, e.Seq)
					}
					break
				}
				if !errors.Is(err, objectstore.ErrInjected) {
					rt.Fatalf("command %d: %v", n, err)
				}
			}
		}
		v, err := registry.NewLedger(inner, model).Verify(context.Background(), registry.VerifyOptions{Head: commands})
		if err != nil || !v.Verified || v.Entries != commands {
			rt.Fatalf("%+v, %v", v, err)
		}
	})
}
