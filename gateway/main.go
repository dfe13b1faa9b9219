// Command gateway serves predictions: it follows the ledgers of one bucket, scores requests in-process and splits
// them between champion and challenger.
//
//	gateway          serve, until SIGTERM or SIGINT
//	gateway health   exit 0 if the gateway on this machine is ready; for container health checks
//
// Every flag has an environment variable, which it overrides; see gateway -h. S3 credentials and endpoint come from
// the usual AWS variables.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/inference/remote"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/parent"
	"github.com/leanloop/leanloop/internal/serving"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// Exit codes, as of the starter.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, end := parent.Watch(ctx)
	defer end()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stderr))
}

// run is the program: arguments and environment in, exit code out.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	health := len(args) > 0 && args[0] == "health"
	if health {
		args = args[1:]
	}
	o, err := parse(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err == nil && !health:
		if err = o.validate(); err == nil {
			err = o.takeToken()
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "gateway:", err)
		return exitUsage
	}
	if health {
		err = serving.CheckHealth(ctx, adminURL(o.adminListen))
	} else {
		err = serve(ctx, o, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "gateway:", err)
		return exitError
	}
	return exitOK
}

// serve wires the ports and runs until ctx ends.
func serve(ctx context.Context, o options, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: o.logLevel}))
	buckets, err := objectstore.NewS3(ctx, objectstore.S3Config{})
	if err != nil {
		return err
	}
	servers, err := remote.New(remote.Config{Hosts: o.remoteHosts})
	if err != nil {
		return err
	}
	defer servers.Close()
	ports := serving.Ports{Store: buckets.Bucket(o.bucket), Loader: &inference.Loader{Remote: servers, ONNX: hosts.New(o.onnx)}, Log: log}
	if o.influx.URL != "" {
		influx, err := timeseries.NewInflux(o.influx)
		if err != nil {
			return err
		}
		defer influx.Close()
		ports.Series = influx
	}
	applications, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	admin, err := net.Listen("tcp", o.adminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for administration: %w", err), applications.Close())
	}
	if o.serving.Address == "" {
		o.serving.Address = "http://" + applications.Addr().String()
	}
	if o.serving.AdminAddress == "" {
		o.serving.AdminAddress = "http://" + admin.Addr().String()
	}
	server, err := serving.New(o.serving, ports)
	if err != nil {
		return errors.Join(err, applications.Close(), admin.Close())
	}
	log.Info("gateway listens", "id", o.serving.ID, "applications", applications.Addr().String(),
		"admin", admin.Addr().String(), "bucket", o.bucket, "metrics", o.influx.URL != "", "break-glass", o.serving.AdminToken != nil)
	return server.Serve(ctx, applications, admin)
}

// adminURL is where this machine reaches its own admin listener.
func adminURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
