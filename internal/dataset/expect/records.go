package expect

import (
	"slices"
	"strconv"
	"unsafe"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// records judges several columns row by row.
type records struct {
	tally
	at     []int
	good   func(row []*Column, at int) bool
	hash   hasher
	groups *spill.Groups // of compound keys; nil for the other kinds
	bytes  []byte        // of the values, and words about them: room that is used again
	words  []byte
}

func (r *Runner) records(rule suite.Rule, at []int) (check, error) {
	c := &records{tally: tally{rule: rule, keep: r.o.Keep}, at: at[:len(rule.Columns)]}
	switch rule.Type {
	case "expect_compound_columns_to_be_unique":
		c.hash = newHasher()
		c.groups = spill.NewGroups(spill.Options{Limit: r.limit, Keep: r.o.Keep, Dir: r.o.Dir})
	case "expect_multicolumn_sum_to_equal":
		c.good = func(columns []*Column, row int) bool {
			sum := 0.0
			for _, column := range columns {
				sum += column.Floats[row] // NaN where any is null, and NaN is no sum
			}
			return sum == rule.Sum
		}
	case "expect_multicolumn_values_to_be_equal":
		c.good = func(columns []*Column, row int) bool { return c.different(columns, row) == 1 }
	default: // unique within the record
		c.good = func(columns []*Column, row int) bool { return c.different(columns, row) == len(columns) }
	}
	return c, nil
}

// different counts the different values of a row; nulls are one.
func (r *records) different(columns []*Column, row int) int {
	seen := make([]string, 0, 8)
	for _, c := range columns {
		r.bytes = c.appendValue(r.bytes[:0], row)
		if !slices.Contains(seen, string(r.bytes)) {
			seen = append(seen, string(r.bytes))
		}
	}
	return len(seen)
}

func (r *records) rows(b *Batch, keep []bool) error {
	columns := make([]*Column, len(r.at))
	for i, at := range r.at {
		columns[i] = &b.Columns[at]
	}
	for row := range b.Rows {
		if keep != nil && !keep[row] {
			continue
		}
		r.elements++
		nulls := 0
		for _, c := range columns {
			if c.null(row) {
				nulls++
			}
		}
		if (r.rule.Ignore == "all_values_are_missing" && nulls == len(columns)) || (r.rule.Ignore == "any_value_is_missing" && nulls > 0) {
			r.missing++
			continue
		}
		number := b.First + int64(row)
		if r.groups == nil {
			if !r.good(columns, row) {
				r.note(number, func() any { return record(columns, row) })
			}
			continue
		}
		r.bytes = r.bytes[:0]
		for _, c := range columns {
			r.bytes = c.appendValue(r.bytes, row)
		}
		if err := r.groups.Add(r.hash.key(unsafe.String(unsafe.SliceData(r.bytes), len(r.bytes))), number, r.text(columns, row)); err != nil {
			return err
		}
	}
	return nil
}

// text is a row's values in words, valid until the next call: Groups copies what it keeps.
func (r *records) text(columns []*Column, row int) string {
	b := r.words[:0]
	for i, c := range columns {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, c.Name...), '=')
		switch {
		case c.null(row):
			b = append(b, "null"...)
		case storageOf(c.Type) == codes:
			b = strconv.AppendQuote(b, c.Dict[c.Codes[row]])
		default:
			b = append(b, c.text(row)...)
		}
	}
	r.words = b
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// record is a row's values by their columns.
func record(columns []*Column, row int) map[string]any {
	out := make(map[string]any, len(columns))
	for _, c := range columns {
		out[c.Name] = c.value(row)
	}
	return out
}

func (r *records) finish(f *Finding) error {
	if r.groups != nil {
		found, err := r.groups.Finish(nil)
		if err != nil {
			return err
		}
		r.unexpected = found.Members
		for i, row := range found.AnyFirst {
			r.index = append(r.index, row.Number)
			if i < suite.PartialCount {
				r.values = append(r.values, row.Text)
			}
		}
	}
	return r.tally.finish(f)
}

func (r *records) close() error {
	if r.groups == nil {
		return nil
	}
	return r.groups.Close()
}
