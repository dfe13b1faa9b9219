package drift

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/pythontest"
)

// agreeCase is one line of agree.py.
type agreeCase struct {
	Name      string
	Numeric   bool
	Reference json.RawMessage
	Current   json.RawMessage
	Expected  map[string]answer
	Evidently map[string]float64
}

// TestSciPyAndEvidentlyAgreeOnRandomData has them draw samples of many shapes and sizes and compare them.
func TestSciPyAndEvidentlyAgreeOnRandomData(t *testing.T) {
	cases := 400
	if testing.Short() {
		cases = 60
	}
	cmd := exec.Command(pythontest.Interpreter(t, "NumPy, pandas, SciPy and Evidently", "testdata/agree.py", "--versions"), "testdata/agree.py", "20130101", strconv.Itoa(cases))
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, problems.String())
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c agreeCase
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		c.check(t, seen)
	}
	require.NoError(t, lines.Err())
	for _, name := range append(Methods(), "evidently ks", "evidently wasserstein", "evidently js", "evidently psi", "evidently ztest", "evidently chi2") {
		assert.Greater(t, seen[name], cases/40, name)
	}
	t.Logf("%v", seen)
}

// check compares every method of a case.
func (c agreeCase) check(t *testing.T, seen map[string]int) {
	t.Helper()
	rows := c.rows(t)
	require.NotEmpty(t, c.Expected)
	for method, want := range c.Expected {
		got, ok := rows[method]
		require.True(t, ok, "%s: no row for %s", c.Name, method)
		what := c.Name + ", " + method
		nearly(t, want.Statistic, got.Statistic, what)
		if got.PValue != nil && !fallsBack(*got.PValue) {
			requirePValue(t, want.PValue, *got.PValue, what)
		}
		seen[method]++
	}
	for method, score := range c.Evidently {
		got, what := rows[method], c.Name+", evidently "+method
		switch {
		case method == "one_sample_chi2":
			assert.InDelta(t, c.oneSampleChiSquare(t), score, 1e-9, what)
			method = "chi2"
		case method == MethodKS && fallsBack(*got.PValue):
		case method == MethodZTest: // 2 (1 - cdf) there, which ends at the last bit of 1
			assert.InDelta(t, score, *got.PValue, 1e-14, what)
		case got.PValue != nil:
			requirePValue(t, score, *got.PValue, what)
		default:
			nearly(t, score, got.Statistic, what)
		}
		seen["evidently "+method]++
	}
}

// nearly holds a statistic to 1e-9 of the other. Those that vanish are sums of terms that cancel, and a distance's square
// root doubles the digits lost: there as much is asked for as both libraries' own rounding allows.
func nearly(t *testing.T, want, got float64, what string) {
	t.Helper()
	if math.Abs(got*got-want*want) > 1e-15 {
		requireStatistic(t, want, got, what)
	}
}

// fallsBack reports whether SciPy's exact p-value is 1 but for its rounding: it takes the asymptotic one then.
func fallsBack(p float64) bool { return p == 1 }

// rows are the results by method.
func (c agreeCase) rows(t *testing.T) map[string]ColumnResult {
	t.Helper()
	r, err := CompareTables(c.table(t, c.Reference), c.table(t, c.Current), Options{Method: MethodAll})
	require.NoError(t, err)
	out := map[string]ColumnResult{}
	for _, row := range r.Columns {
		out[row.Method] = row
	}
	return out
}

func (c agreeCase) table(t *testing.T, raw json.RawMessage) *dataset.Table {
	t.Helper()
	if c.Numeric {
		column := dataset.Column{Name: "x", Kind: dataset.Number}
		require.NoError(t, json.Unmarshal(raw, &column.Floats))
		return table(column)
	}
	var values []string
	require.NoError(t, json.Unmarshal(raw, &values))
	codes := map[string]int32{}
	column := dataset.Column{Name: "x", Kind: dataset.Category}
	for _, value := range values {
		code, ok := codes[value]
		if !ok {
			code = int32(len(column.Dict))
			codes[value] = code
			column.Dict = append(column.Dict, value)
		}
		column.Codes = append(column.Codes, code)
	}
	return table(column)
}

// oneSampleChiSquare is Evidently's p-value: the current counts against the reference's shares as if these were known.
// ChiSquare divides the same squares by what both samples have, not by the reference's part alone.
func (c agreeCase) oneSampleChiSquare(t *testing.T) float64 {
	t.Helper()
	counts := func(raw json.RawMessage) Counts {
		var values []string
		require.NoError(t, json.Unmarshal(raw, &values))
		return tally(values)
	}
	a, b := counts(c.Reference), counts(c.Current)
	ratio, statistic := float64(b.Total())/float64(a.Total()), 0.0
	for name, n := range a {
		expected := float64(n) * ratio
		statistic += (float64(b[name]) - expected) * (float64(b[name]) - expected) / expected
	}
	return distuv.ChiSquared{K: float64(len(a) - 1)}.Survival(statistic)
}
