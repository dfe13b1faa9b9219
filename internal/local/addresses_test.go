package local

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressesAreKeptFromOneStartToTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	first, err := chooseAddresses(path, "")
	require.NoError(t, err)
	require.NotEmpty(t, first.Worker)
	require.Len(t, map[string]bool{first.Worker: true, first.Gateway: true, first.Admin: true}, 3)
	again, err := chooseAddresses(path, "")
	require.NoError(t, err)
	require.Equal(t, first, again)

	taken, err := net.Listen("tcp", first.Worker)
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	moved, err := chooseAddresses(path, "")
	require.NoError(t, err)
	require.NotEqual(t, first.Worker, moved.Worker, "one that is taken gives way")
	require.Equal(t, first.Gateway, moved.Gateway)
}

func TestAGatewayThatWasNamedIsThereOrAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	wanted, err := FreeAddress()
	require.NoError(t, err)
	a, err := chooseAddresses(path, wanted)
	require.NoError(t, err)
	require.Equal(t, wanted, a.Gateway)
	taken, err := net.Listen("tcp", wanted)
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	_, err = chooseAddresses(path, wanted)
	require.ErrorContains(t, err, "gateway address "+wanted+" is taken")
}

func TestDamagedAddressesAreSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err := chooseAddresses(path, "")
	require.ErrorContains(t, err, path)
}

func TestTheEndOfALogIsShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.Empty(t, tail(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.Empty(t, tail(path))
	long := make([]byte, 10_000)
	for i := range long {
		long[i] = 'x'
	}
	require.NoError(t, os.WriteFile(path, append(long, "end"...), 0o600))
	require.Len(t, tail(path), 1+1500)
	require.Equal(t, "end", tail(path)[1+1500-3:])
}
