package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// magic begins and ends a file; magicEncrypted one whose footer is encrypted.
const (
	magic          = "PAR1"
	magicEncrypted = "PARE"
)

// File is an open file. Its columns may be read concurrently, each by one Cursor.
type File struct {
	Rows    int64
	Columns []Column // of the top level, in the file's order

	r      io.ReaderAt
	end    int64 // of the pages: where the footer begins
	groups []group
	meter  *meter
}

// group is a row group.
type group struct {
	rows   int64
	chunks []chunk // one a leaf, in the schema's order
}

// chunk is where a leaf's pages of one row group are.
type chunk struct {
	kind   Physical
	codec  codec
	values int64
	start  int64 // offset of the first page
	bytes  int64 // as stored, by the writer's word
	plain  int64 // decompressed, by the writer's word
	fault  string
}

// Open reads the footer. An *Error says what is wrong with the file.
func Open(r io.ReaderAt, size int64, limits Limits) (*File, error) {
	limits = limits.withDefaults()
	f := &File{r: r, meter: &meter{limits: limits, size: size}}
	footer, err := f.footer(size)
	if err != nil {
		return nil, err
	}
	if err := f.decode(footer); err != nil {
		return nil, err
	}
	return f, nil
}

// footer reads the metadata's bytes and sets where they begin.
func (f *File) footer(size int64) ([]byte, error) {
	if size < 12 {
		return nil, damaged(fmt.Sprintf("%d bytes", size), "a Parquet file, which begins and ends with "+magic)
	}
	var head [4]byte
	var tail [8]byte
	if err := readFull(f.r, head[:], 0); err != nil {
		return nil, err
	}
	if err := readFull(f.r, tail[:], size-8); err != nil {
		return nil, err
	}
	if string(head[:]) == magicEncrypted || string(tail[4:]) == magicEncrypted {
		return nil, unsupported("an encrypted footer", "an unencrypted file")
	}
	if string(head[:]) != magic {
		return nil, damaged(fmt.Sprintf("%q as the first bytes", head[:]), magic)
	}
	if string(tail[4:]) != magic {
		return nil, damaged(fmt.Sprintf("%q as the last bytes", tail[4:]), magic+"; was the file cut off?")
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > size-12 {
		return nil, damaged(fmt.Sprintf("a footer of %d bytes in a file of %d", length, size), "a footer within the file")
	}
	if length > maxFooter {
		return nil, tooMuch(length, maxFooter, "bytes of footer")
	}
	f.end = size - 8 - length
	footer := make([]byte, length)
	return footer, readFull(f.r, footer, f.end)
}

// readFull reads all of b. Bytes that aren't there are the file's fault, any other error the reader's.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return damaged(fmt.Sprintf("the end of the file at byte %d", at+int64(n)), fmt.Sprintf("%d bytes more", len(b)-n))
	}
	return fmt.Errorf("parquet: read %d bytes at %d: %w", len(b), at, err)
}

// decode reads the FileMetaData.
func (f *File) decode(footer []byte) error {
	c := &compact{b: footer}
	var schema []element
	f.Rows = -1
	var fault error
	keep := func(err error) bool {
		if err != nil && fault == nil {
			fault = err
			c.fail(errThrift) // stop here: the rest is of no use
		}
		return true
	}
	c.structure(func(id int, kind byte) bool {
		switch {
		case id == 2 && kind == thriftList:
			var err error
			schema, err = readSchema(c, f.meter.limits.Columns)
			return keep(err)
		case id == 3 && kind == thriftI64:
			f.Rows = c.int()
			return true
		case id == 4 && kind == thriftList:
			return keep(f.readGroups(c))
		}
		return false
	})
	if fault != nil {
		return fault
	}
	if c.err != nil {
		return damaged("a footer: "+c.err.Error(), "the metadata of a Parquet file")
	}
	leaves, err := f.columns(schema)
	if err != nil {
		return err
	}
	return f.agree(leaves)
}

// readGroups reads the list of row groups.
func (f *File) readGroups(c *compact) error {
	_, n := c.list()
	for range n {
		var g group
		c.structure(func(id int, kind byte) bool {
			switch {
			case id == 1 && kind == thriftList:
				_, columns := c.list()
				for i := 0; i < columns && c.err == nil; i++ {
					g.chunks = append(g.chunks, readChunk(c))
				}
				return true
			case id == 3 && kind == thriftI64:
				g.rows = c.int()
				return true
			}
			return false
		})
		if c.err != nil {
			return nil // decode says it
		}
		if len(f.groups) > 0 && len(g.chunks) != len(f.groups[0].chunks) {
			return damaged(fmt.Sprintf("%d columns in row group %d", len(g.chunks), len(f.groups)), fmt.Sprintf("%d, as in the first", len(f.groups[0].chunks)))
		}
		f.groups = append(f.groups, g)
	}
	return nil
}

// readChunk reads a ColumnChunk. One that can't be read is kept with the reason: nobody may want its column.
func readChunk(c *compact) chunk {
	ch := chunk{kind: -1}
	var dictionary int64
	metadata := func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == thriftI32:
			ch.kind = Physical(c.int32())
		case id == 4 && kind == thriftI32:
			ch.codec = codec(c.int32())
		case id == 5 && kind == thriftI64:
			ch.values = c.int()
		case id == 6 && kind == thriftI64:
			ch.plain = c.int()
		case id == 7 && kind == thriftI64:
			ch.bytes = c.int()
		case id == 9 && kind == thriftI64:
			ch.start = c.int()
		case id == 11 && kind == thriftI64:
			dictionary = c.int()
		default:
			return false
		}
		return true
	}
	c.structure(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == thriftBinary:
			if len(c.bytes()) > 0 {
				ch.fault = "pages in another file"
			}
			return true
		case id == 3 && kind == thriftStruct:
			c.structure(metadata)
			return true
		case id == 8 && kind == thriftStruct:
			ch.fault = "encrypted pages"
		}
		return false
	})
	if dictionary > 0 && dictionary < ch.start {
		ch.start = dictionary
	}
	return ch
}

// agree holds the row groups to the schema and to each other.
func (f *File) agree(leaves []Physical) error {
	if f.Rows < 0 || f.Rows > f.meter.limits.Rows {
		if f.Rows >= 0 {
			return tooMuch(f.Rows, f.meter.limits.Rows, "rows")
		}
		return damaged(fmt.Sprintf("%d rows", f.Rows), "a number of rows")
	}
	var rows int64
	for i, g := range f.groups {
		if len(g.chunks) != len(leaves) {
			return damaged(fmt.Sprintf("%d columns in row group %d", len(g.chunks), i), fmt.Sprintf("%d, as the schema has", len(leaves)))
		}
		if g.rows < 0 || g.rows > f.Rows-rows {
			return damaged(fmt.Sprintf("row groups of more than %d rows", f.Rows), "the number of rows that the footer says")
		}
		rows += g.rows
	}
	if rows != f.Rows {
		return damaged(fmt.Sprintf("row groups of %d rows", rows), fmt.Sprintf("%d, as the footer says", f.Rows))
	}
	for i := range f.Columns {
		col := &f.Columns[i]
		if col.Nested != "" {
			continue
		}
		for k := range f.groups {
			if err := f.agreeChunk(col, &f.groups[k]); err != nil {
				return err.in(col.Name)
			}
		}
	}
	return nil
}

// agreeChunk holds a flat column's pages of one row group to the column.
func (f *File) agreeChunk(col *Column, g *group) *Error {
	ch := &g.chunks[col.leaf]
	switch {
	case ch.fault != "":
		col.Nested = ch.fault
	case ch.kind != col.Physical:
		return damaged("pages of "+ch.kind.String(), col.Physical.String()+", as the schema says")
	case ch.values != g.rows:
		return damaged(fmt.Sprintf("%d values in %d rows", ch.values, g.rows), "one a row")
	case g.rows > 0 && (ch.start < int64(len(magic)) || ch.start >= f.end):
		return damaged(fmt.Sprintf("pages at byte %d", ch.start), fmt.Sprintf("between %d and the footer at %d", len(magic), f.end))
	}
	return nil
}

// Bytes is how many bytes a column's pages have when decompressed, by the file's word.
func (f *File) Bytes(column int) int64 {
	var sum int64
	for _, g := range f.groups {
		if leaf := f.Columns[column].leaf; leaf >= 0 {
			sum += max(0, min(g.chunks[leaf].plain, f.meter.limits.Bytes))
		}
	}
	return sum
}
