package dataset

import (
	"fmt"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/instant"
	"github.com/leanloop/leanloop/internal/spec"
)

// SuiteResult is the whole report in the shape of Great Expectations: each rule of the contract as the expectation that
// says the same, then those of the suite, then what else refuses the file, as outcomes that raised. o is what the rows were
// held to.
func (r *Report) SuiteResult(o CheckOptions) *suite.Result {
	t := &translator{rows: r.Rows, failures: map[string][]Failure{}, told: map[ruleOf]bool{}}
	for _, f := range r.Failures {
		t.failures[f.Column] = append(t.failures[f.Column], f)
		if f.Rule == RuleUnexpected {
			t.unexpected = append(t.unexpected, f)
		}
	}
	if o.Contract != nil {
		t.contract(o.Contract)
	}
	if o.Expectations.Freshness > 0 && o.Time != "" {
		oldest := o.Landed.Add(-o.Expectations.Freshness.D())
		t.add(o.Time, o.Expectations.FreshnessSeverity, "expect_column_max_to_be_between",
			suite.Kwargs{"min_value": instant.Text(oldest.UnixNano())}, RuleFreshness)
	}
	name := "contract"
	if r.Suite != nil {
		t.outcomes = append(t.outcomes, r.Suite.Results...)
		name = r.Suite.SuiteName
	}
	t.beyond(r.Failures)
	return suite.NewResult(name, r.Rows, t.outcomes)
}

// translator makes outcomes of a contract's rules and a report's failures.
type translator struct {
	rows       int64
	failures   map[string][]Failure // by column
	unexpected []Failure            // of columns that no rule is about
	told       map[ruleOf]bool      // failures that an outcome states
	outcomes   []suite.Outcome
}

// ruleOf is which failures are of one rule.
type ruleOf struct{ column, rule string }

// beyond adds the failures that refuse the file and that neither a rule of the contract nor the suite states: a file that is
// no table, or lacks a column that the spec names.
func (t *translator) beyond(failures []Failure) {
	kinds := suite.Kinds()
	for _, f := range failures {
		_, ofSuite := slices.BinarySearch(kinds, f.Rule)
		if f.Severity != SeverityBlock || ofSuite || t.told[ruleOf{f.Column, f.Rule}] {
			continue
		}
		why, kwargs := f.String(), suite.Kwargs{}
		if f.Column != "" {
			kwargs["column"] = f.Column
		}
		t.outcomes = append(t.outcomes, suite.Outcome{
			Config:    suite.Config{Type: f.Rule, Kwargs: kwargs, Meta: map[string]any{}, Severity: suite.Critical},
			Exception: suite.Exception{Raised: true, Message: &why},
		})
	}
}

func (t *translator) contract(c *spec.Contract) {
	var names []any
	for _, rule := range c.Columns {
		names = append(names, rule.Name)
		t.column(rule)
	}
	if c.Strict {
		t.add("", "", "expect_table_columns_to_match_set", suite.Kwargs{"column_set": names, "exact_match": true}, RuleUnexpected)
	}
	if c.Rows.Min > 0 || c.Rows.Max > 0 {
		kwargs := suite.Kwargs{}
		if c.Rows.Min > 0 {
			kwargs["min_value"] = float64(c.Rows.Min)
		}
		if c.Rows.Max > 0 {
			kwargs["max_value"] = float64(c.Rows.Max)
		}
		t.add("", c.Rows.Severity, "expect_table_row_count_to_be_between", kwargs, RuleRows)
	}
}

func (t *translator) column(rule spec.ColumnRule) {
	add := func(kind string, kwargs suite.Kwargs, rules ...string) {
		t.add(rule.Name, rule.Severity, kind, kwargs, rules...)
	}
	if !rule.Optional {
		t.add(rule.Name, "", "expect_column_to_exist", suite.Kwargs{}, RuleMissing)
	}
	t.add(rule.Name, "", "expect_column_values_to_be_of_type", suite.Kwargs{"type_": pandasType(rule.Type)}, RuleType, RuleContract)
	if !rule.Nullable {
		add("expect_column_values_to_not_be_null", suite.Kwargs{}, RuleNull)
	}
	bounds := suite.Kwargs{}
	set := func(name string, number *float64, at *spec.Instant) {
		if number != nil {
			bounds[name] = *number
		}
		if at != nil {
			bounds[name] = at.String()
		}
	}
	set("min_value", rule.Min, rule.MinTime)
	set("max_value", rule.Max, rule.MaxTime)
	if len(bounds) > 0 {
		add("expect_column_values_to_be_between", bounds, RuleMin, RuleMax)
	}
	if len(rule.Values) > 0 {
		values := make([]any, len(rule.Values))
		for i, v := range rule.Values {
			values[i] = v
		}
		add("expect_column_values_to_be_in_set", suite.Kwargs{"value_set": values}, RuleValues)
	}
	if rule.Pattern != "" {
		add("expect_column_values_to_match_regex", suite.Kwargs{"regex": `\A(?:` + rule.Pattern + `)\Z`}, RulePattern)
	}
	if rule.Unique {
		add("expect_column_values_to_be_unique", suite.Kwargs{}, RuleUnique)
	}
}

// pandasType is what pandas calls a contract's type.
func pandasType(name string) string {
	switch name {
	case Number.String():
		return "float64"
	case Integer.String():
		return "int64"
	case Boolean.String():
		return "bool"
	case Timestamp.String():
		return "datetime64[ns]"
	}
	return "str"
}

// add is one rule's outcome: it was met unless the report has a failure of that column and one of the rules.
func (t *translator) add(column, severity, kind string, kwargs suite.Kwargs, rules ...string) {
	o := suite.Outcome{Success: true, Config: suite.Config{Type: kind, Kwargs: kwargs, Meta: map[string]any{}, Severity: suite.Critical}}
	if severity == SeverityWarn {
		o.Config.Severity = suite.Warning
	}
	if column != "" {
		kwargs["column"] = column
	}
	var unexpected int64
	byRow := false
	failures := t.failures[column]
	if slices.Contains(rules, RuleUnexpected) {
		failures = t.unexpected
	}
	for _, f := range failures {
		if !slices.Contains(rules, f.Rule) {
			continue
		}
		o.Success = false
		t.told[ruleOf{f.Column, f.Rule}] = true
		unexpected += f.Rows
		byRow = byRow || f.Rows > 0
		o.Found.PartialUnexpected = append(o.Found.PartialUnexpected, f.Observed)
		for _, row := range f.First {
			o.Found.PartialIndex = append(o.Found.PartialIndex, row-1)
		}
	}
	switch {
	case byRow:
		rows, percent := t.rows, 100*float64(unexpected)/float64(t.rows)
		o.Found.ElementCount, o.Found.UnexpectedCount, o.Found.UnexpectedPercent = &rows, &unexpected, &percent
	case !o.Success:
		o.Found.ObservedValue, o.Found.PartialUnexpected = fmt.Sprint(o.Found.PartialUnexpected...), nil
	}
	t.outcomes = append(t.outcomes, o)
}
