package dataset

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// eventCheck finds the oldest and the newest event.
type eventCheck struct {
	column         string
	at             int // in the table
	err            error
	oldest, newest int64 // NullTime: none yet
}

// newEventCheck finds the time column; nil without one.
func newEventCheck(columns []spec.ColumnRule, name string) *eventCheck {
	if name == "" {
		return nil
	}
	e := &eventCheck{column: name, oldest: NullTime, newest: NullTime}
	e.at = slices.IndexFunc(columns, func(c spec.ColumnRule) bool { return c.Name == name })
	empty := &Table{Columns: make([]Column, len(columns))}
	for i, c := range columns {
		kind, _ := ParseKind(c.Type) // Begin parsed it
		empty.Columns[i] = Column{Name: c.Name, Kind: kind}
	}
	_, e.err = timeColumn(empty, name)
	return e
}

func (e *eventCheck) rows(c *Chunk) {
	if e == nil || e.err != nil {
		return
	}
	for _, ns := range c.Columns[e.at].Times {
		if ns == NullTime {
			continue
		}
		if e.oldest == NullTime || ns < e.oldest {
			e.oldest = ns
		}
		e.newest = max(e.newest, ns)
	}
}

// found is as EventRange.
func (e *eventCheck) found() (from, to time.Time, err error) {
	if e.err != nil || e.newest == NullTime {
		return from, to, e.err
	}
	return time.Unix(0, e.oldest).UTC(), time.Unix(0, e.newest).UTC(), nil
}

// fresh judges the age of the newest event when the file landed.
func (e *eventCheck) fresh(landed time.Time, want spec.Expectations, fail func(Failure)) {
	limit := want.Freshness.D()
	f := Failure{Column: e.column, Rule: RuleFreshness, Severity: want.FreshnessSeverity,
		Limit: fmt.Sprintf("an event at most %s older than %s", spell(limit), landed.UTC().Format(time.RFC3339))}
	_, newest, err := e.found()
	switch {
	case err != nil:
		f.Observed = err.Error()
	case newest.IsZero():
		f.Observed = "no event"
	case landed.Sub(newest) > limit:
		f.Observed = fmt.Sprintf("the newest at %s, %s older", newest.Format(time.RFC3339), spell(landed.Sub(newest)))
	default:
		return
	}
	fail(f)
}

// spell writes a duration in days where it has any.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	if d < day {
		return d.Round(time.Second).String()
	}
	return strconv.FormatFloat(math.Round(float64(d)/float64(day)*10)/10, 'f', -1, 64) + "d"
}
