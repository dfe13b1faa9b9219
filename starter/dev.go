package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/parent"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/workflows"
)

// devOptions are dev's flags.
type devOptions struct {
	Data      string
	BuildOnly bool
	Gateway   string
	Temporal  string
	Namespace string
	Profile   string
	S3        string
	Influx    string
	Ports     devstack.Ports

	Format string
	Print  func(v any, asTable func(*page)) error
	Config string
	Out    io.Writer
	Err    io.Writer
}

func newDevCommand(a *app) *cobra.Command {
	o := devOptions{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Start everything on this machine: servers, a worker and a gateway",
		Long: `Starts real servers (Temporal with its UI, S3, InfluxDB), a worker and a gateway
on this machine, until Ctrl-C. State is kept in --data, so a second start
continues where the first one stopped, whichever way it did.

The servers are built once, which takes minutes, unless a "temporal" program on
the PATH, --temporal, --s3 or --influx makes a part of that unnecessary.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.configDir()
			if err != nil {
				return err
			}
			o.Namespace, o.Profile = first(a.flags.connection.Namespace, a.env("TEMPORAL_NAMESPACE")), a.flags.connection.Profile
			o.Temporal, o.Format, o.Config, o.Print = a.flags.connection.Address, a.flags.format, config, a.print
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runDev(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", ".leanloop", "keep all state in this folder")
	f.BoolVar(&o.BuildOnly, "build-only", false, "build the servers and stop")
	f.StringVar(&o.Gateway, "gateway", "", "address for applications, such as 127.0.0.1:8080; default: the last one, or a free one")
	f.StringVar(&o.S3, "s3", "", "URL of an S3 server that runs already")
	f.StringVar(&o.Influx, "influx", "", "URL of an InfluxDB that runs already")
	f.IntVar(&o.Ports.Temporal, "temporal-port", 0, "Temporal's port")
	f.IntVar(&o.Ports.UI, "ui-port", 0, "the Temporal UI's port")
	f.IntVar(&o.Ports.S3, "s3-port", 0, "the S3 server's port")
	f.IntVar(&o.Ports.Influx, "influx-port", 0, "InfluxDB's port")
	return cmd
}

func runDev(ctx context.Context, o devOptions) error {
	if o.BuildOnly {
		path, err := devstack.Build(ctx, o.Err)
		if err == nil {
			_, _ = fmt.Fprintln(o.Out, path)
		}
		return err
	}
	ctx, end := parent.Watch(ctx) // a test's, say
	defer end()
	stack, err := local.Up(ctx, local.Options{
		Data: o.Data, Log: o.Err, Temporal: o.Temporal, S3: o.S3, Influx: o.Influx, Ports: o.Ports, Gateway: o.Gateway,
		Namespace:        o.Namespace,
		SearchAttributes: workflows.SearchAttributes(),
	})
	if err != nil {
		return err
	}
	served := adoptTemporal(ctx, stack, o.Profile)
	if served == nil {
		served = serveDev(ctx, o, stack)
	}
	_, _ = fmt.Fprintln(o.Err, "stopping ...")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(served, RemoveDevContext(o.Config, o.Data), stack.Down(stop))
}

func serveDev(ctx context.Context, o devOptions, stack *local.Stack) error {
	c := devContextOf(o.Data, stack)
	if err := WriteDevContext(o.Config, c); err != nil {
		return err
	}
	if o.Format == formatTable {
		data, err := filepath.Abs(o.Data)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(o.Out, `
Temporal UI  %s
Temporal     %s
Gateway      %s
S3           %s  (bucket %s)
InfluxDB     %s
State        %s

In another terminal:  starter init DATA.csv --target COLUMN > model.yaml
                      starter submit -f model.yaml --data DATA.csv
Ctrl-C stops it; the next "starter dev --data %s" continues.
`, c.TemporalUI, c.Temporal, c.Gateway, c.S3.Endpoint, c.Bucket, c.Influx, data, o.Data)
	} else if err := o.Print(withoutSecrets(c), nil); err != nil {
		return err
	}
	return stack.Watch(ctx)
}

// adoptTemporal gives a Temporal server that ran already the search attributes that our own is started with.
func adoptTemporal(ctx context.Context, stack *local.Stack, profile string) error {
	if stack.Own("temporal") {
		return nil
	}
	a := stack.Addresses().Temporal
	c, err := temporalx.Dial(ctx, temporalx.Connection{Address: a.Address, Namespace: a.Namespace, Profile: profile}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer c.Close()
	return temporalx.EnsureSearchAttributes(ctx, c, a.Namespace, workflows.SearchAttributes())
}

// withoutSecrets is what may be printed: the keys are in the data folder, readable by its owner.
func withoutSecrets(c DevContext) DevContext {
	c.S3.SecretKey = ""
	return c
}

// devContextOf is where a stack answers.
func devContextOf(data string, stack *local.Stack) DevContext {
	a := stack.Addresses()
	return DevContext{
		Data: data, PID: os.Getpid(), OwnTemporal: stack.Own("temporal"), Temporal: a.Temporal.Address, Namespace: a.Temporal.Namespace, TemporalUI: a.Temporal.UI,
		S3:     DevS3{Endpoint: a.S3.Endpoint, Region: a.S3.Region, AccessKey: a.S3.AccessKey, SecretKey: a.S3.SecretKey},
		Bucket: local.Bucket, Influx: a.Influx.URL, Gateway: stack.GatewayURL(),
	}
}
