package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/timeseries"
)

// parse is a worker's configuration from an environment and a command line.
func parse(t *testing.T, env map[string]string, args ...string) *config {
	t.Helper()
	c := configFromEnv(func(name string) string { return env[name] })
	f := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	c.flags(f)
	require.NoError(t, f.Parse(args))
	c.name("host.example")
	return c
}

func TestDefaultsAreAWorkerThatDoesEverything(t *testing.T) {
	c := parse(t, nil)
	require.NoError(t, c.validate())
	require.Equal(t, []string{roleLifecycle, roleData, roleTrain}, c.Roles)
	require.Equal(t, "127.0.0.1:7400", c.Listen)
	require.Equal(t, "leanloop", c.Bucket)
	require.Equal(t, 1, c.TrainSlots)
	require.Equal(t, 30*time.Second, c.Sweep)
	require.Empty(t, c.Influx.URL)
	require.Equal(t, timeseries.DefaultInfluxBucket, c.Influx.Bucket)
	require.Equal(t, "host.example-7400", c.ID)
	require.Equal(t, "auto", c.GPUs)
	require.Empty(t, c.Labels)
}

func TestTheEnvironmentFillsInAndFlagsOverride(t *testing.T) {
	env := map[string]string{
		"LEANLOOP_LISTEN": "0.0.0.0:7400", "LEANLOOP_BUCKET": "models", "LEANLOOP_SCRATCH": "/scratch", "LEANLOOP_TEMPORAL_UI": "http://ui",
		"INFLUX_URL": "http://influx", "INFLUX_TOKEN": "token", "INFLUX_ORG": "org", "INFLUX_BUCKET": "metrics", "SLACK_BOT_TOKEN": "xoxb", "SLACK_CHANNEL": "#ml",
		"LEANLOOP_WORKER_ID": "gpu-1", "LEANLOOP_GPUS": "2", "LEANLOOP_LABELS": "spot,eu+a100", "LEANLOOP_SLOTS": "/run/slots",
	}
	c := parse(t, env)
	require.Equal(t, "0.0.0.0:7400", c.Listen)
	require.Equal(t, "models", c.Bucket)
	require.Equal(t, "/scratch", c.Scratch)
	require.Equal(t, "http://ui", c.UIURL)
	require.Equal(t, "http://influx", c.Influx.URL)
	require.Equal(t, "token", c.Influx.Token)
	require.Equal(t, "org", c.Influx.Org)
	require.Equal(t, "metrics", c.Influx.Bucket)
	require.Equal(t, "xoxb", c.Slack.Token)
	require.Equal(t, "#ml", c.Slack.Channel)
	require.Equal(t, "gpu-1", c.ID)
	require.Equal(t, "2", c.GPUs)
	require.Equal(t, []string{"spot", "eu+a100"}, c.Labels)
	require.Equal(t, "/run/slots", c.Slots)

	c = parse(t, env, "--roles", "train,data", "--listen", ":1", "--bucket", "b", "--scratch", "s", "--influx", "", "--temporal", "t:7233",
		"--namespace", "n", "--profile", "p", "--temporal-ui", "u", "--train-slots", "2", "--data-slots", "3", "--sweep", "1s", "--stop-timeout", "0s", "--train-grace", "4s", "--log-level", "debug")
	require.NoError(t, c.validate())
	require.Equal(t, []string{roleTrain, roleData}, c.Roles)
	require.False(t, c.has(roleLifecycle))
	require.Equal(t, ":1", c.Listen)
	require.Equal(t, "b", c.Bucket)
	require.Empty(t, c.Influx.URL, "a flag may take away what the environment says")
	require.Equal(t, "t:7233", c.Temporal.Address)
	require.Equal(t, "n", c.Temporal.Namespace)
	require.Equal(t, "p", c.Temporal.Profile)
	require.Equal(t, 2, c.TrainSlots)
	require.Equal(t, time.Second, c.Sweep)
	require.Equal(t, 19*time.Second, c.trainStop())
	require.Equal(t, slog.LevelDebug, c.LogLevel)
}

func TestWhatCantWorkIsRefusedByName(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--roles", "lifecycle,cook"}, `--roles: "cook" is unknown: want some of lifecycle, data, train, slack`},
		{[]string{"--roles", ""}, "--roles is empty"},
		{[]string{"--roles", "slack"}, "role slack: SLACK_BOT_TOKEN is empty"},
		{[]string{"--train-slots", "-1"}, "--train-slots: -1 < 0"},
		{[]string{"--gpus", "all"}, `--gpus: GPUs "all": want auto, none, a count`},
		{[]string{"--labels", "Spot"}, `--labels: label set "Spot": "Spot" isn't a label`},
		{[]string{"--id", "a/b"}, `--id: worker "a/b": want a name`},
		{[]string{"--data-slots", "-1"}, "--data-slots: -1 < 1"},
		{[]string{"--bucket", " "}, "--bucket is empty"},
		{[]string{"--sweep", "0s"}, "--sweep: 0s"},
		{[]string{"--stop-timeout", "-1s"}, "--stop-timeout: -1s < 0"},
		{[]string{"--train-grace", "0s"}, "--train-grace: 0s < 1s"},
	} {
		require.ErrorContains(t, parse(t, nil, c.args...).validate(), c.says)
	}
}

func TestTheRoleSlackNeedsAWayIn(t *testing.T) {
	env := map[string]string{"SLACK_BOT_TOKEN": "xoxb"}
	require.ErrorContains(t, parse(t, env, "--roles", "slack").validate(), "want SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)")
	require.False(t, parse(t, env).Slack.asks(), "nobody takes clicks")
	require.True(t, parse(t, env, "--slack-buttons").Slack.asks(), "another worker does")
	env["SLACK_SIGNING_SECRET"] = "secret"
	require.ErrorContains(t, parse(t, env, "--roles", "slack").validate(), "SLACK_TEAM_ID is empty")
	env["SLACK_TEAM_ID"] = "T1"
	require.NoError(t, parse(t, env, "--roles", "slack").validate())
	c := parse(t, env)
	require.True(t, c.Slack.asks())
	require.True(t, c.has(roleSlack), "a way in is what the role is for")
	require.False(t, parse(t, env, "--roles", "train").has(roleSlack))
}

func TestLinksAreToTheWorkflowInItsNamespace(t *testing.T) {
	profiles := filepath.Join(t.TempDir(), "temporal.toml")
	t.Setenv("TEMPORAL_CONFIG_FILE", profiles)
	for _, name := range []string{"TEMPORAL_PROFILE", "TEMPORAL_NAMESPACE"} {
		t.Setenv(name, "") // restores it
		require.NoError(t, os.Unsetenv(name))
	}
	link := func(id string, args ...string) string {
		t.Helper()
		url, err := runURL(parse(t, nil, append(args, "--temporal-ui", "http://ui")...), silent)
		require.NoError(t, err)
		return url(id)
	}
	require.Equal(t, "http://ui/namespaces/default/workflows/lifecycle%2Fflights%2F7", link("lifecycle/flights/7"))
	require.NoError(t, os.WriteFile(profiles, []byte("[profile.default]\nnamespace = \"of-file\"\n[profile.other]\nnamespace = \"of-other\"\n"), 0o600))
	require.Equal(t, "http://ui/namespaces/of-file/workflows/x", link("x"))
	require.Equal(t, "http://ui/namespaces/of-other/workflows/x", link("x", "--profile", "other"))
	t.Setenv("TEMPORAL_NAMESPACE", "of-environment")
	require.Equal(t, "http://ui/namespaces/of-environment/workflows/x", link("x"))
	require.Equal(t, "http://ui/namespaces/ml%20ops/workflows/x", link("x", "--namespace", "ml ops"))

	none, err := runURL(parse(t, nil), silent)
	require.NoError(t, err)
	require.Nil(t, none, "without a UI there are no links")
	_, err = runURL(parse(t, nil, "--temporal-ui", "http://ui", "--profile", "absent"), silent)
	require.ErrorContains(t, err, "absent")
}

func TestTheWorkersOwnSettingsAreNoSecretsOfTrainers(t *testing.T) {
	secrets := trainerSecrets(func(name string) (string, bool) { return "value", name != "ABSENT" })
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "aws_session_token", "INFLUX_TOKEN", "SLACK_BOT_TOKEN", "TEMPORAL_API_KEY", "LEANLOOP_BUCKET", "ABSENT"} {
		_, ok := secrets(name)
		require.False(t, ok, name)
	}
	value, ok := secrets("WEATHER_API_KEY")
	require.True(t, ok)
	require.Equal(t, "value", value)
}
