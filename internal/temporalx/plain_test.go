package temporalx

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPlainServerGetsNoKeyThatIsForAnother(t *testing.T) {
	t.Setenv("TEMPORAL_API_KEY", "secret")
	t.Setenv("TEMPORAL_ADDRESS", "cloud.example:7233")
	t.Setenv("TEMPORAL_PROFILE", "prod")
	o, err := Options(Connection{Address: "127.0.0.1:7233", Namespace: "default", Plain: true}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7233", o.HostPort)
	require.Equal(t, "default", o.Namespace)
	require.Nil(t, o.ConnectionOptions.TLS)
	require.Nil(t, o.Credentials)
}
