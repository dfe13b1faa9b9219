package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/spec"
)

// The table that the data side is measured on.
const (
	tableRows    = 1_000_000
	tableColumns = 20
	tableLimit   = 1e7 // no number is beyond it
)

// BenchmarkCSV reads 1,000,000 rows of 20 numbers (209 MB), hashes, parses, validates and profiles them in one pass,
// against pandas and Polars that only read, and Great Expectations that reads with pandas and holds the same rules.
func BenchmarkCSV(b *testing.B) {
	dir := b.TempDir()
	path, rules := filepath.Join(dir, "table.csv"), filepath.Join(dir, "suite.json")
	writeTable(b, path, tableRows)
	require.NoError(b, os.WriteFile(rules, ruleSuite(b), 0o600))
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
			file := map[string]any{"path": path}
			race{
				threads: threads,
				ours:    func() float64 { return onePass(b, path, rules, threads) },
				peers: []*contender{
					{name: "pandas", work: "pandas_read", arguments: file},
					{name: "polars", work: "polars_read", arguments: file},
					{name: "great_expectations", work: "great_expectations", once: true,
						arguments: map[string]any{"path": path, "suite": rules}},
				},
			}.run(b)
		})
	}
}

// ruleSuite is a suite of Great Expectations, which both sides read.
func ruleSuite(b *testing.B) []byte {
	type rule struct {
		Type   string         `json:"type"`
		Kwargs map[string]any `json:"kwargs"`
	}
	rules := []rule{{"expect_table_row_count_to_be_between", map[string]any{"min_value": tableRows}}}
	for i := range tableColumns {
		name := columnName(i)
		rules = append(rules,
			rule{"expect_column_values_to_be_of_type", map[string]any{"column": name, "type_": "float64"}},
			rule{"expect_column_values_to_not_be_null", map[string]any{"column": name}},
			rule{"expect_column_values_to_be_between", map[string]any{"column": name, "min_value": -tableLimit, "max_value": tableLimit}},
			rule{"expect_column_mean_to_be_between", map[string]any{"column": name, "min_value": -10, "max_value": 10}},
			rule{"expect_column_stdev_to_be_between", map[string]any{"column": name, "min_value": 0.5, "max_value": 1500}})
	}
	raw, err := json.Marshal(map[string]any{"name": "bench", "expectations": rules})
	require.NoError(b, err)
	return raw
}

// onePass is how long the data side takes with a file, its contract and a suite, in seconds.
func onePass(b *testing.B, path, rules string, threads int) float64 {
	contract := &spec.Contract{Strict: true}
	for i := range tableColumns {
		contract.Columns = append(contract.Columns, spec.ColumnRule{Name: columnName(i), Type: dataset.Number.String()})
	}
	runtime.GC()
	began := time.Now()
	raw, err := os.ReadFile(rules)
	require.NoError(b, err)
	read, err := suite.Parse(rules, raw)
	require.NoError(b, err)
	checker := dataset.NewChecker(dataset.CheckOptions{Contract: contract, Suite: read})
	defer func() { require.NoError(b, checker.Close()) }()
	builder := profile.NewBuilder(profile.Options{})
	info, report, err := dataset.Scan(context.Background(), dataset.File(path),
		dataset.ReadOptions{Name: path, Contract: contract, Workers: threads}, dataset.Visitors(checker, builder))
	require.NoError(b, err)
	checked, err := checker.Report()
	require.NoError(b, err)
	report.Merge(checked)
	found, err := builder.Profile()
	spent := time.Since(began).Seconds()
	require.NoError(b, err)
	require.True(b, report.OK(), report)
	require.NotEmpty(b, info.SHA256)
	require.EqualValues(b, tableRows, found.Rows)
	return spent
}

func columnName(i int) string { return "c" + strconv.Itoa(i) }

// writeTable writes normal numbers of four sizes with six decimals.
func writeTable(b *testing.B, path string, rows int) {
	file, err := os.Create(path)
	require.NoError(b, err)
	w := bufio.NewWriterSize(file, 1<<20)
	var line []byte
	for i := range tableColumns {
		line = append(append(line, columnName(i)...), ',')
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range rows + 1 {
		line[len(line)-1] = '\n'
		_, err := w.Write(line)
		require.NoError(b, err)
		line = line[:0]
		for range tableColumns / 4 {
			for _, size := range [...]float64{1, 10, 100, 1000} {
				line = append(strconv.AppendFloat(line, r.NormFloat64()*size, 'f', 6, 64), ',')
			}
		}
	}
	require.NoError(b, w.Flush())
	require.NoError(b, file.Close())
}

// BenchmarkDrift compares 1,000,000 rows with 1,000,000 in 20 columns by KS, Wasserstein, PSI and Jensen-Shannon, against
// NumPy that sorts each side once (peers/drift_numpy.py) and Evidently with the same four tests. NumPy's numbers are ours
// to 1e-9; Evidently bins PSI and Jensen-Shannon otherwise (docs/drift.md), its other two are ours.
func BenchmarkDrift(b *testing.B) {
	dir := b.TempDir()
	reference, current := randomTable(1, 0), randomTable(2, 0.02)
	files := map[string]any{"reference": filepath.Join(dir, "reference"), "current": filepath.Join(dir, "current"), "columns": tableColumns}
	writeBinary(b, files["reference"].(string), reference)
	writeBinary(b, files["current"].(string), current)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
			var ours []float64
			numpy := &contender{name: "numpy", work: "numpy_drift", arguments: files}
			evidently := &contender{name: "evidently", work: "evidently_drift", arguments: files, once: true}
			race{threads: threads, peers: []*contender{numpy, evidently}, ours: func() float64 {
				runtime.GC()
				began := time.Now()
				result, err := drift.CompareTables(reference, current, drift.Options{Method: drift.MethodAll, Workers: threads})
				spent := time.Since(began).Seconds()
				require.NoError(b, err)
				ours = ours[:0]
				for _, name := range reference.Names() {
					for _, method := range []string{drift.MethodKS, drift.MethodWasserstein, drift.MethodPSI, drift.MethodJS} {
						ours = append(ours, statistic(b, result, name, method))
					}
				}
				return spent
			}}.run(b)
			for i, theirs := range numpy.found {
				require.InEpsilon(b, theirs, ours[i], 1e-9, "number %d", i)
			}
			for i, theirs := range evidently.found {
				if i%4 == 1 { // its Wasserstein distance; of KS it gives the p-value
					require.InEpsilon(b, theirs, ours[i], 1e-9, "number %d", i)
				}
			}
		})
	}
}

// statistic is what one method says of one column.
func statistic(b *testing.B, r drift.Result, column, method string) float64 {
	for _, c := range r.Columns {
		if c.Name == column && c.Method == method {
			return c.Statistic
		}
	}
	b.Fatalf("no %s of %s", method, column)
	return 0
}

// randomTable is normal numbers, their middle off by a share of their spread.
func randomTable(seed uint64, off float64) *dataset.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	t := &dataset.Table{Rows: tableRows}
	for i := range tableColumns {
		values := make([]float64, tableRows)
		for row := range values {
			values[row] = r.NormFloat64() + off
		}
		t.Columns = append(t.Columns, dataset.Column{Name: columnName(i), Kind: dataset.Number, Floats: values})
	}
	return t
}

// writeBinary writes the columns one after the other, little-endian.
func writeBinary(b *testing.B, path string, t *dataset.Table) {
	file, err := os.Create(path)
	require.NoError(b, err)
	for _, c := range t.Columns {
		require.NoError(b, binary.Write(file, binary.LittleEndian, c.Floats))
	}
	require.NoError(b, file.Close())
}

// BenchmarkCSVMemory is the most memory that starter profile has while it reads 200 MB and 2 GB: it doesn't grow with
// the file.
func BenchmarkCSVMemory(b *testing.B) {
	dir := b.TempDir()
	starter := filepath.Join(dir, "starter")
	if out, err := exec.Command("go", "build", "-o", starter, "../starter").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	peak := map[string]float64{}
	sizes := map[string]int{"200MB": tableRows, "2GB": 10 * tableRows}
	for name, rows := range sizes {
		writeTable(b, filepath.Join(dir, name+".csv"), rows)
	}
	for b.Loop() {
		for name := range sizes {
			cmd := exec.Command(starter, "profile", filepath.Join(dir, name+".csv"), "-o", "json")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			require.NoError(b, err)
			require.NoError(b, cmd.Start())
			var found struct {
				Profile struct {
					Rows int `json:"rows"`
				} `json:"profile"`
			}
			require.NoError(b, json.NewDecoder(out).Decode(&found))
			_, err = io.Copy(io.Discard, out)
			require.NoError(b, err)
			require.NoError(b, cmd.Wait())
			require.Equal(b, sizes[name], found.Profile.Rows)
			usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			require.True(b, ok)
			peak[name] = max(peak[name], float64(usage.Maxrss)/1024) // KiB on Linux
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(peak["200MB"], "MiB@200MB")
	b.ReportMetric(peak["2GB"], "MiB@2GB")
	b.ReportMetric(peak["2GB"]/peak["200MB"], "2GB/200MB")
}
