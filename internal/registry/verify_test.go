package registry_test

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// replaceField changes the first string field of a name.
func replaceField(entry, name, value string) string {
	return regexp.MustCompile(`"`+name+`":"[^"]*"`).ReplaceAllLiteralString(entry, `"`+name+`":"`+value+`"`)
}

func keysOf(t *testing.T, store objectstore.Store) []string {
	t.Helper()
	var keys []string
	require.NoError(t, store.List(t.Context(), "", func(info objectstore.Info) error {
		keys = append(keys, info.Key)
		return nil
	}))
	return keys
}

func TestVerifyAcceptsAWholeLedger(t *testing.T) {
	store := filled(t, 12)
	head, err := registry.NewLedger(store, model).Head(t.Context())
	require.NoError(t, err)
	v, err := registry.NewLedger(store, model).Verify(t.Context(), registry.VerifyOptions{Head: 12, HeadHash: head.Hash})
	require.NoError(t, err)
	require.Equal(t, registry.Verification{Entries: 12, HeadSeq: 12, HeadHash: head.Hash, Verified: true}, v)
}

func TestVerifyTakesEntriesThatAreAppendedMeanwhile(t *testing.T) {
	store := filled(t, 3)
	busy := objectstore.NewFaulty(store, func(op, _ string) objectstore.Fault {
		if op == "list" { // between the walk and the look for strays
			for n := 4; n <= 7; n++ {
				_, err := registry.NewLedger(store, model).Do(t.Context(), numbered(n))
				require.NoError(t, err)
			}
		}
		return objectstore.NoFault
	})
	v, err := registry.NewLedger(busy, model).Verify(t.Context(), registry.VerifyOptions{})
	require.NoError(t, err)
	require.Empty(t, v.Problems)
	require.EqualValues(t, 3, v.Entries)
}

func TestVerifyOfNothingIsTrueAndSaysSo(t *testing.T) {
	v, err := registry.NewLedger(objectstore.NewMemory(), model).Verify(t.Context(), registry.VerifyOptions{Artifacts: true})
	require.NoError(t, err)
	require.Equal(t, registry.Verification{Verified: true}, v)
}

func TestVerifyFinds(t *testing.T) {
	tests := []struct {
		rule    string
		damage  func(t *testing.T, store *objectstore.Memory)
		options registry.VerifyOptions
		want    []string
	}{
		{rule: "a changed reason", damage: func(t *testing.T, s *objectstore.Memory) {
			overwrite(t, s, entryKey(4), strings.Replace(content(t, s, entryKey(4)), "cli:ana", "cli:eve", 1))
		}, want: []string{entryKey(5) + ": follows"}},
		{rule: "a changed state, its hash carried on to the end", damage: func(t *testing.T, s *objectstore.Memory) {
			overwrite(t, s, entryKey(6), strings.Replace(content(t, s, entryKey(6)), `"verdict":"pass","status"`, `"verdict":"fail","status"`, 1))
		}, want: []string{entryKey(6) + ": the state isn't what the command makes"}},
		{rule: "an entry that the rules forbid", damage: func(t *testing.T, s *objectstore.Memory) {
			overwrite(t, s, entryKey(6), strings.Replace(content(t, s, entryKey(6)), `"verdict":"pass","evidence"`, `"verdict":"great","evidence"`, 1))
		}, want: []string{entryKey(6) + ": the rules don't allow it"}},
		{rule: "an unreadable entry", damage: func(t *testing.T, s *objectstore.Memory) { overwrite(t, s, entryKey(3), "{}") },
			want: []string{entryKey(3) + " is broken: format 0", entryKey(4) + ": follows"}},
		{rule: "a hole", damage: func(_ *testing.T, s *objectstore.Memory) { s.Remove(entryKey(3)) },
			want: []string{entryKey(4) + ": it lies behind the end at 2", entryKey(5) + ": it lies", entryKey(6) + ": it lies"}},
		{rule: "an end before the head that is asked for", damage: func(_ *testing.T, s *objectstore.Memory) { s.Remove(entryKey(6)) },
			options: registry.VerifyOptions{Head: 6}, want: []string{entryKey(6) + ": it is gone: the chain ends at 5, 6 was seen before"}},
		{rule: "another hash than the one asked for", damage: func(*testing.T, *objectstore.Memory) {},
			options: registry.VerifyOptions{Head: 6, HeadHash: "00"}, want: []string{entryKey(6) + ": its hash is"}},
		{rule: "what isn't an entry", damage: func(t *testing.T, s *objectstore.Memory) {
			overwrite(t, s, "models/flight-delay/ledger/notes.txt", "x")
		}, want: []string{"models/flight-delay/ledger/notes.txt: it isn't an entry"}},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			store := filled(t, 6)
			test.damage(t, store)
			v, err := registry.NewLedger(store, model).Verify(t.Context(), test.options)
			require.NoError(t, err)
			require.False(t, v.Verified)
			require.NotEmpty(t, v.Problems)
			for i, want := range test.want {
				require.Greater(t, len(v.Problems), i, "%q", v.Problems)
				require.Contains(t, v.Problems[i], want)
			}
		})
	}
}

func TestVerifySaysWhenTheStoreCannotBeRead(t *testing.T) {
	store := failing(filled(t, 6), objectstore.FailBefore, 1, "get", "000000000004")
	_, err := registry.NewLedger(store, model).Verify(t.Context(), registry.VerifyOptions{})
	require.ErrorIs(t, err, objectstore.ErrInjected, "unreachable is no verdict")
}

func TestVerifyReadsEveryArtifactAndSpec(t *testing.T) {
	store := objectstore.NewMemory()
	ledger := registry.NewLedger(store, model)
	spec, err := registry.PutSpec(t.Context(), store, model, []byte("kind: Model\n"))
	require.NoError(t, err)
	artifact, _, err := registry.PutArtifact(t.Context(), store, model, files(t, map[string]string{"model.json": "{}", "signature.json": "[]"}))
	require.NoError(t, err)
	applied := registry.Command{Key: "apply", Actor: "cli:ana", Time: clock(1), Kind: registry.KindSpecApplied,
		Spec: &registry.SpecApplied{Digest: spec, AppliedBy: "cli:ana"}}
	registered := numbered(2)
	registered.Registered.Artifact = artifact
	for _, c := range []registry.Command{applied, registered} {
		_, err := ledger.Do(t.Context(), c)
		require.NoError(t, err)
	}
	v, err := ledger.Verify(t.Context(), registry.VerifyOptions{Artifacts: true})
	require.NoError(t, err)
	require.Empty(t, v.Problems)
	require.Equal(t, 1, v.Artifacts)
	require.Equal(t, 4, v.Files, "two files, their manifest and the spec")

	folder := "models/" + model + "/artifacts/" + artifact + "/"
	for _, test := range []struct{ key, data, want string }{
		{folder + "model.json", "[]", "model.json is broken: its digest is"},
		{folder + "model.json", "{", "model.json is broken: 1 bytes or more, want 2"},
		{folder + "manifest.json", "{}", "manifest.json is broken: its digest is"},
		{"models/" + model + "/specs/" + spec + ".yaml", "kind: x\n", ".yaml is broken: its digest is"},
	} {
		before := content(t, store, test.key)
		overwrite(t, store, test.key, test.data)
		v, err := ledger.Verify(t.Context(), registry.VerifyOptions{Artifacts: true})
		require.NoError(t, err)
		require.Len(t, v.Problems, 1)
		require.Contains(t, v.Problems[0], test.want)
		overwrite(t, store, test.key, before)
	}
	store.Remove(folder + "signature.json")
	v, err = ledger.Verify(t.Context(), registry.VerifyOptions{Artifacts: true})
	require.NoError(t, err)
	require.Equal(t, []string{folder + "signature.json: it is missing"}, v.Problems)
}
