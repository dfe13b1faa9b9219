package dataset

import (
	"cmp"
	"fmt"
	"io"
)

// Limits bound what one file may ask of the reader. A zero field takes the default.
type Limits struct {
	Bytes   int64 // of text after decompression, and of the stored object
	Ratio   int64 // text bytes per stored byte of a compressed object, judged beyond 64 MiB of text
	Rows    int64
	Columns int
	Row     int // bytes of one row; what an unclosed quote can swallow
	Cell    int // bytes of one cell
}

// DefaultLimits leave room for any file a table in memory can hold. Text compresses 3 to 20 times; beyond 200 over
// many megabytes somebody packed zeros.
func DefaultLimits() Limits {
	return Limits{Bytes: 8 << 30, Ratio: 200, Rows: 100_000_000, Columns: 10_000, Row: 16 << 20, Cell: 1 << 20}
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Bytes: cmp.Or(l.Bytes, d.Bytes), Ratio: cmp.Or(l.Ratio, d.Ratio), Rows: cmp.Or(l.Rows, d.Rows),
		Columns: cmp.Or(l.Columns, d.Columns), Row: cmp.Or(l.Row, d.Row), Cell: cmp.Or(l.Cell, d.Cell),
	}
}

// ratioFrom is how much text a compressed object may give before Ratio is judged: a small file of one repeated
// value is no bomb.
const ratioFrom = 64 << 20

// bounded passes decompressed text on until it passes the limits.
type bounded struct {
	from       io.Reader
	stored     *source
	limits     Limits
	compressed bool
	bytes      int64 // passed on
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.bytes += int64(n)
	if b.bytes > b.limits.Bytes {
		return n, &FormatError{Name: b.stored.name, Rule: RuleLimit,
			Observed: fmt.Sprintf("more than %d bytes of text", b.limits.Bytes), Limit: fmt.Sprintf("at most %d", b.limits.Bytes)}
	}
	if b.compressed && b.bytes > ratioFrom && b.bytes/b.limits.Ratio > b.stored.bytes {
		return n, &FormatError{Name: b.stored.name, Rule: RuleLimit,
			Observed: fmt.Sprintf("%d bytes of text from %d stored ones", b.bytes, b.stored.bytes),
			Limit:    fmt.Sprintf("at most %d times as much", b.limits.Ratio)}
	}
	if err != nil && err != io.EOF {
		err = b.stored.damaged(err)
	}
	return n, err
}
