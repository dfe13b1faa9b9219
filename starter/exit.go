package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Exit codes.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2 // the command line, a file that it names, or the spec
	exitGate       = 3 // a gate or a validation failed, or data has drifted: somebody must look at the data or the model
	exitRejected   = 4
	exitRolledBack = 5
	exitTimedOut   = 6
	exitConflict   = 7 // not found, or the state doesn't allow it: a refused decision, too
)

// exitCode is the one table from errors to codes. The first rule that fits counts; what fits none is a failure.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if o, ok := errors.AsType[*outcomeError](err); ok {
		return outcomeCode(o.outcome)
	}
	rules := []struct {
		code int
		is   func(error) bool
	}{
		{exitUsage, isA[*usageError]},
		{exitUsage, isA[*spec.Invalid]},
		{exitUsage, isA[*suite.Invalid]},
		{exitGate, isA[*checkError]},
		{exitGate, isA[*driftError]},
		{exitGate, isA[*dataset.ContractError]},
		{exitGate, isA[*dataset.FormatError]},
		{exitGate, isA[*dataset.DataError]},
		{exitRejected, func(err error) bool { return errors.Is(err, errDeclined) }},
		{exitTimedOut, isA[*waitError]},
		{exitConflict, isA[*notFoundError]},
		{exitConflict, isA[*refusedError]},
		{exitConflict, isA[*approval.Refusal]},
		{exitConflict, isA[*registry.Conflict]},
		{exitConflict, isA[*registry.Refused]},
		{exitUsage, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
	}
	for _, r := range rules {
		if r.is(err) {
			return r.code
		}
	}
	return exitFailure
}

// outcomeCode is a lifecycle's outcome as an exit code.
func outcomeCode(outcome string) int {
	switch outcome {
	case activities.Promoted, activities.Unchanged:
		return exitOK
	case activities.ValidationFailed, activities.GateFailed:
		return exitGate
	case activities.Rejected:
		return exitRejected
	case activities.RolledBack:
		return exitRolledBack
	case activities.TimedOut:
		return exitTimedOut
	}
	return exitFailure // failed, cancelled, superseded
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// usageError is a command line that can't be carried out.
type usageError struct{ err error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// notFoundError says that something isn't there, and what to do about it.
type notFoundError struct{ what, hint string }

func notFound(what, hint string) error { return &notFoundError{what, hint} }

func (e *notFoundError) Error() string { return withHint("not found: "+e.what, e.hint) }

// refusedError is a decision or an order that the state or the policy doesn't allow.
type refusedError struct {
	what string // approve of flight-delay version 3
	why  string
	hint string
}

// refused makes a *refusedError of what a workflow answered, without what its text says twice: the answer begins with
// who was refused what.
func refused(what, why string) error {
	if _, reason, ok := strings.Cut(why, " refused: "); ok {
		why = reason
	}
	return &refusedError{what: what, why: why}
}

func (e *refusedError) Error() string { return withHint(e.what+" refused: "+e.why, e.hint) }

// waitError is a wait that outlasted its limit. What was waited for goes on.
type waitError struct{ what, limit string }

func (e *waitError) Error() string { return fmt.Sprintf("%s: not within %s", e.what, e.limit) }

// checkError says that a check of data failed; its details were printed.
type checkError struct {
	name     string
	failures int
}

func (e *checkError) Error() string {
	if e.failures == 1 {
		return e.name + ": a check failed"
	}
	return fmt.Sprintf("%s: %d checks failed", e.name, e.failures)
}

// outcomeError is a run that ended otherwise than promoted or unchanged, or that did and was waited for.
type outcomeError struct{ id, outcome, reason string }

func (e *outcomeError) Error() string { return withReason(e.id+" "+e.outcome, e.reason) }

// outcomeOf is nil for an outcome that is fine.
func outcomeOf(id, outcome, reason string) error {
	if outcomeCode(outcome) == exitOK {
		return nil
	}
	return &outcomeError{id: id, outcome: outcome, reason: reason}
}

func withHint(message, hint string) string {
	if hint == "" {
		return message
	}
	return message + " (" + hint + ")"
}

func withReason(message, reason string) string {
	if reason == "" {
		return message
	}
	return message + ": " + reason
}

func asRefused(err error) (*refusedError, bool) { return errors.AsType[*refusedError](err) }
