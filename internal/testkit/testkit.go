// Package testkit gives tests the real thing: Temporal, S3, InfluxDB, a worker, a gateway and the operators' program,
// on this machine, in a folder that goes when the tests are done.
//
// A package's tests share one stack, started by Main from TestMain and held by one variable of that package; tests
// keep apart by giving their models names of their own. A test that kills what others rely on starts a stack of its
// own by StartDev. Nothing here is used outside of tests, and no test reaches a server that the environment names.
package testkit

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/workflows"
)

// ShortReason is why tests of the real servers are skipped under -short.
const ShortReason = "needs real servers (Temporal, S3, InfluxDB), which -short leaves out"

// lanes is how many tests run at once unless -parallel says otherwise: they wait far more than they compute.
const lanes = 12

// stopWithin is how long a stack may take to stop before it is killed.
const stopWithin = 20 * time.Second

// Programs are the product's programs, built once for a test run.
type Programs struct {
	Worker, Gateway, Starter string
}

// Stack is a running stack and connections to it.
type Stack struct {
	Dir      string // of its state and its logs
	Programs Programs
	Gateway  string // URL for applications
	Admin    string // URL of the gateway's listener for operators
	Temporal client.Client
	Buckets  objectstore.Buckets
	Store    objectstore.Store // the bucket of everything that lasts
	Series   *timeseries.Influx

	servers devstack.Addresses
	config  string // folder of the user's configuration, so that the real one is left alone
	token   string // the gateways' admin token; "": they have none

	mu    sync.Mutex
	names map[string]int
}

// Main runs a package's tests on one stack, which it puts into *shared; under -short that stays nil and tests skip.
// The result is the process's exit code. An interrupt ends the stack too: its programs hold a pipe to this process.
func Main(m *testing.M, shared **Stack) int {
	flag.Parse()
	if testing.Short() {
		return m.Run()
	}
	if err := widen(); err != nil {
		return fail(err)
	}
	dir, err := os.MkdirTemp("", "leanloop-test-*")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx := context.Background()
	programs, err := prepare(ctx, dir, os.Stderr)
	if err != nil {
		return fail(err)
	}
	up, err := local.Up(ctx, local.Options{
		Data: filepath.Join(dir, "shared"), Log: os.Stderr, SearchAttributes: workflows.SearchAttributes(),
		Programs:   local.Binaries{Worker: programs.Worker, Gateway: programs.Gateway},
		WorkerArgs: []string{"--train-slots", "2", "--sweep", "5s"},
	})
	if err != nil {
		return fail(err)
	}
	defer stopLocal(up)
	s := &Stack{Dir: filepath.Join(dir, "shared"), Programs: programs, Gateway: up.GatewayURL(), Admin: up.AdminURL(), servers: up.Addresses(), config: filepath.Join(dir, "config")}
	if err := s.connect(ctx); err != nil {
		return fail(err)
	}
	defer s.disconnect()
	*shared = s
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "testkit:", err)
	return 1
}

// widen sets the number of tests at once, unless the command line did.
func widen() error {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", fmt.Sprint(lanes))
}

func stopLocal(up *local.Stack) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := up.Down(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "testkit: stop:", err)
	}
}

// prepare builds everything, then takes the user's own servers, keys and profiles out of the environment: what is
// started from now on can't reach them. Building comes first, since it may need the user's settings of the go command.
func prepare(ctx context.Context, dir string, log io.Writer) (Programs, error) {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if foreign(name) {
			if err := os.Unsetenv(name); err != nil {
				return Programs{}, err
			}
		}
	}
	if _, err := devstack.Build(ctx, log); err != nil {
		return Programs{}, err
	}
	programs, err := build(ctx, filepath.Join(dir, "bin"), log)
	if err != nil {
		return Programs{}, err
	}
	config := filepath.Join(dir, "config")
	if err := os.MkdirAll(config, 0o700); err != nil {
		return Programs{}, err
	}
	return programs, os.Setenv("XDG_CONFIG_HOME", config)
}

// foreign says that a variable could lead a test to servers that aren't its own. The development stack's own settings
// (where its builds are cached, which Temporal CLI serves) and the tests' own stay.
func foreign(name string) bool {
	switch name {
	case "LEANLOOP_CACHE", "LEANLOOP_DEVSTACK", "LEANLOOP_DEVSTACK_DIR", "LEANLOOP_TEMPORAL_CLI",
		"LEANLOOP_PYTHON", "LEANLOOP_REQUIRE_ALL":
		return false
	}
	for _, prefix := range []string{"TEMPORAL_", "AWS_", "INFLUX_", "LEANLOOP_", "SLACK_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// build compiles the product's programs side by side into dir, where `starter dev` finds them.
func build(ctx context.Context, dir string, log io.Writer) (Programs, error) {
	root, err := devstack.ProductDir()
	if err != nil {
		return Programs{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Programs{}, err
	}
	p := Programs{Worker: filepath.Join(dir, "worker"), Gateway: filepath.Join(dir, "gateway"), Starter: filepath.Join(dir, "starter")}
	for _, one := range []struct{ out, pkg string }{{p.Worker, "./workers"}, {p.Gateway, "./gateway"}, {p.Starter, "./starter"}, {filepath.Join(dir, "onnxhost"), "./onnxhost"}} {
		if err := devstack.Compile(ctx, root, one.pkg, one.out, log); err != nil {
			return Programs{}, fmt.Errorf("build %s: %w", one.pkg, err)
		}
	}
	return p, nil
}

// connect opens clients of the stack's servers.
func (s *Stack) connect(ctx context.Context) error {
	var err error
	s.Temporal, err = temporalx.Dial(ctx, temporalx.Connection{Address: s.servers.Temporal.Address, Namespace: s.servers.Temporal.Namespace}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	s3, err := objectstore.NewS3(ctx, objectstore.S3Config{
		Endpoint: s.servers.S3.Endpoint, Region: s.servers.S3.Region, AccessKey: s.servers.S3.AccessKey, SecretKey: s.servers.S3.SecretKey, PathStyle: true,
	})
	if err != nil {
		return err
	}
	s.Buckets, s.Store = s3, s3.Bucket(local.Bucket)
	s.Series, err = timeseries.NewInflux(timeseries.InfluxConfig{URL: s.servers.Influx.URL, Token: s.servers.Influx.Token, Bucket: s.servers.Influx.Database + "/autogen"})
	return err
}

func (s *Stack) disconnect() {
	if s.Series != nil {
		s.Series.Close()
	}
	if s.Temporal != nil {
		s.Temporal.Close()
	}
}

// Name makes a name that no other test of this run has: the given one, with a number from the second time on (as under
// -count 2).
func (s *Stack) Name(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil {
		s.names = map[string]int{}
	}
	s.names[name]++
	if n := s.names[name]; n > 1 {
		return fmt.Sprintf("%s-%d", name, n)
	}
	return name
}

// Environment is what a program needs to find the stack, and nothing else but what every program has.
func (s *Stack) Environment() []string {
	env := append(os.Environ(), append(local.Environment(s.servers, local.Bucket), "XDG_CONFIG_HOME="+s.config)...)
	if s.token != "" {
		env = append(env, "LEANLOOP_ADMIN_TOKEN="+s.token)
	}
	return env
}
