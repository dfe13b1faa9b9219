package bench

import (
	"fmt"
	"math"

	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
)

// searched is a function to minimise over a space; bench/peers/search_optuna.py has the same ones.
type searched struct {
	name  string
	space space.Space
	value func(params map[string]any) float64
}

// searchedFunctions are six standard test functions of global optimisation (Surjanovic and Bingham, Virtual Library of
// Simulation Experiments) and one with a choice that decides which other parameters there are.
func searchedFunctions() []searched {
	return []searched{
		over("sphere", 5, -5, 5, sphere),
		over("rosenbrock", 4, -2, 2, rosenbrock),
		over("ackley", 5, -32.768, 32.768, ackley),
		over("rastrigin", 5, -5.12, 5.12, rastrigin),
		{name: "branin", space: space.Space{"x0": {Float: []float64{-5, 10}}, "x1": {Float: []float64{0, 15}}}, value: vector(2, branin)},
		over("hartmann6", 6, 0, 1, hartmann6),
		{name: "conditional", space: space.Space{
			"booster": {Choice: []any{"linear", "tree", "dart"}},
			"l2":      {Log: []float64{1e-4, 1e2}, When: map[string]any{"booster": "linear"}},
			"eta":     {Log: []float64{1e-3, 1}, When: map[string]any{"booster": []any{"tree", "dart"}}},
			"depth":   {Int: []float64{2, 14}, When: map[string]any{"booster": []any{"tree", "dart"}}},
			"drop":    {Float: []float64{0, 0.5}, When: map[string]any{"booster": "dart"}},
		}, value: learner},
	}
}

func over(name string, dimensions int, low, high float64, f func([]float64) float64) searched {
	s := searched{name: name, space: space.Space{}, value: vector(dimensions, f)}
	for i := range dimensions {
		s.space[fmt.Sprintf("x%d", i)] = space.Dimension{Float: []float64{low, high}}
	}
	return s
}

func vector(dimensions int, f func([]float64) float64) func(map[string]any) float64 {
	return func(params map[string]any) float64 {
		x := make([]float64, dimensions)
		for i := range x {
			x[i] = params[fmt.Sprintf("x%d", i)].(float64)
		}
		return f(x)
	}
}

func sphere(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum
}

func rosenbrock(x []float64) float64 {
	sum := 0.0
	for i := range len(x) - 1 {
		sum += 100*math.Pow(x[i+1]-x[i]*x[i], 2) + math.Pow(1-x[i], 2)
	}
	return sum
}

func ackley(x []float64) float64 {
	waves := 0.0
	for _, v := range x {
		waves += math.Cos(2 * math.Pi * v)
	}
	n := float64(len(x))
	return -20*math.Exp(-0.2*math.Sqrt(sphere(x)/n)) - math.Exp(waves/n) + 20 + math.E
}

func rastrigin(x []float64) float64 {
	sum := 10 * float64(len(x))
	for _, v := range x {
		sum += v*v - 10*math.Cos(2*math.Pi*v)
	}
	return sum
}

func branin(x []float64) float64 {
	a, b := x[0], x[1]
	return math.Pow(b-5.1/(4*math.Pi*math.Pi)*a*a+5/math.Pi*a-6, 2) + 10*(1-1/(8*math.Pi))*math.Cos(a) + 10
}

func hartmann6(x []float64) float64 {
	weights := []float64{1, 1.2, 3, 3.2}
	scale := [][]float64{{10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}}
	centre := [][]float64{
		{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886}, {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
		{0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650}, {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381},
	}
	sum := 0.0
	for k, w := range weights {
		distance := 0.0
		for i, v := range x {
			distance += scale[k][i] * math.Pow(v-centre[k][i], 2)
		}
		sum -= w * math.Exp(-distance)
	}
	return sum
}

// learner is a loss as it may look: a choice decides which other parameters there are, two of them logarithmic.
func learner(p map[string]any) float64 {
	number := func(name string) float64 { return p[name].(float64) }
	if p["booster"] == "linear" {
		return 0.4 + 0.05*math.Pow(math.Log10(number("l2"))+1, 2)
	}
	loss := 0.3 + 0.1*math.Pow(math.Log10(number("eta"))+1.5, 2) + 0.004*math.Pow(number("depth")-7, 2)
	if p["booster"] == "dart" {
		loss += 0.02 + math.Pow(number("drop")-0.1, 2)
	}
	return loss
}

// minimise is the least value that a search of so many trials finds, one after the other.
func (f searched) minimise(seed uint64, trials int) (float64, error) {
	s, err := f.space.Compile()
	if err != nil {
		return 0, err
	}
	study := search.Study{Space: s, Sampler: search.TPE, Goal: search.Minimize, Seed: seed}
	var history []search.Trial
	for n := range trials {
		params, err := study.Suggest(history, n+1)
		if err != nil {
			return 0, err
		}
		history = append(history, search.Trial{Number: n + 1, State: search.Complete, Params: params, Value: f.value(params)})
	}
	best, _ := study.Goal.Best(history)
	return best.Value, nil
}
