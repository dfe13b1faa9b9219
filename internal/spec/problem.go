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

// nearest is the candidate with the smallest edit distance to name, and whether it is near enough to be meant. A
// candidate that contains the name, as roc_auc does auc, is as near as one edit.
func nearest(name string, candidates []string) (string, bool) {
	best, least := "", len(name)+100
	for _, c := range candidates {
		if len(name) >= 3 && strings.Contains(c, strings.ToLower(name)) && least > 1 {
			best, least = c, 1
			continue
		}
		if d := editDistance(strings.ToLower(name), c); d < least {
			best, least = c, d
		}
	}
	return best, least <= max(2, min(len(name), len(best))/2)
}

// editDistance counts the insertions, deletions, substitutions and swaps of neighbours that make b of a (optimal
// string alignment).
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// unknownHint names the nearest valid name, and all of them.
func unknownHint(name string, valid []string) string {
	list := "valid: " + strings.Join(valid, ", ")
	if len(name) > 64 {
		return list
	}
	if near, ok := nearest(name, valid); ok {
		return fmt.Sprintf("did you mean %q? %s", near, list)
	}
	return list
}
