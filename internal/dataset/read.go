package dataset

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// ReadOptions say what a file is called and should hold.
type ReadOptions struct {
	Name     string                       // of the object, for errors; its ending is the format unless Format says it
	Format   string                       // csv | csv.gz | csv.zst | parquet; "": by Name
	Contract *spec.Contract               // its columns are read, as declared, in its order; nil: all columns, kinds inferred from all their cells
	Limits   Limits                       // zero fields: DefaultLimits
	Progress func(rows int, stored int64) // called every 16,384 rows, if set
	Keep     int                          // offending rows listed per failure; 0: DefaultKeep
	Workers  int                          // goroutines that parse; 0: GOMAXPROCS; 1: everything in the caller's
	TempDir  string                       // for what has to be read twice and can be read once; "": the system's

	block  int  // bytes of text that are parsed at once, for tests; 0: blockBytes
	strict bool // every row is read by the cutter, for tests
}

// Info is what is known of the object once it was read.
type Info struct {
	SHA256  string            // of the bytes as stored, hex; "" if they could not all be read
	Bytes   int64             // as stored
	Rows    int               // below the header
	Header  []string          // the columns that the file has, in its order
	Ignored []string          // those that the contract doesn't list
	Columns []spec.ColumnRule // names and kinds of the table's columns; nil where they didn't come to be known
}

// progressEvery is how many rows lie between two calls of Progress.
const progressEvery = 1 << 14

// Read reads a whole table: Scan into memory.
//
// What makes the bytes no table is a *FormatError, with Info complete and what the Report had found until then. A cell
// that isn't of its declared type, a required column that is missing and, in a strict contract, one that isn't listed
// go to the Report; such cells are null in the table. With a contract, columns it doesn't list are read past, so
// that a column which appears one day never becomes a feature by itself, and an optional column that is missing is
// all null. Any other error is the reader's or the context's, and reading again may help.
//
// Without a contract, and for Parquet, r may be needed twice: an io.Seeker is asked to go back, anything else is copied
// to a temporary file while it is read.
func Read(ctx context.Context, r io.Reader, o ReadOptions) (t *Table, info Info, report *Report, err error) {
	src, done := streamed(r, o)
	defer func() {
		if failed := done(); err == nil && failed != nil {
			t, err = nil, fmt.Errorf("read %s: %w", o.Name, failed)
		}
	}()
	return ReadSource(ctx, src, o)
}

// ReadSource is Read of an object that can be opened again, and so never needs a copy.
func ReadSource(ctx context.Context, src Source, o ReadOptions) (*Table, Info, *Report, error) {
	var c collector
	info, report, err := Scan(ctx, src, o, &c)
	if err != nil {
		return nil, info, report, err
	}
	return c.table(), info, report, nil
}

// streamed is a Source of a stream, and what frees it.
func streamed(r io.Reader, o ReadOptions) (Source, func() error) {
	if seeker, ok := r.(io.ReadSeeker); ok {
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			return &rewound{from: seeker, at: at}, func() error { return nil }
		}
	}
	format := o.Format
	if format == "" {
		format, _ = FormatOf(o.Name) // Scan says what is wrong with it
	}
	if o.Contract != nil && format != Parquet {
		return once{r}, func() error { return nil }
	}
	spool := Spooled(r, o.TempDir)
	return spool, spool.Close
}

// once is a Source that can be opened once, which is enough where the kinds are declared.
type once struct{ io.Reader }

func (o once) Open() (io.ReadCloser, error) { return io.NopCloser(o.Reader), nil }

// rewound is a Source that begins where the reader was.
type rewound struct {
	from io.ReadSeeker
	at   int64
}

func (r *rewound) Open() (io.ReadCloser, error) {
	if anywhere, ok := r.from.(io.ReaderAt); ok {
		end, err := r.from.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, err
		}
		return openBytesAt{io.NewSectionReader(anywhere, r.at, max(end-r.at, 0))}, nil
	}
	if _, err := r.from.Seek(r.at, io.SeekStart); err != nil {
		return nil, err
	}
	return io.NopCloser(r.from), nil
}

// collector is a Visitor that keeps all rows.
type collector struct {
	rows    int
	columns []kept
}

// kept is a column, in pieces of a chunk each until all are there: then each value is copied once more, where slices that
// grow would copy it several times and end larger than it.
type kept struct {
	Column
	floats [][]float64
	codes  [][]int32
	times  [][]int64
	dict   *dictionary // names
	codeOf []int32     // of the chunk's dictionary
}

// Begin starts anew.
func (c *collector) Begin(columns []spec.ColumnRule) error {
	*c = collector{columns: make([]kept, len(columns))}
	for i, rule := range columns {
		kind, err := ParseKind(rule.Type)
		if err != nil {
			return err
		}
		c.columns[i].Column = Column{Name: rule.Name, Kind: kind}
		if kind.coded() {
			c.columns[i].dict = newDictionary()
		}
	}
	return nil
}

// Rows keeps a copy of the rows.
func (c *collector) Rows(chunk Chunk) error {
	for i := range chunk.Columns {
		c.columns[i].add(&chunk.Columns[i], c.rows)
	}
	c.rows += chunk.Rows
	return nil
}

// add keeps a copy of a column of a chunk, of which the table has so many rows before.
func (k *kept) add(from *Column, rows int) {
	k.absent = from.absent
	if len(from.malformed) > 0 {
		for row := range from.Len() {
			if from.malformed.has(row) {
				k.malformed.set(rows + row)
			}
		}
	}
	switch {
	case k.Kind.numeric():
		k.floats = append(k.floats, slices.Clone(from.Floats))
	case !k.Kind.coded():
		k.times = append(k.times, slices.Clone(from.Times))
	default:
		k.codeOf = k.codeOf[:0]
		for _, value := range from.Dict {
			k.codeOf = append(k.codeOf, k.dict.codeString(value))
		}
		codes := slices.Clone(from.Codes)
		for row, code := range codes {
			if code >= 0 {
				codes[row] = k.codeOf[code]
			}
		}
		k.codes = append(k.codes, codes)
	}
}

// table is what was kept, which is given away.
func (c *collector) table() *Table {
	t := &Table{Columns: make([]Column, len(c.columns)), Rows: c.rows}
	for i := range c.columns {
		k := &c.columns[i]
		t.Columns[i] = k.Column
		column := &t.Columns[i]
		switch {
		case k.Kind.numeric():
			column.Floats = joined(k.floats)
		case k.Kind.coded():
			column.Codes, column.Dict = joined(k.codes), k.dict.values
		default:
			column.Times = joined(k.times)
		}
		*k = kept{}
	}
	return t
}

// joined is one slice of the values of all pieces, never nil.
func joined[T any](pieces [][]T) []T {
	switch len(pieces) {
	case 0:
		return []T{}
	case 1:
		return pieces[0]
	}
	return slices.Concat(pieces...)
}
