package timeseries

import (
	"errors"
	"fmt"
	"time"
)

// InvalidPoint is a point that no store could hold. It was not sent.
type InvalidPoint struct {
	Measurement string
	Reason      string
}

func (e *InvalidPoint) Error() string {
	return fmt.Sprintf("time series: point of %q can't be stored: %s", e.Measurement, e.Reason)
}

// Error is what a store answered, or that it didn't answer.
type Error struct {
	Op         string        // write | query
	Status     int           // HTTP status; 0: no answer
	Final      bool          // retrying can't help
	RetryAfter time.Duration // the least time to wait before the next attempt, as the store asked; 0: it didn't
	Err        error
}

func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("time series: %s: store unreachable: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("time series: %s: store answered %d: %v", e.Op, e.Status, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsFinal says that the same call can't succeed later: the request itself is wrong or isn't allowed.
func IsFinal(err error) bool {
	var invalid *InvalidPoint
	if errors.As(err, &invalid) {
		return true
	}
	var e *Error
	return errors.As(err, &e) && e.Final
}

// RetryAfter is how long the store asked to be left alone, or 0.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
