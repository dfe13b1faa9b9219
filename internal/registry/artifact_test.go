package registry_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// files writes contents to disk and names them for PutArtifact.
func files(t *testing.T, contents map[string]string) map[string]string {
	t.Helper()
	dir, paths := t.TempDir(), map[string]string{}
	for name, data := range contents {
		path := filepath.Join(dir, digestOf(name))
		require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
		paths[name] = path
	}
	return paths
}

var contents = map[string]string{"model.json": `{"trees":[]}`, "signature.json": "{}", "plots/roc.svg": "<svg/>"}

func TestAnArtifactIsReadBackVerified(t *testing.T) {
	store := objectstore.NewMemory()
	digest, m, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
	require.NoError(t, err)
	require.Len(t, m.Files, 3)
	require.EqualValues(t, 12+2+6, m.Bytes())
	opened, err := registry.OpenArtifact(t.Context(), store, model, digest)
	require.NoError(t, err)
	require.Equal(t, m, opened)
	for name, want := range contents {
		got, err := registry.ReadArtifactFile(t.Context(), store, model, digest, name, 100)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

func TestTheSameFilesAreTheSameArtifact(t *testing.T) {
	store := objectstore.NewMemory()
	first, _, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
	require.NoError(t, err)
	keys := keysOf(t, store)
	again, _, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, keys, keysOf(t, store))
}

func TestTheManifestComesLast(t *testing.T) {
	inner := objectstore.NewMemory()
	var order []string
	store := objectstore.NewFaulty(inner, func(op, key string) objectstore.Fault {
		if op == "create" {
			order = append(order, key[strings.LastIndex(key, "/")+1:])
		}
		return objectstore.NoFault
	})
	digest, _, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
	require.NoError(t, err)
	require.Equal(t, []string{"model.json", "roc.svg", "signature.json", "manifest.json"}, order)
	inner.Remove("models/" + model + "/artifacts/" + digest + "/manifest.json")
	_, err = registry.OpenArtifact(t.Context(), inner, model, digest)
	require.ErrorIs(t, err, objectstore.ErrNotFound, "without one it doesn't exist")
}

func TestAnUploadThatBrokeOffIsFinishedByAnother(t *testing.T) {
	for _, fault := range []objectstore.Fault{objectstore.FailBefore, objectstore.FailAfter, objectstore.Contend} {
		for _, name := range []string{"model.json", "signature.json", "manifest.json"} {
			inner := objectstore.NewMemory()
			store := failing(inner, fault, 1, "create", name)
			digest, _, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
			if fault != objectstore.Contend { // which it waits out by itself
				require.ErrorIs(t, err, objectstore.ErrInjected)
				digest, _, err = registry.PutArtifact(t.Context(), store, model, files(t, contents))
			}
			require.NoError(t, err)
			for name, want := range contents {
				got, err := registry.ReadArtifactFile(t.Context(), inner, model, digest, name, 100)
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
		}
	}
}

func TestDamageIsFoundOnEveryRead(t *testing.T) {
	for name, damage := range map[string]string{"changed": `{"trees":{}}`, "cut": `{`, "grown": `{"trees":[]} `} {
		t.Run(name, func(t *testing.T) {
			store := objectstore.NewMemory()
			digest, _, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
			require.NoError(t, err)
			overwrite(t, store, "models/"+model+"/artifacts/"+digest+"/model.json", damage)
			var broken *registry.Broken
			_, err = registry.ReadArtifactFile(t.Context(), store, model, digest, "model.json", 100)
			require.ErrorAs(t, err, &broken)
			_, _, err = registry.PutArtifact(t.Context(), store, model, files(t, contents))
			require.ErrorAs(t, err, &broken, "nothing is built on it")
		})
	}
}

func TestArtifactsRefuse(t *testing.T) {
	store := objectstore.NewMemory()
	tests := []struct {
		rule     string
		contents map[string]string
		want     string
	}{
		{"no files", nil, "0 files"},
		{"a name that climbs", map[string]string{"../x": ""}, `segment ".."`},
		{"a name that climbs from below", map[string]string{"a/../../x": ""}, `segment ".."`},
		{"an absolute name", map[string]string{"/etc/passwd": ""}, `segment ""`},
		{"a folder's name", map[string]string{"a/": ""}, `segment ""`},
		{"another system's path", map[string]string{`a\b`: ""}, "backslash"},
		{"the manifest's name", map[string]string{"manifest.json": ""}, "taken by the manifest"},
		{"a folder of the manifest's name", map[string]string{"manifest.json/x": ""}, "taken by the manifest"},
		{"a file that is another's folder", map[string]string{"a": "", "a/b/c": ""}, `"a" is a file`},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			_, _, err := registry.PutArtifact(t.Context(), store, model, files(t, test.contents))
			require.ErrorContains(t, err, test.want)
			require.Empty(t, keysOf(t, store))
		})
	}
	_, _, err := registry.PutArtifact(t.Context(), store, model, map[string]string{"model.json": t.TempDir()})
	require.ErrorContains(t, err, "isn't a regular file")
	_, _, err = registry.PutArtifact(t.Context(), store, model, map[string]string{"model.json": filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadArtifactFileKeepsItsLimitAndNamesWhatThereIs(t *testing.T) {
	store := objectstore.NewMemory()
	digest, _, err := registry.PutArtifact(t.Context(), store, model, files(t, contents))
	require.NoError(t, err)
	var large *objectstore.TooLarge
	_, err = registry.ReadArtifactFile(t.Context(), store, model, digest, "model.json", 11)
	require.ErrorAs(t, err, &large)
	_, err = registry.ReadArtifactFile(t.Context(), store, model, digest, "model.onnx", 11)
	require.ErrorContains(t, err, `["model.json" "plots/roc.svg" "signature.json"]`)
	_, err = registry.OpenArtifact(t.Context(), store, model, "../../secret")
	require.ErrorContains(t, err, "SHA-256")
}

func TestASpecIsStoredByItsDigest(t *testing.T) {
	store := objectstore.NewMemory()
	for range 2 {
		digest, err := registry.PutSpec(t.Context(), store, model, []byte("kind: Model\n"))
		require.NoError(t, err)
		require.Equal(t, digestOf("kind: Model\n"), digest)
		got, err := registry.ReadSpec(t.Context(), store, model, digest)
		require.NoError(t, err)
		require.Equal(t, "kind: Model\n", string(got))
	}
	require.Len(t, keysOf(t, store), 1)
}
