//go:build unix

package setup

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/training"
)

// code is a folder beside a model.yaml.
func code(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

func plan(t *testing.T, files map[string]string, only ...string) Plan {
	return Plan{
		Command: []string{"sh", "setup.sh"}, Files: only, Code: code(t, files), Timeout: time.Minute,
		Supervisor: []string{os.Args[0], asSupervisor}, Grace: 200 * time.Millisecond,
	}
}

// newCache is one whose folders can be removed by the test.
func newCache(t *testing.T) *Cache {
	c := &Cache{Folder: filepath.Join(t.TempDir(), "environments")}
	t.Cleanup(func() { _ = removeAll(c.Folder) })
	return c
}

func acquire(t *testing.T, c *Cache, p Plan) *Environment {
	t.Helper()
	e, err := c.Acquire(context.Background(), p)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(raw)
}

// counting appends to a file outside what it makes: how often it ran.
func counting(t *testing.T) (script string, runs func() int) {
	file := filepath.Join(t.TempDir(), "runs")
	return "echo x >> '" + file + "'\n", func() int {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return 0
		}
		require.NoError(t, err)
		return strings.Count(string(raw), "x")
	}
}

func TestASetupSeesItsFilesAndIsMadeOnce(t *testing.T) {
	script, runs := counting(t)
	p := plan(t, map[string]string{"setup.sh": script + `pwd; ls; env; mkdir bin; echo tool > bin/tool`, "lock/a.txt": "1", "train.py": "v1"}, "setup.sh", "lock")
	p.Secrets = map[string]string{"PIP_INDEX_URL": "https://index.example"}
	var log bytes.Buffer
	p.Log = &log
	t.Setenv("LEANLOOP_OF_THE_WORKER", "its own")
	c := newCache(t)
	first := acquire(t, c, p)
	require.False(t, first.Cached)
	require.Equal(t, "tool\n", content(t, first.Dir, "bin", "tool"))
	require.Contains(t, log.String(), first.Dir+"\nlock\nsetup.sh\n", "what isn't listed isn't there, so nothing else can be what it depends on")
	require.Contains(t, log.String(), "LEANLOOP_ENV_DIR="+first.Dir)
	require.Contains(t, log.String(), "PIP_INDEX_URL=***\n", "no log shows a secret")
	require.NotContains(t, log.String(), "LEANLOOP_OF_THE_WORKER")

	require.NoError(t, os.WriteFile(filepath.Join(p.Code, "train.py"), []byte("v2"), 0o600))
	second := acquire(t, c, p)
	require.True(t, second.Cached, "a file that it doesn't see changes nothing")
	require.Equal(t, first.Dir, second.Dir)

	require.NoError(t, os.WriteFile(filepath.Join(p.Code, "lock", "a.txt"), []byte("2"), 0o600))
	third := acquire(t, c, p)
	require.NotEqual(t, first.Dir, third.Dir)
	p.Command = []string{"sh", "-u", "setup.sh"}
	require.NotEqual(t, third.Dir, acquire(t, c, p).Dir)
	require.Equal(t, 3, runs())
}

func TestWhatWasMadeCannotBeChangedByMistake(t *testing.T) {
	p := plan(t, map[string]string{"setup.sh": "mkdir python; echo 1 > python/lib.py"})
	e := acquire(t, newCache(t), p)
	for _, path := range []string{e.Dir, filepath.Join(e.Dir, "python"), filepath.Join(e.Dir, "python", "lib.py")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o222, path)
	}
}

func TestManyThatNeedTheSameWaitForOne(t *testing.T) {
	script, runs := counting(t)
	p := plan(t, map[string]string{"setup.sh": script + "sleep 0.3; echo done > made"})
	c := newCache(t)
	var all sync.WaitGroup
	var fresh atomic.Int32
	for range 8 {
		all.Go(func() {
			e, err := (&Cache{Folder: c.Folder}).Acquire(context.Background(), p)
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close()
			if raw, err := os.ReadFile(filepath.Join(e.Dir, "made")); err != nil || string(raw) != "done\n" {
				t.Errorf("observed %q, %v: used before it was complete", raw, err)
			}
			if !e.Cached {
				fresh.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, runs())
	require.EqualValues(t, 1, fresh.Load())
}

func TestASetupThatFailsLeavesNothingAndIsTheScriptsFault(t *testing.T) {
	for _, f := range []struct {
		name, script, says string
		timeout            time.Duration
		cause              training.Cause
	}{
		{"exit code", "echo no such package >&2; exit 3", "train.setup: program \"sh setup.sh\": exit code 3; its last lines: no such package", time.Minute, training.CauseScript},
		{"signal", "kill -9 $$", "ended by signal: killed", time.Minute, training.CauseScript},
		{"hangs", "sleep 60", "still running after its timeout of 300ms", 300 * time.Millisecond, training.CauseTimeout},
	} {
		t.Run(f.name, func(t *testing.T) {
			p := plan(t, map[string]string{"setup.sh": "echo half > half\n" + f.script})
			p.Timeout = f.timeout
			c := newCache(t)
			_, err := c.Acquire(context.Background(), p)
			require.ErrorContains(t, err, f.says)
			require.Equal(t, f.cause, training.Classify(err))
			left, err := filepath.Glob(filepath.Join(c.Folder, "*", "*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestAPlanThatCannotWorkIsRefusedForGood(t *testing.T) {
	p := plan(t, map[string]string{"setup.sh": "true"}, "requirements.txt")
	_, err := newCache(t).Acquire(context.Background(), p)
	require.ErrorContains(t, err, "train.setup.files: requirements.txt isn't in the code package")
	require.Equal(t, training.CauseInput, training.Classify(err))
	p.Files = []string{"../secret"}
	_, err = newCache(t).Acquire(context.Background(), p)
	require.Equal(t, training.CauseInput, training.Classify(err))
	p.Files = nil
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(p.Code, "link")))
	_, err = newCache(t).Acquire(context.Background(), p)
	require.ErrorContains(t, err, "link is no regular file")
}

func TestACancelledSetupEndsWithItsProcesses(t *testing.T) {
	p := plan(t, map[string]string{"setup.sh": `(sleep 60 & echo $! > "$OLD") ; sleep 60`})
	pid := filepath.Join(t.TempDir(), "pid")
	p.Secrets = map[string]string{"OLD": pid}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	c := newCache(t)
	go func() { _, err := c.Acquire(ctx, p); ended <- err }()
	require.Eventually(t, func() bool { info, err := os.Stat(pid); return err == nil && info.Size() > 0 }, 20*time.Second, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	if runtime.GOOS == "linux" {
		_, err := os.Stat("/proc/" + strings.TrimSpace(content(t, pid)))
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

func TestAnUnfinishedEnvironmentIsMadeAnewAndOthersAreRemoved(t *testing.T) {
	script, runs := counting(t)
	p := plan(t, map[string]string{"setup.sh": script + "echo whole > made"})
	c := newCache(t)
	key, _, err := p.digest()
	require.NoError(t, err)
	lost := strings.Repeat("ab", 32) // of a worker that was killed
	for _, k := range []string{key, lost} {
		require.NoError(t, os.MkdirAll(filepath.Join(c.Folder, k, envFolder), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(c.Folder, k, envFolder, "half"), []byte("x"), 0o600))
	}
	e := acquire(t, c, p)
	require.NoFileExists(t, filepath.Join(e.Dir, "half"))
	require.Equal(t, 1, runs())
	require.NoDirExists(t, filepath.Join(c.Folder, lost))
}

func TestTheCacheRemovesWhatWasUsedLongestAgoAndNothingInUse(t *testing.T) {
	c := newCache(t)
	c.MaxBytes = 250_000
	make100k := func(name string) (Plan, *Environment) {
		p := plan(t, map[string]string{"setup.sh": "head -c 100000 /dev/zero > " + name})
		e, err := c.Acquire(context.Background(), p)
		require.NoError(t, err)
		return p, e
	}
	_, a := make100k("a")
	pb, b := make100k("b")
	b.Close()
	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(filepath.Dir(a.Dir), readyFile), long, long))
	_, d := make100k("d")
	defer d.Close()
	require.DirExists(t, a.Dir, "it is used, so it stays whatever its age")
	require.NoDirExists(t, b.Dir)
	locks, err := a.Locks()
	require.NoError(t, err)
	holder := exec.Command("sleep", "60") // a trainer, which outlives its worker
	holder.ExtraFiles = locks
	require.NoError(t, holder.Start())
	a.Close()
	b = acquire(t, c, pb)
	require.False(t, b.Cached)
	require.DirExists(t, a.Dir, "a process still uses it")
	require.NoError(t, holder.Process.Kill())
	_ = holder.Wait()
	c.evict("")
	require.NoDirExists(t, a.Dir)

	c.MaxBytes = 1000
	_, err = c.Acquire(context.Background(), plan(t, map[string]string{"setup.sh": "head -c 2000 /dev/zero > big"}))
	require.ErrorContains(t, err, "> limit 1000 bytes")
	require.Equal(t, training.CauseScript, training.Classify(err))
}

func TestAFolderThatOthersMayWriteToIsRefused(t *testing.T) {
	c := newCache(t)
	require.NoError(t, os.Mkdir(c.Folder, 0o700))
	require.NoError(t, os.Chmod(c.Folder, 0o777))
	_, err := c.Acquire(context.Background(), plan(t, map[string]string{"setup.sh": "true"}))
	require.ErrorContains(t, err, "no other may write to")
}

// A package from a folder of the code, as from an index, but without a network.
func TestPythonsOwnEnvironmentsWork(t *testing.T) {
	python := pythontest.Interpreter(t, "venv", "-c", "import venv")
	p := plan(t, map[string]string{
		"setup.sh": `set -eu
"$PYTHON" -m venv --without-pip .
cp -r vendor/greeting "$(bin/python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/"
printf '#!%s/bin/python3\nimport greeting; print(greeting.text)\n' "$LEANLOOP_ENV_DIR" > bin/greet
chmod +x bin/greet`,
		"vendor/greeting/__init__.py": "text = 'hello from the environment'",
	})
	p.Secrets = map[string]string{"PYTHON": python}
	e := acquire(t, newCache(t), p)
	for _, command := range [][]string{{"python3", "-c", "import greeting; print(greeting.text)"}, {"greet"}} {
		out, err := training.RunProgram(context.Background(), training.Program{
			Supervisor: p.Supervisor, Argv: command, Home: t.TempDir(), EnvDir: e.Dir, MaxOutput: 1000, Timeout: time.Minute,
		})
		require.NoError(t, err)
		require.Equal(t, "hello from the environment\n", string(out))
	}
}
