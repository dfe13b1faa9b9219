package dataset

import (
	"cmp"
	"context"
	"errors"
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
}

// Info is what is known of the object once it was read.
type Info struct {
	SHA256  string            // of the bytes as stored, hex; "" if they could not all be read
	Bytes   int64             // as stored
	Rows    int               // below the header
	Ignored []string          // columns that the contract doesn't list
	Columns []spec.ColumnRule // names and kinds of the table's columns; nil before they were known
}

// progressEvery is how many rows lie between two calls of Progress.
const progressEvery = 1 << 14

// Read reads a table in one pass over the stored bytes, hashing them as they come.
//
// What makes the bytes no table is a *FormatError, with Info complete and what the Report had found until then. A cell
// that isn't of its declared type, a required column that is missing and, in a strict contract, one that isn't listed
// go to the Report; such cells are null in the table. With a contract, columns it doesn't list are read past, so
// that a column which appears one day never becomes a feature by itself, and an optional column that is missing is
// all null. Any other error is the reader's or the context's, and reading again may help.
func Read(ctx context.Context, r io.Reader, o ReadOptions) (*Table, Info, *Report, error) {
	o.Limits = o.Limits.withDefaults()
	o.Keep = cmp.Or(o.Keep, DefaultKeep)
	report := &Report{Name: o.Name}
	source := newSource(ctx, o.Name, r)
	table, info, err := readTable(source, o, report)
	if err != nil {
		err = source.explain(err)
	}
	var format *FormatError
	if err == nil || errors.As(err, &format) {
		if drained := source.drain(o.Limits.Bytes); drained != nil {
			return nil, info, report, drained
		}
		info.SHA256 = source.digest()
	}
	info.Bytes = source.bytes
	report.Rows = int64(info.Rows)
	if err != nil {
		return nil, info, report, err
	}
	return table, info, report, nil
}

// readTable is Read without the hash.
func readTable(source *source, o ReadOptions, report *Report) (*Table, Info, error) {
	var info Info
	if o.Format == "" {
		format, err := FormatOf(o.Name)
		if err != nil {
			return nil, info, err
		}
		o.Format = format
	}
	text, done, err := source.open(o.Format, o.Limits)
	if err != nil {
		return nil, info, err
	}
	defer done()
	scanner := newScanner(o.Name, text, o.Limits)
	header, err := readHeader(scanner)
	if err == io.EOF {
		return nil, info, source.empty()
	}
	if err != nil {
		return nil, info, err
	}
	columns, err := planColumns(header, o, report)
	if err != nil {
		return nil, info, err
	}
	info.Ignored = columns.ignored
	if info.Rows, err = columns.fill(scanner, source, o); err != nil {
		columns.failures(report)
		return nil, info, err
	}
	table := columns.table(info.Rows)
	columns.failures(report)
	if info.Rows == 0 {
		empty := source.empty()
		empty.Observed = "a header only"
		return nil, info, empty
	}
	return table, info, nil
}

// readHeader is the columns' names.
func readHeader(s *scanner) ([]string, error) {
	cells, err := s.record()
	if err != nil {
		return nil, err
	}
	header := make([]string, len(cells))
	at := make(map[string]int, len(cells))
	for i, cell := range cells {
		name := string(cell)
		if name == "" {
			return nil, s.fail(RuleHeader, i, "no name", "a name (pandas: to_csv(index=False))")
		}
		if first, twice := at[name]; twice {
			return nil, s.fail(RuleHeader, i, fmt.Sprintf("the name %q, which column #%d has", name, first+1), "a name of its own")
		}
		at[name], header[i] = i, name
	}
	s.header = header
	return header, nil
}

// columnPlan is where each cell goes.
type columnPlan struct {
	byCell  []*builder // one per column of the file; nil: read past
	inOrder []*builder // the table's columns
	absent  map[*builder]bool
	ignored []string
}

// planColumns matches the header with the contract. What doesn't match goes to the report.
func planColumns(header []string, o ReadOptions, report *Report) (*columnPlan, error) {
	plan := &columnPlan{byCell: make([]*builder, len(header)), absent: map[*builder]bool{}}
	if o.Contract == nil {
		for i, name := range header {
			plan.byCell[i] = newInferringBuilder(name, o.Keep)
		}
		plan.inOrder = plan.byCell
		return plan, nil
	}
	for _, rule := range o.Contract.Columns {
		kind, err := ParseKind(rule.Type)
		if err != nil {
			return nil, contractFault(rule.Name, err)
		}
		i := slices.Index(header, rule.Name)
		if i < 0 && !rule.Optional {
			report.Failures = append(report.Failures, missingColumn(rule.Name, header))
			continue
		}
		b := newBuilder(rule.Name, kind, o.Keep)
		plan.inOrder = append(plan.inOrder, b)
		if i < 0 {
			plan.absent[b] = true
		} else {
			plan.byCell[i] = b
		}
	}
	listed := make(map[string]bool, len(header))
	for _, rule := range o.Contract.Columns {
		listed[rule.Name] = true
	}
	for _, name := range header {
		if listed[name] {
			continue
		}
		plan.ignored = append(plan.ignored, name)
		if o.Contract.Strict {
			report.Failures = append(report.Failures, unexpectedColumn(name))
		}
	}
	return plan, nil
}

// fill reads all rows and returns how many there were.
func (p *columnPlan) fill(s *scanner, source *source, o ReadOptions) (rows int, err error) {
	for {
		cells, err := s.record()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		if len(cells) != len(p.byCell) {
			return rows, s.fail(RuleFields, -1, fmt.Sprintf("%d cells in row %d", len(cells), rows+1), fmt.Sprintf("%d, as the header has", len(p.byCell)))
		}
		if int64(rows) >= o.Limits.Rows {
			return rows, s.fail(RuleLimit, -1, fmt.Sprintf("more than %d rows", o.Limits.Rows), fmt.Sprintf("at most %d", o.Limits.Rows))
		}
		for i, b := range p.byCell {
			if b != nil {
				b.append(cells[i], rows)
			}
		}
		rows++
		if rows%progressEvery == 0 {
			if err := source.ctx.Err(); err != nil {
				return rows, fmt.Errorf("read %s: after %d rows: %w", o.Name, rows, err)
			}
			if o.Progress != nil {
				o.Progress(rows, source.bytes)
			}
		}
	}
}

// table is the finished columns.
func (p *columnPlan) table(rows int) *Table {
	t := &Table{Rows: rows}
	for _, b := range p.inOrder {
		c := b.finish()
		if p.absent[b] {
			c.absent = true
			c.appendNulls(rows)
		}
		t.Columns = append(t.Columns, c)
	}
	return t
}

// failures adds the cells of a wrong type to the report.
func (p *columnPlan) failures(report *Report) {
	for _, b := range p.inOrder {
		if b.failure.Rows > 0 {
			report.Failures = append(report.Failures, b.failure)
		}
	}
}
