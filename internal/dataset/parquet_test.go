package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

// stored is a column as parquet-go writes it. A value that is nil is null; the node has to be optional then.
type stored struct {
	name   string
	node   pq.Node
	values []any
}

// parquetOf is a Parquet file. Its columns are in the order of their names.
func parquetOf(t require.TestingT, columns []stored, options ...pq.WriterOption) []byte {
	slices.SortFunc(columns, func(a, b stored) int { return strings.Compare(a.name, b.name) })
	schema := pq.Group{}
	for _, c := range columns {
		schema[c.name] = c.node
	}
	var b bytes.Buffer
	w := pq.NewWriter(&b, append([]pq.WriterOption{pq.NewSchema("table", schema)}, options...)...)
	rows := make([]pq.Row, len(columns[0].values))
	for i := range rows {
		for k, c := range columns {
			value, level := pq.NullValue(), 0
			if c.values[i] != nil {
				value = pq.ValueOf(c.values[i])
				if c.node.Optional() {
					level = 1
				}
			}
			rows[i] = append(rows[i], value.Level(0, level, k))
		}
	}
	_, err := w.WriteRows(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// int96 is a time as Spark wrote it.
func int96(julianDay uint32, nanos uint64) deprecated.Int96 {
	return deprecated.Int96{uint32(nanos), uint32(nanos >> 32), julianDay}
}

func TestParquetCellsOfADeclaredType(t *testing.T) {
	i64, f64, text := pq.Leaf(pq.Int64Type), pq.Leaf(pq.DoubleType), pq.String()
	null, day := pq.Optional, pq.Date()
	tests := map[string]struct {
		node   pq.Node
		values []any
		kind   string
		want   []string // "-" is null
		fail   string   // the failure, "" for none
	}{
		"whole numbers as numbers":           {i64, []any{int64(1), int64(1<<53 + 1)}, "number", []string{"1", "9007199254740992"}, ""},
		"whole numbers beyond 2^53":          {i64, []any{int64(1 << 53), int64(1<<53 + 1), int64(math.MinInt64)}, "integer", []string{"9007199254740992", "-", "-"}, `observed "9007199254740993", want a whole number within ±2^53 (2 rows: 2, 3)`},
		"unsigned numbers beyond 2^53":       {pq.Uint(64), []any{uint64(5), uint64(math.MaxUint64)}, "integer", []string{"5", "-"}, `observed "18446744073709551615", want a whole number within ±2^53 (row 2)`},
		"unsigned numbers of 32 bits":        {pq.Uint(32), []any{uint32(math.MaxUint32)}, "integer", []string{"4294967295"}, ""},
		"whole numbers as names":             {i64, []any{int64(-7), int64(1<<53 + 1)}, "category", []string{"-7", "9007199254740993"}, ""},
		"zeros and ones as booleans":         {null(i64), []any{int64(1), nil, int64(0)}, "boolean", []string{"true", "-", "false"}, ""},
		"a two as a boolean":                 {i64, []any{int64(1), int64(2)}, "boolean", []string{"true", "-"}, `observed "2", want true, false, 1 or 0 (row 2)`},
		"whole numbers as times":             {i64, []any{int64(20130101)}, "timestamp", []string{"-"}, `observed "20130101", want a time such as`},
		"NaN is null":                        {f64, []any{math.NaN(), 1.5}, "number", []string{"-", "1.5"}, ""},
		"NaN is null among names":            {f64, []any{math.NaN(), 1.5}, "category", []string{"-", "1.5"}, ""},
		"NaN is null among times":            {f64, []any{math.NaN()}, "timestamp", []string{"-"}, ""},
		"infinities are refused":             {f64, []any{math.Inf(1), 1.5, math.Inf(-1)}, "number", []string{"-", "1.5", "-"}, `observed "+Inf", want a finite decimal number (2 rows: 1, 3)`},
		"infinities are no names":            {f64, []any{math.Inf(1), 1.5}, "category", []string{"-", "1.5"}, `observed "+Inf", want category (row 1)`},
		"whole floats as integers":           {f64, []any{3.0, 3.5, 1e300}, "integer", []string{"3", "-", "-"}, `observed "3.5", want a whole number within ±2^53 (2 rows: 2, 3)`},
		"floats as names":                    {f64, []any{1234567.0, 0.1}, "text", []string{"1234567", "0.1"}, ""},
		"booleans":                           {pq.Leaf(pq.BooleanType), []any{true, false}, "boolean", []string{"true", "false"}, ""},
		"booleans as names":                  {pq.Leaf(pq.BooleanType), []any{true, false}, "category", []string{"true", "false"}, ""},
		"booleans are no numbers":            {pq.Leaf(pq.BooleanType), []any{true, false}, "number", []string{"-", "-"}, `observed "true", want a finite decimal number (2 rows: 1, 2)`},
		"text as numbers":                    {null(text), []any{"1.5", nil, "", "NA", "late", "1e999"}, "number", []string{"1.5", "-", "-", "-", "-", "-"}, `observed "late", want a finite decimal number (2 rows: 5, 6)`},
		"text as integers":                   {text, []any{"3.0", "3.5"}, "integer", []string{"3", "-"}, `observed "3.5"`},
		"text as times":                      {text, []any{"2013-01-01 05:15:00", "noon"}, "timestamp", []string{"2013-01-01T05:15:00Z", "-"}, `observed "noon"`},
		"text as booleans":                   {text, []any{"True", "yes"}, "boolean", []string{"true", "-"}, `observed "yes"`},
		"empty text is null, NA is a name":   {null(text), []any{"", "NA", nil}, "category", []string{"-", "NA", "-"}, ""},
		"text in a dictionary as numbers":    {pq.Encoded(null(text), &pq.RLEDictionary), []any{"1", nil, "x", "1", "x", "NA"}, "number", []string{"1", "-", "-", "1", "-", "-"}, `observed "x", want a finite decimal number (2 rows: 3, 5)`},
		"floats in a dictionary":             {pq.Encoded(null(f64), &pq.RLEDictionary), []any{1.5, nil, math.Inf(1), 1.5, math.NaN()}, "number", []string{"1.5", "-", "-", "1.5", "-"}, `observed "+Inf", want a finite decimal number (row 3)`},
		"times in a dictionary as names":     {pq.Encoded(null(day), &pq.RLEDictionary), []any{int32(0), nil, int32(0)}, "category", []string{"1970-01-01", "-", "1970-01-01"}, ""},
		"dates":                              {day, []any{int32(-1), int32(106752)}, "timestamp", []string{"1969-12-31T00:00:00Z", "-"}, `observed "2262-04-12", want a time such as`},
		"dates before the year 0":            {day, []any{int32(math.MinInt32)}, "text", []string{"-"}, `observed "-185542587187200 s after 1970"`},
		"milliseconds beyond the years":      {pq.Timestamp(pq.Millisecond), []any{int64(-9214560000000), int64(-9214560000001), int64(9214646399999), int64(9214646400000), int64(math.MaxInt64)}, "timestamp", []string{"1678-01-01T00:00:00Z", "-", "2261-12-31T23:59:59.999Z", "-", "-"}, `observed "1677-12-31T23:59:59.999Z", want a time such as 2006-01-02 or 2006-01-02T15:04:05Z (3 rows: 2, 4, 5)`},
		"nanoseconds before 1970":            {pq.Timestamp(pq.Nanosecond), []any{int64(-1)}, "timestamp", []string{"1969-12-31T23:59:59.999999999Z"}, ""},
		"times are no numbers":               {pq.Timestamp(pq.Microsecond), []any{int64(0)}, "number", []string{"-"}, `observed "1970-01-01T00:00:00Z", want a finite decimal number`},
		"Spark's times":                      {pq.Leaf(pq.Int96Type), []any{int96(2456294, 18900e9), int96(2440588, 86400e9)}, "timestamp", []string{"2013-01-01T05:15:00Z", "-"}, `(row 2)`},
		"decimals":                           {pq.Decimal(2, 9, pq.Int32Type), []any{int32(1230), int32(-1)}, "number", []string{"12.3", "-0.01"}, ""},
		"decimals of bytes":                  {pq.Decimal(3, 20, pq.ByteArrayType), []any{[]byte{0xff}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{}}, "number", []string{"-0.001", "1.844674407370955e+16", "0"}, ""},
		"decimals as integers":               {pq.Decimal(2, 18, pq.Int64Type), []any{int64(1200), int64(1250)}, "integer", []string{"12", "-"}, `observed "12.5", want a whole number`},
		"decimals as names keep their digit": {pq.Decimal(2, 18, pq.Int64Type), []any{int64(123456789012345678), int64(-5)}, "category", []string{"1234567890123456.78", "-0.05"}, ""},
		"JSON is text":                       {pq.JSON(), []any{[]byte(`{"a": 1}`)}, "text", []string{`{"a": 1}`}, ""},
		"an enum is text":                    {pq.Enum(), []any{[]byte("RED")}, "category", []string{"RED"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := parquetOf(t, []stored{{"a", test.node, test.values}})
			table, _, _, report, err := scanned(t, b, ReadOptions{Contract: columns(spec.ColumnRule{Name: "a", Type: test.kind})})
			require.NoError(t, err)
			require.Equal(t, test.want, texts(t, table, "a"))
			if test.fail == "" {
				require.Empty(t, report.Failures)
				return
			}
			require.Len(t, report.Failures, 1)
			require.Contains(t, report.Failures[0].String(), test.fail)
			require.Contains(t, report.Failures[0].String(), "column a: type: ")
		})
	}
}

func TestParquetTextIsHeldToWhatATextIs(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		want  FormatError
	}{
		"a NUL byte":      {"x\x00y", FormatError{Rule: RuleEncoding, Observed: "a NUL byte", Limit: "text"}},
		"invalid UTF-8":   {"\xff", FormatError{Rule: RuleEncoding, Observed: `invalid UTF-8 in "\xff"`, Limit: "UTF-8"}},
		"a cell too long": {strings.Repeat("x", 21), FormatError{Rule: RuleLimit, Observed: "21 bytes in a cell", Limit: "at most 20"}},
	} {
		for encoding, node := range map[string]pq.Node{
			"plain": pq.String(), "dictionary": pq.Encoded(pq.String(), &pq.RLEDictionary),
			"lengths": pq.Encoded(pq.String(), &pq.DeltaLengthByteArray), "prefixes": pq.Encoded(pq.String(), &pq.DeltaByteArray),
		} {
			t.Run(name+" "+encoding, func(t *testing.T) {
				b := parquetOf(t, []stored{{"a", node, []any{"good", test.value}}})
				_, _, info, _, err := scanned(t, b, ReadOptions{Limits: Limits{Cell: 20}})
				var format *FormatError
				require.ErrorAs(t, err, &format)
				test.want.Name, test.want.Column = "flights.parquet", "a"
				require.Equal(t, test.want, *format)
				require.NotEmpty(t, info.SHA256)
			})
		}
	}
}

func TestParquetRefusesWhatIsNoTable(t *testing.T) {
	good := parquetOf(t, []stored{{"a", pq.Leaf(pq.Int64Type), []any{int64(1), int64(2), int64(3)}}})
	for name, test := range map[string]struct {
		b      []byte
		limits Limits
		want   FormatError // without Name
	}{
		"nothing":        {b: nil, want: FormatError{Rule: RuleEmpty, Observed: "no bytes", Limit: "a header and at least one row"}},
		"no rows":        {b: parquetOf(t, []stored{{"a", pq.String(), nil}}), want: FormatError{Rule: RuleEmpty, Observed: "a schema only", Limit: "a header and at least one row"}},
		"a text":         {b: []byte("a,b\n1,2\n3,4\n"), want: FormatError{Rule: RuleTruncated, Observed: `"a,b\n" as the first bytes`, Limit: "PAR1"}},
		"cut off":        {b: good[:len(good)-1], want: FormatError{Rule: RuleTruncated, Observed: fmt.Sprintf("%q as the last bytes", good[len(good)-5:len(good)-1]), Limit: "PAR1; was the file cut off?"}},
		"too many rows":  {b: good, limits: Limits{Rows: 2}, want: FormatError{Rule: RuleLimit, Observed: "3 rows", Limit: "at most 2"}},
		"too many bytes": {b: good, limits: Limits{Bytes: 100}, want: FormatError{Rule: RuleLimit, Observed: "more than 100 stored bytes", Limit: "at most 100"}},
		"no name":        {b: parquetOf(t, []stored{{"", pq.String(), []any{"x"}}}), want: FormatError{Rule: RuleHeader, Column: "#1", Observed: "no name", Limit: "a name"}},
		"too many columns": {b: parquetOf(t, []stored{{"a", pq.String(), []any{"x"}}, {"b", pq.String(), []any{"x"}}}), limits: Limits{Columns: 1},
			want: FormatError{Rule: RuleLimit, Observed: "2 columns", Limit: "at most 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, _, err := scanned(t, test.b, ReadOptions{Limits: test.limits})
			var format *FormatError
			require.ErrorAs(t, err, &format)
			test.want.Name = "flights.parquet"
			require.Equal(t, test.want, *format)
		})
	}
}

// numbered are n values.
func numbered(n int, value func(i int) any) []any {
	values := make([]any, n)
	for i := range values {
		values[i] = value(i)
	}
	return values
}

func TestParquetKindsAreThoseOfAllRows(t *testing.T) {
	const n = 20_000
	text := func(distinct func(i int) int) []any {
		return numbered(n, func(i int) any { return "name " + strconv.Itoa(distinct(i)) })
	}
	b := parquetOf(t, []stored{
		{"few", pq.String(), text(func(i int) int { return i % 20 })},
		{"id", pq.Leaf(pq.Int64Type), numbered(n, func(i int) any { return int64(i) })},
		{"late_id", pq.Leaf(pq.Int64Type), numbered(n, func(i int) any { return int64(i / 15_000 << 60) })},
		{"late_key", pq.Leaf(pq.Int64Type), numbered(n, func(i int) any { return int64(i/15_000<<60) + int64(i) })},
		{"late_text", pq.String(), text(func(i int) int { return max(0, i-15_000) })},
		{"late_repeats", pq.String(), text(func(i int) int { return min(i, 999) })},
		{"unique", pq.String(), text(func(i int) int { return i })},
	}, pq.MaxRowsPerRowGroup(6000))
	for _, workers := range []int{1, 2} {
		table, g, _, report, err := scanned(t, b, ReadOptions{Workers: workers})
		require.NoError(t, err)
		require.Empty(t, report.Failures)
		kinds := map[string]string{}
		for _, c := range table.Columns {
			kinds[c.Name] = c.Kind.String()
		}
		require.Equal(t, map[string]string{"few": "category", "id": "integer", "late_id": "category", "late_key": "text", "late_text": "text",
			"late_repeats": "category", "unique": "text"}, kinds)
		require.Equal(t, 3, g.begun, "late_key is a number, then a category, then text")
		require.Equal(t, "name 19999", texts(t, table, "unique")[19_999])
		require.Equal(t, strconv.Itoa(1<<60+19_999), texts(t, table, "late_key")[19_999])
	}
}

func TestParquetAnswersTheContextAndTheVisitor(t *testing.T) {
	b := parquetOf(t, []stored{{"a", pq.Leaf(pq.Int64Type), numbered(40_000, func(i int) any { return int64(i) })}, {"b", pq.String(), numbered(40_000, func(i int) any { return "x" })}})
	stop := errors.New("enough")
	for _, workers := range []int{1, 2} {
		_, _, err := Scan(t.Context(), Bytes(b), ReadOptions{Format: Parquet, Workers: workers}, &refusing{at: 2, err: stop})
		require.ErrorIs(t, err, stop)
		ctx, cancel := context.WithCancel(t.Context())
		_, _, err = Scan(ctx, Bytes(b), ReadOptions{Format: Parquet, Workers: workers}, &refusing{at: 1, then: cancel})
		require.ErrorIs(t, err, context.Canceled)
		var format *FormatError
		require.False(t, errors.As(err, &format))
		var rows []int
		_, _, err = Scan(t.Context(), Bytes(b), ReadOptions{Format: Parquet, Workers: workers, Progress: func(n int, stored int64) {
			rows = append(rows, n)
			require.LessOrEqual(t, stored, int64(len(b)))
		}}, &refusing{})
		require.NoError(t, err)
		require.Equal(t, []int{1 << 14, 2 << 14}, rows)
	}
}

// refusing is a Visitor that at a chunk does something or fails.
type refusing struct {
	chunks, at int
	err        error
	then       func()
}

func (r *refusing) Begin([]spec.ColumnRule) error { return nil }

func (r *refusing) Rows(Chunk) error {
	r.chunks++
	if r.chunks != r.at {
		return nil
	}
	if r.then != nil {
		r.then()
	}
	return r.err
}

// drawnColumn draws a column: its values as a table has them, and as they are stored.
func drawnColumn(t *rapid.T, name string, rows int) (Column, stored) {
	c := Column{Name: name, Kind: Kind(rapid.IntRange(0, 5).Draw(t, "kind"))}
	c.grow(rows)
	nullable := rapid.Bool().Draw(t, "nullable")
	nodes := map[Kind][]pq.Node{
		Number:    {pq.Leaf(pq.DoubleType), pq.Encoded(pq.Leaf(pq.DoubleType), &pq.RLEDictionary), pq.Encoded(pq.Leaf(pq.DoubleType), &pq.ByteStreamSplit)},
		Integer:   {pq.Leaf(pq.Int64Type), pq.Encoded(pq.Leaf(pq.Int64Type), &pq.DeltaBinaryPacked), pq.Encoded(pq.Leaf(pq.Int64Type), &pq.RLEDictionary)},
		Category:  {pq.String(), pq.Encoded(pq.String(), &pq.RLEDictionary), pq.Encoded(pq.String(), &pq.DeltaByteArray)},
		Text:      {pq.String(), pq.Encoded(pq.String(), &pq.DeltaLengthByteArray)},
		Boolean:   {pq.Leaf(pq.BooleanType)},
		Timestamp: {pq.Timestamp(pq.Nanosecond), pq.Encoded(pq.Timestamp(pq.Nanosecond), &pq.DeltaBinaryPacked)},
	}
	s := stored{name: name, node: rapid.SampledFrom(nodes[c.Kind]).Draw(t, "node")}
	if nullable {
		s.node = pq.Optional(s.node)
	}
	dict := newDictionary()
	for range rows {
		if nullable && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
			c.appendNulls(1)
			s.values = append(s.values, nil)
			continue
		}
		switch c.Kind {
		case Number:
			v := rapid.Float64().Draw(t, "number")
			c.Floats, s.values = append(c.Floats, v), append(s.values, v)
		case Integer:
			v := rapid.Int64Range(-maxInteger, maxInteger).Draw(t, "integer")
			c.Floats, s.values = append(c.Floats, float64(v)), append(s.values, v)
		case Boolean:
			v := rapid.Bool().Draw(t, "boolean")
			c.Floats, s.values = append(c.Floats, map[bool]float64{true: 1}[v]), append(s.values, v)
		case Timestamp:
			v := rapid.Int64Range(firstSecond*1e9, endSecond*1e9-1).Draw(t, "time")
			c.Times, s.values = append(c.Times, v), append(s.values, v)
		default:
			v := rapid.SampledFrom([]string{"a", "b", "Zürich", "a longer name", "a longer name still", "x,\"y\"\n", "NA"}).Draw(t, "text")
			c.Codes, s.values = append(c.Codes, dict.codeString(v)), append(s.values, v)
		}
	}
	c.Dict = dict.values
	return c, s
}

func TestParquetGivesBackWhatWasWritten(t *testing.T) {
	codecs := []compress.Codec{&pq.Uncompressed, &pq.Snappy, &pq.Gzip, &pq.Zstd, &pq.Lz4Raw, &pq.Brotli}
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.IntRange(1, 60).Draw(rt, "rows")
		want := &Table{Rows: rows}
		contract := spec.Contract{}
		var file []stored
		for i := range rapid.IntRange(1, 4).Draw(rt, "columns") {
			c, s := drawnColumn(rt, "c"+strconv.Itoa(i), rows)
			want.Columns, file = append(want.Columns, c), append(file, s)
			contract.Columns = append(contract.Columns, spec.ColumnRule{Name: c.Name, Type: c.Kind.String()})
		}
		b := parquetOf(rt, file, pq.Compression(rapid.SampledFrom(codecs).Draw(rt, "codec")), pq.DataPageVersion(rapid.IntRange(1, 2).Draw(rt, "version")),
			pq.PageBufferSize(rapid.IntRange(20, 500).Draw(rt, "page")), pq.MaxRowsPerRowGroup(rapid.Int64Range(1, 60).Draw(rt, "group")))
		o := ReadOptions{Contract: &contract, Workers: rapid.IntRange(1, 3).Draw(rt, "workers"), block: rapid.IntRange(1, 200).Draw(rt, "block")}
		got, g, info, report, err := scanned(t, b, o)
		require.NoError(rt, err)
		require.Empty(rt, report.Failures)
		require.Equal(rt, 1, g.begun)
		require.Equal(rt, rows, info.Rows)
		for i := range want.Columns {
			require.Equal(rt, nullable(&want.Columns[i]), nullable(&got.Columns[i]))
			require.Equal(rt, len(got.Columns[i].Floats), len(want.Columns[i].Floats))
			for row, v := range got.Columns[i].Floats {
				require.Equal(rt, math.Float64bits(want.Columns[i].Floats[row]), math.Float64bits(v))
			}
		}
		// And a text of the same table says the same.
		var text bytes.Buffer
		require.NoError(rt, WriteCSV(&text, want))
		same, _, _, err := Read(t.Context(), &text, ReadOptions{Format: CSV, Contract: &contract})
		require.NoError(rt, err)
		for i := range want.Columns {
			require.Equal(rt, nullable(&same.Columns[i]), nullable(&got.Columns[i]))
		}
	})
}

func BenchmarkScanParquet(b *testing.B) {
	const rows = 100_000
	words := []string{"alpha", "beta", "gamma", "delta"}
	nodes := map[string]pq.Node{"plain": pq.Optional(pq.Leaf(pq.DoubleType)), "coded": pq.Encoded(pq.Optional(pq.Leaf(pq.DoubleType)), &pq.RLEDictionary),
		"whole": pq.Leaf(pq.Int64Type), "word": pq.Encoded(pq.String(), &pq.RLEDictionary), "text": pq.String()}
	values := map[string]func(i int) any{"plain": func(i int) any { return math.Sqrt(float64(i)) }, "coded": func(i int) any { return float64(i % 1000) },
		"whole": func(i int) any { return int64(i) }, "word": func(i int) any { return words[i%4] }, "text": func(i int) any { return words[i%3] }}
	for name, node := range nodes {
		b.Run(name, func(b *testing.B) {
			file := parquetOf(b, []stored{{"a", node, numbered(rows, values[name])}}, pq.Compression(&pq.Snappy))
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				_, _, err := Scan(b.Context(), Bytes(file), ReadOptions{Format: Parquet, Workers: 1}, &counting{})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}

func TestTheBordersOfTimes(t *testing.T) {
	require.EqualValues(t, time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), int64(firstSecond))
	require.EqualValues(t, time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), int64(endSecond))
}

func TestHalfFloats(t *testing.T) {
	for bits, want := range map[uint16]float64{0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: 0x1p-24, 0x03ff: 0x3ffp-24, 0x0400: 0x1p-14,
		0x3555: 0.333251953125, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1)} {
		require.Equal(t, want, half(bits), "%04x", bits)
	}
	require.True(t, math.IsNaN(half(0x7e00)))
	require.True(t, math.Signbit(half(0x8000)))
}
