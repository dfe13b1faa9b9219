// Package space is the language of hyperparameter spaces: which kinds of parameters there are, what makes a space
// empty or contradictory, and which values a parameter may take. docs/search.md is its reference.
//
// It depends on no package that does I/O and knows nothing of samplers, so that a spec may hold a space.
package space

import (
	"fmt"
	"math"
	"strings"
)

// Space maps each searched parameter to its dimension.
type Space map[string]Dimension

// Dimension is one searched parameter: exactly one of Float, Log, Int, LogInt and Choice is set. Ranges are the lowest
// and the highest value, both included.
type Dimension struct {
	Float  []float64 `yaml:"float,omitempty" json:"float,omitempty"`     // evenly within a range
	Log    []float64 `yaml:"log,omitempty" json:"log,omitempty"`         // evenly in the logarithm
	Int    []float64 `yaml:"int,omitempty" json:"int,omitempty"`         // whole numbers
	LogInt []float64 `yaml:"log_int,omitempty" json:"log_int,omitempty"` // whole numbers, evenly in the logarithm
	Choice []any     `yaml:"choice,omitempty" json:"choice,omitempty"`   // texts, numbers and booleans, without an order

	Step   float64 `yaml:"step,omitempty" json:"step,omitempty"`     // of Float and Int: only low, low + step, ...; 0: any, and 1 of Int
	Points int     `yaml:"points,omitempty" json:"points,omitempty"` // of a grid: so many values, evenly spread; 0: each step

	// When makes the parameter conditional: it exists where each of the named parameters has the value, or one of the
	// values, that stand here.
	When map[string]any `yaml:"when,omitempty" json:"when,omitempty"`
}

// Bounds of a space, which keep a search's history small and its sampler quick.
const (
	MaxParams  = 100
	MaxChoices = 100
	MaxName    = 40 // bytes of a name, and of a choice that is a text
	maxWhole   = 1 << 53
)

// Kind is what a parameter's values are.
type Kind int

// The kinds.
const (
	Float Kind = iota
	Log
	Int
	LogInt
	Choice
)

// String names the kind as YAML does.
func (k Kind) String() string { return [...]string{"float", "log", "int", "log_int", "choice"}[k] }

// Param is one parameter of a compiled space.
type Param struct {
	Name      string
	Kind      Kind
	Low, High float64 // of all kinds but Choice
	Step      float64 // 0: any value
	Points    int
	Choices   []any
	When      []Condition // all of them must hold
}

// Condition holds where a parameter exists and has one of the values.
type Condition struct {
	Param  int // index of a parameter that stands before
	Values []any
}

// Compiled is a valid space, its parameters in an order in which conditions only look back.
type Compiled struct{ Params []Param }

// Problem is one thing that is wrong with a space.
type Problem struct {
	Path    string // eta.log; "" for the space as a whole
	Message string
	Hint    string // what to write instead
}

// Invalid is a space with everything that is wrong with it: empty, contradictory, or out of its bounds. Trying it again
// can't help.
type Invalid struct{ Problems []Problem }

// Error lists all problems.
func (e *Invalid) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Message
		if p.Path != "" {
			lines[i] = p.Path + ": " + p.Message
		}
		if p.Hint != "" {
			lines[i] += " (" + p.Hint + ")"
		}
	}
	return "search space: " + strings.Join(lines, "; ")
}

// Active says whether a parameter exists, given the values of those before it.
func (c *Compiled) Active(i int, values map[string]any) bool {
	for _, w := range c.Params[i].When {
		v, ok := values[c.Params[w.Param].Name]
		if !ok || indexOf(w.Values, v) < 0 {
			return false
		}
	}
	return true
}

// Contains says whether a value is one that the parameter may take. What a sampler gave is, up to the rounding of the
// last digits.
func (p *Param) Contains(v any) bool {
	if p.Kind == Choice {
		return indexOf(p.Choices, v) >= 0
	}
	f, ok := v.(float64)
	if !ok || math.IsNaN(f) {
		return false
	}
	slack := 1e-9 * max(math.Abs(p.Low), math.Abs(p.High))
	if f < p.Low-slack || f > p.High+slack {
		return false
	}
	if p.Kind == Int || p.Kind == LogInt {
		if f != math.Trunc(f) {
			return false
		}
	}
	if p.Step > 0 {
		n := (f - p.Low) / p.Step
		return math.Abs(n-math.Round(n)) < 1e-6
	}
	return true
}

// IndexOf is the place of a choice; -1 where there is no such.
func (p *Param) IndexOf(v any) int { return indexOf(p.Choices, v) }

// Discrete says that the parameter has finitely many values.
func (p *Param) Discrete() bool { return p.Kind >= Int || p.Step > 0 }

// indexOf finds a value by type and value; numbers are float64, as JSON has them.
func indexOf(values []any, v any) int {
	for i, other := range values {
		if other == v {
			return i
		}
	}
	return -1
}

// describe names a value for a message.
func describe(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}
