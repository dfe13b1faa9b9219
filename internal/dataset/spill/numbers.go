package spill

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Numbers sorts numbers, however many there are: runs of them in a temporary file, merged at the end. Close it.
type Numbers struct {
	limit  int
	dir    string
	buffer []float64
	file   *os.File // nil while all is in memory
	end    int64
	runs   []page // of 8 bytes a number
	count  int64
}

// NewNumbers is ready for numbers; limit is how many are held in memory, 0 for 262,144, and dir is for the file.
func NewNumbers(limit int, dir string) *Numbers {
	return &Numbers{limit: cmp.Or(limit, 1<<18), dir: dir}
}

// Add takes a number that isn't NaN.
func (n *Numbers) Add(v float64) error {
	n.buffer = append(n.buffer, v)
	n.count++
	if len(n.buffer) < n.limit {
		return nil
	}
	return n.write()
}

// Len is how many there are.
func (n *Numbers) Len() int64 { return n.count }

// write puts what is in memory into the file as a run.
func (n *Numbers) write() error {
	if n.file == nil {
		f, err := temporary(n.dir)
		if err != nil {
			return fmt.Errorf("spill numbers: %w", err)
		}
		n.file = f
	}
	slices.Sort(n.buffer)
	raw := make([]byte, 0, 8*len(n.buffer))
	for _, v := range n.buffer {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
	}
	if _, err := n.file.WriteAt(raw, n.end); err != nil {
		return fmt.Errorf("spill numbers: %w", err)
	}
	n.runs = append(n.runs, page{at: n.end, length: len(raw)})
	n.end += int64(len(raw))
	n.buffer = n.buffer[:0]
	return nil
}

// Each calls do with the numbers in ascending order.
func (n *Numbers) Each(do func(v float64)) error {
	slices.Sort(n.buffer)
	var h runs
	for _, r := range n.runs {
		from := &run{from: bufio.NewReaderSize(io.NewSectionReader(n.file, r.at, int64(r.length)), pageSize)}
		if err := from.next(); err != nil {
			return err
		}
		h = append(h, from)
	}
	if len(n.buffer) > 0 {
		h = append(h, &run{rest: n.buffer[1:], value: n.buffer[0]})
	}
	heap.Init(&h)
	for len(h) > 0 {
		do(h[0].value)
		switch err := h[0].next(); {
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		case err != nil:
			return err
		default:
			heap.Fix(&h, 0)
		}
	}
	return nil
}

// Close removes the temporary file.
func (n *Numbers) Close() error {
	if n.file == nil {
		return nil
	}
	return n.file.Close()
}

// run is ascending numbers, in the file or, the last one, in memory.
type run struct {
	from  *bufio.Reader
	rest  []float64
	value float64
}

func (r *run) next() error {
	if r.from == nil {
		if len(r.rest) == 0 {
			return io.EOF
		}
		r.value, r.rest = r.rest[0], r.rest[1:]
		return nil
	}
	var raw [8]byte
	if _, err := io.ReadFull(r.from, raw[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("read spilled numbers: %w", err)
	}
	r.value = math.Float64frombits(binary.LittleEndian.Uint64(raw[:]))
	return nil
}

// runs is a heap by the next number.
type runs []*run

func (h runs) Len() int           { return len(h) }
func (h runs) Less(i, j int) bool { return h[i].value < h[j].value }
func (h runs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Interface's.
func (h *runs) Push(x any) { *h = append(*h, x.(*run)) }

// Pop is heap.Interface's.
func (h *runs) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
