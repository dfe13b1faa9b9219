package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func stackOf(data string) DevContext {
	return DevContext{
		Data: data, PID: os.Getpid(), Temporal: "127.0.0.1:7233", Namespace: "default", Bucket: "lab",
		S3:         DevS3{Endpoint: "http://127.0.0.1:9000", Region: "us-east-1", AccessKey: "k", SecretKey: "s"},
		TemporalUI: "http://127.0.0.1:8233", Gateway: "http://127.0.0.1:8080",
	}
}

func TestDevContextIsPrivateAndReadsBack(t *testing.T) {
	config, data := t.TempDir(), t.TempDir()
	require.NoError(t, WriteDevContext(config, stackOf(data)))
	c, ok, err := NewestDevContext(config)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, stackOf(data), c)
	for _, path := range []string{filepath.Join(data, "leanloop.json"), filepath.Join(config, "leanloop", "dev.json")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "%s leads to a secret key", path)
	}
}

func TestTheNewestStackWinsAndAStoppedOneIsForgotten(t *testing.T) {
	config, older, newer := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, WriteDevContext(config, stackOf(older)))
	require.NoError(t, WriteDevContext(config, stackOf(newer)))
	require.NoError(t, RemoveDevContext(config, older))
	c, ok, err := NewestDevContext(config)
	require.NoError(t, err)
	require.True(t, ok, "another stack's stop doesn't forget the newest")
	require.Equal(t, newer, c.Data)
	require.NoError(t, RemoveDevContext(config, newer))
	require.NoError(t, RemoveDevContext(config, newer), "twice is once")
	_, ok, err = NewestDevContext(config)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestAStackWhoseFolderIsGoneIsNone(t *testing.T) {
	config, data := t.TempDir(), filepath.Join(t.TempDir(), "d")
	require.NoError(t, WriteDevContext(config, stackOf(data)))
	require.NoError(t, os.RemoveAll(data))
	_, ok, err := NewestDevContext(config)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestAStackThatWasKilledIsNotUsed(t *testing.T) {
	config, data := t.TempDir(), t.TempDir()
	c := stackOf(data)
	c.PID = 1 << 30 // above every system's limit
	require.NoError(t, WriteDevContext(config, c))
	_, ok, err := NewestDevContext(config)
	require.NoError(t, err)
	require.False(t, ok)

	w := newSession(t)
	w.configDir = func() (string, error) { return config, nil }
	w.variables = map[string]string{}
	_, err = w.resolve()
	require.ErrorContains(t, err, "starter dev --data "+data, "which command continues it")
	require.Equal(t, exitUsage, exitCode(err))
}

func TestADemoIsTheNewestStackOnlyWhereNoOtherRuns(t *testing.T) {
	config, own, demo := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, WriteGuestContext(config, stackOf(demo)))
	c, ok, err := NewestDevContext(config)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, demo, c.Data)

	require.NoError(t, WriteDevContext(config, stackOf(own)))
	require.NoError(t, WriteGuestContext(config, stackOf(demo)))
	c, ok, err = NewestDevContext(config)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, own, c.Data)
}

func TestNoServersAtAllIsAUsageError(t *testing.T) {
	for name, variables := range map[string]map[string]string{"nothing": {}, "a region": {"AWS_REGION": "eu-west-1"}, "a bucket": {"LEANLOOP_BUCKET": "models"}} {
		t.Run(name, func(t *testing.T) {
			w := newSession(t)
			config := t.TempDir()
			w.configDir = func() (string, error) { return config, nil }
			w.variables = variables
			_, err := w.resolve()
			if len(variables) > 0 {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "starter dev")
			require.Equal(t, exitUsage, exitCode(err))
		})
	}
}

func TestADamagedDevContextIsAnErrorThatNamesTheFile(t *testing.T) {
	for name, content := range map[string]string{"not JSON": "{", "no temporal": `{"s3":{"endpoint":"http://x"}}`, "no s3": `{"temporal":"h:1"}`} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			path := filepath.Join(data, devContextFile)
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			_, err := ReadDevContext(data)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestWhereCommandsGo(t *testing.T) {
	cases := []struct {
		name     string
		flags    globalFlags
		env      map[string]string
		temporal string // "": left to the environment
		bucket   string
		dev      bool
		said     bool
	}{
		{name: "nothing is named: the newest stack, and it says so", temporal: "127.0.0.1:7233", bucket: "lab", dev: true, said: true},
		{name: "TEMPORAL_ADDRESS", env: map[string]string{"TEMPORAL_ADDRESS": "prod:7233"}, bucket: "leanloop"},
		{name: "a profile", env: map[string]string{"TEMPORAL_PROFILE": "prod"}, bucket: "leanloop"},
		{name: "AWS_ENDPOINT_URL_S3: never another stack's Temporal with it", env: map[string]string{"AWS_ENDPOINT_URL_S3": "http://s3"}, bucket: "leanloop"},
		{name: "--temporal", flags: globalFlags{connection: connectionTo("prod:7233")}, temporal: "prod:7233", bucket: "leanloop"},
		{name: "the environment's bucket", env: map[string]string{"TEMPORAL_ADDRESS": "prod:7233", "LEANLOOP_BUCKET": "models"}, bucket: "models"},
		{name: "--bucket before all", flags: globalFlags{bucket: "mine"}, env: map[string]string{"LEANLOOP_BUCKET": "models"}, temporal: "127.0.0.1:7233", bucket: "mine", dev: true, said: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newSession(t)
			config := t.TempDir()
			require.NoError(t, WriteDevContext(config, stackOf(t.TempDir())))
			w.configDir = func() (string, error) { return config, nil }
			w.flags, w.variables = c.flags, c.env
			got, err := w.resolve()
			require.NoError(t, err)
			require.Equal(t, []any{c.temporal, c.bucket, c.dev}, []any{got.connection.Address, got.bucket, got.dev != ""})
			require.Equal(t, c.said, w.stderr.Len() > 0, w.stderr.String())
		})
	}
}

func TestDevNamesAStackExplicitly(t *testing.T) {
	w := newSession(t)
	data := t.TempDir()
	require.NoError(t, WriteDevContext(t.TempDir(), stackOf(data)))
	w.flags.dev, w.variables = data, map[string]string{"TEMPORAL_ADDRESS": "prod:7233"}
	got, err := w.resolve()
	require.NoError(t, err)
	require.Equal(t, data, got.dev, "--dev is more than the environment")
	require.True(t, got.s3.PathStyle)
	require.Equal(t, "http://127.0.0.1:8233/namespaces/default/workflows/model%2Fchurn", got.link("model/churn"))
	require.Empty(t, w.stderr.String(), "who names a stack needn't be told")

	require.Equal(t, exitConflict, w.starter("list", "--dev", t.TempDir()))
	require.Contains(t, w.stderr.String(), "starter dev --data")
}

func TestWhoDecides(t *testing.T) {
	cases := []struct{ flag, env, want string }{
		{"", "", "cli:ana"}, {"", "ben", "cli:ben"}, {"eve", "ben", "cli:eve"}, {"cli:eve", "", "cli:eve"},
	}
	for _, c := range cases {
		w := newSession(t)
		w.flags.as, w.variables["LEANLOOP_USER"] = c.flag, c.env
		got, err := w.actor()
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}
