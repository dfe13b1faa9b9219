package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training/fleet"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/setup"
)

// The roles.
const (
	roleLifecycle = "lifecycle"
	roleData      = "data"
	roleTrain     = "train"
	roleSlack     = "slack"
)

// config is everything a worker is told. Environment variables fill it, flags override.
type config struct {
	Roles       []string
	Listen      string // health and S3 events
	Bucket      string
	Scratch     string
	Temporal    temporalx.Connection
	Influx      timeseries.InfluxConfig
	Slack       slackConfig
	UIURL       string
	ID          string // in heartbeats, towards Temporal and in metrics: stable, and no other worker's
	TrainSlots  int
	GPUs        string // which of the machine's: gpu.ParseSelection
	Labels      []string
	OnlyLabels  bool
	Slots       string // folder of the locks of slots; "": the machine's, for GPUs alone
	DataSlots   int
	Sweep       time.Duration
	Stop        time.Duration
	TrainGrace  time.Duration
	RemoteHosts []string // servers that may score versions of format remote
	LogLevel    slog.Level
	ONNX        hosts.Config // what runs ONNX models: for the trial of a trained one, and evaluation
	onnxErr     error        // a variable of it that can't be read

	Environments     string     // folder of what train.setup makes; "": one of this user in Scratch
	EnvironmentBytes spec.Bytes // that it may grow to
}

func configFromEnv(env func(string) string) *config {
	servers := strings.FieldsFunc(env("LEANLOOP_REMOTE_HOSTS"), func(r rune) bool { return r == ',' || r == ' ' })
	onnx, onnxErr := hosts.ConfigFrom(env)
	roles := []string{roleLifecycle, roleData, roleTrain}
	if env("SLACK_APP_TOKEN")+env("SLACK_SIGNING_SECRET") != "" {
		roles = append(roles, roleSlack)
	}
	return &config{
		ONNX: onnx, onnxErr: onnxErr,
		RemoteHosts: servers,
		Roles:       roles, Listen: either(env("LEANLOOP_LISTEN"), "127.0.0.1:7400"),
		Bucket: either(env("LEANLOOP_BUCKET"), "leanloop"), Scratch: env("LEANLOOP_SCRATCH"),
		Influx: timeseries.InfluxConfig{URL: env("INFLUX_URL"), Token: env("INFLUX_TOKEN"), Org: env("INFLUX_ORG"), Bucket: either(env("INFLUX_BUCKET"), timeseries.DefaultInfluxBucket)},
		Slack: slackConfig{Token: env("SLACK_BOT_TOKEN"), Channel: either(env("SLACK_CHANNEL"), "#leanloop"), App: env("SLACK_APP_TOKEN"),
			Secret: env("SLACK_SIGNING_SECRET"), Team: env("SLACK_TEAM_ID"), API: env("SLACK_API_URL")},
		UIURL:        env("LEANLOOP_TEMPORAL_UI"),
		Environments: env("LEANLOOP_ENVIRONMENTS"), EnvironmentBytes: setup.DefaultMaxBytes,
		ID: env("LEANLOOP_WORKER_ID"), GPUs: either(env("LEANLOOP_GPUS"), "auto"), Labels: words(env("LEANLOOP_LABELS")), Slots: env("LEANLOOP_SLOTS"),
		TrainSlots: 1, DataSlots: max(2, runtime.NumCPU()), Sweep: 30 * time.Second, Stop: 10 * time.Second, TrainGrace: 10 * time.Second,
	}
}

func (c *config) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&c.Roles, "roles", c.Roles, "what this worker does: lifecycle, data, train, slack; default: all, slack only with SLACK_APP_TOKEN or SLACK_SIGNING_SECRET")
	f.BoolVar(&c.Slack.Buttons, "slack-buttons", c.Slack.Buttons, "ask in Slack with buttons: another worker has the role slack; with its token or secret here too they are there anyway")
	f.StringVar(&c.Listen, "listen", c.Listen, "address of health, of S3 events, POST /events/s3, and in role slack with a signing secret of POST "+slackPath+" (LEANLOOP_LISTEN)")
	f.StringVar(&c.Bucket, "bucket", c.Bucket, "the bucket of everything that lasts (LEANLOOP_BUCKET)")
	f.StringVar(&c.Scratch, "scratch", c.Scratch, "folder for temporary files; default: the system's (LEANLOOP_SCRATCH)")
	f.StringVar(&c.Temporal.Address, "temporal", "", "Temporal's host:port, over TEMPORAL_ADDRESS and the profile")
	f.StringVar(&c.Temporal.Namespace, "namespace", "", "Temporal's namespace, over TEMPORAL_NAMESPACE and the profile")
	f.StringVar(&c.Temporal.Profile, "profile", "", "profile of Temporal's configuration file (TEMPORAL_PROFILE)")
	f.StringVar(&c.UIURL, "temporal-ui", c.UIURL, "Temporal UI's URL, for links in messages (LEANLOOP_TEMPORAL_UI)")
	f.StringVar(&c.Influx.URL, "influx", c.Influx.URL, "InfluxDB's URL (INFLUX_URL); empty: none, and canaries can't pass")
	f.StringVar(&c.ID, "id", c.ID, "name of this worker in heartbeats and metrics; default: the machine's and the port of --listen (LEANLOOP_WORKER_ID)")
	f.IntVar(&c.TrainSlots, "train-slots", c.TrainSlots, "training runs without GPU at once; each GPU takes one more")
	f.StringVar(&c.GPUs, "gpus", c.GPUs, "GPUs for training: auto, none, a count, or device=0,2 with indices or UUIDs (LEANLOOP_GPUS)")
	f.StringSliceVar(&c.Labels, "labels", c.Labels, "label sets whose training runs this worker serves too, such as spot,eu+a100: that of train.resources.labels, all of it (LEANLOOP_LABELS)")
	f.BoolVar(&c.OnlyLabels, "only-labels", c.OnlyLabels, "serve no training run without labels")
	f.StringVar(&c.Slots, "slots", c.Slots, "folder of the locks by which this machine's workers share GPUs, and if it is named --train-slots too; default: leanloop-slots in the system's temporary folder (LEANLOOP_SLOTS)")
	f.StringVar(&c.Environments, "environments", c.Environments, "folder of what train.setup makes, which no other user may write to; default: leanloop-environments-<user> in --scratch (LEANLOOP_ENVIRONMENTS)")
	f.TextVar(&c.EnvironmentBytes, "environments-size", c.EnvironmentBytes, "what that folder may grow to, such as 20Gi; those used longest ago are removed")
	f.StringVar(&c.ONNX.Host, "onnx-host", c.ONNX.Host, "the program onnxhost, which runs ONNX models; default: beside this program, then on PATH ("+hosts.EnvHost+")")
	f.StringVar(&c.ONNX.Library, "onnxruntime", c.ONNX.Library, "the library ONNX Runtime, or its folder; default: the usual places ("+hosts.EnvLibrary+")")
	f.IntVar(&c.DataSlots, "data-slots", c.DataSlots, "data set scans at once")
	f.DurationVar(&c.Sweep, "sweep", c.Sweep, "time between listings of landing prefixes")
	f.DurationVar(&c.Stop, "stop-timeout", c.Stop, "how long running activities may finish at shutdown")
	f.DurationVar(&c.TrainGrace, "train-grace", c.TrainGrace, "how long a trainer that is told to end may save its work; at shutdown 15s more for storing it")
	f.StringSliceVar(&c.RemoteHosts, "remote-hosts", c.RemoteHosts, "host or host:port of servers of the Open Inference Protocol that may score versions of format remote; default: none (LEANLOOP_REMOTE_HOSTS)")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
}

func (c *config) validate() error {
	if c.onnxErr != nil {
		return c.onnxErr
	}
	if len(c.Roles) == 0 {
		return fmt.Errorf("--roles is empty: want some of lifecycle, data, train, slack")
	}
	for _, r := range c.Roles {
		if !slices.Contains([]string{roleLifecycle, roleData, roleTrain, roleSlack}, r) {
			return fmt.Errorf("--roles: %q is unknown: want some of lifecycle, data, train, slack", r)
		}
	}
	if c.has(roleSlack) {
		if err := c.Slack.listens(); err != nil {
			return err
		}
	}
	if c.DataSlots < 1 {
		return fmt.Errorf("--data-slots: %d < 1", c.DataSlots)
	}
	if c.TrainSlots < 0 {
		return fmt.Errorf("--train-slots: %d < 0", c.TrainSlots)
	}
	if _, err := gpu.ParseSelection(c.GPUs); err != nil {
		return fmt.Errorf("--gpus: %w", err)
	}
	if _, err := fleet.ParseSets(c.Labels); err != nil {
		return fmt.Errorf("--labels: %w", err)
	}
	if err := fleet.CheckID(c.ID); err != nil {
		return fmt.Errorf("--id: %w", err)
	}
	if c.Sweep <= 0 {
		return fmt.Errorf("--sweep: %s: want more than 0", c.Sweep)
	}
	if c.Stop < 0 {
		return fmt.Errorf("--stop-timeout: %s < 0", c.Stop)
	}
	if c.EnvironmentBytes <= 0 {
		return fmt.Errorf("--environments-size: %s: want more than 0", c.EnvironmentBytes)
	}
	if c.TrainGrace < time.Second {
		return fmt.Errorf("--train-grace: %s < 1s", c.TrainGrace)
	}
	if strings.TrimSpace(c.Bucket) == "" {
		return fmt.Errorf("--bucket is empty (LEANLOOP_BUCKET)")
	}
	return nil
}

// storeTime is how long a stopped worker may take to store what its trainers saved.
const storeTime = 15 * time.Second

// trainStop is how long training attempts may take at shutdown: they are told at once.
func (c *config) trainStop() time.Duration { return c.TrainGrace + storeTime }

func (c *config) has(role string) bool { return slices.Contains(c.Roles, role) }

// defaultSlots is the folder of locks that all workers of a machine find.
func (c *config) defaultSlots() string { return filepath.Join(os.TempDir(), "leanloop-slots") }

// defaultEnvironments is the folder of what train.setup makes: all workers of one user share it.
func (c *config) defaultEnvironments() string {
	return filepath.Join(either(c.Scratch, os.TempDir()), fmt.Sprintf("leanloop-environments-%d", os.Getuid()))
}

// name gives the worker its name, unless it has one: the machine's, and the port, which no other worker there has.
func (c *config) name(hostname string) {
	if c.ID != "" {
		return
	}
	_, port, _ := net.SplitHostPort(c.Listen) // one that can't be listened at is refused later
	c.ID = strings.Map(func(r rune) rune {
		if fleet.CheckID(string(r)) != nil {
			return '-'
		}
		return r
	}, either(hostname, "worker")) + "-" + either(port, "0")
}

// words are what commas separate; none of nothing.
func words(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func either(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
