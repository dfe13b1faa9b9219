// Package onnxtest gives tests a runtime for ONNX: the program onnxhost, built from this source, and the library that
// ONNXRUNTIME_LIB names or that Python's package holds. Only tests import it.
package onnxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/leanloop/leanloop/internal/onnx/hosts"
	"github.com/leanloop/leanloop/internal/pythontest"
)

// Config is what a test's hosts are made by. Where there is no library, the test is skipped, unless
// LEANLOOP_REQUIRE_ALL=1 makes that a failure.
func Config(t testing.TB) hosts.Config {
	t.Helper()
	return hosts.Config{Host: Program(t), Library: Library(t), Processes: 1}
}

// inPython prints the folder of the library in Python's onnxruntime.
const inPython = "import os, onnxruntime; print(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi'))"

// Library is ONNXRUNTIME_LIB, else the folder of the library in Python's onnxruntime.
func Library(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(hosts.EnvLibrary); path != "" {
		return path
	}
	path, err := find(pythontest.Interpreter(t, "onnxruntime", "-c", inPython))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Provide sets ONNXRUNTIME_LIB to what Library finds, for the programs that a TestMain starts: it has no test to skip.
// Where there is none, those run without.
func Provide() error {
	if os.Getenv(hosts.EnvLibrary) != "" {
		return nil
	}
	path, err := find(pythontest.Name())
	if err != nil {
		return nil // tests that need it skip, or fail, by Library
	}
	return os.Setenv(hosts.EnvLibrary, path)
}

func find(python string) (string, error) {
	out, err := exec.Command(python, "-c", inPython).Output()
	return strings.TrimSpace(string(out)), err
}

// Program builds onnxhost, without cgo as deployments do. Go's cache makes the second time quick.
func Program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(hosts.EnvHost); path != "" {
		return path
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("where is the source?")
	}
	path := filepath.Join(t.TempDir(), "onnxhost")
	build := exec.Command("go", "build", "-o", path, "./onnxhost")
	build.Dir, build.Env = filepath.Join(filepath.Dir(file), "..", "..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
