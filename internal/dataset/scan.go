package dataset

import (
	"context"
	"fmt"

	"github.com/leanloop/leanloop/internal/spec"
)

// Chunk is consecutive rows of a scan, in columns. Its slices and dictionaries are valid until the Visitor returns, the
// strings in its dictionaries for as long as somebody holds them.
type Chunk struct {
	*Table       // Category, Text: Dict holds values of this chunk only
	First  int64 // number of the first row, counted from 0
}

// Visitor takes the rows of a scan, in order, all calls from the goroutine that called Scan. An error ends the scan,
// which returns it.
type Visitor interface {
	// Begin is called before the first rows with the columns' names and kinds (ColumnRule's Name and Type, nothing
	// else), and again, before the first row once more, when kinds are inferred and a later cell contradicted one:
	// everything seen until then is void.
	Begin(columns []spec.ColumnRule) error
	Rows(c Chunk) error
}

// Visitors is a Visitor that calls each of v in turn.
func Visitors(v ...Visitor) Visitor { return visitors(v) }

type visitors []Visitor

func (vs visitors) Begin(columns []spec.ColumnRule) error {
	for _, v := range vs {
		if err := v.Begin(columns); err != nil {
			return err
		}
	}
	return nil
}

func (vs visitors) Rows(c Chunk) error {
	for _, v := range vs {
		if err := v.Rows(c); err != nil {
			return err
		}
	}
	return nil
}

// Scan reads a table from the stored bytes of an object, hashing them as they come, and hands its rows to v in chunks.
// What Read says of contracts, reports and errors holds here too.
func Scan(ctx context.Context, src Source, o ReadOptions, v Visitor) (Info, *Report, error) {
	if o.Format == "" {
		format, err := FormatOf(o.Name)
		if err != nil {
			return Info{}, &Report{Name: o.Name}, err
		}
		o.Format = format
	}
	if o.Format == Parquet {
		return scanParquet(ctx, src, o, v)
	}
	r, err := src.Open()
	if err != nil {
		return Info{}, &Report{Name: o.Name}, fmt.Errorf("read %s: %w", o.Name, err)
	}
	defer func() { _ = r.Close() }()
	table, info, report, err := Read(ctx, r, o)
	if err != nil {
		return info, report, err
	}
	info.Columns = rulesOf(table)
	if err := v.Begin(info.Columns); err != nil {
		return info, report, err
	}
	const rows = 1 << 13
	for first := 0; first < table.Rows; first += rows {
		if err := v.Rows(Chunk{Table: table.part(first, min(first+rows, table.Rows)), First: int64(first)}); err != nil {
			return info, report, err
		}
	}
	return info, report, nil
}

// rulesOf are the columns' names and kinds.
func rulesOf(t *Table) []spec.ColumnRule {
	rules := make([]spec.ColumnRule, len(t.Columns))
	for i := range t.Columns {
		rules[i] = spec.ColumnRule{Name: t.Columns[i].Name, Type: t.Columns[i].Kind.String()}
	}
	return rules
}

// part is the rows from, to (exclusive), sharing values with t.
func (t *Table) part(from, to int) *Table {
	out := &Table{Columns: make([]Column, len(t.Columns)), Rows: to - from}
	for i := range t.Columns {
		c := t.Columns[i]
		switch {
		case c.Kind.numeric():
			c.Floats = c.Floats[from:to]
		case c.Kind.coded():
			c.Codes = c.Codes[from:to]
		default:
			c.Times = c.Times[from:to]
		}
		var malformed bitset
		for row := from; row < to; row++ {
			if c.malformed.has(row) {
				malformed.set(row - from)
			}
		}
		c.malformed = malformed
		out.Columns[i] = c
	}
	return out
}
