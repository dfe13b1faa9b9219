// Package suite is the language of Great Expectations suites: which kinds of expectations there are, what they take,
// how they are read from the JSON that Great Expectations writes (1.x and before), and the shape in which it states
// results. docs/expectations.md is its reference.
//
// It knows no data: package expect holds rows to a suite. It does no I/O and depends on no package that does, so that
// a spec may hold a suite.
package suite

import (
	"fmt"
	"strings"
)

// Suite is a list of expectations, in the form of Great Expectations 1.x. What says nothing about the data (ids, meta,
// notes, result formats) was left out by Read.
type Suite struct {
	Name         string        `yaml:"name,omitempty" json:"name,omitempty"`
	Expectations []Expectation `yaml:"expectations" json:"expectations"`

	// File is the suite's file while it isn't read; then nothing else is set.
	File string `yaml:"-" json:"file,omitempty"`
}

// Expectation is one rule.
type Expectation struct {
	Type     string `yaml:"type" json:"type"`                             // expect_column_values_to_be_between
	Kwargs   Kwargs `yaml:"kwargs,omitempty" json:"kwargs,omitempty"`     // what it takes
	Severity string `yaml:"severity,omitempty" json:"severity,omitempty"` // critical | warning | info; "": critical
}

// Kwargs are an expectation's arguments as JSON has them: texts, float64, booleans, lists and mappings of those, and in
// lists nil.
type Kwargs map[string]any

// Severities of an expectation.
const (
	Critical = "critical" // a failure refuses the file
	Warning  = "warning"  // a failure is noted
	Info     = "info"     // as a warning
)

// Severities lists the valid ones.
func Severities() []string { return []string{Critical, Warning, Info} }

// Blocks reports whether a failure refuses the file.
func (e Expectation) Blocks() bool { return e.Severity == "" || e.Severity == Critical }

// Problem is one thing that is wrong with a suite.
type Problem struct {
	Path    string // expectations[3].kwargs.min_value; "" for the suite as a whole
	Line    int    // 1-based; 0 where it isn't known
	Message string
	Hint    string // what to write instead
}

// String is the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
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

// Invalid is a suite with everything that is wrong with it. Reading it again can't help.
type Invalid struct {
	Name     string // of the file
	Problems []Problem
}

// Error lists all problems, one a line.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	if len(lines) == 1 {
		return fmt.Sprintf("suite %s is invalid: %s", e.Name, lines[0])
	}
	return fmt.Sprintf("suite %s is invalid: %d problems\n  %s", e.Name, len(lines), strings.Join(lines, "\n  "))
}

// Parse reads a suite's JSON and checks it; name is the file's, for messages. Everything that is wrong comes back at
// once as an *Invalid.
func Parse(name string, src []byte) (*Suite, error) {
	s, at, problems := Read(src)
	if s != nil {
		problems = append(problems, at.place(s.Problems())...)
	}
	if len(problems) > 0 {
		return nil, &Invalid{Name: name, Problems: problems}
	}
	return s, nil
}

// Problems is everything that is wrong with the expectations, however they came about.
func (s *Suite) Problems() []Problem {
	var found []Problem
	if len(s.Expectations) == 0 {
		found = append(found, Problem{Path: "expectations", Message: "the suite expects nothing"})
	}
	for i, e := range s.Expectations {
		_, problems := e.Rule()
		for _, p := range problems {
			p.Path = fmt.Sprintf("expectations[%d]%s", i, dot(p.Path))
			found = append(found, p)
		}
	}
	return found
}

func dot(path string) string {
	if path == "" {
		return ""
	}
	return "." + path
}

// Columns are the columns whose rows the suite needs, each once. Those of which only the name matters aren't among them.
func (s *Suite) Columns() []string {
	var names []string
	seen := map[string]bool{}
	for _, e := range s.Expectations {
		r, _ := e.Rule()
		for _, name := range r.Reads() {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}
