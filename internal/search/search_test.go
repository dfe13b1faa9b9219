package search_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
)

func compiled(t require.TestingT, s space.Space) *space.Compiled {
	c, err := s.Compile()
	require.NoError(t, err)
	return c
}

// boosters has every kind of parameter, two of them conditional.
func boosters() space.Space {
	return space.Space{
		"booster": {Choice: []any{"linear", "tree", "dart"}},
		"eta":     {Log: []float64{1e-3, 1}, When: map[string]any{"booster": []any{"tree", "dart"}}},
		"depth":   {Int: []float64{2, 14}, When: map[string]any{"booster": []any{"tree", "dart"}}},
		"rounds":  {LogInt: []float64{10, 1000}},
		"drop":    {Float: []float64{0, 0.5}, Step: 0.05, When: map[string]any{"booster": "dart"}},
		"l2":      {Float: []float64{-3, 3}},
		"exact":   {Choice: []any{true, false}},
	}
}

// valid fails unless a point has exactly the parameters that it should, each with a value that it may have.
func valid(t require.TestingT, c *space.Compiled, point map[string]any) {
	active := 0
	for i := range c.Params {
		p := &c.Params[i]
		v, has := point[p.Name]
		require.Equal(t, c.Active(i, point), has, "%s in %v", p.Name, point)
		if has {
			active++
			require.True(t, p.Contains(v), "%s = %v", p.Name, v)
		}
	}
	require.Len(t, point, active)
}

// drawSpace is a valid space, with ranges from the tiniest to the widest.
func drawSpace(t *rapid.T) space.Space {
	s := space.Space{"mode": {Choice: []any{"a", "b", 1.0, true}}}
	for i := range rapid.IntRange(1, 6).Draw(t, "parameters") {
		var d space.Dimension
		low := rapid.Float64Range(-1e300, 1e300).Draw(t, "low")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			high := rapid.Float64Range(-1e300, 1e300).Draw(t, "high")
			d.Float = []float64{min(low, high), max(low, high)}
			if low == high {
				d.Float = []float64{0, 1}
			}
		case 1:
			from := rapid.Float64Range(-300, 299).Draw(t, "from")
			d.Log = []float64{math.Pow(10, from), math.Pow(10, from+rapid.Float64Range(0.001, 300-from).Draw(t, "decades"))}
		case 2:
			n := rapid.Int64Range(-1<<50, 1<<50).Draw(t, "n")
			d.Int = []float64{float64(n), float64(n + rapid.Int64Range(1, 1<<50).Draw(t, "count"))}
		default:
			n := rapid.Int64Range(1, 1<<50).Draw(t, "n")
			d.LogInt = []float64{float64(n), float64(n + rapid.Int64Range(1, 1<<50).Draw(t, "count"))}
		}
		if rapid.Bool().Draw(t, "conditional") {
			d.When = map[string]any{"mode": rapid.SampledFrom([]any{"a", 1.0, []any{"b", true}}).Draw(t, "when")}
		}
		s[fmt.Sprintf("p%d", i)] = d
	}
	return s
}

// drawHistory is what may come of trials: failures, values that are no numbers, equal ones, huge ones.
func drawHistory(t *rapid.T, c *space.Compiled) []search.Trial {
	study := search.Study{Space: c, Sampler: search.Random, Seed: 7}
	value := rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)), rapid.Just(math.Inf(-1)), rapid.Just(1.0), rapid.Just(math.MaxFloat64))
	var out []search.Trial
	for n := range rapid.IntRange(0, 60).Draw(t, "trials") {
		params, err := study.Suggest(nil, n+1)
		if err != nil {
			t.Fatal(err)
		}
		state := rapid.SampledFrom([]search.State{search.Complete, search.Complete, search.Complete, search.Pruned, search.Failed, search.Running}).Draw(t, "state")
		out = append(out, search.Trial{Number: n + 1, State: state, Params: params, Value: value.Draw(t, "value"), Step: rapid.IntRange(0, 9).Draw(t, "step")})
	}
	return out
}

// Whatever the space and whatever came of the trials so far, a suggestion is a point of the space; and it depends on
// nothing but the arguments, not even on the order of the history.
func TestSuggestionsAreWithinTheSpaceWhateverTheHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := compiled(t, drawSpace(t))
		history := drawHistory(t, c)
		for _, sampler := range []string{search.Random, search.TPE} {
			study := search.Study{
				Space: c, Sampler: sampler, Seed: rapid.Uint64().Draw(t, "seed"),
				Goal: rapid.SampledFrom([]search.Goal{search.Minimize, search.Maximize}).Draw(t, "goal"),
			}
			number := len(history) + rapid.IntRange(1, 3).Draw(t, "ahead")
			point, err := study.Suggest(history, number)
			require.NoError(t, err)
			valid(t, c, point)
			shuffled := slices.Clone(history)
			rand.New(rand.NewPCG(study.Seed, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			again, err := study.Suggest(shuffled, number)
			require.NoError(t, err)
			require.Equal(t, point, again)
		}
	})
}

func TestEachTrialAndSeedGetsAnotherPoint(t *testing.T) {
	c := compiled(t, boosters())
	for _, sampler := range []string{search.Random, search.TPE} {
		seen := map[string]bool{}
		for seed := range uint64(5) {
			study := search.Study{Space: c, Sampler: sampler, Goal: search.Minimize, Seed: seed}
			for number := range 8 {
				point, err := study.Suggest(nil, number+1)
				require.NoError(t, err)
				raw, err := json.Marshal(point)
				require.NoError(t, err)
				require.False(t, seen[string(raw)], "%s: %s twice", sampler, raw)
				seen[string(raw)] = true
			}
		}
	}
}

// Parallel trials of one moment are told apart by what runs.
func TestTrialsThatRunAreKeptAwayFrom(t *testing.T) {
	c := compiled(t, space.Space{"n": {Int: []float64{1, 30}}})
	study := search.Study{Space: c, Sampler: search.TPE, Goal: search.Minimize, Seed: 1}
	var history []search.Trial
	for i := range 15 {
		v := float64(2 * i)
		history = append(history, search.Trial{Number: i + 1, State: search.Complete, Params: map[string]any{"n": v + 1}, Value: v})
	}
	for number := len(history) + 1; number <= 30; number++ {
		point, err := study.Suggest(history, number)
		require.NoError(t, err)
		for _, h := range history {
			require.NotEqual(t, h.Params, point)
		}
		history = append(history, search.Trial{Number: number, State: search.Running, Params: point})
	}
}

// The estimator is worth more than chance: over 20 seeds its best of 40 trials is better nearly always.
func TestTPEFindsBetterValuesThanChance(t *testing.T) {
	c := compiled(t, boosters())
	loss := func(p map[string]any) float64 {
		if p["booster"] == "linear" {
			return 2 + math.Abs(p["l2"].(float64))
		}
		return math.Pow(math.Log10(p["eta"].(float64))+1, 2) + math.Abs(p["depth"].(float64)-6)/6 + math.Abs(p["l2"].(float64))
	}
	for _, goal := range []search.Goal{search.Minimize, search.Maximize} {
		wins := 0
		for seed := range uint64(20) {
			best := map[string]float64{}
			for _, sampler := range []string{search.Random, search.TPE} {
				study := search.Study{Space: c, Sampler: sampler, Goal: goal, Seed: seed}
				var history []search.Trial
				for n := range 40 {
					p, err := study.Suggest(history, n+1)
					require.NoError(t, err)
					v := loss(p)
					if goal == search.Maximize {
						v = -v
					}
					history = append(history, search.Trial{Number: n + 1, State: search.Complete, Params: p, Value: v})
				}
				b, ok := goal.Best(history)
				require.True(t, ok)
				best[sampler] = b.Value
			}
			if (goal == search.Minimize) == (best[search.TPE] < best[search.Random]) {
				wins++
			}
		}
		require.GreaterOrEqual(t, wins, 17, goal)
	}
}

func TestAGridHasEachPointOnce(t *testing.T) {
	s := space.Space{
		"booster": {Choice: []any{"linear", "tree"}},
		"depth":   {Int: []float64{2, 6}, Step: 2, When: map[string]any{"booster": "tree"}},
		"eta":     {Log: []float64{0.01, 1}, Points: 3},
	}
	c := compiled(t, s)
	n, err := search.GridSize(c)
	require.NoError(t, err)
	require.Equal(t, (1+3)*3, n)
	seen := map[string]bool{}
	study := search.Study{Space: c, Sampler: search.Grid, Seed: 5}
	for i := range n {
		p, err := study.Suggest(nil, i+1)
		require.NoError(t, err)
		valid(t, c, p)
		require.Contains(t, []any{0.01, 0.1, 1.0}, p["eta"])
		raw, _ := json.Marshal(p)
		seen[string(raw)] = true
	}
	require.Len(t, seen, n)
	_, err = study.Suggest(nil, n+1)
	require.ErrorIs(t, err, search.ErrExhausted)
}

func TestWhatMakesNoGrid(t *testing.T) {
	var wrong *search.GridError
	_, err := search.GridSize(compiled(t, space.Space{"eta": {Log: []float64{0.01, 1}}}))
	require.True(t, errors.As(err, &wrong), "%v", err)
	require.ErrorContains(t, err, "grid: eta: it has endlessly many values")
	_, err = search.GridSize(compiled(t, space.Space{"a": {Int: []float64{1, 100}}, "b": {Int: []float64{1, 100}}}))
	require.ErrorContains(t, err, "more than 1000 points")
}

func TestWhatCantBeSuggested(t *testing.T) {
	_, err := search.Study{Sampler: search.TPE}.Suggest(nil, 1)
	require.ErrorContains(t, err, "empty")
	c := compiled(t, boosters())
	_, err = search.Study{Space: c, Sampler: "bayes"}.Suggest(nil, 1)
	require.ErrorContains(t, err, `sampler "bayes" is unknown`)
	_, err = search.Study{Space: c, Sampler: search.TPE}.Suggest(nil, 0)
	require.ErrorContains(t, err, "trial 0 < 1")
}

func TestTheBestTrialIsACompleteOne(t *testing.T) {
	trials := []search.Trial{
		{Number: 1, State: search.Complete, Value: math.NaN()}, {Number: 2, State: search.Pruned, Value: -5},
		{Number: 4, State: search.Complete, Value: 1}, {Number: 3, State: search.Complete, Value: 1}, {Number: 5, State: search.Failed},
		{Number: 6, State: search.Complete, Value: math.Inf(-1)}, {Number: 7, State: search.Running},
	}
	best, ok := search.Minimize.Best(trials)
	require.True(t, ok)
	require.Equal(t, 3, best.Number)
	_, ok = search.Maximize.Best(trials[:2])
	require.False(t, ok)
	progress := search.Minimize.Progress(trials)
	require.Len(t, progress, 7)
	require.True(t, math.IsNaN(progress[1]))
	require.Equal(t, 1.0, progress[6])
}

func TestImportanceFindsWhatMatters(t *testing.T) {
	c := compiled(t, boosters())
	study := search.Study{Space: c, Sampler: search.Random, Goal: search.Minimize, Seed: 3}
	var trials []search.Trial
	for n := range 120 {
		p, err := study.Suggest(nil, n+1)
		require.NoError(t, err)
		trials = append(trials, search.Trial{Number: n + 1, State: search.Complete, Params: p, Value: math.Exp(20 * p["l2"].(float64))})
	}
	shares := search.Importances(c, trials)
	require.Len(t, shares, len(c.Params))
	require.Equal(t, "l2", shares[0].Param)
	require.Greater(t, shares[0].Share, 0.9)
	for _, other := range shares[1:] {
		require.Less(t, other.Share, 0.15, other.Param)
	}
	require.Nil(t, search.Importances(c, trials[:9]))
	for i := range trials {
		trials[i].Value = 1
	}
	for _, s := range search.Importances(c, trials) {
		require.Zero(t, s.Share)
	}
}

// Whatever is decoded as a space is either refused by a typed error or can be searched.
func FuzzSpace(f *testing.F) {
	for _, s := range []space.Space{boosters(), {}, {"a": {Int: []float64{1, 2}, When: map[string]any{"a": 1.0}}}} {
		raw, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"a":{"float":[-1e308,1e308]},"b":{"log":[5e-324,1e308]},"c":{"choice":[null,{}]},"d":{"int":[0,1e17]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s space.Space
		if json.Unmarshal(raw, &s) != nil {
			return
		}
		c, err := s.Compile()
		if err != nil {
			var invalid *space.Invalid
			require.True(t, errors.As(err, &invalid), "%v", err)
			return
		}
		var history []search.Trial
		for n := range 14 {
			sampler := []string{search.Random, search.TPE}[n%2]
			p, err := search.Study{Space: c, Sampler: sampler, Goal: search.Maximize, Seed: 1}.Suggest(history, n+1)
			require.NoError(t, err)
			valid(t, c, p)
			history = append(history, search.Trial{Number: n + 1, State: search.Complete, Params: p, Value: float64(n % 5)})
		}
		if _, err := search.GridSize(c); err != nil {
			var wrong *search.GridError
			require.True(t, errors.As(err, &wrong), "%v", err)
		}
	})
}
