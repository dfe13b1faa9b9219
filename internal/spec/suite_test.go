package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

const withSuite = "metadata: {name: churn}\ndata:\n  prefix: s3://lake/churn/\n  target: left\n  contract: {columns: [{name: left, type: integer}, {name: age, type: number}]}\n  expectations:\n    suite: expectations.json\n"

func loadWithSuite(t *testing.T, content string) (*Model, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.yaml"), []byte(withSuite), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "expectations.json"), []byte(content), 0o600))
	return Load(filepath.Join(dir, "model.yaml"))
}

func TestASuiteIsReadAndPinnedByTheDigest(t *testing.T) {
	m, err := loadWithSuite(t, `{"expectation_suite_name": "old", "meta": {"great_expectations_version": "0.18.0"}, "expectations": [
		{"expectation_type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": null}, "meta": {}}]}`)
	require.NoError(t, err)
	require.Equal(t, &suite.Suite{Name: "old", Expectations: []suite.Expectation{
		{Type: "expect_column_values_to_be_between", Kwargs: suite.Kwargs{"column": "age", "min_value": 0.0}}}}, m.Data.Expectations.Suite)
	first, err := m.Digest()
	require.NoError(t, err)
	canonical, err := m.Canonical()
	require.NoError(t, err)
	back, err := Parse("canonical", canonical)
	require.NoError(t, err, "workers need no file")
	require.Equal(t, m, back)

	m, err = loadWithSuite(t, `{"name": "old", "expectations": [
		{"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 1}, "id": "x", "notes": null}]}`)
	require.NoError(t, err)
	second, err := m.Digest()
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestProblemsOfASuiteNameItsFileAndLine(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"an unknown kind": {"{\"name\": \"s\",\n\"expectations\": [\n{\"type\": \"expect_column_value_to_not_be_null\", \"kwargs\": {\"column\": \"age\"}}]}",
			`expectations.json line 3: data.expectations.suite.expectations[0].type: "expect_column_value_to_not_be_null" is an unknown kind of expectation (did you mean expect_column_values_to_not_be_null?`},
		"a column that the contract lacks": {"{\"name\": \"s\", \"expectations\": [\n{\"type\": \"expect_column_values_to_not_be_null\",\n \"kwargs\": {\"column\": \"agee\"}}]}",
			`expectations.json line 3: data.expectations.suite.expectations[0].kwargs: column "agee" isn't in the contract, so it isn't read (did you mean "age"?`},
		"no suite":      {"[1]", "expectations.json line 1: data.expectations.suite: expected a suite, found a list"},
		"no JSON":       {"{\"name\": \"s\",\n", "expectations.json line 2: data.expectations.suite: not valid JSON: the file ends too early"},
		"unknown field": {"{\"nam\": \"s\", \"expectations\": [{\"type\": \"expect_column_to_exist\", \"kwargs\": {\"column\": \"age\"}}]}", `unknown field "nam" (did you mean "name"?`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadWithSuite(t, c.content)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestASuiteOutsideOfTheFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.yaml")
	require.NoError(t, os.WriteFile(path, []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: left, expectations: {suite: ../e.json}}\n"), 0o600))
	_, err := Load(path)
	require.ErrorContains(t, err, `"../e.json" is outside of the spec's folder`)
	require.NoError(t, os.WriteFile(path, []byte("metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: left, expectations: {suite: none.json}}\n"), 0o600))
	_, err = Load(path)
	require.ErrorContains(t, err, `"none.json" can't be read`)
}

func TestASpecThatIsTooLargeInOneIsRefusedBeforeItIsStored(t *testing.T) {
	if testing.Short() {
		t.Skip("reads megabytes")
	}
	var expectations strings.Builder
	for i := range 12500 {
		if i > 0 {
			expectations.WriteString(",")
		}
		expectations.WriteString(`{"type":"expect_column_values_to_not_be_null","kwargs":{"column":"age"}}`)
	}
	_, err := loadWithSuite(t, `{"name":"s","expectations":[`+expectations.String()+`]}`)
	require.ErrorContains(t, err, "bytes with contract and suite > 1048576")
	_, err = loadWithSuite(t, `{"name":"s","expectations":[`+strings.Repeat(" ", maxSource)+`]}`)
	require.ErrorContains(t, err, "expectations.json data.expectations.suite: more than 1048576 bytes")
}
