package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// maxClasses is where a multiclass target is taken for a mistake: a number or an id instead of a class.
const maxClasses = 1000

// Labels are a target's values as a model learns them.
//
// Binary: y is 0 or 1 and classes are [negative, positive]. The target is a number column of zeros and ones, a boolean
// column (positive is true), or, with positive set, any column of two values. Multiclass: y is an index into classes,
// which are sorted, numbers by value. Regression: y is the value and classes are nil.
//
// A null, a target that doesn't fit the task, and fewer than two classes are *DataErrors; so classes are to be taken
// from all the rows of a snapshot or of a training part, and LabelsAs is for a few rows of it.
func Labels(t *Table, target, positive string, task spec.Task) (y []float64, classes []string, err error) {
	c, err := namedColumn(t, "data.target", target)
	if err != nil {
		return nil, nil, err
	}
	if task == spec.Regression {
		y, err = values(c)
		return y, nil, err
	}
	if classes, err = classNames(c); err != nil {
		return nil, nil, err
	}
	switch task {
	case spec.Binary:
		classes, err = binaryClasses(c, classes, positive)
	case spec.Multiclass:
		if len(classes) > maxClasses {
			err = targetError(c, fmt.Sprintf("%d different values", len(classes)), fmt.Sprintf("at most %d classes", maxClasses))
		}
	default:
		err = targetError(c, fmt.Sprintf("task %q", task), "binary, multiclass or regression")
	}
	if err != nil {
		return nil, nil, err
	}
	y, _, err = LabelsAs(t, target, classes, task)
	return y, classes, err
}

// LabelsAs are the labels of some rows in terms of classes that are already known, say a model's. A label that isn't
// among them is NaN, and counted in unknown: no model with those classes can be right about that row, so whoever
// scores must count it as wrong. Classes are ignored for regression.
func LabelsAs(t *Table, target string, classes []string, task spec.Task) (y []float64, unknown int, err error) {
	c, err := namedColumn(t, "data.target", target)
	if err != nil {
		return nil, 0, err
	}
	if task == spec.Regression {
		y, err = values(c)
		return y, 0, err
	}
	index := make(map[string]float64, len(classes))
	for i, name := range classes {
		index[name] = float64(i)
	}
	y = make([]float64, t.Rows)
	var cell []byte
	for row := range y {
		if c.Null(row) {
			return nil, 0, nullTarget(c, row)
		}
		cell = c.appendCell(cell[:0], row)
		class, ok := index[string(cell)]
		if !ok {
			class = math.NaN()
			unknown++
		}
		y[row] = class
	}
	return y, unknown, nil
}

// values are a regression target's.
func values(c *Column) ([]float64, error) {
	if c.Kind != Number && c.Kind != Integer {
		return nil, targetError(c, c.Kind.String(), "number or integer, for regression")
	}
	for row := range c.Floats {
		if c.Null(row) {
			return nil, nullTarget(c, row)
		}
	}
	return slices.Clone(c.Floats), nil
}

// classNames are the distinct values, sorted, numbers by value; at least two.
func classNames(c *Column) ([]string, error) {
	first := map[string]int{}
	var cell []byte
	for row := range c.Len() {
		if c.Null(row) {
			return nil, nullTarget(c, row)
		}
		cell = c.appendCell(cell[:0], row)
		if _, ok := first[string(cell)]; !ok {
			first[string(cell)] = row
		}
	}
	names := make([]string, 0, len(first))
	for name := range first {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if c.Kind.numeric() {
			return cmp.Compare(c.Floats[first[a]], c.Floats[first[b]])
		}
		return strings.Compare(a, b)
	})
	if len(names) < 2 {
		return nil, &DataError{Rule: RuleOneClass, Column: c.Name, Limit: "at least 2 classes",
			Observed: fmt.Sprintf("%d classes (%s) in %d rows", len(names), list(names, 1), c.Len())}
	}
	return names, nil
}

// binaryClasses orders two classes as [negative, positive].
func binaryClasses(c *Column, names []string, positive string) ([]string, error) {
	if len(names) > 2 {
		return nil, targetError(c, fmt.Sprintf("%d classes: %s", len(names), list(names, 5)), "2, for a binary task")
	}
	if positive == "" {
		isDefault := c.Kind == Boolean || (c.Kind.numeric() && names[0] == "0" && names[1] == "1")
		if !isDefault {
			return nil, targetError(c, "classes "+list(names, 2), "0 and 1, or data.positive to name one of them")
		}
		return names, nil
	}
	if c.Kind.numeric() && c.Kind != Boolean {
		if v, ok := parseNumber([]byte(positive)); ok {
			positive = string(appendNumber(nil, v))
		}
	}
	switch positive {
	case names[0]:
		return []string{names[1], names[0]}, nil
	case names[1]:
		return names, nil
	}
	return nil, targetError(c, fmt.Sprintf("data.positive %q", positive), "one of "+list(names, 2))
}

func targetError(c *Column, observed, limit string) *DataError {
	return &DataError{Rule: RuleTarget, Column: c.Name, Observed: observed, Limit: limit}
}

func nullTarget(c *Column, row int) *DataError {
	return targetError(c, fmt.Sprintf("null in row %d", row+1), "rows that Prepare left, none of them null")
}
