package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// contractYAML is churn with a contract: inserted into modelYAML.
const contractYAML = `contract: {strict: true, columns: [{name: id, type: text, unique: true}, {name: age, type: integer, min: 18, nullable: true, severity: warn}, ` +
	`{name: plan, type: category, values: [basic, gold]}, {name: left, type: integer}]}, window:`

const suiteJSON = `{"name": "churn", "expectations": [
  {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 18, "max_value": 99, "mostly": 0.5}},
  {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "plan", "value_set": ["basic"]}, "severity": "warning"},
  {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "left"}}
]}
`

func TestSessionOfValidation(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", strings.Replace(modelYAML, "window:", contractYAML, 1))
	w.file(dir, "suite.json", suiteJSON)
	w.file(dir, "unknown.json", `{"name": "x", "expectations": [{"type": "expect_column_values_to_be_nice", "kwargs": {"column": "age"}}]}`)
	w.file(dir, "warned.csv", "id,age,plan,left\na,31,basic,0\nb,7,gold,1\n")
	w.file(dir, "bad.csv", "id,age,plan,left\na,31,basic,0\nb,old,=1+1,1\nb,7,-gold,\n")
	w.file(dir, "ragged.csv", "id,age,plan,left\na,31\n")
	require.Equal(t, exitOK, w.starter("validate", "-f", "model.yaml", "--data", "warned.csv", "--html", "good.html"), "a warning fails nothing")
	require.Equal(t, exitGate, w.starter("validate", "-f", "model.yaml", "--data", "bad.csv", "--html", "bad.html", "--failed-rows", "failed.csv"))
	require.Equal(t, exitOK, w.starter("validate", "--suite", "suite.json", "--data", "warned.csv"), "no spec is needed")
	require.Equal(t, exitGate, w.starter("validate", "--suite", "suite.json", "--data", "bad.csv"))
	require.Equal(t, exitOK, w.starter("validate", "-f", "model.yaml", "--suite", "suite.json", "--data", "warned.csv", "--contract-only"))
	require.Equal(t, exitUsage, w.starter("validate", "--suite", "unknown.json", "--data", "bad.csv"))
	require.Equal(t, exitGate, w.starter("validate", "-f", "model.yaml", "--data", "ragged.csv", "--html", "ragged.html"))
	w.golden("validate")
	failed, err := os.ReadFile("failed.csv")
	require.NoError(t, err)
	require.Equal(t, "row,broken rules,id,age,plan,left\n"+
		"2,age: type; plan: values,b,old,'=1+1,1\n"+
		"3,id: unique; age: min; plan: values; left: nullable,b,7,'-gold,\n", string(failed), "cells as they are in the file, and none that a spreadsheet would run")
	requirePage(t, "good.html", "churn", "warned.csv")
	requirePage(t, "bad.html", "churn", "bad.csv", "plan")
	requirePage(t, "ragged.html", "churn", "ragged.csv")
}

func TestTheResultInTheShapeOfGreatExpectationsFailsWhenTheFileDoes(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", strings.Replace(modelYAML, "window:", contractYAML, 1))
	w.file(dir, "good.csv", churnCSV)
	w.file(dir, "oneclass.csv", "id,age,plan,left\na,31,basic,0\nb,22,gold,0\n")
	w.file(dir, "null.csv", "id,age,plan,left\na,31,basic,0\nb,22,gold,\n")
	w.file(dir, "empty.csv", "")
	for name, ok := range map[string]bool{"good.csv": true, "oneclass.csv": false, "null.csv": false, "empty.csv": false} {
		code := w.starter("validate", "-f", "model.yaml", "--data", name, "-o", "gx")
		require.Equal(t, map[bool]int{true: exitOK, false: exitGate}[ok], code, name)
		var got suite.Result
		require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got), name)
		require.Equal(t, ok, got.Success, name)
		require.Equal(t, len(got.Results), got.Statistics.Evaluated)
		require.NotEmpty(t, got.Results)
		if name == "empty.csv" {
			require.Len(t, got.Results, 1, "what was never looked at has no outcome")
		}
	}
}

func TestAPipeIsValidatedLikeAFile(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", strings.Replace(modelYAML, "window:", contractYAML, 1))
	w.in = strings.NewReader(churnCSV)
	require.Equal(t, exitOK, w.starter("validate", "-f", "model.yaml", "--data", "-", "--format", "csv", "--failed-rows", "failed.csv"), w.stderr.String())
	require.Contains(t, w.stdout.String(), "standard input: 4 rows keep the contract")
	raw, err := os.ReadFile("failed.csv")
	require.NoError(t, err)
	require.Equal(t, "row,broken rules\n", string(raw), "no row breaks a rule")
}

func TestAFileThatIsNoTableHasNoFailedRows(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", strings.Replace(modelYAML, "window:", contractYAML, 1))
	header, row, _ := strings.Cut(churnCSV, "\n")
	first, _, _ := strings.Cut(row, "\n")
	cells := strings.Repeat("?,", strings.Count(header, ",")) + "?\n"
	w.file(dir, "ragged.csv", header+"\n"+cells+first+",1\n")
	require.Equal(t, exitGate, w.starter("validate", "-f", "model.yaml", "--data", "ragged.csv", "--failed-rows", "failed.csv"), w.stderr.String())
	require.Contains(t, w.stdout.String(), "line 3:", "what is wrong is told all the same")
	require.Contains(t, w.stderr.String(), "failed.csv isn't written")
	require.NoFileExists(t, "failed.csv")
}

func TestFailedRowsAreBounded(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "suite.json", suiteJSON)
	w.file(dir, "a.csv", columnsCSV("age,plan,left", 3*failedKeep, func(i int) string { return fmt.Sprintf("%d,x,%d", i%3, i) }))
	require.Equal(t, exitGate, w.starter("validate", "--suite", "suite.json", "--data", "a.csv", "--failed-rows", "failed.csv"))
	raw, err := os.ReadFile("failed.csv")
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(string(raw), "\n"), 1+2*failedKeep)
	require.Contains(t, w.stdout.String(), "1 2 3 4 5 6 7 8 9 10\n", "and the table lists ten")
}

func TestValidateSaysWhatItNeeds(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", modelYAML)
	w.file(dir, "suite.json", suiteJSON)
	w.file(dir, "a.csv", churnCSV)
	w.file(dir, "invalid.yaml", "kind: Model\n")
	cases := []struct {
		name string
		args []string
		says string
	}{
		{"a suite without data", []string{"--suite", "suite.json"}, "--data FILE"},
		{"a suite that isn't there", []string{"--suite", "none.json", "--data", "a.csv"}, "none.json"},
		{"a report without data", []string{"-f", "model.yaml", "--html", "a.html"}, "about data"},
		{"results without data", []string{"-f", "model.yaml", "-o", "gx"}, "about data"},
		{"rows over the data", []string{"-f", "model.yaml", "--data", "a.csv", "--failed-rows", "./a.csv"}, "--failed-rows ./a.csv: that is a.csv"},
		{"rows over the suite", []string{"--suite", "suite.json", "--data", "a.csv", "--failed-rows", "suite.json"}, "it would replace"},
		{"rows in no folder", []string{"-f", "model.yaml", "--data", "a.csv", "--failed-rows", "none/a.csv"}, "--failed-rows: stat none"},
		{"a report over the spec", []string{"-f", "model.yaml", "--data", "a.csv", "--html", "model.yaml"}, "--html model.yaml: that is model.yaml"},
		{"a report over the rows", []string{"-f", "model.yaml", "--data", "a.csv", "--failed-rows", "x", "--html", "./x"}, "it would replace"},
		{"results of a spec that is none", []string{"-f", "invalid.yaml", "--data", "a.csv", "-o", "gx"}, "invalid.yaml is invalid"},
		{"another format", []string{"-f", "model.yaml", "-o", "xml"}, "want table, json, yaml or gx"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, exitUsage, w.starter(append([]string{"validate"}, c.args...)...), w.stderr.String())
			require.Contains(t, w.stderr.String(), c.says)
			require.Empty(t, w.stdout.String())
		})
	}
	require.Equal(t, exitUsage, w.starter("profile", "a.csv", "-o", "gx"), "it is validate's alone")
	raw, err := os.ReadFile("a.csv")
	require.NoError(t, err)
	require.Equal(t, churnCSV, string(raw), "the data is as it was")
}

func TestWarningsAndErrorsCanDoNothingToATerminal(t *testing.T) {
	w := newSession(t)
	w.warn([]string{"column x\x1b[31m\nstarter: all is well"})
	require.Equal(t, "warning: column x [31m starter: all is well\n", w.stderr.String())
	require.Equal(t, exitUsage, w.starter("profile", "x\x1b[31m.csv"))
	require.NotContains(t, w.stderr.String(), "\x1b")
}
