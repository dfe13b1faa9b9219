package dataset

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// blockBytes is how much text is parsed at once: little enough to stay in a core's own cache with the columns
	// that come of it, and enough that what is done once a block costs nothing.
	blockBytes = 1 << 20
	// firstBytes is what the first block has room for before more is asked for: most files of predictions are small.
	firstBytes = 64 << 10
	// markBytes is how many bytes tell text from what only claims to be text.
	markBytes = 3
	// padding is how many bytes may be read behind the text.
	padding = 16
)

// block is text that begins and ends with a row.
type block struct {
	buffer []byte
	text   []byte // ends with a line feed; buffer goes on for padding bytes behind it
	lines  int64  // line feeds in text
	sound  bool   // UTF-8 without NUL
	stored int64  // bytes of the object read so far
	err    error  // what came instead of more rows: io.EOF after the last
	long   []byte // the beginning of a row that is longer than a row may be, which comes instead of more rows
}

// blockReader cuts text into blocks.
type blockReader struct {
	name   string
	from   io.Reader // text
	stored *source
	size   int    // of a block
	limit  int    // bytes of a row
	rest   []byte // read, and not yet given: the beginning of a row
	ended  error  // of from
	begun  bool
}

// next fills a block. After one with an error, or one before a row that is too long, there is none.
func (r *blockReader) next(b *block) {
	*b = block{buffer: b.buffer}
	size := r.size
	if !r.begun {
		size = max(min(size, firstBytes), markBytes)
	}
	b.room(max(size, len(r.rest)), 0)
	n := copy(b.buffer, r.rest)
	r.rest = r.rest[:0]
	for {
		b.room(max(size, n), n)
		n += r.fill(b.buffer[n:max(size, n)])
		if size < r.size && r.ended == nil {
			size = r.size // the first block, and no small file
			continue
		}
		if !r.begun {
			r.begun = true
			mark, err := r.begin(b.buffer[:n])
			if err != nil {
				b.err = err
				return
			}
			n = copy(b.buffer, b.buffer[mark:n])
		}
		if r.cut(b, n) {
			break
		}
		if n > r.limit {
			b.long = b.buffer[:n]
			break
		}
		size = min(2*max(size, n), r.limit+r.size)
	}
	b.stored = r.stored.bytes
	b.inspect()
}

// cut gives the block the rows that are whole in the first n bytes of its buffer, and keeps what follows them for the
// next one. It reports whether the block is done.
func (r *blockReader) cut(b *block, n int) bool {
	b.err = r.ended
	if r.ended == io.EOF {
		if n > 0 && b.buffer[n-1] != '\n' { // the last row may lack its line end
			b.buffer[n] = '\n'
			n++
		}
		b.text = b.buffer[:n]
		clear(b.buffer[n : n+padding])
		return true
	}
	end := lastRowEnd(b.buffer[:n])
	b.text = b.buffer[:end]
	if end > 0 {
		r.rest = append(r.rest, b.buffer[end:n]...)
		clear(b.buffer[end : end+padding]) // so that nothing that is read there looks like text
	}
	return end > 0 || r.ended != nil
}

// fill reads until p is full or the text ends, which ended says, and returns how much.
func (r *blockReader) fill(p []byte) int {
	n, idle := 0, 0
	for n < len(p) && r.ended == nil {
		m, err := r.from.Read(p[n:])
		n += m
		if m == 0 && err == nil {
			if idle++; idle == 100 {
				err = fmt.Errorf("read %s: %w", r.name, io.ErrNoProgress)
			}
		}
		r.ended = err
	}
	return n
}

// inspect looks once over the text for what its rows need then not look for.
func (b *block) inspect() {
	b.lines = countLines(b.text)
	b.sound = utf8.Valid(b.text) && bytes.IndexByte(b.text, 0) < 0
}

// countLines counts the line feeds of text.
func countLines(text []byte) int64 { return int64(bytes.Count(text, []byte{'\n'})) }

// room makes the buffer hold n bytes of text, a line feed and the padding, keeping the first keep bytes.
func (b *block) room(n, keep int) {
	if len(b.buffer) >= n+1+padding {
		return
	}
	grown := make([]byte, n+1+padding)
	copy(grown, b.buffer[:keep])
	b.buffer = grown
}

// lastRowEnd is where the last whole row of text ends, behind its line feed; 0: none does. Text begins outside of
// quotes. Where quotes are misplaced the rows before that place are whole, and the row there is refused.
func lastRowEnd(text []byte) int {
	open := bytes.Count(text, []byte{'"'})
	for end := len(text); ; {
		i := bytes.LastIndexByte(text[:end], '\n')
		if i < 0 {
			return 0
		}
		open -= bytes.Count(text[i:end], []byte{'"'})
		if open%2 == 0 {
			return i + 1
		}
		end = i
	}
}

// begin is the length of the byte-order mark that the text begins with. It names the compressed data that a wrong
// format lets through.
func (r *blockReader) begin(head []byte) (mark int, err error) {
	refuse := func(observed, limit string) (int, error) {
		return 0, &FormatError{Name: r.name, Rule: RuleEncoding, Line: 1, Observed: observed, Limit: limit}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return 3, nil
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return refuse("gzip data", "text, or the format csv.gz")
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f")):
		return refuse("zstd data", "text, or the format csv.zst")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return refuse("UTF-16", "UTF-8")
	}
	return 0, nil
}
