package dataset

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
