package parquet

import "encoding/binary"

// padding is how many bytes lie readable behind a page's own, so that a load of eight may begin at its last one.
const padding = 8

// maxWidth is the most bits of a number in a hybrid.
const maxWidth = 32

// hybrid reads numbers of a fixed width in runs: one value repeated, or packed bit after bit (the format's RLE encoding).
// Runs are never expanded beyond what is asked for: four bytes can stand for a billion values.
type hybrid struct {
	b      []byte // followed by padding
	at     int    // of the next run's header
	width  int    // bits
	left   int    // values left in the run
	packed bool
	value  uint32 // of a repeated run
	bit    int    // in b, where the next packed value begins
}

// newHybrid reads b, which has padding behind it.
func newHybrid(b []byte, width int) (hybrid, error) {
	if width > maxWidth {
		return hybrid{}, damaged("numbers of more than 32 bits", "at most 32")
	}
	return hybrid{b: b, width: width}, nil
}

// next reads the header of the next run, for want values or more.
func (h *hybrid) next() error {
	for h.left == 0 {
		head, n := binary.Uvarint(h.b[min(h.at, len(h.b)):])
		if n <= 0 {
			return damaged("runs that end early", "a value in every row")
		}
		h.at += n
		h.packed = head&1 == 1
		if count := head >> 1; h.packed {
			bits := int64(len(h.b)-h.at) * 8
			if h.width == 0 {
				h.left = int(min(count, 1<<28)) * 8
			} else if h.left = int(min(count*8, uint64(bits)/uint64(h.width))); count > 1<<32 {
				return damaged("a run of more values than a page may have", "a shorter one")
			}
			h.bit = h.at * 8
			h.at += int(min(count*uint64(h.width), uint64(len(h.b)-h.at))) // some writers cut the last group short
			if h.left == 0 && count > 0 {
				return damaged("runs that end early", "a value in every row")
			}
			continue
		}
		size := (h.width + 7) / 8
		if h.at+size > len(h.b) {
			return damaged("runs that end early", "a value in every row")
		}
		h.value = 0
		for i := range size {
			h.value |= uint32(h.b[h.at+i]) << (8 * i)
		}
		h.at += size
		h.left = int(min(head>>1, 1<<31))
	}
	return nil
}

// read fills dst.
func (h *hybrid) read(dst []int32) error {
	for len(dst) > 0 {
		if h.left == 0 {
			if err := h.next(); err != nil {
				return err
			}
		}
		n := min(h.left, len(dst))
		if h.packed {
			h.unpack(dst[:n])
		} else {
			for i := range dst[:n] {
				dst[i] = int32(h.value)
			}
		}
		h.left -= n
		dst = dst[n:]
	}
	return nil
}

// unpack reads packed values. b and its padding reach eight bytes beyond any of them.
func (h *hybrid) unpack(dst []int32) {
	b, bit, mask := h.b[:len(h.b)+padding], h.bit, uint64(1)<<h.width-1
	for i := range dst {
		dst[i] = int32(binary.LittleEndian.Uint64(b[bit>>3:]) >> (bit & 7) & mask)
		bit += h.width
	}
	h.bit = bit
}

// levels reads n definition levels of 0 or 1 into present and counts the ones. A run of ones that covers all of them,
// which a column without nulls is, costs nothing: all is true, and present is left as it was.
func (h *hybrid) levels(present []int32) (ones int, all bool, err error) {
	if h.left == 0 {
		if err := h.next(); err != nil {
			return 0, false, err
		}
	}
	if !h.packed && h.value == 1 && h.left >= len(present) {
		h.left -= len(present)
		return len(present), true, nil
	}
	if err := h.read(present); err != nil {
		return 0, false, err
	}
	sum, any := 0, int32(0)
	for _, level := range present {
		sum += int(level)
		any |= level
	}
	if any&^1 != 0 {
		return 0, false, damaged("a definition level beyond 1", "0 or 1")
	}
	return sum, sum == len(present), nil
}
