package spill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"
)

const (
	partitionCount = 256
	pageSize       = 4 << 10 // bytes collected for a partition before they are written
)

// temporary is a file that nobody else sees, and that is gone when it is closed or the process ends.
func temporary(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "leanloop-spill-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// partitions are lists of groups in one file, as pages that follow each other in no order.
type partitions struct {
	file  *os.File
	end   int64
	open  [partitionCount][]byte // not yet written
	pages [partitionCount][]page
}

// page is a stretch of the file.
type page struct {
	at     int64
	length int
}

func newPartitions(dir string) (*partitions, error) {
	f, err := temporary(dir)
	if err != nil {
		return nil, fmt.Errorf("spill values: %w", err)
	}
	return &partitions{file: f}, nil
}

// write appends a group to a partition: key, row, count, length of the text, text.
func (p *partitions) write(part int, g Group) error {
	b := binary.LittleEndian.AppendUint64(p.open[part], g.Key[0])
	b = binary.LittleEndian.AppendUint64(b, g.Key[1])
	b = binary.AppendUvarint(b, uint64(g.First))
	b = binary.AppendUvarint(b, uint64(g.Count))
	b = binary.AppendUvarint(b, uint64(len(g.Text)))
	b = append(b, g.Text...)
	p.open[part] = b
	if len(b) < pageSize-MaxText-64 {
		return nil
	}
	if _, err := p.file.WriteAt(b, p.end); err != nil {
		return fmt.Errorf("spill values: %w", err)
	}
	p.pages[part] = append(p.pages[part], page{at: p.end, length: len(b)})
	p.end += int64(len(b))
	p.open[part] = b[:0]
	return nil
}

// read calls each with the groups of a partition in the order of writing. Their texts are valid until it returns.
func (p *partitions) read(part int, each func(Group) error) error {
	buffer := make([]byte, pageSize)
	for _, at := range p.pages[part] {
		if _, err := p.file.ReadAt(buffer[:at.length], at.at); err != nil {
			return fmt.Errorf("read spilled values: %w", err)
		}
		if err := decode(buffer[:at.length], each); err != nil {
			return err
		}
	}
	return decode(p.open[part], each)
}

func decode(b []byte, each func(Group) error) error {
	for len(b) > 0 {
		g := Group{Key: Key{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}}
		b = b[16:]
		row, n := binary.Uvarint(b)
		count, m := binary.Uvarint(b[n:])
		length, l := binary.Uvarint(b[n+m:])
		b = b[n+m+l:]
		g.First, g.Count, g.Text = int64(row), int64(count), unsafe.String(unsafe.SliceData(b), int(length)) // copied where it is kept
		b = b[length:]
		if err := each(g); err != nil {
			return err
		}
	}
	return nil
}
