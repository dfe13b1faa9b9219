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
// quoted where they need it. Text is written as it is, for programs: a spreadsheet may run it, so what people open is
// for ExportCSV. What can't be read back (an infinity, an empty name, a table without columns) is an error.
func WriteCSV(w io.Writer, t *Table) error { return writeCSV(w, t, false) }

// ExportCSV is WriteCSV for people: names and texts that a spreadsheet would run are escaped, so Read may not give them
// back as they were.
func ExportCSV(w io.Writer, t *Table) error { return writeCSV(w, t, true) }

// EscapeFormula is a cell of a file for people. Where a spreadsheet would run it, since it begins with =, +, -, @, a
// tab or a carriage return, an apostrophe is put before it; plain numbers such as -1.5 and +1 are left alone. OWASP,
// "CSV Injection".
func EscapeFormula(cell string) string {
	if runs([]byte(cell)) {
		return "'" + cell
	}
	return cell
}

// runs reports whether a spreadsheet would take a cell for a formula.
func runs(cell []byte) bool {
	if len(cell) == 0 {
		return false
	}
	switch cell[0] {
	case '=', '@', '\t', '\r', '\n':
		return true
	case '+', '-':
		_, ok := parseNumber(cell)
		return !ok
	}
	return false
}

// writeCSV writes the table, with formulas escaped if asked for.
func writeCSV(w io.Writer, t *Table, escape bool) error {
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
		line = appendText(line, []byte(name), escape)
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
				line = appendText(line, cell, escape)
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

// appendText appends a name or a text.
func appendText(line, cell []byte, escape bool) []byte {
	if escape && runs(cell) {
		cell = append([]byte{'\''}, cell...)
	}
	return appendQuoted(line, cell)
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
