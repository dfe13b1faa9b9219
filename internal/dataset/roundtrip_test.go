package dataset

import (
	"bytes"
	"encoding/csv"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

// genTable draws a table with a column of each of some kinds, in any order, with nulls and awkward values.
func genTable(t *rapid.T) *Table {
	kinds := rapid.SliceOfN(rapid.SampledFrom([]Kind{Number, Integer, Category, Text, Boolean, Timestamp}), 1, 5).Draw(t, "kinds")
	rows := rapid.IntRange(1, 12).Draw(t, "rows")
	names := rapid.SliceOfNDistinct(genText, len(kinds), len(kinds), rapid.ID[string]).Draw(t, "names")
	table := &Table{Rows: rows}
	for i, kind := range kinds {
		column, dict := Column{Name: names[i], Kind: kind}, newDictionary()
		column.grow(rows)
		for range rows {
			appendValue(t, &column, dict)
		}
		column.Dict = dict.values
		table.Columns = append(table.Columns, column)
	}
	return table
}

// genText draws text that isn't empty, with everything that CSV must quote.
var genText = rapid.OneOf(
	rapid.SampledFrom([]string{"NA", "null", "007", ",", "\"", "\n", "\r", "\r\n", " ", "a,b", "\"\"", "\xef\xbb\xbfx", "\x1f", "=1+1", "1.5", "true", "é✈"}),
	rapid.StringMatching(`[a-c",\r\n ]{1,8}`),
)

// appendValue draws one value.
func appendValue(t *rapid.T, c *Column, dict *dictionary) {
	if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		c.appendNulls(1)
		return
	}
	switch c.Kind {
	case Number:
		v := rapid.Float64().Draw(t, "number")
		if math.IsNaN(v) || math.IsInf(v, 0) {
			v = math.Copysign(0, -1)
		}
		c.Floats = append(c.Floats, v)
	case Integer:
		c.Floats = append(c.Floats, float64(rapid.Int64Range(-maxInteger, maxInteger).Draw(t, "integer")))
	case Boolean:
		c.Floats = append(c.Floats, float64(rapid.IntRange(0, 1).Draw(t, "boolean")))
	case Timestamp:
		c.Times = append(c.Times, rapid.Int64Range(-9_000_000_000_000_000_000, 9_000_000_000_000_000_000).Draw(t, "time"))
	default:
		c.Codes = append(c.Codes, dict.codeString(genText.Draw(t, "text")))
	}
}

// declared is the contract that names a table's columns and kinds.
func declared(table *Table) *spec.Contract {
	c := &spec.Contract{Strict: true}
	for i := range table.Columns {
		c.Columns = append(c.Columns, spec.ColumnRule{Name: table.Columns[i].Name, Type: table.Columns[i].Kind.String(), Nullable: true})
	}
	return c
}

// requireSame compares tables value by value, numbers by their bits.
func requireSame(t require.TestingT, want, got *Table) {
	require.Equal(t, want.Rows, got.Rows)
	require.Equal(t, want.Names(), got.Names())
	for i := range want.Columns {
		a, b := &want.Columns[i], &got.Columns[i]
		require.Equal(t, a.Kind, b.Kind)
		require.Equal(t, want.Rows, b.Len())
		for row := range want.Rows {
			require.Equal(t, a.Null(row), b.Null(row), "column %q row %d", a.Name, row)
			if a.Null(row) {
				continue
			}
			require.Equal(t, string(a.appendCell(nil, row)), string(b.appendCell(nil, row)))
			if a.Kind.numeric() {
				require.Equal(t, math.Float64bits(a.Floats[row]), math.Float64bits(b.Floats[row]))
			}
		}
	}
}

func TestReadOfWriteCSVIsTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := genTable(t)
		var b bytes.Buffer
		require.NoError(t, WriteCSV(&b, table))
		again, _, report, err := Read(t.Context(), &b, ReadOptions{Name: "f.csv", Contract: declared(table)})
		require.NoError(t, err)
		require.NoError(t, report.Error())
		requireSame(t, table, again)
	})
}

func TestWriteCSVRefusesWhatCannotBeReadBack(t *testing.T) {
	var b bytes.Buffer
	require.ErrorContains(t, WriteCSV(&b, &Table{}), "no columns")
	require.ErrorContains(t, WriteCSV(&b, &Table{Rows: 1, Columns: []Column{{Name: "a", Floats: []float64{math.Inf(1)}}}}), "column a, row 1: observed +Inf")
	require.ErrorContains(t, WriteCSV(&b, &Table{Rows: 1, Columns: []Column{{Floats: []float64{1}}}}), "no name")
}

func TestConcatIsTheRowsOfAllInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := genTable(t)
		cut := rapid.IntRange(0, table.Rows).Draw(t, "cut")
		rows := make([]int, table.Rows)
		for i := range rows {
			rows[i] = i
		}
		both, err := Concat(table.Select(rows[:cut]), table.Select(rows[cut:]))
		require.NoError(t, err)
		requireSame(t, table, both)
	})
}

func TestConcatOfDifferentColumns(t *testing.T) {
	a, b := mustRead(t, "x,n\nu,1\nv,2\n"), mustRead(t, "n,y,x\n0.5,1,v\n1,2,w\n")
	both, err := Concat(a, b)
	require.NoError(t, err)
	require.Equal(t, []string{"x", "n", "y"}, both.Names())
	require.Equal(t, []string{"u", "v", "v", "w"}, texts(t, both, "x"))
	require.Equal(t, []string{"1", "2", "0.5", "1"}, texts(t, both, "n"))
	require.Equal(t, []string{"-", "-", "1", "2"}, texts(t, both, "y"))
	require.Equal(t, []string{"u", "v", "w"}, both.Columns[0].Dict)

	_, err = Concat(a, mustRead(t, "x\n2013-01-01\n"))
	var data *DataError
	require.ErrorAs(t, err, &data)
	require.Equal(t, "x", data.Column)
}

func TestProjectAndSelect(t *testing.T) {
	table := mustRead(t, "a,b\nx,1\ny,2\n")
	some, err := table.Select([]int{1, 0, 1}).Project([]string{"b"})
	require.NoError(t, err)
	require.Equal(t, []string{"2", "1", "2"}, texts(t, some, "b"))
	require.Equal(t, []string{"b"}, some.Names())
	_, err = table.Project([]string{"c"})
	require.ErrorContains(t, err, "one of a, b")
}

// FuzzRead holds the reader to three things on any bytes: it doesn't panic, what it takes it gives back after
// WriteCSV, and it cuts cells as encoding/csv does wherever both take the text.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"a,b\nx,1\n", "a\n\"\"\n", "\xef\xbb\xbfa,b\r\n\"x\r\ny\",\"\"\"\"\r\n", "a,b\n1,\"2\n", "a,a\n", "a\n2013-01-01T00:00:00Z\n", "a\n1e999\n-0\n",
		"a,b\n1,2,3\n", "a\n\xff\n", "a\n\x00\n", "a\ntrue\nFalse\n", "a\n\r\r\n", ",\n1,2\n", "a,b\n\"x\"y,1\n", "a\n9007199254740993\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := ReadOptions{Name: "f.csv", Limits: Limits{Row: 1 << 16, Cell: 1 << 12, Columns: 100}}
		table, info, report, err := Read(t.Context(), bytes.NewReader(b), o)
		if err != nil {
			var format *FormatError
			require.ErrorAs(t, err, &format)
			require.NotEmpty(t, info.SHA256)
			return
		}
		require.NoError(t, report.Error())
		var written bytes.Buffer
		require.NoError(t, WriteCSV(&written, table))
		o.Contract = declared(table)
		again, _, report, err := Read(t.Context(), &written, o)
		require.NoError(t, err)
		require.NoError(t, report.Error())
		requireSame(t, table, again)
		requireSameCells(t, string(b))
	})
}

// requireSameCells compares the scanner with encoding/csv, which drops carriage returns before line feeds inside
// quotes, and takes those before the end of a cell for part of the line end.
func requireSameCells(t *testing.T, text string) {
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	if strings.Contains(text, "\r") {
		return
	}
	want, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(t, err)
	c := cutter{name: "f.csv", limits: DefaultLimits()}
	rest := []byte(strings.TrimSuffix(text, "\n") + "\n")
	for _, cells := range want {
		var got [][]byte
		for got == nil {
			next, length, bad := c.row(rest, 1)
			require.Nil(t, bad)
			got, rest = next, rest[length:]
		}
		require.Len(t, got, len(cells))
		for i := range cells {
			require.Equal(t, cells[i], string(got[i]))
		}
	}
}
