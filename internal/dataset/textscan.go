package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
)

// parsed is a block and what became of it. It goes round between the reader, a parser and the visitor.
type parsed struct {
	block block
	lanes []lane
	rows  int
	table Table
	keep  int

	fault      *FormatError  // the row that ended the block; its line counts from the block's first, which is 1
	faultCells int           // of a row with a wrong number of cells
	ready      chan struct{} // a parser is done with it
}

// textScan is a scan of one object of text. A pass reads it once.
type textScan struct {
	ctx     context.Context
	o       ReadOptions
	source  Source
	visitor Visitor
	report  *Report
	unknown error // why the format isn't known; nil: it is

	plan  *plan
	guess *inference // nil with a contract
	info  Info
	begun bool  // the visitor was told of the columns in this pass
	void  bool  // it was told of a kind that proved wrong: the pass only looks for the right one
	line  int64 // how many were delivered
}

// pass reads the object once. again says that the visitor was told of wrong kinds, which are known better now.
func (s *textScan) pass() (again bool, err error) {
	from, err := s.source.Open()
	if err != nil {
		return false, fmt.Errorf("read %s: %w", s.o.Name, err)
	}
	stored := newSource(s.ctx, s.o.Name, from)
	s.info = Info{Columns: s.info.Columns, SHA256: s.info.SHA256}
	s.plan, s.report.Failures, s.begun, s.void, s.line = nil, nil, false, false, 0
	again, err = s.text(stored)
	if err != nil {
		err = stored.explain(err)
	}
	s.report.Failures = append(s.report.Failures, s.refused()...)
	err = s.finish(stored, err)
	if closed := from.Close(); err == nil && closed != nil {
		err = fmt.Errorf("read %s: %w", s.o.Name, closed)
	}
	return again, err
}

// finish hashes what is left of an object that was read to its end or refused.
func (s *textScan) finish(stored *source, err error) error {
	before := s.info.SHA256
	s.info.SHA256 = ""
	var format *FormatError
	if err == nil || errors.As(err, &format) {
		whole, drained := stored.drain(s.o.Limits.Bytes)
		if whole {
			s.info.SHA256 = stored.digest()
		}
		switch {
		case drained != nil:
			err = drained
		case before != "" && before != s.info.SHA256:
			err = fmt.Errorf("read %s: the bytes changed between two readings", s.o.Name)
		}
	}
	s.info.Bytes, s.report.Rows = stored.bytes, int64(s.info.Rows)
	return err
}

// text reads the rows.
func (s *textScan) text(stored *source) (again bool, err error) {
	if s.unknown != nil {
		return false, s.unknown
	}
	text, done, err := stored.open(s.o.Format, s.o.Limits)
	if err != nil {
		return false, err
	}
	defer done()
	reader := &blockReader{name: s.o.Name, from: text, stored: stored, size: s.o.block, limit: s.o.Limits.Row}
	first := &parsed{keep: s.o.Keep}
	header, err := s.header(reader, &first.block)
	if err == io.EOF {
		return false, stored.empty()
	}
	if err != nil {
		return false, err
	}
	if s.plan, err = planLanes(header, s.o, s.report); err != nil {
		return false, err
	}
	s.info.Header, s.info.Ignored = header, s.plan.ignored
	if err = s.rows(reader, first); err != nil {
		return false, err
	}
	if s.info.Rows == 0 {
		empty := stored.empty()
		empty.Observed = "a header only"
		if strings.ContainsRune(strings.Join(header, ""), '\r') {
			empty.Observed, empty.Limit = "one line, with carriage returns in it", "lines that end with LF or CRLF"
		}
		return false, empty
	}
	if s.guess == nil {
		return false, nil
	}
	if again = s.guess.decide(s.plan); !again {
		s.info.Columns = s.plan.columns()
	}
	return again, nil
}

// header reads the columns' names, and leaves in b the text behind them, up to a block with a row.
func (s *textScan) header(r *blockReader, b *block) ([]string, error) {
	cut := cutter{name: s.o.Name, limits: s.o.Limits}
	var header []string
	for {
		r.next(b)
		for len(b.text) > 0 && (header == nil || b.text[0] == '\n') {
			line := s.line + 1
			cells, length, bad := cut.row(b.text, line)
			if bad != nil {
				return nil, bad
			}
			if cells != nil {
				if header, bad = cut.names(cells); bad != nil {
					return nil, bad
				}
			}
			s.line += countLines(b.text[:length])
			b.text = b.text[length:]
		}
		b.lines = countLines(b.text)
		switch {
		case header != nil && (len(b.text) > 0 || b.err != nil || b.long != nil):
			return header, nil
		case b.long != nil:
			return nil, cut.endless(b.long, s.line+1)
		case b.err != nil:
			return nil, atLine(b.err, s.line+1)
		}
	}
}

// rows reads all rows: the first block, which says what the kinds may be, here, the others by several hands.
func (s *textScan) rows(r *blockReader, first *parsed) error {
	p := s.parser()
	if s.guess != nil && s.guess.classes == nil {
		p.parse(first, s.plan.probe())
		s.guess.begin(first)
	}
	if s.guess != nil {
		s.guess.apply(s.plan)
	}
	p.parse(first, s.specs())
	if s.guess != nil {
		s.guess.settle(s.plan, first)
	} else {
		s.info.Columns = s.plan.columns()
	}
	if done, err := s.deliver(first); done || err != nil {
		return err
	}
	if workers := s.workers(); workers > 1 {
		return s.parallel(r, first, workers)
	}
	for {
		r.next(&first.block)
		p.parse(first, s.specs())
		if done, err := s.deliver(first); done || err != nil {
			return err
		}
	}
}

func (s *textScan) parser() *parser {
	p := newParser(s.o.Name, s.o.Limits, s.plan.header)
	p.strict = s.o.strict
	return p
}

// workers is how many goroutines parse.
func (s *textScan) workers() int {
	if s.o.Workers > 0 {
		return s.o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// specs says what to make of the next block.
func (s *textScan) specs() []laneSpec {
	if s.guess != nil {
		return *s.guess.specs.Load()
	}
	return s.plan.lanes
}

// deliver counts a parsed block's rows and hands them to the visitor. Blocks are delivered in order. done is true after
// the last.
func (s *textScan) deliver(c *parsed) (done bool, err error) {
	if err := s.ctx.Err(); err != nil {
		return false, fmt.Errorf("read %s: after %d rows: %w", s.o.Name, s.info.Rows, err)
	}
	first := s.info.Rows
	if int64(first+c.rows) > s.o.Limits.Rows {
		s.cutShort(c, int(s.o.Limits.Rows)-first)
	}
	if s.guess != nil {
		s.void = !s.guess.merge(s.plan, c) || s.void
	}
	s.failures(c, first)
	s.info.Rows += c.rows
	if c.rows > 0 && !s.void && c.fault == nil {
		if !s.begun {
			s.begun = true
			if err := s.visitor.Begin(s.plan.columns()); err != nil {
				return false, err
			}
		}
		s.plan.table(&c.table, c)
		if err := s.visitor.Rows(Chunk{Table: &c.table, First: int64(first)}); err != nil {
			return false, err
		}
	}
	if s.o.Progress != nil {
		for rows := (first/progressEvery + 1) * progressEvery; rows <= s.info.Rows; rows += progressEvery {
			s.o.Progress(rows, c.block.stored)
		}
	}
	if c.fault != nil {
		return false, s.locate(c)
	}
	if c.block.long != nil {
		cut := cutter{name: s.o.Name, limits: s.o.Limits, header: s.plan.header}
		return false, cut.endless(c.block.long, s.line+c.block.lines+1)
	}
	s.line += c.block.lines
	if c.block.err == io.EOF {
		return true, nil
	}
	return false, atLine(c.block.err, s.line+1)
}

// atLine says where the text of a damaged object ends.
func atLine(err error, line int64) error {
	var format *FormatError
	if !errors.As(err, &format) || format.Rule != RuleTruncated || format.Line != 0 {
		return err
	}
	placed := *format
	placed.Line = line
	return &placed
}

// locate gives the fault of a block its place in the file.
func (s *textScan) locate(c *parsed) *FormatError {
	e := *c.fault
	e.Line += s.line
	if c.faultCells > 0 {
		e.Observed = fmt.Sprintf("%d cells in row %d", c.faultCells, s.info.Rows+1)
		e.Limit = fmt.Sprintf("%d, as the header has", len(s.plan.header))
	}
	return &e
}

// cutShort ends a block, parsed already, before its row of the given index, which is one too many.
func (s *textScan) cutShort(c *parsed, index int) {
	cut := cutter{name: s.o.Name, limits: s.o.Limits}
	for at, line := 0, int64(1); ; {
		cells, length, err := cut.row(c.block.text[at:], line)
		if cells != nil || err != nil {
			if index == 0 {
				c.block.text = c.block.text[:at]
				break
			}
			index--
		}
		line += countLines(c.block.text[at : at+length])
		at += length
	}
	fault := cut.fail(RuleLimit, -1, fmt.Sprintf("more than %d rows", s.o.Limits.Rows), fmt.Sprintf("at most %d", s.o.Limits.Rows))
	s.parser().parse(c, s.specs())
	c.fault, c.faultCells = fault, 0
}

// failures adds the cells of a wrong type to the report, in the order of the contract's columns.
func (s *textScan) failures(c *parsed, first int) {
	for i := range c.lanes {
		l := &c.lanes[i]
		if l.out < 0 || l.failure.Rows == 0 {
			continue
		}
		f := &s.plan.failures[l.out]
		if f.Rows == 0 {
			f.Observed = l.failure.Observed
		}
		f.Rows += l.failure.Rows
		for _, row := range l.failure.First[:min(len(l.failure.First), s.o.Keep-len(f.First))] {
			f.First = append(f.First, row+int64(first))
		}
	}
}

// refused are the failures so far.
func (s *textScan) refused() []Failure {
	var out []Failure
	if s.plan == nil {
		return nil
	}
	for _, f := range s.plan.failures {
		if f.Rows > 0 {
			out = append(out, f)
		}
	}
	return out
}
