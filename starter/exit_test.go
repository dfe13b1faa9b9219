package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

func TestExitCodes(t *testing.T) {
	outcome := func(o string) error { return outcomeOf("lifecycle/m/1", o, "") }
	cases := []struct {
		name string
		err  error
		code int
	}{
		{"nothing wrong", nil, 0},
		{"promoted", outcome(activities.Promoted), 0},
		{"unchanged", outcome(activities.Unchanged), 0},
		{"failed", outcome(activities.Failed), 1},
		{"cancelled", outcome(activities.Cancelled), 1},
		{"superseded", outcome(activities.Superseded), 1},
		{"any other error", errors.New("boom"), 1},
		{"interrupted", context.Canceled, 1},
		{"a store that doesn't answer", fmt.Errorf("object store unreachable: %w", errors.New("refused")), 1},
		{"an object that is gone is no file of the caller's", objectstore.ErrNotFound, 1},
		{"a broken ledger", &registry.Broken{Object: "x", Problem: "y"}, 1},
		{"a silent worker", &silentWorkerError{what: "x"}, 1},
		{"usage", usagef("no"), 2},
		{"invalid spec", &spec.Invalid{Name: "model.yaml"}, 2},
		{"a file that isn't there", fmt.Errorf("read spec: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}), 2},
		{"validation failed", outcome(activities.ValidationFailed), 3},
		{"gate failed", outcome(activities.GateFailed), 3},
		{"a file breaks its contract", &checkError{name: "x", failures: 2}, 3},
		{"a file isn't a table", &dataset.FormatError{Name: "x"}, 3},
		{"rejected", outcome(activities.Rejected), 4},
		{"rolled back", outcome(activities.RolledBack), 5},
		{"timed out", outcome(activities.TimedOut), 6},
		{"a wait that was too long", &waitError{what: "x", limit: "1s"}, 6},
		{"not found", notFound("model m", ""), 7},
		{"a decision that was refused", &refusedError{what: "approve", why: "too late"}, 7},
		{"a refusal of the policy", &approval.Refusal{}, 7},
		{"a conflict in the ledger", fmt.Errorf("do: %w", &registry.Conflict{}), 7},
		{"a rule of the ledger", &registry.Refused{}, 7},
		{"usage wins over what it wraps", usagef("%w", notFound("x", "")), 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.code, exitCode(c.err)) })
	}
}
