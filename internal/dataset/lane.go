package dataset

import (
	"fmt"
	"math"
)

// laneMode is what a lane makes of its cells.
type laneMode uint8

const (
	skipCells  laneMode = iota // the contract doesn't list the column
	probeCells                 // only their classes count
	numberCells
	integerCells
	booleanCells
	timestampCells
	codedCells
)

// modeOf is the mode for values of a kind.
func modeOf(k Kind) laneMode {
	switch k {
	case Number:
		return numberCells
	case Integer:
		return integerCells
	case Boolean:
		return booleanCells
	case Timestamp:
		return timestampCells
	}
	return codedCells
}

// laneSpec is one column of the file.
type laneSpec struct {
	mode  laneMode
	kind  Kind
	infer bool // nobody declared the kind: a cell of another class is noted, not refused
	known bool // infer, and the column has text already: whatever comes, its kind stays
	out   int  // its place in the table; -1: none
}

// lane collects the cells of one column of one chunk. Values are at the index of their row, so that a row which turns
// out to be special can be read again.
type lane struct {
	laneSpec
	fraction int // digits behind the point of the last number
	floats   []float64
	times    []int64
	codes    []int32
	dict     []string
	names    *interner

	seen      classes // infer: of the cells that are of no class of kind; probe: of all
	malformed bitset
	failure   Failure
	failed    int // the last row that failure counts
	keep      int

	day     [10]byte // the date of the last timestamp, which the next one often has
	daySeen bool
	dayAt   int64 // its Unix seconds
}

// begin readies the lane for a chunk of at most rows rows.
func (l *lane) begin(s laneSpec, rows int) {
	l.laneSpec = s
	l.dict, l.seen, l.malformed, l.failed = l.dict[:0], 0, l.malformed[:0], -1
	l.failure = Failure{}
	switch s.mode {
	case skipCells, probeCells:
	case timestampCells:
		l.times = atLeast(l.times, rows)
	case codedCells:
		l.codes = atLeast(l.codes, rows)
	default:
		l.floats = atLeast(l.floats, rows)
	}
}

// atLeast is a slice of n values, s itself where it has room.
func atLeast[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// take reads any cell, unquoted, of the given row of the chunk.
func (l *lane) take(cell []byte, row int) {
	switch l.mode {
	case skipCells:
	case probeCells:
		l.seen |= classOf(cell)
	case codedCells:
		if l.infer && !l.known {
			l.seen |= classOf(cell)
		}
		code := NullCode
		if len(cell) > 0 {
			code = l.names.code(cell, l.names.hash(cell), &l.dict)
		}
		l.codes[row] = code
	case timestampCells:
		at, ok := NullTime, true
		if !isNull(cell) {
			if at, ok = l.timestamp(cell); !ok {
				at = NullTime
				l.refuse(cell, row)
			}
		}
		l.times[row] = at
	default:
		v, ok := math.NaN(), true
		if !isNull(cell) {
			if l.infer {
				v, ok = l.inferred(cell)
			} else {
				v, ok = parseAs(l.kind, cell)
			}
			if !ok {
				v = math.NaN()
				l.refuse(cell, row)
			}
		}
		l.floats[row] = v
	}
}

// inferred parses a cell of an inferred numeric kind.
func (l *lane) inferred(cell []byte) (float64, bool) {
	if class := classOf(cell); !class.within(l.kind) {
		return 0, false
	}
	return parseAs(l.kind, cell)
}

// timestamp is parseTimestamp that remembers the last date.
func (l *lane) timestamp(cell []byte) (int64, bool) {
	if len(cell) < 10 {
		return 0, false
	}
	if !l.daySeen || [10]byte(cell) != l.day {
		at, ok := parseDate(cell[:10])
		if !ok {
			return 0, false
		}
		l.day, l.dayAt, l.daySeen = [10]byte(cell), at, true
	}
	return parseClock(l.dayAt, cell[10:])
}

// refuse notes a cell that is no value of the column's kind.
func (l *lane) refuse(cell []byte, row int) {
	if l.infer {
		l.seen |= classOf(cell)
		return
	}
	if row == l.failed { // the row is read again
		return
	}
	l.failed = row
	l.malformed.set(row)
	l.failure.add(row, l.keep, func() string { return fmt.Sprintf("%.60q", cell) })
}

// forgive takes back what refuse noted of a row that turned out to be none.
func (l *lane) forgive(row int) {
	if l.failed != row || l.infer {
		return
	}
	l.failure.Rows--
	if n := len(l.failure.First); n > 0 && l.failure.First[n-1] == int64(row)+1 {
		l.failure.First = l.failure.First[:n-1]
	}
}

// column is the lane's first rows as a column of the given name and kind, which may be Text for names whose number
// wasn't known when they were read.
func (l *lane) column(name string, kind Kind, rows int) Column {
	c := Column{Name: name, Kind: kind}
	if len(l.malformed) > 0 {
		c.malformed = l.malformed
	}
	switch {
	case kind.numeric():
		c.Floats = l.floats[:rows]
	case kind.coded():
		c.Codes, c.Dict = l.codes[:rows], l.dict
	default:
		c.Times = l.times[:rows]
	}
	return c
}

// add counts one offending row, from 0. The first one's value is what was observed.
func (f *Failure) add(row, keep int, observed func() string) {
	if f.Rows == 0 {
		f.Observed = observed()
	}
	f.Rows++
	if len(f.First) < keep {
		f.First = append(f.First, int64(row)+1)
	}
}
