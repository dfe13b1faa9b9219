package dataset

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/leanloop/leanloop/internal/dataset/parquet"
)

// How large a chunk may be: so many rows that a column's numbers stay in a core's cache, fewer where rows are long (so
// many blocks of text), and never more text than that, however little of it is stored.
const (
	parquetRows   = 1 << 13
	parquetBlocks = 16
	parquetText   = 256 << 20
)

// parquetPass reads the file once, chunk by chunk.
type parquetPass struct {
	scan    *parquetScan
	readers []*columnReader
	spaces  []*parquet.Workspace // one a worker
	rows    int                  // in a chunk
}

// parquetChunk is a chunk being filled.
type parquetChunk struct {
	Chunk
	text   atomic.Int64 // bytes in the dictionaries, beyond those of the file's own
	beyond atomic.Bool  // a cell contradicts the kind that was inferred for its column
}

// pass reads all rows, and reports whether the kinds have to change and all rows to be read again. Once that is known the
// visitor isn't called any more.
func (s *parquetScan) pass(v Visitor) (again bool, err error) {
	s.plan.start()
	p, err := s.newPass()
	if err != nil {
		return false, err
	}
	defer p.close()
	if err := v.Begin(s.plan.rules()); err != nil {
		return false, err
	}
	s.rows = 0
	err = p.chunks(func(c *parquetChunk) error {
		if again = s.plan.note(c) || again; !again {
			if err := v.Rows(c.Chunk); err != nil {
				return err
			}
		}
		before := s.rows
		s.rows += c.Rows
		if s.o.Progress != nil && before/progressEvery != s.rows/progressEvery {
			s.o.Progress(s.rows, int64(float64(s.stored)*float64(s.rows)/float64(s.file.Rows)))
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return s.plan.settle(), nil
}

// sample settles the kinds that the first rows show, so that a contradiction later is rare.
func (s *parquetScan) sample() error {
	for changed := true; changed; {
		s.plan.start()
		p, err := s.newPass()
		if err != nil {
			return err
		}
		chunk := p.newChunk()
		err = p.fill(s.ctx, chunk, 0)
		p.close()
		if err != nil {
			return err
		}
		s.plan.note(chunk)
		changed = s.plan.settle()
	}
	return nil
}

// newPass is a pass from the first row.
func (s *parquetScan) newPass() (*parquetPass, error) {
	p := &parquetPass{scan: s}
	var bytes int64
	for _, column := range s.plan.columns {
		r := &columnReader{parquetColumn: column, scan: s}
		p.readers = append(p.readers, r)
		if column.at < 0 {
			continue
		}
		var err error
		if r.cursor, err = s.file.Cursor(column.at); err != nil {
			return nil, s.explain(err)
		}
		bytes += s.file.Bytes(column.at)
	}
	for range max(1, min(s.o.Workers, len(p.readers))) {
		p.spaces = append(p.spaces, &parquet.Workspace{})
	}
	perRow := max(bytes/s.file.Rows, 8*int64(len(p.readers)), 1)
	p.rows = int(max(1, min(parquetRows, s.file.Rows, int64(s.o.block)*parquetBlocks/perRow)))
	return p, nil
}

func (p *parquetPass) close() {
	for _, r := range p.readers {
		if r.cursor != nil {
			r.cursor.Close()
		}
	}
	for _, w := range p.spaces {
		w.Close()
	}
}

// chunks calls do for every chunk in order. With several workers the next chunk is filled while do has one.
func (p *parquetPass) chunks(do func(*parquetChunk) error) error {
	ctx, stop := context.WithCancel(p.scan.ctx)
	defer stop()
	if len(p.spaces) == 1 {
		chunk := p.newChunk()
		for first := int64(0); first < p.scan.file.Rows; first += int64(chunk.Rows) {
			if err := p.fill(ctx, chunk, first); err != nil {
				return err
			}
			if err := do(chunk); err != nil {
				return err
			}
		}
		return nil
	}
	free, full, failed := make(chan *parquetChunk, 2), make(chan *parquetChunk), make(chan error, 1)
	free <- p.newChunk()
	free <- p.newChunk()
	go func() {
		defer close(full)
		failed <- p.fillAll(ctx, free, full)
	}()
	var err error
	for chunk := range full {
		if err == nil {
			if err = do(chunk); err != nil {
				stop()
			}
		}
		free <- chunk
	}
	if filled := <-failed; err == nil {
		err = filled
	}
	return err
}

// fillAll fills chunk after chunk until there are no more rows.
func (p *parquetPass) fillAll(ctx context.Context, free <-chan *parquetChunk, full chan<- *parquetChunk) error {
	for first := int64(0); first < p.scan.file.Rows; {
		var chunk *parquetChunk
		select {
		case <-ctx.Done():
			return p.stopped(ctx, first)
		case chunk = <-free:
		}
		if err := p.fill(ctx, chunk, first); err != nil {
			return err
		}
		first += int64(chunk.Rows)
		full <- chunk // somebody takes chunks until the channel is closed
	}
	return nil
}

func (p *parquetPass) stopped(ctx context.Context, rows int64) error {
	return fmt.Errorf("read %s: after %d rows: %w", p.scan.o.Name, rows, ctx.Err())
}

func (p *parquetPass) newChunk() *parquetChunk {
	c := &parquetChunk{Chunk: Chunk{Table: &Table{Columns: make([]Column, len(p.readers))}}}
	for i, r := range p.readers {
		column := Column{Name: r.name, Kind: r.kind, absent: r.at < 0}
		column.grow(p.rows)
		c.Columns[i] = column
	}
	return c
}

// fill reads the next rows of every column into the chunk. Columns are shared out among the workers.
func (p *parquetPass) fill(ctx context.Context, c *parquetChunk, first int64) error {
	if ctx.Err() != nil {
		return p.stopped(ctx, first)
	}
	c.First, c.Rows = first, int(min(int64(p.rows), p.scan.file.Rows-first))
	c.text.Store(0)
	c.beyond.Store(false)
	var next atomic.Int64
	errs := make([]error, len(p.readers))
	work := func(w *parquet.Workspace) {
		for i := int(next.Add(1)) - 1; i < len(errs); i = int(next.Add(1)) - 1 {
			errs[i] = p.scan.guarded(func() error { return p.readers[i].fill(w, c, &c.Columns[i]) })
			if errs[i] != nil {
				return
			}
		}
	}
	var others sync.WaitGroup
	for _, w := range p.spaces[1:] {
		others.Go(func() { work(w) })
	}
	work(p.spaces[0])
	others.Wait()
	for _, err := range errs { // the first column's that failed, whoever was faster
		if err != nil {
			return p.scan.explain(err)
		}
	}
	return nil
}

// columnReader fills one column of chunk after chunk.
type columnReader struct {
	*parquetColumn
	scan   *parquetScan
	cursor *parquet.Cursor // nil: absent
	from   *parquet.Values // the dictionary that lut is made of
	lut    converted
	used   []int32   // codes of lut whose names this chunk has
	names  *interner // where the kind is coded
	dict   []string  // of the chunk
	cell   []byte
}

// fill reads the chunk's rows of the column.
func (r *columnReader) fill(w *parquet.Workspace, chunk *parquetChunk, c *Column) error {
	c.malformed = c.malformed[:0]
	c.truncate()
	if r.cursor == nil {
		c.appendNulls(chunk.Rows)
		return nil
	}
	if r.kind.coded() {
		r.forget()
	}
	for done := 0; done < chunk.Rows; {
		batch, err := r.cursor.Next(w, chunk.Rows-done)
		if err != nil {
			return err
		}
		if err := r.append(&batch, chunk, c, done); err != nil {
			return err
		}
		done += batch.Rows
	}
	c.Dict = r.dict
	return nil
}

// truncate drops the values and keeps their memory.
func (c *Column) truncate() {
	c.Floats, c.Codes, c.Times, c.Dict = c.Floats[:0], c.Codes[:0], c.Times[:0], nil
}

// append converts a batch whose first row is the chunk's row done.
func (r *columnReader) append(b *parquet.Batch, chunk *parquetChunk, c *Column, done int) error {
	switch {
	case b.Dict == nil:
		r.from, r.lut, r.used = nil, converted{}, nil // a writer that gave its dictionary up won't need it again
	case b.Dict != r.from:
		if err := r.look(b.Dict); err != nil {
			return err
		}
	}
	values := b.Len()
	if b.Dict != nil {
		values = len(b.Codes)
	}
	var bad bool
	switch {
	case r.kind.numeric():
		c.Floats = extend(c.Floats, b.Rows)
		to := c.Floats[done:][:values]
		if b.Dict != nil {
			bad = gather(to, r.lut.floats, b.Codes) && r.lut.bad
		} else {
			bad = r.stored.numbers(r.kind, &b.Values, to)
		}
		if bad {
			refuseMarked(r, b, chunk, c, done, to, isBadNumber, math.NaN())
		}
		spread(c.Floats[done:], b.Present, values, math.NaN())
	case r.kind == Timestamp:
		c.Times = extend(c.Times, b.Rows)
		to := c.Times[done:][:values]
		if b.Dict != nil {
			bad = gather(to, r.lut.times, b.Codes) && r.lut.bad
		} else {
			bad = r.stored.times(&b.Values, to)
		}
		if bad {
			refuseMarked(r, b, chunk, c, done, to, isBadTime, NullTime)
		}
		spread(c.Times[done:], b.Present, values, NullTime)
	default:
		c.Codes = extend(c.Codes, b.Rows)
		to := c.Codes[done:][:values]
		var err error
		if b.Dict != nil {
			bad = r.translate(to, b.Codes)
		} else {
			bad, err = r.encode(to, &b.Values, chunk)
		}
		if err != nil {
			return err
		}
		if bad {
			refuseMarked(r, b, chunk, c, done, to, isBadCode, NullCode)
		}
		spread(c.Codes[done:], b.Present, values, NullCode)
	}
	return nil
}

// extend is values with n more of any value.
func extend[T any](values []T, n int) []T {
	if len(values)+n > cap(values) {
		return append(values, make([]T, n)...)
	}
	return values[:len(values)+n]
}

// gather looks codes up. It is always true, so that it can stand in a condition.
func gather[T any](to, table []T, codes []int32) bool {
	for i, code := range codes {
		to[i] = table[code]
	}
	return true
}

// spread moves the first values apart, to the rows that have one, and writes null to the others.
func spread[T any](to []T, present []int32, values int, null T) {
	if present == nil {
		return
	}
	for row := len(present) - 1; row >= 0; row-- {
		if present[row] == 0 {
			to[row] = null
			continue
		}
		values--
		to[row] = to[values]
	}
}

// refuseMarked notes the values of a batch that were marked as bad, and makes them null.
func refuseMarked[T any](r *columnReader, b *parquet.Batch, chunk *parquetChunk, c *Column, done int, to []T, isBad func(T) bool, null T) {
	row := 0
	for i, v := range to {
		for b.Present != nil && b.Present[row] == 0 {
			row++
		}
		if isBad(v) {
			to[i] = null
			c.malformed.set(done + row)
			r.failure.add(int(chunk.First)+done+row, r.keep, func() string { return fmt.Sprintf("%.60q", r.stored.inBatch(b, i)) })
			if r.infer && r.kind == Integer {
				r.beyond = true
				chunk.beyond.Store(true)
			}
		}
		row++
	}
}
