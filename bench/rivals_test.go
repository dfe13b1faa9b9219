package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

// turn is how long a rival is asked before the next one's turn.
const turn = time.Second

// rival is a server of the same model.
type rival struct {
	name     string
	version  string
	address  string
	requests [][]byte // for the same rows, in the same order

	asked     int
	spent     time.Duration
	latencies []time.Duration
}

// BenchmarkRivals asks the gateway and other servers of one model of XGBoost for one row at a time, on the same kept
// connections, in turn: FastAPI with uvicorn, MLServer with its XGBoost runtime, and nginx, which splits requests in
// front of a gateway. What this machine lacks is left out, and said. One operation is one turn of each.
func BenchmarkRivals(b *testing.B) {
	m := numbersModel(b)
	ours := &rival{name: "gateway", address: newGateway(b, 0, m.files).address, requests: m.named()}
	rivals := []*rival{ours}
	for _, start := range []func(*testing.B, *numbers, *rival) (*rival, string){startFastAPI, startMLServer, startMLServerParallel, startNginx} {
		r, why := start(b, m, ours)
		if why != "" {
			b.Log(why)
			continue
		}
		rivals = append(rivals, r)
	}
	for _, r := range rivals {
		r.answersAs(b, m)
		r.takes(b, turn) // connections, pools and code are warm
		r.asked, r.spent, r.latencies = 0, 0, nil
	}
	for b.Loop() {
		for _, r := range rivals {
			r.takes(b, turn)
		}
	}
	b.ReportMetric(0, "ns/op") // of a round: says nothing
	rate, p99 := ours.result(b)
	b.ReportMetric(rate, "gateway/s")
	b.ReportMetric(p99, "gateway-p99-µs")
	for _, r := range rivals[1:] {
		theirs, slow := r.result(b)
		b.ReportMetric(rate/theirs, "rate-of-"+r.name)
		b.ReportMetric(p99/slow, "p99-of-"+r.name)
	}
}

// result is predictions a second and the 99th percentile in microseconds.
func (r *rival) result(b *testing.B) (rate, p99 float64) {
	slices.Sort(r.latencies)
	rate, p99 = float64(r.asked)/r.spent.Seconds(), quantile(r.latencies, 0.99)
	b.Logf("%s %s: %.0f predictions a second, p50 %.0f µs, p99 %.0f µs", r.name, r.version, rate, quantile(r.latencies, 0.5), p99)
	return rate, p99
}

// takes asks for a time, on all connections.
func (r *rival) takes(b *testing.B, span time.Duration) {
	b.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	failed := make(chan error, connections)
	began := time.Now()
	for i := range connections {
		all.Go(func() {
			c, err := dial(r.address)
			if err != nil {
				failed <- err
				return
			}
			defer c.close()
			var took []time.Duration
			for n := i; ; n++ {
				at := time.Now()
				if at.Sub(began) >= span {
					break
				}
				if err := c.ask(r.requests[n%len(r.requests)]); err != nil {
					failed <- err
					return
				}
				took = append(took, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			r.asked, r.latencies = r.asked+len(took), append(r.latencies, took...)
		})
	}
	all.Wait()
	r.spent += time.Since(began)
	select {
	case err := <-failed:
		b.Fatalf("%s: %v", r.name, err)
	default:
	}
}

// answersAs holds a rival to the model's own scores, to single precision: what is raced must do the same work.
func (r *rival) answersAs(b *testing.B, m *numbers) {
	b.Helper()
	c := mustDial(b, r.address)
	for row := range 20 {
		require.NoError(b, c.ask(r.requests[row]), r.name)
		var answer struct {
			Score   float64
			Outputs []struct{ Data []float64 }
		}
		require.NoError(b, json.Unmarshal(c.body, &answer), "%s: %s", r.name, c.body)
		if len(answer.Outputs) > 0 {
			answer.Score = answer.Outputs[0].Data[0]
		}
		require.InDelta(b, m.scores[row], answer.Score, 1e-5, "%s, row %d: %s", r.name, row, c.body)
	}
}

// numbers is a model of the columns of flights that are numbers, which any version of XGBoost reads alike, and rows
// without nulls, which every protocol can say.
type numbers struct {
	files  map[string][]byte
	path   string // of the model file
	names  []string
	rows   [][]float64
	scores []float64
}

func numbersModel(tb testing.TB) *numbers {
	tb.Helper()
	t, err := january()
	require.NoError(tb, err)
	target := t.Columns[len(t.Columns)-1].Name
	m := &numbers{path: filepath.Join(tb.TempDir(), "model.json")}
	for _, c := range t.Columns {
		if c.Name != target && c.Floats != nil {
			m.names = append(m.names, c.Name)
		}
	}
	only, err := t.Project(append(slices.Clone(m.names), target))
	require.NoError(tb, err)
	out, err := training.Builtin(tb.Context(), training.Trees, training.Input{
		Train: only, Features: m.names, Target: target, Task: spec.Binary, Seed: 1, Params: map[string]any{"rounds": 100, "max_depth": 6, "subsample": 0.8},
	}, nil)
	require.NoError(tb, err)
	signature, err := out.Signature.Marshal()
	require.NoError(tb, err)
	m.files = map[string][]byte{inference.SignatureFile: signature, inference.ModelFile: out.Model}
	require.NoError(tb, os.WriteFile(m.path, out.Model, 0o600))
	loaded, err := inference.Load(m.files, inference.DefaultLimits())
	require.NoError(tb, err)
	score := make([]float64, 1)
	for row := 0; len(m.rows) < 1024; row++ {
		x := make([]float64, len(m.names))
		for i := range m.names {
			x[i] = only.Columns[i].Floats[row]
		}
		if slices.ContainsFunc(x, math.IsNaN) {
			continue
		}
		require.NoError(tb, loaded.Scorer.Score(x, 1, score))
		m.rows, m.scores = append(m.rows, x), append(m.scores, score[0])
	}
	return m
}

// named are requests with the features' names, as the gateway and FastAPI take them.
func (m *numbers) named() [][]byte {
	return m.each("/predict/"+modelName, func(x []float64) any {
		features := map[string]float64{}
		for i, name := range m.names {
			features[name] = x[i]
		}
		return map[string]any{"features": features}
	})
}

// tensors are requests of the Open Inference Protocol with one tensor, as MLServer's runtime takes them.
func (m *numbers) tensors() [][]byte {
	return m.each("/v2/models/"+modelName+"/infer", func(x []float64) any {
		return map[string]any{"inputs": []any{map[string]any{"name": "x", "datatype": "FP32", "shape": []int{1, len(x)}, "data": x}}}
	})
}

func (m *numbers) each(path string, body func([]float64) any) (out [][]byte) {
	for _, x := range m.rows {
		raw, err := json.Marshal(body(x))
		if err != nil {
			panic(err) // numbers that aren't NaN
		}
		out = append(out, fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: rival\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(raw), raw))
	}
	return out
}

// startFastAPI is FastAPI as its makers deploy it on one machine: uvicorn with uvloop and httptools, a worker a core.
func startFastAPI(b *testing.B, m *numbers, _ *rival) (*rival, string) {
	python := benchPython()
	if why := lacks(python, "fastapi", "uvicorn", "uvloop", "httptools", "xgboost"); why != "" {
		return nil, "FastAPI left out: " + why
	}
	port := freePort(b)
	cmd := exec.Command(python, "-m", "uvicorn", "--app-dir", "peers", "--host", "127.0.0.1", "--port", port, "--workers", "2",
		"--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "serve_fastapi:app")
	cmd.Env = append(os.Environ(), "MODEL="+m.path, "OMP_NUM_THREADS=1")
	r := &rival{name: "fastapi", address: "127.0.0.1:" + port, requests: m.named()}
	run(b, cmd, "http://"+r.address+"/versions")
	r.version = strings.TrimSpace(string(get(b, "http://"+r.address+"/versions")))
	return r, ""
}

// startMLServer is MLServer that scores in its own process: its quickest way for one row of a small model.
func startMLServer(b *testing.B, m *numbers, _ *rival) (*rival, string) {
	return mlserver(b, m, "mlserver", 0)
}

// startMLServerParallel is MLServer with a process for scoring on each core, as it has by default on one.
func startMLServerParallel(b *testing.B, m *numbers, _ *rival) (*rival, string) {
	return mlserver(b, m, "mlserver-parallel", 2)
}

func mlserver(b *testing.B, m *numbers, name string, workers int) (*rival, string) {
	python := either(os.Getenv("LEANLOOP_BENCH_MLSERVER"), benchPython())
	if why := lacks(python, "mlserver", "mlserver_xgboost"); why != "" {
		return nil, "MLServer left out: " + why + " (LEANLOOP_BENCH_MLSERVER names a Python of its own)"
	}
	dir := b.TempDir()
	http, grpc, metrics := freePort(b), freePort(b), freePort(b)
	write := func(file, text string) {
		require.NoError(b, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	write("settings.json", fmt.Sprintf(`{"debug": false, "host": "127.0.0.1", "http_port": %s, "grpc_port": %s, "metrics_port": %s, "parallel_workers": %d, "metrics_endpoint": null}`,
		http, grpc, metrics, workers))
	write("model-settings.json", fmt.Sprintf(`{"name": %q, "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": %q}}`, modelName, m.path))
	cmd := exec.Command(python, "-m", "mlserver.cli", "start", dir)
	if cli := filepath.Join(filepath.Dir(python), "mlserver"); exists(cli) {
		cmd = exec.Command(cli, "start", dir)
	}
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "PATH="+filepath.Dir(python)+":"+os.Getenv("PATH"))
	r := &rival{name: name, address: "127.0.0.1:" + http, requests: m.tensors()}
	run(b, cmd, "http://"+r.address+"/v2/models/"+modelName+"/ready")
	var about struct{ Version string }
	require.NoError(b, json.Unmarshal(get(b, "http://"+r.address+"/v2"), &about))
	r.version = about.Version
	return r, ""
}

// startNginx is nginx as the proxy that splits: 90 % to one name of the gateway, 10 % to another, connections kept.
func startNginx(b *testing.B, m *numbers, ours *rival) (*rival, string) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		return nil, "nginx left out: " + err.Error()
	}
	dir, port := b.TempDir(), freePort(b)
	require.NoError(b, os.WriteFile(filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, `
daemon off; worker_processes auto; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream champion { server %[3]s; keepalive 64; keepalive_requests 1000000; }
  upstream challenger { server %[3]s; keepalive 64; keepalive_requests 1000000; }
  split_clients $request_id $arm { 10%% challenger; * champion; }
  server {
    listen 127.0.0.1:%[2]s;
    location / { proxy_pass http://$arm; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`, dir, port, ours.address), 0o600))
	r := &rival{name: "nginx", address: "127.0.0.1:" + port, requests: m.named()}
	run(b, exec.Command(nginx, "-p", dir, "-c", filepath.Join(dir, "nginx.conf")), "http://"+r.address+"/v2/health/live")
	said, err := exec.Command(nginx, "-v").CombinedOutput()
	require.NoError(b, err)
	r.version = strings.TrimSpace(string(said))
	return r, ""
}

// run starts a server, waits until a URL answers 200, and ends it with the benchmark.
func run(b *testing.B, cmd *exec.Cmd, ready string) {
	b.Helper()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers end with it
	require.NoError(b, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	end := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
	}
	b.Cleanup(end)
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	for {
		if res, err := http.Get(ready); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-done:
			b.Fatalf("%s ended:\n%s", cmd, said.String())
		case <-ctx.Done():
			end()
			b.Fatalf("%s isn't ready:\n%s", cmd, said.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func get(b *testing.B, url string) []byte {
	b.Helper()
	res, err := http.Get(url)
	require.NoError(b, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(b, err)
	return raw
}

// lacks says which modules a Python can't import; "": none.
func lacks(python string, modules ...string) string {
	missing := map[string]bool{}
	for _, module := range modules {
		if err := exec.Command(python, "-c", "import "+module).Run(); err != nil {
			missing[module] = true
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("%s has no %s (%s names another)", python, strings.Join(slices.Sorted(maps.Keys(missing)), ", "), pythonVariable)
}

func freePort(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(b, err)
	return port
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func either(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
