package suite

import (
	"fmt"
	"math"
	"strings"

	"github.com/leanloop/leanloop/internal/nearest"
)

// arguments reads an expectation's arguments into its rule.
type arguments struct {
	rule  *Rule
	found []Problem
}

func (a *arguments) fail(path, hint, format string, args ...any) {
	a.found = append(a.found, Problem{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// read reads one argument; an argument's form goes by its name.
func (a *arguments) read(name string, v any) {
	r, at := a.rule, "kwargs."+name
	switch name {
	case "column":
		r.Column = a.name(at, v)
	case "column_A":
		r.Columns = append([]string{a.name(at, v)}, r.Columns...)
	case "column_B":
		r.Columns = append(r.Columns, a.name(at, v))
	case "column_list", "column_set":
		r.Columns = a.names(at, v)
	case "mostly":
		r.Mostly = a.number(at, v)
	case "min_value":
		r.Min = a.bound(at, v)
	case "max_value":
		r.Max = a.bound(at, v)
	case "value":
		r.Count = a.count(at, v)
	case "column_index":
		r.Index = int(a.count(at, v))
	case "value_set":
		r.Values = a.values(at, v)
	case "type_":
		r.Types = []string{a.typeName(at, a.name(at, v))}
	case "type_list":
		for i, t := range a.names(at, v) {
			r.Types = append(r.Types, a.typeName(fmt.Sprintf("%s[%d]", at, i), t))
		}
	case "regex":
		r.Patterns = a.patterns(at, []string{a.text(at, v)})
	case "regex_list":
		r.Patterns = a.patterns(at, a.names(at, v))
	case "threshold":
		r.Threshold = a.number(at, v)
	case "sum_total":
		r.Sum = a.number(at, v)
	default:
		a.readRare(name, at, v)
	}
}

// readRare is read for what few kinds take.
func (a *arguments) readRare(name, at string, v any) {
	r := a.rule
	switch name {
	case "strict_min":
		r.StrictMin = a.boolean(at, v)
	case "strict_max":
		r.StrictMax = a.boolean(at, v)
	case "strictly":
		r.Strictly = a.boolean(at, v)
	case "or_equal":
		r.OrEqual = a.boolean(at, v)
	case "ties_okay":
		r.TiesOkay = a.boolean(at, v)
	case "exact_match":
		r.ExactMatch = a.boolean(at, v)
	case "double_sided":
		r.DoubleSided = a.boolean(at, v)
	case "match_on":
		r.MatchAll = a.oneOf(at, v, "any", "all") == "all"
	case "ignore_row_if":
		r.Ignore = a.text(at, v)
	case "condition_parser":
		a.oneOf(at, v, "pandas", "great_expectations", "great_expectations__experimental__", "spark")
	case "row_condition":
		var err error
		if r.Where, err = ParseCondition(v); err != nil {
			a.fail(at, "docs/expectations.md has the conditions that are understood", "%v", err)
		}
	case "strftime_format":
		var err error
		if r.Time, err = ParseTimeFormat(a.text(at, v)); err != nil {
			a.fail(at, "", "%v", err)
		}
	case "quantile_ranges":
		a.quantiles(at, v)
	case "allow_relative_error":
		if b, ok := v.(bool); !ok || b {
			r.Interpolation = a.oneOf(at, v, "linear", "lower", "higher", "midpoint", "nearest")
		}
	}
}

func (a *arguments) mismatch(at, want string, v any) {
	a.fail(at, "", "expected %s, found %s", want, describe(v))
}

func (a *arguments) text(at string, v any) string {
	s, ok := v.(string)
	if !ok {
		a.mismatch(at, "a text", v)
	}
	return s
}

// name is a text that isn't empty.
func (a *arguments) name(at string, v any) string {
	s := a.text(at, v)
	if v == "" {
		a.fail(at, "", "the text is empty")
	}
	return s
}

func (a *arguments) names(at string, v any) []string {
	items, ok := v.([]any)
	if !ok {
		a.mismatch(at, "a list of texts", v)
		return nil
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = a.name(fmt.Sprintf("%s[%d]", at, i), item)
	}
	if len(out) == 0 {
		a.fail(at, "", "the list is empty")
	}
	return out
}

func (a *arguments) oneOf(at string, v any, valid ...string) string {
	s := a.text(at, v)
	for _, word := range valid {
		if s == word {
			return s
		}
	}
	if _, ok := v.(string); ok {
		a.fail(at, nearest.Hint(s, valid), "%q is unknown", s)
	}
	return ""
}

func (a *arguments) boolean(at string, v any) bool {
	b, ok := v.(bool)
	if !ok {
		a.mismatch(at, "true or false", v)
	}
	return b
}

func (a *arguments) number(at string, v any) float64 {
	f, ok := v.(float64)
	if !ok {
		a.mismatch(at, "a number", v)
	}
	return f
}

// count is a whole number that isn't negative.
func (a *arguments) count(at string, v any) int64 {
	f := a.number(at, v)
	if f != math.Trunc(f) || f < 0 || f > 1<<53 {
		a.fail(at, "", "%v is no count", f)
		return 0
	}
	return int64(f)
}

// scalar is a text, a number or a boolean.
func (a *arguments) scalar(at string, v any) (Value, bool) {
	switch v := v.(type) {
	case string:
		return Value{Kind: TextValue, Text: v}, true
	case float64:
		return Value{Kind: NumberValue, Number: v}, true
	case bool:
		return Value{Kind: BooleanValue, Boolean: v}, true
	}
	a.mismatch(at, "a text, a number or a boolean", v)
	return Value{}, false
}

func (a *arguments) bound(at string, v any) *Value {
	if _, ok := v.(bool); ok {
		a.mismatch(at, "a number or a time", v)
		return nil
	}
	value, ok := a.scalar(at, v)
	if !ok {
		return nil
	}
	return &value
}

// values is a set; null in it matches nothing, since nulls are never judged.
func (a *arguments) values(at string, v any) []Value {
	items, ok := v.([]any)
	if !ok {
		a.mismatch(at, "a list of values", v)
		return nil
	}
	var out []Value
	for i, item := range items {
		if item == nil {
			continue
		}
		if value, ok := a.scalar(fmt.Sprintf("%s[%d]", at, i), item); ok {
			out = append(out, value)
		}
	}
	return out
}

func (a *arguments) patterns(at string, texts []string) []*Pattern {
	var out []*Pattern
	for i, text := range texts {
		p, err := ParsePattern(text)
		if err != nil {
			if len(texts) > 1 || strings.HasSuffix(at, "_list") {
				at = fmt.Sprintf("%s[%d]", at, i)
			}
			a.fail(at, "patterns are RE2: without look-around and references", "%v", err)
			continue
		}
		out = append(out, p)
	}
	return out
}

// quantiles reads {"quantiles": [0, 0.5], "value_ranges": [[null, 3], [1, 2]]}.
func (a *arguments) quantiles(at string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		a.mismatch(at, "an object with quantiles and value_ranges", v)
		return
	}
	for name := range m {
		if name != "quantiles" && name != "value_ranges" {
			a.fail(at+"."+name, "", "unknown field %q", name)
		}
	}
	shares, ok := m["quantiles"].([]any)
	ranges, also := m["value_ranges"].([]any)
	if !ok || !also || len(shares) != len(ranges) || len(shares) == 0 {
		a.fail(at, "", "expected as many quantiles as value_ranges")
		return
	}
	for i, share := range shares {
		q := a.number(fmt.Sprintf("%s.quantiles[%d]", at, i), share)
		if q < 0 || q > 1 {
			a.fail(fmt.Sprintf("%s.quantiles[%d]", at, i), "", "%v isn't within 0 and 1", q)
		}
		a.rule.Quantiles = append(a.rule.Quantiles, q)
		a.rule.Ranges = append(a.rule.Ranges, a.valueRange(fmt.Sprintf("%s.value_ranges[%d]", at, i), ranges[i]))
	}
}

func (a *arguments) valueRange(at string, v any) [2]float64 {
	out := [2]float64{math.Inf(-1), math.Inf(1)}
	ends, ok := v.([]any)
	if !ok || len(ends) != 2 {
		a.fail(at, "", "expected two bounds, either of them null where it is open")
		return out
	}
	for i, end := range ends {
		if end != nil {
			out[i] = a.number(fmt.Sprintf("%s[%d]", at, i), end)
		}
	}
	if out[0] > out[1] {
		a.fail(at, "", "%v > %v", out[0], out[1])
	}
	return out
}
