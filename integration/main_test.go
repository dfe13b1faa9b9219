// Package integration holds leanloop to what its users rely on, on the real Temporal, S3 and InfluxDB: runs go through
// the worker and the gateway as processes, and operators' commands through the built starter.
//
// All tests share one stack and run in parallel, each on a model of its own; those that kill what others need start
// their own. With -short everything is skipped.
package integration

import (
	"fmt"
	"os"
	"testing"

	"github.com/leanloop/leanloop/internal/onnx/onnxtest"
	"github.com/leanloop/leanloop/internal/testkit"
)

// stack is what all tests of this package share; nil under -short.
var stack *testkit.Stack

func TestMain(m *testing.M) {
	if len(os.Args) > 5 && os.Args[1] == asStepper {
		os.Exit(beStepper(os.Args[2:]))
	}
	if err := onnxtest.Provide(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(testkit.Main(m, &stack))
}

// shared is the stack that all tests share. The test runs beside others from here on.
func shared(t *testing.T) *testkit.Stack {
	t.Helper()
	if stack == nil {
		t.Skip(testkit.ShortReason)
	}
	t.Parallel()
	return stack
}
