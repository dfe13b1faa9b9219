package parquet

import (
	"encoding/binary"
	"fmt"
)

// Workspace is what one goroutine needs to read pages, of whatever columns of a file, one at a time.
type Workspace struct {
	header   []byte
	packed   buffer
	unpacker unpacker
	present  []int32
	codes    []int32
	ints     []int64
	floats   []float64
	bytes    [][]byte
	lengths  []int64
	text     []byte
}

// Close frees the decoders.
func (w *Workspace) Close() { w.unpacker.close() }

// Values are values of one form; the other slices are nil.
type Values struct {
	Ints   []int64   // of Boolean (0 or 1), Int32 and Int64, with the sign of the stored bits
	Floats []float64 // of Float and Double
	Bytes  [][]byte  // of the others
}

// Len is how many there are.
func (v *Values) Len() int { return max(len(v.Ints), len(v.Floats), len(v.Bytes)) }

// Batch is consecutive rows of a column. It is valid until the cursor or the workspace is used again. Dict stays the
// same, by its address, until the next row group.
type Batch struct {
	Rows    int
	Present []int32 // 1 for each row with a value, 0 for nulls; nil: no nulls
	Values          // of the rows that have one, in order; empty where Codes are set
	Codes   []int32 // indexes of Dict, for the rows that have a value
	Dict    *Values // nil: Values are set
}

// Cursor reads a column from its first row to its last. It isn't safe for concurrent use.
type Cursor struct {
	file   *File
	column *Column
	group  int   // the next row group
	codec  codec // of the current one
	at     int64 // offset of the next page's header
	left   int64 // values of the row group that no page read so far has
	rows   int   // rows of the page that are left
	page   buffer
	levels hybrid // of the page, where the column is optional
	values decoder
	dict   *Values
	dictAt int64  // offset of its page's header; 0: none so far in this row group
	dictIn buffer // the bytes of a dictionary of byte arrays
	listed int64  // what the meter knows of dict beyond its bytes
}

// Cursor is a new cursor on a column that is flat.
func (f *File) Cursor(column int) (*Cursor, error) {
	c := &f.Columns[column]
	if c.Nested != "" {
		return nil, unsupported(c.Nested, "a column of single values").in(c.Name)
	}
	return &Cursor{file: f, column: c}, nil
}

// Close gives the pages' memory back to the file's limit.
func (c *Cursor) Close() {
	c.page.free(c.file.meter)
	c.forget()
}

// forget drops the dictionary.
func (c *Cursor) forget() {
	c.dictIn.free(c.file.meter)
	c.file.meter.open.Add(-c.listed)
	c.dict, c.listed = nil, 0
}

// Next reads the next rows, n at most and one at least. There are File.Rows in all; asking for more is an error.
func (c *Cursor) Next(w *Workspace, n int) (Batch, error) {
	b, err := c.next(w, n)
	if e, ok := err.(*Error); ok {
		err = e.in(c.column.Name)
	}
	return b, err
}

func (c *Cursor) next(w *Workspace, n int) (Batch, error) {
	for c.rows == 0 {
		if err := c.turn(w); err != nil {
			return Batch{}, err
		}
	}
	n = min(n, c.rows, c.values.most())
	c.rows -= n
	b := Batch{Rows: n}
	values := n
	if c.column.Optional {
		w.present = sized(w.present, n)
		ones, all, err := c.levels.levels(w.present)
		if err != nil {
			return b, err
		}
		if values = ones; !all {
			b.Present = w.present
		}
	}
	return b, c.values.read(w, &b, c.dict, values)
}

// turn goes to the next page, and to the next row group where this one has none left.
func (c *Cursor) turn(w *Workspace) error {
	for c.left == 0 {
		if c.group == len(c.file.groups) {
			return damaged("the last row", "as many rows as the footer says")
		}
		chunk := &c.file.groups[c.group].chunks[c.column.leaf]
		c.group++
		c.codec, c.at, c.left = chunk.codec, chunk.start, chunk.values
		c.dictAt = 0
		c.forget()
	}
	at := c.at
	h, err := c.header(w)
	if err != nil {
		return err
	}
	switch h.kind {
	case dictionaryPage:
		if c.dictAt > 0 {
			return damaged("a second dictionary in a row group", "one")
		}
		c.dictAt = at
		return c.dictionary(w, &h)
	case dataPage, dataPageV2:
		if int64(h.values) > c.left {
			return damaged(fmt.Sprintf("a page of %d values where %d are left", h.values, c.left), "no more than the row group has")
		}
		c.left -= int64(h.values)
		c.rows = int(h.values)
		return c.data(w, &h)
	}
	c.at += int64(h.packed) // an index, or what a later format knows
	return nil
}

// dictionary reads the row group's dictionary.
func (c *Cursor) dictionary(w *Workspace, h *pageHeader) error {
	if h.encoding != plain && h.encoding != plainDictionary {
		return unsupported("a dictionary in "+h.encoding.String(), "PLAIN")
	}
	b, err := c.body(w, h, &c.dictIn, 0, c.codec)
	if err != nil {
		return err
	}
	n := int(h.values)
	if least := width(c.column, 4); c.column.Physical == Boolean || n > len(b)/least {
		return damaged(fmt.Sprintf("a dictionary of %d values in %d bytes", n, len(b)), "values of their width")
	}
	const slot = 24 // of a slice, the largest
	if err := c.file.meter.grow(0, int64(n)*slot); err != nil {
		return err
	}
	c.listed = int64(n) * slot
	var values decoder
	if err := values.reset(c.column, plain, b, c.file.meter.limits.Cell); err != nil {
		return err
	}
	own, batch := &Workspace{}, Batch{} // these values outlive the workspace's next use
	if err := values.read(own, &batch, nil, n); err != nil {
		return err
	}
	c.dict = &batch.Values
	if c.dict.Bytes == nil {
		c.dictIn.free(c.file.meter)
	}
	return nil
}

// again reads the row group's dictionary once more.
func (c *Cursor) again(w *Workspace) error {
	at := c.at
	c.at = c.dictAt
	h, err := c.header(w)
	if err == nil {
		err = c.dictionary(w, &h)
	}
	c.at = at
	return err
}

// data readies the page's levels and values.
func (c *Cursor) data(w *Workspace, h *pageHeader) error {
	codec, raw := c.codec, int32(0)
	if h.kind == dataPageV2 {
		raw = h.levelBytes
		if !h.compressed {
			codec = uncompressed
		}
	}
	b, err := c.body(w, h, &c.page, raw, codec)
	if err != nil {
		return err
	}
	if c.column.Optional {
		if b, err = c.readLevels(h, b); err != nil {
			return err
		}
	} else {
		b = b[raw:]
	}
	switch coded := h.encoding == rleDictionary || h.encoding == plainDictionary; {
	case !coded:
		c.forget() // writers give a dictionary up when it grows too large, and don't come back to it
	case c.dict == nil && c.dictAt > 0:
		if err := c.again(w); err != nil {
			return err
		}
	case c.dict == nil && len(b) > 0:
		return damaged("indexes without a dictionary", "a dictionary before them")
	}
	return c.values.reset(c.column, h.encoding, b, c.file.meter.limits.Cell)
}

// readLevels readies the definition levels at the start of b, and is what follows them.
func (c *Cursor) readLevels(h *pageHeader, b []byte) (rest []byte, err error) {
	n := int(h.levelBytes)
	if h.kind == dataPage {
		if h.levels != rle {
			return nil, unsupported("definition levels as "+h.levels.String(), "RLE")
		}
		if len(b) < 4 {
			return nil, damaged("a page without levels", "a level for every row")
		}
		size := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if uint64(size) > uint64(len(b)) {
			return nil, damaged(fmt.Sprintf("%d bytes of levels in a page of %d", size, len(b)), "levels within the page")
		}
		n = int(size)
	}
	c.levels, err = newHybrid(b[:n], 1)
	return b[n:], err
}

// sized is a slice of n elements, s itself where it is large enough. What was there is lost.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
