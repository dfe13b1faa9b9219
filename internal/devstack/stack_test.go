package devstack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleEnv makes the test binary play another process of these tests.
const roleEnv = "DEVSTACK_LAUNCHER_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "program":
		os.Exit(fakeProgram())
	case "parent":
		os.Exit(parentProcess())
	}
}

// fakeProgram is the devstack program as far as the launcher can tell. What it
// does depends on the namespace it is given.
func fakeProgram() int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	arg := func(name string) string { return os.Args[slices.Index(os.Args, name)+1] }
	behaviour := arg("--namespace")
	fmt.Fprintln(os.Stderr, "a warning from", behaviour)
	switch behaviour {
	case "fails":
		return 3
	case "prints-garbage":
		fmt.Println("hello")
	case "says-nothing":
	default:
		var a Addresses
		a.Temporal.Address, a.Temporal.Namespace = "127.0.0.1:1", behaviour
		a.S3.Endpoint, a.Health, a.PID = "http://127.0.0.1:2", "http://127.0.0.1:3/healthz", os.Getpid()
		line, _ := json.Marshal(a)
		fmt.Println(string(line))
	}
	if behaviour == "dies" {
		return 4
	}
	if slices.Contains(os.Args, "--parent-pipe") {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop <- syscall.SIGTERM
		}()
	}
	for {
		<-stop
		if behaviour != "ignores-stop" {
			return 0
		}
	}
}

// fake starts the fake program with a behaviour.
func fake(t *testing.T, behaviour string, change func(*Options)) (*Stack, error) {
	t.Helper()
	t.Setenv(roleEnv, "program")
	o := Options{DataDir: filepath.Join(t.TempDir(), "data"), Namespace: behaviour}
	if change != nil {
		change(&o)
	}
	s, err := launch(t.Context(), os.Args[0], "", o)
	if err == nil {
		t.Cleanup(s.Kill)
	}
	return s, err
}

func TestAStackIsReadyWhenItsLineIsRead(t *testing.T) {
	s, err := fake(t, "works", nil)
	must(t, err)
	if a := s.Addresses(); a.Temporal.Namespace != "works" || a.PID != s.Pid() {
		t.Errorf("addresses %+v, pid %d", a, s.Pid())
	}
	must(t, s.Stop(t.Context()))
	if err := <-s.Wait(); err != nil {
		t.Errorf("a clean stop ends with %v", err)
	}
	must(t, s.Stop(t.Context())) // again is no error
}

func TestAStackThatDoesNotStartSaysWhy(t *testing.T) {
	for behaviour, want := range map[string][]string{
		"fails":          {"didn't start", "exit status 3", "a warning from fails"},
		"prints-garbage": {`ready line "hello`},
	} {
		for _, stderr := range []io.Writer{nil, io.Discard} {
			_, err := fake(t, behaviour, func(o *Options) { o.Stderr = stderr })
			for _, part := range want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: error %v lacks %q", behaviour, err, part)
				}
			}
		}
	}
	t.Setenv(roleEnv, "program")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	_, err := launch(ctx, os.Args[0], "", Options{DataDir: t.TempDir(), Namespace: "says-nothing"})
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("silent program: error %v", err)
	}
}

func TestAStackThatEndsByItselfIsSeen(t *testing.T) {
	var stderr bytes.Buffer
	s, err := fake(t, "dies", func(o *Options) { o.Stderr = &stderr })
	must(t, err)
	if err := <-s.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 4: a warning from dies") {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(stderr.String(), "a warning from dies") {
		t.Errorf("stderr %q", stderr.String())
	}
}

func TestAStackThatWillNotStopIsKilled(t *testing.T) {
	s, err := fake(t, "ignores-stop", nil)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); err == nil || !strings.Contains(err.Error(), "killed it") {
		t.Errorf("stop gives %v", err)
	}
	<-s.Wait()
}

// parentProcess starts a stack, says its pid and waits to be killed.
func parentProcess() int {
	os.Setenv(roleEnv, os.Getenv(roleEnv+"_OF_CHILD"))
	o := Options{DataDir: os.Args[1], Namespace: "works", Detach: os.Args[2] == "detach"}
	s, err := launch(context.Background(), os.Args[0], "", o)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(s.Pid())
	select {}
}

func TestOnlyADetachedStackOutlivesItsParent(t *testing.T) {
	for _, detach := range []bool{false, true} {
		mode := map[bool]string{false: "attached", true: "detach"}[detach]
		t.Run(mode, func(t *testing.T) {
			parent := exec.Command(os.Args[0], t.TempDir(), mode)
			parent.Env = append(os.Environ(), roleEnv+"=parent", roleEnv+"_OF_CHILD=program")
			out, err := parent.StdoutPipe()
			must(t, err)
			must(t, parent.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			must(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			must(t, err)
			must(t, parent.Process.Kill())
			_ = parent.Wait()
			if gone := endsWithin(pid, map[bool]time.Duration{false: 5 * time.Second, true: 300 * time.Millisecond}[detach]); gone == detach {
				t.Errorf("after kill -9 of its parent the stack is gone: %t", gone)
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		})
	}
}

// endsWithin says whether a process that is no child of this one ended.
func endsWithin(pid int, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		// A zombie that nobody reaps has no command line any more.
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if syscall.Kill(pid, 0) != nil || (err == nil && len(line) == 0) {
			return true
		}
	}
	return false
}

func TestOptionsBecomeFlags(t *testing.T) {
	o := Options{
		DataDir: "/d", Namespace: "n", Retention: 2 * time.Hour, SearchAttributes: map[string]string{"B": "Int", "A": "Keyword"},
		Buckets: []string{"lake"}, EventWebhook: "http://h", Influx: "http://i", Ports: Ports{Temporal: 7233}, NoUI: true,
	}
	got, err := o.args("/bin/temporal")
	must(t, err)
	want := "--data /d --namespace n --retention 2h0m0s --search-attribute A=Keyword --search-attribute B=Int --bucket lake " +
		"--event-webhook http://h --influx http://i --temporal-cli /bin/temporal --temporal-port 7233 --no-ui --parent-pipe"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	for name, bad := range map[string]Options{
		"no folder":      {},
		"attribute type": {DataDir: "/d", SearchAttributes: map[string]string{"A": "String"}},
		"bucket name":    {DataDir: "/d", Buckets: []string{"ab"}},
	} {
		if bad.validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestARunningStackIsFoundByItsFolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := Running(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("an empty folder gives %v", err)
	}
	pid := 42
	health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"ok","pid":%d}`, pid)
	}))
	a := Addresses{PID: pid, Health: health.URL}
	a.Temporal.Address, a.S3.Endpoint = "x:1", "http://x"
	line, err := json.Marshal(a)
	must(t, err)
	write(t, dir, map[string]string{addressesFile: string(line)})
	if got, err := Running(t.Context(), dir); err != nil || got.Health != health.URL {
		t.Errorf("running: %+v, %v", got, err)
	}
	pid = 43 // another program got the port
	if _, err := Running(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("another program gives %v", err)
	}
	health.Close() // the stack was killed
	if _, err := Running(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a killed stack gives %v", err)
	}
}

func TestTheTailKeepsTheEnd(t *testing.T) {
	w := newTail()
	if got := w.suffix(); got != "" {
		t.Errorf("empty: %q", got)
	}
	for range 1000 {
		_, err := w.Write([]byte("0123456789"))
		must(t, err)
	}
	_, err := w.Write([]byte("the end\n"))
	must(t, err)
	if got := w.suffix(); len(got) > tailSize+2 || !strings.HasSuffix(got, "789the end") {
		t.Errorf("%d bytes, ending %q", len(got), got[len(got)-20:])
	}
}
