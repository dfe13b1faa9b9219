package inference

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// forestFile is a model of the given trees over two features.
func forestFile(trees ...string) string {
	info := strings.TrimSuffix(strings.Repeat("0,", len(trees)), ",")
	return `{"learner":{"gradient_booster":{"name":"gbtree","model":{"tree_info":[` + info + `],"trees":[` + strings.Join(trees, ",") + `]}},` +
		`"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2"},"objective":{"name":"reg:squarederror"}}}`
}

// linearFile is a gblinear of the given weights over two features.
func linearFile(weights string) string {
	return `{"learner":{"gradient_booster":{"name":"gblinear","model":{"weights":[` + weights + `]}},` +
		`"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2"},"objective":{"name":"reg:squarederror"}}}`
}

const stump = `{"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],"split_conditions":[1.5,-1,1],"default_left":[1,0,0]}`

const categoryStump = `{"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[1,0,0],"split_conditions":[NaN,-1,1],` +
	`"default_left":[0,0,0],"split_type":[1,0,0],"categories":[3],"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[1]}`

func TestHostileModelsAreErrors(t *testing.T) {
	chain := func(n int) string { // n nodes one below another
		var left, right, zeros []string
		for i := range n {
			left, right = append(left, itoa(2*i+1), "-1"), append(right, itoa(2*i+2), "-1")
			zeros = append(zeros, "0", "0")
		}
		left, right, zeros = append(left, "-1"), append(right, "-1"), append(zeros, "0")
		for i := range right { // the right child goes on
			if i%2 == 0 && right[i] != "-1" && i+2 < len(right) {
				right[i] = itoa(i + 2)
			}
		}
		l := strings.Join(zeros, ",")
		return `{"left_children":[` + strings.Join(left, ",") + `],"right_children":[` + strings.Join(right, ",") + `],"split_indices":[` + l + `],"split_conditions":[` + l + `],"default_left":[` + l + `]}`
	}
	for _, c := range []struct{ name, data, want string }{
		{"empty", ``, "not JSON"},
		{"not JSON", `pickle`, "not JSON"},
		{"a list", `[]`, "not JSON"},
		{"another format", `{}`, `neither leanloop-linear nor an XGBoost JSON model`},
		{"UBJSON", "{L\x00\x00\x00\x00\x00\x00\x00\x07learner", "UBJSON or the old binary format"},
		{"deep nesting", strings.Repeat("[", 100_000), "not JSON"},
		{"a cycle", forestFile(strings.Replace(stump, `[1,-1,-1]`, `[0,-1,-1]`, 1)), "trees[0]: node 0: child 0 has another parent"},
		{"a cycle through a child", forestFile(`{"left_children":[1,0,-1],"right_children":[2,2,-1],"split_indices":[0,0,0],"split_conditions":[0,0,0],"default_left":[0,0,0]}`), "another parent"},
		{"a shared child", forestFile(strings.Replace(stump, `"right_children":[2,-1,-1]`, `"right_children":[1,-1,-1]`, 1)), "another parent"},
		{"a child out of range", forestFile(strings.Replace(stump, `[2,-1,-1]`, `[7,-1,-1]`, 1)), "child 7 is none of 3 nodes"},
		{"a child far below zero", forestFile(strings.Replace(stump, `[2,-1,-1]`, `[-2147483648,-1,-1]`, 1)), "child -2147483648 is none of 3 nodes"},
		{"one child only", forestFile(strings.Replace(stump, `[2,-1,-1]`, `[-1,-1,-1]`, 1)), "child -1 is none of 3 nodes"},
		{"a feature out of range", forestFile(strings.Replace(stump, `"split_indices":[0,0,0]`, `"split_indices":[2,0,0]`, 1)), "split_indices: observed 2, the model has 2 features"},
		{"lists of other lengths", forestFile(strings.Replace(stump, `"split_conditions":[1.5,-1,1]`, `"split_conditions":[1.5]`, 1)), "split_conditions: observed 1 entries for 3 nodes"},
		{"no nodes", forestFile(`{}`), "a tree without nodes"},
		{"a threshold that is no number", forestFile(strings.Replace(stump, `1.5`, `NaN`, 1)), "a threshold is not a number"},
		{"an infinite leaf", forestFile(strings.Replace(stump, `[1.5,-1,1]`, `[1.5,-1,-Infinity]`, 1)), "a leaf's value is -Inf"},
		{"a category below zero", forestFile(strings.Replace(categoryStump, `"categories":[3]`, `"categories":[-3]`, 1)), "categories: observed -3"},
		{"a category of millions", forestFile(strings.Replace(categoryStump, `"categories":[3]`, `"categories":[2000000000]`, 1)), "categories: observed 2000000000"},
		{"a segment out of range", forestFile(strings.Replace(categoryStump, `"categories_sizes":[1]`, `"categories_sizes":[9223372036854775807]`, 1)), "categories_segments"},
		{"a category split without a set", forestFile(strings.Replace(categoryStump, `"categories_nodes":[0]`, `"categories_nodes":[1]`, 1)), "a category split without categories"},
		{"a tree of no group", strings.Replace(forestFile(stump), `"tree_info":[0]`, `"tree_info":[5]`, 1), "tree_info"},
		{"fewer trees than tree_info", strings.Replace(forestFile(stump), `"tree_info":[0]`, `"tree_info":[0,0]`, 1), "tree_info: observed 2 entries for 1 trees"},
		{"deeper than the limit", forestFile(chain(600)), "depth: observed 513 > limit 512"},
		{"an unknown objective", strings.Replace(forestFile(stump), "reg:squarederror", "rank:none", 1), `objective: observed "rank:none"`},
		{"an unknown booster", strings.Replace(forestFile(stump), "gbtree", "gbforest", 1), `booster: observed "gbforest"`},
		{"a gblinear without weights", strings.Replace(forestFile(stump), "gbtree", "gblinear", 1), "weights: observed 0, want 3"},
		{"a gblinear without a bias", linearFile(`1,2`), "weights: observed 2, want 3"},
		{"a gblinear with too many weights", linearFile(`1,2,3,4`), "weights: more than the limit of 3"},
		{"a gblinear with a weight that is no number", linearFile(`1,NaN,3`), "weights[1]: "},
		{"billions of features", strings.Replace(forestFile(stump), `"num_feature":"2"`, `"num_feature":"4000000000"`, 1), "num_feature: observed 4000000000 > limit 10000"},
		{"no features", strings.Replace(forestFile(stump), `"num_feature":"2"`, `"num_feature":"0"`, 1), "num_feature: observed 0"},
		{"classes of a regression", strings.Replace(forestFile(stump), `"num_class":"0"`, `"num_class":"3"`, 1), "num_class: observed 3"},
		{"several targets", strings.Replace(forestFile(stump), `"num_class":"0"`, `"num_class":"0","num_target":"2"`, 1), "num_target: observed 2"},
		{"leaves of several values", forestFile(strings.Replace(stump, `{`, `{"tree_param":{"size_leaf_vector":"3"},`, 1)), "size_leaf_vector"},
		{"a base score that is text", strings.Replace(forestFile(stump), `"5E-1"`, `"half"`, 1), `base_score: observed "half"`},
		{"a base score per class of one", strings.Replace(forestFile(stump), `"5E-1"`, `"[1,2]"`, 1), "base_score"},
		{"a base score out of its range", strings.Replace(strings.Replace(forestFile(stump), "reg:squarederror", "binary:logistic", 1), `"5E-1"`, `"1.5"`, 1), "base_score: observed 1.5, want a probability"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Inspect([]byte(c.data), Limits{})
			var format *FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("observed %v, want %s", err, c.want)
			}
		})
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestLimitsOfSize(t *testing.T) {
	data := []byte(forestFile(stump, stump, stump))
	for _, c := range []struct {
		name string
		lim  Limits
		want string
	}{
		{"bytes", Limits{MaxBytes: 10}, "size: observed"},
		{"trees", Limits{MaxTrees: 2}, "trees: more than the limit of 2"},
		{"nodes", Limits{MaxNodes: 8}, "nodes of all trees: observed 9 > limit 8"},
		{"features", Limits{MaxFeatures: 1}, "num_feature: observed 2 > limit 1"},
	} {
		if _, err := Inspect(data, c.lim); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: observed %v, want %s", c.name, err, c.want)
		}
	}
}

func TestBaseScoreForms(t *testing.T) {
	for _, form := range []string{`"5E-1"`, `"0.5"`, `"[5E-1]"`, `"[ 0.5 ]"`, `0.5`, `[0.5]`, `["5E-1"]`, `null`} {
		file, err := Inspect([]byte(strings.Replace(forestFile(stump), `"5E-1"`, form, 1)), Limits{})
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if got := file.native.(*forest).base[0]; got != 0.5 {
			t.Errorf("%s: observed %v, want 0.5", form, got)
		}
	}
}

// The rules of a step: x < threshold goes left in float32, a category of the set goes right, one outside it left, and
// a missing value where the split says.
func TestStepRules(t *testing.T) {
	for _, c := range []struct {
		name, tree string
		x          [2]float64
		want       float64
	}{
		{"below", stump, [2]float64{1.4, 0}, -1},
		{"at the threshold", stump, [2]float64{1.5, 0}, 1},
		{"just below in float64, at it in float32", stump, [2]float64{1.5 - 1e-12, 0}, 1},
		{"missing goes left by default", stump, [2]float64{math.NaN(), 0}, -1},
		{"default_left as booleans", strings.Replace(stump, `[1,0,0]`, `[false,false,false]`, 1), [2]float64{math.NaN(), 0}, 1},
		{"infinity", stump, [2]float64{math.Inf(1), 0}, 1},
		{"in the set", categoryStump, [2]float64{0, 3}, 1},
		{"outside the set", categoryStump, [2]float64{0, 2}, -1},
		{"a code over every set", categoryStump, [2]float64{0, 1e9}, -1},
		{"a code below zero", categoryStump, [2]float64{0, -1}, -1},
		{"a missing category", categoryStump, [2]float64{0, math.NaN()}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, err := Inspect([]byte(forestFile(c.tree)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			out := make([]float64, 1)
			if err := file.Scorer.Score(c.x[:], 1, out); err != nil {
				t.Fatal(err)
			}
			if got := out[0] - 0.5; got != c.want {
				t.Errorf("observed %v, want %v", got, c.want)
			}
		})
	}
}

// Whatever a file holds, it is an error or a model that scores every row.
func FuzzInspect(f *testing.F) {
	f.Add([]byte(forestFile(stump, categoryStump)))
	f.Add([]byte(linearModel))
	f.Add(writeForest(3, 2, 3, true, 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Inspect(data, Limits{MaxFeatures: 1000, MaxOutputs: 50})
		if err != nil {
			return
		}
		for _, v := range []float64{math.NaN(), -1, 0, 0.5, 3, 1e300, math.Inf(1)} {
			x, out := make([]float64, file.Inputs), make([]float64, file.Scorer.Outputs())
			for i := range x {
				x[i] = v
			}
			if err := file.Scorer.Score(x, 1, out); err != nil && file.Format != FormatLinear {
				t.Fatal(err)
			}
		}
	})
}

// Whatever it holds, a signature is an error or can be written and read again.
func FuzzParseSignature(f *testing.F) {
	f.Add([]byte(linearSignature))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSignature(data)
		if err != nil {
			return
		}
		written, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseSignature(written); err != nil {
			t.Fatal(err)
		}
	})
}

// Well-formed JSON of nonsense: whatever the lists hold, the tree is an error or can be walked to its end.
func TestRandomTreesAreErrorsOrScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "nodes")
		list := func(name string, low, high, length int) string {
			v := rapid.SliceOfN(rapid.IntRange(low, high), length, length).Draw(t, name)
			return strings.ReplaceAll(fmt.Sprint(v), " ", ",")
		}
		sets := rapid.IntRange(0, 3).Draw(t, "sets")
		tree := fmt.Sprintf(`{"left_children":%s,"right_children":%s,"split_indices":%s,"split_conditions":%s,"default_left":%s,"split_type":%s,`+
			`"categories":%s,"categories_nodes":%s,"categories_segments":%s,"categories_sizes":%s}`,
			list("left", -1, n, n), list("right", -1, n, n), list("index", 0, 1, n), list("condition", -3, 3, n), list("default", 0, 1, n),
			list("type", 0, 1, n), list("categories", 0, 70, 4), list("set nodes", 0, n-1, sets), list("segments", 0, 4, sets), list("sizes", 0, 4, sets))
		file, err := Inspect([]byte(forestFile(tree)), Limits{})
		if err != nil {
			return
		}
		out := make([]float64, 1)
		x := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN())), 2, 2).Draw(t, "x")
		if err := file.Scorer.Score(x, 1, out); err != nil || math.IsNaN(out[0]) {
			t.Fatalf("observed %v, %v", out[0], err)
		}
	})
}

func TestAValueBeyondFloat32IsTheRowsFaultToAGBLinear(t *testing.T) {
	file, err := Inspect([]byte(linearFile(`1,2,3`)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	err = file.Scorer.Score([]float64{1, 2, 3, 1e300}, 2, make([]float64, 2))
	var bad *RowError
	if !errors.As(err, &bad) || bad.Row != 1 || bad.Error() != "row 2: value 2 is beyond the range of float32, in which the model adds" {
		t.Errorf("observed %v", err)
	}
	if err := file.Scorer.Score([]float64{1, 3e38}, 1, make([]float64, 1)); err != nil {
		t.Errorf("observed %v for a value that float32 holds", err)
	}
}
