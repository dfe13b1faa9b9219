package objectstore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/objectstore/objectstoretest"
)

func TestMemory(t *testing.T) {
	objectstoretest.Run(t, func(*testing.T) objectstore.Store { return objectstore.NewMemory() })
}

func TestDir(t *testing.T) {
	objectstoretest.Run(t, func(t *testing.T) objectstore.Store {
		d, err := objectstore.NewDir(t.TempDir())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		return d
	})
}

func TestFaultyWithoutFaultsIsItsInnerStore(t *testing.T) {
	one := objectstore.NewFaulty(objectstore.NewMemory(), func(string, string) objectstore.Fault { return objectstore.NoFault })
	objectstoretest.Run(t, func(*testing.T) objectstore.Store { return one })
}

func TestMemoryRefusesAKeyThatIsAnothersFolder(t *testing.T) {
	m := objectstore.NewMemory()
	_, err := m.Create(t.Context(), "a/b", strings.NewReader("x"), 1)
	require.NoError(t, err)
	for _, key := range []string{"a", "a/b/c"} {
		_, err := m.Put(t.Context(), key, strings.NewReader("x"), 1)
		require.ErrorContains(t, err, "no key may be another key's folder", key)
	}
}

func TestMemoryBucketsAreApart(t *testing.T) {
	buckets := objectstore.NewMemoryBuckets()
	_, err := buckets.Bucket("one").Create(t.Context(), "k", strings.NewReader("x"), 1)
	require.NoError(t, err)
	_, err = buckets.Bucket("two").Stat(t.Context(), "k")
	require.ErrorIs(t, err, objectstore.ErrNotFound)
	_, err = buckets.Bucket("one").Stat(t.Context(), "k")
	require.NoError(t, err)
}

func TestFaults(t *testing.T) {
	tests := []struct {
		rule    string
		fault   objectstore.Fault
		is      error
		written bool
	}{
		{"failing before leaves nothing behind", objectstore.FailBefore, objectstore.ErrInjected, false},
		{"failing after leaves the object behind", objectstore.FailAfter, objectstore.ErrInjected, true},
		{"contention says exists and leaves nothing behind", objectstore.Contend, objectstore.ErrExists, false},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			inner := objectstore.NewMemory()
			s := objectstore.NewFaulty(inner, func(op, _ string) objectstore.Fault {
				if op == "create" {
					return test.fault
				}
				return objectstore.NoFault
			})
			_, err := s.Create(t.Context(), "k", strings.NewReader("x"), 1)
			require.ErrorIs(t, err, test.is)
			_, err = inner.Stat(t.Context(), "k")
			require.Equal(t, test.written, err == nil)
		})
	}
}

func TestReadsFailByPlanAndNeverAsNotFound(t *testing.T) {
	s := objectstore.NewFaulty(objectstore.NewMemory(), func(string, string) objectstore.Fault { return objectstore.FailBefore })
	_, _, err := s.Get(t.Context(), "k")
	require.ErrorIs(t, err, objectstore.ErrInjected)
	require.NotErrorIs(t, err, objectstore.ErrNotFound)
	require.ErrorContains(t, err, "object store unreachable: get k")
}
