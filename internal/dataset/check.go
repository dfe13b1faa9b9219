package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/expect"
	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/spec"
)

// CheckOptions say what rows are held to.
type CheckOptions struct {
	Contract     *spec.Contract    // nil: none
	Expectations spec.Expectations // freshness, and the suite unless Suite is set
	Suite        *suite.Suite      // nil: that of Expectations
	Landed       time.Time         // when the file arrived, for freshness
	Time         string            // event-time column; "": none
	ID           string            // column that names a row: repeated ids are a warning; "": none
	Keep         int               // offending rows listed per failure; 0: DefaultKeep
	TempDir      string            // for values that must all be kept, beyond a limit; "": the system's
	limit        int               // that limit, of each column; 0: by how many columns there are
}

// Checker is a Visitor that holds rows to a contract, expectations and a suite, in memory that the rows don't bound. It
// complements the Report of Scan, which knows the cells that never became values: Merge the two. A null breaks no rule
// but nullability. A contract that can't be held (an unknown type, a pattern that isn't RE2) is a failure of rule
// contract: nothing can pass it. However the rows are cut into chunks, the report is the same. Close it.
type Checker struct {
	o       CheckOptions
	report  Report // what is known from the columns alone
	names   []string
	header  []string
	columns []*columnCheck
	ids     *repeats // nil: not looked for
	events  *eventCheck
	suite   *expect.Runner
	rows    int64
}

// NewChecker is ready for rows.
func NewChecker(o CheckOptions) *Checker {
	o.Keep = cmp.Or(o.Keep, DefaultKeep)
	if o.Suite == nil {
		o.Suite = o.Expectations.Suite
	}
	return &Checker{o: o}
}

// held is how many different values are held in memory for each column of which all must be: many such columns need no
// more memory than a few.
func held(c *spec.Contract) int {
	const all, most, least = 1 << 19, 1 << 17, 1 << 12
	columns := 1 // the id's
	if c != nil {
		for _, rule := range c.Columns {
			if rule.Unique {
				columns++
			}
		}
	}
	return max(least, min(most, all/columns))
}

// Begin learns the columns. Everything seen before is void.
func (k *Checker) Begin(columns []spec.ColumnRule) error {
	err := k.Close()
	*k = Checker{o: k.o, header: k.header}
	at := make(map[string]int, len(columns))
	kinds := make([]Kind, len(columns))
	for i, c := range columns {
		kind, parse := ParseKind(c.Type)
		if parse != nil {
			return errors.Join(err, parse)
		}
		k.names, at[c.Name], kinds[i] = append(k.names, c.Name), i, kind
	}
	o := k.o
	if o.limit == 0 {
		o.limit = held(o.Contract)
	}
	uniqueID := false
	if k.o.Contract != nil {
		for _, rule := range k.o.Contract.Columns {
			i, ok := at[rule.Name]
			if !ok {
				if !rule.Optional {
					k.report.Failures = append(k.report.Failures, missingColumn(rule.Name, k.names))
				}
				continue
			}
			uniqueID = uniqueID || (rule.Name == k.o.ID && rule.Unique)
			k.columns = append(k.columns, newColumnCheck(rule, i, kinds[i], o))
		}
	}
	if i, ok := at[k.o.ID]; ok && k.o.ID != "" && !uniqueID {
		k.ids = newRepeats(i, o)
	}
	k.events = newEventCheck(columns, k.o.Time)
	if k.o.Suite != nil {
		k.suite = expect.New(k.o.Suite, expect.Options{Limit: k.o.limit, Keep: k.o.Keep, Dir: k.o.TempDir})
		err = errors.Join(err, k.suite.Begin(expectColumns(columns)))
	}
	return err
}

// Header says which columns the file has, in its order, also those that weren't read: a suite may expect them. Without
// it the columns of Begin are taken for all.
func (k *Checker) Header(names []string) { k.header = slices.Clone(names) }

// Rows takes the next rows.
func (k *Checker) Rows(c Chunk) error {
	k.rows += int64(c.Table.Rows)
	for _, check := range k.columns {
		if err := check.rows(&c.Columns[check.at], c.First); err != nil {
			return err
		}
	}
	k.events.rows(&c)
	if k.ids != nil {
		if err := k.ids.rows(&c.Columns[k.ids.at], c.First); err != nil {
			return err
		}
	}
	if k.suite != nil {
		return k.suite.Rows(batchOf(&c))
	}
	return nil
}

// Events are the oldest and the newest event; both zero without any. The error says why the time column has none.
func (k *Checker) Events() (from, to time.Time, err error) {
	if k.events == nil {
		return from, to, nil
	}
	return k.events.found()
}

// Report is every rule that the rows break. It may be asked for once, after the last rows. An error is one of the
// temporary files.
func (k *Checker) Report() (*Report, error) {
	r := &Report{Rows: k.rows, Failures: slices.Clone(k.report.Failures)}
	fail := func(f Failure) {
		f.Severity = cmp.Or(f.Severity, SeverityBlock)
		r.Failures = append(r.Failures, f)
	}
	for _, check := range k.columns {
		if err := check.finish(k.rows, fail); err != nil {
			return nil, err
		}
	}
	k.table(fail)
	if k.ids != nil {
		if err := k.ids.finish(fail); err != nil {
			return nil, err
		}
	}
	if k.suite != nil {
		if err := k.suiteReport(r, fail); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// table judges the file as a whole.
func (k *Checker) table(fail func(Failure)) {
	if c := k.o.Contract; c != nil {
		for _, name := range k.names {
			if c.Strict && !slices.ContainsFunc(c.Columns, func(rule spec.ColumnRule) bool { return rule.Name == name }) {
				fail(unexpectedColumn(name))
			}
		}
		if c.Rows.Min > 0 && k.rows < int64(c.Rows.Min) {
			fail(Failure{Rule: RuleRows, Observed: strconv.FormatInt(k.rows, 10), Limit: fmt.Sprintf("at least %d", c.Rows.Min), Severity: c.Rows.Severity})
		}
		if c.Rows.Max > 0 && k.rows > int64(c.Rows.Max) {
			fail(Failure{Rule: RuleRows, Observed: strconv.FormatInt(k.rows, 10), Limit: fmt.Sprintf("at most %d", c.Rows.Max), Severity: c.Rows.Severity})
		}
	}
	if e := k.o.Expectations; e.Freshness > 0 && k.events != nil && k.o.Time != "" {
		k.events.fresh(k.o.Landed, e, fail)
	}
}

// Close removes temporary files.
func (k *Checker) Close() error {
	var errs []error
	for _, c := range k.columns {
		errs = append(errs, c.close())
	}
	if k.ids != nil {
		errs = append(errs, k.ids.groups.Close())
	}
	if k.suite != nil {
		errs = append(errs, k.suite.Close())
	}
	return errors.Join(errs...)
}

// Check holds a whole table to its contract and expectations: Checker in memory. landed is when the file arrived, for
// freshness; timeColumn may be "".
func Check(t *Table, c spec.Contract, e spec.Expectations, landed time.Time, timeColumn string) *Report {
	k := NewChecker(CheckOptions{Contract: &c, Expectations: e, Landed: landed, Time: timeColumn, limit: math.MaxInt})
	err := k.Begin(rulesOf(t))
	if err == nil {
		err = k.Rows(Chunk{Table: t})
	}
	var report *Report
	if err == nil {
		report, err = k.Report()
	}
	if err != nil { // of a suite that has problems: nothing in memory fails
		return &Report{Rows: int64(t.Rows), Failures: []Failure{{Rule: RuleContract, Observed: err.Error(), Limit: "a contract that can be held", Severity: SeverityBlock}}}
	}
	return report
}

// rulesOf are the columns' names and kinds.
func rulesOf(t *Table) []spec.ColumnRule {
	rules := make([]spec.ColumnRule, len(t.Columns))
	for i := range t.Columns {
		rules[i] = spec.ColumnRule{Name: t.Columns[i].Name, Type: t.Columns[i].Kind.String()}
	}
	return rules
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

// repeats finds ids that more than one row has. Of such rows training keeps the first, so it is worth knowing and no
// reason to refuse a file; a contract that says unique refuses.
type repeats struct {
	at     int
	column string
	kind   Kind
	keep   int
	hash   hasher
	groups *spill.Groups
}

func newRepeats(at int, o CheckOptions) *repeats {
	return &repeats{at: at, column: o.ID, keep: o.Keep, hash: newHasher(), groups: newGroups(o)}
}

func (r *repeats) rows(c *Column, first int64) error {
	r.kind = c.Kind
	return r.hash.add(r.groups, c, first)
}

func (r *repeats) finish(fail func(Failure)) error {
	f := Failure{Column: r.column, Rule: RuleRepeatedID, Limit: "each id once: of rows with one id the first is trained on", Severity: SeverityWarn}
	return r.hash.report(r.groups, r.kind, r.keep, f, fail)
}
