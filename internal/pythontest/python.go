// Package pythontest finds the Python that a test compares with. Only tests import it.
package pythontest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Interpreter is $LEANLOOP_PYTHON, else python3, where it runs with the given arguments: a probe that imports what the test
// needs, which what names. Elsewhere the test is skipped, unless LEANLOOP_REQUIRE_ALL=1 makes that a failure.
func Interpreter(t testing.TB, what string, probe ...string) string {
	t.Helper()
	name := os.Getenv("LEANLOOP_PYTHON")
	if name == "" {
		name = "python3"
	}
	out, err := exec.Command(name, probe...).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1] // of a traceback, what was wrong
	switch {
	case err == nil:
		if last != "" {
			t.Log(last)
		}
		return name
	case os.Getenv("LEANLOOP_REQUIRE_ALL") == "1":
		t.Fatalf("%s with %s: %v: %s (LEANLOOP_PYTHON names another interpreter)", name, what, err, last)
	}
	t.Skipf("%s lacks %s: %v: %s (LEANLOOP_PYTHON names another interpreter)", name, what, err, last)
	return ""
}
