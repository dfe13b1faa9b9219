package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
)

// BenchmarkScoring is scoring alone, 100 trees of depth 6 on one thread, against XGBoost's own predictor: its C API
// (core), and as Python programs call it (inplace). One operation is a round of all.
func BenchmarkScoring(b *testing.B) {
	m := numbersModel(b)
	model, err := inference.Load(m.files, inference.DefaultLimits())
	require.NoError(b, err)
	columns := len(m.names)
	table := filepath.Join(b.TempDir(), "rows")
	byColumn := &dataset.Table{Columns: make([]dataset.Column, columns)}
	var x []float64
	for _, row := range m.rows {
		x = append(x, row...)
		for i, v := range row {
			byColumn.Columns[i].Floats = append(byColumn.Columns[i].Floats, v)
		}
	}
	writeBinary(b, table, byColumn)
	for _, c := range []struct{ rows, calls int }{{1, 4000}, {1024, 40}} {
		b.Run(fmt.Sprintf("rows=%d", c.rows), func(b *testing.B) {
			arguments := map[string]any{"model": m.path, "path": table, "columns": columns, "rows": c.rows, "calls": c.calls}
			core := &contender{name: "xgboost-core", work: "xgboost_core", arguments: arguments}
			inplace := &contender{name: "xgboost-inplace", work: "xgboost_inplace", arguments: arguments}
			out, blocks := make([]float64, c.rows), len(m.rows)/c.rows
			ours := func() float64 {
				began := time.Now()
				for i := range c.calls {
					at := (i % blocks) * c.rows * columns
					require.NoError(b, model.Scorer.Score(x[at:at+c.rows*columns], c.rows, out))
				}
				return time.Since(began).Seconds()
			}
			race{ours: ours, peers: []*contender{core, inplace}, threads: 1}.run(b)
			for _, p := range []*contender{core, inplace} {
				for i, theirs := range p.found {
					require.InDelta(b, m.scores[i], theirs, 1e-6, "%s, row %d", p.name, i)
				}
			}
		})
	}
}

// TestScoringIsRacedOnTheModelsOwnRows holds the benchmarks' model to its description.
func TestScoringIsRacedOnTheModelsOwnRows(t *testing.T) {
	m := numbersModel(t)
	require.Len(t, m.rows, 1024)
	require.GreaterOrEqual(t, len(m.names), 6)
	distinct := map[float64]bool{}
	for _, s := range m.scores {
		distinct[s] = true
	}
	require.Greater(t, len(distinct), 500)
	_, err := os.Stat(m.path)
	require.NoError(t, err)
}
