package drift

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tolerances against SciPy: relative for statistics; for p-values relative, or both vanishing.
const (
	statisticTolerance = 1e-9
	pValueTolerance    = 1e-7
	vanishing          = 1e-300
)

func requireStatistic(t *testing.T, want, got float64, what string) {
	t.Helper()
	if math.Abs(got-want) > statisticTolerance*math.Abs(want) {
		t.Errorf("%s: statistic: observed %v, expected %v", what, got, want)
	}
}

func requirePValue(t *testing.T, want, got float64, what string) {
	t.Helper()
	if math.Abs(want) < vanishing && math.Abs(got) < vanishing {
		return
	}
	if !(math.Abs(got-want) <= pValueTolerance*math.Abs(want)) {
		t.Errorf("%s: p-value: observed %v, expected %v", what, got, want)
	}
}

// answer is one test's expected result; nil: not in the case.
type answer struct {
	Statistic float64 `json:"statistic"`
	PValue    float64 `json:"p_value"`
}

type expectedColumn struct {
	Type        string  `json:"type"`
	KS          *answer `json:"ks"`
	Wasserstein *answer `json:"wasserstein"`
	PSI         *answer `json:"psi"`
	JS          *answer `json:"js"`
	Chi2        *answer `json:"chi2"`
}

func TestEveryCaseHasTheNumbersOfSciPy(t *testing.T) {
	folders, err := filepath.Glob("testdata/cases/*")
	require.NoError(t, err)
	require.Len(t, folders, 7)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			var want struct {
				Columns map[string]expectedColumn `json:"columns"`
			}
			readJSON(t, filepath.Join(folder, "expected.json"), &want)
			ref, cur := readColumns(t, filepath.Join(folder, "reference.csv")), readColumns(t, filepath.Join(folder, "current.csv"))
			require.NotEmpty(t, want.Columns)
			for name, column := range want.Columns {
				if column.Type == Numeric {
					checkNumeric(t, name, column, numbersOf(t, ref[name]), numbersOf(t, cur[name]))
				} else {
					checkCategorical(t, name, column, tally(ref[name]), tally(cur[name]))
				}
			}
		})
	}
}

func checkNumeric(t *testing.T, name string, want expectedColumn, ref, cur []float64) {
	t.Helper()
	statistic, p := KS(ref, cur)
	requireStatistic(t, want.KS.Statistic, statistic, name+" ks")
	requirePValue(t, want.KS.PValue, p, name+" ks")
	requireStatistic(t, want.Wasserstein.Statistic, Wasserstein(ref, cur), name+" wasserstein")
	requireStatistic(t, want.PSI.Statistic, PSI(ref, cur), name+" psi")
	requireStatistic(t, want.JS.Statistic, JS(ref, cur), name+" js")
}

func checkCategorical(t *testing.T, name string, want expectedColumn, ref, cur Counts) {
	t.Helper()
	requireStatistic(t, want.PSI.Statistic, PSICategories(ref, cur), name+" psi")
	requireStatistic(t, want.JS.Statistic, JSCategories(ref, cur), name+" js")
	statistic, p, freedom := ChiSquare(ref, cur)
	requireStatistic(t, want.Chi2.Statistic, statistic, name+" chi2")
	requirePValue(t, want.Chi2.PValue, p, name+" chi2")
	require.Equal(t, len(union(ref, cur))-1, freedom)
}

func TestPValuesAgreeWithSciPyInEveryRange(t *testing.T) {
	var want struct {
		KSTwo []struct {
			N     int
			D, SF float64
		}
		KSExact []struct {
			N, M int
			H    int64
			P    float64
		} `json:"ks_exact"`
		Chi2 []struct {
			Reference, Current []int64
			Statistic, P       float64
		}
		ZTest []struct {
			A, N, B, M int64
			Z, P       float64
		}
		Quantile []struct{ X, Q []float64 }
	}
	readJSON(t, "testdata/pvalues.json", &want)
	require.Greater(t, len(want.KSTwo), 200)
	for _, c := range want.KSTwo {
		requirePValue(t, c.SF, min(max(kolmogorovSurvival(c.N, c.D), 0), 1), fmt.Sprintf("kstwo n=%d d=%v", c.N, c.D))
	}
	for _, c := range want.KSExact {
		if testing.Short() && c.N*c.M > 10_000_000 {
			continue // paths are counted one by one
		}
		got := outsideLines(c.N, c.M, c.H)
		if c.N == c.M {
			got = outsideSquare(c.N, int(c.H))
		}
		requirePValue(t, c.P, min(got, 1), fmt.Sprintf("exact n=%d m=%d h=%d", c.N, c.M, c.H))
	}
	for i, c := range want.Chi2 {
		ref, cur := Counts{}, Counts{}
		for k := range c.Reference {
			ref[strconv.Itoa(k)], cur[strconv.Itoa(k)] = c.Reference[k], c.Current[k]
		}
		statistic, p, _ := ChiSquare(ref, cur)
		requireStatistic(t, c.Statistic, statistic, fmt.Sprintf("chi2 %d", i))
		requirePValue(t, c.P, p, fmt.Sprintf("chi2 %d", i))
	}
	for _, c := range want.ZTest {
		z, p := ZTest(c.A, c.N, c.B, c.M)
		requireStatistic(t, c.Z, z, fmt.Sprintf("ztest %+v", c))
		requirePValue(t, c.P, p, fmt.Sprintf("ztest %+v", c))
	}
	for _, c := range want.Quantile {
		for i, q := range c.Q {
			require.Equal(t, q, quantile(c.X, float64(i)*0.1), "quantiles are NumPy's to the bit: n=%d, decile %d", len(c.X), i)
		}
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, into), path)
}

// readColumns reads a CSV file into its columns without empty cells.
func readColumns(t *testing.T, path string) map[string][]string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	out := map[string][]string{}
	for i, name := range records[0] {
		for _, record := range records[1:] {
			if record[i] != "" {
				out[name] = append(out[name], record[i])
			}
		}
	}
	return out
}

func numbersOf(t *testing.T, cells []string) []float64 {
	t.Helper()
	out := make([]float64, len(cells))
	for i, cell := range cells {
		x, err := strconv.ParseFloat(cell, 64)
		require.NoError(t, err)
		out[i] = x
	}
	return out
}

func tally(cells []string) Counts {
	out := Counts{}
	for _, cell := range cells {
		out[cell]++
	}
	return out
}
