package serving

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/leanloop/leanloop/internal/predictions"
)

// logFile is the rows of one part on local disk until the object store has them: what a process that is killed leaves
// behind, and the next one sends. It is a sequence of frames, each its content's length and CRC-32C (of length and
// content) in 4 bytes, little-endian, and the content: a logHeader as JSON first, then rows. A frame is whole or
// nothing: reading ends before the first that isn't.
//
// Whoever has it open holds its lock, so that nobody else sends it. Writes aren't synced: they outlive the process, not
// the machine's power.
type logFile struct {
	f    *os.File
	size int64 // of the whole frames
}

// logHeader says which part a file's rows make.
type logHeader struct {
	Key      string               `json:"key"` // in the object store, the same at each attempt
	Model    string               `json:"model"`
	Version  int                  `json:"version"`
	Features predictions.Features `json:"features"`
}

const (
	frameHead    = 8
	logSuffix    = ".rows"
	brokenSuffix = ".broken" // an unreadable file, kept for people
)

// errLogHeader is the error of a file that doesn't say which part it is.
var errLogHeader = errors.New("it doesn't begin with a whole header")

func frameSum(length, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(length, table), table, content)
}

// createLogFile begins a file with its header and first rows.
func createLogFile(path string, h logHeader) (_ *logFile, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	l := &logFile{f: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.remove())
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", filepath.Base(path), err)
	}
	header, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return l, l.append(header)
}

// openLogFile takes a file that another process left. It is nil where one that lives has it, or where it is gone.
func openLogFile(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
		return nil, errors.Join(err, f.Close())
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &logFile{f: f, size: size}, nil
}

// append writes a frame. After an error the file is as it was before, or, where not even that can be had, ends in a
// frame that isn't whole, which is cut off before the next is written.
func (l *logFile) append(content []byte) error {
	head := make([]byte, frameHead, frameHead+len(content))
	binary.LittleEndian.PutUint32(head, uint32(len(content)))
	binary.LittleEndian.PutUint32(head[4:], frameSum(head[:4], content))
	if _, err := l.f.WriteAt(append(head, content...), l.size); err != nil {
		return errors.Join(err, l.f.Truncate(l.size))
	}
	l.size += int64(frameHead + len(content))
	return nil
}

// read gives the header and the rows of all whole frames, and how many bytes behind them are none.
func (l *logFile) read() (logHeader, [][]byte, int64, error) {
	data := make([]byte, l.size)
	if _, err := l.f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return logHeader{}, nil, 0, err
	}
	return parseLogFile(data)
}

// parseLogFile is read for a file's content.
func parseLogFile(data []byte) (h logHeader, rows [][]byte, torn int64, err error) {
	content, rest, ok := nextFrame(data)
	if !ok || json.Unmarshal(content, &h) != nil || h.Key == "" {
		return h, nil, int64(len(data)), errLogHeader
	}
	for {
		data = rest
		if content, rest, ok = nextFrame(data); !ok {
			return h, rows, int64(len(data)), nil
		}
		rows = append(rows, content)
	}
}

func nextFrame(data []byte) (content, rest []byte, ok bool) {
	if len(data) < frameHead {
		return nil, data, false
	}
	length := uint64(binary.LittleEndian.Uint32(data))
	if length == 0 || length > uint64(len(data)-frameHead) {
		return nil, data, false
	}
	content, rest = data[frameHead:frameHead+length], data[frameHead+length:]
	return content, rest, binary.LittleEndian.Uint32(data[4:]) == frameSum(data[:4], content)
}

// remove ends the file: its rows are stored.
func (l *logFile) remove() error {
	err := os.Remove(l.f.Name())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.f.Close())
}

// setAside keeps an unreadable file under another name, where nobody looks at it again.
func (l *logFile) setAside() error {
	return errors.Join(os.Rename(l.f.Name(), l.f.Name()+brokenSuffix), l.f.Close())
}

// leave lets go of the file, for the next process to send.
func (l *logFile) leave() error { return l.f.Close() }
