package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// refusal is an error as the table in testdata/bad/expected.csv has it.
func refusal(err error) []string {
	var format *FormatError
	if !errors.As(err, &format) {
		return []string{fmt.Sprint(err), "", "", "", ""}
	}
	line := ""
	if format.Line > 0 {
		line = strconv.FormatInt(format.Line, 10)
	}
	return []string{format.Rule, line, format.Column, format.Observed, format.Limit}
}

// TestBadFilesAreRefusedAtTheirPlace reads each file of testdata/bad, which all have an error, and compares it with the
// table there. Its columns: file, type of the column n where one is declared, rule, line, column, observed, wanted.
func TestBadFilesAreRefusedAtTheirPlace(t *testing.T) {
	table, err := os.ReadFile("testdata/bad/expected.csv")
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	require.NoError(t, err)
	expected := map[string][][]string{}
	for _, row := range rows[1:] {
		expected[row[0]] = append(expected[row[0]], row[1:])
	}
	files, err := filepath.Glob("testdata/bad/*.csv*")
	require.NoError(t, err)
	for _, path := range files {
		name := filepath.Base(path)
		if name == "expected.csv" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := expected[name]
			require.NotEmpty(t, want, "a row in expected.csv")
			for _, block := range []int{blockBytes, 1} {
				for _, workers := range []int{1, 2} {
					require.Equal(t, want, readBad(t, path, want[0][0], ReadOptions{Name: name, Workers: workers, Keep: 20, block: block}))
				}
			}
		})
	}
}

// readBad is what is wrong with a file, in rows of the table: the error, or the failures of its only column.
func readBad(t *testing.T, path, kind string, o ReadOptions) [][]string {
	t.Helper()
	if kind != "" {
		o.Contract = columns(spec.ColumnRule{Name: "n", Type: kind})
	}
	_, report, err := Scan(t.Context(), File(path), o, nobody{})
	if err != nil {
		return [][]string{append([]string{kind}, refusal(err)...)}
	}
	var out [][]string
	for _, f := range report.Failures {
		out = append(out, []string{kind, f.Rule, strings.Trim(fmt.Sprint(f.First), "[]"), f.Column, f.Observed, f.Limit})
	}
	return out
}

// endless is head, and then body again and again.
type endless struct {
	head string
	body string
	left int64 // bytes of bodies; the last one is whole
	rest string
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for n < len(p) {
		if e.rest == "" {
			if e.left <= 0 {
				break
			}
			e.rest, e.left = e.body, e.left-int64(len(e.body))
		}
		m := copy(p[n:], e.rest)
		n, e.rest = n+m, e.rest[m:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestWhatIsTooLargeIsRefusedInBoundedMemory holds the reader to its limits on objects that are too large for testdata.
func TestWhatIsTooLargeIsRefusedInBoundedMemory(t *testing.T) {
	wide := strings.Repeat("c,", 99_999) + "c\n"
	tests := map[string]struct {
		name string
		from io.Reader
		o    ReadOptions
		want FormatError
		long bool // takes a while
	}{
		"a field of 10 MB": {
			name: "f.csv", from: strings.NewReader("a,b\n1,2\n3," + strings.Repeat("x", 10<<20) + "\n"),
			want: FormatError{Rule: RuleLimit, Line: 3, Column: "b", Observed: "a cell of 10485760 bytes", Limit: "at most 1048576"}},
		"a quoted field of 10 MB": {
			name: "f.csv", from: strings.NewReader("a,b\n1,2\n3,\"" + strings.Repeat("x\n", 5<<20) + "\"\n"),
			want: FormatError{Rule: RuleLimit, Line: 3, Column: "b", Observed: "a cell of 10485760 bytes"}},
		"a header of 100,000 columns": {
			name: "f.csv", from: strings.NewReader(wide + wide),
			want: FormatError{Rule: RuleLimit, Line: 1, Observed: "100000 columns", Limit: "at most 10000"}},
		"a row of 100,000 cells": {
			name: "f.csv", from: strings.NewReader("a,b\n1,2\n" + wide),
			want: FormatError{Rule: RuleLimit, Line: 3, Observed: "100000 columns"}},
		"a row of millions of quoted cells": {
			name: "f.csv", from: &endless{head: "a,b\n", body: `"",`, left: 30 << 20},
			want: FormatError{Rule: RuleLimit, Line: 2, Observed: "a row of more than 16777216 bytes"}},
		"a quote that swallows a gigabyte": {
			name: "f.csv", from: &endless{head: "a,b\n1,\"", body: "x,y\n", left: 1 << 30}, o: ReadOptions{Limits: Limits{Bytes: 2 << 30}},
			want: FormatError{Rule: RuleLimit, Line: 2, Observed: "a row of more than 16777216 bytes"}, long: true},
		"a stray quote before a gigabyte": {
			name: "f.csv", from: &endless{head: "a,b\n1,5\"\n", body: "x,y\n", left: 1 << 30}, o: ReadOptions{Limits: Limits{Bytes: 2 << 30}},
			want: FormatError{Rule: RuleQuotes, Line: 2, Column: "b", Observed: strayQuote}, long: true},
		"a gzip bomb by ratio": {
			name: "f.csv.gz", from: packed(t, gzipped, &endless{head: "a,b\n", body: "0,0\n", left: 100 << 20}), long: true,
			want: FormatError{Rule: RuleLimit, Limit: "at most 200 times as much"}},
		"a zstd bomb by ratio": {
			name: "f.csv.zst", from: packed(t, zstandard, &endless{head: "a,b\n", body: "0,0\n", left: 100 << 20}), long: true,
			want: FormatError{Rule: RuleLimit, Limit: "at most 200 times as much"}},
		"a gzip bomb by size": {
			name: "f.csv.gz", from: packed(t, gzipped, &endless{head: "a,b\n", body: "0,0\n", left: 40 << 20}), o: ReadOptions{Limits: Limits{Bytes: 32 << 20}},
			want: FormatError{Rule: RuleLimit, Observed: "more than 33554432 bytes of text"}, long: true},
		"text beyond the limit": {
			name: "f.csv", from: &endless{head: "a,b\n", body: "0,0\n", left: 40 << 20}, o: ReadOptions{Limits: Limits{Bytes: 32 << 20}},
			want: FormatError{Rule: RuleLimit, Observed: "more than 33554432 bytes of text"}, long: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.long && testing.Short() {
				t.Skip("reads tens of megabytes")
			}
			o := test.o
			o.Name = test.name
			_, _, err := Scan(t.Context(), once{test.from}, o, nobody{})
			var format *FormatError
			require.ErrorAs(t, err, &format)
			require.Equal(t, test.want.Rule, format.Rule, "%v", err)
			require.Equal(t, test.want.Line, format.Line, "%v", err)
			require.Equal(t, test.want.Column, format.Column, "%v", err)
			if test.want.Observed != "" {
				require.Equal(t, test.want.Observed, format.Observed)
			}
			if test.want.Limit != "" {
				require.Equal(t, test.want.Limit, format.Limit)
			}
		})
	}
}

func gzipped(w io.Writer) (io.WriteCloser, error)   { return gzip.NewWriter(w), nil }
func zstandard(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }

// packed compresses what from gives, while it is read.
func packed(t *testing.T, pack func(io.Writer) (io.WriteCloser, error), from io.Reader) io.Reader {
	t.Helper()
	return &lazy{make: func() io.Reader {
		var b bytes.Buffer
		w, err := pack(&b)
		require.NoError(t, err)
		_, err = io.Copy(w, from)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return &b
	}}
}

// lazy is a reader that is made when it is first read.
type lazy struct {
	make func() io.Reader
	from io.Reader
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.from == nil {
		l.from = l.make()
	}
	return l.from.Read(p)
}
