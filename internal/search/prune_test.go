package search_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/search"
)

// course is a trial that reported these values, one a step.
func course(number int, state search.State, values ...float64) search.Course {
	c := search.Course{Number: number, State: state}
	for i, v := range values {
		c.Add(search.Report{Step: i + 1, Value: v})
	}
	return c
}

func TestTheMedianPrunes(t *testing.T) {
	others := []search.Course{
		course(1, search.Complete, 5, 4, 3), course(2, search.Complete, 6, 5, 4), course(3, search.Complete, 7, 6, 5),
		course(4, search.Running, 0, 0, 0), course(5, search.Failed, 0, 0, 0), course(6, search.Pruned, 0),
	}
	p := search.Pruner{Kind: search.PruneMedian, Goal: search.Minimize, MinTrials: 3}
	for _, c := range []struct {
		name   string
		trial  search.Course
		p      search.Pruner
		others int
		want   bool
	}{
		{"worse than the median of complete trials at its step", course(9, search.Running, 9, 8), p, 6, true},
		{"as good as the median", course(9, search.Running, 9, 5), p, 6, false},
		{"its best counts, not its last", course(9, search.Running, 3, 8), p, 6, false},
		{"beyond the others' last step, their last counts", course(9, search.Running, 9, 9, 9, 4.5), p, 6, true},
		{"NaN is worse than any", course(9, search.Running, math.NaN()), p, 6, true},
		{"too few complete trials", course(9, search.Running, 9, 8), p, 2, false},
		{"the other way round", course(9, search.Running, 1, 1), search.Pruner{Kind: search.PruneMedian, Goal: search.Maximize}, 6, true},
		{"not at all", course(9, search.Running, 9, 9), search.Pruner{Kind: search.PruneNone}, 6, false},
		{"nothing reported", search.Course{Number: 9}, p, 6, false},
	} {
		got, why := c.p.Prune(c.trial, others[:c.others], 0)
		require.Equal(t, c.want, got, "%s: %s", c.name, why)
		require.Equal(t, got, why != "", c.name)
	}
}

func TestTheMedianJudgesAfterItsWarmupAtItsInterval(t *testing.T) {
	p := search.Pruner{Kind: search.PruneMedian, Warmup: 10, Every: 5}
	var judged []int
	for step := 1; step <= 30; step++ {
		if p.Judges(1, step-1, step, 0) {
			judged = append(judged, step)
		}
	}
	require.Equal(t, []int{15, 20, 25, 30}, judged)
	require.True(t, p.Judges(1, 12, 22, 0), "a trainer that reports seldom")
}

// With factor 3, one trial in three goes on at each rung; and the first of a bracket always does.
func TestHyperbandLetsAThirdGoOnAtEachRung(t *testing.T) {
	p := search.Pruner{Kind: search.PruneHyperband, Goal: search.Minimize, MinSteps: 1, MaxSteps: 27, Factor: 3}
	var all []search.Course
	reached := map[int]int{}
	for n := 1; n <= 300; n++ {
		c := search.Course{Number: n, State: search.Running}
		quality := float64((n * 7919) % 1000)
		for step := 1; step <= 27; step++ {
			c.Add(search.Report{Step: step, Value: quality + 1/float64(step)})
			reached[step]++
			if stop, why := p.Prune(c, all, 0); p.Judges(n, step-1, step, 0) && stop {
				require.NotEmpty(t, why)
				c.State = search.Pruned
				break
			}
		}
		if c.State == search.Running {
			c.State = search.Complete
		}
		all = append(all, c)
	}
	require.Equal(t, 300, reached[1])
	require.InDelta(t, 0.55, float64(reached[2])/300, 0.15) // of the first bracket a third, of the others all
	require.Less(t, reached[27], 80)
	require.Greater(t, reached[27], 3)
	steps := 0
	for s := range reached {
		steps += reached[s]
	}
	require.Less(t, steps, 300*27*45/100, "hyperband saves most steps")
	require.Equal(t, search.Complete, all[0].State)
}

func TestHyperbandKnowsNoRungsWithoutALength(t *testing.T) {
	p := search.Pruner{Kind: search.PruneHyperband, Goal: search.Minimize, Factor: 3}
	bad := course(2, search.Running, 9, 9, 9)
	stop, _ := p.Prune(bad, []search.Course{course(1, search.Running, 1, 1, 1)}, 0)
	require.False(t, stop)
	stopped := false
	for n := range 20 { // of some bracket the first rung is at step 1
		c := course(100+n, search.Running, 9)
		var others []search.Course
		for i := range 40 {
			others = append(others, course(i+1, search.Complete, 1, 1, 1, 1, 1, 1, 1, 1, 1))
		}
		stop, _ := p.Prune(c, others, 0)
		stopped = stopped || stop
	}
	require.True(t, stopped, "a complete trial says how long a training is")
}

func TestPrunersTakeAnyReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) search.Course {
			c := search.Course{
				Number: rapid.IntRange(0, 1<<30).Draw(t, name),
				State:  rapid.SampledFrom([]search.State{search.Running, search.Complete, search.Failed, search.Pruned}).Draw(t, name+" state"),
			}
			for range rapid.IntRange(0, 20).Draw(t, name+" reports") {
				c.Add(search.Report{Step: rapid.IntRange(-5, math.MaxInt32).Draw(t, "step"), Value: rapid.Float64().Draw(t, "value")})
			}
			return c
		}
		p := search.Pruner{
			Kind: rapid.SampledFrom(search.Pruners()).Draw(t, "kind"), Goal: search.Minimize, MinTrials: rapid.IntRange(-1, 9).Draw(t, "min"),
			Warmup: rapid.IntRange(0, 99).Draw(t, "warmup"), Every: rapid.IntRange(-1, 9).Draw(t, "every"), MinSteps: rapid.IntRange(-1, math.MaxInt32).Draw(t, "first"),
			MaxSteps: rapid.IntRange(0, math.MaxInt32).Draw(t, "last"), Factor: rapid.IntRange(0, 1000).Draw(t, "factor"),
		}
		trial := draw("trial")
		trial.State = search.Running
		others := []search.Course{draw("one"), draw("two"), draw("three")}
		p.Judges(trial.Number, rapid.IntRange(0, 9).Draw(t, "from"), rapid.IntRange(0, math.MaxInt32).Draw(t, "to"), rapid.IntRange(0, 99).Draw(t, "total"))
		stop, why := p.Prune(trial, others, rapid.IntRange(0, math.MaxInt32).Draw(t, "whole"))
		require.Equal(t, stop, why != "")
	})
}

func TestACourseKeepsItsShapeAndItsLast(t *testing.T) {
	c := search.Course{}
	for step := 1; step <= 10_000; step++ {
		c.Add(search.Report{Step: step, Value: float64(step)})
		require.LessOrEqual(t, len(c.Reports), search.MaxReports)
	}
	require.Equal(t, 10_000, c.Reports[len(c.Reports)-1].Step)
	require.Less(t, c.Reports[0].Step, 200, fmt.Sprint(c.Reports[:3]))
	for i := 1; i < len(c.Reports); i++ {
		require.Less(t, c.Reports[i-1].Step, c.Reports[i].Step)
	}
	c.Add(search.Report{Step: 5000, Value: 1}) // a checkpoint was gone back to
	require.Equal(t, 5000, c.Reports[len(c.Reports)-1].Step)
}
