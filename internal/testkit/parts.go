package testkit

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/workflows"
)

// The parts of a Parts, each a process of its own.
const (
	PartTemporal = "temporal"
	PartS3       = "s3"
	PartInflux   = "influx"
	PartWorker   = "worker"
	PartReserve  = "worker-2" // doesn't run until it is started
	PartGateway  = "gateway-1"
	PartGateway2 = "gateway-2"
)

// elsewhere is what a server's program is told of servers that others run; it asks them nothing.
const elsewhere = "127.0.0.1:9"

// adminToken is what the gateways of a Parts ask for before they break the glass.
const adminToken = "the-tests-own-admin-token"

// Parts is a stack of a test's own whose every part is a process: it is killed, stopped and started by its name. Two
// gateways serve, and each reaches S3 by a line of its own.
type Parts struct {
	*Stack
	Gateways []Gateway

	servers  map[string]*server
	programs map[string]*program
	given    map[string]bool // addresses
}

// Gateway is one of the gateways.
type Gateway struct {
	Part, URL, Admin string
	S3               *Line
}

// server is one of the stack's servers, in a devstack program that runs nothing else.
type server struct {
	options devstack.Options
	running *devstack.Stack // nil: it didn't start
	killed  bool
}

// program is a worker or a gateway.
type program struct {
	command local.Command
	running *local.Process
}

// StartParts starts all parts in a folder that goes with the test. They end with the test, and with its process however
// that ends. like lends its programs.
func StartParts(t testing.TB, like *Stack) *Parts {
	t.Helper()
	dir := t.TempDir()
	p := &Parts{
		Stack:   &Stack{Dir: dir, Programs: like.Programs, config: filepath.Join(dir, "config"), token: adminToken},
		servers: map[string]*server{}, programs: map[string]*program{}, given: map[string]bool{},
	}
	t.Cleanup(p.stop)
	p.startServers(t)
	if err := p.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.disconnect)
	for _, name := range []string{PartWorker, PartReserve} {
		p.addWorker(t, name)
	}
	for _, name := range []string{PartGateway, PartGateway2} {
		p.addGateway(t, name)
	}
	p.Stack.Gateway, p.Admin = p.Gateways[0].URL, p.Gateways[0].Admin
	for _, name := range []string{PartWorker, PartGateway, PartGateway2} {
		p.Start(t, name)
	}
	return p
}

// startServers starts Temporal, S3 and InfluxDB and notes where they answer.
func (p *Parts) startServers(t testing.TB) {
	t.Helper()
	for name, o := range map[string]devstack.Options{
		PartTemporal: {S3: "http://" + elsewhere, NoInflux: true, NoUI: true, SearchAttributes: workflows.SearchAttributes()},
		PartS3:       {Temporal: elsewhere, NoInflux: true, Buckets: []string{local.Bucket}},
		PartInflux:   {Temporal: elsewhere, S3: "http://" + elsewhere},
	} {
		o.DataDir, o.Log = filepath.Join(p.Dir, name), io.Discard
		p.servers[name] = &server{options: o}
		p.Start(t, name)
	}
	p.Stack.servers.Temporal = p.servers[PartTemporal].running.Addresses().Temporal
	p.Stack.servers.S3 = p.servers[PartS3].running.Addresses().S3
	p.Stack.servers.Influx = p.servers[PartInflux].running.Addresses().Influx
}

func (p *Parts) addWorker(t testing.TB, name string) {
	t.Helper()
	listen, scratch := p.address(t), filepath.Join(p.Dir, name+"-scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	p.programs[name] = &program{command: local.Command{
		Name: name, Path: p.Programs.Worker, Args: []string{"--listen", listen, "--scratch", scratch, "--sweep", "5s", "--train-slots", "2"},
		Env: p.programEnvironment(), Log: p.log(name), Health: "http://" + listen + "/healthz",
	}}
}

func (p *Parts) addGateway(t testing.TB, name string) {
	t.Helper()
	line := NewLine(t, strings.TrimPrefix(p.Stack.servers.S3.Endpoint, "http://"))
	listen, admin := p.address(t), p.address(t)
	g := Gateway{Part: name, URL: "http://" + listen, Admin: "http://" + admin, S3: line}
	p.Gateways = append(p.Gateways, g)
	p.programs[name] = &program{command: local.Command{
		Name: name, Path: p.Programs.Gateway,
		Args: []string{"--listen", listen, "--admin-listen", admin, "--id", name, "--state-dir", filepath.Join(p.Dir, name), "--flush-metrics", "1s"},
		Env:  append(p.programEnvironment(), "AWS_ENDPOINT_URL_S3=http://"+line.Address()),
		Log:  p.log(name), Health: g.Admin + "/healthz",
	}}
}

// address is one that no other part was given: the system may name a free port twice.
func (p *Parts) address(t testing.TB) string {
	t.Helper()
	for {
		address, err := local.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if !p.given[address] {
			p.given[address] = true
			return address
		}
	}
}

func (p *Parts) log(name string) string { return filepath.Join(p.Dir, name+".log") }

func (p *Parts) programEnvironment() []string {
	return append(local.Environment(p.Stack.servers, local.Bucket), "LEANLOOP_ADMIN_TOKEN="+adminToken, "TEMPORAL_CONFIG_FILE="+os.DevNull)
}

// Start starts a part, for the first time or where its last process ended, and returns when it answers. It goes on with
// its folder, at its address.
func (p *Parts) Start(t testing.TB, part string) {
	t.Helper()
	if err := p.begin(t.Context(), part); err != nil {
		t.Fatalf("start %s: %v", part, err)
	}
}

func (p *Parts) begin(ctx context.Context, part string) error {
	if s, ok := p.servers[part]; ok {
		running, err := devstack.Start(ctx, s.options)
		if err == nil {
			s.running, s.killed = running, false
		}
		return err
	}
	g, ok := p.programs[part]
	if !ok {
		return errors.New("no such part")
	}
	running, err := local.Start(ctx, g.command)
	if err == nil {
		g.running = running
	}
	return err
}

// Kill ends a part with SIGKILL and returns when it is gone.
func (p *Parts) Kill(t testing.TB, part string) {
	t.Helper()
	if s, ok := p.servers[part]; ok {
		s.running.Kill()
		<-s.running.Wait()
		s.killed = true
		return
	}
	p.programs[part].running.Kill()
}

// Signal sends a signal to a part's process.
func (p *Parts) Signal(t testing.TB, part string, s syscall.Signal) {
	t.Helper()
	pid := 0
	if one, ok := p.servers[part]; ok {
		pid = one.running.Pid()
	} else {
		pid = p.programs[part].running.Pid()
	}
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal %s to %s: %v", s, part, err)
	}
}

// Recover has every part run and every line whole again, but for the reserve, which ends.
func (p *Parts) Recover(t testing.TB) {
	t.Helper()
	for _, g := range p.Gateways {
		g.S3.Mend()
	}
	for name, s := range p.servers {
		if s.killed {
			p.Start(t, name)
		}
	}
	for name, g := range p.programs {
		switch {
		case name == PartReserve:
			if g.running != nil {
				g.running.Kill()
			}
		case g.ended():
			p.Start(t, name)
		default:
			p.Signal(t, name, syscall.SIGCONT)
		}
	}
}

// ended says that the program doesn't run.
func (g *program) ended() bool {
	if g.running == nil {
		return true
	}
	select {
	case <-g.running.Done():
		return true
	default:
		return false
	}
}

// Log is the end of what a worker or a gateway wrote, for a failed test.
func (p *Parts) Log(part string) string {
	const shown = 4000
	raw, err := os.ReadFile(p.log(part))
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-shown):])
}

// stop ends what runs: programs first, as their last words need the servers.
func (p *Parts) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	for _, g := range p.programs {
		if g.ended() {
			continue
		}
		_ = syscall.Kill(g.running.Pid(), syscall.SIGCONT) // one that was stopped can't end
		_ = g.running.Stop(ctx)                            // killed at the latest
	}
	for _, s := range p.servers {
		if s.running != nil {
			s.running.Kill() // its folder goes, too
		}
	}
}
