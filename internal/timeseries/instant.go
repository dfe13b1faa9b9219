package timeseries

import (
	"context"
	"time"
)

// Sample is one series' value at the moment that was asked about.
type Sample struct {
	Labels map[string]string
	Value  float64 // may be NaN or infinite
}

// Instant evaluates expressions of a language that this package doesn't know, at one moment. It is the port to a store
// that others fill, where a Reader's sums don't exist.
type Instant interface {
	// At gives one Sample for each series that the expression has at that time, in no order; none is no error. The same
	// question has the same answer as long as nothing older arrives. An answer that the store itself calls incomplete is
	// an error.
	At(ctx context.Context, expression string, at time.Time) ([]Sample, error)
}
