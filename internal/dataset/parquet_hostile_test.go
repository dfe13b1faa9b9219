package dataset

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// counting is a Visitor that only counts.
type counting struct{ rows int }

func (c *counting) Begin([]spec.ColumnRule) error { c.rows = 0; return nil }
func (c *counting) Rows(chunk Chunk) error        { c.rows += chunk.Rows; return nil }

// scanWild scans bytes that may be anything, and is how much that allocated in all. What comes out is a table, or a
// *FormatError that isn't the one for a panic.
func scanWild(t *testing.T, b []byte, contract *spec.Contract) uint64 {
	t.Helper()
	o := ReadOptions{Format: Parquet, Contract: contract, Workers: 1, Limits: Limits{Rows: 1 << 14, Columns: 100, Cell: 1 << 12, Bytes: 1 << 22}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := &counting{}
	info, _, err := Scan(t.Context(), Bytes(b), o, c)
	runtime.ReadMemStats(&after)
	if err == nil {
		require.Equal(t, info.Rows, c.rows)
		return after.TotalAlloc - before.TotalAlloc
	}
	var format *FormatError
	require.True(t, errors.As(err, &format), "%v", err)
	require.NotContains(t, format.Observed, "no decoder takes")
	return after.TotalAlloc - before.TotalAlloc
}

// wildAlloc is what one small file may make the reader allocate in all: three passes over chunks of 100 columns.
const wildAlloc = 256 << 20

// wildContract declares columns of the files in testdata as what they aren't.
func wildContract() *spec.Contract {
	c := columns()
	for name, kind := range map[string]string{"text": "number", "ms": "category", "dec38": "text", "f64": "boolean", "i64": "timestamp", "uuid": "category", "delay": "integer"} {
		c.Columns = append(c.Columns, spec.ColumnRule{Name: name, Type: kind, Optional: true})
	}
	return c
}

func TestParquetWithFlippedBitsIsATableOrAFormatError(t *testing.T) {
	stride := 5
	if testing.Short() {
		stride = 37
	}
	for _, name := range []string{"types.parquet", "types_v2.parquet", "pandas.parquet"} {
		b, err := os.ReadFile(filepath.Join("testdata/parquet", name))
		require.NoError(t, err)
		for at := 0; at < len(b); at += stride {
			flipped := bytes.Clone(b)
			flipped[at] ^= byte(1 << (at % 8))
			contract := wildContract()
			if at%2 == 0 {
				contract = nil
			}
			require.Less(t, scanWild(t, flipped, contract), uint64(wildAlloc), "%s, byte %d", name, at)
		}
	}
}

func TestAPanicOfADecoderRefusesTheFile(t *testing.T) {
	s := &parquetScan{o: ReadOptions{Name: "f.parquet"}}
	var format *FormatError
	require.ErrorAs(t, s.guarded(func() error { panic("index out of range") }), &format)
	require.Equal(t, RuleTruncated, format.Rule)
	require.Contains(t, format.Observed, "index out of range")
}

func FuzzParquet(f *testing.F) {
	names, err := filepath.Glob("testdata/parquet/*.parquet")
	require.NoError(f, err)
	require.NotEmpty(f, names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(b, true)
		f.Add(b[:len(b)/2], false)
	}
	f.Fuzz(func(t *testing.T, b []byte, declared bool) {
		var contract *spec.Contract
		if declared {
			contract = wildContract()
		}
		require.Less(t, scanWild(t, b, contract), uint64(wildAlloc))
	})
}
