package search

import (
	"fmt"
	"math"

	"github.com/leanloop/leanloop/internal/search/space"
)

// MaxGrid is how many points a grid may have: more is no grid that anybody would wait for.
const MaxGrid = 1000

// GridError says that a space makes no grid.
type GridError struct {
	Param  string // "" for the space as a whole
	Reason string
}

func (e *GridError) Error() string {
	if e.Param == "" {
		return "grid: " + e.Reason
	}
	return "grid: " + e.Param + ": " + e.Reason
}

// GridSize is how many points the grid of a space has. The error is a *GridError: a parameter without finitely many
// values, or too many points.
func GridSize(s *space.Compiled) (int, error) {
	points, err := gridPoints(s)
	return len(points), err
}

// gridPoint is the number-th point of the grid, in an order that the seed shuffles, so that the first ones are spread
// over the space.
func (s Study) gridPoint(number int) (map[string]any, error) {
	points, err := gridPoints(s.Space)
	if err != nil {
		return nil, err
	}
	if number > len(points) {
		return nil, ErrExhausted
	}
	r := s.random(0)
	return points[r.Perm(len(points))[number-1]], nil
}

// gridPoints are all points, parameter by parameter; a parameter that a point hasn't got doesn't multiply it.
func gridPoints(s *space.Compiled) ([]map[string]any, error) {
	points := []map[string]any{{}}
	for i := range s.Params {
		p := &s.Params[i]
		values, err := gridValues(p)
		if err != nil {
			return nil, err
		}
		var next []map[string]any
		for _, point := range points {
			if !s.Active(i, point) {
				next = append(next, point)
				continue
			}
			for _, v := range values {
				more := make(map[string]any, len(point)+1)
				for name, value := range point {
					more[name] = value
				}
				more[p.Name] = v
				next = append(next, more)
			}
			if len(next) > MaxGrid {
				return nil, &GridError{Reason: fmt.Sprintf("more than %d points", MaxGrid)}
			}
		}
		points = next
	}
	return points, nil
}

// gridValues are the values that a grid takes of a parameter, rising.
func gridValues(p *space.Param) ([]any, error) {
	if p.Kind == space.Choice {
		return p.Choices, nil
	}
	a := axisOf(p)
	n, at := p.Points, func(i, n int) float64 { // evenly from end to end
		from, to := p.Low, p.High
		if a.logarithmic() {
			from, to = math.Log(from), math.Log(to)
		}
		return a.value(from + (to-from)*float64(i)/float64(n-1))
	}
	if n == 0 {
		switch {
		case p.Kind == space.LogInt:
			n = int(min(p.High-p.Low, MaxGrid)) + 1
			at = func(i, _ int) float64 { return p.Low + float64(i) }
		case p.Step > 0:
			n = int(min(math.Round((p.High-p.Low)/p.Step), MaxGrid)) + 1
			at = func(i, _ int) float64 { return a.value(p.Low + float64(i)*p.Step) }
		default:
			return nil, &GridError{Param: p.Name, Reason: "it has endlessly many values: give points, or a step"}
		}
	}
	if n > MaxGrid {
		return nil, &GridError{Param: p.Name, Reason: fmt.Sprintf("more than %d values", MaxGrid)}
	}
	var out []any
	for i := range n {
		if v := at(i, n); len(out) == 0 || out[len(out)-1] != v { // points of whole numbers may fall together
			out = append(out, v)
		}
	}
	return out, nil
}
