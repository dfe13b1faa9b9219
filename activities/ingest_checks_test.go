package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// withChecks is a spec with a contract and a suite, whose rules warn but for one.
const withChecks = `  target: late
  contract:
    columns:
      - {name: id, type: text}
      - {name: at, type: timestamp, min: 2013-01-01}
      - {name: delay, type: number, max: 15, severity: warn}
      - {name: carrier, type: category}
      - {name: late, type: integer}
  expectations:
    freshness: 24h
    freshness_severity: warn
    suite:
      name: flights
      expectations:
        - {type: expect_column_values_to_be_in_set, kwargs: {column: carrier, value_set: [AA, UA, DL]}}
        - {type: expect_table_row_count_to_be_between, kwargs: {min_value: 1000}, severity: warning}
`

func TestWarningsAreNotedAndRefuseNothing(t *testing.T) {
	w := newWorld(t, "  target: late\n", withChecks)
	content := flights(january, 60, 1)
	first := strings.SplitAfter(content, "\n")[1]
	o := w.land("2013-01.csv", content+first)
	file, out := w.ingest(o)
	require.Empty(t, file.Failures)
	require.True(t, out.Accepted, out.Reason)
	rules := map[string]dataset.Failure{}
	for _, f := range file.Warnings {
		require.Equal(t, dataset.SeverityWarn, f.Severity)
		rules[f.Rule] = f
	}
	require.Contains(t, rules, dataset.RuleMax)
	require.Contains(t, rules, dataset.RuleFreshness)
	require.Contains(t, rules, "expect_table_row_count_to_be_between")
	require.Equal(t, []int64{61}, rules[dataset.RuleRepeatedID].First)

	prefix := datasetPrefix(theModel, file.SHA256)
	var manifest fileManifest
	require.NoError(t, getJSON(t.Context(), w.store, prefix+"manifest.json", &manifest))
	require.Equal(t, file.Warnings, manifest.Warnings)
	var result suite.Result
	require.NoError(t, getJSON(t.Context(), w.store, file.Validation, &result))
	require.False(t, result.Success)
	require.Equal(t, "flights", result.SuiteName)
	require.Greater(t, result.Statistics.Successful, 5, "the contract's rules are among them")

	raw, _, err := objectstore.ReadAll(t.Context(), w.store, prefix+"profile.json", 1<<20)
	require.NoError(t, err)
	var p profile.Profile
	require.NoError(t, json.Unmarshal(raw, &p))
	require.EqualValues(t, 61, p.Rows)
}

func TestASuiteThatBlocksRefusesTheFile(t *testing.T) {
	w := newWorld(t, "  target: late\n", withChecks)
	lines := strings.SplitAfter(flights(january, 60, 1), "\n")
	cells := strings.Split(lines[9], ",")
	cells[3] = "ZZ"
	lines[9] = strings.Join(cells, ",")
	_, out := w.ingest(w.land("2013-01.csv", strings.Join(lines, "")))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "column carrier: expect_column_values_to_be_in_set: observed 1 unexpected (1.67 %) of 60 values, the first \"ZZ\"")
	require.Contains(t, out.Reason, "(row 9)")
	require.NotContains(t, out.Reason, "freshness", "what only warns is no reason")
}

func TestAFilesNumbersAreTheSameHoweverOftenItIsRead(t *testing.T) {
	w := newWorld(t, "  target: late\n", withChecks)
	o := w.land("2013-01.csv", flights(january, 60, 1))
	ingester := &Ingester{Lake: w.lake, Metrics: w.metrics}
	query := timeseries.Query{Measurement: dataMeasurement, GroupBy: []string{"column"}, Tags: map[string]string{"model": theModel},
		Start: t0.Add(-time.Hour), Stop: t0.Add(time.Hour)}
	var first []timeseries.Row
	for range 2 {
		must(t, ingester.Ingest, w.ingestInput(o))
		rows, err := w.metrics.Sum(t.Context(), query)
		require.NoError(t, err)
		if first == nil {
			first = rows
		}
		require.Equal(t, first, rows, "points are replaced, not added")
	}
	byColumn := map[string]map[string]float64{}
	for _, row := range first {
		byColumn[row.Tags["column"]] = row.Fields
	}
	require.Len(t, byColumn, 6)
	require.InDelta(t, 60, byColumn["_all"]["rows"], 0)
	require.InDelta(t, 3, byColumn["_all"]["warnings"], 0)
	require.InDelta(t, t0.Sub(january.Add(59*time.Hour)).Seconds(), byColumn["_all"]["freshness_seconds"], 0)
	require.InDelta(t, 1, byColumn["delay"]["warnings"], 0)
	require.Contains(t, byColumn["carrier"], "null_share")
}

func TestAMetricsStoreThatIsAwayHoldsUpNoData(t *testing.T) {
	w := newWorld(t)
	o := w.land("2013-01.csv", flights(january, 60, 1))
	out := must(t, (&Ingester{Lake: w.lake, Metrics: brokenWriter{}}).Ingest, w.ingestInput(o))
	require.Empty(t, out.Problem)
}

func TestMoreWarningsThanHistoryHolds(t *testing.T) {
	w := newWorld(t)
	var rules []string
	for i := range 100 {
		rules = append(rules, fmt.Sprintf("        - {type: expect_table_row_count_to_equal, kwargs: {value: %d}, severity: info}\n", 1000+i))
	}
	w.apply("  target: late\n", "  target: late\n  expectations:\n    suite:\n      name: many\n      expectations:\n"+strings.Join(rules, ""))
	file, out := w.ingest(w.land("2013-01.csv", flights(january, 60, 1)))
	require.True(t, out.Accepted)
	require.Len(t, file.Warnings, maxFailures)
	requireSmall(t, file, 64<<10)
}

// brokenWriter is a metrics store that is away.
type brokenWriter struct{}

func (brokenWriter) Write(context.Context, []timeseries.Point) error {
	return errors.New("connection refused")
}

func TestAParquetFileIsTakenIn(t *testing.T) {
	w := newWorld(t)
	content, err := os.ReadFile(filepath.Join("testdata", "flights.parquet"))
	require.NoError(t, err)
	file, out := w.ingest(w.land("2013-01.parquet", string(content)))
	require.True(t, out.Accepted, out.Reason)
	require.Equal(t, 60, file.Rows)
	require.Equal(t, january, file.From)
	stored, _, err := objectstore.ReadAll(t.Context(), w.store, datasetPrefix(theModel, file.SHA256)+"data", 1<<20)
	require.NoError(t, err)
	require.Equal(t, content, stored)
	require.Equal(t, digestOf(content).SHA256, file.SHA256)
}
