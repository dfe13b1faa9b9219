package spec

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// examples are the specs that people start from.
func examples(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "examples", "*", "model.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	return append(paths, filepath.Join("testdata", "design.yaml"), filepath.Join("testdata", "minimal.yaml"))
}

func TestExamplesAreValid(t *testing.T) {
	for _, path := range examples(t) {
		_, err := Load(path)
		require.NoError(t, err, path)
	}
}
