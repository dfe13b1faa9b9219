package activities

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireSmall wants a payload that Temporal carries without a word: its limit is 2 MiB.
func requireSmall(t *testing.T, v any, limit int) {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	require.Less(t, len(raw), limit)
}
