package activities

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAFileThatPassesEntersTheIndexOnce(t *testing.T) {
	w := newWorld(t)
	file := w.accept("2013-01.csv", flights(january, 60, 1))
	index := w.index()
	require.Len(t, index.Files, 1)
	f := index.Files[0]
	require.Equal(t, file.SHA256, f.SHA256)
	require.Equal(t, "s3://lake/flights/2013-01.csv", f.Source)
	require.Equal(t, 60, f.Rows)
	require.Equal(t, january, f.From)
	require.Equal(t, t0, f.AcceptedAt)
	require.NotNil(t, index.Contract, "the first file pins the contract")

	_, out := w.ingest(w.land("copy.csv", flights(january, 60, 1)))
	require.True(t, out.Accepted, "the same content elsewhere is no new file and no mistake")
	require.Len(t, w.index().Files, 1)
}

func TestASecondFileForAPeriodIsRefusedUnlessItSupersedes(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 60, 1))
	_, out := w.ingest(w.land("again.csv", flights(january, 60, 2)))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "s3://lake/flights/2013-01.csv covers already")
	require.NotContains(t, out.Reason, "lifecycle/", "a reason speaks of the file, not of keys")
	require.Equal(t, 1, strings.Count(out.Reason, "again.csv"), "the refused file is named once")

	w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50}\n  on_redelivery: supersede")
	newer := w.accept("corrected.csv", flights(january, 60, 3))
	require.Len(t, w.index().Files, 1)
	require.Equal(t, newer.SHA256, w.index().Files[0].SHA256)
}

func TestARefusedFileIsTakenOnceTheSpecAllowsIt(t *testing.T) {
	w := newWorld(t, "  window: {min_rows: 50}", "  window: {min_rows: 50}\n  contract: {columns: [{name: id, type: text}, {name: at, type: timestamp}, {name: late, type: integer}, {name: delay, type: number, max: 1}]}")
	o := w.land("2013-01.csv", flights(january, 60, 1))
	_, out := w.ingest(o)
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "column delay: max")
	w.apply()
	w.run++
	file, out := w.ingest(o)
	require.True(t, out.Accepted, out.Reason)
	var manifest fileManifest
	require.NoError(t, getJSON(t.Context(), w.store, datasetPrefix(theModel, file.SHA256)+"manifest.json", &manifest))
	require.Empty(t, manifest.Failures, "the manifest is of the last reading")
}

func TestAFileReadBeforeAnotherPinnedTheContractIsReadAgain(t *testing.T) {
	w := newWorld(t)
	a := &Ingester{Lake: w.lake}
	first := must(t, a.Ingest, w.ingestInput(w.land("2013-01.csv", flights(january, 60, 1))))
	renamed := strings.Replace(flights(january.AddDate(0, 1, 0), 60, 2), "carrier", "airline", 1)
	second := must(t, a.Ingest, w.ingestInput(w.land("2013-02.csv", renamed)))
	require.NotEmpty(t, first.Contract)
	require.NotEmpty(t, second.Contract, "both were read while there was none")
	validate := func(f IngestOutput) ValidateOutput {
		return must(t, a.Validate, ValidateInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), File: f})
	}
	require.True(t, validate(first).Accepted)
	out := validate(second)
	require.True(t, out.Again)
	require.False(t, out.Accepted)
	require.Len(t, w.index().Files, 1)

	again := must(t, a.Ingest, w.ingestInput(second.Object))
	out = validate(again)
	require.False(t, out.Again)
	require.Contains(t, out.Reason, "column carrier: missing")
}

func TestFilesReadAtOnceThatAgreeOnTheContractAreAllTaken(t *testing.T) {
	w := newWorld(t)
	a := &Ingester{Lake: w.lake}
	var files []IngestOutput
	for month := range 3 {
		o := w.land(january.AddDate(0, month, 0).Format("2006-01")+".csv", flights(january.AddDate(0, month, 0), 60, uint64(month)))
		files = append(files, must(t, a.Ingest, w.ingestInput(o)))
	}
	for _, f := range files {
		out := must(t, a.Validate, ValidateInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), File: f})
		require.True(t, out.Accepted, out.Reason)
	}
	require.Len(t, w.index().Files, 3)
}

func TestAnObjectsKeyMayBeAsLongAsS3Allows(t *testing.T) {
	w := newWorld(t)
	name := strings.Repeat(strings.Repeat("d", 100)+"/", 9) + "2013-01.csv"
	w.accept(name, flights(january, 60, 1))
	_, out := w.ingest(w.land(strings.Replace(name, "01", "02", 1), "nothing"))
	require.False(t, out.Accepted)
}

func TestStaleDataIsRefusedByFreshness(t *testing.T) {
	w := newWorld(t, "  window: {min_rows: 50}", "  window: {min_rows: 50}\n  expectations: {freshness: 24h}")
	_, out := w.ingest(w.land("old.csv", flights(january, 60, 1)))
	require.False(t, out.Accepted)
	require.Contains(t, out.Reason, "freshness")
	_, out = w.ingest(w.land("new.csv", flights(t0.Add(-60*time.Hour), 60, 1)))
	require.True(t, out.Accepted, out.Reason)
}
