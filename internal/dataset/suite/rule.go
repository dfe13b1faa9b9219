package suite

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/nearest"
)

// Rule is an expectation with its arguments read. Which are set follows from its kind.
type Rule struct {
	Expectation
	Family Family

	Column  string   // of Rows, Aggregate and the tables' kinds about one column
	Columns []string // of Pairs (A, then B) and Records; or the names that a table should have
	Mostly  float64  // the share of values that must be as expected; 1 unless given

	Min, Max             *Value // inclusive unless strict
	StrictMin, StrictMax bool
	Count                int64    // value of a count or a length
	Values               []Value  // value_set, without nulls
	Types                []string // type_, type_list
	Patterns             []*Pattern
	MatchAll             bool // of Patterns all, not any
	Time                 *TimeFormat
	Strictly             bool // increasing, decreasing
	OrEqual              bool // a greater than b
	TiesOkay             bool
	ExactMatch           bool // of a set of columns; true unless given
	Index                int  // column_index; 0: anywhere, as Great Expectations takes it
	DoubleSided          bool
	Threshold            float64
	Sum                  float64
	Quantiles            []float64
	Ranges               [][2]float64 // of Quantiles; ±Inf: open
	Interpolation        string       // linear | lower | higher | midpoint | nearest
	Ignore               string       // ignore_row_if
	Where                *Condition   // the rows that are judged; nil: all
}

// Reads are the columns whose values the rule needs.
func (r Rule) Reads() []string {
	var names []string
	if r.Column != "" && r.Type != "expect_column_to_exist" {
		names = append(names, r.Column)
	}
	if r.Family == Pairs || r.Family == Records {
		names = append(names, r.Columns...)
	}
	return append(names, r.Where.Columns()...)
}

// Takes is nil where the rule can be held to a column of the contract's type, or says which types it takes.
func (r Rule) Takes(column, columnType string) error {
	k := kinds()[r.Type]
	judged := column == r.Column || slices.Contains(r.Columns, column)
	if valid := k.takes.types(); judged && valid != nil && !slices.Contains(valid, columnType) {
		hint := ""
		if columnType == "timestamp" && slices.Contains(valid, "text") {
			hint = ": declare it text in the contract to keep what is written"
		}
		return fmt.Errorf("%s takes %s, and column %s is %s%s", r.Type, strings.Join(valid, ", "), column, columnType, hint)
	}
	for _, v := range []*Value{r.Min, r.Max} {
		if v == nil || k.takes != ordered || k.family == Pairs {
			continue
		}
		_, isTime := v.Time()
		switch {
		case columnType == "timestamp" && !isTime:
			return fmt.Errorf("column %s is timestamp, and the bound %s is no time such as 2006-01-02T15:04:05Z", column, v)
		case columnType != "timestamp" && v.Kind != NumberValue:
			return fmt.Errorf("column %s is %s, and the bound %s is no number", column, columnType, v)
		}
	}
	if columnType == "timestamp" && column == r.Column {
		for _, v := range r.Values {
			if _, ok := v.Time(); !ok {
				return fmt.Errorf("column %s is timestamp, and %s of value_set is no time such as 2006-01-02T15:04:05Z", column, v)
			}
		}
	}
	return nil
}

// Rule reads the arguments. The paths of problems begin at the expectation.
func (e Expectation) Rule() (Rule, []Problem) {
	r := Rule{Expectation: e, Mostly: 1, ExactMatch: true}
	a := &arguments{rule: &r}
	if e.Severity != "" && !slices.Contains(Severities(), e.Severity) {
		a.fail("severity", nearest.Hint(e.Severity, Severities()), "%q is unknown", e.Severity)
	}
	k, known := kinds()[e.Type]
	if !known {
		a.unknownKind(e.Type)
		return r, a.found
	}
	r.Family = k.family
	valid := k.arguments()
	for _, name := range slices.Sorted(maps.Keys(e.Kwargs)) {
		if !slices.Contains(valid, name) {
			a.fail("kwargs."+name, nearest.Hint(name, valid), "%s takes no %q", e.Type, name)
			continue
		}
		a.read(name, e.Kwargs[name])
	}
	for _, name := range k.needs {
		if _, ok := e.Kwargs[name]; !ok {
			a.fail("kwargs", "", "%s needs %q", e.Type, name)
		}
	}
	a.whole(k)
	return r, a.found
}

// unknownKind names the nearest kind, or says why one that is known isn't held.
func (a *arguments) unknownKind(name string) {
	if name == "" {
		a.fail("type", "", "is required")
		return
	}
	if why, ok := refusals()[name]; ok {
		a.fail("type", why, "%s isn't supported", name)
		return
	}
	hint := "docs/expectations.md lists the kinds"
	if near, ok := nearest.Name(name, Kinds()); ok && len(name) < 100 {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	a.fail("type", hint, "%.100q is an unknown kind of expectation", name)
}

// whole checks what arguments must be together.
func (a *arguments) whole(k kind) {
	r := a.rule
	if len(a.found) > 0 {
		return
	}
	between := strings.HasSuffix(r.Type, "_between") && slices.Contains(k.arguments(), "min_value")
	if between && k.family == Rows && r.Min == nil && r.Max == nil {
		a.fail("kwargs", "", "%s needs min_value or max_value", r.Type)
	}
	if r.Min != nil && r.Max != nil && r.Min.Kind == r.Max.Kind && r.Min.above(*r.Max) {
		a.fail("kwargs", "", "min_value %s > max_value %s", r.Min, r.Max)
	}
	if between && k.takes != ordered {
		for _, v := range []*Value{r.Min, r.Max} {
			if v != nil && v.Kind != NumberValue {
				a.fail("kwargs", "", "expected numbers for bounds, found %s", v)
			}
		}
	}
	if k.family == Records && len(r.Columns) < 2 {
		a.fail("kwargs.column_list", "", "%d columns < 2", len(r.Columns))
	}
	if k.family == Aggregate && slices.Contains(k.needs, "value_set") && len(r.Values) == 0 {
		a.fail("kwargs.value_set", "", "the set is empty")
	}
	if k.family == Pairs && r.Columns[0] == r.Columns[1] {
		a.fail("kwargs.column_B", "", "%q is column_A too", r.Columns[1])
	}
	if math.IsNaN(r.Mostly) || r.Mostly < 0 || r.Mostly > 1 {
		a.fail("kwargs.mostly", "", "%v isn't within 0 and 1", r.Mostly)
	}
	a.ignore(k)
}

// ignore fills ignore_row_if and checks it.
func (a *arguments) ignore(k kind) {
	var valid []string
	switch k.family {
	case Pairs:
		valid = []string{"both_values_are_missing", "either_value_is_missing", "neither"}
	case Records:
		valid = []string{"all_values_are_missing", "any_value_is_missing", "never"}
	default:
		return
	}
	if a.rule.Ignore == "" {
		a.rule.Ignore = valid[0]
	}
	if !slices.Contains(valid, a.rule.Ignore) {
		a.fail("kwargs.ignore_row_if", nearest.Hint(a.rule.Ignore, valid), "%q is unknown", a.rule.Ignore)
	}
}
