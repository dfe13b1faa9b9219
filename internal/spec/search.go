package spec

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
)

// Search looks for good hyperparameters: the best of many trials makes the version. docs/search.md is its reference.
type Search struct {
	Space    space.Space  `yaml:"space" json:"space"`
	Sampler  string       `yaml:"sampler" json:"sampler"`   // tpe | random | grid
	Trials   int          `yaml:"trials" json:"trials"`     // at most; a grid may have fewer points
	Parallel int          `yaml:"parallel" json:"parallel"` // at once, as far as workers have slots
	Metric   SearchMetric `yaml:"metric" json:"metric"`
	Pruner   SearchPruner `yaml:"pruner" json:"pruner"`
	Timeout  Duration     `yaml:"timeout" json:"timeout"` // of all trials together; the best so far is taken then
	Seed     uint64       `yaml:"seed" json:"seed"`
	Best     string       `yaml:"best" json:"best"` // reuse | retrain
}

// SearchMetric is what trials are compared by, on validation rows.
type SearchMetric struct {
	Name string `yaml:"name" json:"name"` // default: log_loss, or rmse for regression
	Goal string `yaml:"goal" json:"goal"` // minimize | maximize; default by the metric, where it is a known one
}

// SearchPruner ends trials that fall behind.
type SearchPruner struct {
	Kind      string `yaml:"kind" json:"kind"`                               // none | median | hyperband
	MinTrials int    `yaml:"min_trials" json:"min_trials"`                   // median: complete trials that it needs
	Warmup    int    `yaml:"warmup" json:"warmup"`                           // median: steps of a trial that are never judged
	Every     int    `yaml:"every" json:"every"`                             // median: judged each so many steps
	MinSteps  int    `yaml:"min_steps" json:"min_steps"`                     // hyperband: steps before the first rung
	MaxSteps  int    `yaml:"max_steps,omitempty" json:"max_steps,omitempty"` // hyperband: of a whole training; 0: as trials report
	Factor    int    `yaml:"factor" json:"factor"`                           // hyperband: one trial in so many goes on at a rung
}

// What becomes of the best trial.
const (
	BestReuse   = "reuse"   // its model is the run's
	BestRetrain = "retrain" // a further training with its parameters makes the run's model
)

// Bounds of a search, which its workflow carries in its state.
const (
	maxTrials   = 1000
	maxParallel = 100
	maxCells    = 20_000 // trials times parameters
)

// defaultSearch is what a search has that its section doesn't name.
func defaultSearch() Search {
	return Search{
		Sampler: search.TPE, Trials: 50, Parallel: 1, Timeout: Duration(24 * time.Hour), Seed: 42, Best: BestReuse,
		Pruner: SearchPruner{Kind: search.PruneNone, MinTrials: 5, Every: 1, MinSteps: 1, Factor: 3},
	}
}

// complete fills what depends on the task.
func (s *Search) complete(task Task) {
	usual := "log_loss"
	if task == Regression {
		usual = "rmse"
	}
	s.Metric.Name = cmp.Or(s.Metric.Name, usual)
	if s.Metric.Goal != "" || !slices.Contains(AllMetrics(), s.Metric.Name) {
		return
	}
	s.Metric.Goal = string(search.Minimize)
	if LargerIsBetter(s.Metric.Name) {
		s.Metric.Goal = string(search.Maximize)
	}
}

// search checks the section.
func (c *checker) search(m *Model) {
	s := m.Train.Search
	if s == nil {
		return
	}
	c.searchSpace(m)
	c.oneOf("train.search.sampler", s.Sampler, search.Samplers()...)
	c.must(s.Trials >= 1 && s.Trials <= maxTrials, "train.search.trials", "%d isn't within 1 and %d", s.Trials, maxTrials)
	c.must(s.Parallel >= 1 && s.Parallel <= maxParallel, "train.search.parallel", "%d isn't within 1 and %d", s.Parallel, maxParallel)
	c.must(s.Trials > maxTrials || s.Trials*len(s.Space) <= maxCells, "train.search.trials", "%d trials of %d parameters > %d values", s.Trials, len(s.Space), maxCells)
	c.must(s.Metric.Name != "" && len(s.Metric.Name) <= 100, "train.search.metric.name", "%d characters, want 1 to 100", len(s.Metric.Name))
	if s.Metric.Goal == "" {
		c.fail("train.search.metric.goal", "is required for %q | minimize or maximize; those of known metrics are known", s.Metric.Name)
	} else {
		c.oneOf("train.search.metric.goal", s.Metric.Goal, string(search.Minimize), string(search.Maximize))
	}
	c.oneOf("train.search.best", s.Best, BestReuse, BestRetrain)
	c.positive("train.search.timeout", s.Timeout)
	p := s.Pruner
	c.oneOf("train.search.pruner.kind", p.Kind, search.Pruners()...)
	c.atLeast("train.search.pruner.min_trials", p.MinTrials, 1)
	c.atLeast("train.search.pruner.warmup", p.Warmup, 0)
	c.atLeast("train.search.pruner.every", p.Every, 1)
	c.atLeast("train.search.pruner.min_steps", p.MinSteps, 1)
	c.must(p.MaxSteps == 0 || p.MaxSteps > p.MinSteps, "train.search.pruner.max_steps", "%d isn't over min_steps %d", p.MaxSteps, p.MinSteps)
	c.must(p.Factor >= 2 && p.Factor <= 100, "train.search.pruner.factor", "%d isn't within 2 and 100", p.Factor)
	if len(m.Train.Command) == 0 {
		c.searchBuiltin(m)
	}
}

// searchBuiltin checks what a built-in trainer can tell trials apart by.
func (c *checker) searchBuiltin(m *Model) {
	s := m.Train.Search
	c.must(m.Split.Validation > 0, "train.search", "split.validation is 0: there are no rows to compare trials on")
	reported := []string{"log_loss", "accuracy"}
	if m.Task == Regression {
		reported = []string{"rmse", "mae"}
	}
	if s.Metric.Name != "" {
		c.oneOf("train.search.metric.name", s.Metric.Name, reported...)
	}
	c.must(m.Train.Builtin != "linear" || s.Pruner.Kind == search.PruneNone, "train.search.pruner.kind",
		"%s: the built-in linear model reports nothing on validation rows before it ends | none", s.Pruner.Kind)
}

// searchSpace checks the space, and that it doesn't contradict the parameters that stay.
func (c *checker) searchSpace(m *Model) {
	s := m.Train.Search
	compiled, err := s.Space.Compile()
	if invalid, ok := errors.AsType[*space.Invalid](err); ok {
		for _, p := range invalid.Problems {
			path := "train.search.space"
			if p.Path != "" {
				path = join(path, p.Path)
			}
			c.found = append(c.found, Problem{Path: path, Message: p.Message, Hint: p.Hint})
		}
		return
	}
	if err != nil {
		c.fail("train.search.space", "%v", err)
		return
	}
	for _, p := range compiled.Params {
		if _, both := m.Train.Params[p.Name]; both {
			c.fail(join("train.search.space", p.Name), "train.params gives it a value already | remove one of them")
		}
	}
	if s.Sampler != search.Grid {
		return
	}
	_, err = search.GridSize(compiled)
	if wrong, ok := errors.AsType[*search.GridError](err); ok {
		path := "train.search.space"
		if wrong.Param != "" {
			path = join(path, wrong.Param)
		}
		c.fail(path, "as a grid: %s", wrong.Reason)
	}
}
