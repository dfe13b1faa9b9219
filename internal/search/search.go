// Package search finds good hyperparameters: samplers that suggest a trial's, pruners that end a trial early, and what
// a finished search says about its parameters.
//
// Everything is a function of its arguments: the space, the trials so far, a trial's number and a seed. So a search that
// is resumed goes on as if it had never stopped. It does no I/O, reads no clock and keeps no state.
package search

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/search/space"
)

// Goal is which way a metric improves.
type Goal string

// The goals.
const (
	Minimize Goal = "minimize"
	Maximize Goal = "maximize"
)

// State is where a trial stands.
type State string

// The states.
const (
	Running  State = "running"
	Complete State = "complete" // it has a value
	Pruned   State = "pruned"   // ended early: its value is the last it reported
	Failed   State = "failed"   // it has none
)

// Trial is one set of parameters and what came of it.
type Trial struct {
	Number int            `json:"number"` // from 1
	State  State          `json:"state"`
	Params map[string]any `json:"params"` // those that the trial has: texts, float64 and booleans
	Value  float64        `json:"value,omitempty"`
	Step   int            `json:"step,omitempty"` // the last one reported
}

// judged says that a trial's value counts: a number that others can be compared with.
func (t Trial) judged() bool {
	return (t.State == Complete || t.State == Pruned) && !math.IsNaN(t.Value) && !math.IsInf(t.Value, 0)
}

// Samplers.
const (
	TPE    = "tpe"
	Random = "random"
	Grid   = "grid"
)

// Samplers lists the valid ones.
func Samplers() []string { return []string{TPE, Random, Grid} }

// ErrExhausted says that a grid has no more points.
var ErrExhausted = errors.New("the grid has no more points")

// Study is what a search looks for, and how.
type Study struct {
	Space   *space.Compiled
	Sampler string
	Goal    Goal
	Seed    uint64
}

// Suggest gives the parameters of the trial of that number, from 1, after the history so far, in any order. Running
// trials may be in it: the sampler then keeps away from them. It fails with ErrExhausted, or because of the study.
func (s Study) Suggest(history []Trial, number int) (map[string]any, error) {
	if s.Space == nil || len(s.Space.Params) == 0 {
		return nil, errors.New("the search space is empty")
	}
	if number < 1 {
		return nil, fmt.Errorf("trial %d < 1", number)
	}
	switch s.Sampler {
	case Random:
		return randomPoint(s.Space, s.random(number)), nil
	case Grid:
		return s.gridPoint(number)
	case TPE:
		return s.estimate(history, number), nil
	}
	return nil, fmt.Errorf("sampler %q is unknown, want one of %s", s.Sampler, strings.Join(Samplers(), ", "))
}

// random is a trial's own source, whatever happened before it.
func (s Study) random(number int) *rand.Rand {
	return rand.New(rand.NewPCG(s.Seed, uint64(number)*0x9e3779b97f4a7c15))
}

// better says that a value is better than another; one that is no number is worse than any.
func (g Goal) better(a, b float64) bool {
	switch {
	case math.IsNaN(a):
		return false
	case math.IsNaN(b):
		return true
	case g == Maximize:
		return a > b
	}
	return a < b
}

// Best is the complete trial with the best value, of equals the first; ok is false where none is complete. A pruned
// trial is never the best: it left no model.
func (g Goal) Best(trials []Trial) (best Trial, ok bool) {
	for _, t := range trials {
		if t.State != Complete || !t.judged() {
			continue
		}
		if !ok || g.better(t.Value, best.Value) || (t.Value == best.Value && t.Number < best.Number) {
			best, ok = t, true
		}
	}
	return best, ok
}

// byNumber is a copy in the order of the trials' numbers.
func byNumber(trials []Trial) []Trial {
	out := slices.Clone(trials)
	slices.SortStableFunc(out, func(a, b Trial) int { return a.Number - b.Number })
	return out
}
