package training

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
)

// params reads the hyperparameters of a built-in trainer. The first error stays; unread names are errors at the end.
type params struct {
	values map[string]any
	read   map[string]bool
	err    error
}

func newParams(values map[string]any) *params {
	return &params{values: values, read: map[string]bool{}}
}

// number reads a parameter within [low, high].
func (p *params) number(name string, fallback, low, high float64) float64 {
	p.read[name] = true
	value, ok := p.values[name]
	if !ok {
		return fallback
	}
	v, ok := toFloat(value)
	if !ok || !(v >= low && v <= high) {
		p.fail(name, value, "a number "+span(low, high))
		return fallback
	}
	return v
}

// count reads a whole parameter within [low, high].
func (p *params) count(name string, fallback, low, high int) int {
	p.read[name] = true
	value, ok := p.values[name]
	if !ok {
		return fallback
	}
	v, ok := toFloat(value)
	if !ok || v != math.Trunc(v) || v < float64(low) || v > float64(high) {
		p.fail(name, value, "a whole number "+span(float64(low), float64(high)))
		return fallback
	}
	return int(v)
}

func (p *params) fail(name string, observed any, want string) {
	if p.err == nil {
		p.err = &ParamError{name, observed, want}
	}
}

// done gives the first error: an unknown name before a bad value.
func (p *params) done(trainer string) error {
	var unknown, valid []string
	for name := range p.values {
		if !p.read[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return p.err
	}
	for name := range p.read {
		valid = append(valid, name)
	}
	sort.Strings(unknown)
	sort.Strings(valid)
	return &UnknownName{"parameter of the built-in trainer " + trainer, unknown[0], valid}
}

func span(low, high float64) string {
	if high >= math.MaxInt32 {
		return fmt.Sprintf("from %v", low)
	}
	return fmt.Sprintf("from %v to %v", low, high)
}

// toFloat takes what YAML and JSON decoders give for a number.
func toFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}
