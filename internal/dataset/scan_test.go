package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

// outcome is everything that a reading says.
type outcome struct {
	table  *Table
	info   Info
	report *Report
	err    string
}

func outcomeOf(b []byte, o ReadOptions) outcome {
	t, info, report, err := Read(context.Background(), bytes.NewReader(b), o)
	out := outcome{table: t, info: info, report: report}
	if err != nil {
		out.err = err.Error()
	}
	return out
}

// requireSameOutcome compares two readings of the same bytes.
func requireSameOutcome(t require.TestingT, want, got outcome, how string) {
	require.Equal(t, want.err, got.err, how)
	require.Equal(t, want.info, got.info, how)
	require.Equal(t, want.report, got.report, how)
	require.Equal(t, want.table == nil, got.table == nil, how)
	if want.table != nil {
		requireSame(t, want.table, got.table)
	}
}

// requireOneOutcome reads bytes by the definition, every row cut by the cutter in one block, and then as fast as can be
// with blocks of any size and several workers: nothing may differ, the place of an error neither.
func requireOneOutcome(t require.TestingT, b []byte, o ReadOptions) {
	o.strict, o.Workers = true, 1
	want := outcomeOf(b, o)
	for _, block := range []int{blockBytes, 1, 7, 64} {
		for _, workers := range []int{1, 3} {
			o.strict, o.block, o.Workers = false, block, workers
			requireSameOutcome(t, want, outcomeOf(b, o), fmt.Sprintf("blocks of %d bytes, %d workers", block, workers))
		}
	}
}

// genCSV draws text that is nearly a table.
var genCSV = rapid.Custom(func(t *rapid.T) []byte {
	var b bytes.Buffer
	columns := rapid.IntRange(1, 4).Draw(t, "columns")
	b.WriteString(strings.Join([]string{"a", "b", "c", "d"}[:columns], ",") + "\n")
	styles := rapid.SliceOfN(rapid.IntRange(0, len(cellStyles)-1), columns, columns).Draw(t, "styles")
	rare := rapid.IntRange(0, 40).Draw(t, "rare")
	for range rapid.IntRange(0, 30).Draw(t, "rows") {
		for i := range columns {
			if i > 0 {
				b.WriteByte(',')
			}
			style := styles[i]
			if rare > 0 && rapid.IntRange(0, 40*rare).Draw(t, "odd") == 0 {
				style = rapid.IntRange(0, len(cellStyles)-1).Draw(t, "style")
			}
			b.WriteString(cellStyles[style].Draw(t, "cell"))
		}
		b.WriteString(rapid.SampledFrom([]string{"\n", "\n", "\n", "\r\n", "\n\n", ",\n", "\r\r\n"}[:rapid.SampledFrom([]int{1, 4, 5, 5, 5, 7}).Draw(t, "ends")]).Draw(t, "end"))
	}
	return b.Bytes()
})

// cellStyles are cells as columns of one sort have them; the last are those of no sort.
var cellStyles = []*rapid.Generator[string]{
	rapid.StringMatching(`-?[0-9]{1,4}\.[0-9]{6}`),
	rapid.StringMatching(`-?[0-9]{1,9}(\.[0-9]{0,18})?`),
	rapid.StringMatching(`-?[0-9]{1,17}`),
	rapid.SampledFrom([]string{"true", "false", "True", "FALSE", ""}),
	rapid.StringMatching(`20[012][0-9]-0[1-9]-[012][0-9]( 1[0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|\+0[0-9]:30)?)?`),
	rapid.SampledFrom([]string{"AA", "UA", "B6", "Zürich ✈", "a longer name of a place", "", "NA"}),
	rapid.StringMatching(`"([a-c ,]|\n|""){0,12}"`),
	rapid.StringMatching(`[a-z]{1,12}`),
	rapid.SampledFrom([]string{"", "NA", "null", "1", "0", "-0", "007", "+1", "1e5", "1e999", "0x1p-2", "1_000", "NaN", "-", ".5", "5.", " 1", "\"", "x\"y", "\"x\"y", "\xff", "\x00", "\r", "12345678901234567890123", "\"1.5\"", "-.", "1.2.3", "9007199254740993", "0.1234567890123456789"}),
}

func TestScanIsTheSameHoweverTheTextIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := genCSV.Draw(t, "text")
		o := ReadOptions{Name: "f.csv", Keep: rapid.IntRange(1, 3).Draw(t, "keep")}
		if rapid.Bool().Draw(t, "declared") {
			o.Contract = &spec.Contract{}
			for _, name := range rapid.Permutation([]string{"a", "b", "c", "d", "e"}).Draw(t, "order")[:3] {
				o.Contract.Columns = append(o.Contract.Columns, spec.ColumnRule{Name: name, Optional: true, Type: rapid.SampledFrom(kindNames()).Draw(t, "type")})
			}
		}
		if rapid.Bool().Draw(t, "limited") {
			o.Limits = Limits{Rows: int64(rapid.IntRange(1, 20).Draw(t, "rows")), Row: rapid.IntRange(5, 60).Draw(t, "row"), Cell: rapid.IntRange(3, 20).Draw(t, "cell"), Columns: 4}
		}
		requireOneOutcome(t, b, o)
	})
}

// witness notes what a visitor is told.
type witness struct {
	begins  []string // the kinds of each
	rows    []int64  // since the last
	columns collector
	fail    error // from Rows
}

func (w *witness) Begin(columns []spec.ColumnRule) error {
	var kinds []string
	for _, c := range columns {
		kinds = append(kinds, c.Type)
	}
	w.begins = append(w.begins, strings.Join(kinds, " "))
	w.rows = nil
	return w.columns.Begin(columns)
}

func (w *witness) Rows(c Chunk) error {
	w.rows = append(w.rows, c.First)
	return errors.Join(w.fail, w.columns.Rows(c))
}

// opened counts how often a source is.
type opened struct {
	Source
	times int
}

func (o *opened) Open() (io.ReadCloser, error) {
	o.times++
	return o.Source.Open()
}

func TestScanReadsAgainWhereALaterCellContradicts(t *testing.T) {
	many := func(n int, cell func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(cell(i) + "\n")
		}
		return b.String()
	}
	same := func(cell string) func(int) string { return func(int) string { return cell } }
	tests := map[string]struct {
		cells string
		want  []string // the kinds told
		open  int
	}{
		"nothing contradicts":                       {many(200, same("1")), []string{"integer"}, 1},
		"an integer becomes a number":               {many(200, same("1")) + "1.5\n", []string{"integer", "number"}, 2},
		"a number becomes text of many values":      {many(200, same("1")) + many(300, func(i int) string { return fmt.Sprint("x", i) }), []string{"integer", "category", "text"}, 3},
		"a number becomes a category":               {many(200, same("1.5")) + many(200, same("x")), []string{"number", "category"}, 2},
		"a number of many values becomes text":      {many(200, func(i int) string { return fmt.Sprint(i) }) + "x\n", []string{"integer", "text"}, 2},
		"nothing becomes an integer":                {many(200, same("NA")) + "7\n", []string{"text", "integer"}, 2},
		"nothing becomes a category":                {many(200, same("NA")) + "x\n", []string{"text", "category"}, 2},
		"a boolean becomes a category":              {many(200, same("true")) + "1\n", []string{"boolean", "category"}, 2},
		"a date becomes a category":                 {many(200, same("2013-01-02")) + "02/01/2013\n", []string{"timestamp", "category"}, 2},
		"a category becomes text":                   {many(100, same("x")) + many(400, func(i int) string { return fmt.Sprint("x", i) }), []string{"category", "text"}, 2},
		"text becomes a category":                   {many(40, func(i int) string { return fmt.Sprint("x", i) }) + many(200, same("x1")), []string{"text", "category"}, 2},
		"a category of a thousand values":           {many(4000, func(i int) string { return fmt.Sprint("x", i/2%1000) }), []string{"category"}, 1},
		"more digits than a float64 keeps, late on": {many(200, same("1")) + "12345678901234567890\n", []string{"integer", "category"}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := "a\n" + test.cells
			for _, workers := range []int{1, 3} {
				spool := Spooled(strings.NewReader(text), t.TempDir())
				for how, src := range map[string]Source{"bytes": Bytes([]byte(text)), "a spool": spool} {
					w, from := &witness{}, &opened{Source: src}
					info, report, err := Scan(t.Context(), from, ReadOptions{Name: "f.csv", Workers: workers, block: 128}, w)
					require.NoError(t, err)
					require.NoError(t, report.Error())
					require.Equal(t, test.want, w.begins, how)
					require.Equal(t, test.open, from.times, how)
					require.Equal(t, test.want[len(test.want)-1], info.Columns[0].Type)
					require.Equal(t, strings.Count(test.cells, "\n"), info.Rows)
					requireSame(t, mustRead(t, text), w.columns.table())
					require.IsIncreasing(t, append([]int64{-1}, w.rows...), "chunks are in order")
				}
				require.NoError(t, spool.Close())
			}
		})
	}
}

func TestScanNoticesAnObjectThatChangedBetweenTwoReadings(t *testing.T) {
	first, second := "a\n"+strings.Repeat("1\n", 200)+"1.5\n", "a\n"+strings.Repeat("2\n", 200)+"1.5\n"
	src := &changing{texts: []string{first, second}}
	_, _, err := Scan(t.Context(), src, ReadOptions{Name: "f.csv", block: 64}, nobody{})
	require.ErrorContains(t, err, "changed between two readings")
}

// changing is another object each time.
type changing struct{ texts []string }

func (c *changing) Open() (io.ReadCloser, error) {
	text := c.texts[0]
	c.texts = c.texts[1:]
	return io.NopCloser(strings.NewReader(text)), nil
}

func TestScanEndsWithTheVisitorsErrorAndLeavesNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	enough := errors.New("enough")
	text := []byte("a\n" + strings.Repeat("1\n", 10_000))
	for _, workers := range []int{1, 2, 8} {
		w := &witness{fail: enough}
		_, _, err := Scan(t.Context(), Bytes(text), ReadOptions{Name: "f.csv", Workers: workers, block: 64}, Visitors(&witness{}, w))
		require.ErrorIs(t, err, enough)
		require.Len(t, w.rows, 1)
	}
}

// canceller ends its context after some chunks.
type canceller struct {
	witness
	cancel context.CancelFunc
	after  int
}

func (c *canceller) Rows(Chunk) error {
	if c.after--; c.after == 0 {
		c.cancel()
	}
	return nil
}

func TestScanEndsWithItsContextAndLeavesNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, workers := range []int{1, 4} {
		ctx, cancel := context.WithCancel(t.Context())
		c := &canceller{cancel: cancel, after: 3}
		src := once{&endless{head: "a\n", body: "1\n", left: math.MaxInt64}}
		info, _, err := Scan(ctx, src, ReadOptions{Name: "f.csv", Workers: workers, Contract: columns(spec.ColumnRule{Name: "a", Type: "number"}), block: 4096}, c)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, info.SHA256)
		require.LessOrEqual(t, -c.after, 1, "chunks after the context ended")
	}
}

// gauge is the largest heap that a scan had.
type gauge struct {
	most  uint64
	calls int
}

func (g *gauge) Begin([]spec.ColumnRule) error { return nil }

func (g *gauge) Rows(Chunk) error {
	if g.calls++; g.calls%16 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		g.most = max(g.most, m.HeapInuse)
	}
	return nil
}

func TestScanNeedsNoMoreMemoryForALargerObject(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a gigabyte")
	}
	body := strings.TrimPrefix(string(normals(1000, 20, 6)), strings.Join(header20(), ",")+"\n")
	for _, contract := range []*spec.Contract{allOf(20, "number"), allOf(20, "text")} {
		for _, size := range []int64{100 << 20, 400 << 20} {
			runtime.GC() // what earlier tests left isn't the scan's
			g := &gauge{}
			_, _, err := Scan(t.Context(), once{&endless{head: strings.Join(header20(), ",") + "\n", body: body, left: size}}, ReadOptions{Name: "f.csv", Contract: contract, Workers: 2}, g)
			require.NoError(t, err)
			require.Less(t, g.most, uint64(100<<20))
			t.Logf("%s of %d MB: at most %d MB of heap", contract.Columns[0].Type, size>>20, g.most>>20)
		}
	}
}

func header20() []string {
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	return names
}

// FuzzScan reads any bytes in every format, declared and inferred: no panic, a refusal is a *FormatError with the digest
// of the whole object, and text is read the same however it is cut.
func FuzzScan(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.csv*")
	require.NoError(f, err)
	for _, path := range files {
		b, err := os.ReadFile(path)
		require.NoError(f, err)
		format, err := FormatOf(path)
		require.NoError(f, err)
		f.Add(b, format, true)
		f.Add(b, format, false)
	}
	limits := Limits{Bytes: 1 << 20, Rows: 1000, Row: 1 << 12, Cell: 1 << 10, Columns: 100}
	f.Fuzz(func(t *testing.T, b []byte, format string, declared bool) {
		if !slices.Contains(formats(), format) {
			return
		}
		o := ReadOptions{Name: "f", Format: format, Limits: limits, Workers: 2}
		if declared {
			o.Contract = columns(spec.ColumnRule{Name: "carrier", Type: "category", Optional: true},
				spec.ColumnRule{Name: "delay", Type: "number", Optional: true}, spec.ColumnRule{Name: "n", Type: "timestamp", Optional: true})
		}
		info, _, err := Scan(t.Context(), Bytes(b), o, nobody{})
		var bad *FormatError
		if err != nil {
			require.ErrorAs(t, err, &bad)
			require.NotEmpty(t, info.SHA256)
		}
		if format == CSV {
			requireOneOutcome(t, b, o)
		}
	})
}
