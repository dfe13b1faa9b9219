package parquet

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// pageKind is numbered as in the format.
type pageKind int32

const (
	dataPage       pageKind = 0
	indexPage      pageKind = 1
	dictionaryPage pageKind = 2
	dataPageV2     pageKind = 3
)

// encoding is how a page's values are written, numbered as in the format.
type encoding int32

const (
	plain                encoding = 0
	plainDictionary      encoding = 2 // the old name of rleDictionary
	rle                  encoding = 3
	bitPacked            encoding = 4 // of levels, which writers have given up
	deltaBinaryPacked    encoding = 5
	deltaLengthByteArray encoding = 6
	deltaByteArray       encoding = 7
	rleDictionary        encoding = 8
	byteStreamSplit      encoding = 9
)

func (e encoding) String() string {
	names := []string{"PLAIN", "encoding 1", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY",
		"DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"}
	if e >= 0 && int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("encoding %d", int32(e))
}

// pageHeader is what stands before a page's bytes.
type pageHeader struct {
	kind        pageKind
	plain       int32 // bytes of the page, decompressed
	packed      int32 // bytes as stored
	crc         uint32
	checked     bool // whether crc is one
	values      int32
	encoding    encoding
	levels      encoding // of definition levels, version 1
	levelBytes  int32    // of definition levels, version 2; they aren't compressed
	repeatBytes int32
	compressed  bool // version 2
}

// readHeader reads a PageHeader.
func readHeader(c *compact) pageHeader {
	h := pageHeader{kind: -1, levels: rle, compressed: true}
	v1 := func(id int, kind byte) bool { return h.dataField(c, id, kind) }
	v2 := func(id int, kind byte) bool { return h.dataFieldV2(c, id, kind) }
	c.structure(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == thriftI32:
			h.kind = pageKind(c.int32())
		case id == 2 && kind == thriftI32:
			h.plain = c.int32()
		case id == 3 && kind == thriftI32:
			h.packed = c.int32()
		case id == 4 && kind == thriftI32:
			h.crc, h.checked = uint32(c.int32()), true
		case (id == 5 || id == 7) && kind == thriftStruct: // a dictionary's header begins like a data page's
			c.structure(v1)
		case id == 8 && kind == thriftStruct:
			c.structure(v2)
		default:
			return false
		}
		return true
	})
	return h
}

func (h *pageHeader) dataField(c *compact, id int, kind byte) bool {
	switch {
	case id == 1 && kind == thriftI32:
		h.values = c.int32()
	case id == 2 && kind == thriftI32:
		h.encoding = encoding(c.int32())
	case id == 3 && kind == thriftI32:
		h.levels = encoding(c.int32())
	default:
		return false
	}
	return true
}

func (h *pageHeader) dataFieldV2(c *compact, id int, kind byte) bool {
	switch {
	case id == 1 && kind == thriftI32:
		h.values = c.int32()
	case id == 4 && kind == thriftI32:
		h.encoding = encoding(c.int32())
	case id == 5 && kind == thriftI32:
		h.levelBytes = c.int32()
	case id == 6 && kind == thriftI32:
		h.repeatBytes = c.int32()
	case id == 7:
		h.compressed = kind == thriftTrue
		return kind == thriftTrue || kind == thriftFalse
	default:
		return false
	}
	return true
}

// agree holds a header to itself.
func (h *pageHeader) agree() error {
	switch {
	case h.plain < 0 || h.packed < 0 || h.values < 0 || h.levelBytes < 0 || h.repeatBytes < 0:
		return damaged("a page with a negative size", "sizes of 0 or more")
	case h.repeatBytes > 0:
		return damaged("repetition levels in a flat column", "none")
	case h.kind == dataPageV2 && (h.levelBytes > h.plain || h.levelBytes > h.packed):
		return damaged(fmt.Sprintf("%d bytes of levels in a page of %d", h.levelBytes, min(h.plain, h.packed)), "levels within the page")
	}
	return nil
}

// header reads the page header at the cursor and goes past it. Its length isn't known beforehand: one with the least and
// greatest of long values is read again with more bytes.
func (c *Cursor) header(w *Workspace) (pageHeader, error) {
	for size := int64(512); ; size *= 8 {
		size = min(size, maxHeader)
		n := min(size, c.file.end-c.at)
		if n <= 0 {
			return pageHeader{}, damaged("the end of the pages", fmt.Sprintf("%d values more", c.left))
		}
		if int64(cap(w.header)) < n {
			w.header = make([]byte, n)
		}
		b := w.header[:n]
		if err := readFull(c.file.r, b, c.at); err != nil {
			return pageHeader{}, err
		}
		metadata := &compact{b: b}
		h := readHeader(metadata)
		if errors.Is(metadata.err, errShort) && n < c.file.end-c.at && size < maxHeader {
			continue
		}
		if metadata.err != nil {
			return h, damaged("a page header: "+metadata.err.Error(), "the header of a page")
		}
		c.at += int64(metadata.at)
		if int64(h.packed) > c.file.end-c.at {
			return h, damaged(fmt.Sprintf("a page of %d bytes, %d before the footer", h.packed, c.file.end-c.at), "a page within the file")
		}
		return h, h.agree()
	}
}

// body reads a page's bytes, decompressed, into page, and goes past them. The bytes have padding behind them. The first
// raw of them are stored as they are.
func (c *Cursor) body(w *Workspace, h *pageHeader, page *buffer, raw int32, codec codec) ([]byte, error) {
	if err := c.file.meter.page(int64(h.plain)); err != nil {
		return nil, err
	}
	if err := page.grow(c.file.meter, int(h.plain)); err != nil {
		return nil, err
	}
	b := page.b[:h.plain]
	packed := b
	if codec != uncompressed {
		if err := w.packed.grow(c.file.meter, int(h.packed)); err != nil {
			return nil, err
		}
		packed = w.packed.b[:h.packed]
	} else if h.packed != h.plain {
		return nil, damaged(fmt.Sprintf("%d bytes of %d", h.packed, h.plain), "as many, since the page isn't compressed")
	}
	if err := readFull(c.file.r, packed, c.at); err != nil {
		return nil, err
	}
	c.at += int64(h.packed)
	if h.checked {
		if sum := crc32.ChecksumIEEE(packed); sum != h.crc {
			return nil, damaged(fmt.Sprintf("a page with checksum %08x", sum), fmt.Sprintf("%08x, as its header says", h.crc))
		}
	}
	if codec == uncompressed {
		return b, nil
	}
	copy(b, packed[:raw])
	if int(raw) == len(b) && len(packed) == int(raw) {
		return b, nil // only levels: no value in any row
	}
	return b, w.unpacker.unpack(codec, b[raw:], packed[raw:])
}

// buffer is bytes that the meter knows of, and padding behind them.
type buffer struct {
	b []byte
}

// grow makes room for n bytes. What was there is lost.
func (p *buffer) grow(m *meter, n int) error {
	if n+padding <= cap(p.b) {
		return nil
	}
	if err := m.grow(int64(cap(p.b)), int64(n+padding)); err != nil {
		return err
	}
	p.b = make([]byte, n+padding)
	return nil
}

// free gives the bytes back.
func (p *buffer) free(m *meter) {
	m.open.Add(-int64(cap(p.b)))
	p.b = nil
}
