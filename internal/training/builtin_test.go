package training

import (
	"context"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// splitMade gives made-up training and validation rows.
func splitMade(rows, numbers int, task spec.Task) Input {
	t, features := made(rows, numbers, task, 11)
	var train, validation []int
	for i := range rows {
		if i%5 == 0 {
			validation = append(validation, i)
		} else {
			train = append(train, i)
		}
	}
	return Input{Train: t.Select(train), Validation: t.Select(validation), Features: features, Target: "target", Task: task, Seed: 5}
}

// load opens what a trainer made, as a gateway would.
func load(t *testing.T, out *Output) *inference.Model {
	t.Helper()
	signature, err := out.Signature.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m, err := inference.Load(map[string][]byte{inference.SignatureFile: signature, inference.ModelFile: out.Model}, inference.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// requireReportedMetrics holds the reported validation metrics to those of the written model.
func requireReportedMetrics(t *testing.T, in Input, out *Output) {
	t.Helper()
	m := load(t, out)
	p, err := m.PredictTable(t.Context(), in.Validation)
	if err != nil {
		t.Fatal(err)
	}
	y, err := m.Signature.Targets(in.Validation)
	if err != nil {
		t.Fatal(err)
	}
	_, want := validationMetrics(in.Task, m.Scorer.Outputs(), y, p, nil)
	for name, v := range want {
		if math.Abs(out.Metrics[name]-v) > 1e-9*math.Max(1, math.Abs(v)) {
			t.Errorf("%s: the trainer reports %.12g, the written model has %.12g", name, out.Metrics[name], v)
		}
	}
}

func TestBuiltinLearnsEachTask(t *testing.T) {
	for _, c := range []struct {
		trainer string
		task    spec.Task
		metric  string
		atMost  float64
	}{
		{Trees, spec.Binary, "log_loss", 0.52},
		{Trees, spec.Multiclass, "log_loss", 0.85},
		{Trees, spec.Regression, "rmse", 180},
		{Linear, spec.Binary, "log_loss", 0.55},
		{Linear, spec.Multiclass, "log_loss", 0.9},
		{Linear, spec.Regression, "rmse", 190},
	} {
		t.Run(c.trainer+" "+string(c.task), func(t *testing.T) {
			in := splitMade(3000, 5, c.task)
			steps := 0
			out, err := Builtin(context.Background(), c.trainer, in, func(p Progress) {
				steps++
				if p.Step != steps {
					t.Errorf("progress: observed step %d, want %d", p.Step, steps)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Metrics[c.metric]; !(got <= c.atMost) {
				t.Errorf("%s: observed %v > %v", c.metric, got, c.atMost)
			}
			if steps == 0 || out.Rounds == 0 {
				t.Errorf("observed %d progress reports and %d rounds", steps, out.Rounds)
			}
			requireReportedMetrics(t, in, out)
		})
	}
}

func TestTreesUseTheThreadsThatTheirParametersOrElseTheInputSays(t *testing.T) {
	for _, c := range []struct {
		name    string
		params  map[string]any
		threads int
		want    int
	}{
		{"neither", nil, 0, runtime.GOMAXPROCS(0)},
		{"the input", nil, 3, 3},
		{"both", map[string]any{"threads": 5}, 3, 5},
	} {
		p, err := readTreeParams(c.params, c.threads)
		if err != nil || p.threads != c.want {
			t.Errorf("%s: observed %d threads (%v), want %d", c.name, p.threads, err, c.want)
		}
	}
}

func TestBuiltinIsDeterministicBySeedAndThreads(t *testing.T) {
	in := splitMade(4000, 8, spec.Binary)
	train := func(seed uint64, threads int) []byte {
		in.Seed = seed
		in.Params = map[string]any{"rounds": 8, "subsample": 0.7, "colsample": 0.6, "threads": threads, "early_stopping_rounds": 0}
		out, err := Builtin(context.Background(), Trees, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out.Model
	}
	first := train(1, 1)
	if !reflect.DeepEqual(first, train(1, 4)) {
		t.Error("the model depends on the number of threads")
	}
	if reflect.DeepEqual(first, train(2, 1)) {
		t.Error("the model doesn't depend on the seed")
	}
}

func TestTreesStopEarlyAtTheBestRound(t *testing.T) {
	in := splitMade(400, 3, spec.Binary)
	in.Params = map[string]any{"rounds": 300, "eta": 0.5, "early_stopping_rounds": 5}
	last := 0
	best, bestAt := math.Inf(1), 0
	out, err := Builtin(context.Background(), Trees, in, func(p Progress) {
		last = p.Step
		if loss := p.Metrics["log_loss"]; loss < best {
			best, bestAt = loss, p.Step
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Rounds != bestAt || last != bestAt+5 {
		t.Errorf("observed %d rounds kept of %d, want %d of %d", out.Rounds, last, bestAt, bestAt+5)
	}
	requireReportedMetrics(t, in, out)
}

// A target that is decided by a value being missing is learned only if nulls have a direction of their own.
func TestTreesLearnWhereNullsGo(t *testing.T) {
	in := splitMade(1000, 1, spec.Binary)
	x := dataset.Column{Name: "x", Floats: make([]float64, in.Train.Rows)}
	y := dataset.Column{Name: "y", Kind: dataset.Boolean, Floats: make([]float64, in.Train.Rows)}
	for i := range x.Floats {
		x.Floats[i] = float64(i % 7)
		if i%3 == 0 {
			x.Floats[i], y.Floats[i] = math.NaN(), 1
		}
	}
	table := &dataset.Table{Columns: []dataset.Column{x, y}, Rows: in.Train.Rows}
	out, err := Builtin(context.Background(), Trees, Input{Train: table, Features: []string{"x"}, Target: "y", Task: spec.Binary}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := load(t, out)
	for _, c := range []struct {
		value any
		label string
	}{{nil, "true"}, {3.0, "false"}, {100.0, "false"}} {
		p := make([]float64, 1)
		x := make([]float64, 1)
		if err := m.Encode(map[string]any{"x": c.value}, x); err != nil {
			t.Fatal(err)
		}
		if err := m.Scorer.Score(x, 1, p); err != nil {
			t.Fatal(err)
		}
		if label, score := m.Decision(p); label != c.label {
			t.Errorf("x=%v: observed %s (%v), want %s", c.value, label, score, c.label)
		}
	}
}

// Ridge regression has a closed form; with one standardised feature it is a division.
func TestLinearRegressionMatchesTheClosedForm(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	y := []float64{3.1, 4.9, 7.2, 8.8, 11.1, 13.0, 14.9, 17.2, 19.0, 20.8}
	table := &dataset.Table{Rows: 10, Columns: []dataset.Column{{Name: "x", Floats: x}, {Name: "y", Floats: y}}}
	const l2 = 3.0
	out, err := Builtin(context.Background(), Linear, Input{Train: table, Features: []string{"x"}, Target: "y", Task: spec.Regression,
		Params: map[string]any{"l2": l2, "tolerance": 1e-12}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	meanX, scaleX := meanAndScale(x, nil)
	meanY, _ := meanAndScale(y, nil)
	xy, xx := 0.0, 0.0
	for i := range x {
		z := (x[i] - meanX) / scaleX
		xy += z * (y[i] - meanY)
		xx += z * z
	}
	m := load(t, out)
	p, err := m.PredictTable(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x {
		want := meanY + xy/(xx+l2)*(x[i]-meanX)/scaleX
		if math.Abs(p[i]-want) > 1e-6 {
			t.Errorf("row %d: observed %v, want %v", i, p[i], want)
		}
	}
}

func TestBuiltinRefusesWhatCannotBeLearned(t *testing.T) {
	base := func() Input { return splitMade(200, 3, spec.Binary) }
	set := func(in Input, column string, change func(*dataset.Column)) Input {
		c, _ := in.Train.Column(column)
		change(c)
		return in
	}
	for _, c := range []struct {
		name string
		in   Input
		kind DataErrorKind
	}{
		{"one class only", set(base(), "target", func(c *dataset.Column) { clear(c.Floats) }), OneClass},
		{"null label", set(base(), "target", func(c *dataset.Column) { c.Floats[7] = math.NaN() }), NullLabel},
		{"infinite value", set(base(), "n0", func(c *dataset.Column) { c.Floats[7] = math.Inf(1) }), NotFinite},
		{"too few rows", func() Input { in := base(); in.Train = in.Train.Select([]int{0, 1, 2}); return in }(), TooFewRows},
		{"no rows at all", Input{Task: spec.Binary}, TooFewRows},
		{"no features", func() Input { in := base(); in.Features = nil; return in }(), NoFeatures},
		{"only text", set(func() Input { in := base(); in.Features = []string{"c3"}; return in }(), "c3", func(c *dataset.Column) { c.Kind = dataset.Text }), NoFeatures},
		{"target among the features", func() Input { in := base(); in.Features = []string{"target"}; return in }(), NoFeatures},
		{"absent feature", func() Input { in := base(); in.Features = []string{"nope"}; return in }(), NoColumn},
		{"absent target", func() Input { in := base(); in.Target = "nope"; return in }(), NoColumn},
		{"no such positive", func() Input { in := base(); in.Positive = "yes"; return in }(), NotPositive},
		{"category without a positive", func() Input { in := base(); in.Target, in.Features = "c3", []string{"n0"}; return in }(), NullLabel},
	} {
		for _, trainer := range []string{Trees, Linear} {
			t.Run(c.name+" "+trainer, func(t *testing.T) {
				_, err := Builtin(context.Background(), trainer, c.in, nil)
				var data *DataError
				if !errors.As(err, &data) || data.Kind != c.kind {
					t.Errorf("observed %v, want a *DataError of kind %q", err, c.kind)
				}
			})
		}
	}
}

func TestBuiltinNamesUnknownParametersAndRanges(t *testing.T) {
	for _, c := range []struct {
		trainer string
		params  map[string]any
		want    string
	}{
		{Trees, map[string]any{"depth": 3}, `parameter of the built-in trainer trees "depth": unknown, want one of cat_l2, cat_smooth, colsample, early_stopping_rounds, eta, gamma, lambda, max_bins, max_cat_threshold, max_cat_to_onehot, max_depth, min_child_weight, rounds, subsample, threads`},
		{Trees, map[string]any{"max_depth": 40}, `parameter max_depth: observed 40 (int), want a whole number from 1 to 16`},
		{Trees, map[string]any{"eta": "fast"}, `parameter eta: observed fast (string), want a number from 1e-06 to 1`},
		{Trees, map[string]any{"eta": math.NaN()}, `parameter eta: observed NaN (float64), want a number from 1e-06 to 1`},
		{Linear, map[string]any{"l1": 3}, `parameter of the built-in trainer linear "l1": unknown, want one of l2, max_iterations, min_category_rows, tolerance`},
	} {
		in := splitMade(100, 2, spec.Binary)
		in.Params = c.params
		_, err := Builtin(context.Background(), c.trainer, in, nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v: observed %v, want %s", c.params, err, c.want)
		}
	}
	if _, err := Builtin(context.Background(), "forest", Input{}, nil); err == nil || err.Error() != `built-in trainer "forest": unknown, want one of linear, trees` {
		t.Errorf("observed %v", err)
	}
}

func TestBuiltinStopsWithItsContext(t *testing.T) {
	for _, trainer := range []string{Trees, Linear} {
		ctx, cancel := context.WithCancel(context.Background())
		reports := 0
		_, err := Builtin(ctx, trainer, splitMade(500, 3, spec.Binary), func(Progress) {
			if reports++; reports == 3 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || reports != 3 {
			t.Errorf("%s: observed %v after %d reports, want the context's error after 3", trainer, err, reports)
		}
	}
}

// A value that is neither class of a binary target is no negative.
func TestABinaryTargetsThirdValueIsRefused(t *testing.T) {
	column := func(labels []int32) *dataset.Table {
		x := dataset.Column{Name: "x"}
		for i := range labels {
			x.Floats = append(x.Floats, float64(i))
		}
		y := dataset.Column{Name: "y", Kind: dataset.Category, Codes: labels, Dict: []string{"no", "yes", "maybe"}}
		return &dataset.Table{Rows: len(labels), Columns: []dataset.Column{x, y}}
	}
	in := Input{Train: column([]int32{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}), Features: []string{"x"}, Target: "y", Positive: "yes", Task: spec.Binary}
	out, err := Builtin(context.Background(), Linear, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	var unknown *inference.UnknownClass
	if _, err := out.Signature.Targets(column([]int32{0, 2})); !errors.As(err, &unknown) || unknown.Value != "maybe" {
		t.Errorf("observed %v, want *UnknownClass of maybe", err)
	}
	// Once it is among the validation rows, the positive class is one against the rest.
	in.Validation = column([]int32{0, 1, 2})
	if out, err = Builtin(context.Background(), Linear, in, nil); err != nil {
		t.Fatal(err)
	}
	if y, err := out.Signature.Targets(column([]int32{0, 2, 1})); err != nil || !reflect.DeepEqual(y, []float64{0, 0, 1}) {
		t.Errorf("observed %v, %v, want 0 0 1", y, err)
	}
	// A positive value that only the validation rows have can't be learned.
	in.Train, in.Validation = column([]int32{0, 2, 0, 2, 0, 2, 0, 2, 0, 2}), column([]int32{0, 1})
	var data *DataError
	if _, err := Builtin(context.Background(), Linear, in, nil); !errors.As(err, &data) || data.Kind != NotPositive {
		t.Errorf("observed %v, want *DataError %s", err, NotPositive)
	}
}

func TestBuiltinClassesOfABinaryTarget(t *testing.T) {
	column := func(kind dataset.Kind, codes []int32, dict []string, floats []float64) *dataset.Table {
		x := dataset.Column{Name: "x"}
		for i := range max(len(codes), len(floats)) {
			x.Floats = append(x.Floats, float64(i))
		}
		return &dataset.Table{Rows: len(x.Floats), Columns: []dataset.Column{x, {Name: "y", Kind: kind, Codes: codes, Dict: dict, Floats: floats}}}
	}
	codes := []int32{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 2}
	for _, c := range []struct {
		name     string
		table    *dataset.Table
		positive string
		want     []string
	}{
		{"booleans", column(dataset.Boolean, nil, nil, []float64{0, 1, 0, 1, 0, 1, 0, 1, 0, 1}), "", []string{"false", "true"}},
		{"the larger number", column(dataset.Integer, nil, nil, []float64{2, 1, 2, 1, 2, 1, 2, 1, 2, 1}), "", []string{"1", "2"}},
		{"a number written otherwise", column(dataset.Number, nil, nil, []float64{2, 1, 2, 1, 2, 1, 2, 1, 2, 1}), "1.0", []string{"2", "1"}},
		{"a category", column(dataset.Category, codes[:10], []string{"yes", "no"}, nil), "yes", []string{"no", "yes"}},
		{"one category against the rest", column(dataset.Category, codes, []string{"yes", "no", "maybe"}, nil), "yes", []string{"not yes", "yes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := Builtin(context.Background(), Trees, Input{Train: c.table, Features: []string{"x"}, Target: "y", Positive: c.positive, Task: spec.Binary}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(out.Signature.Classes, c.want) {
				t.Errorf("observed %q, want %q", out.Signature.Classes, c.want)
			}
		})
	}
}
