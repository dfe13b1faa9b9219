package testkit

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoTestReachesTheUsersOwnServers(t *testing.T) {
	for name, want := range map[string]bool{
		"TEMPORAL_ADDRESS": true, "TEMPORAL_API_KEY": true, "AWS_PROFILE": true, "AWS_ENDPOINT_URL_S3": true, "INFLUX_TOKEN": true,
		"SLACK_BOT_TOKEN": true, "LEANLOOP_BUCKET": true,
		"LEANLOOP_CACHE": false, "LEANLOOP_TEMPORAL_CLI": false, "LEANLOOP_REQUIRE_ALL": false, "PATH": false, "HOME": false, "GOPROXY": false,
	} {
		require.Equal(t, want, foreign(name), name)
	}
}

func TestAProgramsProcessesAreFound(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
	cmd := exec.Command("cat") // until its input ends
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.Equal(t, "cat", children(os.Getpid())[cmd.Process.Pid])
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	require.NotContains(t, children(os.Getpid()), cmd.Process.Pid)
	require.True(t, zombie(cmd.Process.Pid))
}

func TestANameIsGivenOnce(t *testing.T) {
	s := &Stack{}
	require.Equal(t, []string{"a", "a-2", "b", "a-3"}, []string{s.Name("a"), s.Name("a"), s.Name("b"), s.Name("a")})
}
