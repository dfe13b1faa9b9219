package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/leanloop/leanloop/internal/inference/remote"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// options are the flags and environment variables, read once.
type options struct {
	serving     serving.Config
	listen      string
	adminListen string
	token       string // as given; "": in tokenFile, or none
	tokenFile   string
	bucket      string
	influx      timeseries.InfluxConfig
	remoteHosts []string // servers that may score versions of format remote
	onnx        hosts.Config
	logLevel    slog.Level
}

// parse reads flags over environment over defaults.
func parse(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	or := func(name, otherwise string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	o := options{serving: serving.DefaultConfig()}
	c := &o.serving
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.listen, "listen", or("LEANLOOP_LISTEN", "127.0.0.1:8080"), "`address` for applications (LEANLOOP_LISTEN)")
	fs.StringVar(&o.adminListen, "admin-listen", or("LEANLOOP_ADMIN_LISTEN", "127.0.0.1:9090"), "`address` for operators: metrics, health, routes (LEANLOOP_ADMIN_LISTEN)")
	fs.StringVar(&o.bucket, "bucket", getenv("LEANLOOP_BUCKET"), "`name` of the bucket that keeps everything that lasts (LEANLOOP_BUCKET)")
	fs.StringVar(&c.StateDir, "state-dir", getenv("LEANLOOP_STATE_DIR"), "`folder` of its own for the last routing state and artifacts; default: .leanloop/gateways/ID (LEANLOOP_STATE_DIR)")
	fs.StringVar(&c.ID, "id", or("LEANLOOP_GATEWAY_ID", ""), "`name` in heartbeats and metrics, stable and its own; default: the host's name and the port (LEANLOOP_GATEWAY_ID)")
	fs.StringVar(&c.Address, "address", getenv("LEANLOOP_ADDRESS"), "`URL` where applications reach this gateway, as others are told (LEANLOOP_ADDRESS)")
	fs.StringVar(&c.AdminAddress, "admin-address", getenv("LEANLOOP_ADMIN_ADDRESS"), "`URL` where operators reach its admin listener, as others are told (LEANLOOP_ADMIN_ADDRESS)")
	fs.StringVar(&o.tokenFile, "admin-token-file", getenv("LEANLOOP_ADMIN_TOKEN_FILE"), "`file` with the token that break-glass rollbacks need; none: they are refused (LEANLOOP_ADMIN_TOKEN_FILE, or the token itself in LEANLOOP_ADMIN_TOKEN)")
	models := fs.String("models", getenv("LEANLOOP_MODELS"), "`names` of the models to serve, with commas; default: all (LEANLOOP_MODELS)")
	servers := fs.String("remote-hosts", getenv("LEANLOOP_REMOTE_HOSTS"), "`hosts`, or host:port, with commas: servers of the Open Inference Protocol that may score versions of format remote; default: none (LEANLOOP_REMOTE_HOSTS)")
	fs.StringVar(&o.influx.URL, "influx", getenv("INFLUX_URL"), "`URL` of InfluxDB; none: metrics for Prometheus only (INFLUX_URL; INFLUX_TOKEN, INFLUX_ORG, INFLUX_BUCKET)")
	onnx, onnxErr := hosts.ConfigFrom(getenv)
	o.onnx = onnx
	fs.StringVar(&o.onnx.Host, "onnx-host", onnx.Host, "`file` of the program onnxhost, which runs ONNX models; default: beside this program, then on PATH ("+hosts.EnvHost+")")
	fs.StringVar(&o.onnx.Library, "onnxruntime", onnx.Library, "`file` of the library ONNX Runtime, or its folder; default: the usual places ("+hosts.EnvLibrary+"; "+hosts.EnvProcesses+", "+hosts.EnvThreads+", "+hosts.EnvMemory+" and "+hosts.EnvTimeout+" say how much of it)")
	fs.DurationVar(&c.FlushMetrics, "flush-metrics", c.FlushMetrics, "`time` between points to InfluxDB")
	fs.DurationVar(&c.LogAge, "log-age", c.LogAge, "`time` after which a part of the prediction log is sent; a third of it while there is a challenger")
	fs.DurationVar(&c.ChallengerTimeout, "challenger-timeout", c.ChallengerTimeout, "`time` that a challenger has for a request, and 1ms for each row; then the champion answers")
	fs.DurationVar(&c.ChampionTimeout, "champion-timeout", c.ChampionTimeout, "`time` that a champion has for a request, and 1ms for each row, where another process or server scores it")
	fs.DurationVar(&c.DrainTimeout, "drain-timeout", c.DrainTimeout, "`time` for requests in flight at shutdown")
	fs.IntVar(&c.MaxInFlight, "max-in-flight", c.MaxInFlight, "requests at once; more get 429")
	fs.IntVar(&c.MaxBatch, "max-batch", c.MaxBatch, "rows of one request; more get 413")
	fs.Int64Var(&c.MaxBody, "max-body", c.MaxBody, "`bytes` of one request; more get 413")
	fs.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; the only command is health", fs.Arg(0))
	}
	if onnxErr != nil {
		return o, onnxErr
	}
	c.LogAgeCanary = c.LogAge / 3
	o.token = getenv("LEANLOOP_ADMIN_TOKEN")
	o.influx.Token, o.influx.Org, o.influx.Bucket = getenv("INFLUX_TOKEN"), getenv("INFLUX_ORG"), or("INFLUX_BUCKET", timeseries.DefaultInfluxBucket)
	c.Models, o.remoteHosts = names(*models), names(*servers)
	if c.ID == "" {
		id, err := defaultID(o.listen)
		if err != nil {
			return o, err
		}
		c.ID = id
	}
	if c.StateDir == "" {
		c.StateDir = filepath.Join(".leanloop", "gateways", c.ID)
	}
	return o, nil
}

// names are the entries of a list with commas.
func names(list string) []string {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// takeToken reads the admin token, where there is one.
func (o *options) takeToken() error {
	text, err := serving.TokenText(o.token, o.tokenFile)
	if err == nil && text != "" {
		o.serving.AdminToken, err = serving.NewToken(text)
	}
	return err
}

// validate says what a gateway that serves lacks; a health check needs none of it.
func (o options) validate() error {
	if o.bucket == "" {
		return errors.New("no bucket given: -bucket or LEANLOOP_BUCKET")
	}
	if o.influx.URL != "" {
		if err := o.influx.Validate(); err != nil {
			return err
		}
	}
	if _, err := remote.New(remote.Config{Hosts: o.remoteHosts}); err != nil {
		return fmt.Errorf("-remote-hosts: %w", err)
	}
	return o.serving.Validate()
}

// defaultID is stable for one gateway per port of a host.
func defaultID(listen string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("no gateway id given, and the host has no name: %w", err)
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("listen address %q: %w", listen, err)
	}
	return fmt.Sprintf("%.50s-%s", host, port), nil
}
