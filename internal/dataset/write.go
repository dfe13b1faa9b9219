package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
)

// WriteCSV writes the table so that Read gives it back: RFC 4180 with LF, nulls as empty cells, numbers as the
// shortest decimal that parses to the same bits, booleans as true and false, timestamps in RFC 3339 UTC. Cells are
// quoted where they need it. Text is written as it is, for programs; a spreadsheet may take it for formulas.
// What can't be read back (an infinity, an empty name, a table without columns) is an error.
func WriteCSV(w io.Writer, t *Table) error {
	if len(t.Columns) == 0 {
		return fmt.Errorf("write csv: no columns")
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	for i := range t.Columns {
		name := t.Columns[i].Name
		if name == "" {
			return fmt.Errorf("write csv: column #%d has no name", i+1)
		}
		line = appendSeparator(line, i)
		line = appendQuoted(line, []byte(name))
	}
	line = append(line, '\n')
	var cell []byte
	for row := 0; ; row++ {
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write csv: row %d: %w", row, err)
		}
		if row == t.Rows {
			break
		}
		line = line[:0]
		for i := range t.Columns {
			c := &t.Columns[i]
			if c.Kind.numeric() && math.IsInf(c.Floats[row], 0) {
				return fmt.Errorf("write csv: column %s, row %d: observed %g, want a finite number", c.Name, row+1, c.Floats[row])
			}
			line = appendSeparator(line, i)
			cell = c.appendCell(cell[:0], row)
			if c.Kind.coded() {
				line = appendQuoted(line, cell)
			} else {
				line = append(line, cell...)
			}
		}
		if len(line) == 0 { // one column, and null: an empty line would be no row
			line = append(line, `""`...)
		}
		line = append(line, '\n')
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	return nil
}

func appendSeparator(line []byte, column int) []byte {
	if column > 0 {
		return append(line, ',')
	}
	return line
}

// appendQuoted appends a cell, in quotes if it has a comma, a quote or a line end, or begins like a byte-order mark.
func appendQuoted(line, cell []byte) []byte {
	if !bytes.ContainsAny(cell, ",\"\r\n") && !bytes.HasPrefix(cell, []byte("\xef\xbb\xbf")) {
		return append(line, cell...)
	}
	line = append(line, '"')
	for _, b := range cell {
		if b == '"' {
			line = append(line, '"')
		}
		line = append(line, b)
	}
	return append(line, '"')
}
