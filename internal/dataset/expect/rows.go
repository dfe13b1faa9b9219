package expect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// bind makes a test of a column's rows, whose values aren't null, for being unexpected.
type bind func(c *Column) func(row int) bool

// rowCheck judges each value of a column on its own, or with the one before it.
type rowCheck struct {
	tally
	column int
	nulls  nullMode
	bind   bind
}

// nullMode says what nulls are to a rule.
type nullMode uint8

const (
	skipNulls   nullMode = iota // left out
	refuseNulls                 // unexpected, and everything else expected
	wantNulls                   // the other way round
)

// rowCheck picks the check of a rule of family Rows.
func (r *Runner) rowCheck(rule suite.Rule, at int) (check, error) {
	c := &rowCheck{column: at}
	c.rule, c.keep = rule, r.o.Keep
	switch rule.Type {
	case "expect_column_values_to_not_be_null":
		c.nulls = refuseNulls
	case "expect_column_values_to_be_null":
		c.nulls = wantNulls
	case "expect_column_values_to_be_unique":
		return newUniqueCheck(rule, at, r.kept()), nil
	case "expect_column_value_z_scores_to_be_less_than":
		return newZScores(rule, at, r.kept()), nil
	case "expect_column_values_to_be_increasing", "expect_column_values_to_be_decreasing":
		c.bind = monotone(rule)
	default:
		c.bind = bindOf(rule)
	}
	c.whole = c.nulls != skipNulls
	return c, nil
}

// bindOf is the test of the kinds that judge a value by itself.
func bindOf(rule suite.Rule) bind {
	byText := func(bad func(text string) bool) bind {
		return func(c *Column) func(int) bool { return perValue(c, bad) }
	}
	switch rule.Type {
	case "expect_column_values_to_be_between":
		return outside(rule)
	case "expect_column_values_to_be_in_set", "expect_column_values_to_not_be_in_set":
		s, forbidden := newSet(rule.Values), strings.Contains(rule.Type, "_not_")
		return func(c *Column) func(int) bool {
			in := member(c, s)
			return func(row int) bool { return in(row) == forbidden }
		}
	case "expect_column_value_lengths_to_be_between":
		return byText(func(text string) bool { return !within(float64(utf8.RuneCountInString(text)), rule) })
	case "expect_column_value_lengths_to_equal":
		return byText(func(text string) bool { return int64(utf8.RuneCountInString(text)) != rule.Count })
	case "expect_column_values_to_match_strftime_format":
		return byText(func(text string) bool { return !rule.Time.Match(text) })
	case "expect_column_values_to_be_json_parseable":
		return byText(func(text string) bool { return !json.Valid([]byte(text)) })
	case "expect_column_values_to_not_match_regex", "expect_column_values_to_not_match_regex_list":
		return byText(func(text string) bool { return matches(rule.Patterns, text) > 0 })
	}
	want := 1 // regex, and regex_list of which any must match
	if rule.MatchAll {
		want = len(rule.Patterns)
	}
	return byText(func(text string) bool { return matches(rule.Patterns, text) < want })
}

// matches counts the patterns that are found in the text.
func matches(patterns []*suite.Pattern, text string) int {
	n := 0
	for _, p := range patterns {
		if p.Match(text) {
			n++
		}
	}
	return n
}

// within reports whether a number lies within the rule's bounds.
func within(v float64, rule suite.Rule) bool {
	low, high := rule.Min, rule.Max
	return (low == nil || v > low.Number || (v == low.Number && !rule.StrictMin)) &&
		(high == nil || v < high.Number || (v == high.Number && !rule.StrictMax))
}

// outside is the test for lying outside of the rule's bounds.
func outside(rule suite.Rule) bind {
	return func(c *Column) func(int) bool {
		if storageOf(c.Type) == times {
			return func(row int) bool { return !withinTimes(c.Times[row], rule) }
		}
		return func(row int) bool { return !within(c.Floats[row], rule) }
	}
}

func withinTimes(at int64, rule suite.Rule) bool {
	if rule.Min != nil {
		if low, _ := rule.Min.Time(); at < low || (at == low && rule.StrictMin) {
			return false
		}
	}
	if rule.Max != nil {
		if high, _ := rule.Max.Time(); at > high || (at == high && rule.StrictMax) {
			return false
		}
	}
	return true
}

// monotone compares each value with the one before it, nulls left out.
func monotone(rule suite.Rule) bind {
	var lastFloat float64
	var lastTime int64
	first := true
	down := strings.HasSuffix(rule.Type, "decreasing")
	return func(c *Column) func(int) bool {
		return func(row int) bool {
			var order int
			if storageOf(c.Type) == times {
				order = cmp.Compare(c.Times[row], lastTime)
				lastTime = c.Times[row]
			} else {
				order = cmp.Compare(c.Floats[row], lastFloat)
				lastFloat = c.Floats[row]
			}
			if first {
				first = false
				return false
			}
			if down {
				order = -order
			}
			return order < 0 || (order == 0 && rule.Strictly)
		}
	}
}

// asExpected counts the rows of a batch of numbers at once, if a glance says that each is as expected.
func (k *rowCheck) asExpected(c *Column) bool {
	if storageOf(c.Type) != floats {
		return false
	}
	s := c.summary()
	n := int64(len(c.Floats))
	switch {
	case k.nulls == refuseNulls && s.nulls == 0:
		k.elements += n
		return true
	case k.rule.Type == "expect_column_values_to_be_between" && (s.nulls == n || (within(s.low, k.rule) && within(s.high, k.rule))):
		k.elements += n
		k.missing += s.nulls
		return true
	}
	return false
}

func (k *rowCheck) rows(b *Batch, keep []bool) error {
	c := &b.Columns[k.column]
	if keep == nil && k.asExpected(c) {
		return nil
	}
	var bad func(int) bool
	if k.nulls == skipNulls {
		bad = k.bind(c)
	}
	for row := range b.Rows {
		if keep != nil && !keep[row] {
			continue
		}
		k.elements++
		null := c.null(row)
		unexpected := false
		switch {
		case k.nulls != skipNulls:
			unexpected = null == (k.nulls == refuseNulls)
		case null:
			k.missing++
		default:
			unexpected = bad(row)
		}
		if unexpected {
			k.note(b.First+int64(row), func() any { return c.value(row) })
		}
	}
	return nil
}

func (k *rowCheck) finish(f *Finding) error { return k.tally.finish(f) }
func (k *rowCheck) close() error            { return nil }

// tally counts elements and those that aren't as expected.
type tally struct {
	rule       suite.Rule
	keep       int // rows listed
	elements   int64
	missing    int64 // that aren't judged
	unexpected int64
	values     []any
	index      []int64
	whole      bool // nothing is missing to the rule: shares are of all elements
}

// note counts one that isn't as expected.
func (t *tally) note(row int64, value func() any) {
	t.unexpected++
	if len(t.values) < suite.PartialCount {
		t.values = append(t.values, value())
	}
	if len(t.index) < t.keep {
		t.index = append(t.index, row)
	}
}

// finish judges by mostly. Where nothing could be judged, all was as expected.
func (t *tally) finish(f *Finding) error {
	judged := t.elements - t.missing
	o := &f.Outcome
	o.Success = judged == 0 || float64(judged-t.unexpected)/float64(judged) >= t.rule.Mostly
	found := &o.Found
	found.ElementCount, found.UnexpectedCount = &t.elements, &t.unexpected
	found.PartialUnexpected, found.PartialIndex = t.values, t.index[:min(len(t.index), suite.PartialCount)]
	found.UnexpectedPercent = percent(t.unexpected, judged)
	if t.whole {
		if t.elements == 0 {
			found.UnexpectedPercent = nil
		}
	} else {
		found.MissingCount, found.MissingPercent = &t.missing, percent(t.missing, t.elements)
		found.UnexpectedOfTotal, found.UnexpectedOfPresent = percent(t.unexpected, t.elements), percent(t.unexpected, judged)
	}
	f.Rows, f.First = t.unexpected, t.index
	f.Limit = limit(t.rule)
	f.Observed = fmt.Sprintf("%s of %d values", share(t.unexpected, judged), judged)
	if len(t.values) > 0 {
		f.Observed += ", the first " + show(t.values[0])
	}
	return nil
}

// percent is 100 n/of; nil where there is nothing to divide by.
func percent(n, of int64) *float64 {
	if of == 0 {
		return nil
	}
	p := float64(n) / float64(of) * 100
	return &p
}

// share is how many of how many, in words.
func share(n, of int64) string {
	p := percent(n, of)
	if p == nil {
		return fmt.Sprintf("%d unexpected", n)
	}
	return fmt.Sprintf("%d unexpected (%.3g %%)", n, *p)
}
