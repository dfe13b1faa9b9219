package parquet

import "encoding/binary"

// differences reads whole numbers as differences in blocks of packed bits (DELTA_BINARY_PACKED), a miniblock at a time.
type differences struct {
	b      []byte // followed by padding
	at     int    // of the next block, or of what follows the last
	mini   int    // values in a miniblock
	minis  int    // miniblocks in a block
	total  int    // values not yet read
	first  bool   // whether the next value is the one of the header
	value  int64  // the last one
	min    int64  // of the block's differences
	widths []byte // of the block's miniblocks that are left
	ready  []int64
	buffer []int64
}

// maxMini is how many values a miniblock may have; writers use 32.
const maxMini = 1 << 12

// reset begins at the header of b, which has padding behind it. Buffers are kept.
func (d *differences) reset(b []byte) error {
	*d = differences{b: b, first: true, buffer: d.buffer}
	block, minis, total := d.uvarint(), d.uvarint(), d.uvarint()
	first := d.uvarint()
	if d.at < 0 {
		return errDelta()
	}
	if minis == 0 || minis > 1<<10 || block%minis != 0 || block/minis%8 != 0 || block/minis == 0 || block/minis > maxMini {
		return damaged("differences in blocks of an unknown shape", "blocks of miniblocks of 8 values or a multiple")
	}
	if total > 1<<31 {
		return errDelta()
	}
	d.mini, d.minis, d.total = int(block/minis), int(minis), int(total)
	d.value = int64(first>>1) ^ -int64(first&1)
	if cap(d.buffer) < d.mini {
		d.buffer = make([]int64, d.mini)
	}
	return nil
}

func errDelta() error { return damaged("differences that end early", "a value in every row") }

// uvarint reads a number; d.at is -1 after the end.
func (d *differences) uvarint() uint64 {
	if d.at < 0 {
		return 0
	}
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.at = -1
		return 0
	}
	d.at += n
	return v
}

// block reads the header of a block: the least difference, and the widths.
func (d *differences) block() error {
	least := d.uvarint()
	if d.at < 0 || d.minis > len(d.b)-d.at {
		return errDelta()
	}
	d.min = int64(least>>1) ^ -int64(least&1)
	d.widths = d.b[d.at : d.at+d.minis]
	d.at += d.minis
	return nil
}

// miniblock is the packed bits of the next miniblock, and their width. The last one of a column may be cut short.
func (d *differences) miniblock() (packed []byte, width int, err error) {
	if len(d.widths) == 0 {
		if err := d.block(); err != nil {
			return nil, 0, err
		}
	}
	width = int(d.widths[0])
	d.widths = d.widths[1:]
	if width > 64 {
		return nil, 0, damaged("differences of more than 64 bits", "at most 64")
	}
	size, want := d.mini*width/8, (min(d.mini, d.total)*width+7)/8
	if want > len(d.b)-d.at {
		return nil, 0, errDelta()
	}
	size = min(size, len(d.b)-d.at)
	d.at += size
	return d.b[d.at-size : d.at], width, nil
}

// read fills dst.
func (d *differences) read(dst []int64) error {
	if len(dst) > 0 && d.first {
		if d.total == 0 {
			return errDelta()
		}
		dst[0] = d.value
		d.first = false
		d.total--
		dst = dst[1:]
	}
	for len(dst) > 0 {
		if len(d.ready) == 0 {
			if err := d.decode(); err != nil {
				return err
			}
		}
		n := copy(dst, d.ready)
		d.ready = d.ready[n:]
		dst = dst[n:]
	}
	return nil
}

// decode makes the next miniblock ready.
func (d *differences) decode() error {
	if d.total == 0 {
		return errDelta()
	}
	packed, width, err := d.miniblock()
	if err != nil {
		return err
	}
	d.ready = d.buffer[:min(d.mini, d.total)]
	d.total -= len(d.ready)
	b, mask, bit, value := packed[:len(packed)+padding], ^uint64(0)>>(64-width), 0, d.value
	for i := range d.ready {
		var v uint64
		if width > 0 {
			v = binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7)
			if spill := width + bit&7 - 64; spill > 0 {
				v |= uint64(b[bit>>3+8]) << (64 - bit&7)
			}
			bit += width
		}
		value += d.min + int64(v&mask)
		d.ready[i] = value
	}
	d.value = value
	return nil
}

// skip goes past all values and is the offset of what follows them. It does no more work than there are bytes.
func (d *differences) skip() (int, error) {
	rest := d.total
	if rest > 0 && d.first {
		rest--
	}
	for rest > 0 {
		if len(d.widths) == 0 {
			if err := d.block(); err != nil {
				return 0, err
			}
		}
		d.total = rest
		if _, _, err := d.miniblock(); err != nil {
			return 0, err
		}
		rest -= min(rest, d.mini)
	}
	return d.at, nil
}
