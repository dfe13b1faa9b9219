package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// Options bound a Runner. Zero fields take the defaults.
type Options struct {
	Limit int    // different values held in memory by each rule that needs all; 0: 524,288 shared among them, at most 131,072 each
	Keep  int    // rows that a finding lists; 20
	Dir   string // for temporary files; "": the system's
}

// Runner holds rows to a suite: Begin, then Rows in order, then Finish. Close it.
type Runner struct {
	suite *suite.Suite
	o     Options

	limit   int      // of each rule
	columns []Column // names and types
	checks  []check
	rows    int64
}

// Finding is one expectation and what was found, for a report.
type Finding struct {
	Rule     suite.Rule
	Outcome  suite.Outcome
	Column   string // "": the table as a whole
	Rows     int64  // that aren't as expected; 0 where rows aren't what is judged
	First    []int64
	Observed string
	Limit    string
}

// check holds rows to one rule.
type check interface {
	// rows takes the rows of a batch for which keep is true; nil: all.
	rows(b *Batch, keep []bool) error
	// finish fills the finding's outcome, rows, observed and limit.
	finish(f *Finding) error
	close() error
}

// New is a runner for a suite without problems.
func New(s *suite.Suite, o Options) *Runner {
	o.Keep = max(o.Keep, suite.PartialCount)
	return &Runner{suite: s, o: o}
}

// Begin says which columns will come: their names and types. Rows that came before are void.
func (r *Runner) Begin(columns []Column) error {
	err := r.Close()
	r.columns, r.rows, r.checks = slices.Clone(columns), 0, nil
	r.limit = r.o.Limit
	if r.limit == 0 {
		r.limit = shareOf(r.suite)
	}
	for _, e := range r.suite.Expectations {
		rule, problems := e.Rule()
		if len(problems) > 0 {
			return errors.Join(err, fmt.Errorf("suite %s: %s", r.suite.Name, problems[0]))
		}
		r.checks = append(r.checks, r.start(rule))
	}
	return err
}

// kept is the options with the rules' limit.
func (r *Runner) kept() Options {
	o := r.o
	o.Limit = r.limit
	return o
}

// shareOf is how many values each rule of a suite may hold, so that many rules need no more memory than a few.
func shareOf(s *suite.Suite) int {
	const all, most, least = 1 << 19, 1 << 17, 1 << 12
	rules := 1
	for _, e := range s.Expectations {
		for _, word := range []string{"unique", "distinct", "z_scores", "median", "quantile", "most_common"} {
			if strings.Contains(e.Type, word) {
				rules++
				break
			}
		}
	}
	return max(least, min(most, all/rules))
}

// start is the check of a rule. A rule that can't be held to these columns fails, and the others go on.
func (r *Runner) start(rule suite.Rule) check {
	at := make([]int, 0, 2)
	for _, name := range rule.Reads() {
		i := slices.IndexFunc(r.columns, func(c Column) bool { return c.Name == name })
		if i < 0 {
			return &impossible{rule: rule, why: fmt.Sprintf("column %q isn't in the table", name)}
		}
		if err := rule.Takes(name, r.columns[i].Type); err != nil {
			return &impossible{rule: rule, why: err.Error()}
		}
		at = append(at, i)
	}
	c, err := r.checkOf(rule, at)
	if err != nil {
		return &impossible{rule: rule, why: err.Error()}
	}
	if rule.Where != nil {
		return &filtered{check: c, where: rule.Where, columns: r.columns}
	}
	return c
}

// checkOf picks the check by the rule's kind; at are the columns that the rule reads.
func (r *Runner) checkOf(rule suite.Rule, at []int) (check, error) {
	switch rule.Family {
	case suite.Rows:
		return r.rowCheck(rule, at[0])
	case suite.Aggregate:
		return r.aggregate(rule, at[0])
	case suite.Pairs:
		return newPairs(rule, at, r.columns, r.o.Keep)
	case suite.Records:
		return r.records(rule, at)
	}
	return newTableCheck(rule, r.columns), nil
}

// Rows takes the next rows. The batch isn't kept.
func (r *Runner) Rows(b *Batch) error {
	r.rows += int64(b.Rows)
	for i := range b.Columns {
		b.Columns[i].known = nil
	}
	for i, c := range r.checks {
		if err := c.rows(b, nil); err != nil {
			return fmt.Errorf("%s: %w", r.suite.Expectations[i].Type, err)
		}
	}
	return nil
}

// Finish judges. header is the table's columns in the file's order, also those that weren't read; nil: those of Begin.
func (r *Runner) Finish(header []string) ([]Finding, error) {
	if header == nil {
		for _, c := range r.columns {
			header = append(header, c.Name)
		}
	}
	findings := make([]Finding, len(r.checks))
	for i, c := range r.checks {
		rule, _ := r.suite.Expectations[i].Rule()
		f := &findings[i]
		f.Rule, f.Column = rule, subject(rule)
		f.Outcome.Config = suite.Config{Type: rule.Type, Kwargs: rule.Kwargs, Meta: map[string]any{}, Severity: rule.Severity}
		if f.Outcome.Config.Severity == "" {
			f.Outcome.Config.Severity = suite.Critical
		}
		if t, ok := unwrap(c).(*tableCheck); ok {
			t.header = header
		}
		if err := c.finish(f); err != nil {
			return nil, fmt.Errorf("%s: %w", rule.Type, err)
		}
	}
	return findings, nil
}

// Result is findings in the shape of Great Expectations.
func (r *Runner) Result(findings []Finding) *suite.Result {
	outcomes := make([]suite.Outcome, len(findings))
	for i, f := range findings {
		outcomes[i] = f.Outcome
	}
	return suite.NewResult(r.suite.Name, r.rows, outcomes)
}

// Close removes temporary files.
func (r *Runner) Close() error {
	var errs []error
	for _, c := range r.checks {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// subject is what a rule is about.
func subject(rule suite.Rule) string {
	switch rule.Family {
	case suite.Pairs:
		return rule.Columns[0] + ", " + rule.Columns[1]
	case suite.Records:
		name := ""
		for i, c := range rule.Columns {
			if i > 0 {
				name += ", "
			}
			name += c
		}
		return name
	}
	return rule.Column
}

// impossible is a rule that can't be held to the table.
type impossible struct {
	rule suite.Rule
	why  string
}

func (i *impossible) rows(*Batch, []bool) error { return nil }
func (i *impossible) close() error              { return nil }

func (i *impossible) finish(f *Finding) error {
	f.Outcome.Exception = suite.Exception{Raised: true, Message: &i.why}
	f.Observed, f.Limit = i.why, "a table that the expectation can be held to"
	return nil
}

// filtered judges the rows that a condition holds for.
type filtered struct {
	check
	where   *suite.Condition
	columns []Column
	keep    []bool
}

func (c *filtered) rows(b *Batch, _ []bool) error {
	c.keep = slices.Grow(c.keep[:0], b.Rows)[:b.Rows]
	match(c.where, b, c.keep)
	return c.check.rows(b, c.keep)
}

// unwrap is the check below a filter.
func unwrap(c check) check {
	if f, ok := c.(*filtered); ok {
		return f.check
	}
	return c
}
