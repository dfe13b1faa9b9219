package devstack

import (
	"io"
	"os"
	"strings"
	"sync"
)

// tailSize is how much of the program's last words an error carries, in bytes.
const tailSize = 4 << 10

// tail remembers the end of what the program wrote on its standard error,
// either as a writer or by reading the file that it went to.
type tail struct {
	mu   sync.Mutex
	kept []byte
	path string
	from int64
}

func newTail() *tail { return &tail{} }

// Write keeps the last tailSize bytes; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

// fromFile makes the tail that of the file at path, from an offset on.
func (t *tail) fromFile(path string, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.path, t.from = path, offset
}

// suffix gives ": " and the remembered text for the end of an error, or
// nothing if nothing was written.
func (t *tail) suffix() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.kept
	if t.path != "" {
		text = readEnd(t.path, t.from)
	}
	if s := strings.TrimSpace(string(text)); s != "" {
		return ": " + s
	}
	return ""
}

// readEnd reads the last tailSize bytes of a file, none before offset from.
func readEnd(path string, from int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-tailSize)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(f, tailSize))
	return text
}
