package local

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProgramInheritsNothingThatIsAboutOtherServers(t *testing.T) {
	t.Setenv("AWS_SESSION_TOKEN", "for another account")
	t.Setenv("LEANLOOP_USER", "ana")
	require.NotContains(t, inherited([]string{"AWS_", "TEMPORAL_"}), "AWS_SESSION_TOKEN=for another account")
	require.Contains(t, inherited([]string{"AWS_", "TEMPORAL_"}), "LEANLOOP_USER=ana")
	require.Contains(t, inherited(nil), "AWS_SESSION_TOKEN=for another account")
}
