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

// Library is ONNXRUNTIME_LIB, else the folder of the library in Python's onnxruntime.
func Library(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(hosts.EnvLibrary); path != "" {
		return path
	}
	const where = "import os, onnxruntime; print(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi'))"
	python := pythontest.Interpreter(t, "onnxruntime", "-c", where)
	out, err := exec.Command(python, "-c", where).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
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
