package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// tableCheck judges the table as a whole: how many rows and columns, their names and types.
type tableCheck struct {
	rule    suite.Rule
	columns []Column
	header  []string
	count   int64 // rows
}

func newTableCheck(rule suite.Rule, columns []Column) *tableCheck {
	return &tableCheck{rule: rule, columns: columns}
}

func (t *tableCheck) rows(b *Batch, keep []bool) error {
	if keep == nil {
		t.count += int64(b.Rows)
		return nil
	}
	for _, k := range keep {
		if k {
			t.count++
		}
	}
	return nil
}

func (t *tableCheck) close() error { return nil }

func (t *tableCheck) finish(f *Finding) error {
	rule, o := t.rule, &f.Outcome
	f.Limit = limit(rule)
	number := func(n int64, ok bool) {
		o.Success, o.Found.ObservedValue, f.Observed = ok, n, fmt.Sprint(n)
	}
	columns := int64(len(t.header))
	switch rule.Type {
	case "expect_table_row_count_to_equal":
		number(t.count, t.count == rule.Count)
	case "expect_table_row_count_to_be_between":
		number(t.count, within(float64(t.count), rule))
	case "expect_table_column_count_to_equal":
		number(columns, columns == rule.Count)
	case "expect_table_column_count_to_be_between":
		number(columns, within(float64(columns), rule))
	case "expect_table_columns_to_match_ordered_list":
		t.ordered(f)
	case "expect_table_columns_to_match_set":
		t.matchSet(f)
	case "expect_column_to_exist":
		at := slices.Index(t.header, rule.Column)
		o.Success = at >= 0 && (rule.Index == 0 || at == rule.Index)
		f.Observed = clip("columns " + strings.Join(t.header, ", "))
	default:
		t.types(f)
	}
	return nil
}

// ordered compares the names one by one.
func (t *tableCheck) ordered(f *Finding) {
	o := &f.Outcome
	o.Success, o.Found.ObservedValue = slices.Equal(t.header, t.rule.Columns), t.header
	f.Observed = clip("columns " + strings.Join(t.header, ", "))
	var mismatched []map[string]any
	for i := range max(len(t.header), len(t.rule.Columns)) {
		var expected, found any
		if i < len(t.rule.Columns) {
			expected = t.rule.Columns[i]
		}
		if i < len(t.header) {
			found = t.header[i]
		}
		if expected != found {
			mismatched = append(mismatched, map[string]any{"Expected Column Position": i, "Expected": expected, "Found": found})
		}
	}
	if mismatched != nil {
		o.Found.Details = map[string]any{"mismatched": mismatched}
	}
}

// matchSet compares the names in any order.
func (t *tableCheck) matchSet(f *Finding) {
	o := &f.Outcome
	without := func(a, b []string) []string {
		var out []string
		for _, name := range a {
			if !slices.Contains(b, name) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return out
	}
	unexpected, missing := without(t.header, t.rule.Columns), without(t.rule.Columns, t.header)
	o.Success = len(missing) == 0 && (len(unexpected) == 0 || !t.rule.ExactMatch)
	sorted := slices.Clone(t.header)
	slices.Sort(sorted)
	o.Found.ObservedValue = sorted
	mismatched := map[string][]string{}
	f.Observed = clip("columns " + strings.Join(sorted, ", "))
	if len(unexpected) > 0 {
		mismatched["unexpected"] = unexpected
	}
	if len(missing) > 0 {
		mismatched["missing"] = missing
		f.Observed += "; missing " + clip(strings.Join(missing, ", "))
	}
	if len(mismatched) > 0 {
		o.Found.Details = map[string]any{"mismatched": mismatched}
	}
}

// types holds a column's type to the names that would do.
func (t *tableCheck) types(f *Finding) {
	i := slices.IndexFunc(t.columns, func(c Column) bool { return c.Name == t.rule.Column })
	observed := t.columns[i].Type
	f.Outcome.Success = slices.ContainsFunc(t.rule.Types, func(name string) bool { return suite.OfType(name, observed) })
	f.Outcome.Found.ObservedValue, f.Observed = observed, observed
}
