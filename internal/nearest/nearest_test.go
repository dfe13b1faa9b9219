package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/nearest"
)

func TestTheNearestNameIsTheOneThatWasMeant(t *testing.T) {
	names := []string{"accuracy", "precision", "roc_auc", "rmse"}
	for name, want := range map[string]string{
		"acuracy": "accuracy", "ACCURACY": "accuracy", "auc": "roc_auc", "presicion": "precision", "rmes": "rmse",
	} {
		got, ok := nearest.Name(name, names)
		require.True(t, ok, name)
		require.Equal(t, want, got)
	}
	_, ok := nearest.Name("temperature", names)
	require.False(t, ok)
}

func TestAHintListsEveryName(t *testing.T) {
	require.Equal(t, `did you mean "min"? valid: min, max`, nearest.Hint("mn", []string{"min", "max"}))
	require.Equal(t, "valid: min, max", nearest.Hint(strings.Repeat("x", 100), []string{"min", "max"}))
}
