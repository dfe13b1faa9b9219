package dataset

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// What is observed of quotes where a row can't be cut.
const (
	neverClosed = "a quote that is never closed"
	strayQuote  = "a quote inside a cell that doesn't begin with one"
)

// cutter cuts text into the rows and cells of RFC 4180: cells separated by commas, rows by LF or CRLF, a cell in
// quotes may hold commas, line ends and, doubled, quotes. It is strict: a quote inside an unquoted cell, or text
// after a closing one, is an error, since guessing there moves every later cell. An empty line is no row; in a
// file of one column a null is written "". Text that isn't UTF-8, and NUL, are errors.
//
// It is the definition of what is read, one row at a time and with a reason for each refusal. The lanes read plain
// rows faster and leave all others to it.
type cutter struct {
	name   string
	limits Limits
	header []string // for the names of columns in errors; nil until the header was read

	line   int64 // of the row that row cut last, where lines says the line that its text begins at
	copied []byte
	fields [][]byte
}

// row cuts the row that text begins with, at the given line of the file. It returns how many bytes it has, its line
// end included. cells is nil where the row is an empty line, else valid until the next call. text ends with a line
// feed.
func (c *cutter) row(text []byte, line int64) (cells [][]byte, length int, err *FormatError) {
	c.line = line
	length, quotes := rowLength(text)
	raw := bytes.TrimSuffix(text[:length-1], []byte{'\r'})
	switch {
	case length-1 > c.limits.Row:
		return nil, length, c.endless(text[:length], line)
	case quotes%2 == 1:
		return nil, length, c.unclosed(raw)
	case len(raw) == 0:
		return nil, length, nil
	}
	sound := utf8.Valid(raw) && bytes.IndexByte(raw, 0) < 0
	if quotes > 0 {
		c.copied = append(c.copied[:0], raw...) // quotes are undoubled in place
		err = c.cutQuoted(c.copied)
	} else {
		err = c.cut(raw)
	}
	if err == nil && (!sound || len(raw) > c.limits.Cell) {
		err = c.checkCells()
	}
	return c.fields, length, err
}

// unclosed is what is wrong with a row that has an odd number of quotes: the misplaced one, or one that nothing closes.
func (c *cutter) unclosed(raw []byte) *FormatError {
	c.copied = append(c.copied[:0], raw...)
	if err := c.cutQuoted(c.copied); err != nil && err.Observed != neverClosed {
		return err
	}
	return c.fail(RuleQuotes, -1, neverClosed, "a closing quote")
}

// endless is what is wrong with a row that is longer than a row may be, of which only the beginning may be known. What
// makes rows longer is most often a quote where none belongs.
func (c *cutter) endless(beginning []byte, line int64) *FormatError {
	c.line = line
	c.copied = append(c.copied[:0], beginning[:c.limits.Row]...)
	if err := c.cutQuoted(c.copied); err != nil && err.Observed == strayQuote {
		return err
	}
	return c.fail(RuleLimit, -1, fmt.Sprintf("a row of more than %d bytes", c.limits.Row), "shorter rows; is a quote left open?")
}

// otherSeparator is what files are also separated by.
type otherSeparator struct {
	char   byte
	called string
}

func otherSeparators() []otherSeparator {
	return []otherSeparator{{';', "semicolons"}, {'\t', "tabs"}, {'|', "bars"}}
}

// names are the columns' names, of which cells is the row. A single name with several separators of other formats in it is
// the header of one of those: read as one column, it would pass for a table.
func (c *cutter) names(cells [][]byte) ([]string, *FormatError) {
	for _, s := range otherSeparators() {
		if len(cells) == 1 && bytes.Count(cells[0], []byte{s.char}) >= 2 {
			return nil, c.fail(RuleHeader, -1, fmt.Sprintf("one column, %.60q", cells[0]),
				"columns separated by commas, not by "+s.called+" (pandas: pd.read_csv(sep="+strconv.Quote(string(s.char))+"), then to_csv)")
		}
	}
	header := make([]string, len(cells))
	at := make(map[string]int, len(cells))
	for i, cell := range cells {
		name := string(cell)
		if name == "" {
			return nil, c.fail(RuleHeader, i, "no name", "a name (pandas: to_csv(index=False))")
		}
		if first, twice := at[name]; twice {
			return nil, c.fail(RuleHeader, i, fmt.Sprintf("the name %.60q, which column #%d has", name, first+1), "a name of its own")
		}
		at[name], header[i] = i, name
	}
	return header, nil
}

// rowLength is how far the row goes that text begins with, behind its line feed, and how many quotes it has. A row
// goes on while their number is odd; where quotes are misplaced cutQuoted finds out.
func rowLength(text []byte) (length, quotes int) {
	for length < len(text) {
		n := bytes.IndexByte(text[length:], '\n') + 1
		if n == 0 {
			n = len(text) - length
		}
		quotes += bytes.Count(text[length:length+n], []byte{'"'})
		length += n
		if quotes%2 == 0 {
			break
		}
	}
	return length, quotes
}

// cut splits a row without quotes.
func (c *cutter) cut(raw []byte) *FormatError {
	c.fields = c.fields[:0]
	if n := bytes.Count(raw, []byte{','}) + 1; n > c.limits.Columns {
		return c.fail(RuleLimit, -1, fmt.Sprintf("%d columns", n), fmt.Sprintf("at most %d", c.limits.Columns))
	}
	for {
		i := bytes.IndexByte(raw, ',')
		if i < 0 {
			c.fields = append(c.fields, raw)
			return nil
		}
		c.fields = append(c.fields, raw[:i])
		raw = raw[i+1:]
	}
}

// cutQuoted splits a row that has quotes, and undoubles them in place.
func (c *cutter) cutQuoted(raw []byte) *FormatError {
	c.fields = c.fields[:0]
	for {
		var cell []byte
		if len(raw) > 0 && raw[0] == '"' {
			var err *FormatError
			if cell, raw, err = c.unquote(raw[1:]); err != nil {
				return err
			}
		} else {
			i := bytes.IndexByte(raw, ',')
			if i < 0 {
				i = len(raw)
			}
			cell, raw = raw[:i], raw[i:]
			if bytes.IndexByte(cell, '"') >= 0 {
				return c.fail(RuleQuotes, len(c.fields), strayQuote, "the cell in quotes, and the quote doubled")
			}
		}
		if len(c.fields) == c.limits.Columns {
			return c.fail(RuleLimit, -1, fmt.Sprintf("more than %d columns", c.limits.Columns), fmt.Sprintf("at most %d", c.limits.Columns))
		}
		c.fields = append(c.fields, cell)
		if len(raw) == 0 {
			return nil
		}
		raw = raw[1:] // the comma
	}
}

// unquote is the cell that raw, behind its opening quote, begins with, and what follows its closing one: nothing,
// or a comma and more.
func (c *cutter) unquote(raw []byte) (cell, rest []byte, err *FormatError) {
	write := 0
	for read := 0; ; {
		i := bytes.IndexByte(raw[read:], '"')
		if i < 0 {
			return nil, nil, c.fail(RuleQuotes, len(c.fields), neverClosed, "a closing quote")
		}
		if write == read {
			write += i
		} else {
			write += copy(raw[write:], raw[read:read+i])
		}
		read += i + 1
		if read == len(raw) || raw[read] == ',' {
			return raw[:write], raw[read:], nil
		}
		if raw[read] != '"' {
			return nil, nil, c.fail(RuleQuotes, len(c.fields), "text after a closing quote", "a comma or the end of the row")
		}
		raw[write] = '"'
		write++
		read++
	}
}

// checkCells finds the cell that is too long, isn't UTF-8 or has a NUL.
func (c *cutter) checkCells() *FormatError {
	for i, cell := range c.fields {
		switch {
		case len(cell) > c.limits.Cell:
			return c.fail(RuleLimit, i, fmt.Sprintf("a cell of %d bytes", len(cell)), fmt.Sprintf("at most %d", c.limits.Cell))
		case bytes.IndexByte(cell, 0) >= 0:
			return c.fail(RuleEncoding, i, "a NUL byte", "text")
		case !utf8.Valid(cell):
			return c.fail(RuleEncoding, i, fmt.Sprintf("invalid UTF-8 in %.40q", cell), "UTF-8")
		}
	}
	return nil
}

// fail is an error at the current row; column -1: not at a column.
func (c *cutter) fail(rule string, column int, observed, limit string) *FormatError {
	e := &FormatError{Name: c.name, Rule: rule, Line: c.line, Observed: observed, Limit: limit}
	switch {
	case column >= 0 && column < len(c.header):
		e.Column = c.header[column]
	case column >= 0:
		e.Column = fmt.Sprintf("#%d", column+1)
	}
	return e
}
