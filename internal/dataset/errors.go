package dataset

import (
	"fmt"
	"strings"
)

// Rules that a FormatError, a DataError or a Failure can name.
const (
	RuleEmpty     = "empty"     // no bytes, or no rows below the header
	RuleHeader    = "header"    // the header line itself
	RuleFields    = "fields"    // a row with more or fewer cells than the header
	RuleQuotes    = "quotes"    // RFC 4180 quoting
	RuleEncoding  = "encoding"  // not UTF-8, or NUL bytes
	RuleTruncated = "truncated" // the compressed stream ends early or is damaged
	RuleLimit     = "limit"     // one of Limits

	RuleMissing    = "missing"    // a required column isn't there
	RuleUnexpected = "unexpected" // strict contract: a column isn't listed
	RuleType       = "type"       // a cell, or a whole column, of another type
	RuleNull       = "nullable"   // a null where none may be
	RuleMin        = "min"
	RuleMax        = "max"
	RuleValues     = "values"  // a value outside the allowed ones
	RulePattern    = "pattern" // a value that the pattern doesn't match
	RuleUnique     = "unique"  // a value that an earlier row has
	RuleRows       = "rows"    // too few or too many rows
	RuleFreshness  = "freshness"
	RuleRepeatedID = "repeated_id" // an id that an earlier row has: a warning
	RuleContract   = "contract"    // the contract itself can't be held

	RuleColumn   = "column"    // the spec names a column that isn't there
	RuleNoRows   = "no_rows"   // nothing left to train or judge on
	RuleOneClass = "one_class" // the target has a single value
	RuleSplit    = "split"     // the rows can't be split as asked
)

// FormatError says why bytes are not a table. Reading again doesn't help: the file is wrong, not the network.
type FormatError struct {
	Name     string // of the object
	Rule     string // one of the Rule constants
	Line     int64  // 1-based line of the file, the header's being 1; 0: not at a line
	Column   string // name, or "#3" where the header doesn't say; "": not at a column
	Observed string
	Limit    string
}

func (e *FormatError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", e.Name)
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Column != "" {
		fmt.Fprintf(&b, "column %s: ", e.Column)
	}
	fmt.Fprintf(&b, "%s: observed %s, want %s", e.Rule, e.Observed, e.Limit)
	return b.String()
}

// DataError says why rows that were read well can't be used as the spec asks.
type DataError struct {
	Rule     string // one of the Rule constants
	Column   string // "": the rows as a whole
	Observed string
	Limit    string
}

func (e *DataError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("data: %s: observed %s, want %s", e.Rule, e.Observed, e.Limit)
	}
	return fmt.Sprintf("column %s: %s: observed %s, want %s", e.Column, e.Rule, e.Observed, e.Limit)
}

// unknownColumn is the error for a name that the table doesn't have; it lists the names that would do.
func unknownColumn(where, name string, valid []string) *DataError {
	return &DataError{Rule: RuleColumn, Column: name, Observed: "no such column in " + where, Limit: "one of " + list(valid, 20)}
}

// list joins names, the first n of them.
func list(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
	}
	return strings.Join(names, ", ")
}
