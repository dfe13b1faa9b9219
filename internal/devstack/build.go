package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cacheEnv   = "LEANLOOP_CACHE"        // folder of cached builds, instead of the user's cache folder
	programEnv = "LEANLOOP_DEVSTACK"     // a built devstack program, used as it is
	cliEnv     = "LEANLOOP_TEMPORAL_CLI" // the Temporal CLI to use, or noCLI
	noCLI      = "none"                  // as the name of a CLI: use the embedded server
	progName   = "devstack"              // file name of a built program
	keepUnused = 14 * 24 * time.Hour     // an entry not used for this long is removed
	tick       = 3 * time.Second         // between lines of progress
	lockPoll   = 250 * time.Millisecond  // between tries at another builder's lock
)

// variant is what a build contains.
type variant struct {
	name string
	tags string
	what string
}

var (
	// embedded has the Temporal server and its UI inside.
	embedded = variant{name: "embedded", what: "the embedded Temporal, S3 and InfluxDB servers once " +
		"(cached afterwards; minutes on a cold machine)"}
	// light serves where a Temporal server runs already or the CLI serves: it
	// builds several times faster.
	light = variant{name: "light", tags: "notemporal", what: "the embedded S3 and InfluxDB servers once " +
		"(cached afterwards; a minute or two on a cold machine)"}
)

// Build gives the path of the devstack program, built first if no build of
// this very source is cached. Builds are cached below the user's cache folder
// (LEANLOOP_CACHE names another), by content of the devstack module, Go version,
// platform and variant, and one process builds while others wait. log receives
// a line that says what is built and then one every few seconds.
//
// Where TEMPORAL_ADDRESS names a running Temporal server, or a Temporal CLI is
// found, the light variant without an embedded Temporal server is built.
// LEANLOOP_DEVSTACK names a built program, which is then used as it is.
func Build(ctx context.Context, log io.Writer) (string, error) {
	kind := embedded
	if os.Getenv("TEMPORAL_ADDRESS") != "" {
		kind = light
	} else if cli, err := findCLI(""); err != nil {
		return "", err
	} else if cli != "" {
		kind = light
	}
	return build(ctx, kind, log)
}

// findCLI resolves Options.TemporalCLI: "" gives the path of the Temporal CLI
// to use, or "" to use the embedded server.
func findCLI(name string) (string, error) {
	if name == "" {
		name = os.Getenv(cliEnv)
	}
	switch name {
	case noCLI:
		return "", nil
	case "":
		path, err := exec.LookPath("temporal")
		if err != nil {
			return "", nil // it is optional
		}
		return filepath.Abs(path)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("temporal CLI: %w", err)
	}
	return filepath.Abs(path)
}

func build(ctx context.Context, kind variant, log io.Writer) (string, error) {
	if log == nil {
		log = io.Discard
	}
	if path := os.Getenv(programEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %w", programEnv, err)
		}
		return filepath.Abs(path)
	}
	workdir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("build devstack: %w", err)
	}
	source, err := findSource(os.Getenv, workdir)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := sourceKey(source, runtime.Version(), runtime.GOOS, runtime.GOARCH, kind.name)
	if err != nil {
		return "", err
	}
	b := builder{source: source, cache: cache, key: key, kind: kind, log: log, compile: goBuild}
	return b.ensure(ctx)
}

func cacheDir() (string, error) {
	if dir := os.Getenv(cacheEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("folder for cached builds: %w; set %s to one", err, cacheEnv)
	}
	return filepath.Join(dir, "leanloop"), nil
}

// builder makes one cache entry.
type builder struct {
	source, cache, key string
	kind               variant
	log                io.Writer
	compile            func(ctx context.Context, source, tags, output string, log io.Writer) error
}

// program is where the entry's program is, or will be.
func (b builder) program() string {
	return filepath.Join(b.cache, "devstack", b.key, progName)
}

// ensure gives the entry's program, made by this process or another one.
func (b builder) ensure(ctx context.Context) (string, error) {
	path := b.program()
	if b.fresh(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("build devstack: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(b.cache, "devstack", b.key+".lock"), b.log)
	if err != nil {
		return "", fmt.Errorf("build devstack: %w", err)
	}
	defer unlock()
	if b.fresh(path) { // another process built it while this one waited
		return path, nil
	}
	fmt.Fprintf(b.log, "building %s ...\n", b.kind.what)
	start := time.Now()
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s-%d", progName, os.Getpid()))
	defer os.Remove(temporary)
	if err := b.compile(ctx, b.source, b.kind.tags, temporary, b.log); err != nil {
		return "", fmt.Errorf("build devstack in %s: %w", b.source, err)
	}
	// The rename is the commit: who finds the file finds all of it.
	if err := os.Rename(temporary, path); err != nil {
		return "", fmt.Errorf("build devstack: %w", err)
	}
	fmt.Fprintf(b.log, "built in %s\n", time.Since(start).Round(time.Second))
	b.prune(time.Now())
	return path, nil
}

// fresh says whether the program is there, and notes that it was used.
func (b builder) fresh(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Dir(path), now, now)
	return true
}

// prune removes entries unused for keepUnused: each is some 200 MB. What can't
// be removed is left for another time.
func (b builder) prune(now time.Time) {
	root := filepath.Join(b.cache, "devstack")
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && e.Name() != b.key && now.Sub(info.ModTime()) > keepUnused {
			_ = os.RemoveAll(filepath.Join(root, e.Name()))
			_ = os.Remove(filepath.Join(root, e.Name()+".lock"))
		}
	}
}

// lockFile takes an exclusive lock that ends with the process that holds it,
// and says every few seconds that it waits.
func lockFile(ctx context.Context, path string, log io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	start, said := time.Now(), time.Time{}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, f.Close())
		}
		if time.Since(said) >= tick {
			said = time.Now()
			fmt.Fprintf(log, "waiting for another process that builds it, %s so far\n",
				time.Since(start).Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for lock %s: %w", path, context.Cause(ctx)), f.Close())
		case <-poll.C:
		}
	}
}

// buildEnv is the environment of the go command: for this machine, and with
// the module's own go.mod alone. Everything else, as the use of cgo, is as in
// any other build here, and so are the flags: then the packages that leanloop
// itself was compiled with (the standard library, gRPC, the AWS SDK) are in
// Go's cache already.
func buildEnv() []string {
	return append(os.Environ(), "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
}

// Compile builds a package of the module at dir into output, with a line of progress every few seconds.
func Compile(ctx context.Context, dir, pkg, output string, log io.Writer) error {
	return compile(ctx, dir, pkg, "", output, log)
}

// goBuild compiles the module at source into output.
func goBuild(ctx context.Context, source, tags, output string, log io.Writer) error {
	return compile(ctx, source, ".", tags, output, log)
}

func compile(ctx context.Context, source, pkg, tags, output string, log io.Writer) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("the go command is needed to build it: %w", err)
	}
	p := newProgress(log, tick)
	defer p.stop()
	list := goCommand(ctx, source, "list", "-deps", "-tags", tags, pkg)
	var packages strings.Builder
	list.Stdout = &packages
	if err := p.run(list); err != nil {
		return err
	}
	p.expect(strings.Count(packages.String(), "\n"))
	return p.run(goCommand(ctx, source, "build", "-v", "-buildvcs=false", "-ldflags", "-s -w",
		"-tags", tags, "-o", output, pkg))
}

// goCommand prepares a go command that ends politely: the go tool removes its
// temporary folder on an interrupt.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, buildEnv()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
