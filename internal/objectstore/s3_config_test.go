package objectstore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAServerOfItsOwnAsksNoProfile(t *testing.T) {
	t.Setenv("AWS_PROFILE", "a-profile-that-is-nowhere")
	t.Setenv("AWS_SESSION_TOKEN", "for another account")
	c, err := S3Config{Endpoint: "http://127.0.0.1:9000", Region: "us-east-1", AccessKey: "key", SecretKey: "secret"}.load(t.Context())
	require.NoError(t, err)
	got, err := c.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	require.Equal(t, "key", got.AccessKeyID)
	require.Empty(t, got.SessionToken)

	_, err = S3Config{}.load(t.Context())
	require.ErrorContains(t, err, "a-profile-that-is-nowhere", "what is left out comes from the chain")
}
