package dataset

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// scanner cuts text into the rows and cells of RFC 4180: cells separated by commas, rows by LF or CRLF, a cell in
// quotes may hold commas, line ends and, doubled, quotes. It is strict: a quote inside an unquoted cell, or text
// after a closing one, is an error, since guessing there moves every later cell. An empty line is no row; in a
// file of one column a null is written "". A byte-order mark is skipped. Text that isn't UTF-8, and NUL, are errors.
type scanner struct {
	name   string
	from   io.Reader
	limits Limits
	header []string // for the names of columns in errors; nil until the header was read

	buf      []byte // buf[start:end] is read and not yet cut
	start    int
	end      int
	eof      bool
	line     int64 // of the row that record returned last
	nextLine int64
	fields   [][]byte
}

// scanBuffer is how much text is asked for at once.
const scanBuffer = 256 << 10

func newScanner(name string, from io.Reader, limits Limits) *scanner {
	return &scanner{name: name, from: from, limits: limits, buf: make([]byte, scanBuffer), nextLine: 1}
}

// record is the next row's cells, valid until the next call; io.EOF after the last.
func (s *scanner) record() ([][]byte, error) {
	for {
		raw, quoted, err := s.next()
		if err != nil {
			return nil, err
		}
		if len(raw) == 0 {
			continue
		}
		sound := utf8.Valid(raw) && bytes.IndexByte(raw, 0) < 0
		if quoted {
			err = s.cutQuoted(raw)
		} else {
			err = s.cut(raw)
		}
		if err != nil {
			return nil, err
		}
		if !sound || len(raw) > s.limits.Cell {
			if err := s.checkCells(); err != nil {
				return nil, err
			}
		}
		return s.fields, nil
	}
}

// next is the text of the next row, without its line end, and whether it has quotes. A row goes on while the number
// of quotes so far is odd; where quotes are misplaced cutQuoted finds out.
func (s *scanner) next() (raw []byte, quoted bool, err error) {
	s.line = s.nextLine
	searched, quotes := 0, 0
	for {
		rest := s.buf[s.start+searched : s.end]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 && !s.eof {
			quotes += bytes.Count(rest, quote)
			searched += len(rest)
			if err := s.fill(); err != nil {
				return nil, false, err
			}
			continue
		}
		if i < 0 {
			i = len(rest) // the last row may lack its line end
		}
		quotes += bytes.Count(rest[:i], quote)
		length := searched + i
		atEnd := s.start+length == s.end
		if quotes%2 == 1 && !atEnd {
			searched = length + 1
			s.nextLine++
			continue
		}
		if quotes%2 == 1 {
			return nil, false, s.fail(RuleQuotes, -1, "a quote that is never closed", "a closing quote")
		}
		if atEnd && length == 0 {
			return nil, false, io.EOF
		}
		raw = s.buf[s.start : s.start+length]
		if len(raw) > s.limits.Row {
			return nil, false, s.tooLong()
		}
		s.start = min(s.start+length+1, s.end)
		s.nextLine++
		return bytes.TrimSuffix(raw, []byte{'\r'}), quotes > 0, nil
	}
}

var quote = []byte{'"'}

// fill reads more text behind what is left, making room first.
func (s *scanner) fill() error {
	first := s.end == 0
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.end -= s.start
		s.start = 0
	}
	if s.end == len(s.buf) {
		if s.end > s.limits.Row {
			return s.tooLong()
		}
		grown := make([]byte, 2*len(s.buf))
		copy(grown, s.buf)
		s.buf = grown
	}
	n, err := io.ReadAtLeast(s.from, s.buf[s.end:], 1)
	s.end += n
	if first && err == nil {
		err = s.skipMark()
	}
	if err == io.EOF {
		s.eof = true
		return nil
	}
	return err
}

// skipMark drops a byte-order mark, and names the compressed data that a wrong format lets through.
func (s *scanner) skipMark() error {
	for s.end < 3 {
		n, err := s.from.Read(s.buf[s.end:])
		s.end += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	head := s.buf[:s.end]
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		s.start = 3
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return s.fail(RuleEncoding, -1, "gzip data", "text, or the format csv.gz")
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f")):
		return s.fail(RuleEncoding, -1, "zstd data", "text, or the format csv.zst")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return s.fail(RuleEncoding, -1, "UTF-16", "UTF-8")
	}
	return nil
}

// cut splits a row without quotes.
func (s *scanner) cut(raw []byte) error {
	s.fields = s.fields[:0]
	for {
		i := bytes.IndexByte(raw, ',')
		if i < 0 {
			s.fields = append(s.fields, raw)
			return s.checkCount()
		}
		s.fields = append(s.fields, raw[:i])
		raw = raw[i+1:]
	}
}

// cutQuoted splits a row that has quotes, and undoubles them in place.
func (s *scanner) cutQuoted(raw []byte) error {
	s.fields = s.fields[:0]
	for {
		var cell []byte
		if len(raw) > 0 && raw[0] == '"' {
			var err error
			if cell, raw, err = s.unquote(raw[1:]); err != nil {
				return err
			}
		} else {
			i := bytes.IndexByte(raw, ',')
			if i < 0 {
				i = len(raw)
			}
			cell, raw = raw[:i], raw[i:]
			if bytes.IndexByte(cell, '"') >= 0 {
				return s.fail(RuleQuotes, len(s.fields), "a quote inside a cell that doesn't begin with one", "the cell in quotes, and the quote doubled")
			}
		}
		s.fields = append(s.fields, cell)
		if len(raw) == 0 {
			return s.checkCount()
		}
		raw = raw[1:] // the comma
	}
}

// unquote is the cell that raw, behind its opening quote, begins with, and what follows its closing one: nothing,
// or a comma and more.
func (s *scanner) unquote(raw []byte) (cell, rest []byte, err error) {
	write := 0
	for read := 0; ; {
		i := bytes.IndexByte(raw[read:], '"')
		if i < 0 {
			return nil, nil, s.fail(RuleQuotes, len(s.fields), "a quote that is never closed", "a closing quote")
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
			return nil, nil, s.fail(RuleQuotes, len(s.fields), "text after a closing quote", "a comma or the end of the row")
		}
		raw[write] = '"'
		write++
		read++
	}
}

// checkCount holds the row to the limit on columns.
func (s *scanner) checkCount() error {
	if len(s.fields) > s.limits.Columns {
		return s.fail(RuleLimit, -1, fmt.Sprintf("%d columns", len(s.fields)), fmt.Sprintf("at most %d", s.limits.Columns))
	}
	return nil
}

// checkCells finds the cell that is too long, isn't UTF-8 or has a NUL.
func (s *scanner) checkCells() error {
	for i, cell := range s.fields {
		switch {
		case len(cell) > s.limits.Cell:
			return s.fail(RuleLimit, i, fmt.Sprintf("a cell of %d bytes", len(cell)), fmt.Sprintf("at most %d", s.limits.Cell))
		case bytes.IndexByte(cell, 0) >= 0:
			return s.fail(RuleEncoding, i, "a NUL byte", "text")
		case !utf8.Valid(cell):
			return s.fail(RuleEncoding, i, fmt.Sprintf("invalid UTF-8 in %.40q", cell), "UTF-8")
		}
	}
	return nil
}

// fail is an error at the current row; column -1: not at a column.
func (s *scanner) fail(rule string, column int, observed, limit string) *FormatError {
	e := &FormatError{Name: s.name, Rule: rule, Line: s.line, Observed: observed, Limit: limit}
	switch {
	case column >= 0 && column < len(s.header):
		e.Column = s.header[column]
	case column >= 0:
		e.Column = fmt.Sprintf("#%d", column+1)
	}
	return e
}

func (s *scanner) tooLong() *FormatError {
	return s.fail(RuleLimit, -1, fmt.Sprintf("a row of more than %d bytes", s.limits.Row), "shorter rows; is a quote left open?")
}
