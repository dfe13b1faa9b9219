package dataset

import (
	"time"
)

// Prepared is the rows of a snapshot that may be used at all, with their keys, and what was left out and why.
// The counts and len(Table rows) add up to Input.
type Prepared struct {
	Table *Table    // sorted by time when there is a time column, else in the order of the files
	Keys  []uint64  // one a row
	AsOf  time.Time // rows are this old relative to it

	Input             int // rows given
	DroppedNullTarget int
	DroppedNullID     int // can't be told from a row that was trained on
	DroppedNullTime   int // can't be placed in time
	DroppedYoung      int // younger than labels.delay
	DroppedDuplicates int // of an id that an earlier row has; the first wins
	Identical         int // kept, not dropped: without an id column, rows whose content an earlier row has
}

// Parts are row numbers of a Prepared table, each ascending; no row is in two of them.
type Parts struct {
	Train, Validation, Test []int
	ValidationFrom          time.Time // by time: the first instant of validation, before groups were moved
	TestFrom                time.Time // by time: the first instant of test, before groups were moved
	DroppedNulls            int       // with drop_nulls: training rows left out because a feature is null
}
