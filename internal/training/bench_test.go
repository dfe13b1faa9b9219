package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// made is a table of made-up rows: numbers (some null), two categories and a target that depends on them. The
// target is 0 or 1 for binary, one of three names for multiclass, and a number for regression.
func made(rows, numbers int, task spec.Task, seed uint64) (*dataset.Table, []string) {
	rng := rand.New(rand.NewPCG(seed, 3))
	t := &dataset.Table{Rows: rows}
	var features []string
	margin := make([]float64, rows)
	for j := range numbers {
		c := dataset.Column{Name: fmt.Sprintf("n%d", j), Floats: make([]float64, rows)}
		for i := range rows {
			v := rng.NormFloat64()
			switch j % 3 {
			case 0:
				margin[i] += v
			case 1:
				margin[i] += math.Sin(2*v) * v
			}
			if rng.Float64() < 0.05 {
				v = math.NaN()
			}
			c.Floats[i] = v
		}
		t.Columns = append(t.Columns, c)
		features = append(features, c.Name)
	}
	for _, values := range []int{3, 40} {
		name := fmt.Sprintf("c%d", values)
		c := dataset.Column{Name: name, Kind: dataset.Category, Codes: make([]int32, rows)}
		for v := range values {
			c.Dict = append(c.Dict, fmt.Sprintf("%s-%02d", name, v))
		}
		own := rand.New(rand.NewPCG(seed, uint64(values)))
		for i := range rows {
			c.Codes[i] = int32(own.IntN(values))
			margin[i] += float64(c.Codes[i]%3) - 1
			if own.Float64() < 0.03 {
				c.Codes[i] = dataset.NullCode
			}
		}
		features = append(features, name)
		t.Columns = append(t.Columns, c)
	}
	target := dataset.Column{Name: "target"}
	for _, m := range margin {
		m += rng.NormFloat64()
		switch task {
		case spec.Binary:
			v := 0.0
			if m > 0 {
				v = 1
			}
			target.Floats = append(target.Floats, v)
		case spec.Multiclass:
			target.Kind, target.Dict = dataset.Category, []string{"high", "low", "middle"}
			code := int32(2)
			if m > 1 {
				code = 0
			} else if m < -1 {
				code = 1
			}
			target.Codes = append(target.Codes, code)
		default:
			target.Floats = append(target.Floats, 100*m)
		}
	}
	t.Columns = append(t.Columns, target)
	return t, features
}

// BenchmarkTrees trains 100 rounds of depth 6 on 200,000 rows of 15 features, on one goroutine.
func BenchmarkTrees(b *testing.B) {
	t, features := made(200_000, 13, spec.Binary, 1)
	in := Input{Train: t, Features: features, Target: "target", Task: spec.Binary, Params: map[string]any{"rounds": 100, "threads": 1}}
	b.ResetTimer()
	for range b.N {
		if _, err := Builtin(context.Background(), Trees, in, nil); err != nil {
			b.Fatal(err)
		}
	}
}
