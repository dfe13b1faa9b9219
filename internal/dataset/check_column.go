package dataset

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/instant"
	"github.com/leanloop/leanloop/internal/spec"
)

// columnCheck holds one column to its rule. Its failures grow with the rows, each in its place of the report.
type columnCheck struct {
	rule  spec.ColumnRule
	at    int // in the table
	kind  Kind
	keep  int
	fault *Failure // the rule can't be held to the column: nothing else is looked at
	halfs bool     // a fraction was seen where whole numbers are asked for

	tests  []*rowTest
	hash   hasher
	groups *spill.Groups // of unique; nil: not asked for
}

// rowTest is one rule for each value. bind makes a test of the rows of a chunk. kept, unless it is nil, reports from
// what is known of a chunk's numbers that all of them keep the rule: most chunks do, and needn't be looked at again.
type rowTest struct {
	failure Failure
	bind    func(c *Column) func(row int) bool
	kept    func(s summary) bool
}

// summary is what is known of the numbers of a chunk.
type summary struct {
	nulls     int
	low, high float64 // +Inf and -Inf without a number
}

func summarize(values []float64) summary {
	s := summary{low: math.Inf(1), high: math.Inf(-1)}
	for _, v := range values {
		if v != v {
			s.nulls++
		}
		if v < s.low {
			s.low = v
		}
		if v > s.high {
			s.high = v
		}
	}
	return s
}

func newColumnCheck(rule spec.ColumnRule, at int, kind Kind, o CheckOptions) *columnCheck {
	k := &columnCheck{rule: rule, at: at, kind: kind, keep: o.Keep}
	want, err := ParseKind(rule.Type)
	if err != nil {
		k.fault = &Failure{Column: rule.Name, Rule: RuleContract, Observed: err.Error(), Limit: "a contract that can be held"}
		return k
	}
	if common, ok := commonKind(want, kind); !ok || (!want.coded() && common != want && !(want == Integer && kind == Number)) {
		k.fault = &Failure{Column: rule.Name, Rule: RuleType, Observed: kind.String(), Limit: wanted(want)}
		return k
	}
	if !rule.Nullable {
		k.test(RuleNull, "a value in every row", func(c *Column) func(int) bool {
			if c.absent {
				return nil
			}
			return func(row int) bool { return c.Null(row) && !c.malformed.has(row) }
		}).kept = func(s summary) bool { return s.nulls == 0 }
	}
	k.bounds()
	if len(rule.Values) > 0 {
		allowed := make(map[string]bool, len(rule.Values))
		for _, value := range rule.Values {
			allowed[value] = true
		}
		k.test(RuleValues, "one of "+list(rule.Values, 20), func(c *Column) func(int) bool {
			return c.valuesWhere(func(value string) bool { return !allowed[value] })
		})
	}
	k.pattern()
	if rule.Unique {
		k.hash, k.groups = newHasher(), newGroups(o)
	}
	return k
}

func (k *columnCheck) test(rule, limit string, bind func(c *Column) func(int) bool) *rowTest {
	t := &rowTest{failure: Failure{Column: k.rule.Name, Rule: rule, Limit: limit, Severity: k.rule.Severity}, bind: bind}
	k.tests = append(k.tests, t)
	return t
}

// unholdable notes a rule that makes no sense for the column. It blocks whatever the rule's severity: it is the contract
// that is wrong.
func (k *columnCheck) unholdable(observed, limit string) {
	k.tests = append(k.tests, &rowTest{failure: Failure{Column: k.rule.Name, Rule: RuleContract, Observed: observed, Limit: limit}})
}

// bounds holds numbers and times to min and max.
func (k *columnCheck) bounds() {
	r := k.rule
	if r.MinTime != nil || r.MaxTime != nil {
		k.times()
	}
	if r.Min == nil && r.Max == nil {
		return
	}
	if !k.kind.numeric() {
		k.unholdable("min or max for a "+k.kind.String(), "a number, integer or boolean")
		return
	}
	if r.Min != nil {
		low := *r.Min
		k.test(RuleMin, "at least "+string(appendNumber(nil, low)), func(c *Column) func(int) bool {
			return func(row int) bool { return c.Floats[row] < low }
		}).kept = func(s summary) bool { return s.low >= low }
	}
	if r.Max != nil {
		high := *r.Max
		k.test(RuleMax, "at most "+string(appendNumber(nil, high)), func(c *Column) func(int) bool {
			return func(row int) bool { return c.Floats[row] > high }
		}).kept = func(s summary) bool { return s.high <= high }
	}
}

func (k *columnCheck) times() {
	r := k.rule
	if k.kind != Timestamp {
		k.unholdable("a time as min or max for a "+k.kind.String(), "a timestamp")
		return
	}
	if r.MinTime != nil {
		low := int64(*r.MinTime)
		k.test(RuleMin, "at least "+instant.Text(low), func(c *Column) func(int) bool {
			return func(row int) bool { return c.Times[row] < low && c.Times[row] != NullTime }
		})
	}
	if r.MaxTime != nil {
		high := int64(*r.MaxTime)
		k.test(RuleMax, "at most "+instant.Text(high), func(c *Column) func(int) bool {
			return func(row int) bool { return c.Times[row] > high }
		})
	}
}

func (k *columnCheck) pattern() {
	if k.rule.Pattern == "" {
		return
	}
	pattern, err := regexp.Compile(`\A(?:` + k.rule.Pattern + `)\z`)
	if err != nil {
		k.unholdable(err.Error(), "an RE2 pattern")
		return
	}
	k.test(RulePattern, "text that matches "+k.rule.Pattern, func(c *Column) func(int) bool {
		return c.valuesWhere(func(value string) bool { return !pattern.MatchString(value) })
	})
}

// rows judges the rows of a chunk.
func (k *columnCheck) rows(c *Column, first int64) error {
	if k.fault != nil {
		return nil
	}
	if k.rule.Type == "integer" && c.Kind == Number && !k.halfs {
		k.halfs = !holds(Integer, c)
	}
	numbers := c.Kind.numeric()
	var known summary
	if numbers && len(k.tests) > 0 {
		known = summarize(c.Floats)
	}
	for _, t := range k.tests {
		if t.bind == nil || (numbers && t.kept != nil && t.kept(known)) {
			continue
		}
		if bad := t.bind(c); bad != nil {
			t.scan(c, first, k.keep, bad)
		}
	}
	if k.groups == nil {
		return nil
	}
	return k.hash.add(k.groups, c, first)
}

// scan counts the rows that break the rule.
func (t *rowTest) scan(c *Column, first int64, keep int, bad func(row int) bool) {
	for row := range c.Len() {
		if bad(row) {
			t.failure.add(int(first)+row, keep, func() string { return c.shown(row) })
		}
	}
}

// shown is the value at row for a message.
func (c *Column) shown(row int) string {
	if c.Null(row) {
		return "null"
	}
	return strings.ToValidUTF8(fmt.Sprintf("%.60q", c.appendCell(nil, row)), "")
}

// finish reports what the rows broke; rows is how many there were.
func (k *columnCheck) finish(rows int64, fail func(Failure)) error {
	if k.fault != nil {
		if k.fault.Rule == RuleType {
			k.fault.Rows = rows
		}
		fail(*k.fault)
		return nil
	}
	if k.halfs {
		fail(Failure{Column: k.rule.Name, Rule: RuleType, Observed: k.kind.String(), Limit: wanted(Integer), Rows: rows})
		return nil
	}
	for _, t := range k.tests {
		if t.failure.Rows > 0 || t.bind == nil {
			fail(t.failure)
		}
	}
	if k.groups == nil {
		return nil
	}
	f := Failure{Column: k.rule.Name, Rule: RuleUnique, Limit: "each value once", Severity: k.rule.Severity}
	return k.hash.report(k.groups, k.kind, k.keep, f, fail)
}

func (k *columnCheck) close() error {
	if k.groups == nil {
		return nil
	}
	return k.groups.Close()
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

// valuesWhere is a test of rows by their value as text; null rows fail it. Each value of a dictionary is judged once, and
// only if a row has it.
func (c *Column) valuesWhere(bad func(string) bool) func(row int) bool {
	if c.Kind.coded() {
		const unknown, good, wrong = 0, 1, 2
		verdicts := make([]uint8, len(c.Dict))
		return func(row int) bool {
			code := c.Codes[row]
			if code < 0 {
				return false
			}
			if verdicts[code] == unknown {
				verdicts[code] = good
				if bad(c.Dict[code]) {
					verdicts[code] = wrong
				}
			}
			return verdicts[code] == wrong
		}
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
