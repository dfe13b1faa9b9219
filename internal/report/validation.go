package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/spec"
)

// ValidationPage is what a page about a checked file shows.
type ValidationPage struct {
	Title   string // of the model or data set; may be ""
	Subject string // the file's name
	At      time.Time
	Info    dataset.Info
	// Err is why the file could not be read as a table; nil where it was.
	Err    error
	Report *dataset.Report // nil: nothing was checked
	// Contract, Expectations and Suites are what the file was held to, to say what held. A nil Contract: none.
	Contract     *spec.Contract
	Expectations spec.Expectations
	Suites       []*suite.Result  // of the suites that it was held to
	Profile      *profile.Profile // nil: not profiled
}

// validationView is the page as its template takes it.
type validationView struct {
	shell
	Failures []failureRow
	More     string
	Suites   []suiteView
	Held     []heldRow
	HeldMore string
	HasPage  bool
	Columns  columnsView
}

// failureRow is a broken rule.
type failureRow struct {
	Chip            chip
	Column          words
	Whole           bool // about the file, not a column
	Rule            string
	Code            words
	Observed, Limit words
	Rows            words
	Share           words
	First           string
}

// heldRow is a column, or the file, and the rules that it keeps.
type heldRow struct {
	Column words
	Whole  bool
	Rules  []words
}

// Validation writes the page about a checked file: one self-contained HTML document. The same page gives the same bytes.
func Validation(w io.Writer, v ValidationPage) error {
	style, err := style()
	if err != nil {
		return err
	}
	view := validationView{shell: newShell("Validation", v.Title, v.Subject, v.At, style), HasPage: v.Profile != nil, Columns: columnsOf(v.Profile)}
	failures := worstFirst(v.Report)
	view.Verdict, view.Facts = v.verdict(failures), factsOf(v.Subject, v.Info, v.Profile)
	for _, f := range failures[:min(len(failures), maxListed)] {
		view.Failures = append(view.Failures, failureOf(f, v.rows()))
	}
	if more := len(failures) - maxListed; more > 0 {
		view.More = fmt.Sprintf("%s more failures aren't listed here.", count(int64(more)))
	}
	view.Held, view.HeldMore = v.held(failures)
	for i, s := range v.Suites {
		view.Suites = append(view.Suites, suiteOf(i, s))
	}
	view.Nav = view.nav()
	return render(w, "validation.html", view)
}

func (v validationView) nav() []link {
	var out []link
	if len(v.Failures) > 0 {
		out = append(out, link{"failures", "What failed"})
	}
	for _, s := range v.Suites {
		out = append(out, link{s.ID, "Suite " + s.Name.Text})
	}
	if len(v.Held) > 0 {
		out = append(out, link{"held", "What held"})
	}
	if v.HasPage {
		out = append(out, link{"columns", "Columns"})
	}
	return out
}

func (v ValidationPage) rows() int64 {
	rows := int64(v.Info.Rows)
	if v.Report != nil {
		rows = max(rows, v.Report.Rows)
	}
	return rows
}

// worstFirst are the failures in the order in which people should look at them: those that block, those of the whole
// file, then by how many rows.
func worstFirst(r *dataset.Report) []dataset.Failure {
	if r == nil {
		return nil
	}
	out := slices.Clone(r.Failures)
	order := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b dataset.Failure) int {
		return cmp.Or(
			cmp.Compare(order(a.Severity == dataset.SeverityBlock), order(b.Severity == dataset.SeverityBlock)),
			cmp.Compare(order(a.Rows == 0), order(b.Rows == 0)),
			cmp.Compare(b.Rows, a.Rows),
		)
	})
	return out
}

func failureOf(f dataset.Failure, rows int64) failureRow {
	row := failureRow{
		Chip: chip{warn, "Warning"}, Column: name(f.Column), Whole: f.Column == "", Rule: ruleName(f.Rule), Code: name(f.Rule),
		Observed: clipped(f.Observed, longText), Limit: clipped(f.Limit, longText),
	}
	if x, err := strconv.ParseFloat(f.Observed, 64); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
		row.Observed = number(x)
	}
	if isExpectation(f.Rule) { // its own name stands beside it
		row.Limit = clipped(strings.TrimPrefix(f.Limit, expectationName(f.Rule)+" "), longText)
	}
	if f.Severity == dataset.SeverityBlock {
		row.Chip = chip{bad, "Blocks"}
	}
	if f.Rows > 0 {
		row.Rows = words{Text: count(f.Rows)}
		if rows > 0 {
			row.Share = percent(float64(f.Rows) / float64(rows))
		}
	}
	first := make([]string, 0, maxRowNames)
	for _, n := range f.First[:min(len(f.First), maxRowNames)] {
		first = append(first, count(n))
	}
	row.First = strings.Join(first, " · ")
	if int64(len(first)) < f.Rows && len(first) > 0 {
		row.First += " · …"
	}
	return row
}

// verdict says whether the file was taken, why not, and what to do.
func (v ValidationPage) verdict(failures []dataset.Failure) verdict {
	blocking := 0
	for _, f := range failures {
		if f.Severity == dataset.SeverityBlock {
			blocking++
		}
	}
	warnings := len(failures) - blocking
	switch {
	case v.Err != nil:
		return verdict{State: bad, Head: "Refused: this is no table that can be read", Say: []words{clipped(v.Err.Error(), longText)},
			Next: []words{{Text: "Repair the place that is named, or export the file again. Reading the same bytes again can't help."}}}
	case blocking > 0:
		out := verdict{State: bad, Head: fmt.Sprintf("Refused: %s broken", counted(int64(blocking), "rule")), Next: advice(failures[:blocking])}
		say := "Nothing of this file was taken: a file is accepted or refused as a whole."
		if warnings > 0 {
			say += fmt.Sprintf(" Beside that there %s.", isAre(warnings, "warning"))
		}
		out.Say = []words{{Text: say}}
		return out
	case warnings > 0:
		return verdict{State: warn, Head: "Accepted, with " + counted(int64(warnings), "warning"),
			Say:  []words{{Text: "No rule that blocks is broken. The warnings are listed below."}},
			Next: []words{{Text: "Look at the warnings, and make those block that should never pass."}}}
	case v.Contract == nil && len(v.Suites) == 0 && v.Expectations.Freshness == 0:
		return verdict{State: unknown, Head: "Read, and held to nothing", Say: []words{{Text: "No contract and no expectations were given."}}}
	}
	return verdict{State: good, Head: "Accepted: every rule held", Say: []words{{Text: "Nothing has to be done."}}}
}

func isAre(n int, thing string) string {
	if n == 1 {
		return "is 1 " + thing
	}
	return "are " + counted(int64(n), thing)
}

// advice is what to do about the failures that block, by kind, each once.
func advice(failures []dataset.Failure) []words {
	var out []words
	seen := map[string]bool{}
	for _, f := range failures {
		say := hint(f.Rule)
		if seen[say] || len(out) == 4 {
			continue
		}
		seen[say] = true
		out = append(out, words{Text: say})
	}
	return append(out, words{Text: "Then land the corrected file again: it is judged anew, under its own SHA-256."})
}
