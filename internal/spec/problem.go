package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a spec.
type Problem struct {
	Path    string `json:"path"`           // data.window.last; "" for the file as a whole
	Line    int    `json:"line,omitempty"` // 1-based; 0 where the field isn't in the file
	File    string `json:"file,omitempty"` // where it isn't the spec's own file, such as the contract's
	Message string `json:"message"`        // with what was found and what is allowed
	Hint    string `json:"hint,omitempty"` // what to write instead
}

// String is the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + " ")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Invalid is a spec with everything that is wrong with it, in the order of the file. Retrying it can't help.
type Invalid struct {
	Name     string    `json:"name"` // of the file
	Problems []Problem `json:"problems"`
}

// Error lists all problems, one a line.
func (e *Invalid) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "spec %s is invalid: ", e.Name)
	if len(e.Problems) == 1 {
		b.WriteString(e.Problems[0].String())
		return b.String()
	}
	fmt.Fprintf(&b, "%d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// sortProblems puts problems in the order of the file; those without a line come last.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}
