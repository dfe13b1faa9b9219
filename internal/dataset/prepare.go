package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// Prepared is the rows of a snapshot that may be used at all, with their keys, and what was left out and why.
// The Dropped counts and Table.Rows add up to Input.
type Prepared struct {
	Table  *Table    // sorted by time when there is a time column, else in the order of the files
	Keys   []uint64  // one a row
	Scheme string    // what the keys are made of: KeyScheme
	AsOf   time.Time // ages of rows are relative to it

	Input             int // rows given
	DroppedNullTarget int
	DroppedNullID     int // can't be told from a row that was trained on
	DroppedNullTime   int // can't be placed in time
	DroppedYoung      int // younger than labels.delay
	DroppedDuplicates int // of an id that an earlier row has; the first wins
	Identical         int // kept, not dropped: without an id column, rows whose content an earlier row has
}

// Prepare leaves out the rows that can neither train nor judge, in this order of reasons: null target, null id, null
// time, younger than d.Labels.Delay at asOf, an id that an earlier row has. So of two rows of one id the first
// that has a label and is old enough stays. A zero asOf judges no age.
//
// Rows come back sorted by time, ties by key, so that the order of files doesn't matter. A column of d that is
// missing or of the wrong kind, no row left, and a target with one value only are *DataErrors.
func Prepare(t *Table, d spec.Data, asOf time.Time) (*Prepared, error) {
	target, err := namedColumn(t, "data.target", d.Target)
	if err != nil {
		return nil, err
	}
	keys, err := RowKeys(t, d.ID)
	if err != nil {
		return nil, err
	}
	p := &Prepared{Scheme: KeyScheme(t, d.ID), AsOf: asOf, Input: t.Rows}
	clean := cleaner{target: target, keys: keys, keepRepeats: d.ID == "", youngest: NullTime, seen: make(map[uint64]struct{}, t.Rows)}
	if d.ID != "" {
		clean.id, _ = t.Column(d.ID)
	}
	if d.Time != "" {
		if clean.time, err = timeColumn(t, d.Time); err != nil {
			return nil, err
		}
		if delay := d.Labels.Delay.D(); delay > 0 && !asOf.IsZero() {
			clean.youngest = asOf.Add(-delay).UnixNano()
		}
	}
	rows := clean.rows(t.Rows, p)
	if len(rows) == 0 {
		return nil, &DataError{Rule: RuleNoRows, Observed: "0 rows left of " + p.describe(), Limit: "at least 1"}
	}
	if target.constant(rows) {
		value := target.appendCell(nil, rows[0])
		return nil, &DataError{Rule: RuleOneClass, Column: d.Target, Limit: "at least 2 values to tell apart",
			Observed: fmt.Sprintf("only %q in %d rows", value, len(rows))}
	}
	if clean.time != nil {
		times := clean.time.Times
		slices.SortFunc(rows, func(a, b int) int {
			return cmp.Or(cmp.Compare(times[a], times[b]), cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b))
		})
	}
	p.Table, p.Keys = t.Select(rows), pick(keys, rows)
	return p, nil
}

// describe is the counts in words, for errors.
func (p *Prepared) describe() string {
	return fmt.Sprintf("%d (null target %d, null id %d, null time %d, younger than labels.delay %d, duplicate id %d)",
		p.Input, p.DroppedNullTarget, p.DroppedNullID, p.DroppedNullTime, p.DroppedYoung, p.DroppedDuplicates)
}

// cleaner decides row by row what stays.
type cleaner struct {
	target, id, time *Column // id and time may be nil
	keys             []uint64
	keepRepeats      bool  // a repeated key is counted and kept
	youngest         int64 // the last instant that is old enough; NullTime: ages aren't judged
	seen             map[uint64]struct{}
}

// rows are the row numbers that stay, in order; p gets the counts.
func (c *cleaner) rows(n int, p *Prepared) []int {
	rows := make([]int, 0, n)
	for row := range n {
		switch {
		case c.target.Null(row):
			p.DroppedNullTarget++
			continue
		case c.id != nil && c.id.Null(row):
			p.DroppedNullID++
			continue
		case c.time != nil && c.time.Null(row):
			p.DroppedNullTime++
			continue
		case c.time != nil && c.youngest != NullTime && c.time.Times[row] > c.youngest:
			p.DroppedYoung++
			continue
		}
		if _, repeated := c.seen[c.keys[row]]; repeated {
			if !c.keepRepeats {
				p.DroppedDuplicates++
				continue
			}
			p.Identical++
		}
		c.seen[c.keys[row]] = struct{}{}
		rows = append(rows, row)
	}
	return rows
}

// constant reports whether all the given rows, which have no null, hold one value.
func (c *Column) constant(rows []int) bool {
	for _, row := range rows[1:] {
		switch {
		case c.Kind.numeric() && c.Floats[row] != c.Floats[rows[0]],
			c.Kind.coded() && c.Codes[row] != c.Codes[rows[0]],
			c.Kind == Timestamp && c.Times[row] != c.Times[rows[0]]:
			return false
		}
	}
	return true
}

// namedColumn is the column that a field of the spec names.
func namedColumn(t *Table, field, name string) (*Column, error) {
	c, ok := t.Column(name)
	if !ok {
		return nil, unknownColumn(field, name, t.Names())
	}
	return c, nil
}

// timeColumn is the event-time column.
func timeColumn(t *Table, name string) (*Column, error) {
	c, err := namedColumn(t, "data.time", name)
	if err != nil {
		return nil, err
	}
	if c.Kind != Timestamp {
		return nil, &DataError{Rule: RuleType, Column: name, Observed: c.Kind.String(), Limit: "timestamp, since data.time names it"}
	}
	return c, nil
}

// EventRange is the oldest and the newest event of a table; both zero without any.
func EventRange(t *Table, name string) (from, to time.Time, err error) {
	if name == "" {
		return from, to, nil
	}
	c, err := timeColumn(t, name)
	if err != nil {
		return from, to, err
	}
	oldest, newest := NullTime, NullTime
	for _, ns := range c.Times {
		if ns == NullTime {
			continue
		}
		if oldest == NullTime || ns < oldest {
			oldest = ns
		}
		newest = max(newest, ns)
	}
	if newest == NullTime {
		return from, to, nil
	}
	return time.Unix(0, oldest).UTC(), time.Unix(0, newest).UTC(), nil
}

// FeatureColumns are the names of the columns that a model may see, in the table's order: exactly
// d.Features.Include, or all but id, time, target, group, free text and d.Features.Exclude. Text is left out since
// no model format here encodes it: a column of names that is a feature is a category. An unknown name, the target
// among the included, included text, and nothing left are *DataErrors.
func FeatureColumns(t *Table, d spec.Data) ([]string, error) {
	for _, name := range slices.Concat(d.Features.Include, d.Features.Exclude) {
		if _, ok := t.Column(name); !ok {
			return nil, unknownColumn("data.features", name, t.Names())
		}
	}
	var names []string
	for i := range t.Columns {
		c := &t.Columns[i]
		if len(d.Features.Include) == 0 {
			other := c.Name == d.ID || c.Name == d.Time || c.Name == d.Target || c.Name == d.Group || c.Name == d.Weight || c.Kind == Text
			if !other && !slices.Contains(d.Features.Exclude, c.Name) {
				names = append(names, c.Name)
			}
			continue
		}
		if !slices.Contains(d.Features.Include, c.Name) || slices.Contains(d.Features.Exclude, c.Name) {
			continue
		}
		if c.Name == d.Target {
			return nil, &DataError{Rule: RuleColumn, Column: c.Name, Observed: "the target in data.features.include", Limit: "columns known before the target is"}
		}
		if c.Kind == Text {
			return nil, &DataError{Rule: RuleType, Column: c.Name, Observed: "text in data.features.include", Limit: "a category: declare it in the contract"}
		}
		names = append(names, c.Name)
	}
	if len(names) == 0 {
		return nil, &DataError{Rule: RuleColumn, Observed: "no feature among " + list(t.Names(), 20), Limit: "at least 1"}
	}
	return names, nil
}
