package dataset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/leanloop/leanloop/internal/dataset/parquet"
)

// scanParquet is Scan for the format parquet, with the defaults that Scan sets. The file is read twice: from its first byte
// to its last for the hash, and page by page, wherever they are, for the values. What isn't on a disk or in memory is
// copied to a temporary file while it is hashed.
func scanParquet(ctx context.Context, src Source, o ReadOptions, v Visitor) (info Info, report *Report, err error) {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	report = &Report{Name: o.Name}
	stored, err := openStored(ctx, src, o)
	if err != nil {
		return info, report, err
	}
	defer func() {
		if failed := stored.close(); err == nil && failed != nil {
			err = fmt.Errorf("read %s: %w", o.Name, failed)
		}
	}()
	hashing, stop := context.WithCancel(ctx)
	defer stop()
	sum := stored.sum
	if sum == nil {
		sum = hashOf(hashing, stored.file, stored.size, o)
	}
	info.Bytes = stored.size
	scan := &parquetScan{ctx: ctx, o: o, stored: stored.size}
	err = scan.run(stored.file, v)
	info.Rows, info.Header, info.Ignored, info.Columns = scan.rows, scan.plan.header, scan.plan.ignored, scan.plan.rules()
	report.Rows = int64(info.Rows)
	report.Failures = scan.plan.failures()
	var format *FormatError
	if err != nil && !errors.As(err, &format) {
		stop()
		_, _ = sum() // only waits: the file is about to be closed
		return info, report, err
	}
	digest, failed := sum()
	if failed != nil {
		return info, report, failed
	}
	info.SHA256 = digest
	return info, report, err
}

// storedFile is an object that can be read at any place.
type storedFile struct {
	file  io.ReaderAt
	size  int64
	sum   func() (string, error) // its digest; nil: not yet known
	close func() error
}

// openStored opens a source, and copies it to a temporary file if it can only be read from its start.
func openStored(ctx context.Context, src Source, o ReadOptions) (*storedFile, error) {
	fail := func(err error) (*storedFile, error) { return nil, fmt.Errorf("read %s: %w", o.Name, err) }
	r, err := src.Open()
	if err != nil {
		return fail(err)
	}
	if at, ok := r.(sized); ok {
		return (&storedFile{file: at, size: at.Size(), close: r.Close}).within(o)
	}
	spool, own := src.(*Spool)
	if !own {
		spool = Spooled(r, o.TempDir)
	}
	stored := &storedFile{close: func() error {
		if own {
			return r.Close() // the copy is its maker's
		}
		return errors.Join(r.Close(), spool.Close())
	}}
	first := io.ReadCloser(r)
	if !own {
		if first, err = spool.Open(); err != nil {
			return fail(errors.Join(err, stored.close()))
		}
	}
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(&untilDone{ctx, first}, o.Limits.Bytes+1))
	if err != nil {
		return fail(errors.Join(fmt.Errorf("after %d bytes: %w", size, err), stored.close()))
	}
	copied, err := spool.Open()
	if err != nil {
		return fail(errors.Join(err, stored.close()))
	}
	at, ok := copied.(sized)
	if !ok {
		return fail(errors.Join(errors.New("the copy can't be read at any place"), stored.close()))
	}
	stored.file, stored.size = at, size
	digest := hex.EncodeToString(hash.Sum(nil))
	stored.sum = func() (string, error) { return digest, nil }
	return stored.within(o)
}

// within holds the stored bytes to the limit.
func (s *storedFile) within(o ReadOptions) (*storedFile, error) {
	if s.size <= o.Limits.Bytes {
		return s, nil
	}
	err := &FormatError{Name: o.Name, Rule: RuleLimit, Observed: fmt.Sprintf("more than %d stored bytes", o.Limits.Bytes), Limit: fmt.Sprintf("at most %d", o.Limits.Bytes)}
	return nil, errors.Join(err, s.close())
}

// untilDone is a reader that ends with the context's error.
type untilDone struct {
	ctx  context.Context
	from io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.from.Read(p)
}

// hashOf hashes a file from its start, beside whatever else reads it, or, with one worker, when the sum is asked for.
// The sum has to be asked for, once.
func hashOf(ctx context.Context, f io.ReaderAt, size int64, o ReadOptions) (sum func() (string, error)) {
	read := func() (string, error) {
		hash := sha256.New()
		in := &untilDone{ctx, io.NewSectionReader(f, 0, size)}
		n, err := io.CopyBuffer(struct{ io.Writer }{hash}, in, make([]byte, 256<<10))
		if err != nil {
			return "", fmt.Errorf("read %s: after %d bytes: %w", o.Name, n, err)
		}
		return hex.EncodeToString(hash.Sum(nil)), nil
	}
	if o.Workers == 1 {
		return read
	}
	type result struct {
		sum string
		err error
	}
	done := make(chan result, 1)
	go func() {
		sum, err := read()
		done <- result{sum, err}
	}()
	return func() (string, error) {
		r := <-done
		return r.sum, r.err
	}
}

// parquetScan is one scan of a file.
type parquetScan struct {
	ctx    context.Context
	o      ReadOptions
	stored int64
	file   *parquet.File
	plan   parquetPlan
	rows   int // that the visitor has, or would have
}

// guarded calls do. A file is data, and the reader of one has no business to panic; should a decoder do it all the same,
// on bytes that nobody thought of, the file is refused and the worker lives.
func (s *parquetScan) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &FormatError{Name: s.o.Name, Rule: RuleTruncated, Observed: fmt.Sprintf("bytes that no decoder takes (%v)", p), Limit: "a Parquet file"}
		}
	}()
	return do()
}

// explain makes a *FormatError of the format's own.
func (s *parquetScan) explain(err error) error {
	var wrong *parquet.Error
	if !errors.As(err, &wrong) {
		return err
	}
	rules := map[parquet.Fault]string{parquet.Damaged: RuleTruncated, parquet.TooMuch: RuleLimit, parquet.Unsupported: RuleType}
	return &FormatError{Name: s.o.Name, Rule: rules[wrong.Fault], Column: wrong.Column, Observed: wrong.Observed, Limit: wrong.Limit}
}

// run reads the file and hands its rows to the visitor: once, and again for each time that what a column holds contradicts
// the kind that it began with.
func (s *parquetScan) run(r io.ReaderAt, v Visitor) (err error) {
	if s.stored == 0 {
		return s.empty("no bytes")
	}
	limits := s.o.Limits
	err = s.guarded(func() (err error) {
		s.file, err = parquet.Open(r, s.stored, parquet.Limits{
			Rows: limits.Rows, Columns: limits.Columns, Cell: limits.Cell, Bytes: limits.Bytes, Ratio: limits.Ratio,
		})
		return err
	})
	if err != nil {
		return s.explain(err)
	}
	if s.plan, err = planParquet(s.file, s.o); err != nil {
		return err
	}
	switch {
	case len(s.file.Columns) == 0:
		return s.empty("no columns")
	case s.file.Rows == 0:
		return s.empty("a schema only")
	}
	if cells := s.file.Rows * int64(max(1, len(s.plan.columns))); cells > limits.Bytes {
		return &FormatError{Name: s.o.Name, Rule: RuleLimit, Observed: fmt.Sprintf("%d cells", cells), Limit: fmt.Sprintf("at most %d", limits.Bytes)}
	}
	if s.o.Contract == nil {
		if err := s.sample(); err != nil {
			return err
		}
	}
	for {
		again, err := s.pass(v)
		if err != nil || !again {
			return err
		}
	}
}

func (s *parquetScan) empty(observed string) error {
	return &FormatError{Name: s.o.Name, Rule: RuleEmpty, Observed: observed, Limit: "a header and at least one row"}
}
