package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/spec"
)

// Severities of a failure: one refuses the file, the other is noted.
const (
	SeverityBlock = spec.SeverityBlock
	SeverityWarn  = spec.SeverityWarn
)

// DefaultKeep is how many offending rows a Failure lists.
const DefaultKeep = 10

// Failure is one broken rule of one column, over all rows.
type Failure struct {
	Column   string  `json:"column,omitempty"` // "": the file as a whole; names of several columns are separated by ", "
	Rule     string  `json:"rule"`             // one of the Rule constants, or a kind of expectation
	Observed string  `json:"observed"`         // an offending value, the first one, or what was found instead
	Limit    string  `json:"limit"`            // what the rule asks for
	Rows     int64   `json:"rows,omitempty"`   // how many rows break it
	First    []int64 `json:"first,omitempty"`  // the first offending rows; 1 is the first row below the header
	Severity string  `json:"severity"`
}

// String is the failure in one line.
func (f Failure) String() string {
	var b strings.Builder
	if f.Column != "" {
		fmt.Fprintf(&b, "column %s: ", f.Column)
	}
	fmt.Fprintf(&b, "%s: observed %s, want %s", f.Rule, f.Observed, f.Limit)
	if f.Rows == 0 {
		return b.String()
	}
	if f.Rows == 1 && len(f.First) == 1 {
		fmt.Fprintf(&b, " (row %d)", f.First[0])
		return b.String()
	}
	rows := make([]string, len(f.First))
	for i, row := range f.First {
		rows[i] = fmt.Sprint(row)
	}
	more := ""
	if int64(len(rows)) < f.Rows {
		more = ", ..."
	}
	fmt.Fprintf(&b, " (%d rows: %s%s)", f.Rows, strings.Join(rows, ", "), more)
	return b.String()
}

// Report is every rule that a file breaks. The zero Report is a pass.
type Report struct {
	Name     string    `json:"name,omitempty"` // of the object
	Rows     int64     `json:"rows"`
	Failures []Failure `json:"failures,omitempty"`

	// Suite is what each expectation of the suite found, in Great Expectations' own shape; nil without a suite.
	Suite *suite.Result `json:"suite,omitempty"`
}

// Warnings are the failures that don't block.
func (r *Report) Warnings() []Failure {
	var out []Failure
	for _, f := range r.Failures {
		if f.Severity != SeverityBlock {
			out = append(out, f)
		}
	}
	return out
}

// OK reports whether nothing blocks.
func (r *Report) OK() bool {
	for _, f := range r.Failures {
		if f.Severity == SeverityBlock {
			return false
		}
	}
	return true
}

// Error is a *ContractError with every blocking failure, or nil.
func (r *Report) Error() error {
	if r.OK() {
		return nil
	}
	e := &ContractError{Name: r.Name}
	for _, f := range r.Failures {
		if f.Severity == SeverityBlock {
			e.Failures = append(e.Failures, f)
		}
	}
	return e
}

// Merge adds the failures of another report on the same rows, so that one refusal names all problems at once.
// A rule of a column that both found broken is kept once.
func (r *Report) Merge(other *Report) {
	if other == nil {
		return
	}
	if r.Name == "" {
		r.Name = other.Name
	}
	r.Rows = max(r.Rows, other.Rows)
	if r.Suite == nil {
		r.Suite = other.Suite
	}
	for _, f := range other.Failures {
		known := slices.ContainsFunc(r.Failures, func(g Failure) bool {
			return g.Column == f.Column && g.Rule == f.Rule && g.Limit == f.Limit
		})
		if !known {
			r.Failures = append(r.Failures, f)
		}
	}
}

// ContractError is a file that was read well and isn't what was agreed.
type ContractError struct {
	Name     string
	Failures []Failure
}

func (e *ContractError) Error() string {
	lines := make([]string, len(e.Failures))
	for i, f := range e.Failures {
		lines[i] = f.String()
	}
	failed := "a check failed"
	if len(lines) != 1 {
		failed = fmt.Sprintf("%d checks failed", len(lines))
	}
	return fmt.Sprintf("%s: %s: %s", e.Name, failed, strings.Join(lines, "; "))
}
