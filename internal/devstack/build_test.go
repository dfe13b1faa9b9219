package devstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

func TestTheCacheKeyIsWhatGoesIntoTheBuild(t *testing.T) {
	base := map[string]string{"go.mod": "module m", "go.sum": "x", "main.go": "package main", "sub/a.go": "package sub"}
	key := func(change map[string]string, traits ...string) string {
		dir := t.TempDir()
		write(t, dir, base)
		write(t, dir, change)
		k, err := sourceKey(dir, traits...)
		must(t, err)
		return k
	}
	same := key(nil, "go1.26", "linux")
	for name, change := range map[string]map[string]string{
		"nothing":           nil,
		"a test":            {"main_test.go": "package main"},
		"a document":        {"README.md": "hello"},
		"test data":         {"testdata/a.go": "package a"},
		"a hidden folder":   {".git/a.go": "package a"},
		"an ignored folder": {"_old/a.go": "package a"},
	} {
		if key(change, "go1.26", "linux") != same {
			t.Errorf("the key changes with %s", name)
		}
	}
	for name, other := range map[string]string{
		"a Go file":          key(map[string]string{"main.go": "package main // new"}, "go1.26", "linux"),
		"a new Go file":      key(map[string]string{"b.go": "package main"}, "go1.26", "linux"),
		"go.mod":             key(map[string]string{"go.mod": "module n"}, "go1.26", "linux"),
		"go.sum":             key(map[string]string{"go.sum": "y"}, "go1.26", "linux"),
		"the Go version":     key(nil, "go1.27", "linux"),
		"the platform":       key(nil, "go1.26", "darwin"),
		"a trait's boundary": key(nil, "go1.2", "6linux"),
	} {
		if other == same {
			t.Errorf("the key doesn't change with %s", name)
		}
	}
}

func TestTheSourceIsFoundFromAnyFolderOfTheTree(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"go.mod":          "module github.com/leanloop/leanloop\n",
		"devstack/go.mod": "// comment\nmodule github.com/leanloop/leanloop/devstack\n",
		"a/b/x.go":        "package b",
	})
	want := filepath.Join(root, "devstack")
	none := func(string) string { return "" }
	for _, from := range []string{root, filepath.Join(root, "a", "b"), want} {
		if got, err := findSource(none, from); err != nil || got != want {
			t.Errorf("from %s: %q, %v", from, got, err)
		}
	}
	// From elsewhere it is the tree that this test was compiled in.
	elsewhere := t.TempDir()
	if got, err := findSource(none, elsewhere); err != nil || moduleOf(got) != stackModule {
		t.Errorf("from elsewhere: %q, %v", got, err)
	}
	named := func(string) string { return want }
	if got, err := findSource(named, elsewhere); err != nil || got != want {
		t.Errorf("by %s: %q, %v", sourceEnv, got, err)
	}
	if _, err := findSource(func(string) string { return elsewhere }, root); err == nil || !strings.Contains(err.Error(), sourceEnv) {
		t.Errorf("a wrong %s gives %v", sourceEnv, err)
	}
}

// fakeBuilder builds by calling compile in a cache of its own.
func fakeBuilder(t *testing.T, log io.Writer, compile func(output string) error) builder {
	return builder{
		source: t.TempDir(), cache: t.TempDir(), key: "k", kind: embedded, log: log,
		compile: func(_ context.Context, _, _, output string, _ io.Writer) error { return compile(output) },
	}
}

func TestManyAskersBuildOnce(t *testing.T) {
	var builds atomic.Int32
	b := fakeBuilder(t, io.Discard, func(output string) error {
		builds.Add(1)
		return os.WriteFile(output, []byte("program"), 0o755)
	})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			path, err := b.ensure(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if content, err := os.ReadFile(path); err != nil || string(content) != "program" {
				t.Errorf("%s: %q, %v", path, content, err)
			}
		})
	}
	wait.Wait()
	if builds.Load() != 1 {
		t.Errorf("built %d times", builds.Load())
	}
}

func TestAFailedBuildLeavesNothingAndSaysWhere(t *testing.T) {
	var log bytes.Buffer
	b := fakeBuilder(t, &log, func(output string) error {
		must(t, os.WriteFile(output, []byte("half"), 0o755))
		return errors.New("no space")
	})
	_, err := b.ensure(t.Context())
	if err == nil || !strings.Contains(err.Error(), b.source) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(b.program()))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if !strings.Contains(log.String(), "building the embedded Temporal, S3 and InfluxDB servers once") {
		t.Errorf("log %q", log.String())
	}
}

func TestWaitingForAnotherBuilderEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path, io.Discard)
	must(t, err)
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	if _, err := lockFile(ctx, path, &log); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if !strings.Contains(log.String(), "waiting for another process") {
		t.Errorf("log %q", log.String())
	}
}

func TestOnlyEntriesLongUnusedAreRemoved(t *testing.T) {
	b := fakeBuilder(t, io.Discard, nil)
	now := time.Now()
	for name, age := range map[string]time.Duration{b.key: 30 * 24 * time.Hour, "used": time.Hour, "unused": 15 * 24 * time.Hour} {
		dir := filepath.Join(b.cache, "devstack", name)
		write(t, dir, map[string]string{progName: "x"})
		must(t, os.Chtimes(dir, now.Add(-age), now.Add(-age)))
	}
	b.prune(now)
	for name, want := range map[string]bool{b.key: true, "used": true, "unused": false} {
		_, err := os.Stat(filepath.Join(b.cache, "devstack", name))
		if (err == nil) != want {
			t.Errorf("entry %s: kept %t, want %t", name, err == nil, want)
		}
	}
}

func TestProgressSaysHowFarTheBuildIs(t *testing.T) {
	p := newProgress(io.Discard, time.Hour)
	defer p.stop()
	expect := func(want string) {
		t.Helper()
		if got := p.line(65 * time.Second); got != "  1m5s: "+want {
			t.Errorf("line %q, want %q", got, want)
		}
	}
	say := func(text string) {
		_, err := p.Write([]byte(text))
		must(t, err)
	}
	expect("reading the list of packages")
	say("go: downloading example.com/a v1.0.0\ngo: downl")
	say("oading example.com/b v1.0.0\n")
	expect("2 modules downloaded")
	p.expect(1823)
	expect("looking for what is compiled already")
	say("errors\nnet/http\n# broken/package\n./x.go:1:2: undefined: y\n")
	expect("2 of at most 1823 packages compiled")
	say(stackModule + "\n")
	expect("linking")
	if got := p.other.suffix(); !strings.Contains(got, "undefined: y") || strings.Contains(got, "net/http") {
		t.Errorf("kept for the error: %q", got)
	}
}

func TestProgressIsReportedWhileTheBuildRuns(t *testing.T) {
	r, w := io.Pipe()
	p := newProgress(w, time.Millisecond)
	line := make([]byte, 64)
	n, err := r.Read(line)
	must(t, err)
	if !strings.Contains(string(line[:n]), "reading the list of packages") {
		t.Errorf("line %q", line[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	p.stop()
}
