package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/devstack"
)

// Bucket is the bucket of a local stack.
const Bucket = "leanloop"

// Options say what to run. Only Data and SearchAttributes are required.
type Options struct {
	Data                 string    // folder of all state; a second start continues where the first ended
	Log                  io.Writer // lines about what takes time
	Temporal, S3, Influx string    // servers that run already
	Ports                devstack.Ports
	Gateway              string // address for applications; "": as before, else a free one
	Namespace            string // Temporal's; "": default
	SearchAttributes     map[string]string
	WorkerArgs           []string
	Programs             Binaries // the programs to run; none: found or built, see Build
}

// Stack is everything on one machine: servers, a worker, a gateway.
type Stack struct {
	options  Options
	dev      *devstack.Stack
	programs Binaries
	listen   addresses
	worker   *Process
	gateway  *Process
}

// addresses are this stack's own, kept from one start to the next.
type addresses struct {
	Worker  string `json:"worker"` // health and events
	Gateway string `json:"gateway"`
	Admin   string `json:"admin"`
}

// Up builds what isn't built, starts the servers, a worker and a gateway, and returns when all are ready.
func Up(ctx context.Context, o Options) (*Stack, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	data, err := filepath.Abs(o.Data)
	if err != nil {
		return nil, err
	}
	o.Data = data
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	s := &Stack{options: o}
	if s.listen, err = chooseAddresses(filepath.Join(data, "addresses.json"), o.Gateway); err != nil {
		return nil, err
	}
	if s.programs = o.Programs; s.programs == (Binaries{}) {
		if s.programs, err = Build(ctx, filepath.Join(data, "bin"), o.Log); err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintln(o.Log, "starting Temporal, S3 and InfluxDB ...")
	s.dev, err = devstack.Start(ctx, devstack.Options{
		DataDir: filepath.Join(data, "devstack"), Namespace: o.Namespace, SearchAttributes: o.SearchAttributes, Buckets: []string{Bucket},
		EventWebhook: "http://" + s.listen.Worker + "/events/s3", Temporal: o.Temporal, S3: o.S3, Influx: o.Influx, Ports: o.Ports, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintln(o.Log, "starting a worker and a gateway ...")
	if err = s.StartWorker(ctx); err == nil {
		err = s.StartGateway(ctx)
	}
	if err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(err, s.Down(stop))
	}
	return s, nil
}

// chooseAddresses takes the addresses of the last start where they are free.
func chooseAddresses(path, gateway string) (addresses, error) {
	var a addresses
	if raw, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(raw, &a); err != nil {
			return a, fmt.Errorf("%s: %w", path, err)
		}
	}
	if gateway != "" {
		a.Gateway = gateway
	}
	for _, one := range []*string{&a.Worker, &a.Gateway, &a.Admin} {
		if *one != "" && free(*one) {
			continue
		}
		if one == &a.Gateway && gateway != "" {
			return a, fmt.Errorf("gateway address %s is taken", gateway)
		}
		*one = ""
		for *one == "" {
			address, err := FreeAddress()
			if err != nil {
				return a, err
			}
			if address != a.Worker && address != a.Gateway && address != a.Admin { // the system may name a port twice
				*one = address
			}
		}
	}
	raw, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	return a, os.WriteFile(path, raw, 0o600)
}

func free(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// StartWorker starts the worker, after it was stopped or killed.
func (s *Stack) StartWorker(ctx context.Context) error {
	args := append([]string{"--listen", s.listen.Worker, "--scratch", s.scratch()}, s.options.WorkerArgs...)
	_ = os.RemoveAll(s.scratch()) // a worker that was killed leaves its temporary files; a trainer that outlives it may still write there
	if err := os.MkdirAll(s.scratch(), 0o700); err != nil {
		return err
	}
	var err error
	s.worker, err = Start(ctx, Command{
		Name: "worker", Path: s.programs.Worker, Args: args, Without: s.foreign(), Env: s.environment(),
		Log: filepath.Join(s.options.Data, "worker.log"), Health: "http://" + s.listen.Worker + "/healthz",
	})
	return err
}

func (s *Stack) scratch() string { return filepath.Join(s.options.Data, "scratch") }

// StartGateway starts the gateway.
func (s *Stack) StartGateway(ctx context.Context) error {
	args := []string{
		"--listen", s.listen.Gateway, "--admin-listen", s.listen.Admin, "--id", "local", "--address", s.GatewayURL(),
		"--state-dir", filepath.Join(s.options.Data, "gateway"), "--flush-metrics", "1s", "--log-age", "3s",
	}
	var err error
	s.gateway, err = Start(ctx, Command{
		Name: "gateway", Path: s.programs.Gateway, Args: args, Without: s.foreign(), Env: s.environment(),
		Log: filepath.Join(s.options.Data, "gateway.log"), Health: "http://" + s.listen.Admin + "/healthz",
	})
	return err
}

// Addresses are the servers'.
func (s *Stack) Addresses() devstack.Addresses { return s.dev.Addresses() }

// Own reports whether the stack started a server itself: temporal, ui, s3 or influx. Others ran already.
func (s *Stack) Own(server string) bool { return slices.Contains(s.Addresses().Started, server) }

// foreign are the variables of this process that are about other servers than the stack's own. A key or a token among
// them would be sent to the wrong one.
func (s *Stack) foreign() []string {
	var prefixes []string
	for server, prefix := range map[string]string{"temporal": "TEMPORAL_", "s3": "AWS_", "influx": "INFLUX_"} {
		if s.Own(server) {
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes
}

// environment is what worker and gateway get beside what they inherit.
func (s *Stack) environment() []string {
	env := s.Environment()
	if s.Own("temporal") {
		env = append(env, "TEMPORAL_CONFIG_FILE="+os.DevNull) // no profile is for this server
	}
	return env
}

// Environment is what a program needs to find the stack.
func (s *Stack) Environment() []string { return Environment(s.Addresses(), Bucket) }

// GatewayURL is where applications send requests.
func (s *Stack) GatewayURL() string { return "http://" + s.listen.Gateway }

// AdminURL is the gateway's for operators.
func (s *Stack) AdminURL() string { return "http://" + s.listen.Admin }

// Worker and Gateway are the running programs.
func (s *Stack) Worker() *Process  { return s.worker }
func (s *Stack) Gateway() *Process { return s.gateway }

// Watch returns when ctx ends, or when the servers do; a worker or a gateway that ends is started again.
func (s *Stack) Watch(ctx context.Context) error {
	servers := s.dev.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-servers:
			return fmt.Errorf("the servers ended: %w", err)
		case <-s.worker.Done():
			if err := s.again(ctx, "worker", s.StartWorker); err != nil {
				return err
			}
		case <-s.gateway.Done():
			if err := s.again(ctx, "gateway", s.StartGateway); err != nil {
				return err
			}
		}
	}
}

func (s *Stack) again(ctx context.Context, name string, start func(context.Context) error) error {
	if ctx.Err() != nil {
		return nil
	}
	_, _ = fmt.Fprintf(s.options.Log, "the %s ended; starting it again\n", name)
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(time.Second):
	}
	return start(ctx)
}

// Down stops gateway, worker and servers, in this order, so that the gateway can still flush.
func (s *Stack) Down(ctx context.Context) error {
	var trouble []error
	for _, p := range []*Process{s.gateway, s.worker} {
		if p != nil {
			trouble = append(trouble, p.Stop(ctx))
		}
	}
	return errors.Join(append(trouble, s.dev.Stop(ctx))...)
}
