package space

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"

	"github.com/leanloop/leanloop/internal/nearest"
)

// nameForm is what a trainer's argument may be called.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// compiler checks a space and orders its parameters.
type compiler struct {
	space    Space
	problems []Problem
	params   []Param
	at       map[string]int // in params
}

func (c *compiler) fail(path, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Compile checks the space and puts its parameters into order: by name, those that others depend on first. The error is
// an *Invalid.
func (s Space) Compile() (*Compiled, error) {
	c := &compiler{space: s, at: map[string]int{}}
	switch {
	case len(s) == 0:
		c.fail("", "such as eta: {log: [0.01, 0.3]}", "it is empty: there is nothing to search")
	case len(s) > MaxParams:
		c.fail("", "", "%d parameters > %d", len(s), MaxParams)
	default:
		names := slices.Sorted(maps.Keys(s))
		for _, name := range names {
			c.dimension(name, s[name])
		}
		for _, name := range names {
			c.place(name, nil)
		}
		if len(c.problems) == 0 {
			c.reachable()
		}
	}
	if len(c.problems) > 0 {
		return nil, &Invalid{Problems: c.problems}
	}
	return &Compiled{Params: c.params}, nil
}

// ranges are the kinds of numbers that a dimension names.
func (d Dimension) ranges() map[Kind][]float64 {
	out := map[Kind][]float64{}
	for kind, r := range map[Kind][]float64{Float: d.Float, Log: d.Log, Int: d.Int, LogInt: d.LogInt} {
		if r != nil {
			out[kind] = r
		}
	}
	return out
}

// dimension checks one parameter by itself.
func (c *compiler) dimension(name string, d Dimension) {
	if !nameForm.MatchString(name) || len(name) > MaxName {
		c.fail(name, "", "%q isn't a parameter's name: want letters, digits, dots, dashes and underscores, %d at most", clip(name), MaxName)
	}
	ranges := d.ranges()
	kinds := len(ranges)
	if d.Choice != nil {
		kinds++
	}
	if kinds != 1 {
		c.fail(name, "one of float, log, int, log_int and choice, such as {int: [3, 10]}", "%d kinds of values, want one", kinds)
		return
	}
	if d.Choice != nil {
		c.choices(name, d)
		return
	}
	for kind, r := range ranges {
		c.interval(name+"."+kind.String(), kind, r)
		c.steps(name, kind, r, d)
	}
}

func (c *compiler) choices(name string, d Dimension) {
	path := name + ".choice"
	if d.Step != 0 || d.Points != 0 {
		c.fail(name, "leave them out", "step and points are of numbers, not of choices")
	}
	if n := len(d.Choice); n < 2 || n > MaxChoices {
		c.fail(path, "a value that never changes belongs to train.params", "%d choices, want 2 to %d", n, MaxChoices)
		return
	}
	for i, v := range d.Choice {
		switch value := v.(type) {
		case string:
			if len(value) > MaxName {
				c.fail(path, "", "%q... has %d bytes > %d", clip(value), len(value), MaxName)
			}
		case bool:
		case float64:
			if math.IsNaN(value) || math.IsInf(value, 0) {
				c.fail(path, "", "%v isn't a number that a parameter may have", value)
			}
		default:
			c.fail(path, "", "choice %d is neither a text nor a number nor a boolean", i+1)
			return
		}
		if indexOf(d.Choice[:i], v) >= 0 {
			c.fail(path, "remove one of them", "%s stands there twice", describe(v))
		}
	}
}

func (c *compiler) interval(path string, kind Kind, r []float64) {
	if len(r) != 2 {
		c.fail(path, "the lowest and the highest value, such as [3, 10]", "%d numbers, want 2", len(r))
		return
	}
	low, high := r[0], r[1]
	whole := kind == Int || kind == LogInt
	switch {
	case math.IsNaN(low) || math.IsNaN(high) || math.IsInf(low, 0) || math.IsInf(high, 0) || math.IsInf(high-low, 0):
		c.fail(path, "", "[%v, %v] isn't a finite range", low, high)
	case low == high:
		c.fail(path, "a value that never changes belongs to train.params", "the range holds one value, %v", low)
	case low > high:
		c.fail(path, fmt.Sprintf("[%v, %v]", high, low), "the range is empty: %v > %v", low, high)
	case whole && (low != math.Trunc(low) || high != math.Trunc(high) || math.Abs(low) > maxWhole || math.Abs(high) > maxWhole):
		c.fail(path, "", "[%v, %v] aren't whole numbers up to 2^53", low, high)
	case (kind == Log || kind == LogInt) && low <= 0:
		c.fail(path, "a range over 0, or float or int", "%v has no logarithm", low)
	}
}

func (c *compiler) steps(name string, kind Kind, r []float64, d Dimension) {
	if d.Step != 0 && (kind == Log || kind == LogInt) {
		c.fail(name+".step", "leave it out", "a %s has no steps", kind)
	}
	if !(d.Step >= 0) || math.IsInf(d.Step, 0) || (kind == Int && d.Step != math.Trunc(d.Step)) {
		c.fail(name+".step", "", "%v isn't a step of %s", d.Step, kind)
	}
	if d.Points < 0 || d.Points == 1 || d.Points > 1000 {
		c.fail(name+".points", "", "%d points, want 2 to 1000", d.Points)
	}
	if d.Step > 0 && d.Points > 0 {
		c.fail(name, "one of them", "both step and points")
	}
	if len(r) == 2 && d.Step > r[1]-r[0] && r[1] > r[0] {
		c.fail(name+".step", "", "%v is wider than the range: it leaves one value", d.Step)
	}
}

// place appends a parameter after all that it depends on. below are those that wait for it.
func (c *compiler) place(name string, below []string) {
	if _, done := c.at[name]; done {
		return
	}
	if slices.Contains(below, name) {
		c.fail(name+".when", "", "it depends on itself, by %v", append(below[slices.Index(below, name):], name))
		c.at[name] = -1
		return
	}
	d := c.space[name]
	p := Param{Name: name, Step: d.Step, Points: d.Points, Choices: d.Choice, Kind: Choice}
	for kind, r := range d.ranges() {
		if p.Kind = kind; len(r) == 2 {
			p.Low, p.High = r[0], r[1]
		}
	}
	if p.Kind == Int && p.Step == 0 {
		p.Step = 1
	}
	if p.Step > 0 { // the last step may end before the range does
		p.High = p.Low + math.Floor((p.High-p.Low)/p.Step*(1+1e-12))*p.Step
	}
	for _, parent := range slices.Sorted(maps.Keys(d.When)) {
		if _, ok := c.space[parent]; !ok {
			c.fail(name+".when", nearest.Hint(parent, slices.Sorted(maps.Keys(c.space))), "no parameter %q in the space", clip(parent))
			continue
		}
		c.place(parent, append(below, name))
		if i, ok := c.at[parent]; ok && i >= 0 && len(c.problems) == 0 {
			p.When = append(p.When, Condition{Param: i, Values: c.values(name, parent, d.When[parent])})
		}
	}
	if _, done := c.at[name]; !done { // else a cycle was found
		c.at[name] = len(c.params)
		c.params = append(c.params, p)
	}
}

// values are those of a condition, each of which the parameter must be able to take.
func (c *compiler) values(name, parent string, v any) []any {
	path := name + ".when." + parent
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 || len(list) > MaxChoices {
		c.fail(path, "", "%d values, want 1 to %d", len(list), MaxChoices)
	}
	p := &c.params[c.at[parent]]
	if p.Kind == Float || p.Kind == Log {
		c.fail(path, "choice, int or log_int", "a condition on a %s: hardly any trial would meet a single value", p.Kind)
		return list
	}
	for _, value := range list {
		switch value.(type) {
		case string, bool, float64:
			if !p.Contains(value) {
				c.fail(path, "", "%s never has the value %s", parent, describe(value))
			}
		default:
			c.fail(path, "", "want a value or a list of values")
			return list
		}
	}
	return list
}

// reachable finds parameters that no trial can have: what they need, and what that needs, contradicts itself.
func (c *compiler) reachable() {
	needs := make([]map[int][]any, len(c.params))
	for i, p := range c.params {
		needs[i] = map[int][]any{}
		add := func(parent int, values []any) {
			if old, ok := needs[i][parent]; ok {
				values = slices.DeleteFunc(slices.Clone(values), func(v any) bool { return indexOf(old, v) < 0 })
			}
			needs[i][parent] = values
		}
		for _, w := range p.When {
			add(w.Param, w.Values)
			for parent, values := range needs[w.Param] {
				add(parent, values)
			}
		}
		for _, parent := range slices.Sorted(maps.Keys(needs[i])) {
			if len(needs[i][parent]) == 0 {
				c.fail(p.Name+".when", "", "no trial can have it: its conditions contradict each other over %s", c.params[parent].Name)
				break
			}
		}
	}
}

// clip shortens a text from outside for a message.
func clip(s string) string { return s[:min(len(s), MaxName)] }
