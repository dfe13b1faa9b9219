package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func env(pairs ...string) func(string) string {
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

func TestFlagsOverrideTheEnvironmentAndItTheDefaults(t *testing.T) {
	o, err := parse([]string{"-listen", "127.0.0.1:7000", "-models", "a1, b2"}, env(
		"LEANLOOP_LISTEN", "127.0.0.1:6000", "LEANLOOP_ADMIN_LISTEN", "0.0.0.0:9999", "LEANLOOP_BUCKET", "lake",
		"INFLUX_URL", "http://influx:8086", "INFLUX_BUCKET", "db/rp", "LEANLOOP_STATE_DIR", "/var/lib/x"), &bytes.Buffer{})
	require.NoError(t, err)
	require.NoError(t, o.validate())
	require.Equal(t, "127.0.0.1:7000", o.listen)
	require.Equal(t, "0.0.0.0:9999", o.adminListen)
	require.Equal(t, []string{"a1", "b2"}, o.serving.Models)
	require.Equal(t, "db/rp", o.influx.Bucket)
	require.Equal(t, "/var/lib/x", o.serving.StateDir)
	require.True(t, strings.HasSuffix(o.serving.ID, "-7000"), o.serving.ID)

	o, err = parse(nil, env("LEANLOOP_GATEWAY_ID", "gw-7", "LEANLOOP_BUCKET", "lake"), &bytes.Buffer{})
	require.NoError(t, err)
	require.NoError(t, o.validate())
	require.Equal(t, ".leanloop/gateways/gw-7", o.serving.StateDir)
	require.Empty(t, o.influx.URL)
	require.Equal(t, timeseries.DefaultInfluxBucket, o.influx.Bucket)
}

func TestAdminTokenComesFromTheEnvironmentOrAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600))
	for _, vars := range []func(string) string{
		env("LEANLOOP_ADMIN_TOKEN", "0123456789abcdef"), env("LEANLOOP_ADMIN_TOKEN_FILE", file),
	} {
		o, err := parse(nil, vars, &bytes.Buffer{})
		require.NoError(t, err)
		require.NoError(t, o.takeToken())
		want, err := serving.NewToken("0123456789abcdef")
		require.NoError(t, err)
		require.Equal(t, want, o.serving.AdminToken)
	}
	o, err := parse(nil, env(), &bytes.Buffer{})
	require.NoError(t, err)
	require.NoError(t, o.takeToken())
	require.Nil(t, o.serving.AdminToken)
}

func TestWrongUsageExitsWith2AndSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name, says string
		args       []string
		env        func(string) string
	}{
		{"no bucket", "no bucket given", nil, env()},
		{"an argument", `unexpected argument "serve"`, []string{"serve"}, env("LEANLOOP_BUCKET", "lake")},
		{"an unknown flag", "not defined: -bukket", []string{"-bukket", "x"}, env()},
		{"a wrong InfluxDB URL", `url "influx"`, nil, env("LEANLOOP_BUCKET", "lake", "INFLUX_URL", "influx")},
		{"a token that can be guessed", "admin token: 4 bytes, want at least 16", nil, env("LEANLOOP_BUCKET", "lake", "LEANLOOP_ADMIN_TOKEN", "1234")},
		{"a token file that isn't there", "no such file", []string{"-admin-token-file", "none/token"}, env("LEANLOOP_BUCKET", "lake")},
		{"two tokens", "want one of them", []string{"-admin-token-file", "token"}, env("LEANLOOP_BUCKET", "lake", "LEANLOOP_ADMIN_TOKEN", "x")},
		{"a wrong id", "gateway id", []string{"-id", "a b"}, env("LEANLOOP_BUCKET", "lake")},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stderr bytes.Buffer
			require.Equal(t, exitUsage, run(context.Background(), c.args, c.env, &stderr))
			require.Contains(t, stderr.String(), c.says)
		})
	}
}

func TestHealthAsksTheAdminListenerOfThisMachine(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	ask := func() int {
		return run(context.Background(), []string{"health"}, env("LEANLOOP_ADMIN_LISTEN", "0.0.0.0:"+port), &bytes.Buffer{})
	}
	require.Equal(t, exitOK, ask())
	status = http.StatusServiceUnavailable
	require.Equal(t, exitError, ask())
	server.Close()
	require.Equal(t, exitError, ask())
}

func TestGatewayStartsAndEndsWithoutAnythingAroundIt(t *testing.T) {
	nothing := httptest.NewServer(http.NotFoundHandler())
	nothing.Close()
	t.Setenv("AWS_ENDPOINT_URL_S3", nothing.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "us-east-1")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stderr lockedBuffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-state-dir", t.TempDir(), "-bucket", "lake"},
			env("INFLUX_URL", nothing.URL), &stderr)
	}()
	require.Eventually(t, func() bool { return strings.Contains(stderr.String(), "gateway listens") }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.Equal(t, exitOK, <-done, stderr.String())
}

// lockedBuffer may be written and read at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
