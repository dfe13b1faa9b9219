// Package examples_test holds the example model folders to what they promise: specs that load, and data that keeps
// its own contract.
package examples_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// maxData is how large the data files of one example may be together.
const maxData = 5_000_000

func TestEveryExampleLoads(t *testing.T) {
	specs, err := filepath.Glob("*/model.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, specs)
	for _, name := range specs {
		t.Run(filepath.Dir(name), func(t *testing.T) {
			m, err := spec.Load(name)
			require.NoError(t, err)
			require.Equal(t, filepath.Dir(name), m.Metadata.Name, "a folder is named after its model")
			require.NotNil(t, m.Data.Contract)
		})
	}
}

func TestEveryExamplesDataKeepsItsContract(t *testing.T) {
	specs, err := filepath.Glob("*/model.yaml")
	require.NoError(t, err)
	for _, name := range specs {
		t.Run(filepath.Dir(name), func(t *testing.T) {
			m, err := spec.Load(name)
			require.NoError(t, err)
			files, err := filepath.Glob(filepath.Join(filepath.Dir(name), "data", "*."+m.Data.Format))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			checkFiles(t, m, files)
		})
	}
}

// checkFiles reads the files as they would land, in order: each keeps the contract, and none covers a time that an
// earlier one did.
func checkFiles(t *testing.T, m *spec.Model, files []string) {
	t.Helper()
	var total int64
	var newest time.Time
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		table, info, report, err := dataset.Read(context.Background(), f, dataset.ReadOptions{Name: name, Contract: m.Data.Contract})
		require.NoError(t, f.Close())
		require.NoError(t, err)
		report.Merge(dataset.Check(table, *m.Data.Contract, m.Data.Expectations, time.Time{}, m.Data.Time))
		require.NoError(t, report.Error())
		total += info.Bytes
		if m.Data.Time != "" {
			from, to, err := dataset.EventRange(table, m.Data.Time)
			require.NoError(t, err)
			require.True(t, from.After(newest), "%s starts at %s, an earlier file ends at %s", name, from, newest)
			newest = to
		}
		_, err = dataset.FeatureColumns(table, m.Data)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, total, int64(maxData), "bytes of all files")
}
