package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// Limits of what is taken for names of rows rather than for values.
const (
	fewRows     = 20  // fewer can be all different by chance
	distinctish = 0.9 // of a text's values, as a share of its rows
	mostly      = 0.9 // of a text's rows, that are numbers
	dense       = 4   // a counter's range, in multiples of its rows
)

// leftOut is a column that isn't compared, or one that is compared in an unusual way, and why.
type leftOut struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
}

// choice is which columns are compared.
type choice struct {
	features []string
	extra    []string // compared and not counted: the target
	left     []leftOut
	notes    []leftOut
}

// methods are the methods of single columns, less those of columns that aren't compared.
func (c *choice) methods(of map[string]string) map[string]string {
	out := maps.Clone(of)
	maps.DeleteFunc(out, func(name, _ string) bool {
		return !slices.Contains(c.features, name) && !slices.Contains(c.extra, name)
	})
	return out
}

// of is the part of a table that is compared.
func (c *choice) of(t *dataset.Table) *dataset.Table {
	out := &dataset.Table{Rows: t.Rows}
	for _, name := range slices.Concat(c.features, c.extra) {
		if column, ok := t.Column(name); ok {
			out.Columns = append(out.Columns, *column)
		}
	}
	return out
}

// choose says which columns are compared: those that are named; else the model's features, and its target beside them;
// else all but those that would say nothing. A column without values in one table takes the other's kind there.
func choose(ref, cur *dataset.Table, m *spec.Model, columns, exclude []string) (*choice, error) {
	alignKinds(ref, cur)
	alignKinds(cur, ref)
	both := unionOf(ref, cur)
	for _, name := range slices.Concat(columns, exclude) {
		if _, ok := both.Column(name); !ok {
			return nil, usagef("neither file has a column %q: they have %s", name, clip(fmt.Sprint(both.Names()), 300))
		}
	}
	c := &choice{}
	switch {
	case len(columns) > 0:
		c.features = columns
	case m != nil:
		features, err := dataset.FeatureColumns(both, m.Data)
		if err != nil {
			return nil, usagef("%w", err)
		}
		c.features = features
		if _, ok := both.Column(m.Data.Target); ok {
			c.extra = []string{m.Data.Target}
		}
	default:
		c.telling(ref, cur, both, exclude)
	}
	excluded := func(name string) bool { return slices.Contains(exclude, name) }
	c.features, c.extra = slices.DeleteFunc(c.features, excluded), slices.DeleteFunc(c.extra, excluded)
	if len(c.features) == 0 {
		return nil, usagef("no column is left to compare: --columns names those to compare all the same (%s)", clip(fmt.Sprint(both.Names()), 300))
	}
	c.remark(ref, cur)
	return c, nil
}

// unionOf is a table of no rows with the columns of both.
func unionOf(ref, cur *dataset.Table) *dataset.Table {
	out := &dataset.Table{}
	for _, t := range []*dataset.Table{ref, cur} {
		for i := range t.Columns {
			if _, ok := out.Column(t.Columns[i].Name); !ok {
				out.Columns = append(out.Columns, dataset.Column{Name: t.Columns[i].Name, Kind: t.Columns[i].Kind})
			}
		}
	}
	return out
}

// alignKinds gives t's columns without values the kinds that other has: nothing was inferred from nothing.
func alignKinds(t, other *dataset.Table) {
	for i := range t.Columns {
		c := &t.Columns[i]
		o, ok := other.Column(c.Name)
		if !ok || o.Kind == c.Kind || c.Nulls() < c.Len() {
			continue
		}
		empty := dataset.Column{Name: c.Name, Kind: o.Kind}
		switch o.Kind {
		case dataset.Number, dataset.Integer, dataset.Boolean:
			empty.Floats = slices.Repeat([]float64{math.NaN()}, c.Len())
		case dataset.Timestamp:
			empty.Times = slices.Repeat([]int64{dataset.NullTime}, c.Len())
		default:
			empty.Codes = slices.Repeat([]int32{dataset.NullCode}, c.Len())
		}
		*c = empty
	}
}

// telling takes the columns whose comparison says something, and leaves out the others.
func (c *choice) telling(ref, cur, both *dataset.Table, exclude []string) {
	for _, name := range both.Names() {
		if slices.Contains(exclude, name) {
			continue
		}
		a, inReference := ref.Column(name)
		b, inCurrent := cur.Column(name)
		if inReference && inCurrent {
			if reason := saysNothing(a, b); reason != "" {
				c.left = append(c.left, leftOut{Column: name, Reason: reason})
				continue
			}
		}
		c.features = append(c.features, name)
	}
}

// remark notes the columns that may not be compared as what they are.
func (c *choice) remark(ref, cur *dataset.Table) {
	for _, name := range slices.Concat(c.features, c.extra) {
		a, inReference := ref.Column(name)
		b, inCurrent := cur.Column(name)
		if !inReference || !inCurrent {
			continue
		}
		note, other := "", first(notNumber(a), notNumber(b))
		switch {
		case other != "":
			note = fmt.Sprintf("numbers, but for %q, so compared as categories: a contract (-f) that declares a number lets such cells count as missing", other)
		case classOf(a.Kind) != classOf(b.Kind):
			note = fmt.Sprintf("%s in the reference, %s in the current rows: a contract (-f) would say which it is", a.Kind, b.Kind)
		default:
			continue
		}
		c.notes = append(c.notes, leftOut{Column: name, Reason: note})
	}
}

// classOf puts together the kinds that are compared as one without anything being lost.
func classOf(k dataset.Kind) dataset.Kind {
	switch k {
	case dataset.Integer:
		return dataset.Number
	case dataset.Text:
		return dataset.Category
	}
	return k
}

// saysNothing is why a comparison of the column would say nothing about what the rows are like; "": it would.
func saysNothing(a, b *dataset.Column) string {
	switch {
	case a.Nulls() == a.Len() && b.Nulls() == b.Len():
		return "no values on either side"
	case a.Kind == dataset.Text && b.Kind == dataset.Text && (allNames(a) || allNames(b)):
		if other := first(notNumber(a), notNumber(b)); other != "" {
			return fmt.Sprintf("numbers, but for %q, so it is read as text: a contract (-f) that declares a number lets such cells count as missing", other)
		}
		return "text that hardly ever repeats: names of rows, or prose"
	case a.Kind == dataset.Integer && b.Kind == dataset.Integer && counts(a) && counts(b):
		return "whole numbers that name rows: each once, rising or without large gaps"
	case a.Kind == dataset.Timestamp && b.Kind == dataset.Timestamp && apart(a, b):
		return "a time that only moves on: no instant lies between those of the other file"
	}
	return ""
}

// notNumber is a value of a text that else holds numbers, nine rows in ten at least; "": it isn't such a text.
func notNumber(c *dataset.Column) string {
	numbers, n, other := 0, 0, int32(-1)
	isNumber := make([]bool, len(c.Dict))
	for i, value := range c.Dict {
		x, err := strconv.ParseFloat(value, 64)
		isNumber[i] = err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
	}
	for _, code := range c.Codes {
		switch {
		case code < 0:
			continue
		case isNumber[code]:
			numbers++
		case other < 0:
			other = code
		}
		n++
	}
	if other < 0 || float64(numbers) < mostly*float64(n) {
		return ""
	}
	return clip(c.Dict[other], 40)
}

// allNames reports whether nearly every value of a text is another.
func allNames(c *dataset.Column) bool {
	used := make([]bool, len(c.Dict))
	distinct, n := 0, 0
	for _, code := range c.Codes {
		if code < 0 {
			continue
		}
		n++
		if !used[code] {
			used[code] = true
			distinct++
		}
	}
	return n >= fewRows && float64(distinct) > distinctish*float64(n)
}

// counts reports whether whole numbers count rows: no nulls, and rising, or each once without large gaps.
func counts(c *dataset.Column) bool {
	n := len(c.Floats)
	if n < fewRows || c.Nulls() > 0 {
		return false
	}
	rising := true
	for i := 1; i < n && rising; i++ {
		rising = c.Floats[i] > c.Floats[i-1]
	}
	if rising {
		return true
	}
	low := slices.Min(c.Floats)
	if slices.Max(c.Floats)-low > dense*float64(n) {
		return false
	}
	seen := make([]bool, dense*n+1)
	for _, x := range c.Floats {
		if seen[int(x-low)] {
			return false
		}
		seen[int(x-low)] = true
	}
	return true
}

// apart reports whether all instants of one column are at or after all of the other's.
func apart(a, b *dataset.Column) bool {
	oldestA, newestA, okA := spanOf(a.Times)
	oldestB, newestB, okB := spanOf(b.Times)
	return okA && okB && (newestA <= oldestB || newestB <= oldestA) && oldestA < newestA && oldestB < newestB
}

func spanOf(times []int64) (oldest, newest int64, ok bool) {
	for _, t := range times {
		if t == dataset.NullTime {
			continue
		}
		if !ok {
			oldest, newest, ok = t, t, true
		}
		oldest, newest = min(oldest, t), max(newest, t)
	}
	return oldest, newest, ok
}
