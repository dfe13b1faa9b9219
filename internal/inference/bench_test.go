package inference

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// writeForest writes a model of complete trees with random splits; every third inner node of a tree tests a category
// where categories is set.
func writeForest(trees, depth, features int, categories bool, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	inner, nodes := 1<<depth-1, 1<<(depth+1)-1
	var list, info []string
	for i := range trees {
		var left, right, index, condition, def, kind, members, at, segments, sizes []string
		for n := range nodes {
			if n >= inner {
				left, right = append(left, "-1"), append(right, "-1")
				index, kind, def = append(index, "0"), append(kind, "0"), append(def, "0")
				condition = append(condition, fmt.Sprintf("%.6g", rng.NormFloat64()*0.1))
				continue
			}
			left, right = append(left, fmt.Sprint(2*n+1)), append(right, fmt.Sprint(2*n+2))
			def = append(def, fmt.Sprint(rng.IntN(2)))
			condition = append(condition, fmt.Sprintf("%.6g", rng.NormFloat64()))
			if categories && n%3 == 0 {
				index, kind = append(index, "0"), append(kind, "1")
				at, segments, sizes = append(at, fmt.Sprint(n)), append(segments, fmt.Sprint(len(members))), append(sizes, "5")
				for m := range 5 {
					members = append(members, fmt.Sprint(m*4+rng.IntN(4)))
				}
				continue
			}
			index, kind = append(index, fmt.Sprint(1+rng.IntN(features-1))), append(kind, "0")
		}
		l := func(v []string) string { return "[" + strings.Join(v, ",") + "]" }
		list = append(list, fmt.Sprintf(`{"left_children":%s,"right_children":%s,"split_indices":%s,"split_conditions":%s,`+
			`"default_left":%s,"split_type":%s,"categories":%s,"categories_nodes":%s,"categories_segments":%s,"categories_sizes":%s,`+
			`"tree_param":{"size_leaf_vector":"0"},"id":%d}`,
			l(left), l(right), l(index), l(condition), l(def), l(kind), l(members), l(at), l(segments), l(sizes), i))
		info = append(info, "0")
	}
	return fmt.Appendf(nil, `{"learner":{"gradient_booster":{"name":"gbtree","model":{"tree_info":[%s],"trees":[%s]}},`+
		`"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"%d"},"objective":{"name":"binary:logistic"}}}`,
		strings.Join(info, ","), strings.Join(list, ","), features)
}

func benchmarkScore(b *testing.B, rows int, categories bool) {
	const features = 15
	file, err := Inspect(writeForest(100, 6, features, categories, 1), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	const pool = 4096 // rows differ, so that no branch is learned by heart
	x := make([]float64, pool*features)
	for i := range x {
		x[i] = rng.NormFloat64()
		if i%features == 0 {
			x[i] = float64(rng.IntN(20))
		}
	}
	out := make([]float64, rows)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		from := i * rows % (pool - rows + 1)
		if err := file.Scorer.Score(x[from*features:], rows, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
}

// BenchmarkScore scores 100 trees of depth 6 over 15 features.
func BenchmarkScore(b *testing.B) {
	b.Run("row", func(b *testing.B) { benchmarkScore(b, 1, false) })
	b.Run("row with categories", func(b *testing.B) { benchmarkScore(b, 1, true) })
	b.Run("1024 rows", func(b *testing.B) { benchmarkScore(b, 1024, false) })
}
