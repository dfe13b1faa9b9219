package profile

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/dataset"
)

// categoryBuilder counts a column of categories or text: each value up to the limits, registers beyond them.
type categoryBuilder struct {
	limits    limits
	rows      int64
	count     int64            // values that aren't null
	counts    map[string]int64 // nil beyond the limits
	text      int              // bytes of its keys
	registers []byte           // nil within the limits
	reference []ValueCount     // a reference's categories
	listed    map[string]int   // where they are in reference and known
	known     []int64          // rows of each

	rowsOf []int64 // of each code, in this chunk
	codes  []int32 // that occur in this chunk
}

// newCategoryBuilder counts the categories of the reference apart, where there is one.
func newCategoryBuilder(l limits, reference *Column) *categoryBuilder {
	b := &categoryBuilder{limits: l, counts: map[string]int64{}}
	if reference != nil && !reference.overflow {
		b.reference = reference.values
		b.listed = make(map[string]int, len(reference.values))
		for i, v := range reference.values {
			b.listed[v.Value] = i
		}
		b.known = make([]int64, len(reference.values))
	}
	return b
}

// add takes the values of more rows. Each value is looked up once, whatever number of rows has it.
func (b *categoryBuilder) add(c *dataset.Column, _ *scratch) {
	b.rows += int64(len(c.Codes))
	if len(b.rowsOf) < len(c.Dict) {
		b.rowsOf = make([]int64, len(c.Dict))
	}
	b.codes = b.codes[:0]
	for _, code := range c.Codes {
		if code < 0 {
			continue
		}
		if b.rowsOf[code] == 0 {
			b.codes = append(b.codes, code)
		}
		b.rowsOf[code]++
	}
	for _, code := range b.codes {
		b.take(c.Dict[code], b.rowsOf[code])
		b.rowsOf[code] = 0
	}
}

// take counts one value. JSON holds UTF-8 alone, so other bytes are replaced here already.
func (b *categoryBuilder) take(value string, rows int64) {
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, string(utf8.RuneError))
	}
	b.count += rows
	if i, ok := b.listed[value]; ok {
		b.known[i] += rows
	}
	if b.registers != nil {
		enterText(b.registers, value)
		return
	}
	if n, seen := b.counts[value]; seen {
		b.counts[value] = n + rows
		return
	}
	b.text += len(value)
	if len(b.counts) < b.limits.categories && b.text <= b.limits.text {
		b.counts[strings.Clone(value)] = rows
		return
	}
	b.registers = make([]byte, 1<<b.limits.precision)
	enterText(b.registers, value)
	for seen := range b.counts {
		enterText(b.registers, seen)
	}
	b.counts = nil
}

// finish is the column.
func (b *categoryBuilder) finish(out *Column) {
	out.Count, out.Nulls = b.count, b.rows-b.count
	out.registers, out.overflow = slices.Clone(b.registers), b.registers != nil
	if b.listed != nil {
		out.Bins = &Bins{Counts: append(slices.Clone(b.known), b.count), Exact: true, Borrowed: true}
		for i, v := range b.reference {
			out.Bins.Values = append(out.Bins.Values, v.Value)
			out.Bins.Counts[len(b.known)] -= b.known[i]
		}
	}
	if !out.overflow {
		out.values = make([]ValueCount, 0, len(b.counts))
		for value, rows := range b.counts {
			out.values = append(out.values, ValueCount{Value: value, Count: rows})
		}
		slices.SortFunc(out.values, byValue)
	}
}

func byValue(a, b ValueCount) int { return strings.Compare(a.Value, b.Value) }

// keepTop lists the most frequent of all values, and counts the rest.
func (c *Column) keepTop(all []ValueCount, top int) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	c.Top, c.Other = slices.Clip(all[:min(top, len(all))]), 0
	for _, v := range all[len(c.Top):] {
		c.Other += v.Count
	}
}
