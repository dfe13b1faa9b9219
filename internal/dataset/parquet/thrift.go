package parquet

import (
	"encoding/binary"
	"errors"
)

// The types of Thrift's compact protocol.
const (
	thriftStop = iota
	thriftTrue
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
	thriftUUID
)

// maxNesting is how deep metadata may nest; the format's own needs 8.
const maxNesting = 32

// errShort is metadata that ends within a value: more bytes may help. errThrift is metadata that no bytes help.
var (
	errShort  = errors.New("metadata that ends early")
	errThrift = errors.New("metadata that isn't Thrift's compact protocol")
)

// compact reads Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md)
// from bytes. It allocates nothing: what it returns is part of the bytes. The first error stays, and every read after
// it gives zeros.
type compact struct {
	b     []byte
	at    int
	depth int
	err   error
}

func (c *compact) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *compact) byte() byte {
	if c.err != nil || c.at >= len(c.b) {
		c.fail(errShort)
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *compact) uvarint() uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.at:])
	switch {
	case n == 0:
		c.fail(errShort)
		return 0
	case n < 0:
		c.fail(errThrift)
		return 0
	}
	c.at += n
	return v
}

// int is a zigzag number of any width.
func (c *compact) int() int64 {
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// int32 is a number that must fit.
func (c *compact) int32() int32 {
	v := c.int()
	if v != int64(int32(v)) {
		c.fail(errThrift)
		return 0
	}
	return int32(v)
}

// take is the next n bytes.
func (c *compact) take(n uint64) []byte {
	if c.err != nil || n > uint64(len(c.b)-c.at) {
		c.fail(errShort)
		return nil
	}
	c.at += int(n)
	return c.b[c.at-int(n) : c.at]
}

// bytes is a string or binary.
func (c *compact) bytes() []byte { return c.take(c.uvarint()) }

// list is the type and number of a list's elements.
func (c *compact) list() (kind byte, n int) {
	head := c.byte()
	size := uint64(head >> 4)
	if size == 15 {
		size = c.uvarint()
	}
	if size > uint64(len(c.b)-c.at) { // an element has a byte at least
		c.fail(errShort)
		return 0, 0
	}
	return head & 15, int(size)
}

// structure calls field for each field of a struct. The field has to read the value, or return false.
func (c *compact) structure(field func(id int, kind byte) bool) {
	if c.depth++; c.depth > maxNesting {
		c.fail(errThrift)
	}
	id := 0
	for c.err == nil {
		head := c.byte()
		kind := head & 15
		if c.err != nil || kind == thriftStop {
			break
		}
		if delta := int(head >> 4); delta > 0 {
			id += delta
		} else {
			id = int(c.int())
		}
		if !field(id, kind) {
			c.skip(kind, true)
		}
	}
	c.depth--
}

// union reads a union of structs: the number of the member that is set, whose fields are read past.
func (c *compact) union() int {
	member := 0
	c.structure(func(id int, _ byte) bool { member = id; return false })
	return member
}

// skip reads past a value. A boolean that is a field has no bytes of its own.
func (c *compact) skip(kind byte, field bool) {
	switch kind {
	case thriftTrue, thriftFalse:
		if !field {
			c.byte()
		}
	case thriftByte:
		c.byte()
	case thriftI16, thriftI32, thriftI64:
		c.uvarint()
	case thriftDouble:
		c.take(8)
	case thriftBinary:
		c.bytes()
	case thriftUUID:
		c.take(16)
	case thriftList, thriftSet:
		c.skipItems(c.list())
	case thriftMap:
		c.skipMap()
	case thriftStruct:
		c.structure(func(int, byte) bool { return false })
	default:
		c.fail(errThrift)
	}
}

func (c *compact) skipItems(kind byte, n int) {
	if c.depth++; c.depth > maxNesting {
		c.fail(errThrift)
	}
	for i := 0; i < n && c.err == nil; i++ {
		c.skip(kind, false)
	}
	c.depth--
}

func (c *compact) skipMap() {
	n := c.uvarint()
	if n == 0 || c.err != nil {
		return
	}
	kinds := c.byte()
	for ; n > 0 && c.err == nil; n-- {
		c.skipItems(kinds>>4, 1)
		c.skipItems(kinds&15, 1)
	}
}
