package training

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// coarse makes numbers of few values, so that leaving rows out or repeating them moves no quantile.
func coarse(in Input) Input {
	for _, t := range in.tables() {
		for i := range t.Columns {
			if c := &t.Columns[i]; c.Name != in.Target {
				for row, v := range c.Floats {
					c.Floats[row] = math.Round(2*min(max(v, -1.5), 1.5)) / 2
				}
			}
		}
	}
	return in
}

// weighted gives each row a whole weight up to 3; and the rows with each as often as its weight says.
func weighted(t *dataset.Table, seed uint64) (with, repeated *dataset.Table) {
	r := rand.New(rand.NewPCG(seed, 9))
	c := dataset.Column{Name: "w", Kind: dataset.Integer, Floats: make([]float64, t.Rows)}
	var rows []int
	for row := range t.Rows {
		times := r.IntN(4)
		c.Floats[row] = float64(times)
		rows = append(rows, slices.Repeat([]int{row}, times)...)
	}
	with = &dataset.Table{Rows: t.Rows, Columns: append(slices.Clone(t.Columns), c)}
	return with, t.Select(rows)
}

func TestARowCountsAsManyTimesAsItsWeightSays(t *testing.T) {
	for _, trainer := range []string{Trees, Linear} {
		for _, task := range []spec.Task{spec.Binary, spec.Multiclass, spec.Regression} {
			t.Run(trainer+" "+string(task), func(t *testing.T) {
				by := coarse(splitMade(3000, 4, task))
				by.Params = map[string]any{"min_category_rows": 1}
				if trainer == Trees {
					by.Params = map[string]any{"rounds": 12, "max_depth": 4, "threads": 2}
				}
				often := by
				by.Weight = "w"
				by.Train, often.Train = weighted(by.Train, 1)
				by.Validation, often.Validation = weighted(by.Validation, 2)
				one, err := Builtin(context.Background(), trainer, by, nil)
				if err != nil {
					t.Fatal(err)
				}
				other, err := Builtin(context.Background(), trainer, often, nil)
				if err != nil {
					t.Fatal(err)
				}
				requireClose(t, "metrics", one.Metrics["log_loss"]+one.Metrics["rmse"], other.Metrics["log_loss"]+other.Metrics["rmse"])
				p, q := predicted(t, one, by.Validation), predicted(t, other, by.Validation)
				for i := range p {
					requireClose(t, "prediction", p[i], q[i])
				}
				by.Weight = ""
				unweighted, err := Builtin(context.Background(), trainer, by, nil)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Equal(unweighted.Model, one.Model) {
					t.Error("weights change nothing")
				}
			})
		}
	}
}

func requireClose(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-4*max(1, math.Abs(want)) {
		t.Fatalf("%s: observed %v with weights, %v with rows repeated", what, got, want)
	}
}

func predicted(t *testing.T, out *Output, rows *dataset.Table) []float64 {
	t.Helper()
	p, err := load(t, out).PredictTable(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWeightsThatMeanNothingAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*dataset.Column)
		kind   DataErrorKind
		want   string
	}{
		{"null", func(c *dataset.Column) { c.Floats[7] = math.NaN() }, BadWeight, `weight "w", row 8 of 160: NaN, want a number from 0 to 1e+09 in every row`},
		{"negative", func(c *dataset.Column) { c.Floats[7] = -0.5 }, BadWeight, `row 8 of 160: -0.5`},
		{"infinite", func(c *dataset.Column) { c.Floats[7] = math.Inf(1) }, BadWeight, `row 8 of 160: +Inf`},
		{"nothing", func(c *dataset.Column) { clear(c.Floats) }, BadWeight, `weight "w" is 0 in all 160 rows, want rows that count`},
		{"a category", func(c *dataset.Column) { c.Kind = dataset.Category }, BadWeight, `weight "w" is a category, want a number`},
		{"another name", func(c *dataset.Column) { c.Name = "v" }, NoColumn, `weight "w" is none of the table's columns`},
	} {
		for _, trainer := range []string{Trees, Linear} {
			in := splitMade(200, 3, spec.Binary)
			in.Weight = "w"
			in.Train, _ = weighted(in.Train, 1)
			in.Validation, _ = weighted(in.Validation, 2)
			column, _ := in.Train.Column("w")
			c.change(column)
			_, err := Builtin(context.Background(), trainer, in, nil)
			var data *DataError
			if !errors.As(err, &data) || data.Kind != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: observed %v, want a *DataError of kind %q with %s", c.name, trainer, err, c.kind, c.want)
			}
		}
	}
}

func TestAClassWithoutWeightIsNoClass(t *testing.T) {
	for _, task := range []spec.Task{spec.Binary, spec.Multiclass} {
		for _, trainer := range []string{Trees, Linear} {
			in := splitMade(200, 3, task)
			in.Weight = "w"
			in.Train, _ = weighted(in.Train, 1)
			in.Validation, _ = weighted(in.Validation, 2)
			column, _ := in.Train.Column("w")
			target, _ := in.Train.Column("target")
			label := inference.Labeller(target)
			for row := range column.Floats {
				column.Floats[row] = 0
				if label(row) == label(0) {
					column.Floats[row] = 2
				}
			}
			_, err := Builtin(context.Background(), trainer, in, nil)
			var data *DataError
			if !errors.As(err, &data) || data.Kind != OneClass {
				t.Errorf("%s, %s: observed %v, want a *DataError of kind %q", task, trainer, err, OneClass)
			}
		}
	}
}

func TestAProgramReadsTheWeightsBesideTheTarget(t *testing.T) {
	s, in := program(t, `head -1 "$SM_CHANNEL_TRAIN/train.csv"; head -1 "$SM_CHANNEL_VALIDATION/validation.csv"; cat "$LEANLOOP_SCHEMA"`+"\n"+copyModel)
	in.Weight = "w"
	in.Train, _ = weighted(in.Train, 1)
	in.Validation, _ = weighted(in.Validation, 2)
	var log bytes.Buffer
	s.LogTo = &log
	out, err := RunCommand(context.Background(), s, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "n0,n1,n2,c3,c40,target,w\n"); n != 2 || !strings.Contains(log.String(), `"weight": "w"`) {
		t.Errorf("observed %s", log.String())
	}
	in.Weight = ""
	alike, err := RunCommand(context.Background(), CommandSpec{Supervisor: s.Supervisor, Argv: s.Argv, CodeDir: s.CodeDir, WorkDir: t.TempDir(),
		Timeout: s.Timeout, Grace: s.Grace}, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Metrics["log_loss"] == alike.Metrics["log_loss"] {
		t.Errorf("its metrics aren't weighted: %v", out.Metrics)
	}
}
