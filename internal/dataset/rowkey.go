package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RowKeys names each row for ever: the first 8 bytes, big endian, of the SHA-256 of its id as text, or, without an
// id column, of its whole content. A key is a function of the value alone, not of how a file wrote it or of its
// kind: 7, 7.0 in a number column and the text 7 are one id. Content is the row's non-null cells in order of column
// name, each as length, name, length, value; so the order of columns, or a new column that is null, changes no key.
//
// Keys are 64 bits: among a million rows two different ones share a key with a chance of 3e-8, and then one is
// taken for a duplicate of the other, which never lets a row judge what trained on it. An unknown idColumn is a
// *DataError. A null id has the key 0: Prepare drops its row.
func RowKeys(t *Table, idColumn string) ([]uint64, error) {
	if idColumn == "" {
		return contentKeys(t), nil
	}
	c, ok := t.Column(idColumn)
	if !ok {
		return nil, unknownColumn("data.id", idColumn, t.Names())
	}
	return valueKeys(c), nil
}

// KeyScheme says what RowKeys makes keys of: the id column's name, or without one the names and kinds of all columns.
// Keys of different schemes say nothing about each other: the same row has another key. Kinds that give a value the same
// text are one.
func KeyScheme(t *Table, idColumn string) string {
	if idColumn != "" {
		return "id " + idColumn
	}
	columns := make([]string, len(t.Columns))
	for i := range t.Columns {
		kind := t.Columns[i].Kind
		switch kind {
		case Integer:
			kind = Number
		case Text:
			kind = Category
		}
		columns[i] = fmt.Sprintf("%q %s", t.Columns[i].Name, kind)
	}
	slices.Sort(columns)
	sum := sha256.Sum256([]byte(strings.Join(columns, "\n")))
	return "content " + hex.EncodeToString(sum[:])
}

// valueKeys hashes one column. Distinct values of a dictionary are hashed once.
func valueKeys(c *Column) []uint64 {
	keys := make([]uint64, c.Len())
	if c.Kind.coded() {
		hashes := make([]uint64, len(c.Dict))
		for i, value := range c.Dict {
			hashes[i] = hash64([]byte(value))
		}
		for row, code := range c.Codes {
			if code >= 0 {
				keys[row] = hashes[code]
			}
		}
		return keys
	}
	var cell []byte
	for row := range keys {
		if !c.Null(row) {
			cell = c.appendCell(cell[:0], row)
			keys[row] = hash64(cell)
		}
	}
	return keys
}

// contentKeys hashes whole rows.
func contentKeys(t *Table) []uint64 {
	order := make([]*Column, len(t.Columns))
	for i := range t.Columns {
		order[i] = &t.Columns[i]
	}
	slices.SortFunc(order, func(a, b *Column) int { return strings.Compare(a.Name, b.Name) })
	keys := make([]uint64, t.Rows)
	var content, cell []byte
	for row := range keys {
		content = content[:0]
		for _, c := range order {
			if c.Null(row) {
				continue
			}
			cell = c.appendCell(cell[:0], row)
			content = binary.AppendUvarint(content, uint64(len(c.Name)))
			content = append(content, c.Name...)
			content = binary.AppendUvarint(content, uint64(len(cell)))
			content = append(content, cell...)
		}
		keys[row] = hash64(content)
	}
	return keys
}

// appendCell appends the value at row as text that reads back to the same value; nothing for null.
func (c *Column) appendCell(b []byte, row int) []byte {
	if c.Null(row) {
		return b
	}
	switch c.Kind {
	case Category, Text:
		return append(b, c.Dict[c.Codes[row]]...)
	case Boolean:
		return strconv.AppendBool(b, c.Floats[row] != 0)
	case Timestamp:
		return time.Unix(0, c.Times[row]).UTC().AppendFormat(b, time.RFC3339Nano)
	}
	return appendNumber(b, c.Floats[row])
}

// FormatNumber is a number as the text by which it is known where a name is wanted: a class, a category, an id. It is the
// text that a key is made of and that WriteCSV writes, so 1234567 is 1234567 and never 1.234567e+06.
func FormatNumber(v float64) string { return string(appendNumber(nil, v)) }

// appendNumber writes the shortest text that parses to v; whole numbers up to 2^53 without exponent or point.
func appendNumber(b []byte, v float64) []byte {
	if v == float64(int64(v)) && v <= maxInteger && v >= -maxInteger && (v != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(b, int64(v), 10)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// hash64 is the first 8 bytes, big endian, of the SHA-256.
func hash64(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// draw is a uniform number of 64 bits that depends on the key, the seed and what is drawn for, and on nothing else:
// the first 8 bytes of SHA-256(purpose, 0, seed, key), numbers big endian.
func draw(purpose string, seed, key uint64) uint64 {
	b := make([]byte, 0, 32)
	b = append(b, purpose...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, seed)
	b = binary.BigEndian.AppendUint64(b, key)
	return hash64(b)
}
