package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"
	"golang.org/x/term"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/temporalx"
)

// defaultBucket is where everything that lasts lies, unless --bucket or LEANLOOP_BUCKET says otherwise.
const defaultBucket = "leanloop"

// app is what commands have in common: streams, the environment, and connections that are opened when first asked for.
// Tests replace its functions.
type app struct {
	in        io.Reader
	out       io.Writer
	errOut    io.Writer
	env       func(string) string
	now       func() time.Time
	osUser    func() (string, error)
	configDir func() (string, error) // os.UserConfigDir
	terminal  func(stream any) bool  // whether a person is at the other end

	supervisor func() ([]string, error) // what looks after a program: this one, run again

	flags     globalFlags
	pollEvery time.Duration // between two looks at what runs

	buckets   func(context.Context) (objectstore.Buckets, error)
	engine    func(context.Context) (engine, error)
	scheduler func(context.Context) (client.ScheduleClient, error)

	target   *target // resolved once
	temporal client.Client
	down     error // why there is no Temporal: it is tried once
	ledgers  map[string]*registry.Ledger
}

// globalFlags are those of every command.
type globalFlags struct {
	format     string
	connection temporalx.Connection
	bucket     string
	dev        string
	as         string
}

func (g *globalFlags) register(f *pflag.FlagSet) {
	f.StringVarP(&g.format, "output", "o", formatTable, "table, json or yaml; json is one document on stdout")
	f.StringVar(&g.connection.Address, "temporal", "", "Temporal's host:port (TEMPORAL_ADDRESS)")
	f.StringVar(&g.connection.Namespace, "namespace", "", "Temporal's namespace (TEMPORAL_NAMESPACE)")
	f.StringVar(&g.connection.Profile, "profile", "", "profile of Temporal's configuration file (TEMPORAL_PROFILE)")
	f.StringVar(&g.bucket, "bucket", "", "bucket of everything that lasts (LEANLOOP_BUCKET; default "+defaultBucket+")")
	f.StringVar(&g.dev, "dev", "", "use the development stack of this data folder")
	f.StringVar(&g.as, "as", "", "your name in decisions and the ledger: cli:NAME (LEANLOOP_USER; default: the system's user)")
}

// moreFormats annotates a command with a value of -o that it takes beside the usual ones.
const moreFormats = "formats"

// check refuses what no command takes. more is a format that this one does; "": none.
func (g *globalFlags) check(more string) error {
	switch {
	case g.format == formatTable || g.format == formatJSON || g.format == formatYAML || (more != "" && g.format == more):
	case more != "":
		return usagef("-o %q: want table, json, yaml or %s", g.format, more)
	default:
		return usagef("-o %q: want table, json or yaml", g.format)
	}
	if g.dev != "" && (g.connection.Address != "" || g.connection.Profile != "") {
		return usagef("--dev names a whole stack: it goes with neither --temporal nor --profile")
	}
	return nil
}

// newApp is the app of a real process.
func newApp() *app {
	a := &app{
		in: os.Stdin, out: os.Stdout, errOut: os.Stderr, env: os.Getenv, now: time.Now, configDir: os.UserConfigDir, pollEvery: time.Second,
		osUser: func() (string, error) {
			u, err := user.Current()
			if err != nil {
				return "", err
			}
			return u.Username, nil
		},
		terminal: func(stream any) bool {
			f, ok := stream.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		},
	}
	a.buckets, a.engine, a.scheduler = a.openBuckets, a.openEngine, a.openScheduler
	a.supervisor = supervisorCommand
	return a
}

// close ends what was opened.
func (a *app) close() {
	if a.temporal != nil {
		a.temporal.Close()
	}
}

// openBuckets connects to S3.
func (a *app) openBuckets(ctx context.Context) (objectstore.Buckets, error) {
	t, err := a.resolve()
	if err != nil {
		return nil, err
	}
	return objectstore.NewS3(ctx, t.s3)
}

// store is the bucket of everything that lasts.
func (a *app) store(ctx context.Context) (objectstore.Store, error) {
	t, err := a.resolve()
	if err != nil {
		return nil, err
	}
	b, err := a.buckets(ctx)
	if err != nil {
		return nil, err
	}
	return b.Bucket(t.bucket), nil
}

// dial connects to Temporal, once. One that didn't answer isn't asked again by the same command.
func (a *app) dial(ctx context.Context) (client.Client, error) {
	if a.temporal == nil && a.down == nil {
		a.temporal, a.down = a.connect(ctx)
	}
	return a.temporal, a.down
}

func (a *app) connect(ctx context.Context) (client.Client, error) {
	t, err := a.resolve()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(a.errOut, &slog.HandlerOptions{Level: slog.LevelError}))
	c, err := temporalx.Dial(ctx, t.connection, log)
	if err != nil {
		if t.dev != "" {
			return nil, fmt.Errorf("the development stack of %s is gone: start it again by `starter dev --data %s`: %w", t.dev, t.dev, err)
		}
		return nil, err
	}
	return c, nil
}

func (a *app) openEngine(ctx context.Context) (engine, error) {
	c, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &temporalEngine{client: c}, nil
}

func (a *app) openScheduler(ctx context.Context) (client.ScheduleClient, error) {
	c, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c.ScheduleClient(), nil
}

// ledger is a model's ledger, the same one each time, so that it remembers the highest head it has seen.
func (a *app) ledger(ctx context.Context, model string) (*registry.Ledger, error) {
	if err := registry.CheckName("model", model); err != nil {
		return nil, usagef("%w", err)
	}
	if l := a.ledgers[model]; l != nil {
		return l, nil
	}
	store, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	if a.ledgers == nil {
		a.ledgers = map[string]*registry.Ledger{}
	}
	a.ledgers[model] = registry.NewLedger(store, model)
	return a.ledgers[model], nil
}

// head is the newest entry of a model that exists.
func (a *app) head(ctx context.Context, model string) (registry.Entry, error) {
	ledger, err := a.ledger(ctx, model)
	if err != nil {
		return registry.Entry{}, err
	}
	head, err := ledger.Head(ctx)
	if err != nil {
		return registry.Entry{}, err
	}
	if head.Seq == 0 {
		return registry.Entry{}, notFound("model "+model, "`starter list` names those there are, `starter apply -f model.yaml` makes one")
	}
	return head, nil
}

// models are the names of all models.
func (a *app) models(ctx context.Context) ([]string, error) {
	store, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	return registry.Models(ctx, store)
}

// actor is who decides: cli:<name>. Nothing here proves it; whoever may write to the namespace and the bucket may claim
// any name.
func (a *app) actor() (string, error) {
	name := a.flags.as
	if name == "" {
		name = a.env("LEANLOOP_USER")
	}
	if name == "" {
		found, err := a.osUser()
		if err != nil {
			return "", usagef("who are you? the system doesn't say (%w): --as NAME", err)
		}
		name = found
	}
	name = strings.TrimPrefix(name, "cli:")
	if name == "" || strings.ContainsAny(name, ": \t\n") {
		return "", usagef("--as %q: want a name without spaces and colons; it becomes cli:NAME", name)
	}
	return "cli:" + name, nil
}

// say writes a line for a person, beside the result.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.errOut, format+"\n", args...)
}
