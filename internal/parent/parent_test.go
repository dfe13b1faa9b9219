package parent

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProgramThatNobodyStartedHasNoParentToLose(t *testing.T) {
	t.Setenv(Environment, "")
	ctx, cancel := Watch(t.Context())
	require.NoError(t, ctx.Err())
	cancel()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

func TestTheContextEndsWhenTheParentLetsGo(t *testing.T) {
	held, parent := io.Pipe()
	ctx, cancel := watch(t.Context(), held)
	defer cancel()
	_, err := parent.Write([]byte("whatever it says\n"))
	require.NoError(t, err)
	require.NoError(t, ctx.Err(), "it is there")
	require.NoError(t, parent.Close())
	<-ctx.Done()
}

// broken fails every read, and tells when it has.
type broken struct{ read chan struct{} }

func (b broken) Read([]byte) (int, error) {
	defer close(b.read)
	return 0, errors.New("bad file descriptor")
}

func TestAnInputThatCantBeReadEndsNothing(t *testing.T) {
	b := broken{read: make(chan struct{})}
	ctx, cancel := watch(t.Context(), b)
	<-b.read
	require.NoError(t, ctx.Err())
	cancel()
	<-ctx.Done()
}
