package space_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/search/space"
)

func TestSpacesThatCantBeSearched(t *testing.T) {
	numbers := func(n ...float64) []float64 { return n }
	ok := space.Dimension{Float: numbers(0, 1)}
	long := strings.Repeat("x", 41)
	for name, c := range map[string]struct {
		space space.Space
		says  string
	}{
		"empty":                         {space.Space{}, "it is empty"},
		"no kind":                       {space.Space{"eta": {}}, "eta: 0 kinds of values"},
		"two kinds":                     {space.Space{"eta": {Float: numbers(0, 1), Log: numbers(1, 2)}}, "eta: 2 kinds of values"},
		"one end":                       {space.Space{"eta": {Float: numbers(1)}}, "eta.float: 1 numbers, want 2"},
		"reversed":                      {space.Space{"eta": {Float: numbers(2, 1)}}, "the range is empty: 2 > 1 ([1, 2])"},
		"one value":                     {space.Space{"eta": {Int: numbers(2, 2)}}, "belongs to train.params"},
		"not finite":                    {space.Space{"eta": {Float: numbers(0, math.Inf(1))}}, "isn't a finite range"},
		"wider than a float":            {space.Space{"eta": {Float: numbers(-math.MaxFloat64, math.MaxFloat64)}}, "isn't a finite range"},
		"NaN":                           {space.Space{"eta": {Float: numbers(math.NaN(), 1)}}, "isn't a finite range"},
		"log of zero":                   {space.Space{"eta": {Log: numbers(0, 1)}}, "0 has no logarithm"},
		"fractions of whole numbers":    {space.Space{"n": {Int: numbers(0.5, 3)}}, "aren't whole numbers"},
		"one choice":                    {space.Space{"b": {Choice: []any{"a"}}}, "1 choices, want 2 to 100"},
		"a choice twice":                {space.Space{"b": {Choice: []any{"a", "a"}}}, `"a" stands there twice`},
		"a choice that is a list":       {space.Space{"b": {Choice: []any{"a", []any{1.0}}}}, "choice 2 is neither"},
		"a long choice":                 {space.Space{"b": {Choice: []any{"a", long}}}, "has 41 bytes > 40"},
		"steps of choices":              {space.Space{"b": {Choice: []any{"a", "b"}, Step: 1}}, "not of choices"},
		"steps of logarithms":           {space.Space{"eta": {Log: numbers(1, 2), Step: 0.1}}, "a log has no steps"},
		"a step beyond the range":       {space.Space{"eta": {Float: numbers(0, 1), Step: 2}}, "wider than the range"},
		"half a step of whole numbers":  {space.Space{"n": {Int: numbers(0, 9), Step: 0.5}}, "isn't a step of int"},
		"step and points":               {space.Space{"eta": {Float: numbers(0, 1), Step: 0.5, Points: 2}}, "both step and points"},
		"one point":                     {space.Space{"eta": {Float: numbers(0, 1), Points: 1}}, "1 points"},
		"a name that is an option":      {space.Space{"-eta": ok}, "isn't a parameter's name"},
		"a long name":                   {space.Space{long: ok}, "isn't a parameter's name"},
		"a condition on nothing":        {space.Space{"eta": {Float: numbers(0, 1), When: map[string]any{"boster": "a"}}, "booster": {Choice: []any{"a", "b"}}}, `did you mean "booster"?`},
		"a condition on itself":         {space.Space{"eta": {Int: numbers(0, 1), When: map[string]any{"eta": 1.0}}}, "depends on itself"},
		"conditions in a circle":        {space.Space{"a": {Int: numbers(0, 1), When: map[string]any{"b": 1.0}}, "b": {Int: numbers(0, 1), When: map[string]any{"a": 1.0}}}, "depends on itself, by [a b a]"},
		"a condition on a fraction":     {space.Space{"a": ok, "b": {Float: numbers(0, 1), When: map[string]any{"a": 0.5}}}, "hardly any trial"},
		"a condition that never holds":  {space.Space{"a": {Choice: []any{"x", "y"}}, "b": {Float: numbers(0, 1), When: map[string]any{"a": "z"}}}, `a never has the value "z"`},
		"a condition beyond the range":  {space.Space{"a": {Int: numbers(1, 3)}, "b": {Float: numbers(0, 1), When: map[string]any{"a": 4.0}}}, "a never has the value 4"},
		"a condition that is a mapping": {space.Space{"a": {Int: numbers(1, 3)}, "b": {Float: numbers(0, 1), When: map[string]any{"a": map[string]any{}}}}, "want a value or a list"},
		"conditions that contradict each other": {space.Space{
			"a": {Choice: []any{"x", "y"}},
			"b": {Choice: []any{"p", "q"}, When: map[string]any{"a": "x"}},
			"c": {Float: numbers(0, 1), When: map[string]any{"a": "y", "b": "p"}},
		}, "c.when: no trial can have it: its conditions contradict each other over a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.space.Compile()
			var invalid *space.Invalid
			require.True(t, errors.As(err, &invalid), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestParametersStandBehindThoseThatTheyDependOn(t *testing.T) {
	c, err := space.Space{
		"a": {Float: []float64{0, 1}, When: map[string]any{"b": []any{"x", "y"}}},
		"b": {Choice: []any{"x", "y", "z"}, When: map[string]any{"c": true}},
		"c": {Choice: []any{true, false}},
	}.Compile()
	require.NoError(t, err)
	require.Equal(t, []string{"c", "b", "a"}, []string{c.Params[0].Name, c.Params[1].Name, c.Params[2].Name})
	require.True(t, c.Active(2, map[string]any{"c": true, "b": "y"}))
	require.False(t, c.Active(2, map[string]any{"c": true, "b": "z"}))
	require.False(t, c.Active(1, map[string]any{"c": false}))
}

func TestAStepThatDoesntFitEndsBeforeTheRange(t *testing.T) {
	c, err := space.Space{"n": {Int: []float64{1, 10}, Step: 4}, "x": {Float: []float64{0, 1}, Step: 0.1}}.Compile()
	require.NoError(t, err)
	require.Equal(t, 9.0, c.Params[0].High)
	require.InDelta(t, 1, c.Params[1].High, 1e-12)
	require.True(t, c.Params[0].Contains(5.0))
	require.False(t, c.Params[0].Contains(6.0))
	require.False(t, c.Params[0].Contains("5"))
}
