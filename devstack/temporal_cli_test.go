package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestTheTemporalCLIServesInsteadOfTheEmbeddedServer(t *testing.T) {
	realServers(t)
	cli, record := fakeCLI(t)
	dir := t.TempDir()
	args := []string{
		"--data", dir, "--temporal-cli", cli, "--no-influx", "--namespace", "loop",
		"--search-attribute", "Model=Keyword", "--search-attribute", "Stage=Keyword",
	}
	p := startProcess(t, args...)
	if !slices.Equal(p.Started, []string{"temporal", "ui", "s3"}) || p.Temporal.Namespace != "loop" {
		t.Errorf("ready line %+v", p.ready)
	}
	fake := record(t)
	for _, want := range []string{
		"server start-dev", "--ip 127.0.0.1", "--db-filename " + filepath.Join(dir, "temporal", "cli.db"),
		"--namespace loop", "--port " + port(t, p.Temporal.Address), "--ui-port " + port(t, strings.TrimPrefix(p.Temporal.UI, "http://")),
		"--search-attribute Model=Keyword", "--search-attribute Stage=Keyword",
		"--dynamic-config-value history.transferProcessorMaxPollRPS=2000",
		"--dynamic-config-value system.forceSearchAttributesCacheRefreshOnRead=true",
		"--sqlite-pragma journal_mode=wal", "--sqlite-pragma synchronous=normal",
		"added Stage=Keyword", "retention 72h0m0s",
	} {
		if !strings.Contains(fake.said, want) {
			t.Errorf("the CLI was not told %q, but:\n%s", want, fake.said)
		}
	}
	if strings.Contains(fake.said, "added Model") {
		t.Errorf("Model, which the server had, was added again:\n%s", fake.said)
	}
	p.kill(t)
	if err := goneWithin(fake.pid, 5*time.Second); err != nil {
		t.Errorf("the CLI outlived a killed devstack: %v", err)
	}

	p = startProcess(t, args...)
	fake = record(t)
	must(t, syscall.Kill(fake.pid, syscall.SIGKILL))
	if code := p.wait(t); code == 0 || !strings.Contains(p.stderr.String(), "component temporal (cli) ended by itself") {
		t.Errorf("exit code %d after the CLI died: %s", code, p.stderr)
	}

	p = startProcess(t, args...)
	fake = record(t)
	p.stop(t)
	if err := goneWithin(fake.pid, time.Second); err != nil {
		t.Errorf("the CLI outlived a clean stop: %v", err)
	}
}

func TestARunningServerIsUsedAndOnlyTheRestIsStarted(t *testing.T) {
	realServers(t)
	temporal, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer temporal.Close()
	influx, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = server.Serve(influx) }()
	defer server.Close()

	p := startProcess(t, "--data", t.TempDir(), "--temporal", temporal.Addr().String(), "--influx", "http://"+influx.Addr().String())
	if !slices.Equal(p.Started, []string{"s3"}) {
		t.Errorf("started %v, want s3 alone", p.Started)
	}
	if p.Temporal.Address != temporal.Addr().String() || p.Influx.URL != "http://"+influx.Addr().String() {
		t.Errorf("addresses are not echoed: %+v", p.ready)
	}
	must(t, temporal.Close())
	resp, err := http.Get(p.Health)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("health is %d though temporal is down, want 503", resp.StatusCode)
	}
	p.stop(t)
}

// started is what a fake CLI wrote about itself.
type started struct {
	pid  int
	said string
}

// fakeCLI makes a script that is the fake Temporal CLI, and a function that
// reads what its last run recorded.
func fakeCLI(t *testing.T) (path string, record func(*testing.T) started) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "temporal"), filepath.Join(dir, "record")
	script := fmt.Sprintf("#!/bin/sh\n%s=temporal FAKE_RECORD='%s' exec '%s' \"$@\"\n", asProgram, log, os.Args[0])
	must(t, os.WriteFile(path, []byte(script), 0o755))
	return path, func(t *testing.T) started {
		t.Helper()
		b, err := os.ReadFile(log)
		must(t, err)
		first, _, _ := strings.Cut(string(b), "\n")
		pid, err := strconv.Atoi(first)
		must(t, err)
		return started{pid: pid, said: string(b)}
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	must(t, err)
	return p
}

// goneWithin waits for the end of a process that isn't a child of this one.
func goneWithin(pid int, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		// A zombie that nobody reaps has no command line any more.
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if syscall.Kill(pid, 0) != nil || (err == nil && len(line) == 0) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("pid %d runs after %s", pid, limit)
}

// fakeTemporal is `temporal server start-dev` as far as devstack can tell: a
// frontend that knows one namespace with one search attribute, and a UI.
func fakeTemporal(args []string) error {
	record, err := os.Create(os.Getenv("FAKE_RECORD"))
	if err != nil {
		return err
	}
	fmt.Fprintln(record, os.Getpid())
	fmt.Fprintln(record, strings.Join(args, " "))
	value := func(flag string) string {
		if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
			return args[i+1]
		}
		return ""
	}
	l, err := net.Listen("tcp", net.JoinHostPort(value("--ip"), value("--port")))
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	health := grpchealth.NewServer()
	health.SetServingStatus(workflowservice.WorkflowService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, health)
	front := &fakeFrontend{record: record, namespace: value("--namespace")}
	workflowservice.RegisterWorkflowServiceServer(server, front)
	operatorservice.RegisterOperatorServiceServer(server, &fakeOperator{record: record})
	if ui := value("--ui-port"); ui != "" {
		go func() { _ = http.ListenAndServe("127.0.0.1:"+ui, http.NotFoundHandler()) }()
	}
	return server.Serve(l)
}

type fakeFrontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	mu        sync.Mutex
	record    *os.File
	namespace string
}

func (f *fakeFrontend) DescribeNamespace(_ context.Context, r *workflowservice.DescribeNamespaceRequest) (
	*workflowservice.DescribeNamespaceResponse, error,
) {
	if r.Namespace != f.namespace {
		return nil, status.Errorf(codes.NotFound, "namespace %q", r.Namespace)
	}
	return &workflowservice.DescribeNamespaceResponse{Config: &namespacepb.NamespaceConfig{
		WorkflowExecutionRetentionTtl: durationpb.New(24 * time.Hour),
	}}, nil
}

func (f *fakeFrontend) UpdateNamespace(_ context.Context, r *workflowservice.UpdateNamespaceRequest) (
	*workflowservice.UpdateNamespaceResponse, error,
) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintln(f.record, "retention", r.Config.WorkflowExecutionRetentionTtl.AsDuration())
	return &workflowservice.UpdateNamespaceResponse{}, nil
}

type fakeOperator struct {
	operatorservice.UnimplementedOperatorServiceServer
	record *os.File
}

func (f *fakeOperator) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (
	*operatorservice.ListSearchAttributesResponse, error,
) {
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{
		"Model": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}}, nil
}

func (f *fakeOperator) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest) (
	*operatorservice.AddSearchAttributesResponse, error,
) {
	for name, typ := range r.SearchAttributes {
		fmt.Fprintf(f.record, "added %s=%s\n", name, typ)
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}
