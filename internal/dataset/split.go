package dataset

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// How rows are split.
const (
	ByTime = "time"
	ByHash = "hash"
)

// Parts are row numbers of a Prepared table, each ascending; no row is in two of them.
type Parts struct {
	Train, Validation, Test []int
	ValidationFrom          time.Time // by time: the first instant of validation; older rows may be in it with their group
	TestFrom                time.Time // by time: the first instant of test; older rows may be in it with their group
	DroppedNulls            int       // with drop_nulls: training rows left out because a feature is null
}

// part is where a row goes. The order matters: a group goes where its newest row goes, the highest part.
type part uint8

const (
	train part = iota
	validation
	test
)

// Split says which rows train, validate and test.
//
// By time: test is the newest s.Test.Newest of the rows, but no row more than s.Test.Max older than the newest
// event; validation is the newest s.Validation of all rows before it. Rows of one instant are never separated: the
// boundary moves back to the first row of its instant, so a part is at least its share. A group goes wholly to
// the part of its newest row, so no training row is newer than a boundary.
//
// By hash: a row is test when its draw, of [0, 1), is below the share, and validation when a draw of its own is. A draw
// depends on the row's key (on its group's value, where there is one) and s.Seed, so membership is for ever, however
// the data set grows. Shares are then expected, not exact.
//
// With d.DropNulls training rows with a null feature are left out; validation and test keep theirs, since production
// sends them. A null group is a group of one row. A part that must have rows and has none is a *DataError.
func Split(p *Prepared, d spec.Data, s spec.Split) (*Parts, error) {
	if s.Test.Newest <= 0 || s.Validation < 0 || float64(s.Test.Newest+s.Validation) >= 1 {
		return nil, &DataError{Rule: RuleSplit, Limit: "a positive test share, and some rows left to train on",
			Observed: fmt.Sprintf("test %g and validation %g of the rows", float64(s.Test.Newest), float64(s.Validation))}
	}
	var groups []uint64
	if d.Group != "" {
		column, err := namedColumn(p.Table, "data.group", d.Group)
		if err != nil {
			return nil, err
		}
		groups = groupKeys(column, p.Keys)
	}
	var of []part
	parts := &Parts{}
	var err error
	switch by := splitBy(d, s); by {
	case ByTime:
		of, err = splitByTime(p, d, s, parts)
		if err == nil && groups != nil {
			keepGroups(of, groups)
		}
	case ByHash:
		units := p.Keys
		if groups != nil {
			units = groups
		}
		of = splitByHash(units, s)
	default:
		err = &DataError{Rule: RuleSplit, Observed: fmt.Sprintf("split.by %q", by), Limit: ByTime + " or " + ByHash}
	}
	if err != nil {
		return nil, err
	}
	for row, where := range of {
		switch where {
		case train:
			parts.Train = append(parts.Train, row)
		case validation:
			parts.Validation = append(parts.Validation, row)
		case test:
			parts.Test = append(parts.Test, row)
		}
	}
	if d.DropNulls {
		if err := parts.dropNulls(p.Table, d); err != nil {
			return nil, err
		}
	}
	if err := parts.check(p, d, s); err != nil {
		return nil, err
	}
	return parts, nil
}

// splitBy is s.By, or the default.
func splitBy(d spec.Data, s spec.Split) string {
	switch {
	case s.By != "":
		return s.By
	case d.Time != "":
		return ByTime
	}
	return ByHash
}

// splitByTime assigns the rows, which are sorted by time, and notes the boundaries.
func splitByTime(p *Prepared, d spec.Data, s spec.Split, parts *Parts) ([]part, error) {
	if d.Time == "" {
		return nil, &DataError{Rule: RuleSplit, Observed: "split.by time without data.time", Limit: "a time column, or split.by hash"}
	}
	column, err := timeColumn(p.Table, d.Time)
	if err != nil {
		return nil, err
	}
	times := column.Times
	if !slices.IsSorted(times) {
		return nil, &DataError{Rule: RuleSplit, Column: d.Time, Observed: "rows out of order", Limit: "rows that Prepare sorted by data.time"}
	}
	n := len(times)
	testStart := boundary(times, n, float64(s.Test.Newest)*float64(n))
	if longest := s.Test.Max.D(); longest > 0 {
		oldest := times[n-1] - int64(longest)
		testStart = max(testStart, sort.Search(n, func(i int) bool { return times[i] >= oldest }))
	}
	validationStart := boundary(times, testStart, float64(s.Validation)*float64(n))
	of := make([]part, n)
	for row := validationStart; row < n; row++ {
		of[row] = validation
		if row >= testStart {
			of[row] = test
		}
	}
	parts.TestFrom = time.Unix(0, times[testStart]).UTC()
	parts.ValidationFrom = time.Unix(0, times[validationStart]).UTC()
	return of, nil
}

// boundary is the first of the newest rows before end that hold at least want rows and share no instant with the
// row before them. It is end when want is none, and 0 when that takes all.
func boundary(times []int64, end int, want float64) int {
	// A share such as 0.1 is not a binary number: 0.1 of 30 rows is 3, not the 4 that rounding up its product gives.
	rows := int(math.Ceil(want - 1e-9*want))
	start := max(0, end-rows)
	for start > 0 && start < end && times[start-1] == times[start] {
		start--
	}
	return start
}

// splitByHash assigns each row by draws on its unit's key.
func splitByHash(units []uint64, s spec.Split) []part {
	of := make([]part, len(units))
	// Validation is a share of all rows, drawn among those that aren't test.
	among := float64(s.Validation) / (1 - float64(s.Test.Newest))
	for row, key := range units {
		switch {
		case unit(draw("test", s.Seed, key)) < float64(s.Test.Newest):
			of[row] = test
		case unit(draw("validation", s.Seed, key)) < among:
			of[row] = validation
		}
	}
	return of
}

// unit maps 64 uniform bits to [0, 1), by the 53 highest.
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

// groupKeys is a key for each row's group: of the group's value, or the row's own where that is null.
func groupKeys(c *Column, rowKeys []uint64) []uint64 {
	keys := valueKeys(c)
	for row := range keys {
		if c.Null(row) {
			keys[row] = rowKeys[row]
		}
	}
	return keys
}

// keepGroups moves every row to the highest part that a row of its group has.
func keepGroups(of []part, groups []uint64) {
	highest := make(map[uint64]part)
	for row, group := range groups {
		highest[group] = max(highest[group], of[row])
	}
	for row, group := range groups {
		of[row] = highest[group]
	}
}

// dropNulls leaves out training rows with a null feature.
func (parts *Parts) dropNulls(t *Table, d spec.Data) error {
	names, err := FeatureColumns(t, d)
	if err != nil {
		return err
	}
	features, err := t.Project(names)
	if err != nil {
		return err
	}
	before := len(parts.Train)
	parts.Train = slices.DeleteFunc(parts.Train, func(row int) bool {
		for i := range features.Columns {
			if features.Columns[i].Null(row) {
				return true
			}
		}
		return false
	})
	parts.DroppedNulls = before - len(parts.Train)
	return nil
}

// check refuses parts that can't do their work.
func (parts *Parts) check(p *Prepared, d spec.Data, s spec.Split) error {
	empty := ""
	switch {
	case len(parts.Train) == 0:
		empty = "training"
	case len(parts.Validation) == 0 && s.Validation > 0:
		empty = "validation"
	case len(parts.Test) == 0:
		empty = "test"
	default:
		return nil
	}
	hint := "more rows"
	switch {
	case parts.DroppedNulls > 0 && empty == "training":
		hint = "rows without a null feature, or no drop_nulls"
	case d.Group != "":
		hint = fmt.Sprintf("more groups in column %s, none of them in every part", d.Group)
	case splitBy(d, s) == ByTime:
		hint = "rows of more instants, or split.by hash"
	}
	return &DataError{Rule: RuleSplit, Limit: "at least 1: " + hint,
		Observed: fmt.Sprintf("0 %s rows of %d", empty, p.Table.Rows)}
}
