package dataset

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

func month(m int) SnapshotFile {
	from := time.Date(2013, time.Month(m), 1, 0, 0, 0, 0, time.UTC)
	return SnapshotFile{SHA256: string(rune('a' + m)), Source: "f", Rows: m, From: from, To: from.AddDate(0, 1, -1)}
}

func sources(files []SnapshotFile) (rows []int) {
	for _, f := range files {
		rows = append(rows, f.Rows)
	}
	return rows
}

func TestSelectWindowIsRelativeToTheNewestEvent(t *testing.T) {
	undated := SnapshotFile{SHA256: "u", Rows: 99}
	files := []SnapshotFile{month(1), month(4), undated, month(2), month(3)}
	last := func(d int) []int { return sources(SelectWindow(files, spec.Window{Last: days(d)})) }
	require.Equal(t, []int{1, 4, 99, 2, 3}, last(0), "all, in the order accepted")
	require.Equal(t, []int{4, 99, 3}, last(30), "30 April less 30 days is 31 March: in")
	require.Equal(t, []int{4, 99}, last(29))
	require.Equal(t, []int{4, 99, 2, 3}, last(61))
	require.Empty(t, SelectWindow(nil, spec.Window{Last: days(1)}))
}

func TestSnapshotDigestIsOfTheOrderedFiles(t *testing.T) {
	s := NewSnapshot("flights", []SnapshotFile{month(1), month(2)}, epoch)
	require.Equal(t, 3, s.Rows)
	require.Equal(t, month(1).From, s.From)
	require.Equal(t, month(2).To, s.To)
	// printf 'leanloop-snapshot-1\nflights\nb\nc\n' | sha256sum
	require.Equal(t, "9d66fc6dd46f08a2edd6db2193a77ceb37ba0ff2b0c35a197c4cbf14993ef482", s.Digest())
	later := NewSnapshot("flights", s.Files, epoch.AddDate(1, 0, 0))
	require.Equal(t, s.Digest(), later.Digest(), "when it was taken doesn't matter")
	for name, other := range map[string]Snapshot{
		"another order":    NewSnapshot("flights", []SnapshotFile{month(2), month(1)}, epoch),
		"another data set": NewSnapshot("trains", s.Files, epoch),
		"one file more":    NewSnapshot("flights", append(s.Files, month(3)), epoch),
	} {
		require.NotEqual(t, s.Digest(), other.Digest(), name)
	}
}

func TestRowKeysAreOfTheValue(t *testing.T) {
	key := func(text, id string) uint64 {
		keys, err := RowKeys(mustRead(t, text), id)
		require.NoError(t, err)
		return keys[0]
	}
	require.Equal(t, hash64([]byte("7")), key("id,x\n7,1\n", "id"))
	require.Equal(t, hash64([]byte("7.0")), key("id,x\n7.0,2\nb,2\n", "id"), "among names 7.0 is another one")
	require.Equal(t, key("id,x\n7,1\n8.5,1\n", "id"), key("id,x\n7.0,1\n8.5,1\n", "id"), "as a number it is the same")
	require.Equal(t, key("t\n2013-01-01T00:00:00Z\n", "t"), key("t\n2013-01-01 01:00:00+01:00\n", "t"))
	require.Equal(t, key("a,b\n1,2\n", ""), key("b,a,new\n2,1,\n", ""), "content is of named values that aren't null")
	require.NotEqual(t, key("a,b\n1,2\n", ""), key("a,b\n2,1\n", ""))
	require.NotEqual(t, key("a,b\nx,\n", ""), key("a,b\n,x\n", ""))
	_, err := RowKeys(mustRead(t, "a\n1\n"), "id")
	require.ErrorContains(t, err, "column id")
}

func TestKeySetsReadBackAndContainTheirKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 9))).Draw(t, "keys")
		set := NewKeySet(rapid.String().Draw(t, "scheme"), keys)
		b, err := set.MarshalBinary()
		require.NoError(t, err)
		again, err := UnmarshalKeySet(b)
		require.NoError(t, err)
		require.Equal(t, set, again)
		for _, key := range keys {
			require.True(t, again.Contains(key))
		}
		other := rapid.Uint64().Draw(t, "other")
		has := false
		for _, key := range keys {
			has = has || key == other
		}
		require.Equal(t, has, again.Contains(other))
	})
}

// A contract that reads one more column changes every key that is made of content, and a new id column every key there
// is: whoever went by such keys would let a version be judged by its own training rows.
func TestKeysOfAnotherSchemeLetNoRowJudge(t *testing.T) {
	prepare := func(text, id string) *Prepared {
		p, err := Prepare(mustRead(t, text), spec.Data{Target: "y", ID: id}, time.Time{})
		require.NoError(t, err)
		return p
	}
	narrow, wide := prepare("y,a,b\n0,x,1\n1,z,2\n", ""), prepare("y,a,b,c\n0,x,1,7\n1,z,2,8\n", "")
	test, all := []int{1}, &Parts{Train: []int{0, 1}}
	for name, c := range map[string]struct {
		p       *Prepared
		trained KeySet
		rows    []int
	}{
		"the same columns":           {narrow, TrainedKeys(narrow, &Parts{Train: []int{0}}), []int{1}},
		"in another order":           {prepare("b,a,y\n1,x,0\n2,z,1\n", ""), TrainedKeys(narrow, all), []int{}},
		"one more column":            {wide, TrainedKeys(narrow, all), []int{}},
		"one more, rows it has not":  {wide, TrainedKeys(narrow, &Parts{Train: []int{0}}), []int{}},
		"a column of another kind":   {prepare("y,a,b\n0,x,1\n1,z,b\n", ""), TrainedKeys(narrow, &Parts{Train: []int{0}}), []int{}},
		"an id where there was none": {prepare("y,a,b\n0,x,1\n1,z,2\n", "a"), TrainedKeys(narrow, all), []int{}},
		"another id":                 {prepare("y,a,b\n0,x,1\n1,z,2\n", "a"), TrainedKeys(prepare("y,a,b\n0,x,1\n1,z,2\n", "b"), all), []int{}},
		"no row was trained on":      {wide, KeySet{}, []int{1}},
	} {
		require.Equal(t, c.rows, JudgeRows(c.p, test, c.trained), name)
	}
}

func FuzzUnmarshalKeySet(f *testing.F) {
	for _, keys := range [][]uint64{nil, {1}, {1, 2, 1 << 63}} {
		b, err := NewKeySet("id flight", keys).MarshalBinary()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(keySetMagic + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := UnmarshalKeySet(b)
		if err != nil {
			return
		}
		require.True(t, slices.IsSorted(set.sorted))
		require.Equal(t, set.Len(), NewKeySet("", set.sorted).Len())
		again, err := set.MarshalBinary()
		require.NoError(t, err)
		require.LessOrEqual(t, len(again), len(b))
	})
}
