package parquet

import (
	"cmp"
	"sync/atomic"
)

// Limits bound what a file may ask for. A zero field takes the default.
type Limits struct {
	Rows    int64
	Columns int   // leaves, those of nested columns counted too
	Cell    int   // bytes of one value
	Page    int64 // bytes of one page, decompressed
	Open    int64 // bytes of all pages that are open at once: one a column, and its dictionary; see openFor
	Bytes   int64 // bytes of all pages, decompressed
	Ratio   int64 // bytes decompressed per byte of the file, judged beyond 64 MiB
}

// DefaultLimits leave room for what writers write: pages of 1 MiB (Arrow, parquet-java) up to 100 MB (DuckDB).
func DefaultLimits() Limits {
	return Limits{Rows: 100_000_000, Columns: 10_000, Cell: 1 << 20, Page: 128 << 20, Open: 2 << 30, Bytes: 8 << 30, Ratio: 200}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Rows: cmp.Or(l.Rows, d.Rows), Columns: cmp.Or(l.Columns, d.Columns), Cell: cmp.Or(l.Cell, d.Cell), Page: cmp.Or(l.Page, d.Page),
		Open: cmp.Or(l.Open, d.Open), Bytes: cmp.Or(l.Bytes, d.Bytes), Ratio: cmp.Or(l.Ratio, d.Ratio),
	}
}

// What metadata may take: a footer of 10,000 columns and 20 row groups has about 30 MiB, a page's header some bytes and
// two values of its column.
const (
	maxFooter = 32 << 20
	maxHeader = 4 << 20
)

// openFor is how much of Limits.Open a file of that size may have open: 256 MiB, and more where there are so many columns
// that the file has a sixteenth of it. Pages rarely shrink further than that, since dictionaries have done it before.
func (l Limits) openFor(size int64) int64 { return min(l.Open, max(256<<20, 16*min(size, l.Open))) }

// ratioFrom is how much may be decompressed before Limits.Ratio is judged: a small file of one repeated value is no
// bomb.
const ratioFrom = 64 << 20

// meter counts what a file's pages take. It is safe for concurrent use.
type meter struct {
	limits Limits
	size   int64 // of the file
	open   atomic.Int64
	total  atomic.Int64
}

// grow makes room for n bytes, of which the meter knew had bytes so far, or says which limit that breaks.
func (m *meter) grow(had, n int64) error {
	if open, limit := m.open.Add(n-had), m.limits.openFor(m.size); open > limit {
		m.open.Add(had - n)
		return tooMuch(open, limit, "bytes in the pages of one moment")
	}
	return nil
}

// page admits a page of so many decompressed bytes.
func (m *meter) page(bytes int64) error {
	if bytes > m.limits.Page {
		return tooMuch(bytes, m.limits.Page, "bytes in a page")
	}
	total := m.total.Add(bytes)
	if total > m.limits.Bytes {
		return tooMuch(total, m.limits.Bytes, "bytes decompressed")
	}
	if total > ratioFrom && total/m.limits.Ratio > m.size {
		e := tooMuch(total, m.limits.Ratio, "bytes decompressed")
		e.Limit += " times the file's bytes"
		return e
	}
	return nil
}
