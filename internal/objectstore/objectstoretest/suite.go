// Package objectstoretest holds every object store to the promises of package objectstore: one suite, run on each
// provider, the one for tests too.
package objectstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// Run runs the suite. Each call of newStore gives an empty bucket; it may be the same each time, since every rule has
// keys of its own.
func Run(t *testing.T, newStore func(t *testing.T) objectstore.Store) {
	tests := []struct {
		rule string
		run  func(t *testing.T, s objectstore.Store)
	}{
		{"what is created is read back", readBack},
		{"an empty object is an object", emptyObject},
		{"a second create is refused and changes nothing", secondCreate},
		{"of racing creates one wins", createRace},
		{"a put replaces", putReplaces},
		{"a missing key is not found", missingKey},
		{"keys that could mean another are refused", wildKeys},
		{"a body of another size than announced is refused", wrongSize},
		{"a body is read from its start", bodyFromStart},
		{"a listing is complete and in order", listing},
		{"a listing ends with the caller's error", listingEnds},
		{"folders are named once", folders},
		{"a read over the limit is refused", readLimit},
		{"an ended context ends a call", endedContext},
		{"the probe passes, twice", probePasses},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) { test.run(t, newStore(t)) })
	}
}

func create(t *testing.T, s objectstore.Store, key, data string) (objectstore.Info, error) {
	t.Helper()
	return s.Create(t.Context(), key, strings.NewReader(data), int64(len(data)))
}

func read(t *testing.T, s objectstore.Store, key string) string {
	t.Helper()
	data, info, err := objectstore.ReadAll(t.Context(), s, key, 1<<20)
	require.NoError(t, err)
	require.Equal(t, key, info.Key)
	require.Equal(t, int64(len(data)), info.Size)
	return string(data)
}

func readBack(t *testing.T, s objectstore.Store) {
	key := "folder/größe und+mehr%20=?#.json"
	created, err := create(t, s, key, "one")
	require.NoError(t, err)
	require.Equal(t, "one", read(t, s, key))
	info, err := s.Stat(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, key, info.Key)
	require.EqualValues(t, 3, info.Size)
	require.NotEmpty(t, info.ETag)
	require.NotContains(t, info.ETag, `"`)
	require.Equal(t, created.ETag, info.ETag)
	require.False(t, info.Modified.IsZero())
}

func emptyObject(t *testing.T, s objectstore.Store) {
	_, err := create(t, s, "empty/object", "")
	require.NoError(t, err)
	require.Equal(t, "", read(t, s, "empty/object"))
	_, err = create(t, s, "empty/object", "")
	require.ErrorIs(t, err, objectstore.ErrExists)
}

func secondCreate(t *testing.T, s objectstore.Store) {
	_, err := create(t, s, "second/create", "one")
	require.NoError(t, err)
	for _, data := range []string{"two", "one"} {
		_, err = create(t, s, "second/create", data)
		require.ErrorIs(t, err, objectstore.ErrExists)
		require.NotErrorIs(t, err, objectstore.ErrNotFound)
	}
	require.Equal(t, "one", read(t, s, "second/create"))
}

func createRace(t *testing.T, s objectstore.Store) {
	for round := range 5 {
		key := fmt.Sprintf("race/%d", round)
		errs := make([]error, 16)
		var ready, done sync.WaitGroup
		start := make(chan struct{})
		for i := range errs {
			ready.Add(1)
			done.Go(func() {
				data := fmt.Sprint(i)
				ready.Done()
				<-start
				_, errs[i] = s.Create(t.Context(), key, strings.NewReader(data), int64(len(data)))
			})
		}
		ready.Wait()
		close(start)
		done.Wait()
		winner := slices.Index(errs, nil)
		require.GreaterOrEqual(t, winner, 0, "no writer won: %v", errs)
		for i, err := range errs {
			if i != winner {
				require.ErrorIs(t, err, objectstore.ErrExists, "writer %d beside winner %d", i, winner)
			}
		}
		require.Equal(t, fmt.Sprint(winner), read(t, s, key))
	}
}

func putReplaces(t *testing.T, s objectstore.Store) {
	for _, data := range []string{"first", "the second", ""} {
		_, err := s.Put(t.Context(), "put/replaces", strings.NewReader(data), int64(len(data)))
		require.NoError(t, err)
		require.Equal(t, data, read(t, s, "put/replaces"))
	}
}

func missingKey(t *testing.T, s objectstore.Store) {
	_, err := create(t, s, "missing/beside", "x")
	require.NoError(t, err)
	for _, key := range []string{"missing/key", "missing", "missing/beside/below", "elsewhere/entirely"} {
		_, _, err := s.Get(t.Context(), key)
		require.ErrorIs(t, err, objectstore.ErrNotFound, key)
		_, err = s.Stat(t.Context(), key)
		require.ErrorIs(t, err, objectstore.ErrNotFound, key)
	}
}

func wildKeys(t *testing.T, s objectstore.Store) {
	for _, key := range []string{"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "../a", "a\x00b", "a\nb", "\xff", strings.Repeat("k", 1025)} {
		_, err := create(t, s, key, "x")
		require.Error(t, err, "%q", key)
		require.NotErrorIs(t, err, objectstore.ErrExists, "%q", key)
		_, err = s.Put(t.Context(), key, strings.NewReader("x"), 1)
		require.Error(t, err, "%q", key)
		_, _, err = s.Get(t.Context(), key)
		require.Error(t, err, "%q", key)
		require.NotErrorIs(t, err, objectstore.ErrNotFound, "%q", key)
		_, err = s.Stat(t.Context(), key)
		require.Error(t, err, "%q", key)
	}
}

func wrongSize(t *testing.T, s objectstore.Store) {
	for _, size := range []int64{2, 4} {
		key := fmt.Sprintf("wrong/size-%d", size)
		_, err := s.Create(t.Context(), key, strings.NewReader("abc"), size)
		require.ErrorContains(t, err, fmt.Sprintf("the body holds 3 bytes, %d were announced", size))
		_, err = s.Stat(t.Context(), key)
		require.ErrorIs(t, err, objectstore.ErrNotFound)
	}
}

func bodyFromStart(t *testing.T, s objectstore.Store) {
	body := strings.NewReader("abcdef")
	_, err := body.Seek(3, io.SeekStart)
	require.NoError(t, err)
	_, err = s.Create(t.Context(), "body/start", body, 6)
	require.NoError(t, err)
	require.Equal(t, "abcdef", read(t, s, "body/start"))
}

func listing(t *testing.T, s objectstore.Store) {
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("list/%03d", i))
	}
	want = append(want, "list/a-b", "list/a/b", "list/a0", "list/b/c/d")
	for _, key := range slices.Backward(want) {
		_, err := create(t, s, key, key)
		require.NoError(t, err)
	}
	_, err := create(t, s, "lisu", "x")
	require.NoError(t, err)
	var got []string
	require.NoError(t, s.List(t.Context(), "list/", func(info objectstore.Info) error {
		require.EqualValues(t, len(info.Key), info.Size)
		require.NotEmpty(t, info.ETag)
		got = append(got, info.Key)
		return nil
	}))
	require.Equal(t, want, got)

	got = nil
	require.NoError(t, s.List(t.Context(), "list/a", func(info objectstore.Info) error {
		stat, err := s.Stat(t.Context(), info.Key)
		require.NoError(t, err)
		require.Equal(t, stat.ETag, info.ETag, "a listing and a stat must name the same content")
		got = append(got, info.Key)
		return nil
	}))
	require.Equal(t, []string{"list/a-b", "list/a/b", "list/a0"}, got)

	require.NoError(t, s.List(t.Context(), "nothing/", func(info objectstore.Info) error {
		t.Errorf("listed %s", info.Key)
		return nil
	}))
}

func listingEnds(t *testing.T, s objectstore.Store) {
	for _, key := range []string{"ends/a", "ends/b/c"} {
		_, err := create(t, s, key, "x")
		require.NoError(t, err)
	}
	stop := errors.New("enough")
	calls := 0
	require.ErrorIs(t, s.List(t.Context(), "ends/", func(objectstore.Info) error { calls++; return stop }), stop)
	require.ErrorIs(t, s.Folders(t.Context(), "ends/", func(string) error { calls++; return stop }), stop)
	require.Equal(t, 2, calls)
}

func folders(t *testing.T, s objectstore.Store) {
	for _, key := range []string{"tree/b/1", "tree/b/2", "tree/a/x/y", "tree/leaf", "trees/c/1"} {
		_, err := create(t, s, key, "x")
		require.NoError(t, err)
	}
	var got []string
	require.NoError(t, s.Folders(t.Context(), "tree/", func(name string) error {
		got = append(got, name)
		return nil
	}))
	require.Equal(t, []string{"a", "b"}, got)
}

func readLimit(t *testing.T, s objectstore.Store) {
	_, err := create(t, s, "limit/ten", "0123456789")
	require.NoError(t, err)
	data, _, err := objectstore.ReadAll(t.Context(), s, "limit/ten", 10)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(data))
	_, _, err = objectstore.ReadAll(t.Context(), s, "limit/ten", 9)
	var large *objectstore.TooLarge
	require.ErrorAs(t, err, &large)
	require.EqualValues(t, 10, large.Size)
}

func endedContext(t *testing.T, s objectstore.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Create(ctx, "ended/context", bytes.NewReader(nil), 0)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Get(ctx, "ended/context")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, objectstore.ErrNotFound)
}

func probePasses(t *testing.T, s objectstore.Store) {
	require.NoError(t, objectstore.Probe(t.Context(), s))
	require.NoError(t, objectstore.Probe(t.Context(), s))
}
