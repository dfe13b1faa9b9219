package main

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// The roles.
const (
	roleLifecycle = "lifecycle"
	roleData      = "data"
	roleTrain     = "train"
)

// config is everything a worker is told. Environment variables fill it, flags override.
type config struct {
	Roles        []string
	Listen       string // health and S3 events
	Bucket       string
	Scratch      string
	Temporal     temporalx.Connection
	Influx       timeseries.InfluxConfig
	SlackToken   string
	SlackChannel string // for models whose spec names none
	UIURL        string
	TrainSlots   int
	DataSlots    int
	Sweep        time.Duration
	Stop         time.Duration
	TrainGrace   time.Duration
	LogLevel     slog.Level
}

func configFromEnv(env func(string) string) *config {
	return &config{
		Roles: []string{roleLifecycle, roleData, roleTrain}, Listen: either(env("LEANLOOP_LISTEN"), "127.0.0.1:7400"),
		Bucket: either(env("LEANLOOP_BUCKET"), "leanloop"), Scratch: env("LEANLOOP_SCRATCH"),
		Influx:     timeseries.InfluxConfig{URL: env("INFLUX_URL"), Token: env("INFLUX_TOKEN"), Org: env("INFLUX_ORG"), Bucket: either(env("INFLUX_BUCKET"), timeseries.DefaultInfluxBucket)},
		SlackToken: env("SLACK_BOT_TOKEN"), SlackChannel: either(env("SLACK_CHANNEL"), "#leanloop"), UIURL: env("LEANLOOP_TEMPORAL_UI"),
		TrainSlots: 1, DataSlots: max(2, runtime.NumCPU()), Sweep: 30 * time.Second, Stop: 10 * time.Second, TrainGrace: 10 * time.Second,
	}
}

func (c *config) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&c.Roles, "roles", c.Roles, "what this worker does: lifecycle, data, train")
	f.StringVar(&c.Listen, "listen", c.Listen, "address of health and of S3 events, POST /events/s3 (LEANLOOP_LISTEN)")
	f.StringVar(&c.Bucket, "bucket", c.Bucket, "the bucket of everything that lasts (LEANLOOP_BUCKET)")
	f.StringVar(&c.Scratch, "scratch", c.Scratch, "folder for temporary files; default: the system's (LEANLOOP_SCRATCH)")
	f.StringVar(&c.Temporal.Address, "temporal", "", "Temporal's host:port, over TEMPORAL_ADDRESS and the profile")
	f.StringVar(&c.Temporal.Namespace, "namespace", "", "Temporal's namespace, over TEMPORAL_NAMESPACE and the profile")
	f.StringVar(&c.Temporal.Profile, "profile", "", "profile of Temporal's configuration file (TEMPORAL_PROFILE)")
	f.StringVar(&c.UIURL, "temporal-ui", c.UIURL, "Temporal UI's URL, for links in messages (LEANLOOP_TEMPORAL_UI)")
	f.StringVar(&c.Influx.URL, "influx", c.Influx.URL, "InfluxDB's URL (INFLUX_URL); empty: none, and canaries can't pass")
	f.IntVar(&c.TrainSlots, "train-slots", c.TrainSlots, "training runs at once")
	f.IntVar(&c.DataSlots, "data-slots", c.DataSlots, "data set scans at once")
	f.DurationVar(&c.Sweep, "sweep", c.Sweep, "time between listings of landing prefixes")
	f.DurationVar(&c.Stop, "stop-timeout", c.Stop, "how long running activities may finish at shutdown")
	f.DurationVar(&c.TrainGrace, "train-grace", c.TrainGrace, "how long a trainer that is told to end may save its work; at shutdown 15s more for storing it")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
}

func (c *config) validate() error {
	if len(c.Roles) == 0 {
		return fmt.Errorf("--roles is empty: want some of lifecycle, data, train")
	}
	for _, r := range c.Roles {
		if !slices.Contains([]string{roleLifecycle, roleData, roleTrain}, r) {
			return fmt.Errorf("--roles: %q is unknown: want some of lifecycle, data, train", r)
		}
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"--train-slots", c.TrainSlots}, {"--data-slots", c.DataSlots}} {
		if f.n < 1 {
			return fmt.Errorf("%s: %d < 1", f.name, f.n)
		}
	}
	if c.Sweep <= 0 {
		return fmt.Errorf("--sweep: %s: want more than 0", c.Sweep)
	}
	if c.Stop < 0 {
		return fmt.Errorf("--stop-timeout: %s < 0", c.Stop)
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

func either(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
