package hosts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanloop/leanloop/internal/onnx"
)

// TestMain is also the host that these tests run: started as one, this program answers as the name of its library says.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		pretend(filepath.Base(os.Args[2]), os.Stdin, os.NewFile(3, "answers"))
		return
	}
	goleak.VerifyTestMain(m)
}

// Rows of a question that a pretended host takes ill.
const (
	rowsCrash, rowsHang, rowsNonsense, rowsRefused, rowsSlow = 13, 14, 15, 16, 17
)

// slow is how long a pretended host takes for rowsSlow.
const slow = 250 * time.Millisecond

// pretend answers each row with the process's id.
func pretend(kind string, in io.Reader, out io.Writer) {
	send := func(kind byte, body []byte) {
		b, _ := onnx.SealFrame(append(onnx.AppendFrame(nil, kind), body...))
		_, _ = out.Write(b)
	}
	_, body, err := onnx.ReadFrame(in, nil, onnx.MaxFrame)
	if err != nil {
		return
	}
	switch kind {
	case "silent":
		_, _ = io.Copy(io.Discard, in)
		return
	case "broken":
		fmt.Fprintln(os.Stderr, "terminate called after throwing an instance of 'std::bad_alloc'")
		os.Exit(134)
	case "strict":
		send(onnx.FrameError, []byte("no such operator"))
		return
	}
	if _, model, err := onnx.ParseLoad(body); err != nil || string(model) != "model" {
		os.Exit(9)
	}
	send(onnx.FrameLoaded, []byte("1.0"))
	for {
		_, body, err := onnx.ReadFrame(in, nil, onnx.MaxFrame)
		if err != nil {
			return
		}
		rows, _, err := onnx.ParseRows(body)
		if err != nil {
			os.Exit(9)
		}
		switch rows {
		case rowsCrash:
			fmt.Fprintln(os.Stderr, "segmentation violation")
			os.Exit(139)
		case rowsHang:
			_, _ = io.Copy(io.Discard, in)
			return
		case rowsNonsense:
			send(onnx.FrameScores, []byte{255, 255, 255, 255, 0})
		case rowsRefused:
			send(onnx.FrameError, []byte("no such category"))
		case rowsSlow:
			time.Sleep(slow)
			fallthrough
		default:
			a := onnx.Answer{Columns: 1}
			for range rows {
				a.Values = append(a.Values, float64(os.Getpid()))
			}
			send(onnx.FrameScores, onnx.AppendAnswer(nil, a))
		}
	}
}

func config(t testing.TB, kind string) Config {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	library := filepath.Join(t.TempDir(), kind)
	require.NoError(t, os.WriteFile(library, nil, 0o600))
	return Config{Host: self, Library: library, Processes: 2, Timeout: 5 * time.Second, Start: 10 * time.Second}
}

func call() onnx.Call {
	return onnx.Call{Inputs: []onnx.Input{{Name: "X", Type: onnx.Float, Columns: 1}}, Output: "Y", MaxColumns: 10}
}

func open(t testing.TB, c Config) onnx.Session {
	t.Helper()
	s, err := New(c).Open(t.Context(), call(), []byte("model"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// ask gives the id of the process that answered.
func ask(ctx context.Context, s onnx.Session, rows int) (int, error) {
	frame := onnx.BeginRows(nil, rows)
	frame, err := onnx.SealFrame(append(frame, make([]byte, call().Offsets(rows)[1])...))
	if err != nil {
		return 0, err
	}
	a, err := s.Score(ctx, rows, frame)
	if err != nil {
		return 0, err
	}
	if len(a.Values) != rows {
		return 0, fmt.Errorf("%d values for %d rows", len(a.Values), rows)
	}
	return int(a.Values[0]), nil
}

func TestAHostThatEndsIsReplacedAndSaysWhy(t *testing.T) {
	s := open(t, config(t, "good"))
	_, err := ask(t.Context(), s, 1)
	require.NoError(t, err)
	_, err = ask(t.Context(), s, rowsCrash)
	require.ErrorIs(t, err, errDied, "asked twice, and both ended")
	require.ErrorContains(t, err, "scoring 13 rows, it ended with exit status 139: segmentation violation")
	_, err = ask(t.Context(), s, 1)
	require.NoError(t, err, "a new host answers, once it is there")
}

func TestAHostThatHangsIsEndedAtTheDeadline(t *testing.T) {
	c := config(t, "good")
	c.Timeout = 300 * time.Millisecond
	s := open(t, c)
	began := time.Now()
	_, err := ask(t.Context(), s, rowsHang)
	require.ErrorIs(t, err, errSlow)
	require.Less(t, time.Since(began), 3*time.Second, "and isn't asked again")
	require.Eventually(t, func() bool {
		_, err := ask(t.Context(), s, 1)
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
}

// More questions than a host can answer in time fail those who asked. The host is none the worse for it: ended and started
// again, it would answer even fewer.
func TestAnOverloadEndsNoHost(t *testing.T) {
	c := config(t, "good")
	c.Processes, c.Timeout = 1, 2*slow-slow/5
	s := open(t, c)
	before, err := ask(t.Context(), s, 1)
	require.NoError(t, err)
	var late atomic.Int64
	var clients sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			if _, err := ask(t.Context(), s, rowsSlow); err != nil {
				late.Add(1)
			}
		})
	}
	clients.Wait()
	require.Positive(t, late.Load(), "some waited for too long")
	require.Eventually(t, func() bool {
		after, err := ask(t.Context(), s, 1)
		return err == nil && after == before
	}, 10*time.Second, 10*time.Millisecond, "the same host")
}

func TestWhoStopsWaitingGoesAtOnce(t *testing.T) {
	s := open(t, config(t, "good"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := ask(ctx, s, rowsHang)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNonsenseIsAnErrorAndARefusalEndsNoHost(t *testing.T) {
	c := config(t, "good")
	c.Processes = 1
	s := open(t, c)
	before, err := ask(t.Context(), s, 1)
	require.NoError(t, err)
	_, err = ask(t.Context(), s, rowsRefused)
	_, refused := errors.AsType[*onnx.RefusedError](err)
	require.True(t, refused, "%v", err)
	after, err := ask(t.Context(), s, 1)
	require.NoError(t, err)
	require.Equal(t, before, after, "the same host")
	_, err = ask(t.Context(), s, rowsNonsense)
	require.ErrorIs(t, err, errDied)
}

// Hosts are killed one after the other while questions are asked: none fails.
func TestHostsKilledUnderLoadCostNoAnswer(t *testing.T) {
	s := open(t, config(t, "good"))
	var stop atomic.Bool
	var asked, pid atomic.Int64
	var pids sync.Map // of the hosts that answered since the last kill
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				answered, err := ask(t.Context(), s, 3)
				if err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
				pids.Store(int64(answered), true)
				pid.Store(int64(answered))
			}
		})
	}
	kills := 6
	if testing.Short() {
		kills = 2
	}
	for range kills {
		at := asked.Load()
		require.Eventually(t, func() bool { return asked.Load() > at+50 || t.Failed() }, 20*time.Second, time.Millisecond)
		killed := pid.Load()
		require.NoError(t, syscall.Kill(int(killed), syscall.SIGKILL))
		pids.Clear()
		require.Eventually(t, func() bool {
			others := 0
			pids.Range(func(pid, _ any) bool {
				if pid != killed {
					others++
				}
				return true
			})
			return others == 2 || t.Failed()
		}, 20*time.Second, 10*time.Millisecond, "it is replaced before the next one is killed: a question survives one")
	}
	stop.Store(true)
	clients.Wait()
}

func TestAModelThatCantBeLoadedIsAnErrorThatSaysWhy(t *testing.T) {
	_, err := New(config(t, "strict")).Open(t.Context(), call(), []byte("model"))
	refused, ok := errors.AsType[*onnx.ModelError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "no such operator", refused.Message)
	_, err = New(config(t, "broken")).Open(t.Context(), call(), []byte("model"))
	require.ErrorContains(t, err, "loading the model, it ended with exit status 134: terminate called after throwing an instance of 'std::bad_alloc'")
	c := config(t, "silent")
	c.Start = 200 * time.Millisecond
	_, err = New(c).Open(t.Context(), call(), []byte("model"))
	require.ErrorIs(t, err, errSlow)
	c.Start = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = New(c).Open(ctx, call(), []byte("model"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestClosingEndsEveryHost(t *testing.T) {
	s, err := New(config(t, "good")).Open(t.Context(), call(), []byte("model"))
	require.NoError(t, err)
	pid, err := ask(t.Context(), s, 1)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice is once")
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	_, err = ask(t.Context(), s, 1)
	require.ErrorIs(t, err, errClosed)
}

func TestWhatIsMissingIsNamedWithWhatToDo(t *testing.T) {
	nowhere := t.TempDir()
	t.Setenv("PATH", nowhere)
	none := func(string) string { return "" }
	_, err := New(Config{Getenv: none}).Open(t.Context(), call(), nil)
	require.ErrorContains(t, err, "ONNX models can't be scored here: the program onnxhost was not found (looked for: ")
	require.ErrorContains(t, err, "; PATH). Build it (CGO_ENABLED=0 go build ./onnxhost), and put it beside this program or on PATH, or name it with LEANLOOP_ONNX_HOST")
	_, err = New(Config{Host: filepath.Join(nowhere, "onnxhost")}).Open(t.Context(), call(), nil)
	require.ErrorContains(t, err, "LEANLOOP_ONNX_HOST="+filepath.Join(nowhere, "onnxhost")+": no such file")
	c := config(t, "good")
	c.Library = nowhere
	_, err = New(c).Open(t.Context(), call(), nil)
	missing, ok := errors.AsType[*onnx.Unavailable](err)
	require.True(t, ok, "%v", err)
	require.Contains(t, missing.Do, "ONNXRUNTIME_LIB")
	require.ErrorContains(t, err, "the folder has no libonnxruntime")
}

func TestAHostIsMadeOnlyWhereNoneIsFound(t *testing.T) {
	c := config(t, "good")
	t.Setenv("PATH", t.TempDir())
	built := 0
	self := c.Host
	c.Host, c.Build = "", func(context.Context) (string, error) { built++; return self, nil }
	open(t, c)
	require.Equal(t, 1, built)
}

func TestTheLibraryOfAFolderIsTheNewest(t *testing.T) {
	dir := t.TempDir()
	require.Empty(t, libraryIn(dir))
	for _, name := range []string{"libonnxruntime.so.1.24.3", "libonnxruntime.so.1.30.0", "libonnxruntime_providers_shared.so"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.Equal(t, filepath.Join(dir, "libonnxruntime.so.1.30.0"), libraryIn(dir))
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	env := map[string]string{EnvHost: "/opt/onnxhost", EnvLibrary: "/opt/lib", EnvProcesses: "3", EnvThreads: "2", EnvMemory: "512", EnvTimeout: "3s"}
	c, err := ConfigFrom(func(name string) string { return env[name] })
	require.NoError(t, err)
	c.Getenv = nil
	require.Equal(t, Config{Host: "/opt/onnxhost", Library: "/opt/lib", Processes: 3, Threads: 2, Memory: 512 << 20, Timeout: 3 * time.Second}, c)
	for name, value := range map[string]string{EnvProcesses: "0", EnvThreads: "many", EnvMemory: "-1", EnvTimeout: "10"} {
		_, err := ConfigFrom(func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		})
		require.ErrorContains(t, err, name+": observed "+strconv.Quote(value))
	}
}
