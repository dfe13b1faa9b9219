// Package pythontest finds the Python that a test compares with. Only tests import it.
package pythontest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Interpreter is $LEANLOOP_PYTHON, else python3, where it runs with the given arguments: a probe that imports what the test
// needs, which what names. Elsewhere the test is skipped, unless LEANLOOP_REQUIRE_ALL=1 makes that a failure.
func Interpreter(t testing.TB, what string, probe ...string) string {
	t.Helper()
	return first(t, []string{Name()}, what, probe)
}

// Torch is an interpreter with PyTorch: $LEANLOOP_PYTHON or python3, else the system's own, for which distributions
// package it. Elsewhere it is as with Interpreter.
func Torch(t testing.TB) string {
	t.Helper()
	return first(t, []string{Name(), "/usr/bin/python3"}, "PyTorch", []string{"-c", "import torch"})
}

// Name is the interpreter that tests use first, whatever it has.
func Name() string { return cmp.Or(os.Getenv("LEANLOOP_PYTHON"), "python3") }

// first is the first of the interpreters that passes the probe.
func first(t testing.TB, names []string, what string, probe []string) string {
	t.Helper()
	var failed []string
	for _, name := range names {
		out, err := exec.Command(name, probe...).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		last := lines[len(lines)-1] // of a traceback, what was wrong
		if err == nil {
			if last != "" {
				t.Log(last)
			}
			return name
		}
		failed = append(failed, fmt.Sprintf("%s: %v: %s", name, err, last))
	}
	const says = "no Python with %s: %s (LEANLOOP_PYTHON names another interpreter)"
	if os.Getenv("LEANLOOP_REQUIRE_ALL") == "1" {
		t.Fatalf(says, what, strings.Join(failed, "; "))
	}
	t.Skipf(says, what, strings.Join(failed, "; "))
	return ""
}
