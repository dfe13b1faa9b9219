package parquet

import (
	"bytes"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec is how pages are compressed, numbered as in the format.
type codec int32

const (
	uncompressed codec = 0
	codecSnappy  codec = 1
	codecGzip    codec = 2
	codecLZO     codec = 3
	codecBrotli  codec = 4
	codecLZ4     codec = 5 // Hadoop's frames, which writers have given up
	codecZstd    codec = 6
	codecLZ4Raw  codec = 7
)

func (c codec) String() string {
	names := []string{"no compression", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4_raw"}
	if c >= 0 && int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("codec %d", int32(c))
}

// unpacker decompresses pages. It keeps decoders, so each goroutine has its own.
type unpacker struct {
	gzip   *gzip.Reader
	brotli *brotli.Reader
	zstd   *zstd.Decoder
}

// close frees what the garbage collector wouldn't.
func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
		u.zstd = nil
	}
}

// unpack decompresses packed into dst, which has the length that the page's header gives. Any other length is an error,
// and nothing is allocated beyond dst and the decoders' windows.
func (u *unpacker) unpack(c codec, dst, packed []byte) error {
	n, err := 0, error(nil)
	switch c {
	case uncompressed:
		if n = len(packed); n == len(dst) {
			copy(dst, packed)
		}
	case codecSnappy:
		if n, err = snappy.DecodedLen(packed); err == nil && n == len(dst) {
			_, err = snappy.Decode(dst, packed)
		}
	case codecGzip:
		n, err = u.unzip(dst, packed)
	case codecBrotli:
		if u.brotli == nil {
			u.brotli = brotli.NewReader(nil)
		}
		if err = u.brotli.Reset(bytes.NewReader(packed)); err == nil {
			n, err = fill(u.brotli, dst)
		}
	case codecZstd:
		n, err = u.unzstd(dst, packed)
	case codecLZ4Raw:
		n, err = lz4.UncompressBlock(packed, dst)
	default:
		return unsupported("pages in "+c.String(), "snappy, gzip, zstd, lz4_raw, brotli or none")
	}
	if err != nil {
		return damaged(fmt.Sprintf("%s data: %v", c, err), "a page that decompresses")
	}
	if n != len(dst) {
		return damaged(fmt.Sprintf("%d bytes from %s", n, c), fmt.Sprintf("%d, as the page's header says", len(dst)))
	}
	return nil
}

func (u *unpacker) unzip(dst, packed []byte) (n int, err error) {
	in := bytes.NewReader(packed)
	if u.gzip == nil {
		u.gzip, err = gzip.NewReader(in)
	} else {
		err = u.gzip.Reset(in)
	}
	if err != nil {
		u.gzip = nil
		return 0, err
	}
	return fill(u.gzip, dst)
}

// unzstd holds a frame's window to the page: a frame may ask for a gigabyte before it gives a byte.
func (u *unpacker) unzstd(dst, packed []byte) (int, error) {
	if u.zstd == nil {
		var err error
		u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(maxZstdMemory), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return 0, err
		}
	}
	out, err := u.zstd.DecodeAll(packed, dst[:0:len(dst)])
	return len(out), err
}

// What a zstd frame may ask for: the window that the zstd tool itself writes without --long. DecodeAll writes to the
// page's buffer alone.
const (
	maxZstdWindow = 128 << 20
	maxZstdMemory = 1 << 30
)

// fill reads as much as dst has room for, and is one more if there was more.
func fill(r io.Reader, dst []byte) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	var more [1]byte
	for {
		m, err := r.Read(more[:])
		if m > 0 {
			return n + 1, nil
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
