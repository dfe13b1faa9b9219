package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
)

// decoder reads the values of a page in steps.
type decoder struct {
	column   *Column
	encoding encoding
	cell     int    // bytes that one value may have
	b        []byte // not yet read, and padding; PLAIN of fixed width, strings
	bit      int    // of b, where the next boolean begins
	index    int    // of the next value, BYTE_STREAM_SPLIT
	total    int    // values in the page, BYTE_STREAM_SPLIT
	runs     hybrid
	numbers  differences // values, or lengths
	prefixes differences
	last     []byte // DELTA_BYTE_ARRAY: the value before
}

// maxText is how many bytes one batch of DELTA_BYTE_ARRAY may make, whose values may be longer than what is stored.
const maxText = 64 << 20

// reset begins with the values in b, which has padding behind it.
func (d *decoder) reset(col *Column, e encoding, b []byte, cell int) error {
	*d = decoder{column: col, encoding: e, cell: cell, b: b,
		numbers: differences{buffer: d.numbers.buffer}, prefixes: differences{buffer: d.prefixes.buffer}, last: d.last[:0]}
	p := col.Physical
	ok := false
	switch e {
	case plain:
		return nil
	case plainDictionary, rleDictionary:
		d.encoding = rleDictionary
		if len(b) == 0 { // no value in any row
			return nil
		}
		var err error
		d.runs, err = newHybrid(b[1:], int(b[0]))
		return err
	case rle:
		if ok = p == Boolean; ok {
			if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
				return damaged("booleans without their length", "runs within the page")
			}
			var err error
			d.runs, err = newHybrid(b[4:4+binary.LittleEndian.Uint32(b)], 1)
			return err
		}
	case deltaBinaryPacked:
		if ok = p == Int32 || p == Int64; ok {
			return d.numbers.reset(b)
		}
	case deltaLengthByteArray:
		if ok = p == ByteArray; ok {
			return d.lengths()
		}
	case deltaByteArray:
		if ok = p == ByteArray || p == FixedByteArray; ok {
			return d.parts()
		}
	case byteStreamSplit:
		if ok = p != Boolean && p != ByteArray && p != Int96; ok {
			d.total = len(b) / width(col, 1)
			return nil
		}
	}
	return unsupported(p.String()+" in "+e.String(), "an encoding of the format for it")
}

// lengths readies DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes.
func (d *decoder) lengths() error {
	if err := d.numbers.reset(d.b); err != nil {
		return err
	}
	ahead := d.numbers
	end, err := ahead.skip()
	if err != nil {
		return err
	}
	d.b = d.b[end:]
	return nil
}

// parts readies DELTA_BYTE_ARRAY: how much of the value before each value begins with, then what follows as
// DELTA_LENGTH_BYTE_ARRAY.
func (d *decoder) parts() error {
	if err := d.prefixes.reset(d.b); err != nil {
		return err
	}
	ahead := d.prefixes
	end, err := ahead.skip()
	if err != nil {
		return err
	}
	d.b = d.b[end:]
	return d.lengths()
}

// most is how many rows may be read at once.
func (d *decoder) most() int {
	if d.encoding == deltaByteArray {
		return 1 << 12
	}
	return math.MaxInt
}

// width is the bytes of a value of fixed width, or least for one that has a length.
func width(col *Column, least int) int {
	switch col.Physical {
	case Int32, Float:
		return 4
	case Int64, Double:
		return 8
	case Int96:
		return 12
	case FixedByteArray:
		return col.Length
	}
	return least
}

// read decodes the next n values into b, in the workspace's memory.
func (d *decoder) read(w *Workspace, b *Batch, dict *Values, n int) error {
	if d.encoding == rleDictionary {
		w.codes = sized(w.codes, n)
		b.Codes, b.Dict = w.codes, dict
		return d.indexes(b.Codes, dict)
	}
	switch d.column.Physical {
	case Boolean:
		w.ints = sized(w.ints, n)
		b.Ints = w.ints
		return d.booleans(w, b.Ints)
	case Int32, Int64:
		w.ints = sized(w.ints, n)
		b.Ints = w.ints
		return d.integers(b.Ints)
	case Float, Double:
		w.floats = sized(w.floats, n)
		b.Floats = w.floats
		return d.reals(b.Floats)
	}
	w.bytes = sized(w.bytes, n)
	b.Bytes = w.bytes
	switch {
	case d.encoding == deltaLengthByteArray:
		return d.lengthed(w, b.Bytes)
	case d.encoding == deltaByteArray:
		return d.prefixed(w, b.Bytes)
	case d.encoding == byteStreamSplit:
		return d.gathered(w, b.Bytes)
	case d.column.Physical == ByteArray:
		return d.strings(b.Bytes)
	}
	return d.fixed(b.Bytes)
}

func errValues() error { return damaged("values that end early", "one in every row that isn't null") }

// indexes reads places in the dictionary.
func (d *decoder) indexes(dst []int32, dict *Values) error {
	if len(dst) == 0 {
		return nil
	}
	if dict == nil {
		return damaged("indexes without a dictionary", "a dictionary before them")
	}
	if err := d.runs.read(dst); err != nil {
		return err
	}
	var most uint32
	for _, code := range dst {
		most = max(most, uint32(code))
	}
	if int64(most) >= int64(dict.Len()) {
		return damaged(fmt.Sprintf("index %d in a dictionary of %d values", most, dict.Len()), "one of them")
	}
	return nil
}

// take is the next size bytes.
func (d *decoder) take(size int) ([]byte, error) {
	if size > len(d.b) {
		return nil, errValues()
	}
	b := d.b[:size]
	d.b = d.b[size:]
	return b, nil
}

func (d *decoder) booleans(w *Workspace, dst []int64) error {
	if d.encoding == rle {
		w.codes = sized(w.codes, len(dst))
		if err := d.runs.read(w.codes); err != nil {
			return err
		}
		for i, v := range w.codes {
			dst[i] = int64(v & 1)
		}
		return nil
	}
	if d.bit+len(dst) > len(d.b)*8 {
		return errValues()
	}
	for i := range dst {
		dst[i] = int64(d.b[d.bit>>3]>>(d.bit&7)) & 1
		d.bit++
	}
	return nil
}

func (d *decoder) integers(dst []int64) error {
	switch {
	case d.encoding == deltaBinaryPacked:
		if err := d.numbers.read(dst); err != nil {
			return err
		}
		if d.column.Physical == Int32 { // differences wrap at 32 bits
			for i, v := range dst {
				dst[i] = int64(int32(v))
			}
		}
		return nil
	case d.encoding == byteStreamSplit:
		return d.split(len(dst), func(i int, bits uint64) {
			if d.column.Physical == Int32 {
				bits = uint64(int64(int32(bits)))
			}
			dst[i] = int64(bits)
		})
	}
	b, err := d.take(len(dst) * width(d.column, 1))
	if err != nil {
		return err
	}
	if d.column.Physical == Int32 {
		for i := range dst {
			dst[i] = int64(int32(binary.LittleEndian.Uint32(b[i*4:])))
		}
		return nil
	}
	for i := range dst {
		dst[i] = int64(binary.LittleEndian.Uint64(b[i*8:]))
	}
	return nil
}

func (d *decoder) reals(dst []float64) error {
	if d.encoding == byteStreamSplit {
		return d.split(len(dst), func(i int, bits uint64) {
			if d.column.Physical == Float {
				dst[i] = float64(math.Float32frombits(uint32(bits)))
			} else {
				dst[i] = math.Float64frombits(bits)
			}
		})
	}
	b, err := d.take(len(dst) * width(d.column, 1))
	if err != nil {
		return err
	}
	if d.column.Physical == Float {
		for i := range dst {
			dst[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i*4:])))
		}
		return nil
	}
	for i := range dst {
		dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[i*8:]))
	}
	return nil
}

// split gathers the bits of numbers whose first bytes are all together, then all second ones, and so on.
func (d *decoder) split(n int, set func(i int, bits uint64)) error {
	if n > d.total-d.index {
		return errValues()
	}
	bytes := width(d.column, 1)
	for i := range n {
		var bits uint64
		for k := range bytes {
			bits |= uint64(d.b[k*d.total+d.index+i]) << (8 * k)
		}
		set(i, bits)
	}
	d.index += n
	return nil
}

// gathered is split for byte arrays of one length.
func (d *decoder) gathered(w *Workspace, dst [][]byte) error {
	if len(dst) > d.total-d.index {
		return errValues()
	}
	size := d.column.Length
	w.text = sized(w.text, len(dst)*size)
	for i := range dst {
		value := w.text[i*size : (i+1)*size]
		for k := range value {
			value[k] = d.b[k*d.total+d.index+i]
		}
		dst[i] = value
	}
	d.index += len(dst)
	return nil
}

// fixed reads byte arrays of one length.
func (d *decoder) fixed(dst [][]byte) error {
	size := width(d.column, 1)
	b, err := d.take(len(dst) * size)
	if err != nil {
		return err
	}
	for i := range dst {
		dst[i] = b[i*size : (i+1)*size]
	}
	return nil
}

// strings reads byte arrays, each after its length.
func (d *decoder) strings(dst [][]byte) error {
	b := d.b
	for i := range dst {
		if len(b) < 4 {
			return errValues()
		}
		size := binary.LittleEndian.Uint32(b)
		if uint64(size) > uint64(len(b)-4) {
			return errValues()
		}
		if int64(size) > int64(d.cell) {
			return tooMuch(int64(size), int64(d.cell), "bytes in a cell")
		}
		dst[i] = b[4 : 4+size]
		b = b[4+size:]
	}
	d.b = b
	return nil
}

// lengthed reads byte arrays whose lengths are in numbers.
func (d *decoder) lengthed(w *Workspace, dst [][]byte) error {
	w.lengths = sized(w.lengths, len(dst))
	if err := d.numbers.read(w.lengths); err != nil {
		return err
	}
	for i, size := range w.lengths {
		if size < 0 || size > int64(len(d.b)) {
			return errValues()
		}
		if size > int64(d.cell) {
			return tooMuch(size, int64(d.cell), "bytes in a cell")
		}
		dst[i], d.b = d.b[:size], d.b[size:]
	}
	return nil
}

// prefixed reads byte arrays that begin with a part of the one before.
func (d *decoder) prefixed(w *Workspace, dst [][]byte) error {
	n := len(dst)
	w.lengths = sized(w.lengths, 2*n)
	prefixes, suffixes := w.lengths[:n], w.lengths[n:]
	if err := d.prefixes.read(prefixes); err != nil {
		return err
	}
	if err := d.numbers.read(suffixes); err != nil {
		return err
	}
	before, sum, rest := int64(len(d.last)), int64(0), int64(len(d.b))
	for i := range dst {
		if prefixes[i] < 0 || prefixes[i] > before || suffixes[i] < 0 || suffixes[i] > rest {
			return errValues()
		}
		rest -= suffixes[i]
		before = prefixes[i] + suffixes[i]
		if before > int64(d.cell) {
			return tooMuch(before, int64(d.cell), "bytes in a cell")
		}
		if d.column.Physical == FixedByteArray && before != int64(d.column.Length) {
			return damaged(fmt.Sprintf("a value of %d bytes", before), fmt.Sprintf("%d", d.column.Length))
		}
		sum += before
	}
	if sum > maxText {
		return tooMuch(sum, maxText, fmt.Sprintf("bytes in %d values", n))
	}
	w.text = sized(w.text, int(sum))
	text, last := w.text, d.last
	for i := range dst {
		size := int(prefixes[i] + suffixes[i])
		value := text[:size:size]
		text = text[size:]
		copy(value, last[:prefixes[i]])
		copy(value[prefixes[i]:], d.b[:suffixes[i]])
		d.b = d.b[suffixes[i]:]
		dst[i], last = value, value
	}
	d.last = append(d.last[:0], last...)
	return nil
}
