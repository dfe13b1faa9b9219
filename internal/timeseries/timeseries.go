// Package timeseries is the port to what is measured over time: points are written, and sums of their fields are
// read back over windows of absolute times.
//
// Only counts and sums are stored, never rates, averages or percentiles: a reader adds windows and gateways up and
// divides afterwards. A point replaces one with the same measurement, tags and time, so a write that is repeated
// changes nothing, provided that its time was fixed once, before the first attempt. No query language leaves this
// package, and it never reads the clock: every time is an argument.
package timeseries

import (
	"context"
	"fmt"
	"math"
	"sort"
	"time"
)

// Limits of one point.
const (
	MaxTags   = 16
	MaxFields = 256
	maxName   = 200 // bytes of a measurement's, tag's or field's name
)

// Point is one measurement at one time. Names are letters, digits, '_', '-' and '.', at most 200 bytes, and don't
// start with '_'. Tag values go through TagValue on their way in. Fields are finite; there is at least one.
type Point struct {
	Measurement string
	Tags        map[string]string
	Fields      map[string]float64
	Time        time.Time
}

// Writer stores points.
type Writer interface {
	// Write stores all points in one call, and is idempotent: the same points again change nothing. A point that
	// no store could hold gives an *InvalidPoint before anything is sent. What the store says is an *Error: one
	// that is Final must not be retried (some of the points may be stored), any other may.
	Write(ctx context.Context, points []Point) error
}

// Reader adds up what was stored.
type Reader interface {
	// Sum gives one Row for each combination of the GroupBy tags that has points in [Start, Stop), sorted by those
	// tags. No points: no rows and no error.
	Sum(ctx context.Context, q Query) ([]Row, error)
}

// Store reads and writes.
type Store interface {
	Writer
	Reader
}

// Query names what is summed. Times are absolute, so a repeated read gives the same answer.
type Query struct {
	Measurement string
	Tags        map[string]string // points must carry all of these
	GroupBy     []string          // tags that keep rows apart
	Start, Stop time.Time         // Start is in the window, Stop isn't
}

// Row is the sum of each field over one group. A tag that no point of the group carries is "".
type Row struct {
	Tags   map[string]string
	Fields map[string]float64
}

// Validate says whether the query can be answered by any store.
func (q Query) Validate() error {
	if err := checkName("measurement", q.Measurement); err != nil {
		return err
	}
	for name := range q.Tags {
		if err := checkName("tag", name); err != nil {
			return err
		}
	}
	for _, name := range q.GroupBy {
		if err := checkName("tag", name); err != nil {
			return err
		}
	}
	if q.Start.IsZero() || q.Stop.IsZero() {
		return fmt.Errorf("time series: query of %s: start and stop must both be set", q.Measurement)
	}
	if !q.Start.Before(q.Stop) {
		return fmt.Errorf("time series: query of %s: start %s is not before stop %s", q.Measurement,
			q.Start.UTC().Format(time.RFC3339Nano), q.Stop.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

// Validate says why a point can't be stored, as an *InvalidPoint, or nil.
func (p Point) Validate() error {
	if err := checkName("measurement", p.Measurement); err != nil {
		return &InvalidPoint{Measurement: p.Measurement, Reason: err.Error()}
	}
	invalid := func(format string, args ...any) error {
		return &InvalidPoint{Measurement: p.Measurement, Reason: fmt.Sprintf(format, args...)}
	}
	if p.Time.IsZero() {
		return invalid("it has no time")
	}
	if n := len(p.Tags); n > MaxTags {
		return invalid("%d tags > %d", n, MaxTags)
	}
	if n := len(p.Fields); n == 0 || n > MaxFields {
		return invalid("%d fields, want 1 to %d", n, MaxFields)
	}
	for name := range p.Tags {
		if err := checkName("tag", name); err != nil {
			return invalid("%v", err)
		}
	}
	for name, v := range p.Fields {
		if err := checkName("field", name); err != nil {
			return invalid("%v", err)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return invalid("field %s: observed %v, want a finite number", name, v)
		}
	}
	return nil
}

func validateAll(points []Point) error {
	for i, p := range points {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("point %d of %d: %w", i+1, len(points), err)
		}
	}
	return nil
}

func checkName(what, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("time series: name of a %s: %d bytes, want 1 to %d", what, len(name), maxName)
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		other := '0' <= c && c <= '9' || c == '_' && i > 0 || c == '-' || c == '.'
		if !letter && !other {
			return fmt.Errorf("time series: name of a %s: %q has %q at byte %d, want letters, digits, '_', '-' and '.', and no leading '_'",
				what, name, c, i)
		}
	}
	if name == "time" {
		return fmt.Errorf("time series: name of a %s: %q is reserved", what, name)
	}
	return nil
}

// sortRows orders rows by the values of the given tags.
func sortRows(rows []Row, by []string) {
	sort.Slice(rows, func(i, j int) bool {
		for _, tag := range by {
			if a, b := rows[i].Tags[tag], rows[j].Tags[tag]; a != b {
				return a < b
			}
		}
		return false
	})
}
