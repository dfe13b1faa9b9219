package dataset

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/spec"
)

// Check holds a table to its contract and expectations. It complements the Report of Read, which knows the cells
// that never became values: Merge the two. landed is when the file arrived, for freshness; timeColumn may be "".
// A null breaks no rule but nullability. The contract itself being wrong (an unknown type, a pattern that isn't RE2)
// is a failure of rule contract: nothing can pass it.
func Check(t *Table, c spec.Contract, e spec.Expectations, landed time.Time, timeColumn string) *Report {
	r := &Report{Rows: int64(t.Rows)}
	fail := func(f Failure) {
		f.Severity = SeverityBlock
		r.Failures = append(r.Failures, f)
	}
	listed := map[string]bool{}
	for _, rule := range c.Columns {
		listed[rule.Name] = true
		column, ok := t.Column(rule.Name)
		if !ok {
			if !rule.Optional {
				fail(missingColumn(rule.Name, t.Names()))
			}
			continue
		}
		checkColumn(column, rule, fail)
	}
	for _, name := range t.Names() {
		if c.Strict && !listed[name] {
			fail(unexpectedColumn(name))
		}
	}
	if c.Rows.Min > 0 && t.Rows < c.Rows.Min {
		fail(Failure{Rule: RuleRows, Observed: strconv.Itoa(t.Rows), Limit: fmt.Sprintf("at least %d", c.Rows.Min)})
	}
	if c.Rows.Max > 0 && t.Rows > c.Rows.Max {
		fail(Failure{Rule: RuleRows, Observed: strconv.Itoa(t.Rows), Limit: fmt.Sprintf("at most %d", c.Rows.Max)})
	}
	if e.Freshness > 0 && timeColumn != "" {
		checkFreshness(t, timeColumn, landed, e.Freshness.D(), fail)
	}
	return r
}

// missingColumn is the failure for a required column that isn't there.
func missingColumn(name string, have []string) Failure {
	return Failure{Column: name, Rule: RuleMissing, Observed: "columns " + list(have, 20), Limit: "a column " + name, Severity: SeverityBlock}
}

// unexpectedColumn is the failure for a column that a strict contract doesn't list.
func unexpectedColumn(name string) Failure {
	return Failure{Column: name, Rule: RuleUnexpected, Observed: "a column " + name, Limit: "only the contract's columns, since it is strict", Severity: SeverityBlock}
}

// contractFault is a contract that can't be held.
func contractFault(column string, err error) error {
	return fmt.Errorf("contract: column %s: %w", column, err)
}

// checkFreshness judges the age of the newest event when the file landed.
func checkFreshness(t *Table, timeColumn string, landed time.Time, limit time.Duration, fail func(Failure)) {
	want := fmt.Sprintf("an event at most %s older than %s", spell(limit), landed.UTC().Format(time.RFC3339))
	_, newest, err := EventRange(t, timeColumn)
	switch {
	case err != nil:
		fail(Failure{Column: timeColumn, Rule: RuleFreshness, Observed: err.Error(), Limit: want})
	case newest.IsZero():
		fail(Failure{Column: timeColumn, Rule: RuleFreshness, Observed: "no event", Limit: want})
	case landed.Sub(newest) > limit:
		fail(Failure{Column: timeColumn, Rule: RuleFreshness, Limit: want,
			Observed: fmt.Sprintf("the newest at %s, %s older", newest.Format(time.RFC3339), spell(landed.Sub(newest)))})
	}
}

// spell writes a duration in days where it has any.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	if d < day {
		return d.Round(time.Second).String()
	}
	return strconv.FormatFloat(math.Round(float64(d)/float64(day)*10)/10, 'f', -1, 64) + "d"
}

// checkColumn holds one column to its rule.
func checkColumn(c *Column, rule spec.ColumnRule, fail func(Failure)) {
	kind, err := ParseKind(rule.Type)
	if err != nil {
		fail(Failure{Column: rule.Name, Rule: RuleContract, Observed: err.Error(), Limit: "a contract that can be held"})
		return
	}
	if !holds(kind, c) {
		fail(Failure{Column: rule.Name, Rule: RuleType, Observed: c.Kind.String(), Limit: wanted(kind), Rows: int64(c.Len())})
		return
	}
	if !rule.Nullable && !c.absent {
		scan(c, RuleNull, "a value in every row", fail, func(row int) bool { return c.Null(row) && !c.malformed.has(row) })
	}
	checkRange(c, rule, fail)
	if len(rule.Values) > 0 {
		bad := c.valuesWhere(func(value string) bool { return !slices.Contains(rule.Values, value) })
		scan(c, RuleValues, "one of "+list(rule.Values, 20), fail, bad)
	}
	if rule.Pattern != "" {
		pattern, err := regexp.Compile(`\A(?:` + rule.Pattern + `)\z`)
		if err != nil {
			fail(Failure{Column: rule.Name, Rule: RuleContract, Observed: err.Error(), Limit: "an RE2 pattern"})
		} else {
			bad := c.valuesWhere(func(value string) bool { return !pattern.MatchString(value) })
			scan(c, RulePattern, "text that matches "+rule.Pattern, fail, bad)
		}
	}
	if rule.Unique {
		checkUnique(c, fail)
	}
}

// holds reports whether the column's values are values of the kind: an integer is a number, and names are text.
func holds(kind Kind, c *Column) bool {
	common, ok := commonKind(kind, c.Kind)
	switch {
	case kind.coded():
		return ok
	case kind == Integer && c.Kind == Number:
		return !slices.ContainsFunc(c.Floats, func(v float64) bool { return v == v && (v != math.Trunc(v) || math.Abs(v) > maxInteger) })
	}
	return ok && common == kind
}

// checkRange holds numbers to min and max.
func checkRange(c *Column, rule spec.ColumnRule, fail func(Failure)) {
	if rule.Min == nil && rule.Max == nil {
		return
	}
	if !c.Kind.numeric() {
		fail(Failure{Column: c.Name, Rule: RuleContract, Observed: "min or max for a " + c.Kind.String(), Limit: "a number, integer or boolean"})
		return
	}
	if rule.Min != nil {
		scan(c, RuleMin, "at least "+string(appendNumber(nil, *rule.Min)), fail, func(row int) bool { return c.Floats[row] < *rule.Min })
	}
	if rule.Max != nil {
		scan(c, RuleMax, "at most "+string(appendNumber(nil, *rule.Max)), fail, func(row int) bool { return c.Floats[row] > *rule.Max })
	}
}

// valuesWhere is a test of rows by their value as text; null rows fail it. Each value of a dictionary is judged once.
func (c *Column) valuesWhere(bad func(string) bool) func(row int) bool {
	if c.Kind.coded() {
		verdicts := make([]bool, len(c.Dict))
		for i, value := range c.Dict {
			verdicts[i] = bad(value)
		}
		return func(row int) bool { return c.Codes[row] >= 0 && verdicts[c.Codes[row]] }
	}
	var cell []byte
	return func(row int) bool {
		if c.Null(row) {
			return false
		}
		cell = c.appendCell(cell[:0], row)
		return bad(string(cell))
	}
}

// checkUnique finds the rows whose value an earlier row has. Nulls repeat freely.
func checkUnique(c *Column, fail func(Failure)) {
	var repeated func(row int) bool
	switch {
	case c.Kind.coded():
		repeated = again(c.Codes, NullCode)
	case c.Kind == Timestamp:
		repeated = again(c.Times, NullTime)
	default:
		repeated = again(c.Floats, 0)
		values := repeated
		repeated = func(row int) bool { return !c.Null(row) && values(row) }
	}
	scan(c, RuleUnique, "each value once", fail, repeated)
}

// again is a test of ascending rows: whether an earlier one has the value. null is no value, unless it is 0.
func again[T comparable](values []T, null T) func(row int) bool {
	var zero T
	seen := make(map[T]struct{}, len(values))
	return func(row int) bool {
		value := values[row]
		if value == null && null != zero {
			return false
		}
		_, twice := seen[value]
		seen[value] = struct{}{}
		return twice
	}
}

// scan counts the rows, in ascending order, that break a rule, and fails if there are any.
func scan(c *Column, rule, limit string, fail func(Failure), bad func(row int) bool) {
	f := Failure{Column: c.Name, Rule: rule, Limit: limit}
	for row := range c.Len() {
		if bad(row) {
			f.add(row, DefaultKeep, func() string {
				if c.Null(row) {
					return "null"
				}
				return strings.ToValidUTF8(fmt.Sprintf("%.60q", c.appendCell(nil, row)), "")
			})
		}
	}
	if f.Rows > 0 {
		fail(f)
	}
}
