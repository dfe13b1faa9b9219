package dataset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Formats that Read takes.
const (
	CSV     = "csv"
	CSVGzip = "csv.gz"
	CSVZstd = "csv.zst"
	Parquet = "parquet"
)

// formats lists them, those first whose ending contains another's.
func formats() []string { return []string{CSVGzip, CSVZstd, CSV, Parquet} }

// maxZstdWindow is how much memory a zstd frame may ask for before a byte of it is decoded: the most that the zstd
// tool itself writes without --long.
const maxZstdWindow = 128 << 20

// FormatOf is the format that an object's name says.
func FormatOf(name string) (string, error) {
	lower := strings.ToLower(name)
	for _, format := range formats() {
		if strings.HasSuffix(lower, "."+format) {
			return format, nil
		}
	}
	if strings.HasSuffix(lower, ".pq") { // as some tools name them
		return Parquet, nil
	}
	return "", &FormatError{Name: name, Rule: RuleHeader, Observed: "a name of no known format", Limit: "a name that ends with .csv, .csv.gz, .csv.zst or .parquet, or a declared format"}
}

// source reads the stored bytes, hashes and counts them, and keeps the error that the store gave, so that a broken
// connection is never taken for a broken file.
type source struct {
	ctx   context.Context
	name  string
	from  io.Reader
	hash  hash.Hash
	bytes int64
	err   error // other than io.EOF
}

func newSource(ctx context.Context, name string, from io.Reader) *source {
	return &source{ctx: ctx, name: name, from: from, hash: sha256.New()}
}

func (s *source) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.from.Read(p)
	s.hash.Write(p[:n])
	s.bytes += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// drain hashes what is left of an object that was given up, so that a refusal can name its digest. whole is false where
// more than limit bytes are left: then the digest of what was read is nobody's.
func (s *source) drain(limit int64) (whole bool, err error) {
	n, err := io.Copy(io.Discard, io.LimitReader(s, limit+1))
	if err != nil {
		return false, fmt.Errorf("read %s: after %d bytes: %w", s.name, s.bytes, err)
	}
	return n <= limit, nil
}

// digest is the SHA-256 of the bytes read so far, hex.
func (s *source) digest() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// explain is an error of reading, or, where the store or the context is to blame, theirs.
func (s *source) explain(err error) error {
	if s.err != nil {
		return fmt.Errorf("read %s: after %d bytes: %w", s.name, s.bytes, s.err)
	}
	return err
}

// damaged is the error for compressed bytes that can't be decoded, unless the store or the context is to blame.
func (s *source) damaged(err error) error {
	if s.err != nil {
		return s.err
	}
	return &FormatError{Name: s.name, Rule: RuleTruncated, Observed: fmt.Sprintf("%v after %d stored bytes", err, s.bytes), Limit: "a whole compressed stream"}
}

// open is the text within the stored bytes, within limits; done frees the decoder.
func (s *source) open(format string, limits Limits) (text io.Reader, done func(), err error) {
	bounds := &bounded{stored: s, limits: limits, compressed: format != CSV}
	done = func() {}
	switch format {
	case CSV:
		bounds.from = s
	case CSVGzip:
		buffered := bufio.NewReaderSize(s, 64<<10)
		if _, err := buffered.Peek(1); err == io.EOF {
			return nil, nil, s.empty()
		}
		decoder, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, s.damaged(err)
		}
		bounds.from = decoder
	case CSVZstd:
		decoder, err := zstd.NewReader(s, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, nil, s.damaged(err)
		}
		bounds.from, done = decoder, decoder.Close
	default:
		return nil, nil, fmt.Errorf("%s: format %q: unknown, want one of %s", s.name, format, strings.Join(formats(), ", "))
	}
	return bounds, done, nil
}

func (s *source) empty() *FormatError {
	return &FormatError{Name: s.name, Rule: RuleEmpty, Observed: "no rows", Limit: "a header and at least one row"}
}
