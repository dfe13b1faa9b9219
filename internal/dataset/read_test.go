package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

func columns(rules ...spec.ColumnRule) *spec.Contract { return &spec.Contract{Columns: rules} }

func read(t *testing.T, text string, o ReadOptions) (*Table, Info, *Report, error) {
	t.Helper()
	if o.Name == "" {
		o.Name = "flights.csv"
	}
	return Read(t.Context(), strings.NewReader(text), o)
}

func mustRead(t *testing.T, text string) *Table {
	t.Helper()
	table, _, report, err := read(t, text, ReadOptions{})
	require.NoError(t, err)
	require.NoError(t, report.Error())
	return table
}

// texts are a column's values as text; null is "-".
func texts(t *testing.T, table *Table, name string) []string {
	t.Helper()
	c, ok := table.Column(name)
	require.True(t, ok, "column %s", name)
	out := make([]string, c.Len())
	for row := range out {
		out[row] = "-"
		if !c.Null(row) {
			out[row] = string(c.appendCell(nil, row))
		}
	}
	return out
}

func packGzip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestReadTakesWhatPeopleHave(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"line feeds":                      {"a,b\nx,1\ny,2\n", []string{"x", "y"}},
		"carriage return line feeds":      {"a,b\r\nx,1\r\ny,2\r\n", []string{"x", "y"}},
		"no line end at the end":          {"a,b\nx,1\ny,2", []string{"x", "y"}},
		"a carriage return at the end":    {"a,b\nx,1\ny,2\r", []string{"x", "y"}},
		"a byte-order mark":               {"\xef\xbb\xbfa,b\nx,1\n", []string{"x"}},
		"commas and line ends in quotes":  {"a,b\n\"x,\r\ny\",1\n", []string{"x,\r\ny"}},
		"doubled quotes":                  {"a,b\n\"say \"\"hi\"\" twice\",1\n\"\"\"\",2\n", []string{`say "hi" twice`, `"`}},
		"quoted header and empty quotes":  {"\"a\",b\n\"\",1\nx,2\n", []string{"-", "x"}},
		"empty lines are no rows":         {"a,b\n\nx,1\n\r\n\ny,2\n\n", []string{"x", "y"}},
		"NA is a name among names":        {"a,b\nNA,1\nDE,2\n,3\n", []string{"NA", "DE", "-"}},
		"spaces belong to the cell":       {"a,b\n x ,1\n", []string{" x "}},
		"text beyond ASCII":               {"a,b\nZürich ✈,1\n", []string{"Zürich ✈"}},
		"a quote doubled next to another": {"a,b\n\"\"\"a\"\"\"\"b\",1\n", []string{`"a""b`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, texts(t, mustRead(t, test.text), "a"))
		})
	}
}

func TestReadCellsLargerThanTheBuffer(t *testing.T) {
	long := strings.Repeat("0123456789", blockBytes/10)
	table := mustRead(t, "a,b\n\""+long+"\n\"\"\",1\n"+long+",2\n")
	require.Equal(t, []string{long + "\n\"", long}, texts(t, table, "a"))
}

func TestReadHashesTheStoredBytesOfEveryFormat(t *testing.T) {
	const text = "a,b\nx,1\ny,2\n"
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	stored := map[string][]byte{
		"f.csv":        []byte(text),
		"f.csv.gz":     packGzip(t, text),
		"two.csv.gz":   append(packGzip(t, "a,b\nx,1\n"), packGzip(t, "y,2\n")...),
		"f.csv.zst":    encoder.EncodeAll([]byte(text), nil),
		"UPPER.CSV.GZ": packGzip(t, text),
	}
	for name, b := range stored {
		t.Run(name, func(t *testing.T) {
			table, info, report, err := Read(t.Context(), io.MultiReader(bytes.NewReader(b[:3]), bytes.NewReader(b[3:])), ReadOptions{Name: name})
			require.NoError(t, err)
			sum := sha256.Sum256(b)
			require.Equal(t, Info{SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(b)), Rows: 2, Header: []string{"a", "b"}, Columns: []spec.ColumnRule{{Name: "a", Type: "category"}, {Name: "b", Type: "integer"}}}, info)
			require.Equal(t, []string{"1", "2"}, texts(t, table, "b"))
			require.True(t, report.OK())
			require.EqualValues(t, 2, report.Rows)
		})
	}
}

func TestReadRefusesWhatIsNoTable(t *testing.T) {
	small := Limits{Columns: 3, Cell: 20, Row: 40, Rows: 3}
	tests := map[string]struct {
		text   string
		want   FormatError // Name is added
		limits Limits
	}{
		"an empty file":                 {text: "", want: FormatError{Rule: RuleEmpty}},
		"only a mark and empty lines":   {text: "\xef\xbb\xbf\n\r\n", want: FormatError{Rule: RuleEmpty}},
		"a header only":                 {text: "a,b\n", want: FormatError{Rule: RuleEmpty, Observed: "a header only"}},
		"a name twice":                  {text: "a,b,a\n1,2,3\n", want: FormatError{Rule: RuleHeader, Line: 1, Column: "#3"}},
		"a column without a name":       {text: ",b\n1,2\n", want: FormatError{Rule: RuleHeader, Line: 1, Column: "#1"}},
		"a row with too few cells":      {text: "a,b\n1,2\n3\n", want: FormatError{Rule: RuleFields, Line: 3, Observed: "1 cells in row 2", Limit: "2, as the header has"}},
		"a row with too many cells":     {text: "a,b\n\"1\n\",2\n3,4,5\n", want: FormatError{Rule: RuleFields, Line: 4, Observed: "3 cells in row 2"}},
		"invalid UTF-8":                 {text: "a,b\n1,2\n3,\xff\n", want: FormatError{Rule: RuleEncoding, Line: 3, Column: "b"}},
		"invalid UTF-8 in quotes":       {text: "a,b\n1,2\n\"\"\"\xc3\",4\n", want: FormatError{Rule: RuleEncoding, Line: 3, Column: "a"}},
		"invalid UTF-8 in the header":   {text: "a,\xff\n", want: FormatError{Rule: RuleEncoding, Line: 1, Column: "#2"}},
		"a NUL byte":                    {text: "a,b\n1,x\x00y\n", want: FormatError{Rule: RuleEncoding, Line: 2, Column: "b", Observed: "a NUL byte"}},
		"UTF-16":                        {text: "\xff\xfea\x00,\x00b\x00\n\x00", want: FormatError{Rule: RuleEncoding, Line: 1, Observed: "UTF-16"}},
		"gzip called csv":               {text: "\x1f\x8b\x08\x00", want: FormatError{Rule: RuleEncoding, Line: 1, Observed: "gzip data"}},
		"a quote left open":             {text: "a,b\n1,\"2\n3,4\n", want: FormatError{Rule: RuleQuotes, Line: 2}},
		"a quote inside a cell":         {text: "a,b\n1,2\"3\"\n", want: FormatError{Rule: RuleQuotes, Line: 2, Column: "b"}},
		"text after a quote":            {text: "a,b\n\"1\"2,3\n", want: FormatError{Rule: RuleQuotes, Line: 2, Column: "a"}},
		"too many columns":              {text: "a,b,c,d\n", want: FormatError{Rule: RuleLimit, Line: 1, Observed: "4 columns", Limit: "at most 3"}, limits: small},
		"a cell too long":               {text: "a,b\n1,012345678901234567890\n", want: FormatError{Rule: RuleLimit, Line: 2, Column: "b", Limit: "at most 20"}, limits: small},
		"a row too long":                {text: "a,b\n" + strings.Repeat("x", 50) + ",1\n", want: FormatError{Rule: RuleLimit, Line: 2}, limits: small},
		"too many rows":                 {text: "a\n1\n2\n3\n4\n", want: FormatError{Rule: RuleLimit, Line: 5, Limit: "at most 3"}, limits: small},
		"too much text":                 {text: "a\n" + strings.Repeat("1\n", 100), want: FormatError{Rule: RuleLimit, Limit: "at most 50"}, limits: Limits{Bytes: 50}},
		"an open quote that goes on":    {text: "a,b\n1,\"" + strings.Repeat("x\n", 1<<19), want: FormatError{Rule: RuleLimit, Line: 2}, limits: Limits{Row: 1 << 19}},
		"a bad row after one in quotes": {text: "a,b\n\"1\n2\n3\",2\n\n1\n", want: FormatError{Rule: RuleFields, Line: 6}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, info, _, err := read(t, test.text, ReadOptions{Limits: test.limits})
			var format *FormatError
			require.ErrorAs(t, err, &format)
			require.Equal(t, "flights.csv", format.Name)
			require.Equal(t, test.want.Rule, format.Rule, "%v", err)
			require.Equal(t, test.want.Line, format.Line, "%v", err)
			require.Equal(t, test.want.Column, format.Column, "%v", err)
			if test.want.Observed != "" {
				require.Equal(t, test.want.Observed, format.Observed)
			}
			if test.want.Limit != "" {
				require.Equal(t, test.want.Limit, format.Limit)
			}
			if test.limits.Bytes == 0 {
				sum := sha256.Sum256([]byte(test.text))
				require.Equal(t, hex.EncodeToString(sum[:]), info.SHA256, "a refusal names the whole object's digest")
			}
		})
	}
}

func TestADigestIsOfAllBytesOrThereIsNone(t *testing.T) {
	text := "a,b\n" + strings.Repeat("x,1\n", 100_000)
	for limit, whole := range map[int64]bool{1 << 10: false, 300_000: true} { // what is left behind what was read is within the second
		_, info, _, err := Read(t.Context(), strings.NewReader(text), ReadOptions{Name: "f.csv", Limits: Limits{Bytes: limit}})
		var format *FormatError
		require.ErrorAs(t, err, &format)
		require.Equal(t, RuleLimit, format.Rule)
		want := ""
		if whole {
			sum := sha256.Sum256([]byte(text))
			want = hex.EncodeToString(sum[:])
		}
		require.Equal(t, want, info.SHA256, "limit %d", limit)
	}
}

func TestReadRefusesDamagedCompression(t *testing.T) {
	packed := packGzip(t, "a,b\n"+strings.Repeat("x,1\n", 5000))
	flipped := bytes.Clone(packed)
	flipped[len(flipped)/2] ^= 0xff
	for name, b := range map[string][]byte{
		"cut short": packed[:len(packed)-10], "a flipped byte": flipped, "an empty object": {},
		"no gzip": []byte("a,b\n1,2\n"), "garbage behind": append(bytes.Clone(packed), "garbage"...),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := Read(t.Context(), bytes.NewReader(b), ReadOptions{Name: "f.csv.gz"})
			var format *FormatError
			require.ErrorAs(t, err, &format)
			require.Contains(t, []string{RuleTruncated, RuleEmpty}, format.Rule)
		})
	}
	_, _, _, err := Read(t.Context(), bytes.NewReader([]byte("a,b\n1,2\n")), ReadOptions{Name: "f.csv.zst"})
	var format *FormatError
	require.ErrorAs(t, err, &format)
	require.Equal(t, RuleTruncated, format.Rule)
}

func TestReadRefusesADecompressionBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 100 MB")
	}
	packed := packGzip(t, "a,b\n"+strings.Repeat("0,0\n", 25<<20))
	_, _, _, err := Read(t.Context(), bytes.NewReader(packed), ReadOptions{Name: "f.csv.gz"})
	var format *FormatError
	require.ErrorAs(t, err, &format)
	require.Equal(t, RuleLimit, format.Rule)
	require.Contains(t, format.Limit, "200 times")
}

// broken gives some bytes and then the store's error.
type broken struct {
	from io.Reader
	err  error
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestABrokenConnectionIsNoBrokenFile(t *testing.T) {
	packed := packGzip(t, "a,b\n1,2\n")
	for _, name := range []string{"f.csv", "f.csv.gz"} {
		b := packed[:len(packed)-4]
		if name == "f.csv" {
			b = []byte("a,b\n1,2\n3")
		}
		_, info, _, err := Read(t.Context(), &broken{bytes.NewReader(b), io.ErrUnexpectedEOF}, ReadOptions{Name: name})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		var format *FormatError
		require.False(t, errors.As(err, &format), "%v", err)
		require.Empty(t, info.SHA256)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err := Read(ctx, strings.NewReader("a\n1\n"), ReadOptions{Name: "f.csv"})
	require.ErrorIs(t, err, context.Canceled)
}

func TestReadWrongOptionsAreNoFormatErrors(t *testing.T) {
	var format *FormatError
	_, _, _, err := read(t, "a\n1\n", ReadOptions{Format: "xlsx"})
	require.ErrorContains(t, err, "want one of csv.gz, csv.zst, csv, parquet")
	require.False(t, errors.As(err, &format))
	_, _, _, err = read(t, "a\n1\n", ReadOptions{Contract: columns(spec.ColumnRule{Name: "a", Type: "float"})})
	require.ErrorContains(t, err, "want one of number, integer")
	require.False(t, errors.As(err, &format))
	_, err = FormatOf("flights.xlsx")
	require.ErrorContains(t, err, ".csv.zst")
}

func TestReadInfersTheNarrowestKind(t *testing.T) {
	tests := map[string]struct {
		cells string
		want  Kind
	}{
		"whole numbers":                    {"1,-2,0", Integer},
		"zeros and ones":                   {"0,1", Integer},
		"decimals":                         {"1,2.5,-3e5", Number},
		"numbers with nulls":               {"1.5,,NA,null", Number},
		"NaN makes names":                  {"1.5,NaN", Category},
		"leading zeros make names":         {"007,010", Category},
		"more digits than a float64 keeps": {"12345678901234567890,1", Category},
		"true and false":                   {"true,False,", Boolean},
		"true among numbers":               {"true,1", Category},
		"dates":                            {"2013-01-01,2013-02-28", Timestamp},
		"times":                            {"2013-01-01T05:15:00-05:00,2013-01-01 05:15:00", Timestamp},
		"ambiguous dates make names":       {"01/02/2013", Category},
		"one word in a column of numbers":  {"1,2,three", Category},
		"nothing at all":                   {",,", Text},
		"a hexadecimal number":             {"0x1p-2", Category},
		"the largest whole number":         {"9007199254740992", Integer},
		"a large number in exponent form":  {"1e300", Number},
		"a plus sign":                      {"+49,+1", Category},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			table := mustRead(t, "a,b\n"+strings.ReplaceAll(test.cells, ",", ",1\n")+",1\n")
			require.Equal(t, test.want.String(), table.Columns[0].Kind.String())
		})
	}
}

func TestReadTellsTextFromCategories(t *testing.T) {
	var repeating, different strings.Builder
	repeating.WriteString("a\n")
	different.WriteString("a\n")
	for i := range 100 {
		repeating.WriteString("name" + strconv.Itoa(i%50) + "\n")
		different.WriteString("name" + strconv.Itoa(i) + "\n")
	}
	require.Equal(t, Category, mustRead(t, repeating.String()).Columns[0].Kind)
	require.Equal(t, Text, mustRead(t, different.String()).Columns[0].Kind)
}

func TestReadReportsEveryProblemOfAFileAtOnce(t *testing.T) {
	contract := columns(
		spec.ColumnRule{Name: "delay", Type: "number", Nullable: true},
		spec.ColumnRule{Name: "carrier", Type: "category"},
		spec.ColumnRule{Name: "gate", Type: "text", Optional: true},
		spec.ColumnRule{Name: "when", Type: "timestamp"},
		spec.ColumnRule{Name: "origin", Type: "category"},
	)
	contract.Strict = true
	table, info, report, err := read(t, "carrier,delay,when,tail\nUA,1.5,2013-01-01,N1\nAA,late,noon,N2\nB6,NaN,2013-01-02,N3\nB6,,,N3\n",
		ReadOptions{Contract: contract, Keep: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"tail"}, info.Ignored)
	require.Equal(t, []string{"delay", "carrier", "gate", "when"}, table.Names(), "the contract's order")
	require.Equal(t, []string{"-", "-", "-", "-"}, texts(t, table, "gate"))

	report.Merge(Check(table, *contract, spec.Expectations{}, epoch, ""))
	var got []string
	for _, f := range report.Failures {
		got = append(got, f.String())
	}
	require.Equal(t, []string{
		"column origin: missing: observed columns carrier, delay, when, tail, want a column origin",
		"column tail: unexpected: observed a column tail, want only the contract's columns, since it is strict",
		`column delay: type: observed "late", want a finite decimal number (2 rows: 2, ...)`,
		`column when: type: observed "noon", want a time such as 2006-01-02 or 2006-01-02T15:04:05Z (row 2)`,
		"column when: nullable: observed null, want a value in every row (row 4)",
	}, got)
	var refused *ContractError
	require.ErrorAs(t, report.Error(), &refused)
	require.Len(t, refused.Failures, 5)
}

func TestNumbersAreThoseOfParseFloat(t *testing.T) {
	for cell, want := range map[string]bool{
		"0.1": true, "-0": true, "1e-400": true, "4.9e-324": true, "1.7976931348623157e308": true, "123456789012345678901234567890": true,
		".5": true, "5.": true, "+1": true,
		"1e999": false, "-1e999": false, "0x1p-2": false, "1_000": false, "NaN": false, "Inf": false, "-infinity": false, "-": false, " 1": false, "1,5": false, "1e": false,
	} {
		v, ok := parseNumber([]byte(cell))
		require.Equal(t, want, ok, cell)
		if ok {
			parsed, err := strconv.ParseFloat(cell, 64)
			require.NoError(t, err)
			require.Equal(t, math.Float64bits(parsed), math.Float64bits(v), cell)
		}
	}
}

func TestTimestamps(t *testing.T) {
	for cell, want := range map[string]string{
		"2013-01-01":                          "2013-01-01T00:00:00Z",
		"2012-02-29 23:59:59":                 "2012-02-29T23:59:59Z",
		"2013-01-01T05:15:00-05:00":           "2013-01-01T10:15:00Z",
		"2013-01-01T05:15:00.123456789+05:30": "2012-12-31T23:45:00.123456789Z",
		"1969-12-31T23:59:59.5Z":              "1969-12-31T23:59:59.5Z",
		"2013-02-29":                          "", "1900-02-29": "", "2013-13-01": "", "2013-1-1": "", "13-01-01": "", "2013-01-01T": "", "2013-01-01T24:00:00": "",
		"2013-01-01T05:15": "", "2013-01-01T05:15:00.": "", "2013-01-01T05:15:00.1234567891": "", "2013-01-01T05:15:00+5": "", "01/02/2013": "", "1500-01-01": "", "2300-01-01": "", "2013-01-01t05:15:00z": "",
		"2016-12-31T23:59:60Z": "",
	} {
		ns, ok := parseTimestamp([]byte(cell))
		require.Equal(t, want != "", ok, cell)
		if ok {
			c := Column{Kind: Timestamp, Times: []int64{ns}}
			require.Equal(t, want, string(c.appendCell(nil, 0)))
		}
	}
}

func TestReadCallsProgress(t *testing.T) {
	var rows []int
	_, _, _, err := read(t, "a\n"+strings.Repeat("1\n", 40000), ReadOptions{Progress: func(n int, stored int64) {
		rows = append(rows, n)
		require.Positive(t, stored)
	}})
	require.NoError(t, err)
	require.Equal(t, []int{1 << 14, 2 << 14}, rows)
}

func BenchmarkRead(b *testing.B) {
	files, err := filepath.Glob("../../examples/flight-delay/data/*.csv.gz")
	if err != nil || len(files) == 0 {
		b.Skip("no example data")
	}
	var text bytes.Buffer
	for i, name := range files {
		f, err := os.Open(name)
		require.NoError(b, err)
		z, err := gzip.NewReader(f)
		require.NoError(b, err)
		month, err := io.ReadAll(z)
		require.NoError(b, err)
		require.NoError(b, f.Close())
		if i > 0 {
			month = month[bytes.IndexByte(month, '\n')+1:]
		}
		text.Write(month)
	}
	first, _, _, err := Read(b.Context(), bytes.NewReader(text.Bytes()), ReadOptions{Name: "f.csv"})
	require.NoError(b, err)
	contract := InferContract(first)
	for name, c := range map[string]*spec.Contract{"declared": &contract, "inferred": nil} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				table, _, _, err := Read(b.Context(), bytes.NewReader(text.Bytes()), ReadOptions{Name: "f.csv", Contract: c})
				require.NoError(b, err)
				b.ReportMetric(float64(table.Rows), "rows/op")
			}
		})
		b.Run(name+"/scanned", func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				_, _, err := Scan(b.Context(), Bytes(text.Bytes()), ReadOptions{Name: "f.csv", Contract: c, Workers: 1}, nobody{})
				require.NoError(b, err)
			}
		})
	}
}
