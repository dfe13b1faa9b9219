package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// randomCSV is a file of a few columns of any kind, mixed kinds among them.
func randomCSV(t *rapid.T, label string) string {
	cells := map[string]*rapid.Generator[string]{
		"number":   rapid.Map(rapid.Float64Range(-1e6, 1e6), func(x float64) string { return fmt.Sprint(x) }),
		"integer":  rapid.Map(rapid.IntRange(-3, 3), func(x int) string { return fmt.Sprint(x) }),
		"category": rapid.SampledFrom([]string{"a", "b", "=c", `"d,e"`}),
		"boolean":  rapid.SampledFrom([]string{"true", "false"}),
		"instant":  rapid.Map(rapid.IntRange(1, 28), func(d int) string { return fmt.Sprintf("2013-02-%02d", d) }),
		"text":     rapid.StringMatching(`[a-z]{0,6}`),
		"huge":     rapid.SampledFrom([]string{"1e308", "-1e308", "5e-324", "0"}),
		"nothing":  rapid.Just(""),
	}
	kinds := []string{"number", "integer", "category", "boolean", "instant", "text", "huge", "nothing"}
	columns := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"u", "v", "w", "x"}), 2, 4, rapid.ID).Draw(t, label+" columns")
	var of []*rapid.Generator[string]
	for _, name := range columns {
		kind := rapid.SampledFrom(kinds).Draw(t, label+" "+name)
		of = append(of, rapid.OneOf(cells[kind], cells[kind], cells[kind], rapid.Just("")))
	}
	var b strings.Builder
	b.WriteString(strings.Join(columns, ",") + "\n")
	for range rapid.IntRange(1, 40).Draw(t, label+" rows") {
		for i, cell := range of {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(cell.Draw(t, label))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Whatever the files hold, the answer is a document without NaN that agrees with itself and with the exit code.
func TestAnyTwoTablesGiveAnAnswerThatAgreesWithItself(t *testing.T) {
	w := newSession(t)
	w.inFolder()
	rapid.Check(t, func(t *rapid.T) {
		require.NoError(t, os.WriteFile("a.csv", []byte(randomCSV(t, "reference")), 0o644))
		require.NoError(t, os.WriteFile("b.csv", []byte(randomCSV(t, "current")), 0o644))
		method := rapid.SampledFrom(methodNames()).Draw(t, "method")
		code := w.starter("drift", "--reference", "a.csv", "--current", "b.csv", "--method", method, "-o", "json", "--html", "drift.html")
		if code == exitUsage {
			require.Contains(t, w.stderr.String(), "no column is left to compare")
			return
		}
		var got driftView
		require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got), w.stderr.String())
		require.Equal(t, map[bool]int{true: exitGate, false: exitOK}[got.DatasetDrift], code, w.stderr.String())
		drifted := map[string]bool{}
		seen := map[string]int{}
		for _, row := range got.Columns {
			seen[row.Name+" "+row.Method]++
			byChance := row.StatisticByChance
			if !row.Beside && (row.Drifted && !byChance || row.Missing != nil && row.Missing.Drifted) {
				drifted[row.Name] = true
			}
		}
		for _, n := range seen {
			require.Equal(t, 1, n, "a row a method")
		}
		require.Equal(t, len(drifted)+len(got.AbsentReference)+len(got.AbsentCurrent), got.Drifted)
	})
}
