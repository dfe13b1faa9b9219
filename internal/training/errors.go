package training

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// UnknownName says that a name, of a trainer or a parameter, is none of the valid ones.
type UnknownName struct {
	What  string
	Name  string
	Valid []string // sorted
}

func (e *UnknownName) Error() string {
	return fmt.Sprintf("%s %q: unknown, want one of %s", e.What, e.Name, strings.Join(e.Valid, ", "))
}

// ParamError says that a parameter's value is out of its range or of another type.
type ParamError struct {
	Param    string
	Observed any
	Want     string
}

func (e *ParamError) Error() string {
	return fmt.Sprintf("parameter %s: observed %v (%T), want %s", e.Param, e.Observed, e.Observed, e.Want)
}

// DataErrorKind is why rows can't be learned from.
type DataErrorKind string

// The reasons of a DataError.
const (
	OneClass    DataErrorKind = "one class only"
	NoFeatures  DataErrorKind = "no features"
	NullLabel   DataErrorKind = "null label"
	BadLabel    DataErrorKind = "bad label"
	BadWeight   DataErrorKind = "bad weight"
	BadFeature  DataErrorKind = "bad feature"
	TooFewRows  DataErrorKind = "too few rows"
	TooMany     DataErrorKind = "too many values"
	NotFitted   DataErrorKind = "no fit"
	NotFinite   DataErrorKind = "value not finite"
	NoColumn    DataErrorKind = "no such column"
	NotPositive DataErrorKind = "no positive class"
)

// DataError says why a table can't be learned from. Trying again can't help.
type DataError struct {
	Kind     DataErrorKind
	Observed string // with names and numbers
	Limit    string // what is wanted; may be empty
}

func (e *DataError) Error() string {
	if e.Limit == "" {
		return fmt.Sprintf("training data: %s: %s", e.Kind, e.Observed)
	}
	return fmt.Sprintf("training data: %s: %s, want %s", e.Kind, e.Observed, e.Limit)
}

// LimitError says that a program took more of something than it may.
type LimitError struct {
	What            string // train.resources.disk
	Observed, Limit int64
	Unit            string
	Tail            []string // the last lines that it printed
}

func (e *LimitError) Error() string {
	text := fmt.Sprintf("%s: observed %d > limit %d %s", e.What, e.Observed, e.Limit, e.Unit)
	if len(e.Tail) > 0 {
		text += lastLines(e.Tail)
	}
	return text
}

// ScriptError says that the trainer's program failed: it couldn't be started, or ended with another code than 0, or by
// a signal.
type ScriptError struct {
	Argv   []string
	Code   int      // exit code; -1: ended by Signal, or never started
	Signal string   // "" or the signal's name, such as "killed"
	Start  error    // why the program couldn't be started; nil otherwise
	Tail   []string // the last lines that it printed
}

func (e *ScriptError) Error() string {
	name := strings.Join(e.Argv, " ")
	var what string
	switch {
	case e.Start != nil:
		return fmt.Sprintf("trainer %q: not started: %v", name, e.Start)
	case e.Signal != "":
		what = "ended by signal: " + e.Signal
	default:
		what = fmt.Sprintf("exit code %d", e.Code)
	}
	return fmt.Sprintf("trainer %q: %s%s", name, what, lastLines(e.Tail))
}

// Unwrap gives the cause of a program that couldn't be started.
func (e *ScriptError) Unwrap() error { return e.Start }

// lastLines shows the end of a log inside an error.
func lastLines(tail []string) string {
	const shown = 5
	if len(tail) == 0 {
		return "; it printed nothing"
	}
	return "; its last lines: " + strings.Join(tail[max(0, len(tail)-shown):], " | ")
}

// TimeoutError says that the program ran longer than it may.
type TimeoutError struct {
	Argv    []string
	Limit   time.Duration
	Orderly bool // it ended by itself within its grace
	Tail    []string
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("trainer %q: still running after its timeout of %s%s", strings.Join(e.Argv, " "), e.Limit, lastLines(e.Tail))
}

// StoppedError says that the program was stopped by whoever ran it: Err is the context's error.
type StoppedError struct {
	Argv    []string
	Orderly bool // it ended by itself within its grace
	Err     error
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("trainer %q: stopped: %v", strings.Join(e.Argv, " "), e.Err)
}

// Unwrap gives the context's error.
func (e *StoppedError) Unwrap() error { return e.Err }

// EndedInOrder says of RunCommand's error that the program wasn't cut off at its work: it ended by itself after it was
// asked to, or with exit code 0, whatever predict.command then made of it. What it wrote last, it finished writing.
func EndedInOrder(err error) bool {
	if stopped, ok := errors.AsType[*StoppedError](err); ok {
		return stopped.Orderly
	}
	if timeout, ok := errors.AsType[*TimeoutError](err); ok {
		return timeout.Orderly
	}
	return err == nil || is[*NoModelError](err) || is[*ModelError](err) || is[*ProgramError](err) || is[*PredictionsError](err)
}

// NoModelError says that the program ended well and left no model file that can be used.
type NoModelError struct {
	Want  string
	Found []string // what the model folder holds instead, with sizes; at most 20
	Tail  []string
}

func (e *NoModelError) Error() string {
	found := "nothing"
	if len(e.Found) > 0 {
		found = strings.Join(e.Found, ", ")
	}
	return fmt.Sprintf("trainer wrote no model: want %s in SM_MODEL_DIR, found %s", e.Want, found)
}

// ModelError says that the program's model or signature can't be served: Err says why.
type ModelError struct{ Err error }

func (e *ModelError) Error() string { return "trainer's model: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *ModelError) Unwrap() error { return e.Err }
