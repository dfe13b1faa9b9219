package dataset

import (
	"context"
	"fmt"
	"io"

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
	columns []Column
	dicts   []*dictionary
	codes   []int32 // of the chunk's dictionary in the column's
}

// Begin starts anew.
func (c *collector) Begin(columns []spec.ColumnRule) error {
	*c = collector{columns: make([]Column, len(columns)), dicts: make([]*dictionary, len(columns))}
	for i, rule := range columns {
		kind, err := ParseKind(rule.Type)
		if err != nil {
			return err
		}
		c.columns[i] = Column{Name: rule.Name, Kind: kind}
		c.columns[i].grow(0)
		if kind.coded() {
			c.dicts[i] = newDictionary()
		}
	}
	return nil
}

// Rows appends a copy of the rows.
func (c *collector) Rows(chunk Chunk) error {
	for i := range chunk.Columns {
		from, to := &chunk.Columns[i], &c.columns[i]
		to.absent = from.absent
		for row := range from.Len() {
			if len(from.malformed) == 0 {
				break
			}
			if from.malformed.has(row) {
				to.malformed.set(c.rows + row)
			}
		}
		switch {
		case to.Kind.numeric():
			to.Floats = append(to.Floats, from.Floats...)
		case to.Kind.coded():
			c.translate(i, from)
		default:
			to.Times = append(to.Times, from.Times...)
		}
	}
	c.rows += chunk.Rows
	return nil
}

// translate appends codes to column i, of its own dictionary.
func (c *collector) translate(i int, from *Column) {
	c.codes = c.codes[:0]
	for _, value := range from.Dict {
		c.codes = append(c.codes, c.dicts[i].codeString(value))
	}
	to := &c.columns[i]
	for _, code := range from.Codes {
		if code >= 0 {
			code = c.codes[code]
		}
		to.Codes = append(to.Codes, code)
	}
}

// table is what was kept.
func (c *collector) table() *Table {
	for i, dict := range c.dicts {
		if dict != nil {
			c.columns[i].Dict = dict.values
		}
	}
	return &Table{Columns: c.columns, Rows: c.rows}
}
