package search

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/leanloop/leanloop/internal/search/space"
)

// axis is a parameter's range of numbers as samplers see it: the logarithm of logarithmic ones, and half a step more on
// either side where values are steps apart, so that each of them has the same width.
type axis struct {
	p         *space.Param
	low, high float64
}

func axisOf(p *space.Param) axis {
	a := axis{p: p, low: p.Low, high: p.High}
	half := 0.0
	switch {
	case p.Kind == space.LogInt:
		half = 0.5
	case p.Step > 0:
		half = p.Step / 2
	}
	a.low, a.high = p.Low-half, p.High+half
	if a.logarithmic() {
		a.low, a.high = math.Log(a.low), math.Log(a.high)
	}
	return a
}

func (a axis) logarithmic() bool { return a.p.Kind == space.Log || a.p.Kind == space.LogInt }

// discrete says that values are apart from one another.
func (a axis) discrete() bool { return a.p.Step > 0 || a.p.Kind == space.LogInt }

// at is where a value lies on the axis, within its ends.
func (a axis) at(value float64) float64 {
	if a.logarithmic() {
		value = math.Log(value)
	}
	return min(max(value, a.low), a.high)
}

// value is what lies at a place of the axis: the nearest one that the parameter may take.
func (a axis) value(at float64) float64 {
	if a.logarithmic() {
		at = math.Exp(at)
	}
	switch {
	case a.p.Kind == space.LogInt:
		at = math.Round(at)
	case a.p.Step > 0:
		at = a.p.Low + math.Round((at-a.p.Low)/a.p.Step)*a.p.Step
	}
	return min(max(rounded(at), a.p.Low), a.p.High)
}

// rounded has the digits that a person and a command line want to see: no more than 12.
func rounded(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) {
		return v
	}
	unit := math.Pow(10, 11-math.Floor(math.Log10(math.Abs(v))))
	if r := math.Round(v*unit) / unit; unit > 0 && !math.IsInf(unit, 0) && !math.IsInf(r, 0) && !math.IsNaN(r) {
		return r
	}
	return v // at the ends of what a float64 holds
}

// cell is the part of the axis that belongs to a value of a discrete parameter.
func (a axis) cell(value float64) (from, to float64) {
	half := a.p.Step / 2
	if a.p.Kind == space.LogInt {
		return math.Log(value - 0.5), math.Log(value + 0.5)
	}
	return value - half, value + half
}

// randomPoint draws every parameter evenly over its axis: one number for each, whether or not the point has it, so that
// the others don't depend on that.
func randomPoint(s *space.Compiled, r *rand.Rand) map[string]any {
	return pointAt(s, func(int) float64 { return r.Float64() })
}

// spreadPoint is one of a block of startup points, each of which has a layer of every axis to itself: a Latin hypercube.
// Ten points at random leave a third of an axis' tenths empty.
func (s Study) spreadPoint(number int, r *rand.Rand) map[string]any {
	block, own := (number-1)/startup, (number-1)%startup
	layers := s.random(-1 - block)
	return pointAt(s.Space, func(int) float64 { return (float64(layers.Perm(startup)[own]) + r.Float64()) / startup })
}

// pointAt takes for each parameter the value at a place within 0 and 1 of its axis.
func pointAt(s *space.Compiled, unit func(i int) float64) map[string]any {
	out := map[string]any{}
	for i := range s.Params {
		p, u := &s.Params[i], unit(i)
		switch {
		case !s.Active(i, out):
		case p.Kind == space.Choice:
			out[p.Name] = p.Choices[min(int(u*float64(len(p.Choices))), len(p.Choices)-1)]
		default:
			a := axisOf(p)
			out[p.Name] = a.value(a.low + u*(a.high-a.low))
		}
	}
	return out
}

// same says that two trials have equal parameters.
func same(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		other, ok := b[name]
		if !ok || other != v {
			return false
		}
	}
	return true
}

// tried says that a trial has had these parameters already.
func tried(history []Trial, params map[string]any) bool {
	return slices.ContainsFunc(history, func(t Trial) bool { return same(t.Params, params) })
}
