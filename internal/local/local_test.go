package local_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/local"
)

// command is this test binary in a mode of main_test.go.
func command(t *testing.T, mode string) (c local.Command, url string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	address, err := local.FreeAddress()
	require.NoError(t, err)
	return local.Command{
		Name: mode, Path: self, Args: []string{address}, Env: []string{childMode + "=" + mode},
		Log: filepath.Join(t.TempDir(), mode+".log"), Health: "http://" + address,
	}, "http://" + address
}

func start(t *testing.T, mode string) (p *local.Process, c local.Command, url string) {
	t.Helper()
	c, url = command(t, mode)
	p, err := local.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p, c, url
}

func answers(url string) bool {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

// within bounds a step of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestStartReturnsOnceTheProgramIsReady(t *testing.T) {
	p, c, url := start(t, "serve")
	require.True(t, answers(url))
	require.NotEqual(t, os.Getpid(), p.Pid())
	require.NoError(t, p.Stop(within(t, 10*time.Second)))
	require.False(t, answers(url))
	log, err := os.ReadFile(c.Log)
	require.NoError(t, err)
	require.Contains(t, string(log), "stopping", "it ended by itself, when it was asked to")
	require.NoError(t, p.Stop(within(t, time.Second)), "again is no error")
}

func TestALogIsAppendedTo(t *testing.T) {
	p, c, _ := start(t, "serve")
	require.NoError(t, p.Stop(within(t, 10*time.Second)))
	again, err := local.Start(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, again.Stop(within(t, 10*time.Second)))
	log, err := os.ReadFile(c.Log)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(log), "stopping"))
}

func TestAProgramThatEndsBeforeItIsReadySaysWhy(t *testing.T) {
	c, _ := command(t, "fail")
	_, err := local.Start(t.Context(), c)
	require.ErrorContains(t, err, "fail ended before it was ready: exit status 3")
	require.ErrorContains(t, err, "no such bucket")
	require.ErrorContains(t, err, c.Log)
}

func TestAProgramThatNeverIsReadyIsEnded(t *testing.T) {
	c, _ := command(t, "sick")
	_, err := local.Start(within(t, 300*time.Millisecond), c)
	require.ErrorContains(t, err, "sick isn't ready")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAProgramThatCantBeStartedIsNamed(t *testing.T) {
	c, _ := command(t, "serve")
	c.Path = filepath.Join(t.TempDir(), "absent")
	_, err := local.Start(t.Context(), c)
	require.ErrorContains(t, err, "start serve")
	c.Log = filepath.Join(t.TempDir(), "no", "folder")
	_, err = local.Launch(c)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAProgramThatDoesntStopIsKilled(t *testing.T) {
	p, _, url := start(t, "stubborn")
	require.ErrorContains(t, p.Stop(within(t, 200*time.Millisecond)), "stubborn didn't stop in time and was killed")
	require.False(t, answers(url))
}

func TestAKilledProgramIsDone(t *testing.T) {
	p, _, url := start(t, "serve")
	select {
	case <-p.Done():
		t.Fatal("it runs")
	default:
	}
	p.Kill()
	<-p.Done()
	require.False(t, answers(url))
	p.Kill()
	require.NoError(t, p.Stop(within(t, time.Second)))
}

func TestAProgramEndsWithTheOneThatStartedIt(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	address, err := local.FreeAddress()
	require.NoError(t, err)
	parent := exec.Command(self, address)
	parent.Env = append(os.Environ(), childMode+"=starter")
	stdin, err := parent.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = stdin.Close() }()
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	t.Cleanup(func() { _ = parent.Process.Kill(); _ = parent.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "started")
	require.True(t, answers("http://"+address))

	require.NoError(t, parent.Process.Kill()) // SIGKILL: it can't tell anybody
	require.Eventually(t, func() bool { return !answers("http://" + address) }, 10*time.Second, 10*time.Millisecond)
}

func TestEnvironmentSaysWhereTheServersAre(t *testing.T) {
	var a devstack.Addresses
	a.Temporal.Address, a.Temporal.Namespace, a.Temporal.UI = "127.0.0.1:7233", "default", "http://127.0.0.1:8233"
	a.S3.Endpoint, a.S3.Region, a.S3.AccessKey, a.S3.SecretKey = "http://127.0.0.1:9000", "us-east-1", "key", "secret"
	env := local.Environment(a, "leanloop")
	require.Contains(t, env, "TEMPORAL_ADDRESS=127.0.0.1:7233")
	require.Contains(t, env, "AWS_ENDPOINT_URL_S3=http://127.0.0.1:9000")
	require.Contains(t, env, "LEANLOOP_BUCKET=leanloop")
	require.NotContains(t, strings.Join(env, "\n"), "INFLUX_URL", "without InfluxDB nothing is said of it")
	a.Influx.URL, a.Influx.Database = "http://127.0.0.1:8086", "leanloop"
	require.Contains(t, local.Environment(a, "leanloop"), "INFLUX_BUCKET=leanloop/autogen")
}
