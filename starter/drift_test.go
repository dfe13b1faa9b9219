package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/drift"
)

// driftDocument is what other tools read of -o json.
type driftDocument struct {
	Columns []struct {
		Name, Type, Method string
		Statistic          *float64
		PValue             *float64 `json:"p_value"`
		Threshold          *float64
		Drifted, Beside    bool
		MissingReference   *float64 `json:"missing_reference"`
		MissingCurrent     *float64 `json:"missing_current"`
	}
	DriftedColumns int     `json:"drifted_columns"`
	Share          float64 `json:"share"`
	DatasetDrift   bool    `json:"dataset_drift"`
	LeftOut        []leftOut
}

func TestEveryGoldenCaseComesOutOfTheCommand(t *testing.T) {
	folders, err := filepath.Glob("../internal/drift/testdata/cases/*")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(folder, "expected.json"))
			require.NoError(t, err)
			var want struct {
				Columns map[string]map[string]json.RawMessage `json:"columns"`
			}
			require.NoError(t, json.Unmarshal(raw, &want))
			w := newSession(t)
			code := w.starter("drift", "--reference", filepath.Join(folder, "reference.csv"), "--current", filepath.Join(folder, "current.csv"), "--method", "all", "-o", "json")
			var got driftDocument
			require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got))
			require.Equal(t, map[bool]int{true: exitGate, false: exitOK}[got.DatasetDrift], code, w.stderr.String())
			require.NotEmpty(t, want.Columns)
			for name, methods := range want.Columns {
				for method, answer := range methods {
					if method != "type" {
						requireRow(t, got, name, method, answer)
					}
				}
			}
		})
	}
}

// requireRow holds one row to the statistic to 1e-9 and to the p-value to 1e-7, or both under 1e-300.
func requireRow(t *testing.T, got driftDocument, name, method string, answer json.RawMessage) {
	t.Helper()
	var want struct {
		Statistic float64
		PValue    *float64 `json:"p_value"`
	}
	require.NoError(t, json.Unmarshal(answer, &want))
	for _, row := range got.Columns {
		if row.Name != name || row.Method != method {
			continue
		}
		require.InDelta(t, want.Statistic, *row.Statistic, 1e-9*math.Abs(want.Statistic), "%s %s", name, method)
		if want.PValue != nil {
			require.NotNil(t, row.PValue, "%s %s", name, method)
			require.InDelta(t, *want.PValue, *row.PValue, max(1e-7*math.Abs(*want.PValue), 1e-300), "%s %s", name, method)
		}
		return
	}
	t.Errorf("no row for %s by %s", name, method)
}

// columnsCSV is a file of n rows, its cells made by row.
func columnsCSV(header string, n int, row func(i int) string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range n {
		b.WriteString(row(i) + "\n")
	}
	return b.String()
}

func TestSessionOfDrift(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "jan.csv", columnsCSV("n,when,key,age,plan,pays,note,old", 60, func(i int) string {
		return fmt.Sprintf("%d,2013-01-%02d,k%d,%d,%s,%t,,%d", i, 1+i/3, i, 20+i%23, []string{"basic", "gold", "basic"}[i%3], i%2 == 0, i%7)
	}))
	w.file(dir, "feb.csv", columnsCSV("n,when,key,age,plan,pays,note,new", 80, func(i int) string {
		age := fmt.Sprint(30 + i%31)
		if i%4 == 0 {
			age = ""
		}
		return fmt.Sprintf("%d,2013-02-%02d,m%d,%s,%s,%t,%.1f,%d", 60+i, 1+i/4, i, age, []string{"basic", "gold", "basic"}[i%3], i%2 == 0, float64(i%9)/2, i%5)
	}))
	w.file(dir, "model.yaml", modelYAML[:strings.Index(modelYAML, "\ndata: {")+1]+
		`data: {prefix: "s3://leanloop/landing/churn/", target: pays, features: {include: [age, plan]}}`+
		"\nmonitor: {drift: {psi: 9, max_drifted: 1, min_rows: 10}}\n")
	both := []string{"drift", "--reference", "jan.csv", "--current", "feb.csv"}
	with := func(more ...string) int { return w.starter(append(both, more...)...) }
	require.Equal(t, exitGate, with("--html", "drift.html"), "a column that one side lacks has drifted")
	require.Equal(t, exitGate, with("--columns", "age,plan", "--method", "all"))
	require.Equal(t, exitGate, with("--columns", "n"), "what is named is compared")
	require.Equal(t, exitOK, with("-f", "model.yaml"), "limits, features and target are the model's: "+w.stderr.String())
	require.Equal(t, exitGate, with("-f", "model.yaml", "--max-drifted", "0"), "the command line goes before it")
	require.Equal(t, exitGate, with("-f", "model.yaml", "--max-share", "0.4", "--exclude", "pays"))
	require.Equal(t, exitFailure, with("--min-rows", "100"), "too few rows are neither drift nor none")
	require.Equal(t, exitOK, w.starter("drift", "--reference", "jan.csv", "--current", "jan.csv", "--columns", "age", "-o", "json"))
	w.file(dir, "unlabelled.csv", columnsCSV("age,plan", 60, func(i int) string { return fmt.Sprintf("%d,%s", 20+i%23, []string{"basic", "gold", "basic"}[i%3]) }))
	require.Equal(t, exitOK, w.starter("drift", "--reference", "jan.csv", "--current", "unlabelled.csv", "-f", "model.yaml"), "a window has no target yet")
	w.golden("drift")
	requirePage(t, "drift.html", "feb.csv", "age")

	raw, err := os.ReadFile("model.yaml")
	require.NoError(t, err)
	w.file(dir, "calm.yaml", strings.Replace(string(raw), "max_drifted: 1", "max_drifted: 0, exclude: [age]", 1))
	require.Equal(t, exitOK, with("-f", "calm.yaml"), w.stderr.String())
	require.Contains(t, w.stdout.String(), ", not counted")
	require.Equal(t, exitGate, with("-f", "calm.yaml", "--columns", "age"), "what the command line names counts")
}

func TestDriftOfFilesThatCannotBeRead(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "a.csv", "x,y\n1,a\n2,b\n")
	w.file(dir, "ragged.csv", "x,y\n1,a\n2\n")
	cases := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a file that isn't there", []string{"--reference", "a.csv", "--current", "none.csv"}, exitUsage, "--current: stat none.csv"},
		{"a folder", []string{"--reference", ".", "--current", "a.csv", "--format", "csv"}, exitUsage, "is a folder"},
		{"a name without a format", []string{"--reference", "a.txt", "--current", "a.csv"}, exitUsage, "--format"},
		{"no such object", []string{"--reference", "a.csv", "--current", "s3://lake/none.csv"}, exitUsage, "s3://lake/none.csv: no such object"},
		{"a broken file isn't drift", []string{"--reference", "a.csv", "--current", "ragged.csv"}, exitFailure, "ragged.csv: line 3: fields: observed 1 cells"},
		{"an unknown column", []string{"--reference", "a.csv", "--current", "a.csv", "--columns", "z"}, exitUsage, `"z"`},
		{"an unknown method", []string{"--reference", "a.csv", "--current", "a.csv", "--method", "cramer"}, exitUsage, "wasserstein"},
		{"an unknown correction", []string{"--reference", "a.csv", "--current", "a.csv", "--correction", "no"}, exitUsage, "bh"},
		{"one file only", []string{"--reference", "a.csv"}, exitUsage, "--current FILE"},
		{"two standard inputs", []string{"--reference", "-", "--current", "-"}, exitUsage, "only one of them"},
		{"standard input without a format", []string{"--reference", "-", "--current", "a.csv"}, exitUsage, "--format"},
		{"a share over 1", []string{"--reference", "a.csv", "--current", "a.csv", "--max-share", "3"}, exitUsage, "max_share"},
		{"rows below none", []string{"--reference", "a.csv", "--current", "a.csv", "--min-rows", "-1"}, exitUsage, "--min-rows -1: want 1 or more"},
		{"two kinds of limit", []string{"--reference", "a.csv", "--current", "a.csv", "--max-share", "0.3", "--max-drifted", "2"}, exitUsage, "not both"},
		{"a report in no folder", []string{"--reference", "a.csv", "--current", "a.csv", "--html", "none/drift.html"}, exitUsage, "--html"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.code, w.starter(append([]string{"drift"}, c.args...)...), w.stderr.String())
			require.Contains(t, w.stderr.String(), c.says)
			require.Empty(t, w.stdout.String())
		})
	}
}

func TestDriftReadsStandardInputAndS3(t *testing.T) {
	w := newSession(t)
	text := columnsCSV("x", 50, func(i int) string { return fmt.Sprint(i % 17) })
	_, err := w.bucket.Put(context.Background(), "a/b.csv", strings.NewReader(text), int64(len(text)))
	require.NoError(t, err)
	w.in = strings.NewReader(text)
	require.Equal(t, exitOK, w.starter("drift", "--reference", "s3://"+defaultBucket+"/a/b.csv", "--current", "-", "--format", "csv", "-o", "json"), w.stderr.String())
	var got driftDocument
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got))
	require.Len(t, got.Columns, 1)
	require.Zero(t, *got.Columns[0].Statistic)
}

func TestAnInterruptedComparisonSaysSo(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "a.csv", churnCSV)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.Equal(t, exitFailure, w.execute(ctx, []string{"drift", "--reference", "a.csv", "--current", "a.csv"}))
	require.Equal(t, "starter: interrupted\n", w.stderr.String())
}

func TestWorkThatKnowsNoContextEndsWithIt(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	forever := make(chan struct{})
	defer close(forever)
	stop()
	_, err := interruptible(ctx, func() (int, error) { <-forever; return 1, nil })
	require.ErrorIs(t, err, context.Canceled)
	got, err := interruptible(t.Context(), func() (int, error) { return 2, os.ErrClosed })
	require.Equal(t, 2, got)
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestColumnsThatSayNothingAreLeftOut(t *testing.T) {
	floats := func(values ...float64) *dataset.Column {
		return &dataset.Column{Kind: dataset.Integer, Floats: values}
	}
	upTo := func(n int, f func(i int) float64) *dataset.Column {
		values := make([]float64, n)
		for i := range values {
			values[i] = f(i)
		}
		return floats(values...)
	}
	rising := upTo(30, func(i int) float64 { return float64(1000 * i * i) })
	shuffled := upTo(31, func(i int) float64 { return float64(500 + i*7%31) })
	repeats := upTo(30, func(i int) float64 { return float64(i % 29) })
	years := upTo(30, func(i int) float64 { return float64(2015 + i/10) })
	wide := upTo(30, func(i int) float64 { return float64((i * 7 % 30) * 1_000_000_007 % 1_000_003) })
	cases := []struct {
		name string
		a, b *dataset.Column
		left bool
	}{
		{"numbers that only rise", rising, rising, true},
		{"each number once, without gaps", shuffled, rising, true},
		{"a number twice", repeats, rising, false},
		{"numbers that rise and repeat, as years do", years, rising, false},
		{"each number once, far apart", wide, rising, false},
		{"too few rows to tell", floats(1, 2, 3), floats(4, 5, 6), false},
		{"numbers with a fraction", &dataset.Column{Kind: dataset.Number, Floats: rising.Floats}, rising, false},
		{"a month after the other", times(0, 10), times(10, 20), true},
		{"the same month", times(0, 10), times(5, 20), false},
		{"one instant", times(3), times(3), false},
		{"names of rows", texts(30, 30), texts(30, 1), true},
		{"names that repeat", texts(30, 20), texts(30, 20), false},
		{"nothing", texts(30, 0), texts(30, 0), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.left, saysNothing(c.a, c.b) != "") })
	}
}

func times(days ...int64) *dataset.Column {
	c := &dataset.Column{Kind: dataset.Timestamp, Times: []int64{dataset.NullTime}}
	for _, d := range days {
		c.Times = append(c.Times, d*86_400e9)
	}
	return c
}

// texts is n rows of as many different texts; 0: of none.
func texts(n, different int) *dataset.Column {
	c := &dataset.Column{Kind: dataset.Text}
	for i := range different {
		c.Dict = append(c.Dict, fmt.Sprint(i))
	}
	for i := range n {
		if different == 0 {
			c.Codes = append(c.Codes, dataset.NullCode)
		} else {
			c.Codes = append(c.Codes, int32(i%different))
		}
	}
	return c
}

// pandas and Spark write them, and to a reader that guesses one of them makes text of all.
func TestNumbersWithAWordAmongThemAreSaidToBe(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	cell := func(i int) string {
		if i == 7 {
			return "nan"
		}
		return fmt.Sprintf("%d.5", i*i)
	}
	w.file(dir, "a.csv", columnsCSV("x,y", 30, func(i int) string { return cell(i) + fmt.Sprintf(",%d.5", i) }))
	w.file(dir, "b.csv", columnsCSV("x,y", 30, func(i int) string { return fmt.Sprintf("%d.5,%s", i, cell(i)) }))
	w.starter("drift", "--reference", "a.csv", "--current", "a.csv")
	require.Contains(t, w.stdout.String(), `x: left out: numbers, but for "nan", so it is read as text`)
	w.starter("drift", "--reference", "a.csv", "--current", "b.csv")
	require.Contains(t, w.stdout.String(), `x: numbers, but for "nan", so compared as categories`)
	require.Contains(t, w.stdout.String(), `y: numbers, but for "nan", so compared as categories`)
	w.file(dir, "model.yaml", strings.Replace(modelYAML[:strings.Index(modelYAML, "gates:")], "window:",
		"features: {include: [x, y]}, contract: {columns: [{name: x, type: number}, {name: y, type: number}, {name: id, type: text, optional: true}, {name: left, type: integer, optional: true}]}, window:", 1)+
		"monitor: {drift: {min_rows: 10}}\n")
	w.starter("drift", "--reference", "a.csv", "--current", "b.csv", "-f", "model.yaml")
	require.Contains(t, w.stderr.String(), `warning: a.csv: column x: type: observed "nan", want a finite decimal number (row 8): they count as missing`)
	require.Contains(t, w.stderr.String(), `warning: b.csv: column y: type`)
	require.Contains(t, w.stdout.String(), "3.33% -> 0%")
}

func TestAColumnWithoutValuesHasTheOtherSidesKind(t *testing.T) {
	some := &dataset.Table{Rows: 2, Columns: []dataset.Column{
		{Name: "x", Kind: dataset.Number, Floats: []float64{1, 2}}, {Name: "t", Kind: dataset.Timestamp, Times: []int64{1, 2}},
		{Name: "c", Kind: dataset.Category, Codes: []int32{0, 0}, Dict: []string{"a"}},
	}}
	none := &dataset.Table{Rows: 3}
	for _, name := range some.Names() {
		c := texts(3, 0)
		c.Name = name
		none.Columns = append(none.Columns, *c)
	}
	alignKinds(none, some)
	for i := range some.Columns {
		require.Equal(t, some.Columns[i].Kind, none.Columns[i].Kind)
		require.Equal(t, []int{3, 3}, []int{none.Columns[i].Len(), none.Columns[i].Nulls()})
	}
}

func TestTheTableIsWorstFirstWithItsRowsTogether(t *testing.T) {
	row := func(name, method string, statistic float64, beside bool) drift.ColumnResult {
		return drift.ColumnResult{Name: name, Method: method, Statistic: statistic, Threshold: 0.1, Drifted: statistic >= 0.1, Beside: beside,
			Missing: drift.MissingTest{Threshold: 0.1}}
	}
	got := inOrder([]drift.ColumnResult{row("a", "js", 0.01, false), row("a", "psi", 9, true), row("b", "js", 0.3, false), row("b", "psi", 0, true)})
	names := make([]string, len(got))
	for i, c := range got {
		names[i] = c.Name + " " + c.Method
	}
	require.Equal(t, []string{"b js", "b psi", "a js", "a psi"}, names)
}

func TestAnIndexThatChanceExplainsIsMarked(t *testing.T) {
	psi, little := 17.8, 0.01
	require.Equal(t, "17.8 (chance)", psiOf(driftRow{PSI: &psi, ByChance: true}))
	require.Equal(t, "17.8", psiOf(driftRow{PSI: &psi}))
	require.Equal(t, "0.01", psiOf(driftRow{PSI: &little, ByChance: true}))
	require.Equal(t, "-", psiOf(driftRow{}))
}
