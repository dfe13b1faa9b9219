package profile

import (
	"fmt"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
)

// Merge is the profile of the rows of all profiles together: that which one Builder would have given, to the bit, but
// for the last digits of mean and standard deviation, whatever the order. They must have the same columns, the same
// Options.Top and, where one has borrowed bins, the same reference.
//
// An integer column and a number column are numbers together; a column without any value takes the kind of the others.
func Merge(profiles ...*Profile) (*Profile, error) {
	if len(profiles) == 0 {
		return nil, fmt.Errorf("merge profiles: none given")
	}
	out := &Profile{Version: Version, Columns: slices.Clone(profiles[0].Columns)}
	for i, p := range profiles {
		if p.Version != Version {
			return nil, versionError(p.Version)
		}
		if len(p.Columns) != len(out.Columns) {
			return nil, fmt.Errorf("merge profiles: profile %d has %d columns, the first %d", i+1, len(p.Columns), len(out.Columns))
		}
		if p.top != profiles[0].top {
			return nil, fmt.Errorf("merge profiles: profile %d lists %d values, the first %d", i+1, p.top, profiles[0].top)
		}
		out.Rows += p.Rows
	}
	out.top = profiles[0].top
	l := limitsFor(len(out.Columns))
	for i := range out.Columns {
		c := &out.Columns[i]
		for n, p := range profiles[1:] {
			merged, err := c.merge(&p.Columns[i], l)
			if err != nil {
				return nil, fmt.Errorf("merge profiles: column %d of profile %d: %w", i+1, n+2, err)
			}
			*c = merged
		}
		if len(profiles) > 1 {
			c.derive(out.top)
		}
	}
	return out, nil
}

// versionError refuses another algorithm's profile.
func versionError(observed int) error {
	return fmt.Errorf("profile: version %d, want %d: its numbers mean something else; profile the data again", observed, Version)
}

// merge is the column of both columns' rows, without what derive derives.
func (c *Column) merge(o *Column, l limits) (Column, error) {
	if c.Name != o.Name {
		return Column{}, fmt.Errorf("%q, want %q", o.Name, c.Name)
	}
	kind, ok := commonKind(c, o)
	if !ok {
		return Column{}, fmt.Errorf("%q is %s, want %s", c.Name, o.Kind, c.Kind)
	}
	out := Column{Name: c.Name, Kind: kind, Count: c.Count + o.Count, Nulls: c.Nulls + o.Nulls}
	var err error
	if out.Bins, err = mergeBins(c, o); err != nil {
		return Column{}, fmt.Errorf("%q: %w", c.Name, err)
	}
	out.Oldest = pickTime(c.Oldest, o.Oldest, time.Time.Before)
	out.Newest = pickTime(c.Newest, o.Newest, time.Time.After)
	if out.numeric() {
		out.mergeNumbers(c, o, l)
	} else {
		out.mergeCategories(c, o, l)
	}
	return out, nil
}

// commonKind is the kind of both columns' values.
func commonKind(c, o *Column) (string, bool) {
	number, integer := dataset.Number.String(), dataset.Integer.String()
	switch {
	case c.Kind == o.Kind, o.Count == 0:
		return c.Kind, true
	case c.Count == 0:
		return o.Kind, true
	case (c.Kind == number || c.Kind == integer) && (o.Kind == number || o.Kind == integer):
		return number, true
	}
	return "", false
}

// mergeNumbers sums up both columns' numbers.
func (c *Column) mergeNumbers(a, b *Column, l limits) {
	c.moments = a.moments.merge(b.moments)
	c.sketch = a.sketch.merge(b.sketch, l.buckets)
	switch {
	case a.Numbers != nil && b.Numbers != nil:
		c.Numbers = &Numbers{Min: min(a.Numbers.Min, b.Numbers.Min), Max: max(a.Numbers.Max, b.Numbers.Max)}
	case a.Numbers != nil:
		c.Numbers = &Numbers{Min: a.Numbers.Min, Max: a.Numbers.Max}
	case b.Numbers != nil:
		c.Numbers = &Numbers{Min: b.Numbers.Min, Max: b.Numbers.Max}
	}
	if c.sketch.shift > 0 {
		c.registers = mergeRegisters(a, b, l)
	}
}

// mergeCategories counts both columns' categories.
func (c *Column) mergeCategories(a, b *Column, l limits) {
	text := 0
	c.values = make([]ValueCount, 0, max(len(a.values), len(b.values)))
	for x, y := a.values, b.values; len(x) > 0 || len(y) > 0; {
		var v ValueCount
		switch {
		case len(y) == 0 || (len(x) > 0 && x[0].Value < y[0].Value):
			v, x = x[0], x[1:]
		case len(x) == 0 || y[0].Value < x[0].Value:
			v, y = y[0], y[1:]
		default:
			v = ValueCount{Value: x[0].Value, Count: x[0].Count + y[0].Count}
			x, y = x[1:], y[1:]
		}
		text += len(v.Value)
		c.values = append(c.values, v)
	}
	if a.overflow || b.overflow || len(c.values) > l.categories || text > l.text {
		c.overflow, c.values = true, nil
		c.registers = mergeRegisters(a, b, l)
	}
}

// mergeRegisters are those of both columns' values.
func mergeRegisters(a, b *Column, l limits) []byte {
	out := make([]byte, 1<<l.precision)
	for _, c := range []*Column{a, b} {
		switch {
		case c.registers != nil:
			for i, r := range c.registers {
				out[i] = max(out[i], r)
			}
		case c.numeric():
			enterKeys(out, c.sketch.buckets)
		default:
			for _, v := range c.values {
				enterText(out, v.Value)
			}
		}
	}
	return out
}

// mergeBins adds up what was counted into a reference's bins. Bins of the columns' own are derived anew.
func mergeBins(a, b *Column) (*Bins, error) {
	x, y := a.borrowed(), b.borrowed()
	switch {
	case x == nil && y == nil:
		return nil, nil
	case x == nil && a.Count == 0:
		return y, nil
	case y == nil && b.Count == 0:
		return x, nil
	case x == nil || y == nil:
		return nil, fmt.Errorf("counted against a reference in one profile and not in the other")
	case !slices.Equal(x.Edges, y.Edges) || !slices.Equal(x.Values, y.Values):
		return nil, fmt.Errorf("counted against different references")
	}
	out := *x
	out.Counts = make([]int64, len(x.Counts))
	for i := range out.Counts {
		out.Counts[i] = x.Counts[i] + y.Counts[i]
	}
	return &out, nil
}

// borrowed are the column's bins where they are a reference's.
func (c *Column) borrowed() *Bins {
	if c.Bins != nil && c.Bins.Borrowed {
		return c.Bins
	}
	return nil
}

// pickTime is the one that is better, or there.
func pickTime(a, b *time.Time, better func(a, b time.Time) bool) *time.Time {
	if a == nil || (b != nil && better(*b, *a)) {
		return b
	}
	return a
}
