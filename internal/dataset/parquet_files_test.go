package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// gathering keeps all rows of a scan.
type gathering struct {
	columns []spec.ColumnRule
	parts   []*Table
	begun   int
}

func (g *gathering) Begin(columns []spec.ColumnRule) error {
	g.columns, g.parts = columns, nil
	g.begun++
	return nil
}

// Rows overwrites the chunk when it has a copy, as whoever fills the next one will.
func (g *gathering) Rows(c Chunk) error {
	rows := make([]int, c.Rows)
	for i := range rows {
		rows[i] = i
	}
	copied := c.Select(rows)
	for i := range c.Columns {
		clear(c.Columns[i].Floats)
		clear(c.Columns[i].Codes)
		clear(c.Columns[i].Times)
	}
	g.parts = append(g.parts, copied)
	return nil
}

// scanned is the table of a Parquet file.
func scanned(t *testing.T, b []byte, o ReadOptions) (*Table, *gathering, Info, *Report, error) {
	t.Helper()
	g := &gathering{}
	if o.Name == "" {
		o.Name = "flights.parquet"
	}
	info, report, err := Scan(t.Context(), Bytes(b), o, g)
	if err != nil {
		return nil, g, info, report, err
	}
	table, err := Concat(g.parts...)
	require.NoError(t, err)
	for i, rule := range g.columns {
		require.Equal(t, rule.Name, table.Columns[i].Name)
		require.Equal(t, rule.Type, table.Columns[i].Kind.String(), "column %s", rule.Name)
	}
	require.Equal(t, g.columns, info.Columns)
	require.Equal(t, info.Rows, table.Rows)
	return table, g, info, report, nil
}

// nullable are a column's values as text; nil is null.
func nullable(c *Column) []*string {
	out := make([]*string, c.Len())
	for row := range out {
		if !c.Null(row) {
			text := string(c.appendCell(nil, row))
			out[row] = &text
		}
	}
	return out
}

// expectedColumn is what testdata/parquet/make.py wrote.
type expectedColumn struct {
	Kind   string    `json:"kind"`
	Values []*string `json:"values"`
}

func TestParquetFilesOfOtherWriters(t *testing.T) {
	b, err := os.ReadFile("testdata/parquet/expected.json")
	require.NoError(t, err)
	var files map[string]map[string]expectedColumn
	require.NoError(t, json.Unmarshal(b, &files))
	for name, columns := range files {
		if len(columns) == 0 {
			continue // another test's
		}
		for _, workers := range []int{1, 3} {
			t.Run(name+" with workers "+strconv.Itoa(workers), func(t *testing.T) {
				file, err := os.ReadFile(filepath.Join("testdata/parquet", name))
				require.NoError(t, err)
				table, _, info, report, err := scanned(t, file, ReadOptions{Workers: workers})
				require.NoError(t, err)
				require.Empty(t, report.Failures)
				sum := sha256.Sum256(file)
				require.Equal(t, hex.EncodeToString(sum[:]), info.SHA256)
				require.EqualValues(t, len(file), info.Bytes)
				require.Len(t, table.Columns, len(columns))
				for column, want := range columns {
					got, ok := table.Column(column)
					require.True(t, ok, column)
					require.Equal(t, want.Kind, got.Kind.String(), column)
					require.Equal(t, want.Values, nullable(got), column)
				}
			})
		}
	}
}

func TestParquetColumnsThatAreNoTablesAreRefusedByName(t *testing.T) {
	b, err := os.ReadFile("testdata/parquet/nested.parquet")
	require.NoError(t, err)
	_, _, info, _, err := scanned(t, b, ReadOptions{})
	var format *FormatError
	require.ErrorAs(t, err, &format)
	require.Equal(t, FormatError{Name: "flights.parquet", Rule: RuleType, Column: "tags", Observed: "a list",
		Limit: "a column of single values; with a contract, columns that it doesn't list are ignored"}, *format)
	require.NotEmpty(t, info.SHA256, "a refusal names the object's digest")

	table, _, info, report, err := scanned(t, b, ReadOptions{Contract: columns(spec.ColumnRule{Name: "label", Type: "category"}, spec.ColumnRule{Name: "n", Type: "number"})})
	require.NoError(t, err)
	require.NoError(t, report.Error())
	require.Equal(t, []string{"tags", "place", "options", "clock", "fixed"}, info.Ignored)
	require.Equal(t, []string{"x", "y"}, texts(t, table, "label"))

	all := columns()
	for _, name := range []string{"tags", "place", "options", "clock", "fixed", "n", "gate"} {
		all.Columns = append(all.Columns, spec.ColumnRule{Name: name, Type: "category"})
	}
	all.Strict = true
	table, _, report, err = Read(t.Context(), bytes.NewReader(b), ReadOptions{Format: Parquet, Contract: all})
	require.NoError(t, err)
	require.Equal(t, []string{"tags", "place", "options", "clock", "fixed", "n"}, table.Names())
	require.Equal(t, []string{"-", "-"}, texts(t, table, "tags"))
	report.Merge(Check(table, *all, spec.Expectations{}, epoch, ""))
	var got []string
	for _, f := range report.Failures {
		got = append(got, f.String())
	}
	require.Equal(t, []string{
		"column tags: type: observed a list, want category",
		"column place: type: observed a struct, want category",
		"column options: type: observed a map, want category",
		"column clock: type: observed a time of day (TIME), want category",
		"column fixed: type: observed bytes of no known meaning (FIXED_LEN_BYTE_ARRAY), want category",
		"column gate: missing: observed columns n, tags, place, options, clock, fixed, label, want a column gate",
		"column label: unexpected: observed a column label, want only the contract's columns, since it is strict",
	}, got)
}

// stream hides that bytes can be read at any place.
type stream struct{ b []byte }

func (s stream) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(bytes.NewReader(s.b[:7]), bytes.NewReader(s.b[7:]))), nil
}

func TestParquetIsReadFromEverySource(t *testing.T) {
	const name = "testdata/parquet/types.parquet"
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	sum := sha256.Sum256(b)
	spool := Spooled(bytes.NewReader(b), t.TempDir())
	defer func() { require.NoError(t, spool.Close()) }()
	temp := t.TempDir()
	for kind, source := range map[string]Source{"a file": File(name), "memory": Bytes(b), "a spool": spool, "a stream": stream{b}} {
		for _, workers := range []int{1, 2} {
			t.Run(kind, func(t *testing.T) {
				g := &gathering{}
				info, report, err := Scan(t.Context(), source, ReadOptions{Name: "f.parquet", Workers: workers, TempDir: temp}, g)
				require.NoError(t, err)
				require.True(t, report.OK())
				require.Equal(t, hex.EncodeToString(sum[:]), info.SHA256)
				require.EqualValues(t, len(b), info.Bytes)
				require.Equal(t, 3, info.Rows)
				require.EqualValues(t, 3, report.Rows)
				left, err := os.ReadDir(temp)
				require.NoError(t, err)
				require.Empty(t, left, "the copy is gone")
			})
		}
	}
}
